//! What a simulation did, step by step.

use std::fmt;
use std::time::Duration;

/// One step of a [`Simulation`](super::Simulation) that keeps a [trace](super::Builder::trace).
///
/// ```
/// use ramus::testing::{Event, Step};
/// use std::time::Duration;
///
/// let step = Step { at: Duration::from_secs(2), event: Event::Poll { worker: 0, task: 5 } };
/// assert_eq!(step.to_string(), "2s worker 0 polls task 5");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The virtual time since the simulation began.
    pub at: Duration,
    /// What was done.
    pub event: Event,
}

/// What a simulation does in one step.
///
/// Tasks are numbered from 1 in the order in which they were spawned, workers from 0.
///
/// ```
/// use ramus::testing::{Event, Simulation};
///
/// let mut simulation = Simulation::builder().trace(true).build();
/// simulation.block_on(async { ramus::spawn(async {}).await }).unwrap();
/// assert_eq!(simulation.trace()[0].event, Event::Main);
/// assert_eq!(simulation.trace()[1].event, Event::Poll { worker: 0, task: 1 });
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The future given to `block_on` was polled.
    Main,
    /// A worker took tasks from another one.
    Steal {
        /// Who took them.
        worker: usize,
        /// From whom.
        victim: usize,
        /// How many.
        tasks: usize,
    },
    /// A worker polled a task.
    Poll {
        /// The worker.
        worker: usize,
        /// The number of the task.
        task: usize,
    },
    /// A blocking job ran.
    Job,
    /// The time moved on to here, and woke somebody.
    Time {
        /// Timers that were due.
        due: usize,
    },
    /// Sockets became ready.
    Ready {
        /// Operations that waited for them.
        wakes: usize,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:?} ", self.at)?;
        match &self.event {
            Event::Main => out.write_str("block_on is polled"),
            Event::Steal { worker, victim, tasks } => write!(out, "worker {worker} takes {tasks} from worker {victim}"),
            Event::Poll { worker, task } => write!(out, "worker {worker} polls task {task}"),
            Event::Job => out.write_str("a blocking job runs"),
            Event::Time { due } => write!(out, "{due} timers fire"),
            Event::Ready { wakes } => write!(out, "sockets wake {wakes}"),
        }
    }
}
