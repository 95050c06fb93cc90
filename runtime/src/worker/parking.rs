//! How a worker without work parks in its driver, and what it does when it is awake again.

use std::task::Waker;
use std::time::{Duration, Instant};

use super::{Local, WATCH};
use crate::sleep::Park;

/// So few polls since the queue was last dry are worth waiting for more.
const LITTLE: u64 = 16;

/// Looks that a worker leaves out at most between two turns of a driver that fails.
const LONGEST_PAUSE: u32 = 32;

impl Local {
    /// After work, and before it parks, a worker looks at its driver. If the work was little it gives up the processor
    /// once before: where there are more busy threads than processors, those that would make work for it get on meanwhile,
    /// so that it comes in larger batches and without a park and a wake for each. On an idle machine the yield returns at
    /// once. Where the batches are large already there is nothing to gain, and on a machine that others keep busy a yield
    /// costs a turn of all of them.
    pub(super) fn yield_and_look(&self) -> bool {
        if !self.working.get() {
            return false;
        }
        let polls = self.polls.get();
        if polls - self.ran_dry.replace(polls) < LITTLE {
            std::thread::yield_now();
        }
        let mut wakes = self.wakes.take();
        self.seat.driver.try_turn(&mut wakes);
        self.counters().turns.add(1);
        let found = !wakes.is_empty();
        self.wake_batch(&mut wakes);
        self.wakes.replace(wakes);
        found
    }

    pub(super) fn park(&self) {
        self.working.set(false);
        let sleep = self.pool.sleep();
        // From here on an earlier deadline set by others unparks this worker.
        let deadline = self.seat.timer.park();
        // A change of phase needs no look: it is followed by an unpark, which the park word keeps.
        match sleep.park_unless(self.me, || self.pool.is_work_elsewhere(self.me)) {
            Park::Commit => {}
            Park::Work(token) => {
                self.seat.timer.unpark();
                // Seen by the last look, so it may be taken however many search.
                self.token.set(Some(token.unwrap_or_else(|| sleep.force_search())));
                return;
            }
        }
        let watching = if sleep.watch(self.me) { self.keep_watch() } else { None };
        let mut wakes = self.wakes.take();
        self.counters().parks.add(1);
        let asleep = Instant::now();
        self.look_at_clock(asleep);
        if self.remote().park.prepare() {
            let until_deadline = deadline.map(|deadline| deadline.saturating_duration_since(asleep));
            self.block(until_deadline, watching, &mut wakes);
            self.remote().park.finish();
        }
        self.seat.timer.unpark();
        self.counters().turns.add(1);
        let token = sleep.end_idle(self.me);
        if token.is_some() {
            self.counters().wakes_received.add(1);
        }
        self.token.set(token);
        let now = Instant::now();
        self.look_at(now);
        self.turned.set(now);
        if deadline.is_some() || watching.is_some() {
            self.seat.timer.turn(now, &mut wakes);
        }
        if watching.is_some() {
            self.watch_neighbours(&mut wakes);
        }
        self.wake_batch(&mut wakes);
        self.wakes.replace(wakes);
    }

    /// Blocks in the driver, at most for `until_deadline`, and not longer than a sentinel may.
    fn block(&self, until_deadline: Option<Duration>, watch: Option<Duration>, wakes: &mut Vec<Waker>) {
        let timeout = match (until_deadline, watch) {
            (Some(deadline), Some(watch)) => Some(deadline.min(watch)),
            (one, other) => one.or(other),
        };
        if let Err(failure) = self.seat.driver.turn(timeout, wakes) {
            // Nothing can be done about a driver that fails, and a worker that spins or floods the log helps nobody.
            if failure.in_a_row == 1 {
                eprintln!("ramus: worker {}: waiting for events failed: {}", self.me, failure.error);
            }
            let pause = WATCH * failure.in_a_row.min(LONGEST_PAUSE);
            std::thread::sleep(timeout.unwrap_or(pause).min(pause));
        }
    }

    /// The thread leaves: what it holds of the sleep protocol is given back.
    pub(super) fn retire(&self) {
        let sleep = self.pool.sleep();
        if let Some(token) = self.token.take() {
            sleep.end_search(token);
        }
        if sleep.begin_work(self.me) {
            self.pool.notify();
        }
    }
}
