//! The cancel state of a scope: one word, pure transitions.
//!
//! | bit | set by | cleared by | means |
//! |---|---|---|---|
//! | `STOP` | a soft stop of the scope or of one above it, through shields | never | finish soon |
//! | `CANCEL` | a cancel of the scope, or of one above it that reached it | never | nothing goes on |
//! | `SHIELDED` | opening under a shield, moving under one | the end of the shield's budget or frame, moving out | cancels from above stop here |
//! | `CUT` | a member or the body that was dropped because of `CANCEL` | never | the result is not whole |
//! | `KILL` | a kill of the scope, or of one above it, through shields | never | no shield and no budget holds any more |
//! | `WATCHED` | `stop_on` | never | the scope's future has signals to poll |
//! | `LIMITED` | opening with a task limit | never | spawns stand in line |
//! | `STRAY` | the end of its frame | its next poll, its drop | nobody polls it where it was (`stray`) |
//! | `GIVEN_UP` | a cancel that meets `STRAY` | never | it was closed without its future |
//! | `MOVED` | its first poll inside another scope | never | its parent stands under the lock |
//!
//! A request only moves forward (none, stop, cancel, kill), so every transition is one `fetch_or`: two requests that race are
//! ordered by it, and the one that finds the bit clear is the first. `CANCEL` is set under the node's lock, in the same
//! critical section that takes the member list; that is what makes the walk meet every member (see `tree`). `KILL` is set
//! under it too, and never without `CANCEL`.

use crate::sync::{AtomicU32, Ordering};

const STOP: u32 = 1;
const CANCEL: u32 = 2;
const SHIELDED: u32 = 4;
const CUT: u32 = 8;
const WATCHED: u32 = 16;
const KILL: u32 = 32;
const LIMITED: u32 = 1 << 31;
const STRAY: u32 = 1 << 16;
const GIVEN_UP: u32 = 1 << 17;
const MOVED: u32 = 1 << 18;

/// Was a request new?
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request {
    First,
    Repeated,
}

/// The word at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Snapshot(u32);

impl Snapshot {
    #[inline]
    pub(crate) fn is_stopping(self) -> bool {
        self.0 & (STOP | CANCEL) != 0
    }

    #[inline]
    pub(crate) fn is_cancelled(self) -> bool {
        self.0 & CANCEL != 0
    }

    #[inline]
    pub(crate) fn is_killed(self) -> bool {
        self.0 & KILL != 0
    }

    pub(crate) fn is_shielded(self) -> bool {
        self.0 & SHIELDED != 0
    }

    pub(crate) fn is_watched(self) -> bool {
        self.0 & WATCHED != 0
    }

    #[inline]
    pub(crate) fn is_limited(self) -> bool {
        self.0 & LIMITED != 0
    }

    pub(crate) fn was_cut(self) -> bool {
        self.0 & CUT != 0
    }

    pub(crate) fn is_stray(self) -> bool {
        self.0 & STRAY != 0
    }

    pub(crate) fn is_given_up(self) -> bool {
        self.0 & GIVEN_UP != 0
    }

    #[inline]
    pub(crate) fn is_moved(self) -> bool {
        self.0 & MOVED != 0
    }
}

#[derive(Debug)]
pub(crate) struct State(AtomicU32);

impl State {
    pub(crate) fn new(shielded: bool, stopping: bool) -> State {
        let shield = if shielded { SHIELDED } else { 0 };
        State(AtomicU32::new(shield | if stopping { STOP } else { 0 }))
    }

    #[inline]
    pub(crate) fn load(&self) -> Snapshot {
        // Ordering: [state:L1] Acquire: pairs with the Release of T1, so that data written before a cancel is visible to
        // whoever observes it (D32).
        Snapshot(self.0.load(Ordering::Acquire))
    }

    fn set(&self, bit: u32) -> Request {
        // Ordering: [state:T1] AcqRel: Release publishes what the requester wrote before; Acquire lets a later requester
        // build on an earlier one.
        let before = self.0.fetch_or(bit, Ordering::AcqRel);
        if before & bit == 0 { Request::First } else { Request::Repeated }
    }

    pub(crate) fn stop(&self) -> Request {
        self.set(STOP)
    }

    pub(crate) fn cancel(&self) -> Request {
        self.set(CANCEL)
    }

    pub(crate) fn kill(&self) -> Request {
        self.set(KILL)
    }

    pub(crate) fn mark_watched(&self) {
        let _ = self.set(WATCHED);
    }

    pub(crate) fn mark_limited(&self) {
        let _ = self.set(LIMITED);
    }

    pub(crate) fn mark_cut(&self) {
        // Of many members that are cut only the first one writes: the bit never falls.
        if !self.load().was_cut() {
            let _ = self.set(CUT);
        }
    }

    /// The shield above has used up its budget.
    pub(crate) fn lift_shield(&self) {
        self.clear(SHIELDED);
    }

    /// It is polled in another place, under a shield or not.
    pub(crate) fn set_shielded(&self, shielded: bool) {
        match (shielded, self.load().is_shielded()) {
            (true, false) => {
                let _ = self.set(SHIELDED);
            }
            (false, true) => self.clear(SHIELDED),
            (true, true) | (false, false) => {}
        }
    }

    pub(crate) fn mark_stray(&self) {
        let _ = self.set(STRAY);
    }

    pub(crate) fn clear_stray(&self) {
        self.clear(STRAY);
    }

    pub(crate) fn mark_given_up(&self) {
        let _ = self.set(GIVEN_UP);
    }

    pub(crate) fn mark_moved(&self) {
        let _ = self.set(MOVED);
    }

    fn clear(&self, bit: u32) {
        // Ordering: [state:T2] AcqRel, as T1: the walk that follows builds on it.
        self.0.fetch_and(!bit, Ordering::AcqRel);
    }
}

#[cfg(all(test, not(ramus_loom)))]
mod tests {
    use super::*;

    #[test]
    fn requests_only_move_forward() {
        let state = State::new(false, false);
        assert!(!state.load().is_stopping());
        assert_eq!(state.stop(), Request::First);
        assert_eq!(state.stop(), Request::Repeated);
        assert!(state.load().is_stopping() && !state.load().is_cancelled());
        assert_eq!(state.cancel(), Request::First);
        assert_eq!(state.cancel(), Request::Repeated);
        assert!(state.load().is_cancelled() && !state.load().is_killed());
        assert_eq!(state.kill(), Request::First);
        assert_eq!(state.kill(), Request::Repeated);
        assert!(state.load().is_cancelled() && state.load().is_killed());
    }

    #[test]
    fn a_cancelled_scope_is_stopping_too() {
        let state = State::new(false, false);
        let _ = state.cancel();
        assert!(state.load().is_stopping());
    }

    #[test]
    fn a_shield_is_lifted_once() {
        let state = State::new(true, false);
        assert!(state.load().is_shielded());
        state.lift_shield();
        assert!(!state.load().is_shielded());
    }
}
