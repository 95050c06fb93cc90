//! Where a blocking job leaves its result for the task that waits for it, and its place in the scope until then.
//!
//! One lock decides the races: the job ends, the task is cut, the task is dropped, the job is abandoned.
//!
//! | stage | who may come | then |
//! |---|---|---|
//! | waiting | the job ends | ended: the task is woken. A panic takes the place along, until the task resumes it |
//! | waiting | the task is abandoned by choice | abandoned: the place is given up, the job runs on alone |
//! | waiting, ended | the task is dropped, or takes the outcome | left: nobody waits, but the scope may |
//! | left, abandoned | the job ends | its outcome comes back to the job's thread, which drops it |

use std::any::Any;
use std::mem;
use std::task::{Poll, Waker};

use ramus_scope::{Reason, ReasonKind};

use crate::sync::Mutex;

/// What a panic threw.
pub type Payload = Box<dyn Any + Send>;

/// How a job ended. `M` keeps the job's scope from ending while a panic is on its way.
pub enum Outcome<T, M> {
    Value(T),
    Panicked(Payload, Option<M>),
    /// It did not run, and why.
    Refused(String),
    /// It was taken out of the queue, since who waits was cut.
    Removed,
}

/// An outcome that nobody waits for, on the thread of its job.
pub struct Unwanted<T, M> {
    pub outcome: Outcome<T, M>,
    /// The place of the job, unless it went with a panic or was given up before.
    pub place: Option<M>,
    /// What the job was listed under when nobody waited for it any more.
    pub number: Option<u64>,
}

/// What who waited left behind.
pub enum Leave<T, M> {
    /// The job goes on.
    Running,
    /// It had ended, and this was not taken.
    Ended(Outcome<T, M>),
    /// Its outcome was taken, or it was abandoned.
    Over,
}

enum Stage<T, M> {
    /// The waker of the task that waits.
    Waiting(Waker),
    Ended(Outcome<T, M>),
    /// Taken, or nobody waits any more: then the number that the job is listed under.
    Left(Option<u64>),
    /// Nobody waits any more, and the scope does not either.
    Abandoned(u64),
}

struct State<T, M> {
    stage: Stage<T, M>,
    /// Why who waits was cut, once it was. It may wait for the end all the same.
    cut: Option<Reason>,
    /// The job's own membership in its scope.
    place: Option<M>,
}

/// Written once by a thread of the pool, read once by a task.
pub struct Slot<T, M> {
    state: Mutex<State<T, M>>,
}

impl<T, M> Slot<T, M> {
    pub fn new(waker: Waker, place: Option<M>) -> Self {
        Self { state: Mutex::new(State { stage: Stage::Waiting(waker), cut: None, place }) }
    }

    /// Leaves the outcome and wakes the task. The answer is the place, which ends when it is dropped.
    ///
    /// # Errors
    ///
    /// The outcome, if nobody waits any more.
    pub fn put(&self, outcome: Outcome<T, M>) -> Result<Option<M>, Unwanted<T, M>> {
        let mut state = self.state.lock();
        let place = state.place.take();
        let (outcome, place) = match outcome {
            Outcome::Panicked(payload, None) => (Outcome::Panicked(payload, place), None),
            other => (other, place),
        };
        match mem::replace(&mut state.stage, Stage::Left(None)) {
            Stage::Waiting(waker) => {
                state.stage = Stage::Ended(outcome);
                drop(state);
                waker.wake();
                Ok(place)
            }
            before => {
                let number = match &before {
                    Stage::Abandoned(number) => Some(*number),
                    Stage::Left(number) => *number,
                    Stage::Waiting(_) | Stage::Ended(_) => None,
                };
                state.stage = before;
                Err(Unwanted { outcome, place, number })
            }
        }
    }

    /// Takes the outcome, or has `waker` woken when it is there.
    pub fn poll(&self, waker: &Waker) -> Poll<Outcome<T, M>> {
        // A waker's clone and drop are somebody's code: not under the lock. A job is polled a few times at most.
        let waker = waker.clone();
        let mut state = self.state.lock();
        let before = mem::replace(&mut state.stage, Stage::Left(None));
        match &before {
            Stage::Waiting(_) => state.stage = Stage::Waiting(waker),
            Stage::Abandoned(number) => state.stage = Stage::Abandoned(*number),
            Stage::Left(number) => state.stage = Stage::Left(*number),
            Stage::Ended(_) => {}
        }
        drop(state);
        match before {
            Stage::Ended(outcome) => Poll::Ready(outcome),
            Stage::Waiting(_) | Stage::Left(_) | Stage::Abandoned(_) => Poll::Pending,
        }
    }

    /// True while the job has not ended and somebody waits for it.
    pub fn is_awaited(&self) -> bool {
        matches!(self.state.lock().stage, Stage::Waiting(_))
    }

    /// Nobody waits any more. A job that has not ended is listed under `number` from now on.
    pub fn leave(&self, number: Option<u64>) -> Leave<T, M> {
        let mut state = self.state.lock();
        match mem::replace(&mut state.stage, Stage::Left(None)) {
            Stage::Waiting(waker) => {
                state.stage = Stage::Left(number);
                drop(state);
                drop(waker);
                Leave::Running
            }
            Stage::Ended(outcome) => Leave::Ended(outcome),
            before => {
                state.stage = before;
                Leave::Over
            }
        }
    }

    /// Nobody waits any more, and the place of the job is given up, unless the job has ended already.
    ///
    /// True: abandoned, and the place was dropped.
    pub fn abandon(&self, number: u64) -> bool {
        let mut state = self.state.lock();
        if !matches!(state.stage, Stage::Waiting(_)) {
            return false;
        }
        let before = mem::replace(&mut state.stage, Stage::Abandoned(number));
        let place = state.place.take();
        drop(state);
        drop(before);
        drop(place);
        true
    }

    /// Who waits was cut: the job may see it. The first reason stays.
    pub fn cut(&self, reason: Reason) {
        let mut state = self.state.lock();
        let unused = if state.cut.is_none() { state.cut.replace(reason) } else { Some(reason) };
        drop(state);
        drop(unused);
    }

    /// True once who waits was cut.
    pub fn is_cut(&self) -> bool {
        self.state.lock().cut.is_some()
    }

    /// Why the outcome is wanted by nobody, if that is so.
    pub fn unwanted(&self) -> Option<Reason> {
        let state = self.state.lock();
        let is_left = matches!(state.stage, Stage::Left(_) | Stage::Abandoned(_));
        state.cut.clone().or_else(|| is_left.then(|| ReasonKind::Dropped.into()))
    }

    /// As [`Slot::unwanted`], without the reason.
    pub fn is_unwanted(&self) -> bool {
        let state = self.state.lock();
        state.cut.is_some() || matches!(state.stage, Stage::Left(_) | Stage::Abandoned(_))
    }
}
