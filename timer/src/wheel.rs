//! The hierarchical timing wheel (Varghese and Lauck, 1987), as a pure structure.
//!
//! It has no clock, no lock and no waker: time is a number of ticks that the caller hands in, an entry carries any
//! payload. Insert, remove and reschedule are O(1); an entry moves down at most once a level on its way to expiry.
//!
//! **Where an entry hangs.** Read ticks as numbers in base 64. Let `elapsed` be the tick that the wheel has reached. An
//! entry hangs at the level of the highest digit in which its tick differs from `elapsed`, in the slot named by its own
//! digit there. Digits above are equal, so within a level slots never wrap around: a slot further right is later, and
//! *start of slot* = `elapsed` with that digit put in and zeros below. An entry that differs above the top level hangs
//! in one list of far entries until `elapsed` enters its 2^48 ticks (1,169 years of 2^17 ns).
//!
//! **Invariants.**
//! 1. Every entry's tick is at least `elapsed`: an earlier one is raised to it on insertion, and fires on the next step.
//! 2. A bit of a level's occupancy word is set exactly if that slot's list is not empty.
//! 3. Every occupied slot starts after `elapsed`, with two exceptions, each at the current digit: the slot of level 0
//!    whose entries are due now, and at most one higher slot that is being emptied downwards entry by entry.
//!
//! `elapsed` only moves to the earliest start of an occupied slot, or to `now` when there is none up to `now`. That keeps
//! the third invariant, and with it the choice of the next slot: the earliest start, on a tie the higher level.

use crate::slots::{Key, List, Slots};

const LEVELS: usize = 8;
const BITS: u32 = 6;
const WIDTH: usize = 1 << BITS;
/// Index of the list of far entries, behind the slots of all levels.
const FAR: usize = LEVELS * WIDTH;
const FAR_BITS: u32 = LEVELS as u32 * BITS;

struct Entry<T> {
    tick: u64,
    /// Index of the list that it hangs in.
    place: u16,
    payload: T,
}

/// What one [`Wheel::step`] did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step<T> {
    /// An entry expired; here is its payload. Its key is stale now.
    Fired(T),
    /// Entries moved down a level; more may be due.
    Moved,
    /// Nothing is due: `elapsed` has reached `now`.
    Idle,
}

pub(crate) struct Wheel<T> {
    elapsed: u64,
    occupied: [u64; LEVELS],
    lists: Box<[List; FAR + 1]>,
    entries: Slots<Entry<T>>,
}

impl<T> Wheel<T> {
    /// An empty wheel that has reached the tick `elapsed`.
    pub(crate) fn new(elapsed: u64) -> Self {
        Self { elapsed, occupied: [0; LEVELS], lists: Box::new([List::EMPTY; FAR + 1]), entries: Slots::new() }
    }

    pub(crate) fn elapsed(&self) -> u64 {
        self.elapsed
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Adds an entry that expires at `tick`, or on the next step if that is past.
    pub(crate) fn insert(&mut self, tick: u64, payload: T) -> Key {
        let key = self.entries.insert(Entry { tick, place: 0, payload });
        self.hang(key, tick);
        key
    }

    /// Takes an entry out; `None` if it has expired or was removed.
    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        let place = self.entries.get(key)?.place;
        self.take_down(key, place);
        self.entries.remove(key).map(|entry| entry.payload)
    }

    /// Moves an entry to another tick; false if it has expired or was removed.
    pub(crate) fn reschedule(&mut self, key: Key, tick: u64) -> bool {
        let Some(entry) = self.entries.get(key) else {
            return false;
        };
        let place = entry.place;
        self.take_down(key, place);
        self.hang(key, tick);
        true
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        self.entries.get_mut(key).map(|entry| &mut entry.payload)
    }

    /// The tick of the next step that has something to do. It is never later than the earliest entry's tick; it is
    /// earlier when entries have to move down first.
    pub(crate) fn next_tick(&self) -> Option<u64> {
        self.next_slot().map(|(tick, _)| tick)
    }

    /// Does one bounded piece of the work that is due at `now`. A `now` before `elapsed` (a clock that went back) counts
    /// as `elapsed`.
    ///
    /// Only entries beyond the top level are moved all at once; that happens once in 2^48 ticks.
    pub(crate) fn step(&mut self, now: u64) -> Step<T> {
        let now = now.max(self.elapsed);
        match self.next_slot() {
            Some((tick, FAR)) if tick <= now => {
                self.elapsed = now >> FAR_BITS << FAR_BITS;
                self.move_far();
                Step::Moved
            }
            Some((tick, place)) if tick <= now => {
                self.elapsed = tick;
                self.empty_one(place)
            }
            _ => {
                self.elapsed = now;
                Step::Idle
            }
        }
    }

    /// All payloads, in no order.
    pub(crate) fn into_payloads(self) -> impl Iterator<Item = T> {
        self.entries.into_values().map(|entry| entry.payload)
    }

    /// The occupied slot with the earliest start, and that start, raised to `elapsed`.
    fn next_slot(&self) -> Option<(u64, usize)> {
        let mut next = if self.lists[FAR].is_empty() {
            None
        } else {
            // Exact enough: nobody is there before the next boundary. At the last block nothing can be far.
            Some((((self.elapsed >> FAR_BITS) + 1) << FAR_BITS, FAR))
        };
        // From the top, so that on a tie the higher level stays: it must be emptied before anything below fires.
        for level in (0..LEVELS).rev().filter(|level| self.occupied[*level] != 0) {
            let digit = self.occupied[level].trailing_zeros() as usize;
            let shift = level as u32 * BITS;
            let above = self.elapsed >> shift >> BITS << BITS;
            let start = ((above | digit as u64) << shift).max(self.elapsed);
            if next.is_none_or(|(earliest, _)| start < earliest) {
                next = Some((start, level * WIDTH + digit));
            }
        }
        next
    }

    /// The first entry of a slot that `elapsed` has reached: fires at level 0, moves down from any other.
    fn empty_one(&mut self, place: usize) -> Step<T> {
        let Some(key) = self.entries.front(&self.lists[place]) else {
            unreachable!("an occupied slot has an entry");
        };
        self.take_down(key, place as u16);
        if place < WIDTH {
            match self.entries.remove(key) {
                Some(entry) => return Step::Fired(entry.payload),
                None => unreachable!("a linked entry is stored"),
            }
        }
        if let Some(entry) = self.entries.get(key) {
            let tick = entry.tick;
            self.hang(key, tick);
        }
        Step::Moved
    }

    /// Hangs every far entry anew; those of later blocks become far again.
    fn move_far(&mut self) {
        let mut far = std::mem::replace(&mut self.lists[FAR], List::EMPTY);
        while let Some(key) = self.entries.front(&far) {
            self.entries.unlink(&mut far, key);
            if let Some(entry) = self.entries.get(key) {
                let tick = entry.tick;
                self.hang(key, tick);
            }
        }
    }

    /// Puts an entry that is in no list where its tick belongs.
    fn hang(&mut self, key: Key, tick: u64) {
        let tick = tick.max(self.elapsed);
        // `| 1` leaves the level of the highest differing bit as it is and gives equal ticks level 0.
        let level = ((tick ^ self.elapsed) | 1).ilog2() / BITS;
        let place = if level as usize >= LEVELS {
            FAR
        } else {
            let digit = (tick >> (level * BITS)) as usize % WIDTH;
            self.occupied[level as usize] |= 1 << digit;
            level as usize * WIDTH + digit
        };
        if let Some(entry) = self.entries.get_mut(key) {
            entry.tick = tick;
            entry.place = place as u16;
        }
        self.entries.push_back(&mut self.lists[place], key);
    }

    /// Takes an entry out of its list.
    fn take_down(&mut self, key: Key, place: u16) {
        let place = usize::from(place);
        self.entries.unlink(&mut self.lists[place], key);
        if place != FAR && self.lists[place].is_empty() {
            self.occupied[place / WIDTH] &= !(1 << (place % WIDTH));
        }
    }
}

#[cfg(test)]
mod tests;
