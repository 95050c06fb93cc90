//! Bodies: their statements, what they enter and what they spawn.

use std::{iter, mem};

use super::super::program::{End, Id, Op};
use super::super::{Key, Seen, Why};
use super::{Ended, Frame, Kind, Leak, Machine, Phase, Run, Scope, Task, Wait};

impl Machine {
    pub(super) fn enter(&mut self, kind: Kind, parent: Option<usize>, body: Id, wait: Wait) -> usize {
        if let Some(parent) = parent {
            self.frames[parent].wait = Wait::Inside;
        }
        let frame = Frame {
            kind,
            parent,
            body,
            next: 0,
            wait,
            polled: false,
            open: true,
            budget: None,
            ended: None,
            spawned: None,
        };
        self.frames.push(frame);
        self.frames.len() - 1
    }

    pub(super) fn open_scope(
        &mut self,
        parent: Option<usize>,
        body: Id,
        deadline: Option<u64>,
        isolate: bool,
        leak: Leak,
    ) {
        let frame = self.enter(Kind::Scope(self.scopes.len()), parent, body, Wait::Now);
        let around = parent.map(|parent| self.scope_around(parent));
        let killed = around.is_some_and(|around| self.scopes[around].killed);
        // D45: entering a cancelled place is no cancellation point.
        let reason = self.cut(parent).or(around.and_then(|around| self.scopes[around].reason.filter(|_| killed)));
        self.scopes.push(Scope {
            body,
            frame,
            parent: around,
            isolate,
            phase: Phase::Body,
            orphan: false,
            adopter: None,
            members: 0,
            reason: reason.map(Why::inherited),
            killed,
            stopping: false,
            was_cut: false,
            value: false,
            errors: Vec::new(),
            panic: None,
            deadline,
            graces: Vec::new(),
            finalizers: Vec::new(),
            leak,
        });
    }

    pub(super) fn scope_around(&self, frame: usize) -> usize {
        match self.frames[frame] {
            Frame { kind: Kind::Scope(scope), .. } => scope,
            Frame { kind: Kind::Task(task), .. } => self.tasks[task].scope,
            Frame { kind: Kind::Finalizer { scope, .. }, .. } => scope,
            Frame { parent, .. } => self.scope_around(parent.expect("a task or a scope is outermost")),
        }
    }

    /// The scope of a body, if it was opened.
    pub(super) fn scope_of(&self, body: Id) -> Option<usize> {
        self.scopes.iter().position(|scope| scope.body == body)
    }

    /// D26: nothing is admitted to what is cancelled or has ended.
    pub(super) fn spawn(&mut self, run: &Run<'_>, body: Id, scope: usize, fallible: bool) -> usize {
        let task = self.tasks.len();
        let refused = if self.is_closed(scope) {
            // The reason is then of no account.
            match run.outcome.get(&Key::Handle(body)) {
                Some((Seen::Cancelled(why, false), _)) => Some(*why),
                _ => Some(Why::own("user")),
            }
        } else {
            self.scopes[scope].reason
        };
        let frame = self.enter(Kind::Task(task), None, body, Wait::Start);
        self.tasks.push(Task { body, frame, scope, fallible, refused, own: None, ended: false });
        match refused {
            None => self.scopes[scope].members += 1,
            // What is offered comes back at once; what is spawned answers when it is polled.
            Some(_) if !fallible => self.refuse(run, task),
            Some(_) => {}
        }
        task
    }

    pub(super) fn refuse(&mut self, run: &Run<'_>, task: usize) {
        let Task { body, frame, refused, .. } = self.tasks[task];
        (self.frames[frame].open, self.tasks[task].ended) = (false, true);
        self.say(run, Key::Handle(body), Seen::Cancelled(refused.expect("refused"), false));
    }

    /// What the body waited for has come.
    pub(super) fn resume(&mut self, run: &Run<'_>, frame: usize) {
        let Frame { kind, body, next, .. } = self.frames[frame];
        match mem::replace(&mut self.frames[frame].wait, Wait::Now) {
            Wait::Start => {
                if let Kind::Task(task) = kind
                    && self.tasks[task].refused.is_some()
                {
                    self.refuse(run, task);
                }
                self.begin_latest(frame);
            }
            Wait::Join(_) => self.say(run, Key::Op(body, next - 1), Seen::Yes),
            // Both may have come.
            Wait::Stopping(scope, _) => {
                let stopping = if self.is_stopping(scope) { Seen::Yes } else { Seen::No };
                self.say(run, Key::Op(body, next - 1), stopping);
            }
            _ => {}
        }
    }

    /// What is ready at the first look is no suspension.
    pub(super) fn wait_or_go_on(&mut self, run: &Run<'_>, frame: usize, wait: Wait) {
        self.frames[frame].wait = wait;
        let is_ready = match wait {
            Wait::Stopping(scope, _) => self.is_stopping(scope),
            Wait::Join(task) => self.tasks[task].ended,
            _ => false,
        };
        if is_ready && self.cut(Some(frame)).is_none() {
            self.resume(run, frame);
        }
    }

    /// What is polled says its end some time, unless it is forgotten: an order in which it never does is wrong from here on.
    fn expect_end(&mut self, run: &Run<'_>, body: Id) {
        if !run.outcome.contains_key(&Key::Body(body)) {
            self.wrong = self.wrong.take().or(Some((Key::Body(body), Seen::Dropped, self.now)));
        }
    }

    fn is_silent(&self, frame: usize) -> bool {
        iter::successors(Some(frame), |&at| self.frames[at].parent).any(|at| self.leak_of(at) != Leak::No)
    }

    /// The next statement of a body, up to its suspension.
    pub(super) fn statement(&mut self, run: &Run<'_>, frame: usize) {
        let Frame { body, next, spawned, .. } = self.frames[frame];
        let code = &run.program.bodies[usize::from(body)];
        if !mem::replace(&mut self.frames[frame].polled, true) && !self.is_silent(frame) {
            self.expect_end(run, body);
        }
        let Some(op) = code.ops.get(next) else {
            let ended = match code.end {
                End::Value => Ended::Value,
                End::Error => Ended::Error(body),
                End::Panic => Ended::Panic(body),
            };
            return self.end(run, frame, ended);
        };
        self.frames[frame].next += 1;
        let now = self.now;
        let after = |time: u16| now + u64::from(time);
        let answer = |yes: bool| if yes { Seen::Yes } else { Seen::No };
        let inside = |machine: &mut Machine, kind, body| machine.enter(kind, Some(frame), body, Wait::Now);
        match *op {
            Op::Sleep(time) => self.frames[frame].wait = Wait::Time(after(time)),
            Op::Yield => self.frames[frame].wait = Wait::Yield,
            Op::Foreign => self.frames[frame].wait = Wait::Foreign,
            Op::Stopping(time) => {
                self.wait_or_go_on(run, frame, Wait::Stopping(self.scope_around(frame), after(time)));
            }
            Op::Join => {
                if let Some(task) = spawned {
                    self.wait_or_go_on(run, frame, Wait::Join(task));
                }
            }
            Op::Open { body, deadline, isolate } => {
                self.open_scope(Some(frame), body, deadline.map(after), isolate, Leak::No);
            }
            Op::Leak { body, deadline } => {
                self.open_scope(Some(frame), body, deadline.map(after), false, Leak::Soon);
            }
            Op::Spawn { body, scope, fallible } => {
                if let Some(scope) = self.scope_of(scope) {
                    self.frames[frame].spawned = Some(self.spawn(run, body, scope, fallible));
                }
            }
            Op::Defer { body: finalizer, scope, budget } => {
                if let Some(scope) = self.scope_of(scope) {
                    let taken = self.defer(scope, finalizer, budget);
                    self.say(run, Key::Op(body, next), answer(taken));
                }
            }
            Op::CancelTask => {
                if let Some(task) = spawned.filter(|&task| !self.tasks[task].ended) {
                    self.tasks[task].own.get_or_insert(Why::own("user"));
                    self.stop_inside(self.tasks[task].frame);
                    self.spread();
                }
            }
            Op::Cancel { scope } => {
                if let Some(scope) = self.scope_of(scope) {
                    let first = self.request(scope, Why::own("user"));
                    self.say(run, Key::Op(body, next), answer(first));
                }
            }
            Op::Kill { scope } => {
                if let Some(scope) = self.scope_of(scope) {
                    let first = self.kill(scope);
                    self.say(run, Key::Op(body, next), answer(first));
                }
            }
            // D32, D50. After its end the answer is of no account.
            Op::Ask { scope } => {
                if let Some(scope) = self.scope_of(scope) {
                    let seen = run.outcome.get(&Key::Op(body, next)).is_some_and(|seen| seen.0 == Seen::Yes);
                    let cancelled = self.scopes[scope].reason.is_some();
                    self.say(run, Key::Op(body, next), answer(if self.is_ended(scope) { seen } else { cancelled }));
                }
            }
            Op::Stop { scope, grace } => {
                if let Some(scope) = self.scope_of(scope) {
                    let stops = !self.is_ended(scope) && self.scopes[scope].reason.is_none();
                    self.say(run, Key::Op(body, next), answer(stops));
                    if stops {
                        self.scopes[scope].stopping = true;
                        match grace {
                            0 => drop(self.request(scope, Why::own("shutdown"))),
                            _ => self.scopes[scope].graces.push(after(grace)),
                        }
                    }
                }
            }
            // D12: at once; a deadline that has passed stays.
            Op::Move { scope, deadline } => {
                if let Some(scope) = self.scope_of(scope)
                    && self.scopes[scope].reason != Some(Why::own("deadline"))
                {
                    self.scopes[scope].deadline = Some(after(deadline));
                }
            }
            Op::Shield { body, budget } => {
                let spent = self.is_under_spent(frame) || self.is_killed(frame);
                let shield = inside(self, Kind::Shield { spends: None, armed: false, spent }, body);
                self.frames[shield].budget = budget.map(u64::from);
                self.spread();
            }
            Op::Catch { body, resume } => drop(inside(self, Kind::Catch { resume }, body)),
            Op::Timeout { body, after: time } => {
                inside(self, Kind::Timeout { at: after(time), expired: false }, body);
            }
            Op::DropAfter { body, after: time } => drop(inside(self, Kind::Race { at: after(time) }, body)),
            // The newest frame runs first.
            Op::Both { left, right, unordered } => [right, left].into_iter().for_each(|body| {
                inside(self, Kind::Branch { unordered }, body);
            }),
        }
    }
}
