//! The errors of building and entering a runtime.

use std::fmt;
use std::io;

/// Why no runtime could be used on this thread.
///
/// Opaque, with predicates, so that new causes can be added.
///
/// ```
/// let error = ramus::Handle::try_current().unwrap_err();
/// assert!(error.is_outside() && !error.is_nested() && !error.is_shut_down());
/// println!("{error}");
/// ```
#[derive(Clone, Debug)]
pub struct EnterError {
    kind: EnterErrorKind,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum EnterErrorKind {
    Outside,
    Nested,
    NestedScope,
    ShutDown,
    Simulated,
}

impl EnterError {
    pub(crate) const fn new(kind: EnterErrorKind) -> Self {
        Self { kind }
    }

    /// True if no runtime runs on, or was entered by, the calling thread.
    pub fn is_outside(&self) -> bool {
        self.kind == EnterErrorKind::Outside
    }

    /// True if the thread already runs a runtime: blocking it would stop the tasks that are to wake it.
    pub fn is_nested(&self) -> bool {
        matches!(self.kind, EnterErrorKind::Nested | EnterErrorKind::NestedScope)
    }

    /// True if the runtime was shut down.
    pub fn is_shut_down(&self) -> bool {
        self.kind == EnterErrorKind::ShutDown
    }

    /// True if the runtime is a simulation, which only its own `block_on` runs.
    ///
    /// ```
    /// assert!(!ramus::Handle::try_current().unwrap_err().is_simulated());
    /// ```
    pub fn is_simulated(&self) -> bool {
        self.kind == EnterErrorKind::Simulated
    }
}

impl fmt::Display for EnterError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self.kind {
            EnterErrorKind::Outside => {
                "no ramus runtime on this thread: call it from a task, from Runtime::block_on, or while a guard of Handle::enter lives"
            }
            EnterErrorKind::Nested => {
                "block_on was called on a thread that already runs a ramus runtime: blocking it would stop the tasks that it waits for; use .await, or spawn_blocking"
            }
            EnterErrorKind::NestedScope => {
                "blocking::scope was called on a thread that runs tasks: blocking it would stop the children that it waits for; use ramus::scope there, or call it from spawn_blocking"
            }
            EnterErrorKind::ShutDown => "the ramus runtime was shut down",
            EnterErrorKind::Simulated => "this runtime is a simulation: only Simulation::block_on runs it",
        })
    }
}

impl std::error::Error for EnterError {}

impl From<EnterError> for io::Error {
    fn from(error: EnterError) -> Self {
        io::Error::other(error)
    }
}
