//! The handle's side of a cell: a counted reference with the right to the output and to the joiner's slot.

use std::marker::PhantomData;
use std::mem;
use std::panic::Location;
use std::ptr::NonNull;
use std::task::{Poll, Waker};

use ramus_scope::{JoinError, Reason};

use super::super::contain::contain;
use super::super::info::Id;
use super::super::state::{Detach, Joining};
use super::grip::cancel;
use super::{Grip, Header, Relaxed, let_go_probably_last};
use crate::context;

/// The right to the output of one task. One word; at most one exists for a task.
pub(crate) struct Ticket<T> {
    cell: NonNull<Header>,
    output: PhantomData<T>,
}

// SAFETY: whoever has it may take or drop the output, which then crosses threads: `T: Send`. The rest is made for sharing.
unsafe impl<T: Send> Send for Ticket<T> {}
// SAFETY: a shared ticket reaches the header only, never the output.
unsafe impl<T: Send> Sync for Ticket<T> {}

impl<T> Ticket<T> {
    /// # Safety
    ///
    /// The caller passes on the handle's reference of a new cell whose output is a `Result<T, JoinError>`.
    pub(super) unsafe fn new(cell: NonNull<Header>) -> Self {
        Self { cell, output: PhantomData }
    }

    #[inline]
    fn header(&self) -> &Header {
        // SAFETY: the ticket holds a reference (rule 1).
        unsafe { self.cell.as_ref() }
    }

    /// About to wait for the first time: does the task wait for the code that is being polled on this thread (D39)?
    #[inline]
    pub(crate) fn waits_for_caller(&self) -> bool {
        !(self.is_finished() || self.header().life.is_armed()) && self.header().cancel.is_around()
    }

    #[inline]
    pub(crate) fn is_finished(&self) -> bool {
        self.header().life.is_complete()
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.header().cancel.is_cancelled()
    }

    pub(crate) fn id(&self) -> Id {
        // Ordering: [task:T4] Relaxed: the id in the stamp never changes.
        Id::from_stamp(self.header().stamp.load(Relaxed))
    }

    pub(crate) fn site(&self) -> &'static Location<'static> {
        self.header().site
    }

    /// Cancels the task: marks it, then wakes it. Its future is dropped where it is polled, never here.
    #[track_caller]
    pub(crate) fn cancel(&self, reason: Reason) -> bool {
        // SAFETY: the ticket's reference lasts for the call.
        unsafe { cancel(self.cell, reason) }
    }

    /// A reference to the cell without the right to the output.
    pub(crate) fn grip(&self) -> Grip {
        // SAFETY: the ticket holds a reference.
        unsafe { Grip::new(self.cell) }
    }

    /// The output, once the task has finished; `waker` is woken when it has. At most one waker is kept: the last one.
    ///
    /// `Ready(None)`: the output was taken before.
    #[inline]
    pub(crate) fn poll(&mut self, waker: &Waker) -> Poll<Option<Result<T, JoinError>>> {
        if self.is_finished() || self.register(waker) == Joining::Complete {
            // `COMPLETE` was seen just now.
            return Poll::Ready(self.take());
        }
        context::note_join(self.id(), waker);
        Poll::Pending
    }

    /// Ready once the task has finished; as [`poll`](Ticket::poll), but the output stays.
    pub(crate) fn poll_finished(&mut self, waker: &Waker) -> Poll<()> {
        if self.is_finished() || self.register(waker) == Joining::Complete {
            return Poll::Ready(());
        }
        context::note_join(self.id(), waker);
        Poll::Pending
    }

    /// Takes the waker of the last poll out of the slot.
    pub(crate) fn forget_waker(&mut self) {
        if self.header().life.is_armed() && self.header().life.disarm() == Joining::Done {
            drop(self.swap(None));
        }
    }

    /// Shows the output, if the task has finished and it was not taken before.
    pub(crate) fn look<R>(&mut self, look: impl FnOnce(&Result<T, JoinError>) -> R) -> Option<R> {
        if !self.is_finished() {
            return None;
        }
        // SAFETY: `COMPLETE` was seen, so the output is the handle's (rule 2), exclusively: `&mut self` for as long as it
        // is shown. The types agree (`new`).
        unsafe { (self.header().vtable.look)(self.cell).map(|output| look(output.cast().as_ref())) }
    }

    /// The output, if the task has finished and it was not taken before.
    pub(crate) fn try_take(&mut self) -> Option<Result<T, JoinError>> {
        if self.is_finished() { self.take() } else { None }
    }

    /// Only after `COMPLETE` was seen.
    fn take(&mut self) -> Option<Result<T, JoinError>> {
        let mut output: Option<Result<T, JoinError>> = None;
        // SAFETY: `COMPLETE` was seen, so the output is the handle's (rule 2), exclusively: `&mut self`. The types agree
        // (`new`).
        unsafe { (self.header().vtable.take)(self.cell, NonNull::from(&mut output).cast()) };
        output
    }

    /// Puts a clone of `waker` into the slot, unless it is there.
    ///
    /// A clone or a drop of a waker may panic: at each of them the slot is consistent with the flag.
    fn register(&mut self, waker: &Waker) -> Joining {
        let mut kept = None;
        if self.header().life.is_armed() {
            if self.header().life.disarm() == Joining::Complete {
                return Joining::Complete;
            }
            kept = self.swap(None);
        }
        let waker = match kept {
            Some(kept) if kept.will_wake(waker) => kept,
            stale => {
                drop(stale);
                waker.clone()
            }
        };
        self.swap(Some(waker));
        match self.header().life.arm() {
            Joining::Done => Joining::Done,
            Joining::Complete => {
                drop(self.swap(None));
                Joining::Complete
            }
        }
    }

    /// Only while the flag `WAKER` is clear.
    fn swap(&mut self, waker: Option<Waker>) -> Option<Waker> {
        // SAFETY: while `WAKER` is clear the slot is the handle's (rule 3), exclusively: `&mut self`.
        self.header().joiner.with_mut(|slot| unsafe { mem::replace(&mut *slot, waker) })
    }

    #[cold]
    fn count_contained(&self) {
        // SAFETY: the ticket holds a reference.
        unsafe { (self.header().vtable.contained)(self.cell) };
    }
}

impl<T> Drop for Ticket<T> {
    fn drop(&mut self) {
        loop {
            match self.header().life.detach() {
                // The reference is gone with it, and cannot have been the last one: the task has its own.
                Detach::Done => return,
                Detach::Armed => {
                    if self.header().life.disarm() == Joining::Done {
                        let waker = self.swap(None);
                        if contain(|| drop(waker)) {
                            self.count_contained();
                        }
                    }
                }
                Detach::Complete => {
                    // SAFETY: the output is the handle's, and the reference is given up for good.
                    unsafe {
                        (self.header().vtable.discard)(self.cell);
                        let_go_probably_last(self.cell);
                    }
                    return;
                }
            }
        }
    }
}
