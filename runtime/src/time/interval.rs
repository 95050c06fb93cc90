//! Tickers.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use ramus_timer::later;

use super::{Duration, Instant, MissedTickBehavior, current_timer};
use crate::{context, leaf};

/// Ticks every `period`, the first time at once.
///
/// # Panics
///
/// If `period` is zero; and when it is polled for the first time outside a runtime.
///
/// ```
/// use ramus::time::{Duration, interval};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// ramus::Runtime::new()?.block_on(async {
///     let mut ticks = interval(Duration::from_millis(1));
///     let first = ticks.tick().await;
///     assert_eq!(ticks.tick().await - first, Duration::from_millis(1));
/// });
/// # Ok(())
/// # }
/// ```
#[track_caller]
pub fn interval(period: Duration) -> Interval {
    interval_at(context::now(), period)
}

/// Ticks every `period`, the first time at `start`.
///
/// # Panics
///
/// If `period` is zero; and when it is polled for the first time outside a runtime.
///
/// ```
/// use ramus::time::{Duration, Instant, interval_at};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// ramus::Runtime::new()?.block_on(async {
///     let start = Instant::now() + Duration::from_millis(2);
///     let mut ticks = interval_at(start, Duration::from_millis(1));
///     assert_eq!(ticks.tick().await, start);
/// });
/// # Ok(())
/// # }
/// ```
#[track_caller]
pub fn interval_at(start: Instant, period: Duration) -> Interval {
    assert!(!period.is_zero(), "the period of an interval must not be zero");
    Interval { period, missed: MissedTickBehavior::default(), ticker: Ticker::Unbound(start) }
}

/// Ticks at a fixed period, made by [`interval`] and [`interval_at`].
///
/// ```
/// use ramus::time::{Duration, interval};
///
/// assert_eq!(interval(Duration::from_secs(1)).period(), Duration::from_secs(1));
/// ```
#[derive(Debug)]
pub struct Interval {
    period: Duration,
    missed: MissedTickBehavior,
    ticker: Ticker,
}

#[derive(Debug)]
enum Ticker {
    /// Not polled yet: when the first tick is due.
    Unbound(Instant),
    Bound(ramus_timer::Interval),
}

impl Interval {
    /// Waits for the next tick and returns when it was due.
    ///
    /// # Panics
    ///
    /// If the first poll is outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it either completes or has no effect. A dropped wait loses no tick.
    ///
    /// ```
    /// # use ramus::time::{Duration, interval};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// ramus::Runtime::new()?.block_on(async {
    ///     interval(Duration::from_secs(1)).tick().await; // the first tick comes at once
    /// });
    /// # Ok(())
    /// # }
    /// ```
    pub async fn tick(&mut self) -> Instant {
        poll_fn(|cx| self.poll_tick(cx)).await
    }

    /// Polls for the next tick.
    ///
    /// # Panics
    ///
    /// If the first poll is outside a runtime.
    ///
    /// ```
    /// # use ramus::time::{Duration, interval};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut ticks = interval(Duration::from_secs(1));
    /// ramus::Runtime::new()?.block_on(std::future::poll_fn(|cx| ticks.poll_tick(cx)));
    /// # Ok(())
    /// # }
    /// ```
    pub fn poll_tick(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        let charge = ready!(leaf::poll_enter(cx));
        let due = match &mut self.ticker {
            Ticker::Bound(ticker) => ready!(ticker.poll_tick(cx)),
            Ticker::Unbound(start) => {
                let mut ticker = current_timer().interval_at(*start, self.period);
                ticker.set_missed_tick_behavior(self.missed);
                let first = ticker.poll_tick(cx);
                self.ticker = Ticker::Bound(ticker);
                ready!(first)
            }
        };
        charge.made_progress();
        Poll::Ready(due)
    }

    /// The next tick comes a full period from now.
    ///
    /// ```
    /// # use ramus::time::{Duration, Instant, interval};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut ticks = interval(Duration::from_millis(1));
    /// let now = Instant::now();
    /// ticks.reset();
    /// let due = ramus::Runtime::new()?.block_on(ticks.tick());
    /// assert!(due >= now + Duration::from_millis(1));
    /// # Ok(())
    /// # }
    /// ```
    pub fn reset(&mut self) {
        match &mut self.ticker {
            Ticker::Unbound(start) => *start = later(context::now(), self.period),
            Ticker::Bound(ticker) => ticker.reset(),
        }
    }

    /// The time between ticks.
    ///
    /// ```
    /// # use ramus::time::{Duration, interval};
    /// assert_eq!(interval(Duration::from_millis(5)).period(), Duration::from_millis(5));
    /// ```
    pub fn period(&self) -> Duration {
        self.period
    }

    /// What it does about missed ticks.
    ///
    /// ```
    /// # use ramus::time::{Duration, MissedTickBehavior, interval};
    /// assert_eq!(interval(Duration::from_secs(1)).missed_tick_behavior(), MissedTickBehavior::Burst);
    /// ```
    pub fn missed_tick_behavior(&self) -> MissedTickBehavior {
        self.missed
    }

    /// Changes what it does about missed ticks.
    ///
    /// ```
    /// # use ramus::time::{Duration, MissedTickBehavior, interval};
    /// let mut ticks = interval(Duration::from_secs(1));
    /// ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    /// assert_eq!(ticks.missed_tick_behavior(), MissedTickBehavior::Delay);
    /// ```
    pub fn set_missed_tick_behavior(&mut self, missed: MissedTickBehavior) {
        self.missed = missed;
        if let Ticker::Bound(ticker) = &mut self.ticker {
            ticker.set_missed_tick_behavior(missed);
        }
    }
}
