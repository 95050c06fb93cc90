//! What the sentinel does: it looks every millisecond at the workers that work, and serves those that are stuck. A worker
//! that works does it where nobody is idle.

use std::task::Waker;
use std::time::{Duration, Instant};

use super::{Local, WATCH};
use crate::queue::Owner;
use crate::task;

/// How long it waits when it is alone, before it resigns.
const QUIET: [Duration; 2] = [Duration::from_millis(4), Duration::from_millis(16)];

/// How often a worker that works looks at the others while nobody is idle, who could be the sentinel.
const BUSY_WATCH: Duration = Duration::from_millis(10);

impl Local {
    /// In the middle of work: serves the workers that are stuck, if there is no idle one to do so.
    pub(super) fn watch_while_nobody_does(&self, now: Instant, wakes: &mut Vec<Waker>) {
        if now - self.watched.get() >= BUSY_WATCH && !self.pool.sleep().any_idle() {
            self.watched.set(now);
            self.watch_neighbours(wakes);
        }
    }

    /// How long the sentinel sleeps; none: it has resigned, because everybody has been idle for a while.
    pub(super) fn keep_watch(&self) -> Option<Duration> {
        let sleep = self.pool.sleep();
        if !sleep.is_alone(self.me) {
            self.quiet.set(0);
            return Some(WATCH);
        }
        let quiet = self.quiet.get();
        if let Some(&pause) = QUIET.get(quiet) {
            self.quiet.set(quiet + 1);
            return Some(pause);
        }
        self.quiet.set(0);
        if sleep.resign(self.me) { None } else { Some(WATCH) }
    }

    /// Serves the workers that have not got on since the last look: they are stuck in a poll.
    pub(super) fn watch_neighbours(&self, wakes: &mut Vec<Waker>) {
        let mut seen = self.seen.borrow_mut();
        for (index, seen) in seen.iter_mut().enumerate() {
            if index == self.me || self.pool.sleep().is_idle(index) {
                continue;
            }
            let remote = self.pool.remote(index);
            let now = (remote.counters.polls.get(), remote.counters.turns.get());
            let before = std::mem::replace(seen, now);
            if before.0 == now.0 {
                if let Some(runnable) = remote.next.take() {
                    self.counters().rescues.add(1);
                    self.queue().put(runnable);
                }
                for waker in remote.show_cut(None).iter().flat_map(|cut| cut.iter()) {
                    if let Some(runnable) = task::claim(waker, self.pool) {
                        self.counters().rescues.add(1);
                        self.queue().put(runnable);
                    }
                }
            }
            if before.1 == now.1 {
                let Some(seat) = remote.seat() else { continue };
                let had = wakes.len();
                seat.driver.try_turn(wakes);
                seat.timer.turn(Instant::now(), wakes);
                if wakes.len() > had {
                    self.counters().rescues.add(1);
                }
            }
        }
    }
}
