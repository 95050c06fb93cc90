//! Which runtime, if any, the calling thread works for: the only thread-local of this crate.
//!
//! Three kinds of threads have something in here: a worker (its queue, for good), a thread inside `block_on`, and a
//! thread that entered a [`Handle`]. In the destructors of thread-locals nothing is left in here: every function then
//! answers as on a thread that never saw a runtime, and wakes go through the inbox.

use std::cell::{Cell, OnceCell, RefCell};
use std::io;
use std::marker::PhantomData;
use std::task::Waker;
use std::time::{Duration, Instant};

use ramus_scope::Wakes;
use ramus_timer::Timer;

use crate::blocking::BlockingScope;
use crate::driver::Driver;
use crate::error::{EnterError, EnterErrorKind};
use crate::handle::Handle;
use crate::leaf::BUDGET;
use crate::pool::Pool;
use crate::sync::{Arc, tls};
use crate::task::contain::contain;
use crate::task::{Id, Polled, Ran, Runnable, TaskInfo, is_of};
use crate::worker::Local;

/// How far ahead a deadline is that need not be compared with the clock when it is registered.
const FAR: Duration = Duration::from_secs(1);

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
    /// Which task this thread polls, if it is no worker: a simulation.
    polled: Polled,
    /// Somebody wants to know which handles are waited for.
    notes_joins: Cell<bool>,
    joins: RefCell<Vec<Join>>,
}

/// A handle was polled and its task had not ended.
#[allow(dead_code, reason = "read by simulations")]
pub(crate) struct Join {
    /// The task that is waited for.
    pub(crate) joined: Id,
    /// Whom its end wakes.
    pub(crate) joiner: Waker,
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
        polled: Polled::new(),
        notes_joins: Cell::new(false),
        joins: RefCell::new(Vec::new()),
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

/// While this lives, what is woken on this thread are cancelled tasks.
pub(crate) struct Cancelling {
    before: bool,
}

/// From here on the wakes of this thread are of cancelled tasks. No closure runs inside: it would hide who called.
pub(crate) fn cancelling() -> Cancelling {
    Cancelling { before: mark_cancelling(true) }
}

impl Drop for Cancelling {
    fn drop(&mut self) {
        mark_cancelling(self.before);
    }
}

fn mark_cancelling(on: bool) -> bool {
    THREAD.try_with(|thread| thread.cancelling.replace(on)).unwrap_or(false)
}

/// Few wakes are not worth a batch.
const MANY: usize = 16;

/// Wakes what a cancel has reached in a scope of `pool`: many at once lie in a batch until workers come for them.
pub(crate) fn wake_cancelled(pool: &'static Pool, wakes: Wakes) {
    if wakes.len() < MANY || pool.is_simulated() {
        let _mark = cancelling();
        drop(wakes);
        return;
    }
    let mut wakers = wakes.into_wakers();
    // Those of another runtime's tasks as well go at once: this one's workers may be stuck, or have left.
    let is_ours = |waker: &Waker| is_of(waker, pool);
    if !wakers.iter().all(is_ours) {
        let (ours, mut others) = wakers.into_iter().partition(is_ours);
        let mark = cancelling();
        wake_all(&mut others);
        drop(mark);
        wakers = ours;
    }
    pool.push_cut(wakers);
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

/// What time it is in the calling thread's runtime; the system's time outside of one.
#[inline]
pub(crate) fn now() -> Instant {
    match THREAD.try_with(|thread| thread.entered.get()) {
        Ok(Some(handle)) => handle.pool().clock().now(),
        _ => Instant::now(),
    }
}

/// Wakes `waker`, mostly that of the task that is being polled here: it goes behind the others.
#[inline]
pub(crate) fn wake_polled(waker: &Waker) {
    if !with_local(|local| local.is_some_and(|local| local.polled().wake_own(waker))) {
        waker.wake_by_ref();
    }
}

/// True if `waker` is that of the task that is being polled here, which is polled again whatever comes of this poll.
#[inline]
pub(crate) fn is_polled_again(waker: &Waker) -> bool {
    with_local(|local| local.is_some_and(|local| local.polled().is_again(waker)))
}

/// True if `deadline` was more than a second ahead at this worker's last look at the clock, so that another look is not
/// worth its price. A worker that has not looked for so long is stuck in a poll, and its deadlines are late anyway.
#[inline]
pub(crate) fn lies_far_ahead(deadline: Instant) -> bool {
    let Some(near) = deadline.checked_sub(FAR) else { return false };
    with_local(|local| local.is_some_and(|local| near > local.last_look()))
}

/// The task that the calling thread polls, at `now_ms` of the clock that ids are born by.
pub(crate) fn polled_task(now_ms: u64) -> Option<TaskInfo> {
    let look = |thread: &Thread| match thread.local.get() {
        Some(local) => local.polled().info(now_ms),
        None => thread.polled.info(now_ms),
    };
    THREAD.try_with(look).ok().flatten()
}

/// Polls the task of `runnable` on a thread that is no worker.
#[allow(dead_code, reason = "only a simulation does; a feature adds its module and changes nothing here")]
pub(crate) fn poll_task(runnable: Runnable) -> Ran {
    let mut runnable = Some(runnable);
    let ran = THREAD.try_with(|thread| runnable.take().map(|runnable| runnable.run(&thread.polled)));
    match (ran, runnable) {
        (Ok(Some(ran)), _) => ran,
        (_, Some(runnable)) => runnable.run(&Polled::new()),
        _ => unreachable!("the runnable is taken only where what became of it is returned"),
    }
}

/// From now on, or no longer, the handles that are waited for on this thread are noted.
#[allow(dead_code, reason = "as above")]
pub(crate) fn note_joins(on: bool) {
    let _ = THREAD.try_with(|thread| thread.notes_joins.set(on));
}

/// The handles that were waited for since the last call.
#[allow(dead_code, reason = "as above")]
pub(crate) fn take_joins() -> Vec<Join> {
    THREAD.try_with(|thread| thread.joins.take()).unwrap_or_default()
}

/// A handle was polled and has to wait: for whoever asked to be told of it on this thread.
pub(crate) fn note_join(joined: Id, joiner: &Waker) {
    if THREAD.try_with(|thread| thread.notes_joins.get()).unwrap_or(false) {
        // A waker's clone is somebody's code: not while the list is borrowed.
        let join = Join { joined, joiner: joiner.clone() };
        let _ = THREAD.try_with(|thread| thread.joins.borrow_mut().push(join));
    }
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
            None => {
                // Nobody says where a poll of another executor begins: what has no budget left is suspended once.
                if !(thread.blocking.get() || thread.local.get().is_some()) {
                    thread.budget.set(BUDGET);
                }
                false
            }
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
