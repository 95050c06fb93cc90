//! What a scope needs from the executor it runs on.

use std::any::Any;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::Waker;
use std::time::{Duration, Instant};

use crate::handle::ScopeHandle;
use crate::member::Member;
use crate::reason::Reason;
use crate::sync::Arc;
use crate::walk;

/// An executor that scopes run on: it can spawn a task and call a waker later.
///
/// The whole border between scopes and a runtime. See `examples/scope_on_tokio` for tokio's, in about 40 lines.
///
/// ```
/// use std::future::Future;
/// use std::task::Waker;
/// use std::time::{Duration, Instant};
/// use ramus_scope::{Host, JoinError, Member};
///
/// #[derive(Clone)]
/// struct Tokio(tokio::runtime::Handle);
///
/// /// Aborts the timer's task when it is dropped.
/// struct Alarm(tokio::task::AbortHandle);
///
/// impl Drop for Alarm {
///     fn drop(&mut self) {
///         self.0.abort();
///     }
/// }
///
/// impl Host for Tokio {
///     type JoinHandle<T: Send + 'static> = tokio::task::JoinHandle<Result<T, JoinError>>;
///     type Alarm = Alarm;
///
///     fn current() -> Option<Tokio> {
///         tokio::runtime::Handle::try_current().ok().map(Tokio)
///     }
///
///     fn spawn<F>(&self, member: Member<F>) -> Self::JoinHandle<F::Output>
///     where
///         F: Future + Send + 'static,
///         F::Output: Send + 'static,
///     {
///         self.0.spawn(member.into_future())
///     }
///
///     fn wake_after(&self, after: Duration, waker: Waker) -> Alarm {
///         let task = self.0.spawn(async move {
///             tokio::time::sleep(after).await;
///             waker.wake();
///         });
///         Alarm(task.abort_handle())
///     }
///
///     fn wake_at(&self, at: Instant, waker: Waker) -> Alarm {
///         self.wake_after(at.saturating_duration_since(Instant::now()), waker)
///     }
/// }
///
/// # fn main() {
/// let runtime = tokio::runtime::Builder::new_multi_thread().enable_time().build().unwrap();
/// let sum = runtime.block_on(async {
///     ramus_scope::scope(|s: ramus_scope::Scope<Tokio>| async move {
///         let a = s.spawn(async { 40 });
///         let b = s.spawn(async { 2 });
///         Ok(a.await?? + b.await??)
///     })
///     .await
/// });
/// assert_eq!(sum.unwrap(), 42);
/// # }
/// ```
pub trait Host: Clone + Send + Sync + 'static {
    /// What `spawn` returns.
    type JoinHandle<T: Send + 'static>;

    /// An armed waker; dropping it disarms it.
    type Alarm: Send + 'static;

    /// The host of the calling thread, if it belongs to one.
    fn current() -> Option<Self>;

    /// Runs `member` as a task, until it ends: dropping the handle must not end it. The scope crate drops the handles of
    /// tasks of its own.
    #[track_caller]
    fn spawn<F>(&self, member: Member<F>) -> Self::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static;

    /// Runs `member` as a task whose first poll comes before this returns, where the host can do that. By default it spawns.
    #[track_caller]
    fn spawn_eager<F>(&self, member: Member<F>) -> Self::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.spawn(member)
    }

    /// Runs `member` as a task that was spawned at `site`, where the host keeps such places: for spawns that come after a
    /// wait, whose caller is not on the stack any more. By default it spawns.
    fn spawn_from<F>(&self, member: Member<F>, site: &'static Location<'static>) -> Self::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let _ = site;
        self.spawn(member)
    }

    /// The outermost scope of this executor, if it has one: a [`Root`](crate::Root) made on it is opened below that, and so
    /// ends with the executor. By default there is none.
    ///
    /// # Errors
    ///
    /// Why there is none any more: the executor has ended. A root made on it admits nothing.
    fn outermost(&self) -> Result<Option<ScopeHandle<Self>>, Reason> {
        Ok(None)
    }

    /// Calls `waker` once `after` has passed. May be called from any thread.
    fn wake_after(&self, after: Duration, waker: Waker) -> Self::Alarm;

    /// Calls `waker` once the time is `at`. May be called from any thread.
    fn wake_at(&self, at: Instant, waker: Waker) -> Self::Alarm;

    /// Wakes what a cancel has reached. A host that runs cancelled tasks before others, or drops many of them at once, sees
    /// here that they are such. May be called from any thread, with locks of its caller held: it must not poll. By default
    /// it only wakes.
    fn wake_cancelled(&self, wakes: Wakes) {
        drop(wakes);
    }
}

/// The wakers of what a cancel has reached. Those that nobody has taken out are woken when it is dropped; a panic of one is
/// reported by the panic hook, and costs the others nothing.
pub struct Wakes(Vec<Waker>);

impl Wakes {
    pub(crate) fn new(wakers: Vec<Waker>) -> Wakes {
        Wakes(wakers)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The wakers. The caller wakes each of them, sooner or later.
    ///
    /// ```
    /// # fn example(wakes: ramus_scope::Wakes) {
    /// for waker in wakes.into_wakers() {
    ///     waker.wake();
    /// }
    /// # }
    /// ```
    pub fn into_wakers(mut self) -> Vec<Waker> {
        std::mem::take(&mut self.0)
    }
}

impl Drop for Wakes {
    fn drop(&mut self) {
        walk::wake(self.0.drain(..));
    }
}

impl std::fmt::Debug for Wakes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Wakes").field(&self.0.len()).finish()
    }
}

/// A future of the crate's own that a host runs as a task.
pub(crate) type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// An alarm of any host.
pub(crate) type AnyAlarm = Box<dyn Any + Send>;

/// A host without its type; the root of a tree keeps it for all below.
pub(crate) trait AnyHost: Send + Sync {
    fn wake_after(&self, after: Duration, waker: Waker) -> AnyAlarm;
    fn wake_at(&self, at: Instant, waker: Waker) -> AnyAlarm;
    fn wake_cancelled(&self, wakes: Wakes);
    /// Spawns `member` and drops its handle.
    fn run(&self, member: Member<Work>);
}

impl AnyHost for Arc<dyn AnyHost> {
    fn wake_after(&self, after: Duration, waker: Waker) -> AnyAlarm {
        (**self).wake_after(after, waker)
    }

    fn wake_at(&self, at: Instant, waker: Waker) -> AnyAlarm {
        (**self).wake_at(at, waker)
    }

    fn wake_cancelled(&self, wakes: Wakes) {
        (**self).wake_cancelled(wakes);
    }

    fn run(&self, member: Member<Work>) {
        (**self).run(member);
    }
}

impl<H: Host> AnyHost for H {
    fn wake_after(&self, after: Duration, waker: Waker) -> AnyAlarm {
        Box::new(Host::wake_after(self, after, waker))
    }

    fn wake_at(&self, at: Instant, waker: Waker) -> AnyAlarm {
        Box::new(Host::wake_at(self, at, waker))
    }

    fn wake_cancelled(&self, wakes: Wakes) {
        Host::wake_cancelled(self, wakes);
    }

    fn run(&self, member: Member<Work>) {
        drop(self.spawn(member));
    }
}
