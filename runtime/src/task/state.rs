//! The two words of a task: pure transitions over `Copy` values, and the two types that apply them to memory.
//!
//! # The run word: how often was the task woken since it was last at rest?
//!
//! | value | named | future | a [`Runnable`](super::Runnable) exists |
//! |---|---|---|---|
//! | 0 | idle | suspended | no |
//! | n ≥ 1 | awake | queued or being polled | yes, exactly one |
//! | top bit set | done | gone | no |
//!
//! ```text
//!    spawn                 (2) wake: n + 1                    (1) wake: 0 → 1, the waker gets the runnable
//!      │                      ┌─────┐               (1)       (2) wake: n → n + 1, nothing to do
//!      ▼                      │     ▼   ┌─────────────────┐   (3) suspend: n → 0, n as read when the poll began
//!     1 ───────────────────► awake (n)◄─┘                 │   (4) suspend: n moved on, the runnable goes back
//!                             │  │  ▲ └───────────► idle (0)      to the queue
//!                             │  └──┘      (3)                (5) finish: a plain store
//!                         (5) │   (4)                         (6) wake of a finished task: the count below the top
//!                             ▼                                   bit grows, nobody looks at it
//!                           done ◄─┐
//!                             └────┘ (6)
//! ```
//!
//! Proof.
//! * *One runnable.* It is created by the spawn, which starts at 1, and by edge 1 alone. Edge 1 needs 0, 0 is reached by
//!   edge 3 alone, and edge 3 is taken by the holder of the runnable, which gives it up there. So a second one would
//!   need a first one that is gone. After edge 5 the top bit never falls, so 0 never comes back.
//! * *No lost wake.* A wake adds to the word before or after the load at the start of a poll. Before: the load reads a
//!   count that contains it, acquires what the waker wrote, and this poll sees it. After: the count is no longer the
//!   one that was loaded, so edge 3 fails and edge 4 polls again; or edge 3 went first and the wake is edge 1. Every
//!   wake is a release, also one that finds the task awake: its data must be seen by a poll that the *other* wake
//!   caused.
//! * *No wrap.* A wake that would carry the count into the top bit ends the process; at a wake a nanosecond that is
//!   after 146 years without a poll.
//!
//! # The life word: who still points to the cell, and who owns what is in it?
//!
//! References are counted above the flags. An unfinished task owns one reference to its own cell (the runnable carries
//! it while there is one), the handle owns one, each waker owns one. So a wake that creates a runnable counts nothing.
//!
//! | flag | set by | cleared by | meaning |
//! |---|---|---|---|
//! | `COMPLETE` | the runner, once | never | the output belongs to the handle |
//! | `WAKER` | the handle, once its waker is in the slot | the handle, while not `COMPLETE` | the slot is to be used by the completer |
//! | `DETACHED` | the handle's drop, once, while not `COMPLETE` | never | the output belongs to the runner |
//!
//! | `COMPLETE` | `WAKER` | `DETACHED` | joiner's slot | output |
//! |---|---|---|---|---|
//! | – | – | – | the handle's | none yet |
//! | – | set | – | nobody's: readable by the completer to be | none yet |
//! | set | – | – | the handle's | the handle's |
//! | set | set | – | the completer's | the handle's |
//! | – | – | set | nobody's: empty | the runner's |
//!
//! `DETACHED` excludes both others: the handle takes its waker back before it detaches, and a completer that meets
//! `DETACHED` drops the output and just lets go of its reference. Each flag is set by one party, so an edge fails only
//! because the *other* party was faster, and then the value that it failed with says who owns what.
//!
//! Proof that a cell is freed once, after its last use: freeing needs the fall of the count to zero, or the sight of
//! one by its owner; whoever holds a reference may use the cell, and nobody uses it after giving the reference up
//! ([`LifeWord::complete`] gives it up in the same step that publishes the output).

use crate::sync::atomic::AtomicU64;
use crate::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

const DONE: u64 = 1 << 63;
/// Half of what fits below [`DONE`]: the other half is left for wakes that are between their addition and the abort.
const WAKES_MAX: u64 = 1 << 62;

/// A value of the run word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RunState(u64);

/// What the caller of a wake owes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Wake {
    /// The task was idle: the caller has the runnable now and must schedule it.
    Schedule,
    /// A runnable exists already, or the task has ended.
    Nothing,
    /// The count is about to run over.
    Overflow,
}

/// What became of a runnable whose poll returned `Pending`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Suspend {
    /// The task is idle, the runnable is gone.
    Idle,
    /// It was woken while it was polled: the runnable stays and must be queued.
    Woken,
}

impl RunState {
    const SPAWNED: Self = Self(1);
    const IDLE: Self = Self(0);
    const DONE: Self = Self(DONE);

    /// Edges 1, 2 and 6, by the value before the addition.
    const fn woken(self) -> Wake {
        match self.0 {
            0 => Wake::Schedule,
            DONE.. => Wake::Nothing,
            WAKES_MAX.. => Wake::Overflow,
            _ => Wake::Nothing,
        }
    }

    pub(crate) const fn is_idle(self) -> bool {
        self.0 == 0
    }

    pub(crate) const fn is_done(self) -> bool {
        self.0 >= DONE
    }
}

/// The run word in memory.
#[derive(Debug)]
pub(crate) struct RunWord(AtomicU64);

impl RunWord {
    pub(crate) fn spawned() -> Self {
        Self(AtomicU64::new(RunState::SPAWNED.0))
    }

    /// Edges 1, 2, 6: `n → n + 1`.
    #[inline]
    pub(crate) fn wake(&self) -> Wake {
        // Ordering: [task:R1] AcqRel. Release, whatever it finds: pairs with [task:R2], so that the next poll sees what
        // was written before the wake. Acquire: pairs with [task:R3], so that a runnable made here carries the future
        // as its last poll left it.
        RunState(self.0.fetch_add(1, AcqRel)).woken()
    }

    /// A poll begins. No step of the machine: the value is kept for [`RunWord::suspend`].
    #[inline]
    pub(crate) fn begin(&self) -> RunState {
        // Ordering: [task:R2] Acquire, pairs with [task:R1]: every wake that is in this count is seen by this poll.
        RunState(self.0.load(Acquire))
    }

    /// Edges 3 and 4: `n → 0` if nobody woke the task since [`RunWord::begin`] returned `begun`.
    #[inline]
    pub(crate) fn suspend(&self, begun: RunState) -> Suspend {
        // Ordering: [task:R6] Relaxed: a count that has moved on never comes back while the runnable exists, so the
        // exchange would fail. Its failure orders nothing either. Saves a read-modify-write where a task wakes itself.
        if self.0.load(Relaxed) != begun.0 {
            return Suspend::Woken;
        }
        // Ordering: [task:R3] Release on success, pairs with [task:R1]: whoever wakes the task from here on runs it
        // with the future as this poll left it. Relaxed on failure: the next poll begins with [task:R2].
        match self.0.compare_exchange(begun.0, RunState::IDLE.0, Release, Relaxed) {
            Ok(_) => Suspend::Idle,
            Err(_) => Suspend::Woken,
        }
    }

    /// Edge 5: `n → done`. Only the holder of the runnable calls it, and gives it up.
    #[inline]
    pub(crate) fn finish(&self) {
        // Ordering: [task:R4] Release, pairs with [task:R1]: a wake that finds the task done does nothing with it, but
        // what it does next comes after the end of the future. Wakes counted between are lost on purpose.
        self.0.store(RunState::DONE.0, Release);
    }

    /// True once the future has ended and been dropped, whoever has the output.
    pub(crate) fn is_done(&self) -> bool {
        // Ordering: [task:R7] Acquire, pairs with [task:R4]: whoever sees the end comes after it.
        RunState(self.0.load(Acquire)).is_done()
    }

    /// A look for reports.
    pub(crate) fn look(&self) -> RunState {
        // Ordering: [task:R5] Relaxed, a snapshot that orders nothing.
        RunState(self.0.load(Relaxed))
    }

    /// Tells the loom backend that nobody uses the word any more.
    pub(crate) fn retire(&mut self) {
        crate::sync::retire(&mut self.0);
    }
}

const COMPLETE: u64 = 1;
const WAKER: u64 = 1 << 1;
const DETACHED: u64 = 1 << 2;
const ONE: u64 = 1 << 3;
const REFERENCES_MAX: u64 = 1 << 60;

/// A value of the life word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LifeState(u64);

/// What the runner does with the output that it has just put into the cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Completion {
    /// Nobody waits: the output is the runner's to drop, and it still has its reference.
    Detached,
    /// The output is the handle's. The runner's reference is gone: it must not touch the cell.
    Handed,
    /// The output is the handle's, the waker in the slot the runner's; it still has its reference.
    HandedWithWaker,
}

/// What the handle does after a step of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Joining {
    /// The step was made.
    Done,
    /// The task was complete before: the step was not made, the output is the handle's.
    Complete,
}

/// What the drop of the handle owes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Detach {
    /// Detached; the reference is gone.
    Done,
    /// The handle's waker is still in the slot: take it back first.
    Armed,
    /// The task is complete: drop the output, then let go of the reference.
    Complete,
}

/// What follows from letting a reference go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum LetGo {
    /// Others are left.
    Shared,
    /// It was the last one: the caller frees the cell.
    Last,
}

impl LifeState {
    /// The task's own reference and the handle's.
    const SPAWNED: Self = Self(2 * ONE);

    const fn references(self) -> u64 {
        self.0 / ONE
    }

    const fn is_complete(self) -> bool {
        self.0 & COMPLETE != 0
    }

    const fn is_armed(self) -> bool {
        self.0 & WAKER != 0
    }

    /// `(refs, –, –, DETACHED) → same`; `(refs, –, –, –) → (refs - 1, COMPLETE, –, –)`;
    /// `(refs, –, WAKER, –) → (refs, COMPLETE, WAKER, –)`.
    const fn complete(self) -> (Self, Completion) {
        if self.0 & DETACHED != 0 {
            (self, Completion::Detached)
        } else if self.is_armed() {
            (Self(self.0 | COMPLETE), Completion::HandedWithWaker)
        } else {
            (Self((self.0 | COMPLETE) - ONE), Completion::Handed)
        }
    }

    /// `(refs, –, –, –) → (refs, –, WAKER, –)`.
    const fn arm(self) -> Option<Self> {
        if self.is_complete() { None } else { Some(Self(self.0 | WAKER)) }
    }

    /// `(refs, –, WAKER, –) → (refs, –, –, –)`.
    const fn disarm(self) -> Option<Self> {
        if self.is_complete() { None } else { Some(Self(self.0 & !WAKER)) }
    }

    /// `(refs, –, –, –) → (refs - 1, –, –, DETACHED)`.
    const fn detach(self) -> (Self, Detach) {
        if self.is_complete() {
            (self, Detach::Complete)
        } else if self.is_armed() {
            (self, Detach::Armed)
        } else {
            (Self((self.0 | DETACHED) - ONE), Detach::Done)
        }
    }
}

/// The life word in memory.
#[derive(Debug)]
pub(crate) struct LifeWord(AtomicU64);

impl LifeWord {
    pub(crate) fn spawned() -> Self {
        Self(AtomicU64::new(LifeState::SPAWNED.0))
    }

    /// One reference more, made from one that the caller holds. False: the count is about to run over.
    #[inline]
    #[must_use]
    pub(crate) fn retain(&self) -> bool {
        // Ordering: [task:L1] Relaxed: the caller's own reference keeps the cell alive, and handing the new one over
        // orders whatever comes after.
        LifeState(self.0.fetch_add(ONE, Relaxed)).references() < REFERENCES_MAX
    }

    /// The caller's reference is given up.
    #[inline]
    pub(crate) fn release(&self) -> LetGo {
        // Ordering: [task:L2] AcqRel. Release: what the caller did with the cell comes before its end. Acquire: the
        // last one sees what all others did, by [task:L2], [task:L4] or [task:L11].
        if LifeState(self.0.fetch_sub(ONE, AcqRel)).references() == 1 { LetGo::Last } else { LetGo::Shared }
    }

    /// The same for a caller that is probably alone: a load, if it is.
    #[inline]
    pub(crate) fn release_probably_last(&self) -> LetGo {
        // Ordering: [task:L3] Acquire, pairs with [task:L2], [task:L4] and [task:L11]: a count of one is the caller's own
        // reference, so nobody can raise it again, and all others have finished with the cell.
        if LifeState(self.0.load(Acquire)).references() == 1 { LetGo::Last } else { self.release() }
    }

    /// The output is in the cell; says whose it is.
    #[inline]
    pub(crate) fn complete(&self) -> Completion {
        // Ordering: [task:L6] Acquire, as [task:L4] on failure: the state may be `DETACHED` already.
        let mut seen = LifeState(self.0.load(Acquire));
        loop {
            let (next, completion) = seen.complete();
            if next == seen {
                return completion;
            }
            // Ordering: [task:L4] AcqRel. Release: the output is seen by a handle that sees `COMPLETE` in [task:L5],
            // [task:L7], [task:L8]; and a reference given up here is given up after the last use. Acquire: pairs with
            // [task:L7], so that the waker in the slot is seen whole.
            match self.0.compare_exchange_weak(seen.0, next.0, AcqRel, Acquire) {
                Ok(_) => return completion,
                Err(now) => seen = LifeState(now),
            }
        }
    }

    /// True once the output belongs to the handle.
    #[inline]
    pub(crate) fn is_complete(&self) -> bool {
        // Ordering: [task:L5] Acquire, pairs with [task:L4]: whoever sees `COMPLETE` sees the output.
        LifeState(self.0.load(Acquire)).is_complete()
    }

    /// True once the handle was dropped before the task was complete.
    #[inline]
    pub(crate) fn is_detached(&self) -> bool {
        // Ordering: [task:L12] Relaxed: the flag never falls, and what the handle left behind is touched by nobody but the
        // last reference, behind [task:L2] or [task:L3].
        self.0.load(Relaxed) & DETACHED != 0
    }

    /// True if the handle's waker is in the slot. For the handle only.
    #[inline]
    pub(crate) fn is_armed(&self) -> bool {
        // Ordering: [task:L9] Relaxed: only the handle itself changes the flag.
        LifeState(self.0.load(Relaxed)).is_armed()
    }

    /// The handle has put its waker into the slot.
    pub(crate) fn arm(&self) -> Joining {
        self.join_step(LifeState::arm)
    }

    /// The handle wants its slot back.
    pub(crate) fn disarm(&self) -> Joining {
        self.join_step(LifeState::disarm)
    }

    fn join_step(&self, step: impl Fn(LifeState) -> Option<LifeState>) -> Joining {
        // Ordering: [task:L8] Acquire, pairs with [task:L4]: `COMPLETE` seen here shows the output.
        let mut seen = LifeState(self.0.load(Acquire));
        while let Some(next) = step(seen) {
            // Ordering: [task:L7] AcqRel. Release: the waker in the slot, or the slot taken back, is seen by the
            // completer in [task:L4]. Acquire, also on failure: pairs with [task:L4], the output.
            match self.0.compare_exchange_weak(seen.0, next.0, AcqRel, Acquire) {
                Ok(_) => return Joining::Done,
                Err(now) => seen = LifeState(now),
            }
        }
        Joining::Complete
    }

    /// The handle is dropped.
    #[inline]
    pub(crate) fn detach(&self) -> Detach {
        // Ordering: [task:L10] Acquire, as above.
        let mut seen = LifeState(self.0.load(Acquire));
        loop {
            let (next, detach) = seen.detach();
            if next == seen {
                return detach;
            }
            // Ordering: [task:L11] AcqRel, as above; the reference given up here is given up after the last use.
            match self.0.compare_exchange_weak(seen.0, next.0, AcqRel, Acquire) {
                Ok(_) => return detach,
                Err(now) => seen = LifeState(now),
            }
        }
    }

    /// Tells the loom backend that nobody uses the word any more.
    pub(crate) fn retire(&mut self) {
        crate::sync::retire(&mut self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wakes_by_the_value_before() {
        assert_eq!(RunState::IDLE.woken(), Wake::Schedule);
        assert_eq!(RunState::SPAWNED.woken(), Wake::Nothing);
        assert_eq!(RunState(7).woken(), Wake::Nothing);
        assert_eq!(RunState(WAKES_MAX - 1).woken(), Wake::Nothing);
        assert_eq!(RunState(WAKES_MAX).woken(), Wake::Overflow);
        assert_eq!(RunState(DONE - 1).woken(), Wake::Overflow);
        assert_eq!(RunState::DONE.woken(), Wake::Nothing);
        assert_eq!(RunState(u64::MAX).woken(), Wake::Nothing);
    }

    /// Every reachable combination of the flags, every step: the table in the header, row by row.
    #[test]
    fn life_follows_its_table() {
        for references in 1..4 {
            let base = references * ONE;
            let open = LifeState(base);
            let armed = LifeState(base | WAKER);
            let detached = LifeState(base | DETACHED);
            let complete = LifeState(base | COMPLETE);
            let complete_armed = LifeState(base | COMPLETE | WAKER);

            assert_eq!(open.complete(), (LifeState((base - ONE) | COMPLETE), Completion::Handed));
            assert_eq!(armed.complete(), (complete_armed, Completion::HandedWithWaker));
            assert_eq!(detached.complete(), (detached, Completion::Detached));

            assert_eq!(open.arm(), Some(armed));
            assert_eq!(armed.disarm(), Some(open));
            for late in [complete, complete_armed] {
                assert_eq!(late.arm(), None);
                assert_eq!(late.disarm(), None);
                assert_eq!(late.detach(), (late, Detach::Complete));
            }
            assert_eq!(open.detach(), (LifeState((base - ONE) | DETACHED), Detach::Done));
            assert_eq!(armed.detach(), (armed, Detach::Armed));
            assert_eq!(open.references(), references);
        }
    }

    #[test]
    fn suspends_only_with_the_count_of_its_begin() {
        let word = RunWord::spawned();
        let begun = word.begin();
        assert_eq!(word.wake(), Wake::Nothing);
        assert_eq!(word.suspend(begun), Suspend::Woken);
        let begun = word.begin();
        assert_eq!(word.suspend(begun), Suspend::Idle);
        assert_eq!(word.wake(), Wake::Schedule);
        word.finish();
        assert_eq!(word.wake(), Wake::Nothing);
        assert!(word.look().is_done() && !word.look().is_idle());
    }

    #[test]
    fn references_end_once() {
        let word = LifeWord::spawned();
        assert!(word.retain());
        assert_eq!(word.release_probably_last(), LetGo::Shared);
        assert_eq!(word.release(), LetGo::Shared);
        assert_eq!(word.release_probably_last(), LetGo::Last);
    }
}
