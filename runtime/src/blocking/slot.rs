//! Where a blocking job leaves its result for the task that waits for it.

use std::any::Any;
use std::mem;
use std::task::{Poll, Waker};

use crate::sync::Mutex;

/// What a panic threw.
pub(crate) type Payload = Box<dyn Any + Send>;

/// How a job ended. `M` keeps the job's scope from ending while a panic is on its way.
pub(crate) enum Outcome<T, M> {
    Value(T),
    Panicked(Payload, M),
    /// It did not run, and why.
    Refused(String),
    /// It was taken out of the queue, since who waits was cut.
    Removed,
}

enum Stage<T, M> {
    /// The waker of the task that waits. It may have been cut meanwhile, and waits for the end only.
    Waiting {
        waker: Waker,
        is_cut: bool,
    },
    Ended(Outcome<T, M>),
    /// Taken, or nobody waits any more.
    Left,
}

/// Written once by a thread of the pool, read once by a task.
pub(crate) struct Slot<T, M> {
    stage: Mutex<Stage<T, M>>,
}

impl<T, M> Slot<T, M> {
    pub(crate) fn new(waker: Waker) -> Self {
        Self { stage: Mutex::new(Stage::Waiting { waker, is_cut: false }) }
    }

    /// Leaves the outcome and wakes the task.
    ///
    /// # Errors
    ///
    /// The outcome, if nobody waits any more.
    pub(crate) fn put(&self, outcome: Outcome<T, M>) -> Result<(), Outcome<T, M>> {
        let mut stage = self.stage.lock();
        match mem::replace(&mut *stage, Stage::Left) {
            Stage::Waiting { waker, .. } => {
                *stage = Stage::Ended(outcome);
                drop(stage);
                waker.wake();
            }
            before => {
                *stage = before;
                return Err(outcome);
            }
        }
        Ok(())
    }

    /// Takes the outcome, or has `waker` woken when it is there.
    pub(crate) fn poll(&self, waker: &Waker) -> Poll<Outcome<T, M>> {
        // A waker's clone and drop are somebody's code: not under the lock. A job is polled a few times at most.
        let waker = waker.clone();
        let mut stage = self.stage.lock();
        let before = mem::replace(&mut *stage, Stage::Left);
        if let Stage::Waiting { is_cut, .. } = before {
            *stage = Stage::Waiting { waker, is_cut };
        }
        drop(stage);
        match before {
            Stage::Ended(outcome) => Poll::Ready(outcome),
            Stage::Waiting { .. } | Stage::Left => Poll::Pending,
        }
    }

    /// Nobody waits any more. Returns the outcome if it was there already.
    pub(crate) fn leave(&self) -> Option<Outcome<T, M>> {
        let stage = mem::replace(&mut *self.stage.lock(), Stage::Left);
        match stage {
            Stage::Ended(outcome) => Some(outcome),
            Stage::Waiting { .. } | Stage::Left => None,
        }
    }

    /// Who waits was cut: the job may see it.
    pub(crate) fn cut(&self) {
        if let Stage::Waiting { is_cut, .. } = &mut *self.stage.lock() {
            *is_cut = true;
        }
    }

    /// True once the outcome is wanted by nobody.
    pub(crate) fn is_unwanted(&self) -> bool {
        matches!(*self.stage.lock(), Stage::Left | Stage::Waiting { is_cut: true, .. })
    }
}
