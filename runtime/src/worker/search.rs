//! Where a worker finds work that is not its own: cancelled tasks, the inbox, its neighbours.

use std::task::Waker;

use super::Local;
use crate::context;
use crate::queue::Thief;
use crate::sync::Arc;
use crate::task::{self, Runnable};

/// How many cancelled tasks are polled before it is the others' turn, and how many if there are no others.
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
    /// would cost more. They are no more than may be polled before the next look at clock and timers.
    ///
    /// Should one of them block, the sentinel wakes those behind it a second time, so it can see them all the while. A wake
    /// too many does nothing.
    fn poll_cut(&self) {
        let most = if self.is_dry() { CUT_ALONE } else { CUT };
        let until_tend = usize::try_from(self.tend_at.get() - self.polls.get()).unwrap_or(usize::MAX);
        let mut taken = self.cut.take().unwrap_or_default();
        if let Some(list) = Arc::get_mut(&mut taken) {
            self.pool.take_cut(most.min(until_tend), list);
        }
        if !taken.is_empty() {
            self.remote().show_cut(Some(Arc::clone(&taken)));
            self.poll_all(&taken);
            drop(self.remote().show_cut(None));
        }
        // The sentinel may still look at them: then the next ones get room of their own.
        if let Some(list) = Arc::get_mut(&mut taken) {
            list.clear();
            self.cut.set(Some(taken));
        }
    }

    fn poll_all(&self, taken: &[Waker]) {
        for waker in taken.iter().rev() {
            if let Some(runnable) = task::claim(waker, self.pool) {
                context::refill_budget();
                self.gave_way.set(self.gave_way.get() + 1);
                self.poll(runnable);
            }
        }
    }

    /// Should the runtime itself have panicked in [`poll_cut`](Local::poll_cut), what it had taken is still to be had.
    pub(super) fn poll_again(&self) {
        if let Some(taken) = self.remote().show_cut(None) {
            self.poll_all(&taken);
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
