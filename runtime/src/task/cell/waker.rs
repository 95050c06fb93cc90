//! The waker of a task: a counted reference to its cell.
//!
//! There is one static table for all tasks, so `will_wake` works for every pair of them, and a waker of ours can be
//! recognised: that is how a report finds the task behind a waker.

use std::mem::ManuallyDrop;
use std::process;
use std::ptr::NonNull;
use std::task::{RawWaker, RawWakerVTable, Waker};

use super::{Header, Runnable, Schedule, TaskInfo, Wake, let_go, look, wake};

static TABLE: RawWakerVTable = RawWakerVTable::new(clone_raw, wake_raw, wake_by_ref_raw, drop_raw);

/// The waker for one poll: it counts no reference, because the runnable that is polled carries one.
#[inline]
pub(super) fn borrowed(cell: NonNull<Header>) -> ManuallyDrop<Waker> {
    // SAFETY: the table's functions are for cells, and keep the contract of wakers: see each. The reference that this
    // waker would give up when dropped is never given up.
    ManuallyDrop::new(unsafe { Waker::new(cell.as_ptr().cast_const().cast(), &TABLE) })
}

/// The cell behind a waker of ours.
#[inline]
pub(super) fn cell_of(waker: &Waker) -> Option<NonNull<Header>> {
    if std::ptr::eq(waker.vtable(), &TABLE) { NonNull::new(waker.data().cast_mut().cast()) } else { None }
}

/// The cell behind a waker that is the own one of a task of `scheduler`.
#[inline]
fn cell_at<S: Schedule>(waker: &Waker, scheduler: &'static S) -> Option<NonNull<Header>> {
    let is_there = |cell: &NonNull<Header>| {
        // SAFETY: a waker with our table holds a reference.
        unsafe { cell.as_ref() }.scheduler == NonNull::from(scheduler).cast()
    };
    cell_of(waker).filter(is_there)
}

/// Is it the own one of a task of `scheduler`?
pub(crate) fn is_of<S: Schedule>(waker: &Waker, scheduler: &'static S) -> bool {
    cell_at(waker, scheduler).is_some()
}

/// Wakes, and gives the runnable to the caller, who polls it, if that makes one and its scheduler is `scheduler`: a way
/// around the queues.
pub(crate) fn claim<S: Schedule>(waker: &Waker, scheduler: &'static S) -> Option<Runnable> {
    let Some(cell) = cell_at(waker, scheduler) else {
        waker.wake_by_ref();
        return None;
    };
    // SAFETY: the waker lasts until the end of this function.
    match unsafe { cell.as_ref() }.run.wake() {
        Wake::Nothing => None,
        // The task was idle, so its runnable is made here (edge 1), and carries the task's own reference.
        Wake::Schedule => Some(Runnable(cell)),
        Wake::Overflow => process::abort(),
    }
}

/// What the task behind `waker` is, if there is one: at `now_ms` of the clock that ids are born by.
pub fn inspect(waker: &Waker, now_ms: u64) -> Option<TaskInfo> {
    // SAFETY: a waker with our table holds a reference, and is borrowed for the call.
    cell_of(waker).map(|cell| unsafe { look(cell, now_ms) })
}

/// # Safety
///
/// `data` is the cell of a waker of ours: the waker holds a reference for as long as it is used.
unsafe fn cell_from(data: *const ()) -> NonNull<Header> {
    // SAFETY: a waker of ours is made from a `NonNull` only.
    unsafe { NonNull::new_unchecked(data.cast_mut().cast()) }
}

/// # Safety
///
/// As `RawWakerVTable::new` says for `clone`.
unsafe fn clone_raw(data: *const ()) -> RawWaker {
    // SAFETY: by the caller; the waker's reference keeps the cell alive.
    if !unsafe { cell_from(data).as_ref() }.life.retain() {
        process::abort();
    }
    RawWaker::new(data, &TABLE)
}

/// # Safety
///
/// As `RawWakerVTable::new` says for `wake`.
unsafe fn wake_raw(data: *const ()) {
    // SAFETY: by the caller; the reference lasts until the scheduler has returned.
    unsafe {
        wake(cell_from(data));
        let_go(cell_from(data));
    }
}

/// # Safety
///
/// As `RawWakerVTable::new` says for `wake_by_ref`.
unsafe fn wake_by_ref_raw(data: *const ()) {
    // SAFETY: by the caller.
    unsafe { wake(cell_from(data)) };
}

/// # Safety
///
/// As `RawWakerVTable::new` says for `drop`.
unsafe fn drop_raw(data: *const ()) {
    // SAFETY: by the caller.
    unsafe { let_go(cell_from(data)) };
}
