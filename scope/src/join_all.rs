//! `join_all` and `try_join_all`: many futures at once in one task, and what all of them produced.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::contest::Contest;
use crate::reason::{Reason, ReasonKind};

/// The values that are there so far, each in the place of its future.
struct Places<T>(Vec<Option<T>>);

impl<T> Places<T> {
    fn new(n: usize) -> Places<T> {
        Places(std::iter::repeat_with(|| None).take(n).collect())
    }

    fn take(&mut self) -> Vec<T> {
        std::mem::take(&mut self.0).into_iter().flatten().collect()
    }
}

/// Runs all futures at once in this task, and answers with their values in the order of the futures.
///
/// With futures that answer with a [`Result`], such as the handles of tasks, it is `gather(return_exceptions=True)` of
/// asyncio: every outcome is there, in its place. Only woken futures are polled.
///
/// If one of them panics, the others are cut and drained, then the panic goes on from here.
///
/// Awaiting handles is only observing: when this is dropped, the tasks go on in their scope.
///
/// # Cancel safety
///
/// Cancel safe to drop, but what was under way inside is lost with it.
///
/// ```
/// use std::future::ready;
/// use ramus_scope::join_all;
///
/// # async fn example() {
/// assert_eq!(join_all((1..=3).map(ready)).await, [1, 2, 3]);
/// assert_eq!(join_all([ready(Ok(1)), ready(Err("no"))]).await, [Ok(1), Err("no")]);
/// # }
/// ```
#[track_caller]
pub fn join_all<I>(futures: I) -> JoinAll<<I::Item as IntoFuture>::IntoFuture>
where
    I: IntoIterator,
    I::Item: IntoFuture,
{
    let contest = Contest::new(futures, || Reason::from(ReasonKind::SiblingFailed));
    JoinAll { places: Places::new(contest.open()), contest }
}

/// The future of [`join_all`].
#[must_use = "futures do nothing unless they are polled"]
pub struct JoinAll<F: Future> {
    contest: Contest<F, std::convert::Infallible>,
    places: Places<F::Output>,
}

// The futures stand in allocations of their own, and no value is pinned.
impl<F: Future> Unpin for JoinAll<F> {}

impl<F: Future> Future for JoinAll<F> {
    type Output = Vec<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let JoinAll { contest, places } = self.get_mut();
        let over = contest.poll(cx, |index, value| {
            places.0[index] = Some(value);
            None
        });
        match ready!(over) {
            None => Poll::Ready(places.take()),
            Some(never) => match never {},
        }
    }
}

/// Runs all futures at once in this task, and answers with their values in the order of the futures, or with the first
/// error.
///
/// At the first error the other futures are cut: what is open inside them is cancelled as from outside, with the reason
/// [`SiblingFailed`](ReasonKind::SiblingFailed), it drains, the futures are dropped, and only then does the error return.
/// So nothing goes on behind the back of whoever handles the error. asyncio's `gather` leaves the others running.
///
/// What the others produce while they drain is dropped, errors included; a scope collects all errors. If a future panics,
/// the others are cut and drained, then the panic goes on from here.
///
/// Awaiting handles is only observing: with the handles of tasks, the *tasks* go on in their scope after the error of one
/// of them. Use a [`scope`](crate::scope) and `spawn_try` to have them cancelled.
///
/// # Errors
///
/// The first error that one of the futures produced.
///
/// # Cancel safety
///
/// Cancel safe to drop, but what was under way inside is lost with it.
///
/// ```
/// use std::future::ready;
/// use ramus_scope::try_join_all;
///
/// # async fn example() {
/// assert_eq!(try_join_all([ready(Ok::<_, &str>(1)), ready(Ok(2))]).await, Ok(vec![1, 2]));
/// assert_eq!(try_join_all([ready(Ok(1)), ready(Err("no"))]).await, Err("no"));
/// # }
/// ```
#[track_caller]
pub fn try_join_all<I, T, E>(futures: I) -> TryJoinAll<<I::Item as IntoFuture>::IntoFuture, T, E>
where
    I: IntoIterator,
    I::Item: IntoFuture<Output = Result<T, E>>,
{
    let contest = Contest::new(futures, || Reason::from(ReasonKind::SiblingFailed));
    TryJoinAll { places: Places::new(contest.open()), contest }
}

/// The future of [`try_join_all`].
#[must_use = "futures do nothing unless they are polled"]
pub struct TryJoinAll<F, T, E> {
    contest: Contest<F, E>,
    places: Places<T>,
}

// The futures stand in allocations of their own, and no value is pinned.
impl<F, T, E> Unpin for TryJoinAll<F, T, E> {}

impl<F: Future<Output = Result<T, E>>, T, E> Future for TryJoinAll<F, T, E> {
    type Output = Result<Vec<T>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let TryJoinAll { contest, places } = self.get_mut();
        let over = contest.poll(cx, |index, value| match value {
            Ok(value) => {
                places.0[index] = Some(value);
                None
            }
            Err(error) => Some(error),
        });
        match ready!(over) {
            None => Poll::Ready(Ok(places.take())),
            Some(error) => Poll::Ready(Err(error)),
        }
    }
}
