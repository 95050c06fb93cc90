//! A supervisor at work: one future that looks at all of its children.
//!
//! | a child is | until | then |
//! |---|---|---|
//! | down | its start, or that of all | running |
//! | running | it ends | pausing, or ended; where all are restarted, the others are ending |
//! | ending | its cancelled task has ended | down; ended, if it is not to run again |
//! | pausing | its pause is over and nobody is ending | running, with all that are down |
//! | ended | – | – |

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::mem;
use std::pin::{Pin, pin};
use std::task::{Context as TaskContext, Poll, ready};
use std::time::Instant;

use ramus_scope::WaitStopping;
use ramus_timer::later;

use super::{Cause, Child, Restart, Supervisor, SupervisorError};
use crate::scope::{BoxError, ReasonKind, Scope, ScopeBuilder, ScopeError};
use crate::spawn::{self, First};
use crate::task::JoinHandle;
use crate::time::{Sleep, now, sleep_until};

type Task = JoinHandle<Result<(), BoxError>>;

enum State {
    Down,
    Running {
        task: Task,
        since: Instant,
    },
    Ending(Task),
    /// The failure is answered by the restart, if that comes.
    Pausing {
        pause: Pin<Box<Sleep>>,
        failure: Option<BoxError>,
    },
    Ended,
}

/// A child, and how often it failed in a row.
struct Charge {
    child: Child,
    state: State,
    streak: u32,
}

pub(super) struct Supervision {
    settings: Supervisor,
    scope: Scope<SupervisorError>,
    charges: Vec<Charge>,
    /// When the latest restarts were made, as far as the intensity asks for them.
    recent: VecDeque<Instant>,
    restarts: u64,
    is_stopping: bool,
    /// The first failure that no restart has answered.
    unanswered: Option<SupervisorError>,
}

/// A run of `child` as a future: in a scope of its own, so that it has ended with all that it spawned.
async fn attempt(child: Child) -> Result<(), BoxError> {
    let run = ScopeBuilder::new().name(child.name).open(|_s: Scope| (child.start)());
    run.await.map_err(|error: ScopeError| match error.errors() {
        [_] => error.into_first().unwrap_or_else(|| "the child failed".into()),
        _ => BoxError::from(error),
    })
}

impl Supervision {
    pub(super) fn new(mut settings: Supervisor, scope: Scope<SupervisorError>) -> Supervision {
        let children = mem::take(&mut settings.children).into_iter();
        let charges = children.map(|child| Charge { child, state: State::Down, streak: 0 }).collect();
        Supervision {
            settings,
            scope,
            charges,
            recent: VecDeque::new(),
            restarts: 0,
            is_stopping: false,
            unanswered: None,
        }
    }

    /// Ready when all children have ended for good. An error ends the scope, and that the children.
    pub(super) async fn run(mut self) -> Result<(), SupervisorError> {
        self.start_down();
        let mut stopping = pin!(self.scope.stopping());
        poll_fn(move |cx| self.poll(stopping.as_mut(), cx)).await
    }

    fn poll(
        &mut self,
        stopping: Pin<&mut WaitStopping>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Result<(), SupervisorError>> {
        if !self.is_stopping && stopping.poll(cx).is_ready() {
            self.is_stopping = true;
            for index in 0..self.charges.len() {
                let state = &mut self.charges[index].state;
                if matches!(state, State::Down | State::Pausing { .. }) {
                    if let State::Pausing { failure, .. } = mem::replace(state, State::Ended) {
                        self.keep(index, failure);
                    }
                }
            }
        }
        let mut has_changed = true;
        while mem::take(&mut has_changed) {
            for index in 0..self.charges.len() {
                if let Poll::Ready(step) = self.poll_child(index, cx) {
                    if let Err(error) = step {
                        return Poll::Ready(Err(error));
                    }
                    has_changed = true;
                }
            }
        }
        if self.charges.iter().all(|charge| matches!(charge.state, State::Ended)) {
            return Poll::Ready(self.unanswered.take().map_or(Ok(()), Err));
        }
        Poll::Pending
    }

    /// Ready when the state of the child has changed.
    fn poll_child(&mut self, index: usize, cx: &mut TaskContext<'_>) -> Poll<Result<(), SupervisorError>> {
        let nobody_ends = !self.charges.iter().any(|charge| matches!(charge.state, State::Ending(_)));
        let charge = &mut self.charges[index];
        match &mut charge.state {
            State::Down | State::Ended => return Poll::Pending,
            State::Running { task, since } => {
                let (result, since) = (ready!(Pin::new(task).poll(cx)), *since);
                let failure = match result {
                    Ok(Ok(())) => None,
                    Ok(Err(error)) => Some(error),
                    Err(error) => Some(BoxError::from(error)),
                };
                let wanted = match charge.child.restart {
                    Restart::Always => true,
                    Restart::OnFailure => failure.is_some(),
                    Restart::Never => false,
                };
                charge.state = State::Ended;
                if wanted && !self.is_stopping {
                    return Poll::Ready(self.restart(index, since, failure));
                }
                self.keep(index, failure);
            }
            State::Ending(task) => {
                let result = ready!(Pin::new(task).poll(cx));
                let is_done = match charge.child.restart {
                    Restart::Always => false,
                    Restart::OnFailure => matches!(result, Ok(Ok(()))),
                    Restart::Never => true,
                };
                let is_down = !is_done && !self.is_stopping;
                charge.state = if is_down { State::Down } else { State::Ended };
                let failure = match result {
                    Ok(Ok(())) => None,
                    Ok(Err(error)) => Some(error),
                    // As it was asked to.
                    Err(error) if error.is_cancelled() => None,
                    Err(error) => Some(BoxError::from(error)),
                };
                if !is_down {
                    self.keep(index, failure);
                }
            }
            State::Pausing { pause, .. } => {
                if !nobody_ends {
                    return Poll::Pending;
                }
                ready!(pause.as_mut().poll(cx));
                self.restarts += 1;
                charge.state = State::Down;
                self.start_down();
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Keeps a failure that no restart will answer.
    fn keep(&mut self, index: usize, failure: Option<BoxError>) {
        if let (Some(error), None) = (failure, &self.unanswered) {
            self.unanswered = Some(self.error(Cause::Failed, index, Some(error)));
        }
    }

    fn error(&self, cause: Cause, index: usize, error: Option<BoxError>) -> SupervisorError {
        let child = Some(self.charges[index].child.name.clone());
        SupervisorError { cause, child, restarts: self.restarts, error }
    }

    /// A child that ran from `since` is to run again: after a pause, unless that is too often or too late.
    fn restart(&mut self, index: usize, since: Instant, failure: Option<BoxError>) -> Result<(), SupervisorError> {
        let now = now();
        let Supervisor { most, period, first_pause, longest_pause, restarts_all, .. } = self.settings;
        while self.recent.front().is_some_and(|at| now.saturating_duration_since(*at) >= period) {
            self.recent.pop_front();
        }
        if self.recent.len() >= most {
            return Err(self.error(Cause::TooOften, index, failure));
        }
        let charge = &mut self.charges[index];
        if now.saturating_duration_since(since) >= period {
            charge.streak = 0;
        }
        let pause = first_pause.saturating_mul(1_u32.checked_shl(charge.streak).unwrap_or(u32::MAX)).min(longest_pause);
        let next = later(now, pause);
        if self.scope.deadline().is_some_and(|deadline| next > deadline) {
            return Err(self.error(Cause::TooLate, index, failure));
        }
        // Who never gives up counts nothing.
        if most < usize::MAX {
            self.recent.push_back(now);
        }
        charge.streak += 1;
        charge.state = State::Pausing { pause: Box::pin(sleep_until(next)), failure };
        if restarts_all {
            for sibling in &mut self.charges {
                sibling.state = match mem::replace(&mut sibling.state, State::Ended) {
                    State::Running { task, .. } => {
                        task.cancel(ReasonKind::SiblingFailed);
                        State::Ending(task)
                    }
                    other => other,
                };
            }
        }
        Ok(())
    }

    fn start_down(&mut self) {
        for charge in self.charges.iter_mut().filter(|charge| matches!(charge.state, State::Down)) {
            let child = charge.child.clone();
            let (name, site) = (child.name.clone(), child.site);
            let member = spawn::builder::member(self.scope.member(attempt(child)));
            let task = spawn::start_from(self.scope.host().pool(), member, name, First::Queued, site);
            charge.state = State::Running { task, since: now() };
        }
    }
}
