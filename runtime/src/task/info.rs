//! What a task tells about itself.

use std::fmt;
use std::panic::Location;
use std::time::Duration;

/// Bits of the serial number in an [`Id`]; the bit above them is the running mark of the cell's stamp.
const SERIAL_BITS: u32 = 27;
const SERIAL_MASK: u64 = (1 << SERIAL_BITS) - 1;
const BORN_SHIFT: u32 = SERIAL_BITS + 1;
/// The bit of a stamp that is no part of the id: the task is being polled.
pub(super) const RUNNING: u64 = 1 << SERIAL_BITS;

/// The number of a task, different from that of every other task of the same process.
///
/// Ids order tasks by the millisecond in which they were spawned. An id may come back after 2.17 years, or when more
/// than 134 million tasks are spawned within one millisecond.
///
/// ```
/// use ramus::task::Id;
/// use std::collections::HashMap;
///
/// let mut names: HashMap<Id, &str> = HashMap::new();
/// assert!(names.is_empty());
/// # fn learn(names: &mut HashMap<Id, &'static str>, handle: &ramus::JoinHandle<()>) {
/// names.insert(handle.id(), "reader");
/// # }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(u64);

impl Id {
    /// The task number `serial` (its low 27 bits), born `born_ms` milliseconds (its low 36 bits) after the process
    /// began to count.
    pub(crate) const fn new(born_ms: u64, serial: u64) -> Self {
        Self((born_ms << BORN_SHIFT) | (serial & SERIAL_MASK))
    }

    pub(super) const fn from_stamp(stamp: u64) -> Self {
        Self(stamp & !RUNNING)
    }

    pub(super) const fn stamp(self) -> u64 {
        self.0
    }

    /// How old the task is at `now_ms`, on the clock that it was born by.
    pub(crate) fn age(self, now_ms: u64) -> Duration {
        Duration::from_millis(now_ms.saturating_sub(self.0 >> BORN_SHIFT))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}", self.0 >> BORN_SHIFT, self.0 & SERIAL_MASK)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Id({self})")
    }
}

/// What a task was doing at the moment of the look.
///
/// ```
/// assert_eq!(ramus::task::State::Suspended.to_string(), "suspended");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// A worker is polling it.
    Running,
    /// It was woken and waits for a worker.
    Queued,
    /// It waits to be woken.
    Suspended,
    /// It has ended.
    Done,
}

impl State {
    /// The state as one word in lower case.
    ///
    /// ```
    /// assert_eq!(ramus::task::State::Running.as_str(), "running");
    /// ```
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Queued => "queued",
            Self::Suspended => "suspended",
            Self::Done => "done",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// A look at one task: its identity and what it was doing at that moment.
///
/// ```
/// fn report(task: &ramus::task::TaskInfo) -> String {
///     let name = task.name().unwrap_or("task");
///     format!("{name} spawned at {}: {}, {:?} old", task.location(), task.state(), task.age())
/// }
/// # let _ = report;
/// ```
#[derive(Clone, Debug)]
pub struct TaskInfo {
    pub(super) id: Id,
    pub(super) name: Option<String>,
    pub(super) location: &'static Location<'static>,
    pub(super) state: State,
    pub(super) age: Duration,
    pub(super) is_job: bool,
}

impl TaskInfo {
    /// The number of the task.
    pub fn id(&self) -> Id {
        self.id
    }

    /// True for a blocking job, seen as the task that waits for its thread.
    ///
    /// ```
    /// # fn look(task: &ramus::task::TaskInfo) {
    /// let kind = if task.is_job() { "job" } else { "task" };
    /// # let _ = kind;
    /// # }
    /// ```
    pub fn is_job(&self) -> bool {
        self.is_job
    }

    /// The name that it was given, if any.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Where in the source it was spawned.
    ///
    /// ```
    /// # let runtime = ramus::Runtime::new()?;
    /// let task = runtime.spawn(async { ramus::task::current() });
    /// let info = runtime.block_on(task).unwrap().expect("it is a task");
    /// println!("spawned at {}", info.location());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn location(&self) -> &'static Location<'static> {
        self.location
    }

    /// What it was doing.
    ///
    /// ```
    /// # let runtime = ramus::Runtime::new()?;
    /// let task = runtime.spawn(async { ramus::task::current() });
    /// let info = runtime.block_on(task).unwrap().expect("it is a task");
    /// assert_eq!(info.state().as_str(), "running");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn state(&self) -> State {
        self.state
    }

    /// How long ago it was spawned, in the steps of the runtime's coarse clock.
    ///
    /// ```
    /// # let runtime = ramus::Runtime::new()?;
    /// let task = runtime.spawn(async { ramus::task::current() });
    /// let info = runtime.block_on(task).unwrap().expect("it is a task");
    /// println!("{:?} old", info.age());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn age(&self) -> Duration {
        self.age
    }
}
