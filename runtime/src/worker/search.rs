//! Where a worker finds work that is not its own: cancelled tasks, the inbox, its neighbours.

use super::Local;
use crate::context;
use crate::queue::Thief;
use crate::task::{self, Runnable};

/// How many cancelled tasks are polled before it is the others' turn, and how many if there are no others. What is taken
/// at once waits together behind one of them that does not return.
const CUT: usize = 8;
const CUT_ALONE: usize = 16;

impl Local {
    /// Cancelled tasks go first, with every second poll at most (D49).
    #[cold]
    pub(super) fn next_cancelled(&self) -> Option<Runnable> {
        if self.gave_way.get() > 0 && !self.is_dry() {
            self.gave_way.set(self.gave_way.get() - 1);
            return None;
        }
        self.gave_way.set(0);
        if self.polls.get() >= self.tend_at.get() {
            return None;
        }
        self.next_run.set(0);
        if let Some(runnable) = self.pool.take_cancelled() {
            self.gave_way.set(1);
            context::refill_budget();
            return Some(runnable);
        }
        self.poll_cut();
        None
    }

    /// Wakes some of the tasks that a cancel has reached, and polls each at once: mostly that drops its future, and a queue
    /// would cost more.
    fn poll_cut(&self) {
        let most = if self.is_dry() { CUT_ALONE } else { CUT };
        self.pool.take_cut(most, &mut self.cut.borrow_mut());
        self.poll_taken();
    }

    /// Polls what [`poll_cut`](Local::poll_cut) has taken. Should the runtime itself panic there, the rest is still to be had.
    pub(super) fn poll_taken(&self) {
        loop {
            let Some(waker) = self.cut.borrow_mut().pop() else { return };
            if let Some(runnable) = task::claim(waker, self.pool) {
                context::refill_budget();
                self.gave_way.set(self.gave_way.get() + 1);
                self.poll(runnable);
            }
        }
    }

    /// Steals, if allowed to. A token that was kept for this is given back, here or in `begin_work`.
    pub(super) fn search(&self) -> Option<Runnable> {
        let token = match self.token.take() {
            Some(token) => token,
            None if !self.pool.is_work_elsewhere(self.me) => return None,
            None => self.pool.sleep().start_search()?,
        };
        match self.steal() {
            Some(runnable) => {
                self.working.set(false);
                self.token.set(Some(token));
                Some(runnable)
            }
            None => {
                self.pool.sleep().end_search(token);
                None
            }
        }
    }

    fn steal(&self) -> Option<Runnable> {
        if let Some(runnable) = self.pool.take_cancelled().or_else(|| self.take_from_inbox()) {
            return Some(runnable);
        }
        let workers = self.pool.workers();
        let start = self.next_random() as usize % workers;
        let stolen = (0..workers)
            .map(|step| (start + step) % workers)
            .filter(|&index| index != self.me)
            .find_map(|index| self.pool.remote(index).stealer.steal_into(self.queue()));
        if stolen.is_some() {
            self.counters().steals.add(1);
        }
        stolen
    }

    /// xorshift: spreads the starts of searches, nothing more.
    fn next_random(&self) -> u64 {
        let mut x = self.random.get();
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.random.set(x);
        x
    }
}
