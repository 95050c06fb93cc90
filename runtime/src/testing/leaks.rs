//! What is left of a runtime's work when it should all be over.

use std::fmt;
use std::thread;
use std::time::Duration;

use crate::handle::Handle;
use crate::tree::{self, TreeEntry};

/// What is alive in a runtime beside the caller: tasks, timers, sockets, and operations that wait for sockets.
///
/// ```
/// use ramus::testing::Leaks;
///
/// let mut simulation = ramus::testing::Simulation::new(0);
/// let handle = simulation.handle();
/// let leaks = simulation.block_on(async {
///     let forgotten = ramus::spawn(ramus::sleep(std::time::Duration::from_secs(60)));
///     ramus::yield_now().await;
///     drop(forgotten); // which detaches nothing
///     Leaks::check(&ramus::Handle::current()).unwrap_err()
/// });
/// assert_eq!(leaks.tasks(), 1);
/// println!("{leaks}");
/// # let _ = handle;
/// ```
#[derive(Clone, Debug, Default)]
pub struct Leaks {
    tasks: u64,
    known: Vec<TreeEntry>,
    timers: usize,
    sources: usize,
    operations: usize,
}

impl Leaks {
    /// Looks once. The task that calls it and the future of a `block_on` are no leaks.
    ///
    /// Beside the threads of a real runtime it is a snapshot: what has ended a moment ago may still be counted.
    ///
    /// ```
    /// use ramus::testing::Leaks;
    ///
    /// ramus::testing::Simulation::new(0).block_on(async {
    ///     ramus::sleep(std::time::Duration::from_secs(60)).await;
    ///     assert!(Leaks::check(&ramus::Handle::current()).is_ok());
    /// });
    /// ```
    ///
    /// # Errors
    ///
    /// What is left, if something is.
    pub fn check(handle: &Handle) -> Result<(), Leaks> {
        let metrics = handle.metrics();
        let own = tree::current().map(|task| task.id());
        let mut known = handle.tree().entries().to_vec();
        known.retain(|entry| matches!(entry.kind, "task" | "job") && (entry.id.is_none() || entry.id != own));
        let tasks = metrics.tasks_spawned.saturating_sub(metrics.tasks_finished);
        let tasks = tasks.saturating_sub(u64::from(own.is_some())).max(known.len() as u64);
        let leaks = Leaks {
            tasks,
            known,
            timers: metrics.timers,
            sources: metrics.sources,
            operations: metrics.waiting_operations,
        };
        if leaks.is_empty() { Ok(()) } else { Err(leaks) }
    }

    fn is_empty(&self) -> bool {
        self.tasks == 0 && self.timers == 0 && self.sources == 0 && self.operations == 0
    }

    /// Tasks and jobs that have not ended.
    pub fn tasks(&self) -> u64 {
        self.tasks
    }

    /// Those of them that have suspended at least once, which have a place in the tree.
    pub fn entries(&self) -> &[TreeEntry] {
        &self.known
    }

    /// Registered timers.
    pub fn timers(&self) -> usize {
        self.timers
    }

    /// Registered sockets.
    pub fn sources(&self) -> usize {
        self.sources
    }

    /// Operations that wait for a socket.
    pub fn waiting_operations(&self) -> usize {
        self.operations
    }
}

impl fmt::Display for Leaks {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "left behind: {} tasks, {} timers, {} sockets, {} waiting operations",
            self.tasks, self.timers, self.sources, self.operations
        )?;
        for entry in &self.known {
            write!(out, "\n  {entry}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Leaks {}

/// How often, and how long apart, a runtime that may be busy in other threads is looked at.
const LOOKS: u32 = 1000;
const PAUSE: Duration = Duration::from_millis(1);

/// Asserts that nothing of the current runtime is alive but the caller: no task, no timer, no registered socket, no
/// operation that waits for one. For the end of a test.
///
/// Threads of a real runtime may still be busy with what has just ended, so it looks again for about a second before it
/// fails.
///
/// ```
/// use std::time::Duration;
///
/// let mut simulation = ramus::testing::Simulation::new(0);
/// simulation.block_on(async {
///     ramus::spawn(ramus::sleep(Duration::from_secs(1))).await.unwrap();
///     ramus::testing::assert_quiescent();
/// });
/// ```
///
/// # Panics
///
/// With a list of what is left; and outside of a runtime.
#[track_caller]
pub fn assert_quiescent() {
    let handle = Handle::current();
    // Nobody goes on in a simulation meanwhile.
    let looks = if handle.pool().is_simulated() { 0 } else { LOOKS };
    for _ in 0..looks {
        if Leaks::check(&handle).is_ok() {
            return;
        }
        thread::sleep(PAUSE);
    }
    if let Err(leaks) = Leaks::check(&handle) {
        panic!("{leaks}");
    }
}
