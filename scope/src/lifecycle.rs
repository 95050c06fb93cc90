//! What happens to a scope's node between its opening and its end: deadlines, stops, failures, the result.

use std::any::Any;
use std::mem;
use std::panic::Location;
use std::task::Waker;
use std::time::{Duration, Instant};

use crate::host::AnyAlarm;
use crate::inside::Payload;
use crate::reason::{Reason, ReasonKind};
use crate::sync::Arc;
use crate::table::{RowId, Table};
use crate::tree::{Deadline, Links, Node};
use crate::walk::{self, CancelLater};
use crate::watch::Watcher;

/// What a scope leaves behind.
pub(crate) struct Ended {
    pub(crate) panic: Option<Payload>,
    /// A `Vec<E>`.
    pub(crate) failures: Option<Box<dyn Any + Send>>,
    pub(crate) reason: Option<Reason>,
}

impl Node {
    fn cancel_later(self: &Arc<Node>, kind: ReasonKind, site: &'static Location<'static>) -> Waker {
        Waker::from(Arc::new(CancelLater { node: Arc::downgrade(self), kind, site }))
    }

    /// Sets the alarm of the deadline that the scope was opened with, unless it was moved meanwhile.
    pub(crate) fn arm_deadline(self: &Arc<Node>) {
        let unarmed =
            |links: &Links| links.deadline.as_ref().filter(|deadline| deadline.alarm.is_none()).map(|it| it.at);
        let Some((host, at)) = self.host().zip(unarmed(&self.links.lock())) else { return };
        let alarm = host.wake_at(at, self.cancel_later(ReasonKind::Deadline, self.site));
        let mut links = self.links.lock();
        let surplus = match &mut links.deadline {
            Some(deadline) if deadline.alarm.is_none() => deadline.alarm.replace(alarm),
            Some(_) | None => Some(alarm),
        };
        drop(links);
        drop(surplus);
    }

    /// Moves the deadline. `false`: the scope has ended, or its deadline has passed already.
    pub(crate) fn set_deadline(self: &Arc<Node>, at: Instant, site: &'static Location<'static>) -> bool {
        let Some(host) = self.host() else { return false };
        let alarm = Some(host.wake_at(at, self.cancel_later(ReasonKind::Deadline, site)));
        let newer = Deadline { at, alarm };
        let mut links = self.links.lock();
        let latched = links.reason.as_ref().is_some_and(|reason| reason.kind() == ReasonKind::Deadline);
        let moved = !(links.ended || latched);
        let older = if moved { links.deadline.replace(newer) } else { Some(newer) };
        drop(links);
        drop(older);
        moved
    }

    /// Soft stop now, hard cancel after `grace`. `false`: the scope has ended or is cancelled.
    pub(crate) fn stop(self: &Arc<Node>, grace: Duration, site: &'static Location<'static>) -> bool {
        if self.links.lock().ended || self.state.load().is_cancelled() {
            return false;
        }
        walk::stop(self);
        if grace.is_zero() {
            walk::cancel(self, Reason::from(ReasonKind::Shutdown).at(site, self.name.as_ref()));
            return true;
        }
        let Some(host) = self.host() else { return true };
        let alarm = host.wake_after(grace, self.cancel_later(ReasonKind::Shutdown, site));
        let mut links = self.links.lock();
        // Several stops: the shortest grace fires first, and only the first cancel counts.
        let surplus = if links.ended {
            Some(alarm)
        } else {
            links.graces.push(alarm);
            None
        };
        drop(links);
        drop(surplus);
        true
    }

    pub(crate) fn body_panicked(self: &Arc<Node>, payload: Payload) {
        self.keep_panic(payload);
        walk::cancel(self, ReasonKind::BodyFailed.into());
    }

    fn clear(links: &mut Links) -> Leftovers {
        links.ended = true;
        Leftovers {
            _home: links.home.take(),
            _deadline: links.deadline.take(),
            _graces: mem::take(&mut links.graces),
            _watchers: mem::take(&mut links.watchers),
            _joiner: links.joiner.take(),
        }
    }

    /// Ends a drained scope and takes its result.
    pub(crate) fn end(&self) -> Ended {
        let mut links = self.links.lock();
        let ended = Ended { panic: links.panic.take(), failures: links.failures.take(), reason: links.reason.clone() };
        let leftovers = Node::clear(&mut links);
        drop(links);
        drop(leftovers);
        ended
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
struct Leftovers {
    _home: Option<(Arc<Table>, RowId)>,
    _deadline: Option<Deadline>,
    _graces: Vec<AnyAlarm>,
    _watchers: Vec<Watcher>,
    _joiner: Option<Waker>,
}
