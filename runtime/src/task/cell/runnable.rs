//! The permission to poll a task, and the sight of the task that a thread is polling.

use std::cell::Cell;
use std::mem;
use std::ptr::NonNull;
use std::task::Waker;

use super::super::info::{Id, RUNNING, TaskInfo};
use super::super::state::Suspend;
use super::waker::cell_of;
use super::{Header, Relaxed, Step, look};

/// The permission to poll a task; at most one exists. It carries the task's reference to its own cell.
///
/// One word. Dropping it ends the task as cancelled: its future is dropped at once, boundaries in it are not waited for.
#[must_use = "a dropped runnable drops its task unfinished"]
pub struct Runnable(pub(super) NonNull<Header>);

// SAFETY: whoever has it may poll and drop the future and its output, which are `Send` (`cell`); what else it reaches is
// made for sharing.
unsafe impl Send for Runnable {}

/// What became of a runnable.
#[derive(Debug)]
#[must_use]
pub enum Ran {
    /// The task was woken while it was polled: queue it again.
    Again(Runnable),
    /// The task waits to be woken.
    Pending,
    /// The task has ended.
    Done,
}

impl Runnable {
    /// Polls the task once. While it is polled `polled` shows it.
    #[inline]
    pub fn run(self, polled: &Polled) -> Ran {
        let cell = self.0;
        let shown = polled.show(cell);
        // SAFETY: the runnable carries a reference.
        let header = unsafe { cell.as_ref() };
        // Ordering: [task:T2] Relaxed: for reports only. Only the holder of the runnable writes it, so no
        // read-modify-write is needed.
        let stamp = header.stamp.load(Relaxed);
        header.stamp.store(stamp | RUNNING, Relaxed);
        let begun = header.run.begin();
        // SAFETY: this is the runnable. If the poll unwinds, `self` is dropped, which ends the task.
        match unsafe { (header.vtable.run)(cell) } {
            Step::Done => {
                mem::forget(self);
                drop(shown);
                Ran::Done
            }
            Step::Pending => {
                // Ordering: [task:T5] Relaxed, as above.
                header.stamp.store(stamp, Relaxed);
                let again = shown.polled.again.get();
                drop(shown);
                if again {
                    // As if it had woken itself: the count stays above zero, and the runnable here.
                    return Ran::Again(self);
                }
                match header.run.suspend(begun) {
                    // The task keeps the reference; another thread may run it by now.
                    Suspend::Idle => {
                        mem::forget(self);
                        Ran::Pending
                    }
                    Suspend::Woken => Ran::Again(self),
                }
            }
        }
    }

    /// Hands it to its scheduler.
    #[inline]
    pub fn schedule(self) {
        // SAFETY: the runnable carries a reference, and the scheduler takes the runnable; the vtable is static.
        unsafe { (self.0.as_ref().vtable.schedule)(self.0, self) };
    }

    /// The number of the task.
    pub fn id(&self) -> Id {
        // SAFETY: the runnable carries a reference.
        // Ordering: [task:T3] Relaxed, as above.
        Id::from_stamp(unsafe { self.0.as_ref() }.stamp.load(Relaxed))
    }
}

impl Drop for Runnable {
    #[cold]
    fn drop(&mut self) {
        // SAFETY: this is the runnable, and it ends here.
        unsafe { (self.0.as_ref().vtable.abandon)(self.0) };
    }
}

impl std::fmt::Debug for Runnable {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_tuple("Runnable").field(&self.id()).finish()
    }
}

/// Shows which task a thread is polling. One lies in each worker's thread-local.
#[derive(Debug)]
pub struct Polled {
    cell: Cell<Option<NonNull<Header>>>,
    /// It is to be polled again: a wake by itself, which no other thread need see.
    again: Cell<bool>,
}

/// Ends the show, on return and on unwinding.
struct Shown<'a> {
    polled: &'a Polled,
    before: Option<NonNull<Header>>,
    again_before: bool,
}

impl Polled {
    /// Shows no task.
    pub const fn new() -> Self {
        Self { cell: Cell::new(None), again: Cell::new(false) }
    }

    #[inline]
    fn show(&self, cell: NonNull<Header>) -> Shown<'_> {
        Shown { polled: self, before: self.cell.replace(Some(cell)), again_before: self.again.replace(false) }
    }

    /// If `waker` is the own one of the task that is being polled, that is polled again, as after a wake: without the
    /// read-modify-write that tells other threads, since the task goes nowhere before its poll ends.
    #[inline]
    pub(crate) fn wake_own(&self, waker: &Waker) -> bool {
        let is_own = self.cell.get().is_some_and(|cell| cell_of(waker) == Some(cell));
        if is_own {
            self.again.set(true);
        }
        is_own
    }

    /// Was that asked for since its poll began?
    #[inline]
    pub(crate) fn is_again(&self, waker: &Waker) -> bool {
        self.again.get() && self.cell.get().is_some_and(|cell| cell_of(waker) == Some(cell))
    }

    /// The task that is being polled, at `now_ms` of the clock that ids are born by.
    pub(crate) fn info(&self, now_ms: u64) -> Option<TaskInfo> {
        // SAFETY: set only for the duration of a poll, by `Runnable::run`, whose runnable carries a reference. `Polled`
        // is not `Sync` and is borrowed by `run`, so this call is made from within that poll.
        self.cell.get().map(|cell| unsafe { look(cell, now_ms) })
    }
}

impl Default for Polled {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Shown<'_> {
    #[inline]
    fn drop(&mut self) {
        self.polled.cell.set(self.before);
        self.polled.again.set(self.again_before);
    }
}
