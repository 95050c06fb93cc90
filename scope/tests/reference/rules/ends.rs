//! How bodies, tasks and scopes end.

use std::mem;

use super::super::{Key, Seen, Why};
use super::{Ended, Frame, Kind, Machine, Phase, Run, Scope, Task, Wait};

impl Machine {
    /// The code around goes on after its await, unless it is gone.
    pub(super) fn returned(&mut self, frame: usize) {
        if let Some(parent) = self.frames[frame].parent {
            self.frames[parent].wait = Wait::Now;
        }
    }

    /// A body has come to an end of its own.
    pub(super) fn end(&mut self, run: &Run<'_>, frame: usize, ended: Ended) {
        let Frame { kind, parent, body, .. } = self.frames[frame];
        self.frames[frame].wait = Wait::Never;
        let panicked = matches!(ended, Ended::Panic(_));
        self.say(run, Key::Body(body), if panicked { Seen::Dropped } else { Seen::Value });
        self.drop_unleaked(run, frame);
        // What a task or a body has leaked is the scope's after its own error or panic.
        if !matches!(kind, Kind::Scope(_) | Kind::Task(_)) {
            self.outlive_all(frame);
        }
        match kind {
            Kind::Scope(scope) => self.body_ended(run, scope, ended),
            Kind::Task(task) => self.task_ended(run, task, ended),
            Kind::Finalizer { .. } => {
                let panic = match ended {
                    Ended::Panic(failed) => Some(failed),
                    Ended::Value | Ended::Error(_) => None,
                };
                self.finalizer_ended(run, frame, panic);
            }
            Kind::Branch { .. } if !panicked => {
                self.frames[frame].open = false;
                self.frames[frame].ended = Some(ended);
                let parent = parent.expect("a branch is inside");
                if !self.inside(parent).any(|at| matches!(self.frames[at].kind, Kind::Branch { .. })) {
                    // The left one comes last.
                    let ended = self.frames.iter().rev().filter(|it| it.parent == Some(parent));
                    match ended.filter_map(|it| it.ended).take(2).find(|ended| *ended != Ended::Value) {
                        Some(failed) => self.end(run, parent, failed),
                        None => self.returned(frame),
                    }
                }
            }
            _ => {
                self.frames[frame].open = false;
                match ended {
                    Ended::Value => self.returned(frame),
                    // An error and a panic leave the code around as well.
                    _ => self.end(run, parent.expect("only tasks and scopes are outermost"), ended),
                }
            }
        }
    }

    pub(super) fn body_ended(&mut self, run: &Run<'_>, scope: usize, ended: Ended) {
        match ended {
            Ended::Value => self.scopes[scope].value = true,
            Ended::Error(body) => self.scopes[scope].errors.push(body),
            Ended::Panic(body) => drop(self.scopes[scope].panic.get_or_insert(body)),
        }
        if ended != Ended::Value {
            self.request(scope, Why::own("body_failed"));
        }
        self.outlive_all(self.scopes[scope].frame);
        self.drain(run, scope);
    }

    /// D44: leaving a scope that is empty neither yields nor observes.
    pub(super) fn drain(&mut self, run: &Run<'_>, scope: usize) {
        self.scopes[scope].phase = Phase::Draining;
        if self.is_drained(scope) && !run.parallel {
            self.finish(run, scope);
        }
    }

    pub(super) fn task_ended(&mut self, run: &Run<'_>, task: usize, ended: Ended) {
        let Task { scope, fallible, .. } = self.tasks[task];
        let fails = !self.scopes[scope].isolate;
        let seen = match ended {
            Ended::Error(failed) if fallible => {
                // D20: collected, also from a scope that is being cancelled.
                self.scopes[scope].errors.push(failed);
                Seen::Failed(Vec::new(), false)
            }
            Ended::Value | Ended::Error(_) => Seen::Value,
            Ended::Panic(failed) => {
                if fails {
                    self.scopes[scope].panic.get_or_insert(failed);
                }
                Seen::Panicked(0)
            }
        };
        if seen != Seen::Value && fails {
            self.request(scope, Why::own("sibling_failed"));
        }
        self.leave(run, task, seen);
    }

    pub(super) fn leave(&mut self, run: &Run<'_>, task: usize, seen: Seen) {
        let Task { body, frame, scope, .. } = self.tasks[task];
        self.frames[frame].open = false;
        self.tasks[task].ended = true;
        self.say(run, Key::Handle(body), seen);
        self.outlive_all(frame);
        self.member_ended(scope);
    }

    pub(super) fn member_ended(&mut self, scope: usize) {
        self.scopes[scope].members -= 1;
        if self.is_drained(scope) && self.is_adopted(scope) {
            self.orphan_ended(scope);
        }
    }

    /// A cut frame drops its inside (rule 5).
    pub(super) fn drop_inside_of_cut(&mut self, run: &Run<'_>, frame: usize) {
        let Frame { kind, body, polled, .. } = self.frames[frame];
        let why = self.cut(Some(frame)).expect("it is cut");
        self.drop_inside(run, frame);
        self.frames[frame].wait = Wait::Never;
        // D3: what was not polled before the cancel is never polled.
        if polled {
            self.say(run, Key::Body(body), Seen::Dropped);
        }
        match kind {
            Kind::Task(task) => {
                let Task { own, scope, .. } = self.tasks[task];
                // A child that was cancelled alone does not count as cut.
                self.scopes[scope].was_cut |= own.is_none();
                self.leave(run, task, Seen::Cancelled(why, polled));
            }
            Kind::Scope(scope) => {
                self.scopes[scope].was_cut = true;
                self.drain(run, scope);
            }
            Kind::Catch { resume } => {
                self.frames[frame].open = false;
                self.say(run, Key::Answer(body), Seen::Cancelled(why, true));
                if resume {
                    let parent = self.frames[frame].parent.expect("a catch is inside");
                    self.frames[parent].wait = Wait::Never;
                } else {
                    self.returned(frame);
                }
            }
            // D21: an overrun changes nothing in the result.
            Kind::Finalizer { .. } => self.finalizer_ended(run, frame, None),
            // D15, D16: it converts only its own expiry. D17: not where the code after it must not run.
            Kind::Timeout { .. } => {
                let parent = self.frames[frame].parent;
                self.frames[frame].open = false;
                if self.cut(parent).is_none() {
                    self.say(run, Key::Answer(body), Seen::Elapsed);
                    self.returned(frame);
                }
            }
            _ => unreachable!("not dropped by itself"),
        }
    }

    pub(super) fn drop_inside(&mut self, run: &Run<'_>, frame: usize) {
        self.drop_unleaked(run, frame);
        self.outlive_all(frame);
    }

    fn drop_unleaked(&mut self, run: &Run<'_>, frame: usize) {
        for inside in self.inside(frame).filter(|&at| !self.is_leaked(at)).collect::<Vec<_>>() {
            self.drop_frame(run, inside);
        }
    }

    /// Dropped from outside, whatever is open inside.
    pub(super) fn drop_frame(&mut self, run: &Run<'_>, frame: usize) {
        let Frame { kind, body, polled, .. } = self.frames[frame];
        let open = match kind {
            Kind::Scope(scope) => self.is_open(scope).then_some(scope),
            _ => None,
        };
        // D28: a hard cancel; whoever is around waits.
        if let Some(scope) = open {
            self.request(scope, Why::own("dropped"));
            // The finalizer under way goes on as a task of the adopter.
            for inside in self.inside(frame).collect::<Vec<_>>() {
                if let Kind::Finalizer { .. } = self.frames[inside].kind {
                    self.frames[inside].parent = None;
                }
            }
        }
        let has_body = match kind {
            Kind::Scope(scope) => self.scopes[scope].phase == Phase::Body,
            _ => true,
        };
        if has_body && polled {
            self.say(run, Key::Body(body), Seen::Dropped);
        }
        self.frames[frame].open = false;
        self.drop_inside(run, frame);
        if let Some(scope) = open {
            self.adopt(scope);
            let dropped = &mut self.scopes[scope];
            dropped.orphan = true;
            if dropped.phase == Phase::Body {
                dropped.phase = Phase::Draining;
            }
            if self.is_drained(scope) {
                self.orphan_ended(scope);
            }
        }
    }

    /// An adopted scope has drained: nobody sees its answer, but a panic is its adopter's.
    pub(super) fn orphan_ended(&mut self, scope: usize) {
        self.frames[self.scopes[scope].frame].open = false;
        if self.next_finalizer(scope, None) {
            return;
        }
        self.scopes[scope].phase = Phase::Closed;
        self.let_adopter_go(scope);
    }

    /// Who waits for it waits no more.
    pub(super) fn let_adopter_go(&mut self, scope: usize) {
        let Scope { frame, panic, was_cut, reason, .. } = self.scopes[scope];
        let Some(adopter) = self.scopes[scope].adopter.take() else { return };
        // A leaked scope that a cancel from above has cut counts as a child that was.
        let cut_from_above = was_cut && reason.is_some_and(|why| why.inherited) && self.is_leaked(frame);
        self.scopes[adopter].was_cut |= cut_from_above && self.scopes[adopter].reason.is_some();
        if let Some(failed) = panic.filter(|_| !self.scopes[adopter].isolate) {
            self.scopes[adopter].panic.get_or_insert(failed);
            self.request(adopter, Why::own("sibling_failed"));
        }
        self.member_ended(adopter);
    }

    /// The result table: panic, then errors, then cancellation, then the value.
    pub(super) fn finish(&mut self, run: &Run<'_>, scope: usize) {
        if self.next_finalizer(scope, Some(self.scopes[scope].frame)) {
            return;
        }
        let Scope { body, frame, reason, was_cut, value, panic, .. } = self.scopes[scope];
        let errors = mem::take(&mut self.scopes[scope].errors);
        let parent = self.frames[frame].parent;
        let cut_from_outside = self.cut(parent).is_some();
        let failure = |why: Why| !why.inherited && matches!(why.kind, "body_failed" | "sibling_failed");
        let answer = if let Some(failed) = panic {
            Seen::Panicked(failed)
        } else if !errors.is_empty() {
            Seen::Failed(errors, reason.is_some_and(|why| !failure(why)))
        } else if value && !was_cut {
            Seen::Value
        } else if cut_from_outside {
            // D17, rule 6: the code after it does not run.
            self.scopes[scope].phase = Phase::Mute;
            return;
        } else {
            Seen::Cancelled(reason.expect("something was cut"), true)
        };
        self.scopes[scope].phase = Phase::Closed;
        // What a finalizer has leaked.
        self.drop_inside(run, frame);
        self.frames[frame].open = false;
        self.say(run, Key::Answer(body), answer);
        match (panic, parent) {
            (Some(failed), Some(parent)) => self.end(run, parent, Ended::Panic(failed)),
            _ => self.returned(frame),
        }
    }
}
