//! A host for a timer: one thread that does nothing else.

use crate::sync::{Arc, Condvar, Mutex};
use crate::{Clock, Timer};
use std::time::Instant;

/// A [`Timer`] on the monotonic clock, with the loop that turns it on a thread of its own.
///
/// This is the host for executors that have none. The loop sleeps until the next deadline, however far, and makes no
/// system call while nothing is due.
///
/// ```
/// use ramus_timer::Drive;
/// use std::task::Waker;
/// use std::thread;
///
/// let drive = Drive::new();
/// let timer = drive.timer().clone();
/// let host = thread::spawn(move || drive.run());
/// // … use `timer` on any executor …
/// let mut wakes = Vec::new();
/// timer.close(&mut wakes); // ends the loop
/// wakes.into_iter().for_each(Waker::wake);
/// host.join().expect("the loop ends");
/// ```
#[derive(Debug)]
pub struct Drive {
    timer: Timer,
    bell: Arc<Bell>,
}

impl Drive {
    /// A timer and its loop, which does not run yet.
    ///
    /// ```
    /// let drive = ramus_timer::Drive::new();
    /// assert!(drive.timer().is_empty());
    /// ```
    #[expect(clippy::new_without_default, reason = "a timer without a running loop is no useful default")]
    pub fn new() -> Drive {
        let bell = Arc::new(Bell { rung: Mutex::new(false), sound: Condvar::new() });
        let rope = Arc::clone(&bell);
        let timer = Timer::with_notify(Clock::monotonic(), move || rope.ring());
        Drive { timer, bell }
    }

    /// The timer.
    ///
    /// ```
    /// let drive = ramus_timer::Drive::new();
    /// let timer = drive.timer().clone();
    /// assert!(!timer.is_closed());
    /// ```
    pub fn timer(&self) -> &Timer {
        &self.timer
    }

    /// Fires what is due and sleeps until the next deadline, until the timer is [closed](Timer::close). Blocks the
    /// calling thread all that time; wakers are woken on it, so they should only schedule.
    ///
    /// ```
    /// let drive = ramus_timer::Drive::new();
    /// drive.timer().close(&mut Vec::new());
    /// drive.run(); // closed: returns at once
    /// ```
    pub fn run(&self) {
        loop {
            self.timer.fire();
            let deadline = self.timer.park();
            // After the park: a close from here on rings the bell.
            if self.timer.is_closed() {
                return;
            }
            self.bell.wait(deadline);
            self.timer.unpark();
        }
    }
}

#[derive(Debug)]
struct Bell {
    rung: Mutex<bool>,
    sound: Condvar,
}

impl Bell {
    fn ring(&self) {
        *self.rung.lock() = true;
        self.sound.notify_one();
    }

    /// Waits for a ring, one that came before included, or for the deadline.
    fn wait(&self, deadline: Option<Instant>) {
        let mut rung = self.rung.lock();
        while !*rung {
            match deadline {
                None => self.sound.wait(&mut rung),
                Some(deadline) => {
                    if self.sound.wait_until(&mut rung, deadline).timed_out() {
                        break;
                    }
                }
            }
        }
        *rung = false;
    }
}
