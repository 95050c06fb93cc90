//! A counted reference to a cell without any right to what is in it.

use std::ptr::NonNull;
use std::task::Waker;

use ramus_scope::Reason;

use super::super::info::Id;
use super::{Header, Relaxed, wake, waker};

/// Keeps the cell, not the future or the output in it. It is the task's waker: what counts references already.
#[derive(Clone)]
pub(crate) struct Grip(Waker);

impl Grip {
    /// # Safety
    ///
    /// The caller holds a reference to `cell`.
    pub(super) unsafe fn new(cell: NonNull<Header>) -> Grip {
        Grip(Waker::clone(&waker::borrowed(cell)))
    }

    fn cell(&self) -> NonNull<Header> {
        match waker::cell_of(&self.0) {
            Some(cell) => cell,
            None => unreachable!("made from a waker of a task"),
        }
    }

    fn header(&self) -> &Header {
        // SAFETY: the waker holds a reference (rule 1).
        unsafe { self.cell().as_ref() }
    }

    #[track_caller]
    pub(crate) fn cancel(&self, reason: Reason) -> bool {
        // SAFETY: the waker's reference lasts for the call.
        unsafe { cancel(self.cell(), reason) }
    }

    /// As the handle sees it: its result is there. Without a handle, once the future is gone.
    pub(crate) fn is_finished(&self) -> bool {
        let header = self.header();
        header.life.is_complete() || header.run.is_done() && header.life.is_detached()
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.header().cancel.is_cancelled()
    }

    /// Not finished, and waiting for the code that is being polled on this thread (D39).
    pub(crate) fn waits_for_caller(&self) -> bool {
        !self.is_finished() && self.header().cancel.is_around()
    }

    pub(crate) fn id(&self) -> Id {
        // Ordering: [task:T6] Relaxed: the id in the stamp never changes.
        Id::from_stamp(self.header().stamp.load(Relaxed))
    }
}

/// Cancels the task: marks it, then wakes it. Its future is dropped where it is polled, never here.
///
/// # Safety
///
/// The caller holds a reference, and keeps it during the call.
#[track_caller]
pub(super) unsafe fn cancel(cell: NonNull<Header>, reason: Reason) -> bool {
    // SAFETY: by the caller (rule 1).
    let header = unsafe { cell.as_ref() };
    if header.run.is_done() || !header.cancel.cancel(reason) {
        return false;
    }
    // SAFETY: by the caller.
    unsafe { wake(cell) };
    true
}
