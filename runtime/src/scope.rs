//! Scopes on this runtime: the host behind `ramus-scope`, and its types with the host filled in.

use std::future::Future;
use std::panic::Location;
use std::task::Waker;
use std::time::{Duration, Instant};

use ramus_scope::{Host, Member};
use ramus_timer::{Alarm, Timer, later};

use crate::context;
use crate::handle::Handle;
use crate::spawn::{self, First};
use crate::task::JoinHandle;

pub use ramus_scope::{
    BoxError, Cancelled, DeadlineError, JoinError, LaterReasons, OnCancel, PathScope, Reason, ReasonKind, Refused,
    ScopeError, ScopePath,
};
pub use ramus_scope::{Ready, ReadyError, Report, ReportKind, StartError};
pub use ramus_scope::{ScopeValue, TreeKind, TreeRow, current_value as scope_value};
pub use ramus_scope::{reset_report_hook, run_until_cancelled, scope, set_report_hook, shield, shield_unbounded};

/// How a scope is opened: name, deadline, failure policy, task limit, values. Also made by [`Scope::builder`].
pub use ramus_scope::Builder as ScopeBuilder;

/// A scope of this runtime, as its body sees it. See [`scope`].
pub type Scope<E = BoxError> = ramus_scope::Scope<Handle, E>;

/// Reaches a scope of this runtime from anywhere.
pub type ScopeHandle = ramus_scope::ScopeHandle<Handle>;

impl Handle {
    /// The timer for a deadline set on this thread: its own worker's, if that is one of this runtime.
    fn timer(&self) -> Option<Timer> {
        let own = context::with_local(|local| {
            local.filter(|local| local.is_of(self.pool())).map(|local| local.timer().clone())
        });
        own.or_else(|| self.seat(context::next_turn()).ok().map(|seat| seat.timer))
    }
}

impl Host for Handle {
    type JoinHandle<T: Send + 'static> = JoinHandle<T>;
    /// None: the waker was called at once, because the time has come, or because the runtime is gone.
    type Alarm = Option<Alarm>;

    /// Only where the runtime polls: a scope that somebody else's executor polls, on a thread that has merely entered the
    /// runtime, would be below no root, and nobody would end it with the runtime.
    fn current() -> Option<Handle> {
        context::polling()
    }

    #[track_caller]
    fn spawn<F>(&self, member: Member<F>) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        spawn::start(self.pool(), member, (), First::Queued)
    }

    #[track_caller]
    fn spawn_eager<F>(&self, member: Member<F>) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        spawn::start(self.pool(), member, (), First::Now)
    }

    fn spawn_from<F>(&self, member: Member<F>, site: &'static Location<'static>) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        spawn::start_from(self.pool(), member, (), First::Queued, site)
    }

    fn outermost(&self) -> Result<Option<ScopeHandle>, Reason> {
        match self.root() {
            Some(root) => Ok(Some(root)),
            None => Err(ReasonKind::Shutdown.into()),
        }
    }

    fn wake_after(&self, after: Duration, waker: Waker) -> Option<Alarm> {
        self.wake_at(later(self.pool().clock().now(), after), waker)
    }

    fn wake_at(&self, at: Instant, waker: Waker) -> Option<Alarm> {
        match self.timer() {
            // The timer counts in ticks, and would see only later that this one has passed.
            Some(timer) if timer.now() < at => Some(timer.alarm(at, waker)),
            Some(_) | None => {
                waker.wake();
                None
            }
        }
    }

    fn wake_cancelled(wake_next: &mut dyn FnMut() -> bool) {
        context::while_cancelling(|| while wake_next() {});
    }
}
