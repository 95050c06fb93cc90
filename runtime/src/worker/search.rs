//! Where a worker finds work that is not its own: cancelled tasks, the inbox, its neighbours.

use super::Local;
use crate::context;
use crate::queue::Thief;
use crate::task::Runnable;

impl Local {
    /// Cancelled tasks go first, with every second poll at most (D49).
    #[cold]
    pub(super) fn next_cancelled(&self) -> Option<Runnable> {
        let turn = !self.gave_way.get() || self.is_dry();
        self.gave_way.set(turn);
        if !turn || self.polls.get() >= self.tend_at.get() {
            return None;
        }
        self.next_run.set(0);
        context::refill_budget();
        self.pool.take_cancelled()
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
