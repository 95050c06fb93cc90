//! What the clones of a timer share, and its scale of ticks.
//!
//! A tick is 2^17 ns (131 µs). Deadlines round up to ticks since the timer was made, the present rounds down, so nothing
//! fires early and, the host's own delay aside, nothing fires more than a tick late.

use crate::clock::{Clock, later};
use crate::sync::{AtomicU64, Mutex, Ordering};
use crate::wheel::Wheel;
use std::task::Waker;
use std::time::{Duration, Instant};

/// Nanoseconds in a tick, as a power of two.
const TICK_SHIFT: u32 = 17;

pub(crate) struct Dial {
    pub(crate) clock: Clock,
    /// Tick 0.
    pub(crate) origin: Instant,
    pub(crate) notify: Option<Box<dyn Fn() + Send + Sync>>,
    /// Every entry's tick is at least this. Written under the lock of `works` only.
    pub(crate) floor: AtomicU64,
    pub(crate) works: Mutex<Works>,
}

/// What the lock guards.
pub(crate) struct Works {
    pub(crate) wheel: Wheel<Waker>,
    pub(crate) host: Host,
    pub(crate) closed: bool,
}

/// What the host does, as far as insertions have to know.
#[derive(Clone, Copy)]
pub(crate) enum Host {
    /// It looks at the wheel again before it blocks.
    Awake,
    /// It blocks until this tick, or for good.
    Parked(Option<u64>),
}

impl Host {
    /// Whether the host has to be told of an entry at `tick`. If so it is told once: from then on it is known to come
    /// back in time for this entry.
    pub(crate) fn must_hear_of(&mut self, tick: u64) -> bool {
        match *self {
            Host::Parked(until) if until.is_none_or(|until| tick < until) => {
                *self = Host::Parked(Some(tick));
                true
            }
            _ => false,
        }
    }
}

impl Dial {
    pub(crate) fn notify(&self) {
        if let Some(notify) = &self.notify {
            notify();
        }
    }

    /// The floor, for who holds the lock.
    pub(crate) fn floor_locked(&self) -> u64 {
        // Ordering: Relaxed [dial:R1], partners [timer:W1], [timer:W2]: those stores are made under the lock, which
        // the caller holds.
        self.floor.load(Ordering::Relaxed)
    }

    /// The first tick that is not before `deadline`.
    pub(crate) fn tick_of(&self, deadline: Instant) -> u64 {
        let nanos = deadline.saturating_duration_since(self.origin).as_nanos();
        saturate(nanos.saturating_add((1 << TICK_SHIFT) - 1) >> TICK_SHIFT)
    }

    /// The last tick that is not after `now`.
    pub(crate) fn tick_reached(&self, now: Instant) -> u64 {
        saturate(now.saturating_duration_since(self.origin).as_nanos() >> TICK_SHIFT)
    }

    /// When `tick` begins; for one beyond what an instant can hold, an earlier instant far in the future.
    pub(crate) fn instant_of(&self, tick: u64) -> Instant {
        const SECOND: u128 = 1_000_000_000;
        let nanos = u128::from(tick) << TICK_SHIFT;
        let since = Duration::new(saturate(nanos / SECOND), (nanos % SECOND) as u32);
        later(self.origin, since)
    }
}

fn saturate(value: u128) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}
