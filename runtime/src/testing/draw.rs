//! The numbers that a simulation draws.

use std::env;

/// The environment variable that replays a run.
const SEED: &str = "RAMUS_SEED";

/// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014): every seed, zero too, begins
/// a sequence of its own.
#[derive(Debug)]
pub(crate) struct Draw(u64);

impl Draw {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `limit`, which is not zero.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        // The high half of a product of 64 by 64 bits: no division, and no bias that a run would notice.
        ((u128::from(self.next()) * limit as u128) >> 64) as usize
    }

    /// True once in `many` draws.
    pub(crate) fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }

    /// Any order of `items`.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for left in (1..items.len()).rev() {
            items.swap(left, self.below(left + 1));
        }
    }
}

/// The seed that the environment asks for.
///
/// # Panics
///
/// If the variable is set to what is no seed: a replay that quietly runs something else helps nobody.
pub(crate) fn seed_from_environment() -> Option<u64> {
    let value = env::var_os(SEED)?;
    let seed = value.to_str().and_then(|text| text.trim().parse().ok());
    match seed {
        Some(seed) => Some(seed),
        None => panic!("{SEED} must be a number from 0 to {}, and is {value:?}", u64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::Draw;

    #[test]
    fn the_sequence_is_that_of_the_paper() {
        // The first outputs for the seed 1234567, as given with the reference implementation.
        let mut draw = Draw::new(1_234_567);
        assert_eq!([draw.next(), draw.next()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }

    #[test]
    fn draws_stay_below_their_limit_and_reach_all() {
        let mut draw = Draw::new(3);
        let mut seen = [false; 7];
        for _ in 0..1000 {
            seen[draw.below(7)] = true;
        }
        assert_eq!(seen, [true; 7]);
        let mut items: Vec<_> = (0..50).collect();
        draw.shuffle(&mut items);
        assert_ne!(items, (0..50).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..50).collect::<Vec<_>>());
    }
}
