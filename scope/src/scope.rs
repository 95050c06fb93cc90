//! The future of a scope: body, drain, result.
//!
//! | phase | body | new members | ends by |
//! |---|---|---|---|
//! | `New` | not made | none | first poll |
//! | `Body` | is polled | admitted, unless cancelled | the body's value, error, panic or drop |
//! | `Draining` | gone | admitted while the count is not zero | the last member |
//! | `Drained` | gone | refused | a finalizer, or the answer, in the same poll |
//! | `Finalizing` | gone | refused | the end of that finalizer, or its budget; then as `Drained` |
//! | `Cut` | gone | refused | being dropped by the frame around, or polled where nothing is cut |
//! | `Done` | gone | refused | – |
//!
//! Precedence of what it answers: panic, then errors, then cancellation, then the value.

use std::borrow::Cow;
use std::cell::RefCell;
use std::future::Future;
use std::marker::PhantomData;
use std::mem;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use pin_project_lite::pin_project;

use crate::asking;
use crate::error::ScopeError;
use crate::finalizer::Running;
use crate::frame::{Frame, Kind, RowCell};
use crate::host::Host;
use crate::inside::{self, Inside};
use crate::lifecycle::Exit;
use crate::limit::Limit;
use crate::outcome::Outcome;
use crate::phase::{Phase, leave};
use crate::raw;
use crate::reason::{Reason, ReasonKind};
use crate::stage::{Gone, Stage};
use crate::sync::Arc;
use crate::tree::{Node, Opening, Policy, drop_quietly};
use crate::typed::Scope;
use crate::value::Values;
use crate::{spare, walk, watch};

/// How a scope is opened, when the defaults of [`scope`] do not do.
///
/// ```
/// # use std::time::{Duration, Instant};
/// let builder = ramus_scope::Builder::new().name("request").deadline(Instant::now());
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "a builder does nothing until `open`"]
pub struct Builder {
    name: Option<Cow<'static, str>>,
    deadline: Option<Instant>,
    policy: Policy,
    pub(crate) limit: Option<NonZeroUsize>,
    pub(crate) values: Values,
    finalizer_budget: Option<Duration>,
}

impl Builder {
    /// A nameless scope without a deadline that fails fast.
    pub fn new() -> Builder {
        Builder::default()
    }

    /// Names the scope, for listings and reasons.
    pub fn name(mut self, name: impl Into<Cow<'static, str>>) -> Builder {
        self.name = Some(name.into());
        self
    }

    /// Cancels the scope at `deadline`. One that has passed cancels it at its first suspension.
    pub fn deadline(mut self, deadline: Instant) -> Builder {
        self.deadline = Some(deadline);
        self
    }

    /// A failing child does not cancel its siblings: a panic stays with its handle, an error of `spawn_try` is listed in
    /// the scope's result.
    pub fn isolate(mut self) -> Builder {
        self.policy = Policy::Isolate;
        self
    }

    /// The time that each [finalizer](crate::ScopeHandle::defer) of the scope has, from its start. 10 seconds if it is not
    /// set.
    ///
    /// ```
    /// # use std::time::Duration;
    /// let builder = ramus_scope::Builder::new().finalizer_budget(Duration::from_secs(1));
    /// ```
    pub fn finalizer_budget(mut self, budget: Duration) -> Builder {
        self.finalizer_budget = Some(budget);
        self
    }

    /// Opens the scope. See [`scope`].
    ///
    /// ```
    /// use ramus_scope::{Builder, Host, Scope, ScopeError};
    ///
    /// async fn run<H: Host>() -> Result<u32, ScopeError> {
    ///     Builder::new().name("request").isolate().open(|_s: Scope<H>| async { Ok(42) }).await
    /// }
    /// ```
    #[track_caller]
    pub fn open<H, E, F, Fut, T>(self, body: F) -> ScopeFuture<H, E, F, Fut, T>
    where
        H: Host,
        E: Send + 'static,
        F: FnOnce(Scope<H, E>) -> Fut,
        Fut: Future,
        Fut::Output: Outcome<E, Value = T>,
    {
        ScopeFuture {
            stage: Stage::Open { open: Some((self, body)) },
            site: Location::caller(),
            node: None,
            row: RefCell::new(None),
            phase: Phase::New,
            polled: false,
            unarmed: false,
            _types: PhantomData,
        }
    }
}

/// Opens a scope, runs `body` in it, and waits until everything spawned into it has ended and been dropped.
///
/// The future answers with the body's value, or with an error: *all* errors of the body and of the children spawned with
/// [`Scope::spawn_try`], or a cancel of the scope itself. A cancel from outside is not answered: the future is dropped
/// with the code around it. The body may return a `Result` or nothing ([`Outcome`]).
///
/// ```
/// use std::io;
/// use ramus_scope::{Host, Scope, ScopeError, scope};
/// # async fn delete(_: String) -> io::Result<()> { Ok(()) }
///
/// /// At the first error the others are cancelled; none is left when this returns.
/// async fn delete_all<H: Host>(files: Vec<String>) -> Result<(), ScopeError<io::Error>> {
///     scope(|s: Scope<H, io::Error>| async move {
///         for file in files {
///             s.spawn_try(delete(file));
///         }
///         Ok(())
///     })
///     .await
/// }
/// ```
///
/// # Errors
///
/// [`ScopeError`] if something failed, or if the scope was cancelled by its handle or its deadline and that cut something.
///
/// # Panics
///
/// If the body or a child panicked: the first payload goes on here after everything was joined. If it is polled outside
/// its host.
///
/// # Cancel safety
///
/// A boundary: it holds back the drop of the code around it until what is open inside has ended.
/// If the code around is cut, the scope is cancelled, drains, and then lets itself be dropped. If its future is simply
/// dropped, its members are cancelled and adopted by the scope around, which waits for them.
#[track_caller]
pub fn scope<H, E, F, Fut, T>(body: F) -> ScopeFuture<H, E, F, Fut, T>
where
    H: Host,
    E: Send + 'static,
    F: FnOnce(Scope<H, E>) -> Fut,
    Fut: Future,
    Fut::Output: Outcome<E, Value = T>,
{
    Builder::new().open(body)
}

pin_project! {
    /// The future of a scope. Made by [`scope`] and [`Builder::open`].
    #[must_use = "a scope does nothing unless it is polled"]
    // `T` is a parameter, not a projection of `Fut`: the compiler cannot prove `Send` through a projection when `E` is a
    // trait object.
    pub struct ScopeFuture<H, E, F, Fut, T> {
        #[pin]
        stage: Stage<F, Fut, T>,
        site: &'static Location<'static>,
        node: Option<Arc<Node>>,
        row: RowCell,
        phase: Phase,
        polled: bool,
        // It has a deadline whose alarm is not set yet.
        unarmed: bool,
        _types: PhantomData<fn() -> (H, E)>,
    }

    impl<H, E, F, Fut, T> PinnedDrop for ScopeFuture<H, E, F, Fut, T> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            let Some(node) = this.node.take() else { return };
            leave(&node, this.row, this.stage, this.phase, Reason::from(ReasonKind::Dropped).at(node.site, Some(&node)));
        }
    }
}

impl<H, E, F, Fut, T> Future for ScopeFuture<H, E, F, Fut, T>
where
    H: Host,
    E: Send + 'static,
    F: FnOnce(Scope<H, E>) -> Fut,
    Fut: Future,
    Fut::Output: Outcome<E, Value = T>,
{
    type Output = Result<T, ScopeError<E>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if matches!(self.phase, Phase::New) {
            self.as_mut().start(cx.waker());
        }
        let mut is_fresh = matches!(self.phase, Phase::Body);
        if is_fresh && self.as_mut().poll_body(cx).is_pending() {
            return Poll::Pending;
        }
        // Polled again, it mostly has drained: then one look under the lock ends it.
        let mut may_end = !is_fresh;
        loop {
            let is_draining = matches!(self.phase, Phase::Draining) && !mem::take(&mut may_end);
            if is_draining && self.as_mut().poll_drain(cx, is_fresh).is_pending() {
                return Poll::Pending;
            }
            is_fresh = false;
            if matches!(self.phase, Phase::Finalizing(_)) && self.as_mut().poll_finalizer(cx).is_pending() {
                return Poll::Pending;
            }
            if let Some(answer) = self.as_mut().finish() {
                return answer;
            }
        }
    }
}

impl<H, E, F, Fut, T> ScopeFuture<H, E, F, Fut, T>
where
    H: Host,
    E: Send + 'static,
    F: FnOnce(Scope<H, E>) -> Fut,
    Fut: Future,
    Fut::Output: Outcome<E, Value = T>,
{
    /// Makes the node and the body.
    fn start(self: Pin<&mut Self>, waker: &Waker) {
        let mut this = self.project();
        let Some(host) = H::current() else {
            panic!("a scope was polled outside a runtime: poll it inside `block_on` or a spawned task");
        };
        let Some((builder, body)) = this.stage.as_mut().take_open() else { unreachable!("`New` has its body") };
        let (parent, shielded) = match raw::current(|frame| frame.and_then(Frame::scope)) {
            Some((parent, shielded)) => (Some(parent), shielded),
            None => (None, false),
        };
        let Builder { name, deadline, policy, limit, values, finalizer_budget } = builder;
        let opening = Opening { policy, name, deadline, limit: limit.map(Limit::new), values: values.boxed() };
        let node = Node::new(parent, shielded, || Box::new(host.clone()), opening, this.site);
        if finalizer_budget.is_some() {
            node.links.lock().finalizer_budget = finalizer_budget;
        }
        *this.unarmed = deadline.is_some();
        let kind = Kind::Body { node: &node, row: this.row, waker };
        let made = raw::enter(kind, |_| {
            let scope = Scope::new(Arc::clone(&node), host);
            catch_unwind(AssertUnwindSafe(|| body(scope)))
        });
        match made {
            Ok(body) => {
                this.stage.set(Stage::Body { body: Some(body) });
                *this.phase = Phase::Body;
            }
            Err(payload) => {
                node.body_panicked(payload);
                *this.node = Some(node);
                *this.phase = Phase::after_body(this.node, this.row);
                return;
            }
        }
        *this.node = Some(node);
    }

    /// Ready when the body is gone and the scope is closed.
    fn poll_body(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.as_mut().project();
        let waker = cx.waker();
        let Some(node) = &*this.node else { unreachable!("made by `start`") };
        let Some(mut body) = this.stage.as_mut().body() else { unreachable!("made by `start`") };
        let mut made = None;
        let gone = raw::enter(Kind::Body { node, row: this.row, waker }, |frame| {
            if !frame.polled() {
                return Gone::Inside;
            }
            let given_up = node.state.load().is_given_up();
            let is_cut = *this.polled && frame.is_cut();
            let inside = if given_up || (is_cut && !frame.is_held_yet()) {
                Inside::Drop
            } else {
                *this.polled = true;
                let asking = if is_cut { asking::waker(frame, this.row, waker) } else { None };
                let waker = asking.as_ref().unwrap_or(waker);
                // In its first poll it has no row, so nothing in it can hold.
                inside::poll_seen(frame, is_cut, waker, |cx| inside::poll_caught(body.as_mut(), cx))
            };
            let inside = match inside {
                Inside::Pending => {
                    frame.place();
                    inside::settle(frame)
                }
                other => other,
            };
            if matches!(inside, Inside::Pending) {
                return Gone::No;
            }
            if matches!(inside, Inside::Drop) && !node.state.load().is_cancelled() {
                // A cancel of the task alone that came in the first poll: there was no row that its walk could have met.
                if let Some(parent) = raw::parent(frame).filter(|parent| parent.is_cut()) {
                    walk::cancel(node, parent.reason().inherited());
                }
            }
            let dropped = inside::drop_caught(body.as_mut());
            match inside {
                Inside::Ready(Ok(outcome)) => match outcome.into_result() {
                    Ok(value) => made = Some(value),
                    Err(error) => {
                        // A scope that never suspended has no row yet, and no cancel from above has reached it.
                        frame.place();
                        node.fail(error);
                        walk::cancel_for(node, ReasonKind::BodyFailed, node.site);
                    }
                },
                Inside::Ready(Err(payload)) => node.body_panicked(payload),
                Inside::Drop => node.state.mark_cut(),
                Inside::Pending => unreachable!("returned above"),
            }
            if let Err(payload) = dropped {
                node.body_panicked(payload);
            }
            if given_up { Gone::GivenUp } else { Gone::Yes }
        });
        if made.is_some() {
            this.stage.set(Stage::Value { value: made });
        }
        *this.phase = match gone {
            Gone::No => {
                watch::suspend(node, this.unarmed, cx);
                return Poll::Pending;
            }
            Gone::Yes => Phase::after_body(this.node, this.row),
            // Closed already. What it held is dropped, so nothing below its row is left.
            Gone::GivenUp => Phase::Draining,
            Gone::Inside => return self.leave_inside(),
        };
        Poll::Ready(())
    }

    /// Polled inside itself, it would wait for itself for ever: it ends as if it was dropped there.
    fn leave_inside(self: Pin<&mut Self>) -> Poll<()> {
        let this = self.project();
        let Some(node) = this.node.take() else { unreachable!("made by `start`") };
        let reason = Reason::from("it was polled inside itself, by one of its own tasks").at(this.site, Some(&node));
        leave(&node, this.row, this.stage, this.phase, reason);
        *this.phase = Phase::Cut(node.reason());
        Poll::Ready(())
    }

    /// Ready when the last member has ended. `is_fresh`: the body ended in this poll, so its row is that of this place.
    fn poll_drain(mut self: Pin<&mut Self>, cx: &mut Context<'_>, is_fresh: bool) -> Poll<()> {
        let this = self.as_mut().project();
        let waker = cx.waker();
        let Some(node) = &*this.node else { unreachable!("made by `start`") };
        let (is_sound, asking) = raw::enter(Kind::Body { node, row: this.row, waker }, |frame| {
            let is_sound = is_fresh || frame.polled();
            frame.place();
            (is_sound, asking::waker(frame, this.row, waker))
        });
        if !is_sound {
            return self.leave_inside();
        }
        watch::suspend(node, this.unarmed, cx);
        if node.poll_drained(asking.as_ref().unwrap_or(waker)) { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Ready when the finalizer under way has ended.
    fn poll_finalizer(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.as_mut().project();
        let (Some(node), Phase::Finalizing(running)) = (&*this.node, &mut *this.phase) else {
            unreachable!("asked for in this phase alone")
        };
        let is_sound = raw::enter(Kind::Body { node, row: this.row, waker: cx.waker() }, |frame| frame.polled());
        if !is_sound {
            return self.leave_inside();
        }
        let polled = running.poll(node, this.row, cx.waker());
        if polled.is_pending() {
            watch::suspend(node, this.unarmed, cx);
        }
        polled
    }

    /// The answer, after everything has ended. `None`: something is left.
    fn finish(self: Pin<&mut Self>) -> Option<Poll<Result<T, ScopeError<E>>>> {
        let this = self.project();
        let outside_cut = raw::current(|frame| frame.is_some_and(Frame::is_cut));
        if let Phase::Cut(reason) = this.phase {
            if outside_cut {
                return Some(Poll::Pending);
            }
            let reason = reason.take();
            *this.phase = Phase::Done;
            return Some(Poll::Ready(Err(ScopeError::new(Vec::new(), reason))));
        }
        let (ended, was_cut) = if let Phase::Alone(_) = this.phase {
            let Phase::Alone(mut node) = mem::replace(this.phase, Phase::Done) else { unreachable!("seen just now") };
            let (ended, was_cut) = (node.end_alone(), node.state.load().was_cut());
            spare::keep_sole(node);
            (ended, was_cut)
        } else {
            let Some(node) = this.node.as_ref() else { panic!("a scope was polled after it ended") };
            let was_cut = node.state.load().was_cut();
            let ended = match node.end(matches!(this.phase, Phase::Draining)) {
                Exit::Finalize(finalizer) => {
                    *this.phase = Phase::Finalizing(Box::new(Running::new(finalizer)));
                    return None;
                }
                Exit::Wait => {
                    *this.phase = Phase::Draining;
                    return None;
                }
                Exit::Ended(ended) => ended,
            };
            *this.phase = Phase::Done;
            drop(this.row.take());
            if let Some(node) = this.node.take() {
                spare::keep(node);
            }
            (ended, was_cut)
        };
        let value = this.stage.take_value();
        if let Some(payload) = ended.panic {
            drop_quietly((value, ended.failures));
            resume_unwind(payload);
        }
        if let Some(failures) = ended.failures {
            let failures = failures.downcast::<Vec<E>>().map_or_else(|_| Vec::new(), |failures| *failures);
            return Some(Poll::Ready(Err(ScopeError::new(failures, ended.reason))));
        }
        Some(match value {
            Some(value) if !was_cut => Poll::Ready(Ok(value)),
            // The cancel came from outside, or from both sides: the code after this scope must not run.
            _ if outside_cut => {
                *this.phase = Phase::Cut(ended.reason);
                Poll::Pending
            }
            _ => Poll::Ready(Err(ScopeError::new(Vec::new(), ended.reason))),
        })
    }
}
