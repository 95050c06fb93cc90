//! Waiting for time: sleeps, time-outs and intervals.
//!
//! A deadline is registered with the timer of the worker that first polls it, and costs no system call. Nothing fires
//! early; the granularity is 131 µs.
//!
//! | for | there is |
//! |---|---|
//! | waiting | [`sleep`], [`sleep_until`], [`interval`], [`interval_at`] |
//! | a limit for a future | [`timeout`], [`timeout_at`] |
//! | a limit for a scope with its children | [`ScopeBuilder::deadline`](crate::ScopeBuilder::deadline) |
//! | what time it is, also in a simulation | [`now`] |
//!
//! ```
//! use ramus::time::{Duration, Instant, sleep};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let runtime = ramus::Runtime::new()?;
//! runtime.block_on(async {
//!     let start = Instant::now();
//!     sleep(Duration::from_millis(5)).await;
//!     assert!(start.elapsed() >= Duration::from_millis(5));
//! });
//! # Ok(())
//! # }
//! ```

use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use pin_project_lite::pin_project;
use ramus_scope::CutOn;
use ramus_timer::{Timer, later};

#[doc(no_inline)]
pub use std::time::{Duration, Instant};

pub use ramus_timer::{Elapsed, MissedTickBehavior};

use crate::context;
use crate::leaf;

mod interval;

pub use interval::{Interval, interval, interval_at};

/// What time it is in the calling thread's runtime: [`Instant::now`], unless that runtime is simulated and lives in
/// virtual time. Outside of a runtime it is the system's time.
///
/// Code that computes deadlines and asks for them here can be tested in virtual time.
///
/// ```
/// use ramus::time::{Duration, now, sleep};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// ramus::Runtime::new()?.block_on(async {
///     let start = now();
///     sleep(Duration::from_millis(1)).await;
///     assert!(now() - start >= Duration::from_millis(1));
/// });
/// # Ok(())
/// # }
/// ```
#[inline]
pub fn now() -> Instant {
    context::now()
}

/// A future that completes once `duration` has passed from now; one that is longer than the clock can express waits for
/// centuries.
///
/// # Panics
///
/// The future panics when it is polled outside a runtime. It may be made anywhere.
///
/// # Cancel safety
///
/// Cancel safe: it only observes, and a cut or dropped wait has no effect.
///
/// ```
/// use ramus::time::{Duration, sleep};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let nap = sleep(Duration::from_millis(1)); // outside of the runtime
/// ramus::Runtime::new()?.block_on(nap);
/// # Ok(())
/// # }
/// ```
pub fn sleep(duration: Duration) -> Sleep {
    let deadline = later(context::now(), duration);
    Sleep(Phase::Unbound { deadline, ahead: !duration.is_zero() })
}

/// A future that completes at `deadline`, or at once if that is past.
///
/// # Panics
///
/// The future panics when it is polled outside a runtime. It may be made anywhere.
///
/// # Cancel safety
///
/// Cancel safe: it only observes, and a cut or dropped wait has no effect.
///
/// ```
/// use ramus::time::{Duration, Instant, sleep_until};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let deadline = Instant::now() + Duration::from_millis(2);
/// ramus::Runtime::new()?.block_on(sleep_until(deadline));
/// assert!(Instant::now() >= deadline);
/// # Ok(())
/// # }
/// ```
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep(Phase::Unbound { deadline, ahead: false })
}

/// A future that completes at its deadline, made by [`sleep`] and [`sleep_until`].
///
/// It is bound to the timer of the worker that polls it first and stays with it wherever its task moves. After completion
/// it stays complete until it is [reset](Sleep::reset).
///
/// ```
/// use ramus::time::{Duration, Instant, sleep};
///
/// let nap = sleep(Duration::from_secs(1));
/// assert!(nap.deadline() > Instant::now());
/// ```
#[derive(Debug)]
#[must_use = "a sleep does nothing unless it is polled"]
pub struct Sleep(Phase);

#[derive(Debug)]
enum Phase {
    /// Not polled yet. `ahead`: the deadline was found to lie ahead when it was set, which saves a look at the clock.
    Unbound {
        deadline: Instant,
        ahead: bool,
    },
    Bound(ramus_timer::Sleep),
}

impl Sleep {
    /// When it completes.
    ///
    /// ```
    /// use ramus::time::{Instant, sleep_until};
    ///
    /// let now = Instant::now();
    /// assert_eq!(sleep_until(now).deadline(), now);
    /// ```
    pub fn deadline(&self) -> Instant {
        match &self.0 {
            Phase::Unbound { deadline, .. } => *deadline,
            Phase::Bound(sleep) => sleep.deadline(),
        }
    }

    /// Whether it has expired as far as it knows without asking the clock: it has completed, or its timer has fired it.
    ///
    /// ```
    /// use ramus::time::{Duration, sleep};
    ///
    /// assert!(!sleep(Duration::from_secs(1)).is_elapsed());
    /// ```
    pub fn is_elapsed(&self) -> bool {
        match &self.0 {
            Phase::Unbound { .. } => false,
            Phase::Bound(sleep) => sleep.is_elapsed(),
        }
    }

    /// Gives it another deadline. One that waits keeps its place in the timer and is woken at the new deadline; one that
    /// has completed, or was never polled, must be polled.
    ///
    /// ```
    /// use ramus::time::{Duration, Instant, sleep};
    /// use std::pin::pin;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// ramus::Runtime::new()?.block_on(async {
    ///     let mut nap = pin!(sleep(Duration::from_secs(3600)));
    ///     nap.as_mut().reset(Instant::now() + Duration::from_millis(1));
    ///     nap.await;
    /// });
    /// # Ok(())
    /// # }
    /// ```
    pub fn reset(mut self: Pin<&mut Self>, deadline: Instant) {
        match &mut self.0 {
            Phase::Unbound { deadline: old, ahead } => {
                *old = deadline;
                *ahead = false;
            }
            Phase::Bound(sleep) => Pin::new(sleep).reset(deadline),
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let charge = ready!(leaf::poll_enter(cx));
        if let Phase::Unbound { deadline, ahead } = self.0 {
            let bind = if ahead || context::lies_far_ahead(deadline) {
                ramus_timer::Sleep::ahead
            } else {
                ramus_timer::Sleep::until
            };
            self.0 = Phase::Bound(bind(current_timer(), deadline));
        }
        if let Phase::Bound(sleep) = &mut self.0 {
            ready!(Pin::new(sleep).poll(cx));
        }
        charge.made_progress();
        Poll::Ready(())
    }
}

/// Runs `future` for at most `limit`, counted from the first poll that leaves it pending.
///
/// When the time is up, what is inside is cancelled as from outside: the scopes in it drain, then `future` is dropped,
/// then [`Elapsed`] is returned. A value that `future` produces meanwhile, or has ready when the time is up, wins.
///
/// # Errors
///
/// [`Elapsed`], if the time was up first.
///
/// # Panics
///
/// The future panics when it has to wait outside a runtime.
///
/// # Cancel safety
///
/// Cancel safe to drop, but what was under way inside is lost with it: `future` is dropped at its suspension.
///
/// ```
/// use ramus::time::{Duration, timeout};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// ramus::Runtime::new()?.block_on(async {
///     assert!(timeout(Duration::from_millis(1), std::future::pending::<()>()).await.is_err());
///     assert_eq!(timeout(Duration::ZERO, async { 7 }).await, Ok(7));
/// });
/// # Ok(())
/// # }
/// ```
#[track_caller]
pub fn timeout<F: IntoFuture>(limit: Duration, future: F) -> Timeout<F::IntoFuture> {
    Timeout { frame: CutOn::new(future.into_future(), Deadline::After(limit)) }
}

/// Runs `future` until `deadline` at most; otherwise as [`timeout`].
///
/// # Errors
///
/// [`Elapsed`], if the deadline came first.
///
/// # Panics
///
/// The future panics when it has to wait outside a runtime.
///
/// # Cancel safety
///
/// Cancel safe to drop, but what was under way inside is lost with it: `future` is dropped at its suspension.
///
/// ```
/// use ramus::time::{Duration, Instant, sleep, timeout_at};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// ramus::Runtime::new()?.block_on(async {
///     let deadline = Instant::now() + Duration::from_millis(1);
///     assert!(timeout_at(deadline, sleep(Duration::from_secs(3600))).await.is_err());
/// });
/// # Ok(())
/// # }
/// ```
#[track_caller]
pub fn timeout_at<F: IntoFuture>(deadline: Instant, future: F) -> Timeout<F::IntoFuture> {
    Timeout { frame: CutOn::new(future.into_future(), Deadline::At(deadline)) }
}

pin_project! {
    /// A future with a limit, made by [`timeout`] and [`timeout_at`]. It is a frame: what runs inside is cut when the
    /// time is up.
    ///
    /// ```
    /// use ramus::time::{Duration, Elapsed, Timeout, timeout};
    ///
    /// async fn patient<F: Future<Output = u8>>(limited: Timeout<F>) -> Result<u8, Elapsed> {
    ///     limited.await
    /// }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let answer = ramus::Runtime::new()?.block_on(patient(timeout(Duration::from_secs(1), async { 3 })));
    /// assert_eq!(answer, Ok(3));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "a time-out does nothing unless it is polled"]
    pub struct Timeout<F> {
        #[pin]
        frame: CutOn<F, Deadline>,
    }
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().frame.poll(cx)
    }
}

impl<F> std::fmt::Debug for Timeout<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Timeout").finish_non_exhaustive()
    }
}

/// The signal of a time-out. It is polled outside the budget: a future inside that eats up the budget in every poll must
/// not outlive its deadline.
#[derive(Debug)]
pub(crate) enum Deadline {
    /// Counted from the first poll, which comes when the future inside is found pending.
    After(Duration),
    At(Instant),
    /// Not registered yet, because the task is polled again anyway. Most time-outs around something short end here.
    Ahead(Instant),
    Bound(ramus_timer::Sleep),
}

impl Deadline {
    /// The time at which it is up, if its task does not come to rest before it has looked at the clock again.
    fn unregistered(&self, waker: &Waker) -> Option<Instant> {
        if !context::is_polled_again(waker) {
            return None;
        }
        let now = context::now();
        match self {
            Deadline::After(limit) => Some(later(now, *limit)).filter(|at| *at > now),
            Deadline::At(at) | Deadline::Ahead(at) => Some(*at).filter(|at| *at > now),
            Deadline::Bound(_) => None,
        }
    }
}

impl Future for Deadline {
    type Output = Elapsed;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Elapsed> {
        if ramus_scope::is_cut() {
            return Poll::Pending;
        }
        if let Deadline::Bound(sleep) = &mut *self {
            return Pin::new(sleep).poll(cx).map(|()| Elapsed::new());
        }
        if let Some(at) = self.unregistered(cx.waker()) {
            *self = Deadline::Ahead(at);
            return Poll::Pending;
        }
        let sleep = match &*self {
            Deadline::Bound(_) => unreachable!("returned above"),
            Deadline::After(limit) => current_timer().sleep(*limit),
            Deadline::At(at) | Deadline::Ahead(at) => ramus_timer::Sleep::until(current_timer(), *at),
        };
        *self = Deadline::Bound(sleep);
        self.poll(cx)
    }
}

/// The timer of the calling thread's runtime.
fn current_timer() -> Timer {
    match context::timer() {
        Ok(timer) => timer,
        Err(error) => panic!("a deadline needs a timer: {error}"),
    }
}
