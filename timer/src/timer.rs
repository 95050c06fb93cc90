//! A wheel behind one lock, bound to a clock.
//!
//! **Floor.** After each turn the timer publishes a tick below which nothing is left in the wheel. It only rises. A
//! ticket below the floor has fired: its owner learns that without the lock.
//!
//! **Parking.** The host publishes the tick that it will sleep until in the same critical section that computes it, and
//! an insertion compares with it in the same critical section that inserts. So either the insertion comes first and the
//! host's deadline covers it, or it comes second, finds the host parked for longer and calls `notify`.
//!
//! **Under the lock** runs no code of others: wakers are cloned before, woken, replaced and dropped after.

use crate::alarm::Alarm;
use crate::clock::Clock;
use crate::dial::{Dial, Host, Works};
use crate::sync::{Arc, AtomicU64, BATCH, Mutex, Ordering};
use crate::wheel::{Step, Wheel};
use crate::{Interval, Sleep, Timeout};
use std::fmt;
use std::task::Waker;
use std::time::{Duration, Instant};

/// A set of deadlines and their wakers, bound to a [`Clock`]; clones share it.
///
/// A timer does nothing by itself: a *host* (a thread, an event loop) turns it. See the [crate's documentation](crate).
///
/// ```
/// use ramus_timer::{Clock, Timer};
///
/// let timer = Timer::new(Clock::monotonic());
/// assert!(timer.is_empty());
/// assert_eq!(timer.next_deadline(), None);
/// ```
#[derive(Clone)]
pub struct Timer {
    pub(crate) dial: Arc<Dial>,
}

impl Timer {
    /// A timer whose host needs no notice: it turns the timer regularly or from the thread that inserts.
    ///
    /// ```
    /// let timer = ramus_timer::Timer::new(ramus_timer::Clock::monotonic());
    /// assert_eq!(timer.len(), 0);
    /// ```
    pub fn new(clock: Clock) -> Timer {
        Timer::build(clock, None)
    }

    /// A timer that calls `notify` when a host that is [parked](Timer::park) has to look again: an insertion is earlier
    /// than what it waits for, or the timer was closed. `notify` runs on the inserting thread, under no lock.
    ///
    /// ```
    /// use ramus_timer::{Clock, Timer};
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicUsize, Ordering};
    /// use std::task::Waker;
    /// use std::time::Duration;
    ///
    /// let calls = Arc::new(AtomicUsize::new(0));
    /// let counter = calls.clone();
    /// let timer = Timer::with_notify(Clock::monotonic(), move || {
    ///     counter.fetch_add(1, Ordering::Relaxed);
    /// });
    /// let soon = timer.now() + Duration::from_secs(1);
    /// assert_eq!(timer.park(), None);
    /// let _alarm = timer.alarm(soon, Waker::noop().clone());
    /// assert_eq!(calls.load(Ordering::Relaxed), 1);
    /// ```
    pub fn with_notify(clock: Clock, notify: impl Fn() + Send + Sync + 'static) -> Timer {
        Timer::build(clock, Some(Box::new(notify)))
    }

    fn build(clock: Clock, notify: Option<Box<dyn Fn() + Send + Sync>>) -> Timer {
        let works = Works { wheel: Wheel::new(0), host: Host::Awake, closed: false };
        let origin = clock.now();
        Timer { dial: Arc::new(Dial { clock, origin, notify, floor: AtomicU64::new(0), works: Mutex::new(works) }) }
    }

    /// The present, as the timer's clock sees it.
    ///
    /// ```
    /// let (clock, _hand) = ramus_timer::Clock::manual();
    /// let timer = ramus_timer::Timer::new(clock.clone());
    /// assert_eq!(timer.now(), clock.now());
    /// ```
    pub fn now(&self) -> Instant {
        self.dial.clock.now()
    }

    /// When the timer wants to be [turned](Timer::turn) next; `None` if nothing is registered. Never later than the
    /// earliest deadline (rounded up to a tick) needs; now and then earlier.
    ///
    /// ```
    /// use ramus_timer::{Clock, Timer};
    /// use std::task::Waker;
    /// use std::time::Duration;
    ///
    /// let timer = Timer::new(Clock::monotonic());
    /// let deadline = timer.now() + Duration::from_millis(1);
    /// let _alarm = timer.alarm(deadline, Waker::noop().clone());
    /// assert!(timer.next_deadline().is_some());
    /// ```
    pub fn next_deadline(&self) -> Option<Instant> {
        let next = self.dial.works.lock().wheel.next_tick();
        next.map(|tick| self.dial.instant_of(tick))
    }

    /// Says that the host is about to block, and returns how long it may: until the next deadline. From now on an
    /// earlier insertion calls `notify`, once. Call [`unpark`](Timer::unpark) after blocking.
    ///
    /// ```
    /// let timer = ramus_timer::Timer::new(ramus_timer::Clock::monotonic());
    /// let deadline = timer.park();
    /// assert_eq!(deadline, None); // nothing to wait for
    /// timer.unpark();
    /// ```
    pub fn park(&self) -> Option<Instant> {
        let mut works = self.dial.works.lock();
        let next = works.wheel.next_tick();
        works.host = Host::Parked(next);
        drop(works);
        next.map(|tick| self.dial.instant_of(tick))
    }

    /// Says that the host is awake again: insertions no longer call `notify`.
    ///
    /// ```
    /// let timer = ramus_timer::Timer::new(ramus_timer::Clock::monotonic());
    /// timer.unpark(); // also without a park before it
    /// ```
    pub fn unpark(&self) {
        self.dial.works.lock().host = Host::Awake;
    }

    /// Appends the wakers of expired entries to `wakes` and forgets the entries. It does a bounded piece of work under
    /// the lock, at most 256 entries; true means that there may be more, so wake these and call again.
    ///
    /// `now` is the present by the timer's clock. A `now` that lies before an earlier one counts as the earlier one.
    ///
    /// ```
    /// use ramus_timer::{Clock, Timer};
    /// use std::task::Waker;
    /// use std::time::Duration;
    ///
    /// let (clock, hand) = Clock::manual();
    /// let timer = Timer::new(clock);
    /// let _alarm = timer.alarm(timer.now() + Duration::from_secs(1), Waker::noop().clone());
    /// hand.advance(Duration::from_secs(2));
    ///
    /// let mut wakes = Vec::new();
    /// while timer.turn(timer.now(), &mut wakes) {}
    /// assert_eq!(wakes.len(), 1);
    /// ```
    pub fn turn(&self, now: Instant, wakes: &mut Vec<Waker>) -> bool {
        let now = self.dial.tick_reached(now);
        let mut works = self.dial.works.lock();
        if works.closed {
            return false;
        }
        let mut more = true;
        for _ in 0..BATCH {
            match works.wheel.step(now) {
                Step::Fired(waker) => wakes.push(waker),
                Step::Moved => {}
                Step::Idle => {
                    more = false;
                    break;
                }
            }
        }
        let elapsed = works.wheel.elapsed();
        // Stopped half-way, the tick that the wheel has reached may have entries left.
        let floor = elapsed.saturating_add(u64::from(!more));
        // Ordering: Release [timer:W1], partner [ticket:R1]: who finds its ticket below the floor also comes after the
        // host's look at the clock. The store is under the lock, so floors are published in rising order.
        self.dial.floor.store(floor, Ordering::Release);
        more
    }

    /// Turns the timer until nothing is due and wakes what expired; returns how many wakers that were.
    ///
    /// ```
    /// use ramus_timer::{Clock, Timer};
    /// use std::task::Waker;
    /// use std::time::Duration;
    ///
    /// let (clock, hand) = Clock::manual();
    /// let timer = Timer::new(clock);
    /// let _alarm = timer.alarm(timer.now() + Duration::from_millis(1), Waker::noop().clone());
    /// assert_eq!(timer.fire(), 0);
    /// hand.advance(Duration::from_millis(2));
    /// assert_eq!(timer.fire(), 1);
    /// ```
    pub fn fire(&self) -> usize {
        let now = self.now();
        let mut wakes = Vec::new();
        let mut woken = 0;
        loop {
            let more = self.turn(now, &mut wakes);
            woken += wakes.len();
            wakes.drain(..).for_each(Waker::wake);
            if !more {
                return woken;
            }
        }
    }

    /// How many entries are registered.
    ///
    /// ```
    /// let timer = ramus_timer::Timer::new(ramus_timer::Clock::monotonic());
    /// assert_eq!(timer.len(), 0);
    /// ```
    pub fn len(&self) -> usize {
        self.dial.works.lock().wheel.len()
    }

    /// Whether nothing is registered.
    ///
    /// ```
    /// let timer = ramus_timer::Timer::new(ramus_timer::Clock::monotonic());
    /// assert!(timer.is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A future that completes once `duration` has passed from now. One longer than the clock can express waits for
    /// centuries.
    ///
    /// ```
    /// use ramus_timer::{Clock, Timer};
    /// use std::time::Duration;
    ///
    /// let timer = Timer::new(Clock::monotonic());
    /// let before = timer.now();
    /// let sleep = timer.sleep(Duration::from_millis(5));
    /// assert!(sleep.deadline() >= before + Duration::from_millis(5));
    /// ```
    pub fn sleep(&self, duration: Duration) -> Sleep {
        Sleep::lasting(self.clone(), duration)
    }

    /// A future that completes at `deadline`, or at once if that is past.
    ///
    /// ```
    /// let timer = ramus_timer::Timer::new(ramus_timer::Clock::monotonic());
    /// let now = timer.now();
    /// assert_eq!(timer.sleep_until(now).deadline(), now);
    /// ```
    pub fn sleep_until(&self, deadline: Instant) -> Sleep {
        Sleep::until(self.clone(), deadline)
    }

    /// Runs `future` for at most `limit`, counted from the first poll that leaves it pending.
    ///
    /// ```
    /// use ramus_timer::{Clock, Timer};
    /// use std::pin::pin;
    /// use std::task::{Context, Poll, Waker};
    /// use std::time::Duration;
    ///
    /// let timer = Timer::new(Clock::monotonic());
    /// let mut timeout = pin!(timer.timeout(Duration::ZERO, async { 7 }));
    /// let mut cx = Context::from_waker(Waker::noop());
    /// assert_eq!(timeout.as_mut().poll(&mut cx), Poll::Ready(Ok(7))); // a value wins
    /// ```
    pub fn timeout<F: Future>(&self, limit: Duration, future: F) -> Timeout<F> {
        Timeout::lasting(self.clone(), limit, future)
    }

    /// Runs `future` until `deadline` at most.
    ///
    /// ```
    /// use ramus_timer::{Clock, Timer};
    /// use std::future::pending;
    /// use std::pin::pin;
    /// use std::task::{Context, Poll, Waker};
    ///
    /// let timer = Timer::new(Clock::monotonic());
    /// let mut timeout = pin!(timer.timeout_at(timer.now(), pending::<()>()));
    /// let mut cx = Context::from_waker(Waker::noop());
    /// assert!(matches!(timeout.as_mut().poll(&mut cx), Poll::Ready(Err(_))));
    /// ```
    pub fn timeout_at<F: Future>(&self, deadline: Instant, future: F) -> Timeout<F> {
        Timeout::until(self.clone(), deadline, future)
    }

    /// Ticks every `period`, the first time at once.
    ///
    /// # Panics
    ///
    /// If `period` is zero.
    ///
    /// ```
    /// use ramus_timer::{Clock, Timer};
    /// use std::time::Duration;
    ///
    /// let timer = Timer::new(Clock::monotonic());
    /// let interval = timer.interval(Duration::from_secs(1));
    /// assert_eq!(interval.period(), Duration::from_secs(1));
    /// ```
    #[track_caller]
    pub fn interval(&self, period: Duration) -> Interval {
        self.interval_at(self.now(), period)
    }

    /// Ticks every `period`, the first time at `start`.
    ///
    /// # Panics
    ///
    /// If `period` is zero.
    ///
    /// ```
    /// use ramus_timer::{Clock, Timer};
    /// use std::time::Duration;
    ///
    /// let timer = Timer::new(Clock::monotonic());
    /// let start = timer.now() + Duration::from_secs(10);
    /// let interval = timer.interval_at(start, Duration::from_secs(1));
    /// assert_eq!(interval.period(), Duration::from_secs(1));
    /// ```
    #[track_caller]
    pub fn interval_at(&self, start: Instant, period: Duration) -> Interval {
        Interval::new(self.sleep_until(start), period)
    }

    /// Wakes `waker` at `deadline` unless the alarm is dropped before. If the timer knows already that the deadline is
    /// past, or was closed, it wakes within this call.
    ///
    /// ```
    /// use ramus_timer::{Clock, Timer};
    /// use std::task::Waker;
    /// use std::time::Duration;
    ///
    /// let timer = Timer::new(Clock::monotonic());
    /// let alarm = timer.alarm(timer.now() + Duration::from_secs(1), Waker::noop().clone());
    /// assert_eq!(timer.len(), 1);
    /// drop(alarm);
    /// assert_eq!(timer.len(), 0);
    /// ```
    pub fn alarm(&self, deadline: Instant, waker: Waker) -> Alarm {
        Alarm::new(self.clone(), deadline, waker)
    }

    /// Ends the timer: appends every entry's waker to `wakes`, and from now on whatever is registered completes, or is
    /// woken, at once. A parked host is notified.
    ///
    /// ```
    /// use ramus_timer::{Clock, Timer};
    /// use std::pin::pin;
    /// use std::task::{Context, Poll, Waker};
    /// use std::time::Duration;
    ///
    /// let timer = Timer::new(Clock::monotonic());
    /// let mut sleep = pin!(timer.sleep(Duration::from_secs(3600)));
    /// let mut cx = Context::from_waker(Waker::noop());
    /// assert_eq!(sleep.as_mut().poll(&mut cx), Poll::Pending);
    ///
    /// let mut wakes = Vec::new();
    /// timer.close(&mut wakes);
    /// assert_eq!(wakes.len(), 1);
    /// assert_eq!(sleep.as_mut().poll(&mut cx), Poll::Ready(()));
    /// ```
    pub fn close(&self, wakes: &mut Vec<Waker>) {
        let mut works = self.dial.works.lock();
        works.closed = true;
        let wheel = std::mem::replace(&mut works.wheel, Wheel::new(0));
        let parked = matches!(works.host, Host::Parked(_));
        // Ordering: Release [timer:W2], partner [ticket:R1]: as [timer:W1]. Every ticket counts as fired from here on
        // (one at the last tick of all finds its entry gone instead).
        self.dial.floor.store(u64::MAX, Ordering::Release);
        drop(works);
        wakes.extend(wheel.into_payloads());
        if parked {
            self.dial.notify();
        }
    }

    /// Whether the timer was [closed](Timer::close).
    ///
    /// ```
    /// let timer = ramus_timer::Timer::new(ramus_timer::Clock::monotonic());
    /// assert!(!timer.is_closed());
    /// timer.close(&mut Vec::new());
    /// assert!(timer.is_closed());
    /// ```
    pub fn is_closed(&self) -> bool {
        self.dial.works.lock().closed
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer").field("clock", &self.dial.clock).field("entries", &self.len()).finish_non_exhaustive()
    }
}
