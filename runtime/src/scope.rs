//! Scopes: every task has one, and a scope ends when all in it has ended and been dropped.
//!
//! The types and functions are those of the crate `ramus-scope`, with this runtime filled in. What a program names most is in
//! the root of the crate too; the futures that the functions return are named here only.
//!
//! | for | there is |
//! |---|---|
//! | opening one | [`scope()`]; with a name, a deadline, a limit, values: [`Scope::builder`] |
//! | for threads, with children that borrow | [`blocking::scope`](crate::blocking::scope()) |
//! | children | [`spawn_try`](ramus_scope::Scope::spawn_try) for a `Result`, [`spawn`](ramus_scope::ScopeHandle::spawn) for any output, [`offer`](ramus_scope::ScopeHandle::offer), [`spawn_blocking`](ramus_scope::ScopeHandle::spawn_blocking) |
//! | children that say when they are ready | [`start`](ramus_scope::Scope::start), [`Ready`] |
//! | back-pressure | [`task_limit`](ScopeBuilder::task_limit), [`spawn_when_free`](ramus_scope::ScopeHandle::spawn_when_free) |
//! | asking it to end | [`stop`](ramus_scope::ScopeHandle::stop) (soft, then hard), [`stop_on`](ramus_scope::ScopeHandle::stop_on), [`cancel`](ramus_scope::ScopeHandle::cancel), [`kill`](ramus_scope::ScopeHandle::kill), [`set_deadline`](ramus_scope::ScopeHandle::set_deadline) |
//! | hearing of it | [`stopping`](ramus_scope::ScopeHandle::stopping), [`cancelled`](ramus_scope::ScopeHandle::cancelled), [`on_cancel`](ramus_scope::ScopeHandle::on_cancel), [`reason`](ramus_scope::ScopeHandle::reason); in loops [`is_cancelled`](crate::is_cancelled) |
//! | code that must run | [`shield()`], [`defer`](ramus_scope::ScopeHandle::defer), [`run_until_cancelled`], [`start_guaranteed`](ramus_scope::ScopeHandle::start_guaranteed) |
//! | what everything below can look up | [`ScopeValue`], [`scope_value`] |
//! | how it ended | [`ScopeError`], [`JoinError`], [`Reason`] and its [path](ScopePath) |
//! | what is nobody's result | [`set_report_hook`], [`Report`] |
//!
//! [`Scope<E>`](Scope) knows the error type of its children and derefs to [`ScopeHandle`], which has the rest. The parameter of
//! a body has to be annotated with it, `|s: Scope|` or `|s: Scope<io::Error>|`: else the compiler asks for type annotations,
//! because a body may run on any host. Libraries take `&ScopeHandle`. The rules by number are in the repository's `docs/contract.md`.

use std::future::Future;
use std::panic::Location;
use std::task::Waker;
use std::time::{Duration, Instant};

use ramus_scope::{Host, Member, Wakes};
use ramus_timer::{Alarm, Timer, later};

use crate::context;
use crate::handle::Handle;
use crate::spawn::{self, First};
use crate::task::JoinHandle;

pub use ramus_scope::{
    BoxError, Cancelled, DeadlineError, JoinError, LaterReasons, OnCancel, PathScope, Reason, ReasonKind, Refused,
    ScopeError, ScopePath,
};
pub use ramus_scope::{
    Membership, Outcome, Resume, RunUntilCancelled, ScopeFuture, Shield, SpawnTryWhenFree, SpawnWhenFree, Start,
    WaitCancelled, WaitStopping,
};
pub use ramus_scope::{Ready, ReadyError, Report, ReportKind, StartError};
pub use ramus_scope::{ScopeValue, TreeKind, TreeRow, current_value as scope_value};
pub use ramus_scope::{reset_report_hook, run_until_cancelled, set_report_hook, shield, shield_unbounded};

/// Opens a scope, runs a body in it, and waits until everything spawned into it has ended and been dropped.
///
/// The host `H` below is [`Handle`] on this runtime; [`Scope`] is the type to annotate the body's parameter with.
///
/// ```
/// use std::io;
///
/// use ramus::{Scope, scope};
///
/// # async fn fetch(part: u32) -> io::Result<u32> { Ok(part) }
/// # ramus::Runtime::new()?.block_on(async {
/// let both = scope(|s: Scope<io::Error>| async move {
///     let (one, two) = (s.spawn_try(fetch(1)), s.spawn_try(fetch(2)));
///     // Where one fails, the scope answers with its error, and the code here ends at an await.
///     Ok((one.await?, two.await?))
/// });
/// assert_eq!(both.await?, (1, 2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// In full, for any host:
///
pub use ramus_scope::scope;

/// How a scope is opened: name, deadline, failure policy, task limit, values. Also made by [`Scope::builder`].
pub use ramus_scope::Builder as ScopeBuilder;

/// A scope of this runtime, as its body sees it. See [`scope()`].
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

    fn wake_cancelled(&self, wakes: Wakes) {
        context::wake_cancelled(self.pool(), wakes);
    }
}
