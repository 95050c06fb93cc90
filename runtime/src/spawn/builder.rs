//! Spawning with a name, or eagerly.

use std::borrow::Cow;
use std::future::Future;

use ramus_scope::{Member, Reason, Refused};

use crate::handle::Handle;
use crate::scope::ScopeHandle;
use crate::spawn::{First, ambient, refused, start};
use crate::task::JoinHandle;

/// Spawns a task that has a name in [`Handle::tree`] and in shutdown reports, or whose first poll comes at once.
///
/// ```
/// use ramus::task;
///
/// let runtime = ramus::Runtime::new()?;
/// runtime.block_on(async {
///     let named = task::Builder::new().name("refill").spawn(async {
///         task::current().and_then(|task| task.name().map(str::to_owned))
///     });
///     assert_eq!(named.await.unwrap().as_deref(), Some("refill"));
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "a builder does nothing until `spawn`"]
pub struct Builder {
    name: Option<Cow<'static, str>>,
    is_eager: bool,
}

impl Builder {
    /// A task without a name, polled from a queue.
    pub fn new() -> Builder {
        Builder::default()
    }

    /// Names the task.
    pub fn name(mut self, name: impl Into<Cow<'static, str>>) -> Builder {
        self.name = Some(name.into());
        self
    }

    /// Has the first poll come at once, on this thread, before `spawn` returns; a task that ends in it costs no queue and
    /// no wake. On a thread that is no worker, and inside another eager first poll, it comes from a queue as ever.
    ///
    /// ```
    /// let runtime = ramus::Runtime::new()?;
    /// let outer = runtime.handle().spawn(async {
    ///     let ready = ramus::task::Builder::new().eager().spawn(async { 1 });
    ///     assert!(ready.is_finished());
    /// });
    /// runtime.block_on(outer).unwrap();
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn eager(mut self) -> Builder {
        self.is_eager = true;
        self
    }

    /// Spawns `future` where [`ramus::spawn`](crate::spawn()) would.
    ///
    /// # Panics
    ///
    /// Outside of a runtime. [`Handle::try_current`] tells beforehand.
    #[track_caller]
    pub fn spawn<F>(self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let host = Handle::current();
        match ambient(&host).or_else(|| host.root()) {
            Some(scope) => self.spawn_in(&scope, future),
            None => refused(host.pool(), future),
        }
    }

    /// Spawns `future` as a child of `scope`. Refused by a scope that is cancelled or has ended, it is dropped unpolled and
    /// the handle answers so.
    #[track_caller]
    pub fn spawn_in<F>(self, scope: &ScopeHandle, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        if scope.task_limit().is_none() {
            return self.start(scope, member(scope.member(future)));
        }
        match scope.member_in_line(future) {
            Ok(member) => self.start(scope, member),
            Err(refused) => self.start(scope, member(Err(refused))),
        }
    }

    #[track_caller]
    fn start<F>(self, scope: &ScopeHandle, member: Member<F>) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let pool = scope.host().pool();
        let first = if self.is_eager { First::Now } else { First::Queued };
        match self.name {
            Some(name) => start(pool, member, name, first),
            None => start(pool, member, (), first),
        }
    }
}

/// A refused future becomes a member that only answers so.
pub(crate) fn member<F>(admitted: Result<Member<F>, Refused<F>>) -> Member<F> {
    admitted.unwrap_or_else(|refused| {
        let reason = refused.reason().cloned().unwrap_or_else(|| Reason::from("the scope has ended"));
        Member::refused(reason, refused.into_inner())
    })
}
