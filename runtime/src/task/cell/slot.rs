//! A place for one runnable: only its owner fills it, and only when it is empty; anybody may empty it.
//!
//! The owner knows that the slot is empty if it has taken from it since it filled it last, whether or not something was left
//! to take: nobody else puts anything in.

use std::fmt;
use std::mem;
use std::ptr::{self, NonNull};

use super::{Header, Runnable};
use crate::sync::atomic::AtomicPtr;
use crate::sync::atomic::Ordering::{Acquire, Release};

/// See the [module](self).
pub struct Slot(AtomicPtr<Header>);

impl Slot {
    /// An empty slot.
    pub fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// Fills the slot. For its owner, when it is empty: a runnable that is in it would be lost.
    #[inline]
    pub fn fill(&self, runnable: Runnable) {
        let cell = runnable.0;
        mem::forget(runnable);
        // Ordering: [slot:F1] Release, partner [slot:T1]: whoever takes the runnable sees the task as it was put in. An
        // exchange, like the takes, so that all changes of the word are one chain.
        let before = self.0.swap(cell.as_ptr(), Release);
        debug_assert!(before.is_null(), "the slot was not empty");
    }

    /// Empties the slot.
    #[inline]
    pub fn take(&self) -> Option<Runnable> {
        // Ordering: [slot:T1] Acquire, partner [slot:F1]. An exchange, so that only one of two takers gets it.
        // The pointer was put in by `fill`, which gave up a runnable for it.
        NonNull::new(self.0.swap(ptr::null_mut(), Acquire)).map(Runnable)
    }
}

impl Default for Slot {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        drop(self.take());
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Slot")
    }
}
