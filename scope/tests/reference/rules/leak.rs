//! D29: scopes whose future was forgotten.

use super::super::Why;
use super::{Kind, Leak, Machine, Phase, Step};

impl Machine {
    pub(super) fn leak_of(&self, frame: usize) -> Leak {
        match self.frames[frame].kind {
            Kind::Scope(scope) => self.scopes[scope].leak,
            _ => Leak::No,
        }
    }

    pub(super) fn is_leaked(&self, frame: usize) -> bool {
        matches!(self.leak_of(frame), Leak::Holds | Leak::LetGo)
    }

    /// Nobody polls it: it is a leaked scope, or inside one.
    pub(super) fn is_asleep(&self, frame: usize) -> bool {
        std::iter::successors(Some(frame), |&at| self.frames[at].parent).any(|at| self.is_leaked(at))
    }

    /// The future of a scope is forgotten when its first poll has come back.
    pub(super) fn is_forgotten(&self, frame: usize) -> bool {
        self.leak_of(frame) == Leak::Soon && self.frames[frame].open && self.rests(frame)
    }

    pub(super) fn forget(&mut self, frame: usize) {
        if let Kind::Scope(scope) = self.frames[frame].kind {
            self.scopes[scope].leak = Leak::Holds;
        }
        self.returned(frame);
    }

    pub(super) fn leaking(&self, frame: usize) -> Option<Step> {
        let parent = self.frames[frame].parent;
        match self.leak_of(frame) {
            Leak::Soon if self.is_forgotten(frame) => Some(Step::Forget(frame)),
            // Rule 5: what is kept and not polled holds no longer once a cancel has woken it.
            Leak::Holds if self.cut(parent).is_some() => Some(Step::Abandon(frame)),
            _ => None,
        }
    }

    /// The frame that a leaked scope was in has ended: it belongs to the next one outwards, up to a task or the body of a
    /// scope. When that ends, the enclosing scope waits for it, and does not cancel it.
    pub(super) fn outlive(&mut self, leaked: usize, ended: usize) {
        let parent = self.frames[ended].parent;
        let is_last = matches!(self.frames[ended].kind, Kind::Task(_));
        let is_body = match self.frames[ended].kind {
            Kind::Scope(scope) => self.scopes[scope].phase == Phase::Body,
            _ => false,
        };
        self.frames[leaked].parent = parent;
        if is_last || is_body || parent.is_none() {
            self.stray(leaked);
        }
    }

    fn stray(&mut self, leaked: usize) {
        let Kind::Scope(scope) = self.frames[leaked].kind else { unreachable!("only scopes are leaked") };
        self.frames[leaked].parent = None;
        if !self.is_open(scope) {
            self.frames[leaked].open = false;
            return;
        }
        self.adopt(scope);
        let above = self.scopes[scope].adopter.and_then(|adopter| self.scopes[adopter].reason);
        if let Some(why) = above {
            self.scopes[scope].reason.get_or_insert(why.inherited());
            self.spread();
        }
        if self.is_drained(scope) {
            self.orphan_ended(scope);
        } else {
            self.give_up(scope);
        }
    }

    /// D28, D29: the nearest enclosing scope that is not closed waits for it.
    pub(super) fn adopt(&mut self, scope: usize) {
        let mut above = self.scopes[scope].parent;
        while let Some(at) = above.filter(|&at| self.is_closed(at)) {
            above = self.scopes[at].parent;
        }
        if let Some(adopter) = above {
            self.scopes[adopter].members += 1;
        }
        self.scopes[scope].adopter = above;
    }

    /// Its future is gone, or nobody polls it, and somebody else waits for it.
    pub(super) fn is_adopted(&self, scope: usize) -> bool {
        let Machine { frames, scopes, .. } = self;
        scopes[scope].orphan
            || scopes[scope].adopter.is_some() && self.is_leaked(scopes[scope].frame) && {
                frames[scopes[scope].frame].parent.is_none()
            }
    }

    /// Once cancelled, it counts as ended as soon as its children have: nothing waits for its future any more.
    pub(super) fn give_up(&mut self, scope: usize) {
        let frame = self.scopes[scope].frame;
        let is_due = self.is_adopted(scope)
            && self.is_leaked(frame)
            && self.frames[frame].open
            && self.scopes[scope].reason.is_some()
            && matches!(self.scopes[scope].phase, Phase::Body | Phase::Finalizing);
        if !is_due {
            return;
        }
        self.scopes[scope].was_cut |= self.scopes[scope].phase == Phase::Body;
        self.frames[frame].open = false;
        // What its future contains is never dropped; scopes in there are as leaked as it is.
        let mut inside: Vec<_> = self.inside(frame).collect();
        while let Some(at) = inside.pop() {
            match self.frames[at].kind {
                Kind::Scope(inner) => {
                    self.scopes[inner].leak = Leak::LetGo;
                    self.stray(at);
                }
                _ => {
                    self.frames[at].open = false;
                    inside.extend(self.inside(at));
                }
            }
        }
        self.scopes[scope].phase = Phase::Draining;
        if self.is_drained(scope) {
            self.orphan_ended(scope);
        }
    }

    pub(super) fn give_up_all(&mut self) {
        for scope in 0..self.scopes.len() {
            self.give_up(scope);
        }
    }

    /// A cancel of the adopter reaches what it has adopted.
    pub(super) fn reason_of_adopter(&self, frame: usize) -> Option<Why> {
        let Kind::Scope(scope) = self.frames[frame].kind else { return None };
        let adopter = self.scopes[scope].adopter.filter(|_| self.is_adopted(scope))?;
        self.scopes[adopter].reason
    }

    pub(super) fn end_of_program(&mut self) {
        self.at_end = true;
        self.request(0, Why::own("user"));
    }
}
