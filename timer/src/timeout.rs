//! A future with a limit.

use crate::{Sleep, Timer};
use pin_project_lite::pin_project;
use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use std::{fmt, io};

pin_project! {
    /// A future that runs until it completes or its time is up, made by [`Timer::timeout`] and [`Timer::timeout_at`].
    ///
    /// The future inside is polled first; the clock and the wheel are touched only when it is pending, so a value that is
    /// there wins over a deadline that is past. The future is dropped together with this one.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe to drop, but what was under way inside is lost with it.
    ///
    /// ```
    /// use ramus_timer::{Clock, Timer};
    /// use std::future::pending;
    /// use std::pin::pin;
    /// use std::task::{Context, Poll, Waker};
    /// use std::time::Duration;
    ///
    /// let (clock, hand) = Clock::manual();
    /// let timer = Timer::new(clock);
    /// let mut timeout = pin!(timer.timeout(Duration::from_secs(1), pending::<()>()));
    /// let mut cx = Context::from_waker(Waker::noop());
    /// assert!(timeout.as_mut().poll(&mut cx).is_pending());
    ///
    /// hand.advance(Duration::from_secs(2));
    /// timer.fire();
    /// assert!(matches!(timeout.as_mut().poll(&mut cx), Poll::Ready(Err(_))));
    /// ```
    #[must_use = "a time-out does nothing unless it is polled"]
    pub struct Timeout<F> {
        #[pin]
        future: F,
        limit: Limit,
    }
}

enum Limit {
    /// The future was not found pending yet.
    After(Timer, Duration),
    Sleep(Sleep),
}

impl<F: Future> Timeout<F> {
    pub(crate) fn lasting(timer: Timer, limit: Duration, future: F) -> Self {
        Timeout { future, limit: Limit::After(timer, limit) }
    }

    pub(crate) fn until(timer: Timer, deadline: Instant, future: F) -> Self {
        Timeout { future, limit: Limit::Sleep(Sleep::until(timer, deadline)) }
    }
}

impl<F> Timeout<F> {
    /// The future inside.
    ///
    /// ```
    /// use ramus_timer::{Clock, Timer};
    /// use std::time::Duration;
    ///
    /// let timer = Timer::new(Clock::monotonic());
    /// let timeout = timer.timeout(Duration::from_secs(1), std::future::ready(3));
    /// assert_eq!(timeout.into_inner().into_inner(), 3);
    /// ```
    pub fn into_inner(self) -> F {
        self.future
    }
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(output) = this.future.poll(cx) {
            return Poll::Ready(Ok(output));
        }
        if let Limit::After(timer, limit) = this.limit {
            *this.limit = Limit::Sleep(timer.sleep(*limit));
        }
        if let Limit::Sleep(sleep) = this.limit {
            ready!(Pin::new(sleep).poll(cx));
        }
        Poll::Ready(Err(Elapsed(())))
    }
}

impl<F: fmt::Debug> fmt::Debug for Timeout<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Timeout");
        out.field("future", &self.future);
        match &self.limit {
            Limit::After(_, limit) => out.field("limit", limit),
            Limit::Sleep(sleep) => out.field("deadline", &sleep.deadline()),
        };
        out.finish()
    }
}

/// The error of a time-out: the time was up before the future completed.
///
/// ```
/// use std::io;
/// let error: io::Error = ramus_timer::Elapsed::new().into();
/// assert_eq!(error.kind(), io::ErrorKind::TimedOut);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed(());

impl Elapsed {
    /// The error, for who builds a time-out of their own.
    ///
    /// ```
    /// assert_eq!(ramus_timer::Elapsed::new().to_string(), "the time was up before the future completed");
    /// ```
    #[expect(clippy::new_without_default, reason = "an error is no default")]
    pub fn new() -> Elapsed {
        Elapsed(())
    }
}

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the time was up before the future completed")
    }
}

impl Error for Elapsed {}

impl From<Elapsed> for io::Error {
    fn from(elapsed: Elapsed) -> io::Error {
        io::Error::new(io::ErrorKind::TimedOut, elapsed)
    }
}
