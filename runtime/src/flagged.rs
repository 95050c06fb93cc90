//! A queue with a flag that says whether there may be something in it, for those who look often and find nothing.
//!
//! A look at the flag is one load of a line that hardly ever changes. Whoever finds the queue dry takes the flag back, and a
//! push that comes between the two must not lose it: those who look at nothing but the flag would never see the item. So
//! the flag is changed by swaps alone. One that takes it back while it is set comes after every push that set it, sees
//! their items, and looks again.

use crate::queue::{Sink, Thief};
use crate::sync::atomic::{AtomicBool, Ordering};

/// `Q` and its flag. The flag may be set in vain, but it is not clear while something is there, but for the moment of a push.
pub struct Flagged<Q> {
    queue: Q,
    any: AtomicBool,
}

impl<Q> Flagged<Q> {
    /// `queue`, which is empty.
    pub fn new(queue: Q) -> Self {
        Self { queue, any: AtomicBool::new(false) }
    }

    /// May there be an item?
    #[inline]
    pub fn any(&self) -> bool {
        // Ordering: [flagged:F2] Relaxed: if this comes too early, the next look sees it.
        self.any.load(Ordering::Relaxed)
    }

    pub fn push<T>(&self, item: T)
    where
        Q: Sink<T>,
    {
        self.queue.push(item);
        // Ordering: [flagged:F1] Release, partner F3: who takes the flag back after this sees the push.
        self.any.swap(true, Ordering::Release);
    }

    /// The next item.
    pub fn take<T>(&self) -> Option<T>
    where
        Q: Thief<T>,
    {
        self.take_with(Thief::steal_one)
    }

    /// What `take` finds in the queue.
    pub fn take_with<T>(&self, mut take: impl FnMut(&Q) -> Option<T>) -> Option<T> {
        let item = take(&self.queue);
        if item.is_some() || !self.any() {
            return item;
        }
        // Ordering: [flagged:F3] Acquire, partners F1 and F4.
        if !self.any.swap(false, Ordering::Acquire) {
            return None;
        }
        let item = take(&self.queue);
        if item.is_some() {
            // Ordering: [flagged:F4] Release, partner F3: there may be more.
            self.any.swap(true, Ordering::Release);
        }
        item
    }

    /// The queue itself.
    pub fn queue(&self) -> &Q {
        &self.queue
    }
}
