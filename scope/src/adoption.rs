//! Scopes that are counted by another one than that of their own code: dropped half-way (D28), lost by their frame (D29), or
//! opened below another one from outside.

use std::any::Any;
use std::panic::Location;

use crate::finalizer;
use crate::raw;
use crate::reason::ReasonKind;
use crate::report::{Report, ReportKind};
use crate::sync::Arc;
use crate::tree::{Links, Node, Policy, drop_quietly};
use crate::walk;

/// Where a scope that was dropped half-way, or lost its frame, is counted until it has drained.
pub(crate) struct Adopter {
    pub(crate) node: Arc<Node>,
    /// Its entry there, until the task that runs its finalizers has a row for it.
    pub(crate) key: Option<usize>,
}

impl Node {
    /// Lets the nearest enclosing scope that still admits wait for this one, unless one does already.
    pub(crate) fn be_adopted(self: &Arc<Node>) {
        if self.links.lock().adopter.is_some() {
            return;
        }
        if let Some(adopter) = self.find_adopter() {
            self.wait_in(adopter);
        }
    }

    /// Lets `node` wait for this one. `false`: it admits nobody any more.
    pub(crate) fn be_adopted_by(self: &Arc<Node>, node: &Arc<Node>) -> bool {
        self.counted_by(node).map(|adopter| self.wait_in(adopter)).is_some()
    }

    /// Its future is gone: the nearest enclosing scope that still admits waits for it (D28), and nobody but a task of that
    /// one runs its finalizers.
    pub(crate) fn be_left(self: &Arc<Node>) {
        let is_adopted = self.links.lock().adopter.is_some();
        let adopter = if is_adopted { None } else { self.find_adopter() };
        self.settle(adopter, true);
    }

    fn unlist_adopted(&self, key: usize) {
        let entry = self.links.lock().adopted.try_remove(key);
        drop(entry);
    }

    /// A task of the adopter runs its finalizers, and requests find it through the rows of that task.
    pub(crate) fn leave_list_of_adopter(&self) {
        let mut links = self.links.lock();
        let entry = links.adopter.as_mut().and_then(|adopter| Some((adopter.key.take()?, Arc::clone(&adopter.node))));
        drop(links);
        if let Some((key, adopter)) = entry {
            adopter.unlist_adopted(key);
        }
    }

    fn wait_in(self: &Arc<Node>, adopter: Adopter) {
        self.settle(Some(adopter), false);
    }

    fn settle(self: &Arc<Node>, adopter: Option<Adopter>, ownerless: bool) {
        let mut links = self.links.lock();
        if adopter.is_some() {
            links.adopter = adopter;
        }
        links.ownerless |= ownerless;
        // With a finalizer under way, its future tells at its end.
        let is_late = links.drained && !links.is_finalizing;
        drop(links);
        if is_late {
            drain(Arc::clone(self));
        }
    }

    /// The nearest enclosing scope that still admits, which counts this one from now on.
    pub(crate) fn find_adopter(self: &Arc<Node>) -> Option<Adopter> {
        let mut above = self.parent();
        while let Some(node) = above {
            if let Some(adopter) = self.counted_by(&node) {
                return Some(adopter);
            }
            above = node.parent();
        }
        None
    }

    fn counted_by(self: &Arc<Node>, node: &Arc<Node>) -> Option<Adopter> {
        if !node.count.admit(1) {
            return None;
        }
        let key = node.links.lock().adopted.insert(Arc::clone(self));
        Some(Adopter { node: Arc::clone(node), key: Some(key) })
    }
}

impl Adopter {
    /// The adopted scope is somebody else's from now on.
    pub(crate) fn leave(self) {
        if let Some(drained) = self.count_off() {
            drain(drained);
        }
    }

    /// The adopted scope has drained. Nobody is left to resume its panic: it becomes the adopter's, as a child's would.
    /// `Some`: the adopter has drained with it. `site` is where it was opened.
    fn tell(self, panic: Option<Box<dyn Any + Send>>, site: &'static Location<'static>) -> Option<Arc<Node>> {
        if let Some(payload) = panic {
            match self.node.policy {
                Policy::FailFast => {
                    self.node.keep_panic(payload);
                    walk::cancel_for(&self.node, ReasonKind::SiblingFailed, site);
                }
                // There is no handle that it could stay with; the panic hook has reported it.
                Policy::Isolate => drop_quietly(payload),
            }
        }
        self.count_off()
    }

    /// The adopter has one less to wait for. `Some`: it has drained with it.
    fn count_off(self) -> Option<Arc<Node>> {
        if let Some(key) = self.key {
            self.node.unlist_adopted(key);
        }
        raw::complete(&self.node, 1)
    }
}

/// What is left to others of a scope that nobody polls.
///
/// Its panic is the adopter's, as a child's would be. Its errors have another type than the adopter's, and nobody asked to see
/// them there: the report hook hears of them. They stay where they are: should the future come back (D29), it answers with
/// them.
#[must_use]
pub(crate) struct Legacy {
    adopter: Option<Adopter>,
    panic: Option<Box<dyn Any + Send>>,
    has_errors: bool,
    /// By a cancel from above, while it was a member of the adopter (D29).
    was_cut: bool,
}

impl Legacy {
    /// Under the lock of `links`, those of `node`.
    pub(crate) fn take(node: &Node, links: &mut Links) -> Legacy {
        let state = node.state.load();
        let adopter = links.adopter.take();
        let panic = if adopter.is_some() { links.panic.take() } else { None };
        let from_above = links.reason.as_ref().is_some_and(|reason| reason.kind() == ReasonKind::Parent);
        let was_member = from_above && (state.is_stray() || state.is_given_up()) && !links.is_leaving;
        if panic.is_some() {
            // Should the future still be polled somewhere, it has no value to answer with.
            node.state.mark_cut();
        }
        let nobody_polls = links.ownerless || state.is_stray();
        let has_errors = nobody_polls && links.failures.is_some() && !std::mem::replace(&mut links.reported, true);
        Legacy { adopter, panic, has_errors, was_cut: was_member && state.was_cut() }
    }

    /// `Some`: the adopter has drained with it. Under no lock.
    pub(crate) fn hand_over(self, node: &Node) -> Option<Arc<Node>> {
        if self.has_errors {
            let what = "a scope that was dropped or leaked has ended with errors, which nobody sees";
            Report::new(ReportKind::ErrorsUnseen, what).at(node.site).of(node.name.as_ref()).send();
        }
        let adopter = self.adopter?;
        if self.was_cut && adopter.node.state.load().is_cancelled() {
            // As a child that a cancel of the adopter has cut.
            adopter.node.state.mark_cut();
        }
        adopter.tell(self.panic, node.site)
    }
}

/// Tells who waits for a drained scope, after the finalizers that nobody else runs. An adopted scope's drain may drain its
/// adopter: a loop, not a recursion.
pub(crate) fn drain(mut node: Arc<Node>) {
    loop {
        let mut links = node.links.lock();
        // Nobody may ever come back for a stray one either (D29).
        let nobody_polls = links.ownerless || node.state.load().is_stray();
        if nobody_polls && links.has_finalizers_left() {
            links.ownerless = true;
            drop(links);
            return finalizer::start(node);
        }
        let state = node.state.load();
        links.drained = true;
        links.sealed |= nobody_polls;
        let finalizers = if links.sealed { links.finalizers.take() } else { None };
        let joiner = links.joiner.take();
        let legacy = Legacy::take(&node, &mut links);
        // No future will come to end it: that is now, and it refuses every request from here on (D4).
        let leftovers = (links.ownerless && !state.is_stray()).then(|| Node::clear(&mut links));
        // It needs them no more, should its future ever come back.
        let alarms = nobody_polls.then(|| (links.deadline.take_alarm(), links.stops.take()));
        drop(links);
        drop((finalizers, leftovers, alarms));
        walk::wake(joiner);
        let Some(drained) = legacy.hand_over(&node) else { return };
        node = drained;
    }
}
