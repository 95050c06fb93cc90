//! Which runtime, if any, the calling thread works for: the only thread-local of this crate.
//!
//! Three kinds of threads have something in here: a worker (its queue, for good), a thread inside `block_on`, and a
//! thread that entered a [`Handle`]. In the destructors of thread-locals nothing is left in here: every function then
//! answers as on a thread that never saw a runtime, and wakes go through the inbox.

use std::cell::{Cell, OnceCell};
use std::io;
use std::marker::PhantomData;
use std::task::Waker;

use ramus_timer::Timer;

use crate::blocking::BlockingScope;
use crate::driver::Driver;
use crate::error::{EnterError, EnterErrorKind};
use crate::handle::Handle;
use crate::leaf::BUDGET;
use crate::pool::Pool;
use crate::sync::{Arc, tls};
use crate::task::Runnable;
use crate::task::contain::contain;
use crate::worker::Local;

/// What one thread knows.
struct Thread {
    /// The worker's own ends of its queues; set once, when a worker starts.
    local: OnceCell<Local>,
    /// The innermost runtime entered.
    entered: Cell<Option<Handle>>,
    /// A `block_on` is on this thread's stack.
    blocking: Cell<bool>,
    /// The runtime whose blocking job is on this thread's stack.
    job_of: Cell<Option<Handle>>,
    /// What that job sees of its scope.
    job: Cell<Option<BlockingScope>>,
    /// Operations of leaves that the current poll may still complete.
    budget: Cell<u32>,
    /// What is woken now was cancelled.
    cancelling: Cell<bool>,
    /// Where the next look for a worker's driver or timer starts, for threads that are no worker.
    turn: Cell<usize>,
}

tls! {
    static THREAD: Thread = Thread {
        local: OnceCell::new(),
        entered: Cell::new(None),
        blocking: Cell::new(false),
        job_of: Cell::new(None),
        job: Cell::new(None),
        budget: Cell::new(BUDGET),
        cancelling: Cell::new(false),
        turn: Cell::new(0),
    };
}

/// Makes the calling thread a worker until it ends. True if it was none before.
pub(crate) fn install_worker(local: Local) -> bool {
    THREAD.try_with(|thread| thread.local.set(local).is_ok()).unwrap_or(false)
}

/// Calls `with` with the worker that this thread is, if it is one.
#[inline]
pub(crate) fn with_local<R>(with: impl FnOnce(Option<&Local>) -> R) -> R {
    let mut with = Some(with);
    let answer = THREAD.try_with(|thread| with.take().map(|with| with(thread.local.get())));
    match answer {
        Ok(Some(answer)) => answer,
        // The thread-local is gone, so `with` was not called.
        _ => match with.take() {
            Some(with) => with(None),
            None => unreachable!("the closure is taken only where its result is returned"),
        },
    }
}

/// Runs `wakes`, whose wakes are of cancelled tasks.
pub(crate) fn while_cancelling<R>(wakes: impl FnOnce() -> R) -> R {
    let mark = |on| THREAD.try_with(|thread| thread.cancelling.replace(on)).unwrap_or(false);
    let before = mark(true);
    let answer = wakes();
    mark(before);
    answer
}

/// Gives a runnable that was woken or spawned on this thread to `pool`: as a cancelled task's, to the worker of `pool`
/// that this thread is, or from outside.
#[inline]
pub(crate) fn schedule(pool: &'static Pool, runnable: Runnable) {
    let mut runnable = Some(runnable);
    let _ = THREAD.try_with(|thread| {
        let Some(runnable) = runnable.take() else { return };
        let cancelled = thread.cancelling.get();
        match thread.local.get().filter(|local| local.is_of(pool)) {
            Some(local) if !cancelled || local.is_short() => local.push(runnable),
            None if !cancelled => pool.push_outside(runnable),
            Some(_) | None => pool.push_cancelled(runnable),
        }
    });
    // The thread-local is gone.
    if let Some(runnable) = runnable {
        pool.push_outside(runnable);
    }
}

/// The runtime of the calling thread: the innermost one entered, else the one that it is a worker of.
#[inline]
pub(crate) fn current() -> Result<Handle, EnterError> {
    THREAD.try_with(|thread| thread.entered.get()).ok().flatten().ok_or(EnterError::new(EnterErrorKind::Outside))
}

/// True on a worker and inside `block_on`: a place that must not be blocked by another `block_on`.
pub(crate) fn is_busy() -> bool {
    THREAD.try_with(|thread| thread.blocking.get() || thread.local.get().is_some()).unwrap_or(false)
}

/// The runtime that polls on the calling thread: as a worker or in `block_on`.
#[inline]
pub(crate) fn polling() -> Option<Handle> {
    let polls = |thread: &Thread| thread.blocking.get() || thread.local.get().is_some();
    THREAD.try_with(|thread| thread.entered.get().filter(|_| polls(thread))).ok().flatten()
}

/// True in a blocking job of `handle`'s runtime: whoever waits there for the end of that runtime waits for itself.
pub(crate) fn is_job_of(handle: Handle) -> bool {
    THREAD.try_with(|thread| thread.job_of.get() == Some(handle)).unwrap_or(false)
}

/// What the blocking job on this thread's stack sees of its scope.
pub(crate) fn job() -> Option<BlockingScope> {
    let look = |thread: &Thread| {
        let job = thread.job.take();
        thread.job.set(job.clone());
        job
    };
    THREAD.try_with(look).ok().flatten()
}

/// Runs `work`, a blocking job of `handle`'s runtime. It contains its panics itself.
pub(crate) fn run_job<R>(handle: Handle, job: &BlockingScope, work: impl FnOnce() -> R) -> R {
    let mark = |of, job| THREAD.try_with(|thread| (thread.job_of.replace(of), thread.job.replace(job))).ok();
    let entered = enter(handle, false);
    let (before_of, before) = mark(Some(handle), Some(job.clone())).unwrap_or_default();
    let answer = work();
    drop(mark(before_of, before));
    drop(entered);
    answer
}

/// The driver that a new source is registered with: the worker's own, else one of the runtime's in turn.
///
/// # Errors
///
/// If no runtime was entered on this thread, or it was shut down.
pub(crate) fn driver() -> io::Result<Arc<Driver>> {
    if let Some(driver) = with_local(|local| local.map(|local| local.driver().clone())) {
        return Ok(driver);
    }
    let handle = current()?;
    let seat = handle.seat(next_turn())?;
    Ok(seat.driver)
}

/// The timer that a new deadline is registered with: the worker's own, else one of the runtime's in turn.
///
/// # Errors
///
/// If no runtime was entered on this thread, or it was shut down.
pub(crate) fn timer() -> Result<Timer, EnterError> {
    if let Some(timer) = with_local(|local| local.map(|local| local.timer().clone())) {
        return Ok(timer);
    }
    Ok(current()?.seat(next_turn())?.timer)
}

/// A number that differs from call to call, to spread work over workers.
pub(crate) fn next_turn() -> usize {
    THREAD
        .try_with(|thread| {
            let turn = thread.turn.get();
            thread.turn.set(turn.wrapping_add(1));
            turn
        })
        .unwrap_or(0)
}

/// Fills the budget of leaf operations: a poll begins.
#[inline]
pub(crate) fn refill_budget() {
    let _ = THREAD.try_with(|thread| thread.budget.set(BUDGET));
}

/// Takes one operation from the budget; false: none is left. Without a thread-local there is no budget to keep.
#[inline]
pub(crate) fn charge_budget() -> bool {
    THREAD
        .try_with(|thread| match thread.budget.get().checked_sub(1) {
            Some(left) => {
                thread.budget.set(left);
                true
            }
            None => false,
        })
        .unwrap_or(true)
}

/// Gives one operation back.
#[inline]
pub(crate) fn refund_budget() {
    let _ = THREAD.try_with(|thread| thread.budget.set(thread.budget.get().saturating_add(1)));
}

/// True if the budget of this poll is used up.
#[inline]
pub(crate) fn is_budget_spent() -> bool {
    THREAD.try_with(|thread| thread.budget.get() == 0).unwrap_or(false)
}

/// The runtime of the calling thread is another one while this lives.
#[derive(Debug)]
pub(crate) struct Entered {
    before: Option<Handle>,
    blocking_before: bool,
    // The thread-local must be restored on the thread that it was changed on.
    not_send: PhantomData<*const ()>,
}

/// Enters `handle`; `blocking` marks a `block_on`.
pub(crate) fn enter(handle: Handle, blocking: bool) -> Entered {
    let (before, blocking_before) = THREAD
        .try_with(|thread| {
            (thread.entered.replace(Some(handle)), thread.blocking.replace(thread.blocking.get() || blocking))
        })
        .unwrap_or((None, false));
    Entered { before, blocking_before, not_send: PhantomData }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let _ = THREAD.try_with(|thread| {
            thread.entered.set(self.before);
            thread.blocking.set(self.blocking_before);
        });
    }
}

/// Wakes all of `wakes` and leaves it empty. A waker is somebody's code: a panic in one is reported by the panic hook
/// and must not cost the others their wake.
pub(crate) fn wake_all(wakes: &mut Vec<Waker>) {
    for waker in wakes.drain(..) {
        contain(|| waker.wake());
    }
}
