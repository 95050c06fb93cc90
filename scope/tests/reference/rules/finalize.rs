//! Finalizers, and kills.

use super::super::Why;
use super::super::program::Id;
use super::{Kind, Machine, Phase, Run, Wait};

/// The budget of a finalizer where nothing else is said.
const BUDGET: u64 = 10_000;

impl Machine {
    /// D30: also a scope that is cancelled takes one, until its answer is there.
    pub(super) fn defer(&mut self, scope: usize, body: Id, budget: Option<u16>) -> bool {
        let is_open = self.is_open(scope);
        if is_open {
            self.scopes[scope].finalizers.push((body, budget.map_or(BUDGET, u64::from)));
        }
        is_open
    }

    /// D30: last in, first out, after everything else. `false`: there is none left. It is a frame of the scope's future, or
    /// (`parent` is `None`) a task of the adopter (D28).
    pub(super) fn next_finalizer(&mut self, scope: usize, parent: Option<usize>) -> bool {
        let Some(&(body, budget)) = self.scopes[scope].finalizers.last() else { return false };
        self.scopes[scope].phase = Phase::Finalizing;
        // D8: its budget is its own. D3 is not for finalizers: each is begun, also in a scope that is killed.
        let kind = Kind::Finalizer { scope, at: self.now + budget, spent: self.scopes[scope].killed };
        let frame = self.enter(kind, parent, body, if parent.is_some() { Wait::Now } else { Wait::Start });
        if parent.is_some() {
            self.begin_latest(frame);
        }
        true
    }

    /// A task of the adopter runs the one that is the latest when it is polled first.
    pub(super) fn begin_latest(&mut self, frame: usize) {
        let Kind::Finalizer { scope, spent, .. } = self.frames[frame].kind else { return };
        let (body, budget) = self.scopes[scope].finalizers.pop().expect("it was entered for one");
        self.frames[frame].body = body;
        self.frames[frame].kind = Kind::Finalizer { scope, at: self.now + budget, spent };
    }

    /// D21: it changes nothing in the result, unless it has panicked.
    pub(super) fn finalizer_ended(&mut self, run: &Run<'_>, frame: usize, panic: Option<Id>) {
        let Kind::Finalizer { scope, .. } = self.frames[frame].kind else { unreachable!("a finalizer") };
        self.frames[frame].open = false;
        if let Some(failed) = panic {
            self.scopes[scope].panic.get_or_insert(failed);
        }
        match self.frames[frame].parent {
            Some(parent) => {
                self.frames[parent].wait = Wait::Never;
                self.drain(run, scope);
            }
            None => {
                self.scopes[scope].phase = Phase::Draining;
                self.orphan_ended(scope);
            }
        }
    }

    pub(super) fn is_killed(&self, frame: usize) -> bool {
        self.scopes[self.scope_around(frame)].killed
    }

    /// A kill is a cancel that goes through shields and finalizers, whose budgets end with it, down to everything below.
    /// D5: the first reason stays, a stronger request changes the state. It reaches what a dropped scope has left behind
    /// (D28). `true` if it was the first kill.
    pub(super) fn kill(&mut self, scope: usize) -> bool {
        if !self.is_open(scope) || self.scopes[scope].killed {
            return false;
        }
        let why = *self.scopes[scope].reason.get_or_insert(Why::own("user"));
        for at in 0..self.scopes.len() {
            let mut above = Some(at);
            while above.is_some_and(|above| above != scope) {
                // Whoever waits for what was dropped or leaked is above it, and not the scope that had closed by then.
                above = above.and_then(|above| self.scopes[above].adopter.or(self.scopes[above].parent));
            }
            if above.is_some() && self.is_open(at) {
                self.scopes[at].killed = true;
                self.scopes[at].reason.get_or_insert(why.inherited());
            }
        }
        for at in 0..self.frames.len() {
            let is_killed = self.frames[at].open && self.is_killed(at);
            if let Kind::Shield { spent, .. } | Kind::Finalizer { spent, .. } = &mut self.frames[at].kind {
                *spent |= is_killed;
            }
        }
        self.spread();
        true
    }
}
