//! `JoinHandle`: the result of a task, awaited by at most one other.

use std::fmt;
use std::future::Future;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, ready};

use ramus_scope::{JoinError, Reason};

use super::cancel_handle::CancelHandle;
use super::cell::Ticket;
use super::info::Id;
use crate::parker::Parker;
use crate::sync::Arc;
use crate::{context, leaf};

/// The handle of a spawned task: a future that resolves with the task's result.
///
/// Dropping the handle detaches nothing from the scope: the task goes on, its scope still waits for it, and its result
/// is dropped when it ends.
///
/// A cancelled or panicked task resolves with an [`Err`] that says so.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let runtime = ramus::Runtime::new()?;
/// let sum = runtime.block_on(async {
///     let handle = ramus::spawn(async { 40 + 2 });
///     handle.await
/// })?;
/// assert_eq!(sum, 42);
/// # Ok(())
/// # }
/// ```
///
/// # Panics
///
/// Polled again after it has resolved, or after [`try_result`](Self::try_result) has taken the result.
///
/// # Joining oneself
///
/// A handle that is awaited by its own task, or from inside a scope that this task has open, would wait for ever: the task
/// cannot end before the code that waits for it. Its first poll says so with an error
/// ([`JoinError::is_self_join`]). The result is not taken by it: the handle can be awaited somewhere else.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let runtime = ramus::Runtime::new()?;
/// let (send, receive) = std::sync::mpsc::channel::<ramus::JoinHandle<bool>>();
/// let answer = runtime.block_on(async {
///     let (done, is_done) = std::sync::mpsc::channel();
///     let handle = ramus::spawn(async move {
///         let own = loop {
///             match receive.try_recv() {
///                 Ok(own) => break own,
///                 Err(_) => ramus::yield_now().await,
///             }
///         };
///         let _ = done.send(own.await.unwrap_err().is_self_join());
///         true
///     });
///     send.send(handle).unwrap();
///     loop {
///         match is_done.try_recv() {
///             Ok(answer) => break answer,
///             Err(_) => ramus::yield_now().await,
///         }
///     }
/// });
/// assert!(answer);
/// # Ok(())
/// # }
/// ```
///
/// # Cancel safety
///
/// Cancel safe: it only observes, and a cut or dropped wait has no effect. When the awaiting task is
/// cancelled, or the handle is dropped in a `select!`, the joined task is not cancelled. A `&mut JoinHandle` can be awaited again after the other branch won; the result is not lost:
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
///
/// let runtime = ramus::Runtime::new()?;
/// runtime.block_on(async {
///     let mut handle = ramus::spawn(async {
///         ramus::sleep(Duration::from_millis(20)).await;
///         "done"
///     });
///     // The first look times out, the task goes on.
///     let early = ramus::timeout(Duration::from_millis(1), &mut handle).await;
///     assert!(early.is_err());
///     assert_eq!(handle.await.unwrap(), "done");
/// });
/// # Ok(())
/// # }
/// ```
///
/// A handle is `Send` and `Sync` when the output is `Send`, and an output that is not cannot be spawned:
///
/// ```compile_fail,E0277
/// # fn send<T: Send>() {}
/// send::<ramus::JoinHandle<std::rc::Rc<u8>>>();
/// ```
pub struct JoinHandle<T> {
    ticket: Ticket<T>,
}

impl<T> JoinHandle<T> {
    pub(super) fn new(ticket: Ticket<T>) -> Self {
        Self { ticket }
    }

    /// Cancels this task alone, for `reason`; true if this call did it, false if the task has finished or was
    /// cancelled through its handle before.
    ///
    /// The task is marked and woken; its future is dropped by its own worker, at the suspension that it rests at, once
    /// the boundaries open in it have drained. Never in this call. Works from any thread, also outside a runtime. A task
    /// that is just finishing may still win: then the handle resolves with its value.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let runtime = ramus::Runtime::new()?;
    /// let error = runtime.block_on(async {
    ///     let handle = ramus::spawn(std::future::pending::<()>());
    ///     assert!(handle.cancel("nobody needs it"));
    ///     assert!(!handle.cancel("the first reason stays"));
    ///     handle.await.unwrap_err()
    /// });
    /// assert!(error.is_cancelled());
    /// assert_eq!(error.reason().and_then(|reason| reason.message()), Some("nobody needs it"));
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn cancel(&self, reason: impl Into<Reason>) -> bool {
        let reason = reason.into();
        let _mark = context::cancelling();
        self.ticket.cancel(reason)
    }

    /// True once the task has ended and been dropped: the handle resolves without waiting.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let runtime = ramus::Runtime::new()?;
    /// # runtime.block_on(async {
    /// let handle = ramus::spawn(async {});
    /// while !handle.is_finished() {
    ///     ramus::yield_now().await;
    /// }
    /// # });
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn is_finished(&self) -> bool {
        self.ticket.is_finished()
    }

    /// True if the task was cancelled through its handle, whether or not it has ended since. A cancel of its scope does
    /// not show here, only in the result.
    ///
    /// ```
    /// # fn look(handle: &ramus::JoinHandle<()>) {
    /// handle.cancel("enough");
    /// assert!(handle.is_cancelled() || handle.is_finished());
    /// # }
    /// ```
    pub fn is_cancelled(&self) -> bool {
        self.ticket.is_cancelled()
    }

    /// The result, if the task has ended and the result was not taken before. Does not wait.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let runtime = ramus::Runtime::new()?;
    /// # runtime.block_on(async {
    /// let mut handle = ramus::spawn(async { 7 });
    /// let seven = loop {
    ///     match handle.try_result() {
    ///         Some(result) => break result.unwrap(),
    ///         None => ramus::yield_now().await,
    ///     }
    /// };
    /// assert_eq!(seven, 7);
    /// assert!(handle.try_result().is_none(), "taken");
    /// # });
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_result(&mut self) -> Option<Result<T, JoinError>> {
        self.ticket.try_take()
    }

    /// The number of the task.
    ///
    /// ```
    /// # fn look(handle: &ramus::JoinHandle<()>) {
    /// println!("waiting for task {}", handle.id());
    /// # }
    /// ```
    pub fn id(&self) -> Id {
        self.ticket.id()
    }

    /// A handle that can cancel the task and knows whether it has ended, but not how: cheap to clone, for many owners.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let runtime = ramus::Runtime::new()?;
    /// runtime.block_on(async {
    ///     let handle = ramus::spawn(std::future::pending::<()>());
    ///     let canceller = handle.cancel_handle();
    ///     ramus::spawn(async move { canceller.cancel("enough") });
    ///     assert!(handle.await.unwrap_err().is_cancelled());
    /// });
    /// # Ok(())
    /// # }
    /// ```
    pub fn cancel_handle(&self) -> CancelHandle {
        CancelHandle::new(self.ticket.grip())
    }

    /// The result, for a caller that has asked whether it is cut: [`leaf::poll_enter`].
    pub(crate) fn poll_entered(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<T, JoinError>> {
        if self.ticket.waits_for_caller() {
            return Poll::Ready(Err(JoinError::self_join(self.id())));
        }
        self.poll_result(cx)
    }

    /// The result, for a caller that has asked too whether the task waits for itself.
    pub(crate) fn poll_result(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<T, JoinError>> {
        match ready!(self.ticket.poll(cx.waker())) {
            Some(result) => Poll::Ready(result),
            None => polled_again(self.id()),
        }
    }

    /// Whether the handle has an answer, as [`poll_entered`](Self::poll_entered); takes nothing.
    pub(crate) fn poll_finished(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        // One that waits for the caller answers as soon as it is awaited.
        if self.ticket.waits_for_caller() {
            return Poll::Ready(());
        }
        self.ticket.poll_finished(cx.waker())
    }

    /// Takes back the waker that the last poll has left.
    pub(crate) fn forget_waker(&mut self) {
        self.ticket.forget_waker();
    }

    /// True if the task has ended without a value, and its error was not taken yet.
    pub(crate) fn has_failed(&mut self) -> bool {
        self.ticket.look(Result::is_err).unwrap_or(false)
    }
}

impl<T> JoinHandle<T> {
    /// Blocks the calling thread until the task has ended, whatever is cut around this code.
    pub(crate) fn wait(&mut self) -> Result<T, JoinError> {
        let parker = Arc::new(Parker::new());
        let waker = Parker::waker(&parker);
        loop {
            match self.ticket.poll(&waker) {
                Poll::Ready(Some(result)) => return result,
                Poll::Ready(None) => polled_again(self.id()),
                Poll::Pending => parker.park(),
            }
        }
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let charge = ready!(leaf::poll_enter(cx));
        let result = ready!(self.poll_entered(cx));
        charge.made_progress();
        Poll::Ready(result)
    }
}

#[cold]
#[track_caller]
fn polled_again(id: Id) -> ! {
    panic!("the JoinHandle of task {id} was polled after its result was taken")
}

// The ticket can be dropped or moved at any time: nothing points into it.
impl<T> Unpin for JoinHandle<T> {}

// A panic in the task reaches the handle as a value, so nothing half-changed can be seen through it.
impl<T> UnwindSafe for JoinHandle<T> {}
impl<T> RefUnwindSafe for JoinHandle<T> {}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("JoinHandle")
            .field("id", &self.id())
            .field("site", &self.ticket.site().to_string())
            .field("finished", &self.is_finished())
            .finish()
    }
}
