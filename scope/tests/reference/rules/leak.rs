//! D29: scopes whose future was forgotten.

use super::super::run::PATIENCE;
use super::super::{Key, Why};
use super::{Frame, Kind, Leak, Machine, Phase, Step};

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

    /// The future of a scope is forgotten when its first poll has come back, in which it was dropped if it is cut.
    pub(super) fn may_be_forgotten(&self, frame: usize) -> bool {
        let is_first = self.leak_of(frame) == Leak::Soon && self.frames[frame].open;
        is_first && self.rests(frame) && !self.drops(frame)
    }

    /// As [`may_be_forgotten`](Machine::may_be_forgotten), and the poll can have done no more.
    pub(super) fn is_forgotten(&self, frame: usize) -> bool {
        self.may_be_forgotten(frame) && !self.may_go_on(frame, false)
    }

    /// Of two branches, what is cut was polled before the cancel or after; what was woken is polled again or not.
    fn may_go_on(&self, frame: usize, is_beside: bool) -> bool {
        let may = self.drops(frame) || self.is_polled_again(frame) || self.is_polled_beside(frame);
        let is_beside = is_beside || matches!(self.frames[frame].kind, Kind::Branch { .. });
        may && is_beside || self.inside(frame).any(|at| self.may_go_on(at, is_beside))
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
            Leak::Soon if self.may_be_forgotten(frame) => Some(Step::Forget(frame)),
            // Rule 5: what is kept and not polled holds no longer once a cancel has woken it.
            Leak::Holds if self.is_let_go(parent) => Some(Step::Abandon(frame)),
            _ => None,
        }
    }

    /// The code around comes to rest, is cut, and has not polled what it keeps. What is asleep itself does not come to rest.
    fn is_let_go(&self, parent: Option<usize>) -> bool {
        self.cut(parent).is_some() && parent.is_none_or(|parent| !self.is_asleep(parent))
    }

    /// A `FuturesUnordered` may poll what keeps it again, before what is beside that is polled at all.
    pub(super) fn abandoned_now(&self) -> impl Iterator<Item = usize> + '_ {
        let unordered = |at: usize| self.frames[at].kind == Kind::Branch { unordered: true };
        let around = |at| std::iter::successors(Some(at), |&at: &usize| self.frames[at].parent);
        let is_it = move |at| {
            let Frame { parent, open, .. } = self.frames[at];
            open && self.leak_of(at) == Leak::Holds && self.is_let_go(parent) && around(at).any(unordered)
        };
        (0..self.frames.len()).filter(move |&at| is_it(at))
    }

    /// Also what was leaked further in.
    pub(super) fn outlive_all(&mut self, ended: usize) {
        let leaked = self.inside(ended).collect::<Vec<_>>();
        for &leaked in &leaked {
            self.outlive(leaked, ended);
        }
        // It may have left a shield.
        if !leaked.is_empty() {
            self.spread();
        }
    }

    /// The frame that a leaked scope was in has ended: it belongs to the next one outwards, up to a task or the body of a
    /// scope. When that ends, the enclosing scope waits for it, and does not cancel it.
    fn outlive(&mut self, leaked: usize, ended: usize) {
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
        // What it had begun to tidy stays with it, and those that come after that.
        if self.scopes[scope].phase == Phase::Finalizing {
            return self.let_adopter_go(scope);
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
        let adopter = self.scopes[scope].adopter.filter(|_| self.is_adopted(scope) && self.is_open(scope))?;
        self.scopes[adopter].reason
    }

    /// What the driver does next if the program does not end by itself, what it has seen of it then, and when it does so.
    pub(super) fn driver(&self) -> Option<(Key, u64)> {
        match self.driven {
            0 => Some((Key::End, PATIENCE)),
            1 => Some((Key::Kill, 2 * PATIENCE)),
            _ => None,
        }
    }

    /// The driver cancels the outermost scope, or kills it if that did not help: what was leaked in a shield without a bound
    /// keeps its scope open, and so the shield.
    pub(super) fn end_of_program(&mut self) {
        self.driven += 1;
        match self.driven {
            1 => drop(self.request(0, Why::own("user"))),
            _ => drop(self.kill(0)),
        }
    }
}
