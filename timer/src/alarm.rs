//! A waker with a deadline.

use crate::ticket::Ticket;
use crate::timer::Timer;
use std::fmt;
use std::task::Waker;
use std::time::Instant;

/// A waker that a [`Timer`] wakes at a deadline, made by [`Timer::alarm`]. Dropping the alarm disarms it; a wake that the
/// host has collected already still comes.
///
/// ```
/// use ramus_timer::{Clock, Timer};
/// use std::task::Waker;
/// use std::time::Duration;
///
/// let (clock, hand) = Clock::manual();
/// let timer = Timer::new(clock);
/// let alarm = timer.alarm(timer.now() + Duration::from_secs(1), Waker::noop().clone());
/// drop(alarm);
/// hand.advance(Duration::from_secs(2));
/// assert_eq!(timer.fire(), 0);
/// ```
#[must_use = "an alarm is disarmed when it is dropped"]
pub struct Alarm {
    timer: Timer,
    /// `None`: it was woken when it was made.
    ticket: Option<Ticket>,
}

impl Alarm {
    pub(crate) fn new(timer: Timer, deadline: Instant, waker: Waker) -> Alarm {
        let ticket = match timer.arm(deadline, waker) {
            Ok(ticket) => Some(ticket),
            Err(waker) => {
                waker.wake();
                None
            }
        };
        Alarm { timer, ticket }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.timer.disarm(ticket);
        }
    }
}

impl fmt::Debug for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fired = self.ticket.is_none_or(|ticket| self.timer.has_fired(ticket));
        f.debug_struct("Alarm").field("fired", &fired).finish()
    }
}
