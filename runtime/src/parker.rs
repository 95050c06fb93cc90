//! What `block_on` blocks in: one parker a call, so that no nested call and no code of somebody else takes its wakes.
//!
//! Two states beside rest: *notified* (a wake came, the next park returns at once) and *parked* (the owner waits on the
//! condition variable). The word decides; the lock only makes "look at the word, then wait" one step:
//!
//! ```text
//! rest ─ unpark ─▶ notified ─ park ─▶ rest
//! rest ─ park (under the lock) ─▶ parked ─ unpark ─▶ notified (lock, unlock, notify) ─▶ the owner returns, rest
//! ```
//!
//! Between "parked" and the wait the owner holds the lock and calls nothing else; an unparker that saw "parked" goes
//! through that lock before it notifies, so its notification comes after the wait began.

use std::task::{Wake, Waker};
use std::time::Instant;

use crate::sync::atomic::{AtomicU8, Ordering};
use crate::sync::{Arc, Condvar, Mutex};

const REST: u8 = 0;
const PARKED: u8 = 1;
const NOTIFIED: u8 = 2;

/// A place for one thread to block in.
#[derive(Debug)]
pub struct Parker {
    word: AtomicU8,
    lock: Mutex<()>,
    wakeup: Condvar,
}

impl Parker {
    /// A parker at rest.
    pub fn new() -> Self {
        Self { word: AtomicU8::new(REST), lock: Mutex::new(()), wakeup: Condvar::new() }
    }

    /// Blocks until an unpark; one that came before counts. Only its owner calls it.
    pub fn park(&self) {
        self.park_until(None);
    }

    /// Blocks until an unpark, or until `deadline`.
    pub fn park_until(&self, deadline: Option<Instant>) {
        if self.take() {
            return;
        }
        let mut guard = self.lock.lock();
        // Ordering: [parker:P2] Acquire on failure, partner U1: what was written before the unpark is visible.
        if self.word.compare_exchange(REST, PARKED, Ordering::Relaxed, Ordering::Acquire).is_err() {
            // Ordering: [parker:P3] Acquire, partner U1: a swap, so that it reads from the newest unpark.
            self.word.swap(REST, Ordering::Acquire);
            return;
        }
        loop {
            let timed_out = match deadline {
                None => {
                    guard = self.wakeup.wait(guard);
                    false
                }
                Some(deadline) => {
                    let (back, timed_out) = self.wakeup.wait_until(guard, deadline);
                    guard = back;
                    timed_out
                }
            };
            if self.take() {
                return;
            }
            if timed_out {
                // Ordering: [parker:P4] as above; an unpark that came in between is consumed, and the caller polls anyway.
                self.word.swap(REST, Ordering::Acquire);
                return;
            }
        }
    }

    /// Consumes a notification.
    fn take(&self) -> bool {
        // Ordering: [parker:P1] Acquire, partner U1: what was written before the unpark is visible.
        self.word.compare_exchange(NOTIFIED, REST, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Ends the current or the next park.
    pub fn unpark(&self) {
        // Ordering: [parker:U1] Release, partners P1 to P4. A swap even if notified already: the owner reads from the last one.
        if self.word.swap(NOTIFIED, Ordering::Release) == PARKED {
            drop(self.lock.lock());
            self.wakeup.notify_one();
        }
    }

    /// A waker that unparks `parker`.
    pub fn waker(parker: &Arc<Parker>) -> Waker {
        Waker::from(std::sync::Arc::new(Unpark(Arc::clone(parker))))
    }
}

impl Default for Parker {
    fn default() -> Self {
        Self::new()
    }
}

struct Unpark(Arc<Parker>);

impl Wake for Unpark {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &std::sync::Arc<Self>) {
        self.0.unpark();
    }
}
