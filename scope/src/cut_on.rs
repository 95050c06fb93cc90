//! `CutOn`: a frame whose inside is cancelled when another future is ready. Timeouts are built on it.

use std::cell::RefCell;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::frame::{Frame, Kind, RowCell};
use crate::inside::{self, Inside};
use crate::raw;
use crate::reason::{Reason, ReasonKind};
use crate::walk;

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
        future: Option<F>,
        #[pin]
        signal: S,
        row: RowCell,
        expired: Option<S::Output>,
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
        CutOn { future: Some(future), signal, row: RefCell::new(None), expired: None, site: Location::caller() }
    }
}

impl<F: Future, S: Future> Future for CutOn<F, S> {
    type Output = Result<F::Output, S::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let waker = cx.waker();
        let site = *this.site;
        if this.future.is_none() && this.expired.is_some() {
            return expired(this.expired);
        }
        let mut inside = {
            let kind = Kind::CutOn { row: this.row, waker, expired: this.expired.is_some(), site };
            raw::enter(kind, |frame| {
                frame.polled();
                inside::poll_inside(frame, waker, |cx| match this.future.as_mut().as_pin_mut() {
                    Some(future) => future.poll(cx),
                    None => panic!("`CutOn` polled after it ended"),
                })
            })
        };
        // The signal is outside the frame: its own cut must not keep it from firing.
        if matches!(inside, Inside::Pending) && this.expired.is_none() {
            if let Poll::Ready(signal) = this.signal.poll(&mut Context::from_waker(waker)) {
                *this.expired = Some(signal);
                if let Some(row) = &*this.row.borrow() {
                    let reason = raw::current(|frame| match frame {
                        Some(frame) => frame.reason_here(ReasonKind::Deadline, site),
                        None => Reason::from(ReasonKind::Deadline).at(site, None),
                    });
                    walk::cancel_inside(&row.table, row.id, &reason.inherited());
                }
                let kind = Kind::CutOn { row: this.row, waker, expired: true, site };
                inside = raw::enter(kind, inside::settle);
            }
        }
        let answer = match inside {
            Inside::Ready(value) => Poll::Ready(Ok(value)),
            Inside::Drop if this.expired.is_some() => {
                let kind = Kind::CutOn { row: this.row, waker, expired: true, site };
                raw::enter(kind, |_| this.future.set(None));
                let row = this.row.take();
                drop(row);
                return expired(this.expired);
            }
            // Cut from outside: the frame around drops it.
            Inside::Drop | Inside::Pending => Poll::Pending,
        };
        if answer.is_ready() {
            let row = this.row.take();
            drop(row);
        }
        answer
    }
}

/// The answer of a frame whose inside is gone. In a frame that is cut itself the code after it must not run (D17): it stays
/// pending, for the frame around to drop it.
fn expired<T, S>(signal: &mut Option<S>) -> Poll<Result<T, S>> {
    if raw::current(|frame| frame.is_some_and(Frame::is_cut)) {
        return Poll::Pending;
    }
    signal.take().map_or(Poll::Pending, |signal| Poll::Ready(Err(signal)))
}
