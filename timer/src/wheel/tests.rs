//! The wheel against a naive model: a map from tick to entries.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Steps until nothing is due; the payloads in the order they fired.
fn advance<T>(wheel: &mut Wheel<T>, now: u64) -> Vec<T> {
    let mut fired = Vec::new();
    loop {
        match wheel.step(now) {
            Step::Fired(payload) => fired.push(payload),
            Step::Moved => {}
            Step::Idle => return fired,
        }
    }
}

/// A distance in ticks: near, on a level's boundary, anywhere, at the very end.
fn distance() -> impl Strategy<Value = u64> {
    let boundary = (0..64u32, -2..=2i64).prop_map(|(bit, off)| (1u64 << bit).saturating_add_signed(off));
    prop_oneof![Just(0), 0..70u64, 0..5000u64, boundary, any::<u64>(), (0..3u64).prop_map(|off| u64::MAX - off)]
}

#[derive(Clone, Debug)]
enum Op {
    /// Ahead of the model's present.
    Insert(u64),
    /// A tick that may be past.
    InsertAt(u64),
    Remove(prop::sample::Index),
    /// Also with a key that has expired or was removed.
    Reschedule(prop::sample::Index, u64),
    Advance(u64),
    AdvanceTo(u64),
    /// A turn that stops after so many steps.
    Steps(u64, usize),
    /// As a host does that sleeps until the next tick.
    Follow,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => distance().prop_map(Op::Insert),
        1 => distance().prop_map(Op::InsertAt),
        2 => any::<prop::sample::Index>().prop_map(Op::Remove),
        3 => (any::<prop::sample::Index>(), distance()).prop_map(|(which, by)| Op::Reschedule(which, by)),
        3 => distance().prop_map(Op::Advance),
        1 => distance().prop_map(Op::AdvanceTo),
        2 => (distance(), 0..6usize).prop_map(|(by, steps)| Op::Steps(by, steps)),
        4 => Just(Op::Follow),
    ]
}

/// What the wheel should do, told naively.
struct Model {
    wheel: Wheel<usize>,
    /// Every entry ever made: its key, and its tick while it is in the wheel.
    entries: Vec<(Key, Option<u64>)>,
    now: u64,
}

impl Model {
    fn due(&self, now: u64) -> Vec<usize> {
        let live = self.entries.iter().enumerate();
        live.filter(|(_, (_, tick))| tick.is_some_and(|tick| tick <= now)).map(|(id, _)| id).collect()
    }

    fn earliest(&self) -> Option<u64> {
        self.entries.iter().filter_map(|(_, tick)| *tick).min()
    }

    fn advance_to(&mut self, now: u64) {
        // A clock that went back counts as standing still.
        self.now = self.now.max(now);
        let mut fired = advance(&mut self.wheel, now);
        fired.sort_unstable();
        assert_eq!(fired, self.due(self.now), "at {}", self.now);
        fired.iter().for_each(|id| self.entries[*id].1 = None);
        assert_eq!(self.wheel.elapsed(), self.now);
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Insert(by) => self.insert(self.now.saturating_add(by)),
            Op::InsertAt(tick) => self.insert(tick),
            Op::Remove(which) if !self.entries.is_empty() => {
                let id = which.index(self.entries.len());
                let (key, tick) = &mut self.entries[id];
                assert_eq!(self.wheel.remove(*key), tick.take().map(|_| id));
            }
            Op::Reschedule(which, by) if !self.entries.is_empty() => {
                let id = which.index(self.entries.len());
                let (key, tick) = &mut self.entries[id];
                let to = self.now.saturating_add(by);
                assert_eq!(self.wheel.reschedule(*key, to), tick.is_some());
                assert_eq!(self.wheel.get_mut(*key).copied(), tick.map(|_| id));
                *tick = tick.map(|_| to);
            }
            Op::Remove(_) | Op::Reschedule(..) => {}
            Op::Advance(by) => self.advance_to(self.now.saturating_add(by)),
            Op::AdvanceTo(now) => self.advance_to(now),
            Op::Steps(by, steps) => {
                let now = self.now.saturating_add(by);
                for _ in 0..steps {
                    match self.wheel.step(now) {
                        Step::Fired(id) => {
                            let tick = self.entries[id].1.take();
                            assert!(tick.is_some_and(|tick| tick <= now), "fired early or twice");
                        }
                        Step::Moved => {}
                        Step::Idle => break,
                    }
                }
                assert!(self.wheel.elapsed() <= now);
                self.now = self.wheel.elapsed();
            }
            Op::Follow => {
                if let Some(next) = self.wheel.next_tick() {
                    self.advance_to(next);
                }
            }
        }
        self.check();
    }

    fn insert(&mut self, tick: u64) {
        let id = self.entries.len();
        let key = self.wheel.insert(tick, id);
        self.entries.push((key, Some(tick)));
    }

    fn check(&self) {
        let live = self.entries.iter().filter(|(_, tick)| tick.is_some()).count();
        assert_eq!(self.wheel.len(), live);
        let (next, earliest) = (self.wheel.next_tick(), self.earliest());
        assert_eq!(next.is_some(), earliest.is_some());
        if let (Some(next), Some(earliest)) = (next, earliest) {
            assert!(next <= earliest.max(self.now), "the host would oversleep: {next} for {earliest}");
            assert!(next >= self.now);
        }
        for (place, list) in self.wheel.lists[..FAR].iter().enumerate() {
            let bit = self.wheel.occupied[place / WIDTH] >> (place % WIDTH) & 1;
            assert_eq!(bit == 1, !list.is_empty(), "occupancy of slot {place}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Faults F1, F2, F5, F8: any base offset, far and equal deadlines, re-insertion, a clock that jumps, stands or goes
    /// back.
    #[test]
    fn does_what_a_map_would_do(base in prop_oneof![Just(0), distance()], ops in prop::collection::vec(op(), 1..80)) {
        let mut model = Model { wheel: Wheel::new(base), entries: Vec::new(), now: base };
        ops.into_iter().for_each(|op| model.apply(op));
        model.advance_to(u64::MAX);
        assert_eq!(model.wheel.len(), 0);
    }

    /// A host that only ever sleeps until `next_tick` sees every entry at exactly its tick, and is woken without need at
    /// most once a level for each entry.
    #[test]
    fn following_the_next_tick_is_exact(base in 0..1u64 << 50, distances in prop::collection::vec(0..1u64 << 48, 1..40)) {
        let mut wheel = Wheel::new(base);
        let mut expected = BTreeMap::<u64, usize>::new();
        for distance in &distances {
            wheel.insert(base + distance, base + distance);
            *expected.entry(base + distance).or_default() += 1;
        }
        let mut seen = BTreeMap::<u64, usize>::new();
        let mut wakeups = 0;
        while let Some(now) = wheel.next_tick() {
            wakeups += 1;
            for tick in advance(&mut wheel, now) {
                assert_eq!(tick, now);
                *seen.entry(tick).or_default() += 1;
            }
        }
        prop_assert_eq!(seen, expected);
        prop_assert!(wakeups <= distances.len() * (LEVELS + 1));
    }
}

// Fault F1: at any uptime, also one beyond the top level, the next ticks fire in their turn.
#[test]
fn the_top_level_never_wraps() {
    for base in [0, (1 << 48) - 1, 1 << 48, (1 << 48) + (63 << 42), 7 << 48, u64::MAX - 200] {
        let mut wheel = Wheel::new(base);
        for distance in [1, 63, 64, 65, 100] {
            wheel.insert(base + distance, distance);
        }
        for distance in 1..=100 {
            let expected: Vec<u64> = [1, 63, 64, 65, 100].into_iter().filter(|d| *d == distance).collect();
            assert_eq!(advance(&mut wheel, base + distance), expected, "base {base}, distance {distance}");
        }
    }
}

// Fault F2: the last tick is an ordinary one.
#[test]
fn the_last_tick_is_reached() {
    let mut wheel = Wheel::new(0);
    wheel.insert(u64::MAX, "end");
    wheel.insert(u64::MAX - 1, "before");
    assert!(wheel.next_tick().is_some_and(|tick| tick < u64::MAX));
    assert_eq!(advance(&mut wheel, u64::MAX - 1), ["before"]);
    assert_eq!(wheel.next_tick(), Some(u64::MAX));
    assert_eq!(advance(&mut wheel, u64::MAX), ["end"]);
    wheel.insert(u64::MAX, "again");
    assert_eq!(advance(&mut wheel, u64::MAX), ["again"]);
}

// Fault F5: an entry at the tick already reached, and one of the past, fire on the next step.
#[test]
fn an_elapsed_deadline_fires_on_the_next_step() {
    let mut wheel = Wheel::new(0);
    assert_eq!(advance(&mut wheel, 1000), Vec::<u32>::new());
    let key = wheel.insert(1000, 1);
    wheel.insert(3, 2);
    assert_eq!(wheel.next_tick(), Some(1000));
    assert_eq!(advance(&mut wheel, 1000), [1, 2]);
    assert!(!wheel.reschedule(key, 1000), "its key is stale");
    wheel.insert(1000, 3);
    assert_eq!(advance(&mut wheel, 0), [3]);
}

#[test]
fn equal_deadlines_fire_in_the_order_of_insertion() {
    let mut wheel = Wheel::new(5);
    for id in 0..1000 {
        wheel.insert(100_000, id);
    }
    assert_eq!(advance(&mut wheel, 99_999), Vec::<i32>::new());
    assert_eq!(advance(&mut wheel, 100_000), (0..1000).collect::<Vec<i32>>());
}

// Fault F10: one step handles one entry, however many share a slot, on the way down too.
#[test]
fn a_step_is_bounded() {
    const ENTRIES: usize = 10_000;
    let mut wheel = Wheel::new(0);
    for id in 0..ENTRIES {
        wheel.insert(5000, id);
    }
    let (mut steps, mut fired) = (0, 0);
    loop {
        let before = wheel.len();
        match wheel.step(5000) {
            Step::Fired(_) => fired += 1,
            Step::Moved => assert_eq!(wheel.len(), before),
            Step::Idle => break,
        }
        steps += 1;
    }
    assert_eq!(fired, ENTRIES);
    // 5000 = 1·64² + 14·64 + 8: two levels down, then out.
    assert_eq!(steps, 3 * ENTRIES);
}

#[test]
fn what_is_left_can_be_taken_out_at_once() {
    let mut wheel = Wheel::new(9);
    for tick in [9, 80, 1 << 20, u64::MAX] {
        wheel.insert(tick, tick);
    }
    let mut left: Vec<u64> = wheel.into_payloads().collect();
    left.sort_unstable();
    assert_eq!(left, [9, 80, 1 << 20, u64::MAX]);
}
