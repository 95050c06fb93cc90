//! `CutOn`: a frame whose inside is cancelled when another future is ready. Timeouts are built on it.

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::arm::{Arm, reason_here};
use crate::being_polled::is_cut;
use crate::inside::Inside;
use crate::reason::{Reason, ReasonKind};

pin_project! {
    /// Runs a future until a signal is ready; then cancels what is open inside it, waits until that has drained, drops the
    /// future and answers `Err` with the signal's value.
    ///
    /// The future is polled first, so a value that is ready wins, and the signal is only polled while the future is
    /// pending. A value that the future produces while it drains wins too. Against a cancel from outside it holds nothing.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe to drop, but what was under way inside is lost with it: the future is dropped at its suspension,
    /// and scopes inside are adopted by the scope around.
    ///
    /// ```
    /// # use std::future::ready;
    /// # async fn example() {
    /// let timeout = ramus_scope::CutOn::new(std::future::pending::<()>(), ready("too late"));
    /// assert_eq!(timeout.await, Err("too late"));
    /// # }
    /// ```
    #[must_use = "futures do nothing unless they are polled"]
    pub struct CutOn<F, S: Future> {
        #[pin]
        arm: Arm<F>,
        #[pin]
        signal: S,
        expired: Option<(S::Output, Reason)>,
        site: &'static Location<'static>,
    }
}

impl<F: Future, S: Future> CutOn<F, S> {
    /// `future`, cut when `signal` is ready.
    ///
    /// ```
    /// use std::future::{pending, ready};
    /// use ramus_scope::CutOn;
    ///
    /// # async fn example() {
    /// // The signal is ready: what is inside is cut and dropped.
    /// assert_eq!(CutOn::new(pending::<()>(), ready("late")).await, Err("late"));
    /// # }
    /// ```
    #[track_caller]
    pub fn new(future: F, signal: S) -> CutOn<F, S> {
        CutOn { arm: Arm::new(future), signal, expired: None, site: Location::caller() }
    }
}

impl<F: Future, S: Future> Future for CutOn<F, S> {
    type Output = Result<F::Output, S::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let waker = cx.waker();
        if this.arm.is_gone() && this.expired.is_some() {
            return answer(this.expired);
        }
        let reason = this.expired.as_ref().map(|(_, reason)| reason);
        let mut inside = this.arm.as_mut().poll(waker, reason);
        // The signal is outside the frame: its own cut must not keep it from firing.
        if matches!(inside, Inside::Pending) && this.expired.is_none() {
            if let Poll::Ready(signal) = this.signal.poll(&mut Context::from_waker(waker)) {
                let reason = reason_here(ReasonKind::Deadline, this.site);
                inside = this.arm.as_mut().cut(waker, &reason);
                *this.expired = Some((signal, reason));
            }
        }
        match (inside, &this.expired) {
            (Inside::Ready(value), _) => Poll::Ready(Ok(value)),
            (Inside::Drop, Some((_, reason))) => {
                this.arm.remove(waker, reason);
                answer(this.expired)
            }
            // Cut from outside: the frame around drops it.
            (Inside::Drop, None) | (Inside::Pending, _) => Poll::Pending,
        }
    }
}

/// The answer of a frame whose inside is gone. In a frame that is cut itself the code after it must not run (D17): it stays
/// pending, for the frame around to drop it.
fn answer<T, S>(expired: &mut Option<(S, Reason)>) -> Poll<Result<T, S>> {
    if is_cut() {
        return Poll::Pending;
    }
    expired.take().map_or(Poll::Pending, |(signal, _)| Poll::Ready(Err(signal)))
}
