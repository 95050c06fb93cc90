//! Handles of a scope: what the body and the children hold.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::time::{Duration, Instant};

use crate::admit::{catch_up, ended, member_of, seat};
use crate::error::Refused;
use crate::frame::Frame;
use crate::host::Host;
use crate::limit::{Limited, member_in_line};
use crate::member::Member;
use crate::membership::Membership;
use crate::raw;
use crate::reason::Reason;
use crate::sync::Arc;
use crate::tree::Node;
use crate::wait::{WaitCancelled, WaitStopping};
use crate::walk;
use crate::watch::Watcher;

/// A handle of a scope without its error type: everything but [`Scope::spawn_try`](crate::Scope::spawn_try). Libraries
/// take `&ScopeHandle`.
///
/// Handles are cheap to clone and may outlive the scope: nothing can be spawned then, and a cancel has no effect.
///
/// ```
/// use ramus_scope::{Host, ScopeHandle};
///
/// /// A library takes a handle: it can spawn, and it sees when it should finish.
/// fn start_cleaner<H: Host>(s: &ScopeHandle<H>) {
///     let stop = s.stopping();
///     let _cleaner = s.spawn(async move {
///         stop.await;
///         // ... tidy up; the scope waits for it.
///     });
/// }
/// ```
pub struct ScopeHandle<H> {
    node: Arc<Node>,
    host: H,
}

impl<H> ScopeHandle<H> {
    pub(crate) fn node(&self) -> &Arc<Node> {
        &self.node
    }
}

impl<H: Clone> Clone for ScopeHandle<H> {
    fn clone(&self) -> Self {
        ScopeHandle { node: Arc::clone(&self.node), host: self.host.clone() }
    }
}

impl<H: Host> ScopeHandle<H> {
    pub(crate) fn new(node: Arc<Node>, host: H) -> ScopeHandle<H> {
        ScopeHandle { node, host }
    }

    /// The innermost scope of the code that is being polled on this thread, on the host of this thread.
    ///
    /// ```
    /// # use ramus_scope::{Host, ScopeHandle};
    /// # fn example<H: Host>() {
    /// match ScopeHandle::<H>::current() {
    ///     Some(scope) => println!("in {:?}", scope.name()),
    ///     None => println!("outside of any scope"),
    /// }
    /// # }
    /// ```
    pub fn current() -> Option<ScopeHandle<H>> {
        let (node, _) = raw::current(|frame| frame.and_then(Frame::scope))?;
        Some(ScopeHandle::new(node, H::current()?))
    }

    /// The executor that this scope spawns on.
    ///
    /// ```
    /// # fn example<H: ramus_scope::Host>(s: &ramus_scope::ScopeHandle<H>) {
    /// let host: &H = s.host();
    /// # let _ = host;
    /// # }
    /// ```
    pub fn host(&self) -> &H {
        &self.host
    }

    /// Spawns a child. Its output is for its handle; a panic fails the scope.
    ///
    /// If the scope is cancelled or has ended, the future is dropped unpolled and the handle answers "cancelled". Use
    /// [`spawn_try`](crate::Scope::spawn_try) for what returns a `Result`: an error in a handle that nobody awaits is lost.
    ///
    /// ```
    /// # fn example<H: ramus_scope::Host>(s: &ramus_scope::ScopeHandle<H>) {
    /// let _handle = s.spawn(async { 40 + 2 });
    /// # }
    /// ```
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> H::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        match self.node.limit() {
            None => self.host.spawn(member_of(&self.node, future)),
            Some(limit) => self.host.spawn(member_in_line(&self.node, limit, future)),
        }
    }

    /// As [`spawn`](ScopeHandle::spawn), but the child's first poll comes at once, on this thread, where the host can do
    /// that. A child that mostly ends in its first poll then costs no queue and no wake: its handle is ready when this
    /// returns. It is what asyncio calls an eager task.
    #[track_caller]
    pub fn spawn_eager<F>(&self, future: F) -> H::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        match self.node.limit() {
            None => self.host.spawn_eager(member_of(&self.node, future)),
            Some(limit) => self.host.spawn_eager(member_in_line(&self.node, limit, future)),
        }
    }

    /// As [`spawn`](ScopeHandle::spawn), but a cancel that arrives before the child's first poll does not keep it from
    /// that poll: it runs up to its first suspension, and is cut there. For a child that takes over something that it has
    /// to give back.
    ///
    /// Into a scope that is cancelled already it is refused as by `spawn`. In a scope with a task limit that holds for a
    /// child that has its slot; one that stands in line for a slot was not started.
    ///
    /// ```
    /// # struct Permit;
    /// # impl Permit { fn give_back(self) {} }
    /// # async fn work() {}
    /// # fn example<H: ramus_scope::Host>(s: &ramus_scope::ScopeHandle<H>, permit: Permit) {
    /// let _handle = s.start_guaranteed(async move {
    ///     let result = ramus_scope::run_until_cancelled(work()).await;
    ///     permit.give_back();
    ///     if let Err(cancelled) = result {
    ///         cancelled.resume().await
    ///     }
    /// });
    /// # }
    /// ```
    #[track_caller]
    pub fn start_guaranteed<F>(&self, future: F) -> H::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        match self.node.limit() {
            None => self.host.spawn(member_of(&self.node, future).guaranteed()),
            Some(limit) => self.host.spawn(member_in_line(&self.node, limit, future).guaranteed()),
        }
    }

    /// Spawns a child, or hands the future back.
    ///
    /// ```
    /// # fn example<H: ramus_scope::Host>(s: &ramus_scope::ScopeHandle<H>) {
    /// match s.offer(async { 40 + 2 }) {
    ///     Ok(_handle) => {}
    ///     Err(refused) => eprintln!("{refused}"),
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Refused`] with the future, unpolled, if the scope is cancelled or has ended, or if it has as many running children as
    /// its [task limit](crate::Builder::task_limit) allows ([`Refused::is_full`]).
    #[track_caller]
    pub fn offer<F>(&self, future: F) -> Result<H::JoinHandle<F::Output>, Refused<F>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        match seat(&self.node) {
            Ok(seat) => match self.node.limit() {
                None => Ok(self.host.spawn(Member::new(seat, future))),
                Some(limit) => match limit.try_enter() {
                    Some(slot) => Ok(self.host.spawn(Member::new(seat, Limited::new(Some(slot), future)))),
                    None => Err(Refused::full(future)),
                },
            },
            Err(reason) => Err(Refused::new(future, reason)),
        }
    }

    /// Admits `future` as a member that the caller polls itself ([`Member::poll_task`]): what a `block_on` runs. A
    /// [task limit](crate::Builder::task_limit) does not hold for it; see
    /// [`member_in_line`](ScopeHandle::member_in_line).
    ///
    /// ```
    /// # fn example<H: ramus_scope::Host>(s: &ramus_scope::ScopeHandle<H>) {
    /// if let Ok(member) = s.member(async { 40 + 2 }) {
    ///     // To be polled by `Member::poll_task`, or as a future:
    ///     let _future = member.into_future();
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Refused`] with the future, unpolled, if the scope is cancelled or has ended.
    pub fn member<F: Future>(&self, future: F) -> Result<Member<F>, Refused<F>> {
        match seat(&self.node) {
            Ok(seat) => Ok(Member::new(seat, future)),
            Err(reason) => Err(Refused::new(future, reason)),
        }
    }

    /// Admits a member that is no future: a job on a thread of its own.
    ///
    /// ```
    /// # fn example<H: ramus_scope::Host>(s: &ramus_scope::ScopeHandle<H>) {
    /// if let Ok(membership) = s.admit() {
    ///     std::thread::spawn(move || {
    ///         // ... work that the scope waits for ...
    ///         drop(membership);
    ///     });
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The reason, if the scope is cancelled or has ended.
    pub fn admit(&self) -> Result<Membership, Reason> {
        match seat(&self.node) {
            Ok(seat) => Ok(Membership::new(seat)),
            Err(reason) => Err(reason.unwrap_or_else(ended)),
        }
    }

    /// Cancels the scope and everything below it that is not shielded. When this returns, all of it reports so; its
    /// futures are dropped at their suspensions, before the scope's `.await` ends.
    ///
    /// `true` if this was the first cancel; `false` if the scope was cancelled before or has ended. May be called from
    /// any thread.
    ///
    /// ```
    /// # fn example<H: ramus_scope::Host>(s: &ramus_scope::ScopeHandle<H>) {
    /// use ramus_scope::ReasonKind;
    ///
    /// s.cancel("the user pressed escape");
    /// // The first reason stays.
    /// s.cancel(ReasonKind::Shutdown);
    /// # }
    /// ```
    #[track_caller]
    pub fn cancel(&self, reason: impl Into<Reason>) -> bool {
        catch_up(&self.node);
        let reason = reason.into().at(Location::caller(), Some(&self.node));
        walk::cancel(&self.node, reason)
    }

    /// Asks the scope and everything below to finish soon; cancels it after `grace`.
    ///
    /// [`stopping`](ScopeHandle::stopping) becomes ready; nothing is refused or dropped before the grace is over. The shortest
    /// grace counts, of several stops as of the scopes above. `false` if the scope is cancelled or has ended.
    ///
    /// ```
    /// # fn example<H: ramus_scope::Host>(s: &ramus_scope::ScopeHandle<H>) {
    /// use std::time::Duration;
    ///
    /// s.stop(Duration::from_secs(10));
    /// # }
    /// ```
    #[track_caller]
    pub fn stop(&self, grace: Duration) -> bool {
        catch_up(&self.node);
        self.node.stop(grace, None, Location::caller())
    }

    /// Calls [`stop`](ScopeHandle::stop) when `signal` is ready. The signal is polled by the scope's own future: it does
    /// not keep the scope open, and it is dropped when the scope ends.
    ///
    /// ```
    /// # fn example<H: ramus_scope::Host>(s: &ramus_scope::ScopeHandle<H>) {
    /// use std::time::Duration;
    /// # async fn ctrl_c() {}
    ///
    /// s.stop_on(ctrl_c(), Duration::from_secs(10));
    /// # }
    /// ```
    pub fn stop_on<S>(&self, signal: S, grace: Duration)
    where
        S: Future + Send + 'static,
    {
        let signal = Box::pin(async move {
            let _ = signal.await;
        });
        let mut links = self.node.links.lock();
        let surplus = if links.ended {
            Some(signal)
        } else {
            links.watchers.push(Watcher { signal, grace });
            self.node.state.mark_watched();
            None
        };
        drop(links);
        drop(surplus);
        walk::nudge(&self.node);
    }

    /// Is the scope cancelled, by itself or by a scope above it whose cancel no shield stops?
    ///
    /// ```
    /// # fn example<H: ramus_scope::Host>(s: &ramus_scope::ScopeHandle<H>) {
    /// while !s.is_cancelled() {
    ///     // ... a round of work on a thread of its own ...
    /// #   break;
    /// }
    /// # }
    /// ```
    pub fn is_cancelled(&self) -> bool {
        if !self.node.is_cancelled() {
            catch_up(&self.node);
        }
        self.node.is_cancelled()
    }

    /// Ready when the scope is cancelled. For code that a cancel does not cut: shielded code, other scopes, other threads.
    ///
    /// ```
    /// # async fn example<H: ramus_scope::Host>(s: &ramus_scope::ScopeHandle<H>) {
    /// s.cancelled().await;
    /// eprintln!("{:?}", s.reason());
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it only observes, and a cut or dropped wait has no effect.
    pub fn cancelled(&self) -> WaitCancelled {
        WaitCancelled::new(&self.node)
    }

    /// Is the scope, or one above it, asked to finish soon (or cancelled)?
    ///
    /// ```
    /// # fn example<H: ramus_scope::Host>(s: &ramus_scope::ScopeHandle<H>) {
    /// if s.is_stopping() {
    ///     eprintln!("no new work");
    /// }
    /// # }
    /// ```
    pub fn is_stopping(&self) -> bool {
        self.node.is_stopping()
    }

    /// Ready when the scope is asked to finish soon, or cancelled.
    ///
    /// ```
    /// # async fn example<H: ramus_scope::Host>(s: &ramus_scope::ScopeHandle<H>) {
    /// s.stopping().await;
    /// // ... finish what is under way ...
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it only observes, and a cut or dropped wait has no effect.
    pub fn stopping(&self) -> WaitStopping {
        WaitStopping::new(&self.node)
    }

    /// Why the scope was first cancelled.
    ///
    /// ```
    /// # fn example<H: ramus_scope::Host>(s: &ramus_scope::ScopeHandle<H>) {
    /// if let Some(reason) = s.reason() {
    ///     eprintln!("{reason}");
    /// }
    /// # }
    /// ```
    pub fn reason(&self) -> Option<Reason> {
        self.node.reason_here_or_above()
    }

    /// The effective deadline: the earliest of the scope's own and those above it, up to a shield.
    ///
    /// ```
    /// # fn example<H: ramus_scope::Host>(s: &ramus_scope::ScopeHandle<H>) {
    /// use std::time::Instant;
    ///
    /// let left = s.deadline().map(|at| at.saturating_duration_since(Instant::now()));
    /// # let _ = left;
    /// # }
    /// ```
    pub fn deadline(&self) -> Option<Instant> {
        self.node.deadline()
    }

    /// The scope's name.
    ///
    /// ```
    /// # fn example<H: ramus_scope::Host>(s: &ramus_scope::ScopeHandle<H>) {
    /// println!("{}", s.name().unwrap_or("nameless"));
    /// # }
    /// ```
    pub fn name(&self) -> Option<&str> {
        self.node.name.as_deref()
    }

    /// How many members are alive; an estimate while others spawn and end.
    ///
    /// ```
    /// # fn example<H: ramus_scope::Host>(s: &ramus_scope::ScopeHandle<H>) {
    /// println!("{} members", s.live());
    /// # }
    /// ```
    pub fn live(&self) -> u64 {
        self.node.live()
    }
}

impl<H> fmt::Debug for ScopeHandle<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopeHandle")
            .field("name", &self.node.name)
            .field("site", &self.node.site.to_string())
            .field("live", &self.node.live())
            .field("reason", &self.node.reason())
            .finish()
    }
}
