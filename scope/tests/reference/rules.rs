//! The reference semantics: every rule of scopes, tasks and boundaries as one step of one machine.
//!
//! The machine is a forest of frames, one tree for each task; a scope, a shield, a catch, a timeout and a branch of a race
//! are frames in the tree of the task that runs them. Nothing is queued and nothing is woken: what is cancelled, cut, held
//! or ready is computed from the whole forest (D1: level-triggered). [`Machine::steps`] lists all that may happen next.

mod code;
mod ends;
mod finalize;
mod leak;
mod take;

use super::program::{Id, Program};
use super::{Key, Outcome, Seen, Why};

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Task(usize),
    Scope(usize),
    Shield {
        /// When its budget ends.
        spends: Option<u64>,
        armed: bool,
        spent: bool,
    },
    Catch {
        resume: bool,
    },
    Timeout {
        at: u64,
        expired: bool,
    },
    Race {
        at: u64,
    },
    Branch {
        unordered: bool,
    },
    /// A finalizer of that scope.
    Finalizer {
        scope: usize,
        /// When its budget ends.
        at: u64,
        spent: bool,
    },
}

/// What a frame's body waits for.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Wait {
    /// The first poll.
    Start,
    /// Nothing: it runs.
    Now,
    Time(u64),
    Yield,
    Foreign,
    Join(usize),
    Stopping(usize, u64),
    Inside,
    Never,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Ended {
    Value,
    Error(Id),
    Panic(Id),
}

#[derive(Clone, Hash)]
struct Frame {
    kind: Kind,
    parent: Option<usize>,
    body: Id,
    next: usize,
    wait: Wait,
    polled: bool,
    open: bool,
    /// Of a branch.
    ended: Option<Ended>,
    /// Of a shield.
    budget: Option<u64>,
    /// The task that it spawned last.
    spawned: Option<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Phase {
    Body,
    Draining,
    Finalizing,
    /// It has ended without an answer: its future waits to be dropped (rule 4).
    Mute,
    Closed,
}

#[derive(Clone, Hash)]
struct Scope {
    body: Id,
    frame: usize,
    parent: Option<usize>,
    isolate: bool,
    phase: Phase,
    /// Its future was dropped half-way; who waits for it instead (D28).
    orphan: bool,
    adopter: Option<usize>,
    members: u32,
    reason: Option<Why>,
    killed: bool,
    stopping: bool,
    was_cut: bool,
    value: bool,
    errors: Vec<Id>,
    panic: Option<Id>,
    deadline: Option<u64>,
    graces: Vec<u64>,
    /// Their bodies and budgets.
    finalizers: Vec<(Id, u64)>,
    leak: Leak,
}

/// D29: a scope whose future is forgotten after its first poll.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Leak {
    No,
    /// It is in its first poll.
    Soon,
    /// Nobody will poll it again; it still holds back the drop of the code around it.
    Holds,
    /// It was woken, and not polled (rule 5).
    LetGo,
}

#[derive(Clone, Hash)]
struct Task {
    body: Id,
    frame: usize,
    scope: usize,
    fallible: bool,
    refused: Option<Why>,
    own: Option<Why>,
    ended: bool,
}

/// What may happen next.
#[derive(Debug, Clone, Copy)]
pub enum Step {
    /// A body goes on.
    Run(usize),
    /// A cut frame drops what is in it.
    Drop(usize),
    Expire(usize),
    Lose(usize),
    Finish(usize),
    Spend(usize),
    Deadline(usize),
    Grace(usize, usize),
    Overrun(usize),
    /// The first poll of a scope is over: its future is forgotten.
    Forget(usize),
    Abandon(usize),
    /// Only what was leaked is left: the driver cancels the outermost scope, or kills it.
    End,
    /// The time moves.
    Wait(u64),
}

#[derive(Clone, Hash)]
pub struct Machine {
    now: u64,
    /// How often the driver has asked the outermost scope to end.
    driven: u8,
    frames: Vec<Frame>,
    scopes: Vec<Scope>,
    tasks: Vec<Task>,
    /// How much of what was seen was said so far.
    pub said: usize,
    /// It said something that was not seen.
    pub wrong: Option<(Key, Seen, u64)>,
}

/// A run to be held against the rules.
pub struct Run<'a> {
    pub program: &'a Program,
    pub outcome: &'a Outcome,
    /// Many threads and real time: every statement is a step of its own, and an alarm comes when it likes.
    pub parallel: bool,
    /// With `parallel`: so is the resumption before it. Many more orders, which hardly ever matter.
    pub fine: bool,
}

impl Machine {
    pub fn new(run: &Run<'_>) -> Machine {
        let mut machine = Machine {
            now: 0,
            driven: 0,
            frames: Vec::new(),
            scopes: Vec::new(),
            tasks: Vec::new(),
            said: 0,
            wrong: None,
        };
        machine.open_scope(None, 0, None, false, Leak::No);
        machine.go_on(run);
        machine
    }

    fn say(&mut self, run: &Run<'_>, key: Key, seen: Seen) {
        let at = if run.parallel || matches!(key, Key::Handle(_)) { 0 } else { self.now };
        match run.outcome.get(&key) {
            Some((there, then)) if *then == at && self.is_same(there, &seen) => self.said += 1,
            _ => self.wrong = self.wrong.take().or(Some((key, seen, at))),
        }
    }

    /// The same. A scope that never suspended looks for its reason late, and may find another one than the first where
    /// there was a kill as well.
    fn is_same(&self, there: &Seen, seen: &Seen) -> bool {
        match (there, seen) {
            (Seen::Cancelled(_, was_started), Seen::Cancelled(_, started)) => {
                was_started == started && (there == seen || self.scopes.iter().any(|scope| scope.killed))
            }
            _ => there == seen,
        }
    }

    // ---- What is so ----

    /// Cancelled as this frame sees it, through its shields; and why.
    fn cut(&self, frame: Option<usize>) -> Option<Why> {
        let mut at = frame;
        while let Some(here) = at {
            let frame = &self.frames[here];
            match frame.kind {
                Kind::Task(task) => {
                    let Task { own, scope, .. } = self.tasks[task];
                    return own.or(self.scopes[scope].reason);
                }
                Kind::Scope(scope) if self.scopes[scope].reason.is_some() => return self.scopes[scope].reason,
                Kind::Timeout { expired: true, .. } => return Some(Why::own("deadline")),
                // D7: a shield stops what comes from outside it; a spent one is transparent (rule 4).
                Kind::Shield { spent: false, .. } => return None,
                Kind::Shield { .. } if !self.is_killed(here) => {
                    return self.cut(frame.parent).map(|_| Why::own("shield_budget"));
                }
                // No cancel from around gets into a finalizer; its own budget and a kill do.
                Kind::Finalizer { spent: false, .. } => return None,
                Kind::Finalizer { scope, .. } if self.scopes[scope].killed => return self.scopes[scope].reason,
                Kind::Finalizer { .. } => return Some(Why::own("shield_budget")),
                _ => {}
            }
            at = frame.parent;
        }
        None
    }

    fn inside(&self, frame: usize) -> impl Iterator<Item = usize> + '_ {
        (0..self.frames.len()).filter(move |&at| self.frames[at].open && self.frames[at].parent == Some(frame))
    }

    /// Rule 4: an open scope, a shield and a catch hold back the drop of the frame around them.
    fn holds(&self, frame: usize) -> bool {
        let own = match self.frames[frame].kind {
            Kind::Scope(scope) if self.scopes[scope].leak == Leak::LetGo => return false,
            Kind::Scope(scope) => self.is_open(scope),
            Kind::Shield { spent, .. } | Kind::Finalizer { spent, .. } => !spent,
            Kind::Catch { .. } => true,
            _ => false,
        };
        own || self.inside(frame).any(|at| self.holds(at))
    }

    /// Rule 5: dropped at the first suspension at which no boundary inside is open.
    fn drops(&self, frame: usize) -> bool {
        let drops = match self.frames[frame].kind {
            Kind::Task(task) => self.tasks[task].refused.is_none(),
            Kind::Catch { .. } | Kind::Timeout { expired: true, .. } => true,
            Kind::Finalizer { spent, .. } => spent && self.frames[frame].polled,
            Kind::Scope(scope) => self.scopes[scope].phase == Phase::Body,
            _ => false,
        };
        drops && self.cut(Some(frame)).is_some() && !self.inside(frame).any(|at| self.holds(at)) && self.rests(frame)
    }

    /// Nothing in it is in the middle of a poll.
    fn rests(&self, frame: usize) -> bool {
        self.frames[frame].wait != Wait::Now
            && self.inside(frame).all(|at| self.rests(at) && self.leak_of(at) != Leak::Soon)
    }

    /// A frame around it drops it first.
    fn is_lost(&self, frame: usize) -> bool {
        self.frames[frame].parent.is_some_and(|parent| self.drops(parent) || self.is_lost(parent))
    }

    /// One poll of two branches polls both, and what woke itself perhaps again, before it comes back to the frames around:
    /// a foreign future inside goes on (rule 3).
    fn is_polled_beside(&self, frame: usize) -> bool {
        let mut around = std::iter::successors(Some(frame), |&at| self.frames[at].parent);
        self.frames[frame].wait == Wait::Foreign && around.any(|at| matches!(self.frames[at].kind, Kind::Branch { .. }))
    }

    /// What was woken in a `FuturesUnordered` may be polled again before what is beside that is polled at all.
    fn is_polled_again(&self, frame: usize) -> bool {
        let Frame { kind, wait, .. } = self.frames[frame];
        let drained = matches!(kind, Kind::Scope(scope) if self.is_drained(scope));
        let woken = drained || self.drops(frame) || wait != Wait::Now && self.goes_on(frame);
        let mut around = std::iter::successors(Some(frame), |&at| self.frames[at].parent);
        woken && around.any(|at| self.frames[at].kind == Kind::Branch { unordered: true })
    }

    /// A frame that drops its inside, now or after it has polled what is foreign in there once more.
    fn may_drop_now(&self, frame: usize) -> bool {
        let around = |at| std::iter::successors(Some(at), |&at: &usize| self.frames[at].parent);
        self.drops(frame) && self.open().any(|at| self.is_polled_beside(at) && around(at).any(|at| at == frame))
    }

    fn open(&self) -> impl DoubleEndedIterator<Item = usize> + '_ {
        (0..self.frames.len()).filter(|&at| self.frames[at].open && !self.is_asleep(at))
    }

    /// Rule 7: soft stop reaches everything below, through shields; a cancel says it as well.
    fn is_stopping(&self, scope: usize) -> bool {
        let Scope { stopping, reason, parent, .. } = self.scopes[scope];
        stopping || reason.is_some() || parent.is_some_and(|parent| self.is_stopping(parent))
    }

    fn goes_on(&self, frame: usize) -> bool {
        // Rule 3: our own leaves stay pending in a cut frame, ready or not; foreign ones go on until the drop.
        let cut = self.cut(Some(frame)).is_some();
        match self.frames[frame].wait {
            Wait::Start | Wait::Now | Wait::Foreign => true,
            Wait::Time(at) => at <= self.now && !cut,
            Wait::Yield => !cut,
            Wait::Join(task) => self.tasks[task].ended && !cut,
            Wait::Stopping(scope, at) => (at <= self.now || self.is_stopping(scope)) && !cut,
            Wait::Inside | Wait::Never => false,
        }
    }

    fn is_ended(&self, scope: usize) -> bool {
        let Scope { phase, orphan, .. } = self.scopes[scope];
        orphan || matches!(phase, Phase::Mute | Phase::Closed)
    }

    fn is_open(&self, scope: usize) -> bool {
        matches!(self.scopes[scope].phase, Phase::Body | Phase::Draining | Phase::Finalizing)
    }

    /// D27: the body has ended and no member is left.
    fn is_drained(&self, scope: usize) -> bool {
        let Scope { phase, members, .. } = self.scopes[scope];
        phase == Phase::Draining && members == 0
    }

    fn is_closed(&self, scope: usize) -> bool {
        matches!(self.scopes[scope].phase, Phase::Finalizing | Phase::Mute | Phase::Closed) || self.is_drained(scope)
    }

    /// Everything that may happen next.
    pub fn steps(&self, run: &Run<'_>) -> Vec<Step> {
        let due = |at: Option<u64>| at.is_some_and(|at| at <= self.now);
        let mut steps = Vec::new();
        if !run.parallel && self.open().any(|at| self.frames[at].wait == Wait::Now) {
            // In the middle of a poll; the code around a scope whose first poll is not over goes on after that.
            let is_inside = self.open().any(|at| self.may_be_forgotten(at));
            for at in self.open() {
                let (again, running) = (self.is_polled_again(at), self.frames[at].wait == Wait::Now && !is_inside);
                match self.frames[at].kind {
                    Kind::Scope(scope) if again && self.is_drained(scope) => steps.push(Step::Finish(scope)),
                    _ if self.drops(at) && again || self.may_drop_now(at) => steps.push(Step::Drop(at)),
                    _ if again || running => steps.push(Step::Run(at)),
                    _ if self.may_be_forgotten(at) => steps.push(Step::Forget(at)),
                    _ => {}
                }
            }
            steps.extend(self.abandoned_now().map(Step::Abandon));
            return steps;
        }
        for (at, &Frame { kind, parent, open, .. }) in self.frames.iter().enumerate() {
            // Its frame may be closed before it has ended (D29).
            if let Kind::Scope(scope) = kind
                && !self.is_ended(scope)
            {
                let Scope { deadline, ref graces, .. } = self.scopes[scope];
                steps.extend(due(deadline).then_some(Step::Deadline(scope)));
                let graces = (0..graces.len()).filter(|&grace| due(Some(graces[grace])));
                steps.extend(graces.map(|grace| Step::Grace(scope, grace)));
            }
            if !open {
                continue;
            }
            match kind {
                Kind::Shield { spends, spent: false, .. } if due(spends) => steps.push(Step::Spend(at)),
                Kind::Finalizer { at: end, spent: false, .. } if due(Some(end)) => steps.push(Step::Overrun(at)),
                _ => {}
            }
            steps.extend(self.leaking(at));
            if self.is_asleep(at) {
                continue;
            }
            if self.is_lost(at) && !run.parallel {
                // That drop may come later in the same poll.
                if self.may_drop_now(at) {
                    steps.push(Step::Drop(at));
                } else if self.is_polled_beside(at) {
                    steps.push(Step::Run(at));
                }
                continue;
            }
            match kind {
                _ if self.drops(at) => steps.push(Step::Drop(at)),
                // The clocks of a timeout and of a race are leaves outside of them: inert where that is cut.
                Kind::Timeout { at: end, expired: false } if due(Some(end)) && self.cut(parent).is_none() => {
                    steps.push(Step::Expire(at));
                }
                Kind::Race { at: end } if due(Some(end)) && self.cut(parent).is_none() => steps.push(Step::Lose(at)),
                Kind::Scope(scope) if self.is_drained(scope) => steps.push(Step::Finish(scope)),
                _ => {}
            }
            if self.goes_on(at) && (run.parallel || !self.drops(at)) {
                steps.push(Step::Run(at));
            }
        }
        let later = (steps.is_empty() || run.parallel).then(|| self.next_time()).flatten();
        steps.extend(later.map(Step::Wait));
        let end = self.driver().is_some_and(|(key, _)| run.outcome.contains_key(&key));
        steps.extend((end && (steps.is_empty() || run.parallel)).then_some(Step::End));
        steps
    }

    /// When the next clock strikes.
    fn next_time(&self) -> Option<u64> {
        let frames = (0..self.frames.len()).filter(|&at| self.frames[at].open);
        let frames = frames.flat_map(|at| {
            let (frame, asleep) = (&self.frames[at], self.is_asleep(at));
            let kind = match frame.kind {
                Kind::Shield { spends, spent: false, .. } => spends,
                Kind::Finalizer { at, spent: false, .. } => Some(at),
                Kind::Timeout { at, expired: false } | Kind::Race { at } if !asleep => Some(at),
                _ => None,
            };
            let wait = match frame.wait {
                Wait::Time(at) | Wait::Stopping(_, at) if !asleep => Some(at),
                _ => None,
            };
            [kind, wait]
        });
        let scopes = (0..self.scopes.len()).filter(|&scope| !self.is_ended(scope)).map(|scope| &self.scopes[scope]);
        let scopes = scopes.flat_map(|scope| scope.deadline.into_iter().chain(scope.graces.iter().copied()));
        frames.flatten().chain(scopes).filter(|&at| at > self.now).min()
    }
}
