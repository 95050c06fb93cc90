//! `run_until_cancelled`: code that sees a cancel as a value and runs on to its next await.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::frame::{Kind, RowCell};
use crate::inside::{self, Inside};
use crate::raw;
use crate::reason::Reason;

/// The answer of [`run_until_cancelled`] when the code was cancelled from outside.
///
/// ```
/// # async fn work() -> u32 { 1 }
/// # fn release_lock() {}
/// # async fn example() -> u32 {
/// match ramus_scope::run_until_cancelled(work()).await {
///     Ok(value) => value,
///     Err(cancelled) => {
///         release_lock();
///         cancelled.resume().await
///     }
/// }
/// # }
/// ```
#[derive(Clone)]
pub struct Cancelled {
    reason: Reason,
}

impl Cancelled {
    /// For a host that shows a cancel as a value itself.
    ///
    /// ```
    /// let cancelled = ramus_scope::Cancelled::new("enough".into());
    /// assert_eq!(cancelled.to_string(), "cancelled: enough");
    /// ```
    pub fn new(reason: Reason) -> Cancelled {
        Cancelled { reason }
    }

    /// Why.
    ///
    /// ```
    /// # async fn work() {}
    /// # async fn example() {
    /// if let Err(cancelled) = ramus_scope::run_until_cancelled(work()).await {
    ///     eprintln!("cancelled: {}", cancelled.reason().kind().as_str());
    ///     cancelled.resume().await
    /// }
    /// # }
    /// ```
    pub fn reason(&self) -> &Reason {
        &self.reason
    }

    /// Goes on with the cancel after the clean-up: suspends here and is dropped. In code that is not cut it stays pending
    /// for ever.
    ///
    /// ```
    /// # async fn work() -> u32 { 1 }
    /// # async fn example() -> u32 {
    /// match ramus_scope::run_until_cancelled(work()).await {
    ///     Ok(value) => value,
    ///     // Of whatever type the code needs: it never returns.
    ///     Err(cancelled) => cancelled.resume().await,
    /// }
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it only observes, and a cut or dropped wait has no effect. Being dropped is its
    /// purpose.
    pub fn resume<T>(self) -> Resume<T> {
        Resume { _value: PhantomData }
    }
}

impl fmt::Debug for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cancelled").field("reason", &self.reason).finish()
    }
}

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

impl std::error::Error for Cancelled {}

/// The future of [`Cancelled::resume`].
#[must_use = "futures do nothing unless they are polled"]
pub struct Resume<T> {
    _value: PhantomData<fn() -> T>,
}

impl<T> Future for Resume<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<T> {
        Poll::Pending
    }
}

pin_project! {
    /// The future of [`run_until_cancelled`].
    #[must_use = "futures do nothing unless they are polled"]
    pub struct RunUntilCancelled<F> {
        #[pin]
        future: Option<F>,
        row: RowCell,
        polled: bool,
    }
}

/// Runs `future`; when a cancel from outside arrives, drops it and answers `Err`, and the code after it runs until its next
/// await.
///
/// The clean-up after it is synchronous, or in a [`shield`](crate::shield). It should end with
/// [`cancelled.resume().await`](Cancelled::resume); a value that it returns instead counts as produced.
///
/// # Errors
///
/// [`Cancelled`] if the code around it was cancelled before `future` ended.
///
/// # Cancel safety
///
/// A boundary: it holds back the drop of the code around it until what is open inside has ended.
/// `future` is dropped at a suspension then.
///
/// ```
/// # async fn work() -> u32 { 1 }
/// # async fn example() {
/// if let Err(cancelled) = ramus_scope::run_until_cancelled(work()).await {
///     eprintln!("gave up: {cancelled}");
///     cancelled.resume().await
/// }
/// # }
/// ```
pub fn run_until_cancelled<F: Future>(future: F) -> RunUntilCancelled<F> {
    RunUntilCancelled { future: Some(future), row: RefCell::new(None), polled: false }
}

impl<F: Future> Future for RunUntilCancelled<F> {
    type Output = Result<F::Output, Cancelled>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let waker = cx.waker();
        let answer = raw::enter(Kind::Catch { row: this.row, waker }, |frame| {
            frame.polled();
            let inside = if *this.polled && frame.is_cut() && !frame.is_held_yet() {
                Inside::Drop
            } else {
                *this.polled = true;
                inside::poll_inside(frame, waker, |cx| match this.future.as_mut().as_pin_mut() {
                    Some(future) => future.poll(cx),
                    None => panic!("`run_until_cancelled` polled after it ended"),
                })
            };
            let inside = match inside {
                Inside::Pending if frame.is_rooted() => {
                    frame.place();
                    inside::settle(frame)
                }
                other => other,
            };
            match inside {
                Inside::Ready(value) => Poll::Ready(Ok(value)),
                Inside::Pending => Poll::Pending,
                Inside::Drop => {
                    let reason = frame.reason();
                    this.future.set(None);
                    Poll::Ready(Err(Cancelled { reason }))
                }
            }
        });
        if answer.is_ready() {
            let row = this.row.take();
            drop(row);
        }
        answer
    }
}
