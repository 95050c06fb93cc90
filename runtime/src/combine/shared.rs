//! `SharedJoinHandle`: the result of a task for many, and many times.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::FutureExt;
use futures_util::future::Shared;
use ramus_scope::{JoinError, Reason};

use crate::leaf;
use crate::sync::Arc;
use crate::task::{CancelHandle, Id, JoinHandle};

/// What all who await a task share.
type Outcome<T> = Result<Arc<T>, Arc<JoinError>>;

impl<T> JoinHandle<T> {
    /// A handle that can be cloned, and awaited by many and many times. The result is shared: the value, or the error, in an [`Arc`].
    ///
    /// As with this handle, awaiting is only observing, and dropping all clones loses the result, not the task.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// ramus::Runtime::new()?.block_on(async {
    ///     let mut price = ramus::spawn(async { 120 }).shared();
    ///     let same = price.clone();
    ///     let other = ramus::spawn(async move { *same.await.unwrap() });
    ///     assert_eq!(*(&mut price).await.unwrap(), 120);
    ///     assert_eq!(*price.await.unwrap(), 120);
    ///     assert_eq!(other.await.unwrap(), 120);
    /// });
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// The shared handle panics when it is awaited if [`try_result`](Self::try_result) has taken the result before.
    pub fn shared(self) -> SharedJoinHandle<T> {
        let canceller = self.canceller();
        SharedJoinHandle { shared: Joining(self).shared(), canceller, result: None }
    }
}

/// A handle of a task that can be cloned and awaited many times, made by [`JoinHandle::shared`].
///
/// # Cancel safety
///
/// Cancel safe: it only observes, and a cut or dropped wait has no effect.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// ramus::Runtime::new()?.block_on(async {
///     let task = ramus::spawn(std::future::pending::<()>()).shared();
///     assert!(task.try_result().is_none());
///     assert!(task.clone().cancel("enough"));
///     assert!(task.await.is_err_and(|error| error.is_cancelled()));
/// });
/// # Ok(())
/// # }
/// ```
#[must_use = "dropping it does not wait for the task"]
pub struct SharedJoinHandle<T> {
    shared: Shared<Joining<T>>,
    canceller: CancelHandle,
    /// Kept once it was awaited: it may be awaited again.
    result: Option<Outcome<T>>,
}

impl<T> SharedJoinHandle<T> {
    /// Cancels the task alone, as [`JoinHandle::cancel`].
    ///
    /// ```
    /// # fn stop(task: &ramus::combine::SharedJoinHandle<u32>) {
    /// task.cancel("nobody needs it");
    /// # }
    /// ```
    #[track_caller]
    pub fn cancel(&self, reason: impl Into<Reason>) -> bool {
        self.canceller.cancel(reason)
    }

    /// As [`JoinHandle::canceller`].
    pub fn canceller(&self) -> CancelHandle {
        self.canceller.clone()
    }

    /// True once the task has ended and been dropped: awaiting it does not wait.
    pub fn is_finished(&self) -> bool {
        self.canceller.is_finished()
    }

    /// True if the task was cancelled through a handle of its own, whether or not it has ended since.
    pub fn is_cancelled(&self) -> bool {
        self.canceller.is_cancelled()
    }

    /// The number of the task.
    pub fn id(&self) -> Id {
        self.canceller.id()
    }

    /// The result, if the task has ended. Does not wait, and takes nothing away. `None` also while another thread is just
    /// fetching it.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// ramus::Runtime::new()?.block_on(async {
    ///     let mut task = ramus::spawn(async { 7 }).shared();
    ///     assert_eq!(*(&mut task).await.unwrap(), 7);
    ///     assert_eq!(*task.try_result().unwrap().unwrap(), 7);
    /// });
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_result(&self) -> Option<Outcome<T>> {
        let known = self.result.as_ref().or_else(|| self.shared.peek());
        match known {
            Some(result) => Some(result.clone()),
            None if self.is_finished() => self.shared.clone().now_or_never(),
            None => None,
        }
    }
}

impl<T> Future for SharedJoinHandle<T> {
    type Output = Outcome<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let charge = ready!(leaf::poll_enter(cx));
        let result = match &self.result {
            Some(result) => result.clone(),
            // Not kept: the handle is good elsewhere.
            None if self.canceller.waits_for_caller() => Err(Arc::new(JoinError::self_join(self.id()))),
            None => {
                let result = ready!(Pin::new(&mut self.shared).poll(cx));
                self.result = Some(result.clone());
                result
            }
        };
        charge.made_progress();
        Poll::Ready(result)
    }
}

impl<T> Clone for SharedJoinHandle<T> {
    fn clone(&self) -> Self {
        SharedJoinHandle { shared: self.shared.clone(), canceller: self.canceller.clone(), result: self.result.clone() }
    }
}

impl<T> fmt::Debug for SharedJoinHandle<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("SharedJoinHandle").field("id", &self.id()).field("finished", &self.is_finished()).finish()
    }
}

/// The joiner of the task: whichever clone is polled, cut clones excepted.
struct Joining<T>(JoinHandle<T>);

impl<T> Future for Joining<T> {
    type Output = Outcome<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll_result(cx).map(|result| result.map(Arc::new).map_err(Arc::new))
    }
}
