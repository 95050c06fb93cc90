//! A queue of batches that is taken from in pieces of any size.
//!
//! A cancel reaches a hundred thousand tasks at once. Pushed one by one, each would cost the queue several
//! read-modify-writes, at either end. Here the walk's list is pushed as it is, and a worker moves some of it into a list of
//! its own under one lock.

use std::collections::VecDeque;

use crate::queue::Sink;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicUsize, Ordering};

pub(crate) struct Batches<T> {
    /// Each batch back to front, so that its first item is taken from the end.
    batches: Mutex<VecDeque<Vec<T>>>,
    /// How many items there are, for those who look without the lock.
    left: AtomicUsize,
}

impl<T> Batches<T> {
    pub(crate) fn new() -> Self {
        Self { batches: Mutex::new(VecDeque::new()), left: AtomicUsize::new(0) }
    }

    /// Moves the first items, at most `most`, into `into`, the first one last. `None`: there was none.
    pub(crate) fn take(&self, most: usize, into: &mut Vec<T>) -> Option<()> {
        let mut batches = self.batches.lock();
        let batch = batches.front_mut()?;
        let rest = batch.len().saturating_sub(most);
        // Ordering: [batches:L1] Relaxed, under the lock.
        let left = self.left.load(Ordering::Relaxed) - (batch.len() - rest);
        // Ordering: [batches:S1] Relaxed, as S2.
        self.left.store(left, Ordering::Relaxed);
        into.extend(batch.drain(rest..));
        let empty = if batch.is_empty() { batches.pop_front() } else { None };
        drop(batches);
        drop(empty);
        Some(())
    }

    /// True if nothing was visible. It takes no lock: a worker that is about to sleep asks behind a fence.
    pub(crate) fn is_dry(&self) -> bool {
        // Ordering: [batches:L2] Relaxed: whoever pushes puts a fence between S2 and its look for sleepers, and a sleeper
        // one between its mark and this (`sleep`).
        self.left.load(Ordering::Relaxed) == 0
    }
}

impl<T> Sink<Vec<T>> for Batches<T> {
    fn push(&self, mut batch: Vec<T>) {
        batch.reverse();
        let mut batches = self.batches.lock();
        // Ordering: [batches:L3] Relaxed, under the lock.
        let left = self.left.load(Ordering::Relaxed) + batch.len();
        // Ordering: [batches:S2] Relaxed: what it announces is found under the lock.
        self.left.store(left, Ordering::Relaxed);
        batches.push_back(batch);
    }
}

#[cfg(all(test, not(ramus_loom)))]
mod tests {
    use super::*;

    fn taken(batches: &Batches<u32>, most: usize) -> Vec<u32> {
        let mut into = Vec::new();
        let _ = batches.take(most, &mut into);
        into.reverse();
        into
    }

    #[test]
    fn batches_come_out_in_order_and_in_pieces() {
        let batches = Batches::new();
        assert!(batches.is_dry());
        batches.push(vec![1, 2, 3]);
        batches.push(vec![4]);
        assert_eq!(taken(&batches, 2), [1, 2]);
        assert_eq!(taken(&batches, 2), [3], "a piece is of one batch");
        assert!(!batches.is_dry());
        assert_eq!(taken(&batches, usize::MAX), [4]);
        assert!(batches.is_dry());
        assert_eq!(batches.take(1, &mut Vec::new()), None);
    }
}
