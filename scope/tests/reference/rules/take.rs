//! What a step does, and how a request spreads.

use super::super::{Seen, Why};
use super::{Frame, Kind, Leak, Machine, Run, Step, Wait};

impl Machine {
    pub fn take(&mut self, run: &Run<'_>, step: Step) {
        match step {
            Step::Run(frame) => {
                let running = self.frames[frame].wait == Wait::Now;
                self.resume(run, frame);
                if (running || run.parallel && !run.fine) && self.frames[frame].open {
                    self.advance(run, frame);
                }
            }
            Step::Drop(frame) => {
                self.drop_inside_of_cut(run, frame);
                self.settle(run, self.frames[frame].parent);
            }
            Step::Expire(frame) => {
                let Kind::Timeout { expired, .. } = &mut self.frames[frame].kind else { unreachable!() };
                *expired = true;
                self.stop_inside(frame);
                self.spread();
                self.settle(run, Some(frame));
            }
            Step::Lose(frame) => {
                self.drop_frame(run, frame);
                self.returned(frame);
            }
            Step::Finish(scope) => {
                self.finish(run, scope);
                self.settle(run, self.frames[self.scopes[scope].frame].parent);
            }
            Step::Spend(shield) => {
                self.spend(shield);
                self.spread();
            }
            Step::Deadline(scope) => {
                self.scopes[scope].deadline = None;
                self.request(scope, Why::own("deadline"));
            }
            Step::Grace(scope, grace) => {
                self.scopes[scope].graces.remove(grace);
                self.request(scope, Why::own("shutdown"));
            }
            Step::Overrun(finalizer) => {
                self.spend(finalizer);
                self.spread();
            }
            Step::Forget(frame) => self.forget(frame),
            Step::Abandon(frame) => {
                let Kind::Scope(scope) = self.frames[frame].kind else { unreachable!() };
                self.scopes[scope].leak = Leak::LetGo;
                self.settle(run, self.frames[frame].parent);
            }
            Step::End => {
                let (key, at) = self.driver().expect("listed as a step");
                self.now = self.now.max(at);
                self.say(run, key, Seen::Yes);
                self.end_of_program();
            }
            Step::Wait(until) => self.now = until,
        }
        self.go_on(run);
    }

    /// One poll goes on until its next suspension: nothing else happens on this thread meanwhile.
    pub(super) fn go_on(&mut self, run: &Run<'_>) {
        self.forget_rested(run);
        let running = |machine: &Machine| machine.open().rev().find(|&at| machine.frames[at].wait == Wait::Now);
        while let Some(frame) = (!run.parallel && self.wrong.is_none()).then(|| running(self)).flatten() {
            let is_open_ended = |at| self.is_polled_again(at) || self.may_drop_now(at) || self.may_be_forgotten(at);
            let is_open_ended = self.open().any(is_open_ended);
            if is_open_ended || self.abandoned_now().next().is_some() {
                return;
            }
            self.advance(run, frame);
            self.forget_rested(run);
        }
    }

    /// On one thread the code goes on at once after the poll of a scope that it forgets.
    fn forget_rested(&mut self, run: &Run<'_>) {
        while let Some(frame) = (!run.parallel).then(|| self.open().find(|&at| self.is_forgotten(at))).flatten() {
            self.forget(frame);
        }
    }

    fn advance(&mut self, run: &Run<'_>, frame: usize) {
        self.statement(run, frame);
        if self.frames[frame].wait != Wait::Now {
            self.settle(run, Some(frame));
        }
    }

    /// The poll comes back through the frames around a suspension, from the inside out: the first one that is cut and that
    /// nothing holds drops what is in it.
    pub(super) fn settle(&mut self, run: &Run<'_>, mut at: Option<usize>) {
        if run.parallel {
            return;
        }
        while let Some(frame) = at.filter(|&at| !self.frames[at].open || self.rests(at)) {
            if self.frames[frame].open && self.drops(frame) {
                self.drop_inside_of_cut(run, frame);
            }
            at = self.frames[frame].parent;
            // What is beside it is polled first.
            let is_branch = matches!(self.frames[frame].kind, Kind::Branch { .. });
            let around = |at| std::iter::successors(Some(at), |&at: &usize| self.frames[at].parent);
            let is_beside = |foreign| self.is_polled_beside(foreign) && around(foreign).any(|it| Some(it) == at);
            if is_branch && self.open().any(is_beside) {
                return;
            }
        }
    }

    /// D5: the first reason stays. D4: nothing that has ended is cancelled. `true` if it was the first cancel.
    pub(super) fn request(&mut self, scope: usize, why: Why) -> bool {
        if self.is_ended(scope) || self.scopes[scope].reason.is_some() {
            return false;
        }
        self.scopes[scope].reason = Some(why);
        self.spread();
        true
    }

    /// D32: a cancel marks everything below it at once, down to the shields, whose budgets start (rule 4).
    pub(super) fn spread(&mut self) {
        // A frame comes after those around it.
        for at in 0..self.frames.len() {
            let Frame { kind, parent, open, .. } = self.frames[at];
            // A leaked scope is not reached by a cut of what is just being dropped around it.
            let is_dropped = self.is_leaked(at) && parent.is_some_and(|parent| !self.frames[parent].open);
            let why = self.cut(parent).filter(|_| open && !is_dropped).or_else(|| self.reason_of_adopter(at));
            let Some(why) = why else { continue };
            match kind {
                Kind::Scope(scope) => {
                    self.scopes[scope].reason.get_or_insert(why.inherited());
                }
                Kind::Shield { armed: false, .. } => {
                    let budget = self.frames[at].budget;
                    let Kind::Shield { spends, armed, .. } = &mut self.frames[at].kind else { unreachable!() };
                    (*spends, *armed) = (budget.map(|budget| self.now + budget), true);
                }
                _ => {}
            }
        }
        self.give_up_all();
    }

    /// A cancel of no scope, but of a task or what a timeout runs, says "finish soon" to the scopes inside, through shields.
    pub(super) fn stop_inside(&mut self, frame: usize) {
        for inside in self.inside(frame).collect::<Vec<_>>() {
            if let Kind::Scope(scope) = self.frames[inside].kind {
                self.scopes[scope].stopping = true;
            }
            self.stop_inside(inside);
        }
    }

    /// D8: the smallest budget counts, so the shields inside are spent with it, up to the next scope.
    pub(super) fn spend(&mut self, frame: usize) {
        match &mut self.frames[frame].kind {
            Kind::Shield { spent, .. } | Kind::Finalizer { spent, .. } => *spent = true,
            Kind::Scope(_) => return,
            _ => {}
        }
        for inside in self.inside(frame).collect::<Vec<_>>() {
            self.spend(inside);
        }
    }

    /// D8: a shield inside a spent one protects nothing.
    pub(super) fn is_under_spent(&self, frame: usize) -> bool {
        match self.frames[frame].kind {
            Kind::Shield { spent, .. } | Kind::Finalizer { spent, .. } => spent,
            Kind::Task(_) | Kind::Scope(_) => false,
            _ => self.frames[frame].parent.is_some_and(|parent| self.is_under_spent(parent)),
        }
    }
}
