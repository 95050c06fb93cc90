//! The rules of scopes once more, as a machine of small steps, and programs to hold the real thing against it.
//!
//! - `program`: what a program is, and how one is drawn.
//! - `rules`: the reference semantics. Everything is one value, nothing runs at the same time.
//! - `search`: is what was seen among what the rules allow?
//! - `run`: runs a program on a real host and writes down what is seen.
#![allow(missing_docs, unreachable_pub)]

pub mod program;
pub mod rules;
pub mod run;
pub mod search;

use std::collections::BTreeMap;

use program::Id;
use ramus_scope::Reason;

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// The end of a body that was polled.
    Body(Id),
    /// The answer of the scope, the catch or the timeout around a body.
    Answer(Id),
    /// The answer of a task's handle.
    Handle(Id),
    /// The answer of a statement: the body it stands in and its place.
    Op(Id, usize),
    /// Whether the driver had to cancel the outermost scope: only a leaked one was left.
    End,
    /// Whether it had to kill it after that.
    Kill,
}

/// Why something was cancelled: the kind of the first reason, and whether it came from above.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Why {
    pub kind: &'static str,
    pub inherited: bool,
}

impl Why {
    pub fn own(kind: &'static str) -> Why {
        Why { kind, inherited: false }
    }

    pub fn inherited(self) -> Why {
        Why { inherited: true, ..self }
    }

    pub fn of(reason: Option<&Reason>) -> Why {
        let reason = reason.expect("cancelled for a reason");
        let (kind, origin) = (reason.kind().as_str(), reason.origin().kind().as_str());
        Why { kind: origin, inherited: kind == "parent" }
    }
}

/// What is seen.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Seen {
    /// A body came to its end; a scope or a task answered with its value.
    Value,
    /// A body was dropped half-way, or panicked.
    Dropped,
    /// The bodies whose errors a scope answered with, first one first, and whether it was cancelled as well.
    Failed(Vec<Id>, bool),
    /// And whether the task had started.
    Cancelled(Why, bool),
    /// The body that panicked.
    Panicked(Id),
    Elapsed,
    Yes,
    No,
}

/// All that was seen of one run, each with its time. Every statement runs at most once.
pub type Outcome = BTreeMap<Key, (Seen, u64)>;
