//! A runtime: built, blocked on, shut down.
//!
//! # Shutdown
//!
//! Dropping a [`Runtime`], [`Runtime::shutdown`] and its relatives go through the same steps:
//!
//! 1. The root scope is closed: nothing new is admitted, a spawn returns a handle that is already cancelled.
//! 2. It is stopped: `stopping()` becomes ready everywhere below it.
//! 3. When the grace is over (at once, unless one was asked for) it is cancelled: every task is dropped at its next
//!    suspension, by the workers, which go on polling.
//!    Nine tenths of the limit after the call it is killed, by the caller, who waits: no shield holds any more, and all is
//!    dropped at its next suspension.
//! 4. The last member ends. A worker sees it and lets all of them leave.
//! 5. The last worker to leave closes the drivers and timers: sources that somebody still holds fail from now on, timers
//!    resolve at once.
//! 6. The threads are joined, and the pool goes back to the list of pools.
//!
//! The caller waits for step 6 up to its limit. What has not ended by then is a straggler: it is reported by name and
//! spawn site, and steps 4 to 6 happen in the background if it ever ends. A runtime that is dropped on one of its own
//! workers, or anywhere where it would wait for itself (inside `block_on`, in one of its own blocking jobs), does not wait:
//! steps 3 to 6 happen in the background, with the kill by a timer. [`Runtime::shutdown_background`] kills nothing: what is
//! shielded has its whole budget.

use std::fmt;
use std::future::Future;
use std::panic;
use std::pin::pin;
use std::task::{Context as TaskContext, Poll};
use std::thread;
use std::time::{Duration, Instant};

use ramus_scope::{JoinError, Member, ReasonKind, TaskCancel};

use crate::context;
use crate::error::EnterErrorKind;
use crate::metrics::Metrics;
use crate::parker::Parker;
use crate::pool::Phase;
use crate::sync::Arc;
use crate::task::JoinHandle;
use crate::tenant::Tenant;
use crate::tree::{self, Suspects};

pub use crate::builder::Builder;
pub use crate::error::EnterError;
pub use crate::handle::{EnterGuard, Handle};
pub use crate::tree::{Straggler, TreeEntry, TreeSnapshot};

/// A running scheduler with its workers. Dropping it ends all of its tasks.
///
/// ```
/// let runtime = ramus::Runtime::new()?;
/// let answer = runtime.block_on(async { ramus::spawn(async { 42 }).await });
/// assert_eq!(answer.unwrap(), 42);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Runtime {
    handle: Handle,
    tenant: Option<Arc<Tenant>>,
    threads: Vec<thread::JoinHandle<()>>,
    limit: Duration,
}

impl fmt::Debug for Runtime {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Runtime").field("handle", &self.handle).finish_non_exhaustive()
    }
}

impl Runtime {
    /// A runtime with the default settings.
    ///
    /// ```
    /// let runtime = ramus::Runtime::new()?;
    /// assert_eq!(runtime.block_on(async { 42 }), 42);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Builder::build`].
    #[track_caller]
    pub fn new() -> std::io::Result<Runtime> {
        Builder::new_multi_thread().build()
    }

    pub(crate) fn started(
        handle: Handle,
        tenant: Arc<Tenant>,
        threads: Vec<thread::JoinHandle<()>>,
        limit: Duration,
    ) -> Self {
        Self { handle, tenant: Some(tenant), threads, limit }
    }

    /// A handle on this runtime.
    ///
    /// ```
    /// let runtime = ramus::Runtime::new()?;
    /// let handle = runtime.handle();
    /// std::thread::spawn(move || handle.block_on(async {})).join().unwrap();
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn handle(&self) -> Handle {
        self.handle
    }

    /// Spawns `future` as a member of the root scope. See [`Handle::spawn`].
    ///
    /// ```
    /// let runtime = ramus::Runtime::new()?;
    /// let task = runtime.spawn(async { 1 });
    /// assert_eq!(runtime.block_on(task).unwrap(), 1);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.handle.spawn(future)
    }

    /// Runs `work` on a thread where it may block, as a member of the root scope. See [`Handle::spawn_blocking`].
    ///
    /// ```
    /// let runtime = ramus::Runtime::new()?;
    /// let job = runtime.spawn_blocking(|| 1);
    /// assert_eq!(runtime.block_on(job).unwrap(), 1);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn spawn_blocking<F, T>(&self, work: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.handle.spawn_blocking(work)
    }

    /// Runs `future` on the calling thread until it is ready. See [`Handle::block_on`].
    ///
    /// ```
    /// let runtime = ramus::Runtime::new()?;
    /// assert_eq!(runtime.block_on(async { 42 }), 42);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Panics
    ///
    /// On a worker and inside another `block_on`. A panic of `future` is passed on.
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.handle.block_on(future)
    }

    /// As [`Runtime::block_on`], with an error instead of a panic. See [`Handle::try_block_on`].
    ///
    /// ```
    /// let runtime = ramus::Runtime::new()?;
    /// assert_eq!(runtime.try_block_on(async { 42 }).unwrap(), 42);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Handle::try_block_on`].
    #[track_caller]
    pub fn try_block_on<F: Future>(&self, future: F) -> Result<F::Output, EnterError> {
        self.handle.try_block_on(future)
    }

    /// Makes this runtime the calling thread's. See [`Handle::enter`].
    ///
    /// ```
    /// let runtime = ramus::Runtime::new()?;
    /// let guard = runtime.enter();
    /// let task = ramus::spawn(async {});
    /// drop(guard);
    /// runtime.block_on(task).unwrap();
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use = "the runtime is left when the guard is dropped"]
    pub fn enter(&self) -> EnterGuard<'_> {
        self.handle.enter()
    }

    /// What the scheduler counted since the start. See [`Handle::metrics`].
    ///
    /// ```
    /// let runtime = ramus::Runtime::new()?;
    /// runtime.block_on(async { ramus::spawn(async {}).await }).unwrap();
    /// assert_eq!(runtime.metrics().tasks_spawned, 1);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn metrics(&self) -> Metrics {
        self.handle.metrics()
    }

    /// The tree of scopes and tasks as it is now. See [`Handle::tree`].
    ///
    /// ```
    /// let runtime = ramus::Runtime::new()?;
    /// print!("{}", runtime.tree());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn tree(&self) -> TreeSnapshot {
        self.handle.tree()
    }

    /// Ends the runtime: `grace` for tasks that listen to `stopping()`, then everything is cancelled; waits until
    /// `limit` after the call at most, and reports what has not ended by then.
    ///
    /// In the last tenth of the limit everything is [killed](ramus_scope::ScopeHandle::kill), so that no shield outlasts it:
    /// what is left then is code that does not come back from a poll, and blocking jobs. The report names both. A grace of
    /// more than eight tenths of the limit is cut to that.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let runtime = ramus::Runtime::new()?;
    /// let _ = runtime.spawn(std::future::pending::<()>());
    /// let report = runtime.shutdown(Duration::ZERO, Duration::from_secs(5));
    /// assert!(report.is_clean());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn shutdown(mut self, grace: Duration, limit: Duration) -> ShutdownReport {
        self.end(grace, Some(limit))
    }

    /// Cancels everything at once and waits up to `limit`; kills it in the last tenth of that. A `limit` of zero looks once
    /// whether all has ended.
    ///
    /// ```
    /// let runtime = ramus::Runtime::new()?;
    /// assert!(runtime.shutdown_timeout(std::time::Duration::from_secs(5)).is_clean());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn shutdown_timeout(self, limit: Duration) -> ShutdownReport {
        self.shutdown(Duration::ZERO, limit)
    }

    /// Cancels everything at once and returns without waiting: workers and tasks end in the background.
    ///
    /// ```
    /// ramus::Runtime::new()?.shutdown_background();
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn shutdown_background(mut self) {
        let report = self.end(Duration::ZERO, None);
        drop(report);
    }

    /// The steps of the module's text. Without a limit nobody waits.
    #[track_caller]
    fn end(&mut self, grace: Duration, limit: Option<Duration>) -> ShutdownReport {
        let Some(tenant) = self.tenant.take() else {
            return ShutdownReport::default();
        };
        let pool = self.handle.pool();
        let begun = Instant::now();
        let suspects = limit.map(|_| Suspects::of(&tenant));
        // Step 1.
        tenant.close();
        // Steps 2 and 3.
        let kill_at = limit.map(|limit| limit - limit / 10);
        // A tenth lies between the cancel and the kill, at least.
        let grace = limit.map_or(grace, |limit| grace.min(limit - limit / 5));
        tenant.root().stop(grace);
        if grace.is_zero() {
            // It may have been cancelled before, by its handle.
            tenant.root().cancel(ReasonKind::Shutdown);
        }
        // Step 4: the workers look from now on.
        pool.advance(Phase::Closing);
        let threads = std::mem::take(&mut self.threads);
        let waits_for_itself = context::is_busy() || context::is_job_of(self.handle);
        let Some((limit, kill_at)) = limit.zip(kill_at).filter(|_| !waits_for_itself) else {
            if let Some(kill_at) = kill_at {
                tenant.root().stop_then_kill(grace, kill_at - grace);
            }
            pool.leave_unattended();
            return ShutdownReport::default();
        };
        // A limit beyond the clock is no limit.
        let mut killed = Vec::new();
        let has_left = pool.wait_left(begun.checked_add(kill_at)) || {
            killed = tree::left(&tenant);
            // This thread does it: the timers are the workers', who may all be in a poll that does not come back.
            tenant.root().kill(ReasonKind::Shutdown);
            pool.wait_left(begun.checked_add(limit))
        };
        // Step 5 is the last worker's.
        if has_left {
            let stragglers = tree::unattended(&tenant);
            // Step 6.
            drop(tenant);
            for thread in threads {
                let _ = thread.join();
            }
            pool.recycle();
            return ShutdownReport { stragglers, killed, unnamed: 0, timed_out: false };
        }
        let stragglers = suspects.map_or_else(Vec::new, |suspects| suspects.stragglers(&tenant));
        killed.retain(|killed| stragglers.iter().all(|left| left.entry().id != killed.entry().id));
        let unnamed = tenant.root().live().saturating_sub(stragglers.len() as u64);
        pool.leave_unattended();
        ShutdownReport { stragglers, killed, unnamed, timed_out: true }
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        let limit = self.limit;
        let report = self.end(Duration::ZERO, Some(limit));
        if !report.is_clean() {
            eprint!("{report}");
        }
    }
}

/// What was left when the limit of a shutdown was over.
///
/// ```
/// use std::time::Duration;
///
/// let runtime = ramus::Runtime::new()?;
/// let report = runtime.shutdown_timeout(Duration::from_secs(5));
/// if !report.is_clean() {
///     for straggler in report.stragglers() {
///         eprintln!("did not end: {straggler}");
///     }
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "stragglers still run"]
pub struct ShutdownReport {
    pub(crate) stragglers: Vec<Straggler>,
    pub(crate) killed: Vec<Straggler>,
    pub(crate) unnamed: u64,
    pub(crate) timed_out: bool,
}

impl ShutdownReport {
    /// True if every task, every job and every worker has ended by itself, or nobody waited for them.
    pub fn is_clean(&self) -> bool {
        !self.timed_out && self.stragglers.is_empty() && self.killed.is_empty()
    }

    /// The tasks that ended only because a kill went through their shields, in the last tenth of the limit.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let runtime = ramus::Runtime::new()?;
    /// for task in runtime.shutdown_timeout(Duration::from_secs(5)).killed() {
    ///     eprintln!("cut in its shield: {task}");
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn killed(&self) -> &[Straggler] {
        &self.killed
    }

    /// The tasks and jobs that had not ended, as far as the tree shows them: a task that never suspended is only
    /// [counted](ShutdownReport::unnamed).
    pub fn stragglers(&self) -> &[Straggler] {
        &self.stragglers
    }

    /// About how many tasks had not ended that are not among the [stragglers](ShutdownReport::stragglers): tasks whose
    /// first poll does not come back, or that belong to other scopes. The report's text tells of them too.
    ///
    /// ```
    /// # use std::time::Duration;
    /// let runtime = ramus::Runtime::new()?;
    /// assert_eq!(runtime.shutdown_timeout(Duration::from_secs(5)).unnamed(), 0);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn unnamed(&self) -> u64 {
        self.unnamed
    }
}

impl fmt::Display for ShutdownReport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_clean() {
            return writeln!(out, "ramus: shut down, nothing is left");
        }
        let how = if self.timed_out { "shutdown timed out" } else { "shut down" };
        let left = self.stragglers.len() as u64 + self.unnamed;
        writeln!(out, "ramus: {how}, {left} left, {} killed:", self.killed.len())?;
        for killed in &self.killed {
            writeln!(out, "  killed: {killed}")?;
        }
        for straggler in &self.stragglers {
            writeln!(out, "  {straggler}")?;
        }
        if self.unnamed > 0 {
            let unnamed = self.unnamed;
            writeln!(
                out,
                "  about {unnamed} without a name here: in a first poll that does not end, or in other scopes"
            )?;
        }
        Ok(())
    }
}

/// Polls `future` on this thread, as a member of the root scope, until it is ready.
#[track_caller]
pub(crate) fn block_on<F: Future>(handle: Handle, future: F) -> Result<F::Output, EnterError> {
    if context::is_busy() {
        return Err(EnterError::new(EnterErrorKind::Nested));
    }
    if handle.pool().is_simulated() {
        return Err(EnterError::new(EnterErrorKind::Simulated));
    }
    let shut_down = EnterError::new(EnterErrorKind::ShutDown);
    let tenant = handle.tenant()?;
    let Ok(member) = tenant.root().member(future) else {
        return Err(shut_down);
    };
    // Only the scope is kept from ending by the member; the tenant is not needed for that.
    drop(tenant);
    match drive(handle, member) {
        Ok(output) => Ok(output),
        Err(error) => match error.into_panic() {
            Ok(payload) => panic::resume_unwind(payload),
            Err(_) => Err(shut_down),
        },
    }
}

/// Polls `member` on this thread until it has answered. The thread may be blocked.
pub(crate) fn drive<F: Future>(handle: Handle, member: Member<F>) -> Result<F::Output, JoinError> {
    let mut member = pin!(member);
    let _entered = context::enter(handle, true);
    let parker = Arc::new(Parker::new());
    let waker = Parker::waker(&parker);
    let mut cx = TaskContext::from_waker(&waker);
    let cancel = TaskCancel::new();
    loop {
        context::refill_budget();
        match member.as_mut().poll_task(&mut cx, &cancel) {
            Poll::Ready(answer) => return answer,
            Poll::Pending => parker.park(),
        }
    }
}
