//! A queue behind a lock, with the traits of [`crate::queue`]: what models and tests put in the place of the deque.

use std::collections::VecDeque;

use crate::queue::{BATCH, Owner, Thief};
use crate::sync::Mutex;

/// The locked double: both ends at once.
#[derive(Debug)]
pub struct Locked<T>(Mutex<VecDeque<T>>);

impl<T> Locked<T> {
    /// An empty queue.
    pub fn new() -> Self {
        Self(Mutex::new(VecDeque::new()))
    }
}

impl<T> Default for Locked<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Owner<T> for Locked<T> {
    fn put(&self, item: T) {
        self.0.lock().push_back(item);
    }

    fn take(&self) -> Option<T> {
        self.0.lock().pop_front()
    }

    fn depth(&self) -> usize {
        self.0.lock().len()
    }
}

impl<T> Thief<T> for Locked<T> {
    type Into = Locked<T>;

    fn steal_into(&self, into: &Locked<T>) -> Option<T> {
        let mut batch: VecDeque<T> = {
            let mut from = self.0.lock();
            let half = from.len().div_ceil(2).min(BATCH);
            from.drain(..half).collect()
        };
        let first = batch.pop_front();
        into.0.lock().extend(batch);
        first
    }

    fn steal_one(&self) -> Option<T> {
        self.take()
    }

    fn is_dry(&self) -> bool {
        self.0.lock().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::LocalQueue;

    fn same<Q: Owner<u32>, S: Thief<u32, Into = Q>>(from: &Q, thief: &S, into: &Q) -> Vec<u32> {
        for item in 0..10 {
            from.put(item);
        }
        let mut seen = vec![thief.steal_into(into).unwrap()];
        while let Some(item) = into.take() {
            seen.push(item);
        }
        while let Some(item) = from.take() {
            seen.push(item);
        }
        assert!(thief.is_dry());
        seen
    }

    #[test]
    fn the_double_keeps_the_order_of_the_deque() {
        let (from, into) = (LocalQueue::new_fifo(), LocalQueue::new_fifo());
        let real = same(&from, &from.stealer(), &into);
        let (from, into) = (Locked::new(), Locked::new());
        assert_eq!(real, same(&from, &from, &into));
        assert_eq!(real, (0..10).collect::<Vec<_>>());
    }
}
