//! `spawn` and `yield_now`.

pub(crate) mod builder;

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use ramus_scope::{Member, ReasonKind};

use crate::context;
use crate::handle::Handle;
use crate::leaf;
use crate::pool::Pool;
use crate::scope::ScopeHandle;
use crate::task::{self, JoinHandle, Schedule};
use crate::tenant;

/// Spawns `future` as a task: a member of the innermost scope of the code that is being polled, in a blocking job of the
/// job's scope, else of the runtime's root scope.
///
/// The task runs whether its handle is awaited or not. It ends with its scope at the latest: that waits for it, and cancels
/// it when the scope is cancelled. Spawned into a scope that is cancelled or closed, or after a shutdown has begun, the
/// future is dropped unpolled and the handle resolves as cancelled.
///
/// ```
/// let runtime = ramus::Runtime::new()?;
/// let sum = runtime.block_on(async {
///     let a = ramus::spawn(async { 40 });
///     let b = ramus::spawn(async { 2 });
///     a.await.unwrap() + b.await.unwrap()
/// });
/// assert_eq!(sum, 42);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Panics
///
/// Outside of a runtime. [`Handle::try_current`] tells beforehand.
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let host = Handle::current();
    match ramus_scope::spawn_current(&host, future) {
        Ok(handle) => handle,
        Err(future) => match of_job(&host) {
            Some(scope) => scope.spawn(future),
            None => host.spawn(future),
        },
    }
}

/// The scope of the blocking job that runs on this thread, if that is one of `host`'s.
fn of_job(host: &Handle) -> Option<ScopeHandle> {
    context::job().map(|job| job.scope().clone()).filter(|scope| scope.host() == host)
}

/// The scope of the code on this thread, if it is in one on `host`: what polls it, or the blocking job that it is.
pub(crate) fn ambient(host: &Handle) -> Option<ScopeHandle> {
    ScopeHandle::current().or_else(|| of_job(host))
}

/// The handle of a task that is not run, because the runtime is gone. Drops `future` here.
#[track_caller]
pub(crate) fn refused<F>(pool: &'static Pool, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    start(pool, Member::refused(ReasonKind::Shutdown.into(), future), (), First::Queued)
}

/// Where a task's first poll comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum First {
    /// From a queue.
    Queued,
    /// At once, if this is a worker of the pool that is not doing so already; else from a queue.
    Now,
}

/// Makes a task of `member` and sees to its first poll.
#[track_caller]
pub(crate) fn start<F, N>(pool: &'static Pool, member: Member<F>, name: N, first: First) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
    N: task::Name,
{
    start_from(pool, member, name, first, Location::caller())
}

/// As [`start`], for a spawn whose caller is not on the stack any more.
pub(crate) fn start_from<F, N>(
    pool: &'static Pool,
    member: Member<F>,
    name: N,
    first: First,
    site: &'static Location<'static>,
) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
    N: task::Name,
{
    let id = context::with_local(|local| match local {
        Some(local) => local.fresh_id(),
        None => tenant::outside_id(),
    });
    let is_refused = member.is_refused();
    let (runnable, handle) = task::cell(pool, member, name, site, id);
    if is_refused {
        // It is no member of anything, so no worker stays for it. Its poll only drops the future and answers.
        let ran = runnable.run(&task::Polled::new());
        debug_assert!(matches!(ran, task::Ran::Done), "a refused member answers at once");
        return handle;
    }
    pool.count_spawn();
    let queued = match first {
        First::Queued => Some(runnable),
        First::Now => context::with_local(|local| match local {
            Some(local) if local.is_of(pool) => local.poll_eagerly(runnable),
            _ => Some(runnable),
        }),
    };
    if let Some(runnable) = queued {
        pool.schedule(runnable);
    }
    handle
}

/// Lets the other tasks of this worker run, then goes on: this task goes to the end of its queue.
///
/// ```
/// let runtime = ramus::Runtime::new()?;
/// runtime.block_on(async {
///     for step in 0..3 {
///         let _ = step;
///         ramus::yield_now().await;
///     }
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Cancel safety
///
/// Cancel safe: it either completes or has no effect. It is a cancellation point:
/// in a cut frame the code is dropped here.
pub fn yield_now() -> YieldNow {
    YieldNow { yielded: false }
}

/// The future of [`yield_now`].
#[derive(Debug)]
#[must_use = "futures do nothing unless they are polled"]
pub struct YieldNow {
    yielded: bool,
}

impl Future for YieldNow {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<()> {
        let charge = std::task::ready!(leaf::poll_enter(cx));
        if self.yielded {
            charge.made_progress();
            return Poll::Ready(());
        }
        self.yielded = true;
        context::wake_polled(cx.waker());
        Poll::Pending
    }
}
