//! What time it is: the system's monotonic clock, or one that is moved by hand.

use crate::sync::{Arc, AtomicU64, Ordering};
use std::fmt;
use std::time::{Duration, Instant};

/// A source of [`Instant`]s. Clones show the same time.
///
/// ```
/// use ramus_timer::Clock;
/// use std::time::Duration;
///
/// let (clock, hand) = Clock::manual();
/// let start = clock.now();
/// hand.advance(Duration::from_secs(3600));
/// assert_eq!(clock.now() - start, Duration::from_secs(3600));
/// ```
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    Monotonic,
    Manual(ManualClock),
}

impl Clock {
    /// The monotonic clock of the system: [`Instant::now`].
    ///
    /// ```
    /// let clock = ramus_timer::Clock::monotonic();
    /// assert!(clock.now() <= std::time::Instant::now());
    /// ```
    pub fn monotonic() -> Clock {
        Clock(Source::Monotonic)
    }

    /// A clock that stands still until its [`ManualClock`] moves it. It starts at the present.
    ///
    /// ```
    /// let (clock, _hand) = ramus_timer::Clock::manual();
    /// assert_eq!(clock.now(), clock.now());
    /// ```
    pub fn manual() -> (Clock, ManualClock) {
        let hand = ManualClock(Arc::new(Hand { start: Instant::now(), nanos: AtomicU64::new(0) }));
        (Clock(Source::Manual(hand.clone())), hand)
    }

    /// True if it is moved by hand.
    ///
    /// ```
    /// use ramus_timer::Clock;
    ///
    /// assert!(Clock::manual().0.is_manual() && !Clock::monotonic().is_manual());
    /// ```
    pub fn is_manual(&self) -> bool {
        matches!(self.0, Source::Manual(_))
    }

    /// The present, as this clock sees it.
    ///
    /// ```
    /// let clock = ramus_timer::Clock::monotonic();
    /// let before = clock.now();
    /// assert!(clock.now() >= before);
    /// ```
    pub fn now(&self) -> Instant {
        match &self.0 {
            Source::Monotonic => Instant::now(),
            Source::Manual(hand) => hand.now(),
        }
    }
}

/// Moves a manual [`Clock`]. Clones move the same clock.
///
/// Moving the clock wakes nobody: call [`Timer::turn`](crate::Timer::turn) afterwards.
///
/// ```
/// use ramus_timer::{Clock, Timer};
/// use std::time::Duration;
///
/// let (clock, hand) = Clock::manual();
/// let timer = Timer::new(clock);
/// let deadline = timer.now() + Duration::from_secs(1);
/// hand.set(deadline);
/// assert_eq!(timer.now(), deadline);
/// ```
#[derive(Clone)]
pub struct ManualClock(Arc<Hand>);

struct Hand {
    start: Instant,
    nanos: AtomicU64,
}

impl ManualClock {
    /// Moves the clock forward by `by`; it stops 584 years after its start.
    ///
    /// ```
    /// use std::time::Duration;
    /// let (clock, hand) = ramus_timer::Clock::manual();
    /// let start = clock.now();
    /// hand.advance(Duration::from_millis(5));
    /// assert_eq!(clock.now() - start, Duration::from_millis(5));
    /// ```
    pub fn advance(&self, by: Duration) {
        let now = self.now();
        self.set(later(now, by));
    }

    /// Sets the clock, also back; not before its start, and at most 584 years after it.
    ///
    /// ```
    /// use std::time::Duration;
    /// let (clock, hand) = ramus_timer::Clock::manual();
    /// let start = clock.now();
    /// hand.advance(Duration::from_secs(5));
    /// hand.set(start);
    /// assert_eq!(clock.now(), start);
    /// ```
    pub fn set(&self, now: Instant) {
        let nanos = now.saturating_duration_since(self.0.start).as_nanos();
        // Ordering: Release [clock:W1], partner [clock:R1]: whoever reads this time also sees what was done before it.
        self.0.nanos.store(u64::try_from(nanos).unwrap_or(u64::MAX), Ordering::Release);
    }

    fn now(&self) -> Instant {
        // Ordering: Acquire [clock:R1], partner [clock:W1].
        let nanos = self.0.nanos.load(Ordering::Acquire);
        later(self.0.start, Duration::from_nanos(nanos))
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManualClock").field("now", &self.now()).finish()
    }
}

/// `base + by`; where an [`Instant`] cannot hold that, an instant that is centuries away all the same.
///
/// ```
/// use ramus_timer::later;
/// use std::time::{Duration, Instant};
///
/// let now = Instant::now();
/// assert_eq!(later(now, Duration::from_secs(1)), now + Duration::from_secs(1));
/// assert!(later(now, Duration::MAX) > later(now, Duration::from_secs(100 * 365 * 86_400)));
/// ```
pub fn later(base: Instant, mut by: Duration) -> Instant {
    loop {
        match base.checked_add(by) {
            Some(instant) => return instant,
            None => by /= 2,
        }
    }
}
