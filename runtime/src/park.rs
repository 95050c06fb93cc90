//! The word that says whether a worker blocks in its driver, so that unparking one that does not costs no system call.
//!
//! ```text
//! awake ─ prepare ─▶ parked ─ finish ─▶ awake
//! awake or parked ─ unpark ─▶ notified ─ prepare or finish ─▶ awake
//! ```
//!
//! Only the unpark that finds *parked* rings the driver. A ring that comes after the owner woke for another reason ends its
//! next block early, which costs a look and loses nothing. A ring is never lost either: see [`Bell`].

use crate::sync::atomic::{AtomicU8, Ordering};

const AWAKE: u8 = 0;
const PARKED: u8 = 1;
const NOTIFIED: u8 = 2;

/// What a worker blocks in. A ring ends the owner's current or next block, also while a neighbour serves the device.
pub trait Bell {
    /// Ends the owner's current or next block.
    fn ring(&self);
}

/// The park state of one worker.
#[derive(Debug)]
pub struct ParkWord(AtomicU8);

impl ParkWord {
    /// Awake.
    pub fn new() -> Self {
        Self(AtomicU8::new(AWAKE))
    }

    /// The owner is about to block; false: it was unparked meanwhile, which is consumed, and it must not.
    #[must_use]
    pub fn prepare(&self) -> bool {
        // Ordering: [park:P1] Acquire on failure, partner U1: what was written before the unpark is visible.
        if self.0.compare_exchange(AWAKE, PARKED, Ordering::Relaxed, Ordering::Acquire).is_ok() {
            return true;
        }
        self.finish();
        false
    }

    /// The owner does not block any more. Consumes an unpark.
    pub fn finish(&self) {
        // Ordering: [park:P2] Acquire, partner U1: a swap, so that it reads from the newest unpark.
        self.0.swap(AWAKE, Ordering::Acquire);
    }

    /// Ends the owner's current or next block.
    pub fn unpark<B: Bell>(&self, bell: impl FnOnce() -> Option<B>) {
        // Ordering: [park:U1] Release, partners P1 and P2.
        if self.0.swap(NOTIFIED, Ordering::Release) == PARKED {
            if let Some(bell) = bell() {
                bell.ring();
            }
        }
    }
}

impl Default for ParkWord {
    fn default() -> Self {
        Self::new()
    }
}
