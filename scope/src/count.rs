//! The members of a scope, counted in one word together with the scope's being closed (D27).
//!
//! The owner of a scope (its body, polled on one thread at a time) counts its own spawns in a plain integer; everybody
//! else adds to the word. Completions subtract from the word. Closing the scope adds the owner's plain count and takes
//! [`OPEN`] away, in one operation:
//!
//! ```text
//!   open:    word = OPEN + admitted by others - completed      (the owner's spawns are not in it yet)
//!   closed:  word = all admitted - completed
//!   drained: word = 0, for ever; exactly one subtraction sees it become 0
//! ```
//!
//! While it is open the word cannot reach 0, because `OPEN` is larger than any number of tasks. After the close it is 0
//! exactly once, because `admit` refuses at 0. The fork/join split follows Nowa (Schmaus et al., IPDPS 2021).

use std::ops::Deref;

use crate::sync::{AtomicI64, AtomicU32, Ordering};

const OPEN: i64 = 1 << 40;

/// The owner counts in the word, as everybody else.
const DISOWNED: u32 = u32::MAX;

/// What a subtraction found.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    /// Members are left, or the scope is still open.
    Some,
    /// This was the last one of a closed scope: the caller owes the drain.
    Drained,
}

impl Left {
    fn of(word: i64) -> Left {
        debug_assert!(word >= 0, "more members ended than were admitted");
        if word == 0 { Left::Drained } else { Left::Some }
    }
}

/// A word on cache lines that nothing around it is on. It is not aligned to a line, because an allocator takes twice as long
/// for a block with such an alignment.
#[derive(Debug)]
#[repr(C)]
struct Apart {
    _before: [u64; 8],
    value: AtomicI64,
    _after: [u64; 7],
}

impl Deref for Apart {
    type Target = AtomicI64;

    fn deref(&self) -> &AtomicI64 {
        &self.value
    }
}

#[derive(Debug)]
pub(crate) struct Count {
    /// Apart: completions of other workers write it, while the cancel state beside it is only read (D32).
    word: Apart,
    /// Spawned by the owner; written by the owner alone.
    owned: AtomicU32,
}

impl Count {
    pub(crate) fn new() -> Count {
        let word = Apart { _before: [0; 8], value: AtomicI64::new(OPEN), _after: [0; 7] };
        Count { word, owned: AtomicU32::new(0) }
    }

    /// As new, for the next scope of a node that nobody else has.
    pub(crate) fn reset(&mut self) {
        self.word.value = AtomicI64::new(OPEN);
        self.owned = AtomicU32::new(0);
    }

    /// One more member, spawned by the owner while the scope is open. Owner only. `false`: the plain count is full, or
    /// the owner has none any more.
    pub(crate) fn admit_owned(&self) -> bool {
        // Ordering: [count:O1] Relaxed: only the owner touches it; threads that poll the owner one after the other are
        // ordered by their executor.
        let owned = self.owned.load(Ordering::Relaxed);
        if owned >= DISOWNED - 1 {
            return false;
        }
        // Ordering: [count:O2] Relaxed, as O1.
        self.owned.store(owned + 1, Ordering::Relaxed);
        true
    }

    /// `n` more members, from anywhere. Refused once the scope is drained.
    pub(crate) fn admit(&self, n: i64) -> bool {
        // Ordering: [count:A1] Relaxed: nothing is read on the strength of the count. What a member does is ordered
        // before the drain by its own completion (C1).
        self.word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |word| (word != 0).then_some(word + n)).is_ok()
    }

    /// `n` members have ended.
    pub(crate) fn complete(&self, n: i64) -> Left {
        // Ordering: [count:C1] AcqRel: Release publishes what the members did to whoever drains; Acquire lets the one
        // who drains see what all of them did (each subtraction continues the release sequence).
        Left::of(self.word.fetch_sub(n, Ordering::AcqRel) - n)
    }

    /// The owner's spawns, which from now on are counted elsewhere. It sends a late owner (a waker that spawns while the
    /// scope's future drains) to the word.
    fn take_owned(&self) -> i64 {
        // Ordering: [count:O3] Relaxed, as O1.
        let owned = self.owned.load(Ordering::Relaxed);
        // Ordering: [count:O5] Relaxed, as O1.
        self.owned.store(DISOWNED, Ordering::Relaxed);
        if owned == DISOWNED { 0 } else { i64::from(owned) }
    }

    /// The body has ended: the owner's spawns are added, `OPEN` is taken away. Owner only, once; or, after
    /// [`disown`](Count::disown), whoever closes it without its owner.
    pub(crate) fn close(&self) -> Left {
        let change = OPEN - self.take_owned();
        // Ordering: [count:C2] AcqRel, as C1.
        Left::of(self.word.fetch_sub(change, Ordering::AcqRel) - change)
    }

    /// The body is given up while the scope is open: its spawns go to the word. For whoever holds the lock under which the
    /// owner would come back.
    pub(crate) fn disown(&self) {
        let owned = self.take_owned();
        // Ordering: [count:A2] Relaxed, as A1.
        self.word.fetch_add(owned, Ordering::Relaxed);
    }

    /// Is the body's own part still counted? Its answer can only change where the body is polled or given up.
    pub(crate) fn is_open(&self) -> bool {
        // Ordering: [count:L2] Relaxed: whoever asks has come after the last poll of the body by the node's lock.
        self.word.load(Ordering::Relaxed) > OPEN / 2
    }

    /// It is open, and nobody was ever admitted, or all who were have ended. Owner only; final for whoever has the only reference.
    pub(crate) fn is_idle(&self) -> bool {
        // Ordering: [count:O6] Relaxed, as O1.
        let owned = self.owned.load(Ordering::Relaxed);
        // Ordering: [count:L3] Acquire: pairs with C1; who drops the scope's node comes after what its members did.
        owned != DISOWNED && self.word.load(Ordering::Acquire) == OPEN - i64::from(owned)
    }

    /// How many members are alive, as an estimate.
    pub(crate) fn live(&self) -> u64 {
        // Ordering: [count:L1] Relaxed: an estimate for people.
        let word = self.word.load(Ordering::Relaxed);
        // Ordering: [count:O4] Relaxed: an estimate for people.
        let owned = self.owned.load(Ordering::Relaxed);
        let owned = if owned == DISOWNED { 0 } else { i64::from(owned) };
        let live = if word > OPEN / 2 { word - OPEN + owned } else { word };
        u64::try_from(live).unwrap_or(0)
    }
}

#[cfg(all(test, not(ramus_loom)))]
mod tests {
    use super::*;

    #[test]
    fn drains_once_after_the_close() {
        let count = Count::new();
        assert!(count.admit_owned());
        assert!(count.admit(1));
        assert_eq!(count.live(), 2);
        assert_eq!(count.complete(1), Left::Some);
        assert_eq!(count.close(), Left::Some);
        assert!(count.admit(2), "draining, but not drained");
        assert_eq!(count.complete(2), Left::Some);
        assert_eq!(count.complete(1), Left::Drained);
        assert!(!count.admit(1), "drained is for ever");
        assert_eq!(count.live(), 0);
    }

    #[test]
    fn completions_may_come_before_the_owner_counts() {
        let count = Count::new();
        for _ in 0..3 {
            assert!(count.admit_owned());
        }
        assert_eq!(count.complete(3), Left::Some);
        assert_eq!(count.close(), Left::Drained);
    }

    #[test]
    fn d29_a_body_that_is_given_up_leaves_its_count_in_the_word() {
        let count = Count::new();
        assert!(count.admit_owned() && count.admit_owned());
        assert!(count.is_open());
        count.disown();
        assert!(!count.admit_owned(), "a late owner goes to the word");
        assert_eq!(count.live(), 2);
        assert_eq!(count.complete(1), Left::Some);
        assert_eq!(count.close(), Left::Some);
        assert!(!count.is_open());
        assert_eq!(count.complete(1), Left::Drained);
    }

    #[test]
    fn an_empty_scope_is_drained_by_its_close() {
        assert_eq!(Count::new().close(), Left::Drained);
    }
}
