//! What happens to a scope's node between its opening and its end: failures, the result.

use std::any::Any;
use std::mem;
use std::task::Waker;

use crate::deadline::Deadline;
use crate::finalizer::{Finalizer, Finalizers};
use crate::inside::Payload;
use crate::on_cancel::Callbacks;
use crate::reason::{Reason, ReasonKind};
use crate::stop::Stops;
use crate::sync::Arc;
use crate::table::{RowId, Table};
use crate::tree::{Links, Node};
use crate::walk;
use crate::watch::Watcher;

/// What a drained scope comes to next.
pub(crate) enum Exit {
    Finalize(Finalizer),
    /// It has not drained yet, or a task of the adopter runs the finalizers.
    Wait,
    Ended(Ended),
}

/// What a scope leaves behind.
pub(crate) struct Ended {
    pub(crate) panic: Option<Payload>,
    /// A `Vec<E>`.
    pub(crate) failures: Option<Box<dyn Any + Send>>,
    pub(crate) reason: Option<Reason>,
}

impl Node {
    pub(crate) fn body_panicked(self: &Arc<Node>, payload: Payload) {
        self.keep_panic(payload);
        walk::cancel_for(self, ReasonKind::BodyFailed, self.site);
    }

    pub(crate) fn clear(links: &mut Links) -> Leftovers {
        links.ended = true;
        Leftovers {
            _home: links.home.take(),
            _deadline: mem::take(&mut links.deadline),
            _stops: links.stops.take(),
            _callbacks: links.callbacks.take(),
            _watchers: mem::take(&mut links.watchers),
            _joiner: links.joiner.take(),
            _finalizers: None,
        }
    }

    /// Nobody polls it and it is cancelled: it needs the alarm of its deadline no more. Returns where its row is.
    pub(crate) fn let_alarm_go(&self) -> Option<(Arc<Table>, RowId)> {
        let mut links = self.links.lock();
        let alarm = links.deadline.take_alarm();
        let home = links.home.clone();
        drop(links);
        drop(alarm);
        home
    }

    /// The next finalizer of a drained scope; if there is none, or a task of the adopter runs them, ends it and takes its
    /// result. `is_told`: whoever drains it says so in `drained`.
    pub(crate) fn end(&self, is_told: bool) -> Exit {
        let mut links = self.links.lock();
        if (links.ownerless || is_told) && !links.drained {
            return Exit::Wait;
        }
        let has_owner = !links.ownerless;
        let finalizers = links.finalizers.as_mut().filter(|_| has_owner);
        if let Some(finalizer) = finalizers.and_then(|finalizers| finalizers.pop()) {
            links.is_finalizing = true;
            return Exit::Finalize(finalizer);
        }
        links.is_finalizing = false;
        links.sealed = true;
        let ended = Ended { panic: links.panic.take(), failures: links.failures.take(), reason: links.reason.clone() };
        let leftovers = Leftovers { _finalizers: links.finalizers.take(), ..Node::clear(&mut links) };
        // Polled outside any scope, it was still counted by the one that it came from (D29).
        let adopter = links.adopter.take();
        drop(links);
        drop(leftovers);
        if let Some(adopter) = adopter {
            adopter.leave();
        }
        Exit::Ended(ended)
    }

    pub(crate) fn has_finalizers(&mut self) -> bool {
        self.links.get_mut().finalizers.is_some()
    }

    /// Takes the result of a scope that nobody else has a reference to, and that has no finalizers. What else is in it goes
    /// with the node.
    pub(crate) fn end_alone(&mut self) -> Ended {
        let links = self.links.get_mut();
        Ended { panic: links.panic.take(), failures: links.failures.take(), reason: links.reason.clone() }
    }

    /// Ends a scope whose future is gone while members are left: it keeps what the drain needs.
    pub(crate) fn end_early(&self) {
        let mut links = self.links.lock();
        let leftovers = Node::clear(&mut links);
        drop(links);
        drop(leftovers);
    }
}

/// What must be dropped outside the lock.
pub(crate) struct Leftovers {
    _home: Option<(Arc<Table>, RowId)>,
    _deadline: Deadline,
    _stops: Option<Box<Stops>>,
    _callbacks: Option<Box<Callbacks>>,
    _watchers: Vec<Watcher>,
    _joiner: Option<Waker>,
    /// None is left in it.
    _finalizers: Option<Box<Finalizers>>,
}
