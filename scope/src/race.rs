//! `race`: the first future to be ready wins; the others are cut and drained before it returns.

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use pin_project_lite::pin_project;

use crate::arm::{Arm, Ended, Fallout, reason_here};
use crate::contest::Contest;
use crate::reason::Reason;

/// Runs several futures at once in this task; the first one that is ready wins.
///
/// The others have lost: what is open inside them is cancelled as from outside, with the reason "lost the race", the scopes
/// and shields in them drain, then they are dropped, and only then does the race return. So nothing of a loser is left
/// behind, and no code of it runs beside the code after the race.
///
/// The arms are polled in their order, so of several that are ready in the same poll the earlier one wins; those after it
/// are not polled. A value that a loser still produces while it drains is dropped: the first value wins. If an arm panics,
/// the others are cut and drained too, then the panic goes on from the race. A cancel from outside is not held up by the
/// race itself, only by the boundaries in its arms.
///
/// Takes a tuple of two to eight futures with the same output. Each poll polls all of them; for many futures, or a number
/// that is not known, there is [`race_all`]. Arms with different outputs, as `select!` has them, are brought to one type, an
/// enum say, each in an `async` block of its own.
///
/// # Cancel safety
///
/// Cancel safe to drop, but what was under way inside is lost with it. Scopes inside are adopted by the scope around.
///
/// ```
/// use std::future::{pending, ready};
/// use ramus_scope::race;
///
/// # fn main() {
/// let first = async {
///     race((
///         async {
///             pending::<()>().await;
///             "the slow one"
///         },
///         ready("the quick one"),
///     ))
///     .await
/// };
/// # let mut first = std::pin::pin!(first);
/// # let mut context = std::task::Context::from_waker(std::task::Waker::noop());
/// # assert_eq!(first.as_mut().poll(&mut context), std::task::Poll::Ready("the quick one"));
/// # }
/// ```
///
/// ```
/// use std::future::Future;
/// use ramus_scope::race;
///
/// enum Event {
///     Message(String),
///     Tick,
/// }
///
/// async fn next(messages: impl Future<Output = String>, tick: impl Future<Output = ()>) -> Event {
///     race((
///         async { Event::Message(messages.await) },
///         async {
///             tick.await;
///             Event::Tick
///         },
///     ))
///     .await
/// }
/// ```
#[track_caller]
pub fn race<R: Race>(arms: R) -> R::Future {
    arms.start()
}

/// What [`race`] takes: tuples of two to eight futures with the same output.
///
/// ```
/// use ramus_scope::{Race, race};
///
/// async fn quickest<R: Race>(arms: R) -> R::Output {
///     race(arms).await
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`race` takes a tuple of two to eight futures with the same output, not `{Self}`",
    note = "`race((a, b))` has two pairs of brackets; for a list of futures there is `race_all`"
)]
pub trait Race: sealed::Sealed {
    /// What the winner produces.
    type Output;
    /// The race under way.
    type Future: Future<Output = Self::Output>;

    #[doc(hidden)]
    #[track_caller]
    fn start(self) -> Self::Future;
}

mod sealed {
    pub trait Sealed {}
}

/// Arms that run side by side: a list of types, from the first to [`Nobody`].
#[doc(hidden)]
pub trait Arms<T>: sealed::Sealed {
    #[doc(hidden)]
    fn poll_first(self: Pin<&mut Self>, waker: &Waker) -> Poll<First<T>>;
    #[doc(hidden)]
    fn lose(self: Pin<&mut Self>, waker: &Waker, fall: &mut Fall<'_>);
    #[doc(hidden)]
    fn drain(self: Pin<&mut Self>, waker: &Waker, fall: &mut Fall<'_>) -> bool;
}

/// How the first arm ended that did.
#[doc(hidden)]
pub struct First<T>(Ended<T>);

/// Why the losers are cut, and what came of it.
#[doc(hidden)]
pub struct Fall<'a> {
    reason: &'a Reason,
    fallout: &'a mut Fallout,
}

/// The end of a list of arms.
#[doc(hidden)]
pub struct Nobody;

impl sealed::Sealed for Nobody {}

impl<T> Arms<T> for Nobody {
    fn poll_first(self: Pin<&mut Self>, _: &Waker) -> Poll<First<T>> {
        Poll::Pending
    }

    fn lose(self: Pin<&mut Self>, _: &Waker, _: &mut Fall<'_>) {}

    fn drain(self: Pin<&mut Self>, _: &Waker, _: &mut Fall<'_>) -> bool {
        true
    }
}

pin_project! {
    /// One arm, and those after it.
    #[doc(hidden)]
    pub struct Side<F, R> {
        #[pin]
        arm: Arm<F>,
        #[pin]
        rest: R,
    }
}

impl<F, R> sealed::Sealed for Side<F, R> {}

impl<F: Future, R: Arms<F::Output>> Arms<F::Output> for Side<F, R> {
    fn poll_first(self: Pin<&mut Self>, waker: &Waker) -> Poll<First<F::Output>> {
        let this = self.project();
        match this.arm.step(waker, None) {
            Poll::Ready(ended) => Poll::Ready(First(ended)),
            Poll::Pending => this.rest.poll_first(waker),
        }
    }

    fn lose(self: Pin<&mut Self>, waker: &Waker, fall: &mut Fall<'_>) {
        let this = self.project();
        if !this.arm.is_gone() {
            if let Poll::Ready(ended) = this.arm.lose(waker, fall.reason) {
                fall.fallout.absorb(ended);
            }
        }
        this.rest.lose(waker, fall);
    }

    fn drain(self: Pin<&mut Self>, waker: &Waker, fall: &mut Fall<'_>) -> bool {
        let mut this = self.project();
        if !this.arm.is_gone() {
            if let Poll::Ready(ended) = this.arm.as_mut().step(waker, Some(fall.reason)) {
                fall.fallout.absorb(ended);
            }
        }
        this.rest.drain(waker, fall) && this.arm.is_gone()
    }
}

pin_project! {
    /// The future of [`race`].
    ///
    /// ```
    /// use std::future::ready;
    ///
    /// # async fn example() {
    /// let race = ramus_scope::race((ready(1), ready(2)));
    /// assert_eq!(race.await, 1);
    /// # }
    /// ```
    #[must_use = "futures do nothing unless they are polled"]
    pub struct Racing<A, T> {
        #[pin]
        arms: A,
        // The winner's value, if it did not panic, and why the others are cut.
        won: Option<(Option<T>, Reason)>,
        fallout: Fallout,
        site: &'static Location<'static>,
    }
}

impl<A: Arms<T>, T> Racing<A, T> {
    #[track_caller]
    fn new(arms: A) -> Racing<A, T> {
        Racing { arms, won: None, fallout: Fallout::default(), site: Location::caller() }
    }
}

impl<A: Arms<T>, T> Future for Racing<A, T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let mut this = self.project();
        let waker = cx.waker();
        if this.won.is_none() {
            let Poll::Ready(First(ended)) = this.arms.as_mut().poll_first(waker) else { return Poll::Pending };
            let reason = reason_here("lost the race", this.site);
            let value = match ended {
                Ended::Value(value) => Some(value),
                late => {
                    this.fallout.absorb(late);
                    None
                }
            };
            this.arms.as_mut().lose(waker, &mut Fall { reason: &reason, fallout: this.fallout });
            *this.won = Some((value, reason));
        }
        let Some((value, reason)) = this.won else { unreachable!("decided above") };
        // In the poll of the decision too: an arm that has moved with the race to another task must say where it is.
        if !this.arms.drain(waker, &mut Fall { reason, fallout: this.fallout }) {
            return Poll::Pending;
        }
        match this.fallout.resume_or(value.take()) {
            Some(value) => Poll::Ready(value),
            None => panic!("`race` polled after it ended"),
        }
    }
}

macro_rules! list {
    () => { Nobody };
    ($first:ty $(, $rest:ty)*) => { Side<$first, list!($($rest),*)> };
}

macro_rules! start {
    () => { Nobody };
    ($first:ident $(, $rest:ident)*) => {
        Side { arm: Arm::new($first.into_future()), rest: start!($($rest),*) }
    };
}

macro_rules! tuples {
    ($($future:ident $name:ident),+) => {
        impl<$($future),+> sealed::Sealed for ($($future,)+) {}

        impl<T, $($future: IntoFuture<Output = T>),+> Race for ($($future,)+) {
            type Output = T;
            type Future = Racing<list!($($future::IntoFuture),+), T>;

            fn start(self) -> Self::Future {
                let ($($name,)+) = self;
                Racing::new(start!($($name),+))
            }
        }
    };
}

tuples!(A a, B b);
tuples!(A a, B b, C c);
tuples!(A a, B b, C c, D d);
tuples!(A a, B b, C c, D d, E e);
tuples!(A a, B b, C c, D d, E e, F f);
tuples!(A a, B b, C c, D d, E e, F f, G g);
tuples!(A a, B b, C c, D d, E e, F f, G g, H h);

/// Runs any number of futures of one type at once in this task; the first one that is ready wins, and the others are cut
/// and drained before it returns, as with [`race`]. `None` if there are none: nobody can win.
///
/// Only futures that were woken are polled, in the order of their wakes; at first all of them in their order, up to the
/// first one that is ready.
///
/// # Cancel safety
///
/// Cancel safe to drop, but what was under way inside is lost with it. Scopes inside are adopted by the scope around.
///
/// ```
/// use std::future::{Ready, ready};
/// use ramus_scope::race_all;
///
/// # async fn example() {
/// assert_eq!(race_all([ready("first"), ready("second")]).await, Some("first"));
/// assert_eq!(race_all(Vec::<Ready<u8>>::new()).await, None);
/// # }
/// ```
#[track_caller]
pub fn race_all<I>(futures: I) -> RaceAll<<I::Item as IntoFuture>::IntoFuture>
where
    I: IntoIterator,
    I::Item: IntoFuture,
{
    RaceAll { contest: Contest::new(futures, || Reason::from("lost the race")) }
}

/// The future of [`race_all`].
#[must_use = "futures do nothing unless they are polled"]
pub struct RaceAll<F: Future> {
    contest: Contest<F, F::Output>,
}

// The futures stand in allocations of their own.
impl<F: Future> Unpin for RaceAll<F> {}

impl<F: Future> Future for RaceAll<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.contest.poll(cx, |_, value| Some(value))
    }
}
