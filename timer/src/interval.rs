//! A ticker.

use crate::Sleep;
use crate::clock::later;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

/// A tick that is at most this late is on time: it shifts nothing.
const TOLERANCE: Duration = Duration::from_millis(5);

/// Ticks at a fixed period, made by [`Timer::interval`](crate::Timer::interval) and
/// [`Timer::interval_at`](crate::Timer::interval_at).
///
/// ```
/// use ramus_timer::{Clock, Timer};
/// use std::task::{Context, Poll, Waker};
/// use std::time::Duration;
///
/// let (clock, hand) = Clock::manual();
/// let timer = Timer::new(clock);
/// let mut interval = timer.interval(Duration::from_secs(1));
/// let mut cx = Context::from_waker(Waker::noop());
/// let first = timer.now();
/// assert_eq!(interval.poll_tick(&mut cx), Poll::Ready(first));
/// assert_eq!(interval.poll_tick(&mut cx), Poll::Pending);
///
/// hand.advance(Duration::from_secs(1));
/// timer.fire();
/// hand.advance(Duration::from_millis(1)); // the tick is counted in whole ticks of the wheel
/// timer.fire();
/// assert_eq!(interval.poll_tick(&mut cx), Poll::Ready(first + Duration::from_secs(1)));
/// ```
#[derive(Debug)]
pub struct Interval {
    sleep: Sleep,
    period: Duration,
    missed: MissedTickBehavior,
}

/// What an [`Interval`] does when a tick was taken more than 5 ms late.
///
/// With a period of 1 s, a tick due at 2 s but taken at 4.5 s:
///
/// | behaviour | the next ticks are due at |
/// |---|---|
/// | `Burst` | 3 s, 4 s (both at once), 5 s, 6 s |
/// | `Delay` | 5.5 s, 6.5 s |
/// | `Skip` | 5 s, 6 s |
///
/// ```
/// use ramus_timer::MissedTickBehavior;
/// assert_eq!(MissedTickBehavior::default(), MissedTickBehavior::Burst);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissedTickBehavior {
    /// Catch up: every missed tick comes, as fast as they are taken.
    #[default]
    Burst,
    /// A full period between the late tick and the next one.
    Delay,
    /// Missed ticks are left out; the next one comes at a multiple of the period from the start.
    Skip,
}

impl Interval {
    #[track_caller]
    pub(crate) fn new(first: Sleep, period: Duration) -> Interval {
        assert!(!period.is_zero(), "the period of an interval must not be zero");
        Interval { sleep: first, period, missed: MissedTickBehavior::default() }
    }

    /// Waits for the next tick and returns when it was due.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it either completes or has no effect. A dropped wait loses no tick.
    ///
    /// ```
    /// # use std::time::Duration;
    /// async fn beat(timer: ramus_timer::Timer) {
    ///     let mut interval = timer.interval(Duration::from_secs(1));
    ///     for _ in 0..3 {
    ///         interval.tick().await;
    ///         println!("beat");
    ///     }
    /// }
    /// # let _ = beat;
    /// ```
    pub async fn tick(&mut self) -> Instant {
        poll_fn(|cx| self.poll_tick(cx)).await
    }

    /// Polls for the next tick.
    ///
    /// ```
    /// use std::task::{Context, Waker};
    /// let timer = ramus_timer::Timer::new(ramus_timer::Clock::monotonic());
    /// let mut interval = timer.interval(std::time::Duration::from_secs(1));
    /// assert!(interval.poll_tick(&mut Context::from_waker(Waker::noop())).is_ready());
    /// ```
    pub fn poll_tick(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        ready!(Pin::new(&mut self.sleep).poll(cx));
        let due = self.sleep.deadline();
        let next = self.after(due, self.sleep.timer().now());
        Pin::new(&mut self.sleep).reset(next);
        Poll::Ready(due)
    }

    /// When the tick after the one that was due at `due` and taken at `now` is due.
    fn after(&self, due: Instant, now: Instant) -> Instant {
        let late = now.saturating_duration_since(due);
        if late <= TOLERANCE {
            return later(due, self.period);
        }
        match self.missed {
            MissedTickBehavior::Burst => later(due, self.period),
            MissedTickBehavior::Delay => later(now, self.period),
            MissedTickBehavior::Skip => {
                let into_period = late.as_nanos() % self.period.as_nanos();
                let left = self.period.as_nanos() - into_period;
                // A remainder of more than 584 years is only cut short.
                later(now, Duration::from_nanos(u64::try_from(left).unwrap_or(u64::MAX)))
            }
        }
    }

    /// The next tick comes a full period from now.
    ///
    /// ```
    /// use std::task::{Context, Waker};
    /// let timer = ramus_timer::Timer::new(ramus_timer::Clock::monotonic());
    /// let mut interval = timer.interval(std::time::Duration::from_secs(1));
    /// interval.reset(); // no tick at once
    /// assert!(interval.poll_tick(&mut Context::from_waker(Waker::noop())).is_pending());
    /// ```
    pub fn reset(&mut self) {
        let next = later(self.sleep.timer().now(), self.period);
        Pin::new(&mut self.sleep).reset(next);
    }

    /// The time between ticks.
    ///
    /// ```
    /// # use std::time::Duration;
    /// let timer = ramus_timer::Timer::new(ramus_timer::Clock::monotonic());
    /// assert_eq!(timer.interval(Duration::from_secs(1)).period(), Duration::from_secs(1));
    /// ```
    pub fn period(&self) -> Duration {
        self.period
    }

    /// What it does about missed ticks.
    ///
    /// ```
    /// # use std::time::Duration;
    /// use ramus_timer::MissedTickBehavior;
    /// let timer = ramus_timer::Timer::new(ramus_timer::Clock::monotonic());
    /// let interval = timer.interval(Duration::from_secs(1));
    /// assert_eq!(interval.missed_tick_behavior(), MissedTickBehavior::Burst);
    /// ```
    pub fn missed_tick_behavior(&self) -> MissedTickBehavior {
        self.missed
    }

    /// Changes what it does about missed ticks.
    ///
    /// ```
    /// # use std::time::Duration;
    /// use ramus_timer::MissedTickBehavior;
    /// let timer = ramus_timer::Timer::new(ramus_timer::Clock::monotonic());
    /// let mut interval = timer.interval(Duration::from_secs(1));
    /// interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
    /// assert_eq!(interval.missed_tick_behavior(), MissedTickBehavior::Skip);
    /// ```
    pub fn set_missed_tick_behavior(&mut self, missed: MissedTickBehavior) {
        self.missed = missed;
    }
}
