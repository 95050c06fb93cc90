//! What the scheduler counts, read as a snapshot.
//!
//! Each counter has one writer, a worker, and is written with plain stores: reading them never slows the workers down,
//! and a snapshot is not one instant of all of them.

use crate::sync::atomic::{AtomicU64, Ordering};

/// A counter with one writer.
#[derive(Debug)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Called by the one writer.
    #[inline]
    pub(crate) fn add(&self, more: u64) {
        // Ordering: [metrics:C1] Relaxed: a statistic with one writer, it orders nothing.
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn get(&self) -> u64 {
        // Ordering: [metrics:C3] Relaxed, as above.
        self.0.load(Ordering::Relaxed)
    }

    /// Back to nothing, while nobody writes.
    pub(crate) fn reset(&self) {
        // Ordering: [metrics:C4] Relaxed, as above.
        self.0.store(0, Ordering::Relaxed);
    }
}

/// A counter with any number of writers, for what happens rarely or outside of the workers.
#[derive(Debug)]
pub(crate) struct SharedCount(AtomicU64);

impl SharedCount {
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    #[inline]
    pub(crate) fn increment(&self) {
        // Ordering: [metrics:C2] Relaxed: a statistic, it orders nothing.
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        // Ordering: [metrics:C5] Relaxed, as above.
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn reset(&self) {
        // Ordering: [metrics:C6] Relaxed, as above.
        self.0.store(0, Ordering::Relaxed);
    }
}

/// The counters of one worker.
#[derive(Debug)]
pub(crate) struct Counters {
    pub(crate) polls: Count,
    pub(crate) spawned: Count,
    pub(crate) finished: Count,
    pub(crate) steals: Count,
    pub(crate) parks: Count,
    pub(crate) turns: Count,
    pub(crate) wakes_sent: Count,
    pub(crate) wakes_received: Count,
    pub(crate) rescues: Count,
}

impl Counters {
    pub(crate) fn new() -> Self {
        Self {
            polls: Count::new(),
            spawned: Count::new(),
            finished: Count::new(),
            steals: Count::new(),
            parks: Count::new(),
            turns: Count::new(),
            wakes_sent: Count::new(),
            wakes_received: Count::new(),
            rescues: Count::new(),
        }
    }

    pub(crate) fn reset(&self) {
        for count in [
            &self.polls,
            &self.spawned,
            &self.finished,
            &self.steals,
            &self.parks,
            &self.turns,
            &self.wakes_sent,
            &self.wakes_received,
            &self.rescues,
        ] {
            count.reset();
        }
    }
}

/// What one worker did since its runtime started.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct WorkerMetrics {
    /// Polls of tasks.
    pub polls: u64,
    /// Batches taken from neighbours.
    pub steals: u64,
    /// Times it blocked because there was nothing to do.
    pub parks: u64,
    /// Looks at its descriptors and timers, blocking or not.
    pub turns: u64,
    /// Times it woke a neighbour.
    pub wakes_sent: u64,
    /// Times it was woken by a neighbour, or by a thread outside.
    pub wakes_received: u64,
    /// Times it served a neighbour that was stuck in a poll.
    pub rescues: u64,
    /// Tasks waiting in its queue now.
    pub queue_depth: usize,
}

/// What a runtime did since it started: a snapshot.
///
/// ```
/// let runtime = ramus::Runtime::new()?;
/// let handle = runtime.handle();
/// runtime.block_on(async {
///     ramus::spawn(async {}).await.unwrap();
/// });
/// assert!(handle.metrics().tasks_spawned >= 1);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Metrics {
    /// One entry a worker.
    pub workers: Vec<WorkerMetrics>,
    /// Tasks spawned.
    pub tasks_spawned: u64,
    /// Tasks that ended.
    pub tasks_finished: u64,
    /// Tasks waiting in the queue for spawns and wakes from outside.
    pub inbox_depth: usize,
    /// Pushes from threads that are no workers.
    pub inbox_pushes: u64,
    /// Workers that are parked now.
    pub idle_workers: usize,
    /// Timers registered now.
    pub timers: usize,
    /// Descriptors registered now: sockets that had to wait at least once.
    pub sources: usize,
    /// Operations on descriptors that wait now.
    pub waiting_operations: usize,
    /// Times that an `accept` paused because there were no descriptors or no memory.
    pub accept_pauses: u64,
}

impl Metrics {
    /// Polls of tasks by all workers.
    ///
    /// ```
    /// let runtime = ramus::Runtime::new()?;
    /// println!("{} polls so far", runtime.handle().metrics().polls());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn polls(&self) -> u64 {
        self.workers.iter().map(|worker| worker.polls).sum()
    }

    /// Batches that workers took from each other.
    pub fn steals(&self) -> u64 {
        self.workers.iter().map(|worker| worker.steals).sum()
    }

    /// Times that workers blocked because there was nothing to do.
    pub fn parks(&self) -> u64 {
        self.workers.iter().map(|worker| worker.parks).sum()
    }

    /// Times that a worker was woken.
    pub fn wakes(&self) -> u64 {
        self.workers.iter().map(|worker| worker.wakes_received).sum()
    }
}
