//! The queues of runnables: what a worker needs of a deque, and the deque that provides it.
//!
//! The traits exist so that the deque can be replaced if counters say so, and so that models, which cannot look into
//! `crossbeam-deque`, run on a locked double of the same shape (`locked`).
//!
//! Every runnable in a queue is reachable by every worker: by the owner from the front, by thieves from the front too
//! (the queues are first in, first out), by all from the inbox. The one exception is the last-in slot of
//! [`crate::worker`], which the sentinel takes from when its owner is stuck.

use crossbeam_deque as deque;

/// Largest number of items that one steal moves.
pub(crate) const BATCH: usize = 32;

/// The owner's end of a queue.
pub trait Owner<T> {
    /// Puts `item` last.
    fn put(&self, item: T);
    /// Takes the first.
    fn take(&self) -> Option<T>;
    /// How many are in it; others may take some at the same time.
    fn depth(&self) -> usize;
}

/// An end that everybody puts into.
pub trait Sink<T> {
    /// Puts `item` last.
    fn push(&self, item: T);
}

impl<T> Sink<T> for deque::Injector<T> {
    #[inline]
    fn push(&self, item: T) {
        deque::Injector::push(self, item);
    }
}

/// An end that others take from: of a worker's queue, or of the inbox.
pub trait Thief<T> {
    /// The queue that a batch is moved into.
    type Into: Owner<T>;
    /// Takes the first and moves some more (about half, at most 32) to `into`.
    fn steal_into(&self, into: &Self::Into) -> Option<T>;
    /// Takes the first alone.
    fn steal_one(&self) -> Option<T>;
    /// True if nothing was visible.
    fn is_dry(&self) -> bool;
}

impl<T> Owner<T> for deque::Worker<T> {
    #[inline]
    fn put(&self, item: T) {
        deque::Worker::push(self, item);
    }

    #[inline]
    fn take(&self) -> Option<T> {
        deque::Worker::pop(self)
    }

    #[inline]
    fn depth(&self) -> usize {
        deque::Worker::len(self)
    }
}

/// Repeats a steal that lost a race: somebody else made progress each time.
fn settle<T>(mut attempt: impl FnMut() -> deque::Steal<T>) -> Option<T> {
    loop {
        match attempt() {
            deque::Steal::Success(item) => return Some(item),
            deque::Steal::Empty => return None,
            deque::Steal::Retry => core::hint::spin_loop(),
        }
    }
}

impl<T> Thief<T> for deque::Stealer<T> {
    type Into = deque::Worker<T>;

    fn steal_into(&self, into: &deque::Worker<T>) -> Option<T> {
        settle(|| self.steal_batch_with_limit_and_pop(into, BATCH))
    }

    fn steal_one(&self) -> Option<T> {
        settle(|| self.steal())
    }

    fn is_dry(&self) -> bool {
        deque::Stealer::is_empty(self)
    }
}

impl<T> Thief<T> for deque::Injector<T> {
    type Into = deque::Worker<T>;

    fn steal_into(&self, into: &deque::Worker<T>) -> Option<T> {
        settle(|| self.steal_batch_with_limit_and_pop(into, BATCH))
    }

    fn steal_one(&self) -> Option<T> {
        settle(|| self.steal())
    }

    fn is_dry(&self) -> bool {
        deque::Injector::is_empty(self)
    }
}

/// The queue of one worker.
pub(crate) type LocalQueue<T> = deque::Worker<T>;
/// A neighbour's end of it.
pub(crate) type Stealer<T> = deque::Stealer<T>;
/// The queue for everybody who is no worker of the pool.
pub(crate) type Inbox<T> = deque::Injector<T>;
