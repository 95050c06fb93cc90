//! `as_completed`: the results of many tasks, one after the other, as they finish.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_util::stream::FuturesUnordered;
use ramus_scope::JoinError;

use crate::leaf;
use crate::task::JoinHandle;

/// The results of `handles` in the order in which the tasks finish.
///
/// Each result costs the same, however many tasks there are. Dropping it half-way cancels nothing and leaves nothing
/// behind: the tasks go on in their scope, which joins them. For a limit of time, put `next()` into a
/// [`timeout`](crate::timeout).
///
/// ```
/// use std::time::Duration;
/// use ramus::{BoxError, Scope, as_completed, sleep, timeout};
///
/// # fn main() -> Result<(), BoxError> {
/// ramus::Runtime::new()?.block_on(ramus::scope(|s: Scope| async move {
///     let naps = [3_600_000, 1, 20].map(|nap| {
///         s.spawn(async move {
///             sleep(Duration::from_millis(nap)).await;
///             nap
///         })
///     });
///     let mut results = as_completed(naps);
///     let mut order = Vec::new();
///     while let Ok(Some(nap)) = timeout(Duration::from_secs(1), results.next()).await {
///         order.push(nap?);
///     }
///     assert_eq!(order, [1, 20]);
///     for late in results.into_handles() {
///         late.cancel("too slow");
///     }
///     Ok(())
/// }))?;
/// # Ok(())
/// # }
/// ```
pub fn as_completed<T>(handles: impl IntoIterator<Item = JoinHandle<T>>) -> AsCompleted<T> {
    AsCompleted { running: handles.into_iter().map(Completing).collect() }
}

/// The tasks of [`as_completed`] whose results have not been taken. Also a [`Stream`].
///
/// ```
/// # fn look(results: &ramus::combine::AsCompleted<u32>) {
/// if !results.is_empty() {
///     println!("{} results to come", results.len());
/// }
/// # }
/// ```
#[must_use = "it does nothing unless `next` is awaited"]
pub struct AsCompleted<T> {
    running: FuturesUnordered<Completing<T>>,
}

impl<T> AsCompleted<T> {
    /// The result of the next task to finish; `None` when all have been taken.
    ///
    /// # Panics
    ///
    /// If `try_result` has taken the result of one of the handles before.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it either completes or has no effect.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// ramus::Runtime::new()?.block_on(async {
    ///     let mut results = ramus::as_completed([ramus::spawn(async { 7 })]);
    ///     assert_eq!(results.next().await.unwrap().unwrap(), 7);
    ///     assert!(results.next().await.is_none());
    /// });
    /// # Ok(())
    /// # }
    /// ```
    pub async fn next(&mut self) -> Option<Result<T, JoinError>> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// How many results have not been taken.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # ramus::Runtime::new()?.block_on(async {
    /// assert_eq!(ramus::as_completed([ramus::spawn(async {}), ramus::spawn(async {})]).len(), 2);
    /// # });
    /// # Ok(())
    /// # }
    /// ```
    pub fn len(&self) -> usize {
        self.running.len()
    }

    /// True when all results have been taken.
    pub fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// The handles whose results have not been taken, in no order.
    ///
    /// ```
    /// # fn stop<T>(results: ramus::combine::AsCompleted<T>) {
    /// for handle in results.into_handles() {
    ///     handle.cancel("one was enough");
    /// }
    /// # }
    /// ```
    pub fn into_handles(self) -> Vec<JoinHandle<T>> {
        let handles = self.running.into_iter().map(|Completing(mut handle)| {
            handle.forget_waker();
            handle
        });
        handles.collect()
    }
}

impl<T> Stream for AsCompleted<T> {
    type Item = Result<T, JoinError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        // Asked here for all of them: a handle that stood still would lose its wake.
        if ramus_scope::is_cut() {
            return Poll::Pending;
        }
        Pin::new(&mut self.running).poll_next(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.len(), Some(self.len()))
    }
}

impl<T> fmt::Debug for AsCompleted<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("AsCompleted").field("len", &self.len()).finish()
    }
}

struct Completing<T>(JoinHandle<T>);

impl<T> Future for Completing<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let charge = ready!(leaf::poll_charge(cx));
        let result = ready!(self.0.poll_entered(cx));
        charge.made_progress();
        Poll::Ready(result)
    }
}
