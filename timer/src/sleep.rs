//! A future that completes at a deadline.

use crate::clock::later;
use crate::ticket::Ticket;
use crate::timer::Timer;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// A future that completes at its deadline, made by [`Timer::sleep`] and [`Timer::sleep_until`].
///
/// It is registered by the first poll that finds it pending, and from then on its timer alone decides when it completes:
/// never before the deadline, and at the timer's next turn after it. When the timer is closed it completes at once.
/// After completion it stays complete until it is [reset](Sleep::reset).
///
/// It costs a lock when it is registered, when it is polled again before its deadline and when it is dropped before it;
/// dropping one that was never registered or has fired takes none.
///
/// # Cancel safety
///
/// Cancel safe: it only observes, and a cut or dropped wait has no effect. The deadline is an instant, so a
/// new sleep may wait for the rest of it.
///
/// ```
/// use ramus_timer::{Clock, Timer};
/// use std::pin::pin;
/// use std::task::{Context, Poll, Waker};
/// use std::time::Duration;
///
/// let (clock, hand) = Clock::manual();
/// let timer = Timer::new(clock);
/// let mut sleep = pin!(timer.sleep(Duration::from_secs(5)));
/// let mut cx = Context::from_waker(Waker::noop());
/// assert_eq!(sleep.as_mut().poll(&mut cx), Poll::Pending);
///
/// hand.advance(Duration::from_secs(6));
/// timer.fire();
/// assert_eq!(sleep.as_mut().poll(&mut cx), Poll::Ready(()));
/// ```
#[must_use = "a sleep does nothing unless it is polled"]
pub struct Sleep {
    timer: Timer,
    deadline: Instant,
    phase: Phase,
}

#[derive(Clone, Copy)]
enum Phase {
    /// Not in the wheel. `look`: the deadline may be past, so the next poll asks the clock before it registers.
    Unarmed { look: bool },
    /// Registered; the entry may have fired since.
    Armed(Ticket),
    /// Completed.
    Done,
}

impl Sleep {
    /// A sleep on `timer` until `deadline`; its first poll asks the clock whether that is past. The same as
    /// [`Timer::sleep_until`], for a handle that can be given away.
    ///
    /// ```
    /// use ramus_timer::{Clock, Sleep, Timer};
    ///
    /// let timer = Timer::new(Clock::monotonic());
    /// let now = timer.now();
    /// assert_eq!(Sleep::until(timer, now).deadline(), now);
    /// ```
    pub fn until(timer: Timer, deadline: Instant) -> Sleep {
        Sleep { timer, deadline, phase: Phase::Unarmed { look: true } }
    }

    /// A sleep on `timer` until a `deadline` that lies ahead, as the caller has just found: the first poll registers it
    /// without another look at the clock. Should it come after the deadline all the same, the timer's next turn completes
    /// the sleep.
    ///
    /// ```
    /// use ramus_timer::{Clock, Sleep, Timer};
    /// use std::time::Duration;
    ///
    /// let timer = Timer::new(Clock::monotonic());
    /// let deadline = timer.now() + Duration::from_secs(1);
    /// assert_eq!(Sleep::ahead(timer, deadline).deadline(), deadline);
    /// ```
    pub fn ahead(timer: Timer, deadline: Instant) -> Sleep {
        Sleep { timer, deadline, phase: Phase::Unarmed { look: false } }
    }

    /// A sleep of `duration` from now.
    pub(crate) fn lasting(timer: Timer, duration: Duration) -> Sleep {
        let now = timer.now();
        if duration.is_zero() { Sleep::until(timer, now) } else { Sleep::ahead(timer, later(now, duration)) }
    }

    /// When it completes.
    ///
    /// ```
    /// let timer = ramus_timer::Timer::new(ramus_timer::Clock::monotonic());
    /// let deadline = timer.now() + std::time::Duration::from_secs(1);
    /// assert_eq!(timer.sleep_until(deadline).deadline(), deadline);
    /// ```
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Whether it has expired as far as it knows without asking the clock: it has completed, or its timer has fired it.
    ///
    /// ```
    /// let timer = ramus_timer::Timer::new(ramus_timer::Clock::monotonic());
    /// assert!(!timer.sleep(std::time::Duration::from_secs(1)).is_elapsed());
    /// ```
    pub fn is_elapsed(&self) -> bool {
        match self.phase {
            Phase::Unarmed { .. } => false,
            Phase::Armed(ticket) => self.timer.has_fired(ticket),
            Phase::Done => true,
        }
    }

    /// The timer that it is bound to, for good: a reset from another thread stays with it.
    ///
    /// ```
    /// use ramus_timer::{Clock, Timer};
    /// let (clock, _hand) = Clock::manual();
    /// let timer = Timer::new(clock);
    /// let sleep = timer.sleep(std::time::Duration::from_secs(1));
    /// assert_eq!(sleep.timer().now(), timer.now());
    /// ```
    pub fn timer(&self) -> &Timer {
        &self.timer
    }

    /// Gives it another deadline. A registered sleep keeps its place and its waker, so the task that polled it last is
    /// woken at the new deadline; one that has completed or was never polled must be polled to be registered.
    ///
    /// ```
    /// use ramus_timer::{Clock, Timer};
    /// use std::pin::pin;
    /// use std::task::{Context, Poll, Waker};
    /// use std::time::Duration;
    ///
    /// let (clock, hand) = Clock::manual();
    /// let timer = Timer::new(clock);
    /// let mut sleep = pin!(timer.sleep(Duration::from_secs(1)));
    /// let mut cx = Context::from_waker(Waker::noop());
    /// assert_eq!(sleep.as_mut().poll(&mut cx), Poll::Pending);
    ///
    /// sleep.as_mut().reset(timer.now() + Duration::from_secs(10));
    /// hand.advance(Duration::from_secs(5));
    /// assert_eq!(timer.fire(), 0);
    /// hand.advance(Duration::from_secs(6));
    /// assert_eq!(timer.fire(), 1);
    /// ```
    pub fn reset(mut self: Pin<&mut Self>, deadline: Instant) {
        self.deadline = deadline;
        let rearmed = match self.phase {
            Phase::Armed(ticket) => self.timer.rearm(ticket, deadline),
            Phase::Unarmed { .. } | Phase::Done => None,
        };
        self.phase = rearmed.map_or(Phase::Unarmed { look: true }, Phase::Armed);
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match self.phase {
            Phase::Done => return Poll::Ready(()),
            Phase::Armed(ticket) => {
                if self.timer.keep(ticket, cx.waker()) {
                    return Poll::Pending;
                }
            }
            Phase::Unarmed { look } => {
                if !look || self.timer.now() < self.deadline {
                    if let Ok(ticket) = self.timer.arm(self.deadline, cx.waker().clone()) {
                        self.phase = Phase::Armed(ticket);
                        return Poll::Pending;
                    }
                }
            }
        }
        self.phase = Phase::Done;
        Poll::Ready(())
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Phase::Armed(ticket) = self.phase {
            self.timer.disarm(ticket);
        }
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep").field("deadline", &self.deadline).field("elapsed", &self.is_elapsed()).finish()
    }
}
