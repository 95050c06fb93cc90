//! The budget of a finalizer that is under way, and what its end does.

use std::mem;
use std::panic::Location;
use std::sync::Weak;
use std::task::{Wake, Waker};
use std::time::Duration;

use crate::host::AnyAlarm;
use crate::reason::{Reason, ReasonKind};
use crate::report::{Report, ReportKind};
use crate::sync::{Arc, Mutex};
use crate::table::{RowId, RowRef, Table};
use crate::tree::Node;
use crate::walk;

/// The budget of a finalizer that has suspended, and the waker of its alarm.
///
/// It knows the row by name, not the other way round, because the budget goes on while the row changes: the scope's
/// future may move to another task, or be dropped.
pub(crate) struct Overrun {
    budget: Duration,
    site: &'static Location<'static>,
    node: Weak<Node>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    over: bool,
    reported: bool,
    at: Option<(Weak<Table>, RowId)>,
}

impl Overrun {
    pub(crate) fn start(
        node: &Arc<Node>,
        budget: Duration,
        site: &'static Location<'static>,
        row: &RowRef,
    ) -> (Arc<Overrun>, Option<AnyAlarm>) {
        let seen = Mutex::new(Seen { at: Some((Arc::downgrade(&row.table), row.id)), ..Seen::default() });
        let overrun = Arc::new(Overrun { budget, site, node: Arc::downgrade(node), seen });
        let waker = Waker::from(Arc::clone(&overrun));
        let mut alarm = None;
        if let Some(host) = node.host() {
            walk::contain(|| alarm = Some(host.wake_after(budget, waker)));
        }
        (overrun, alarm)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.seen.lock().over
    }

    /// The finalizer was polled, and suspended with this row.
    pub(crate) fn is_at(&self, row: &RowRef) {
        let mut seen = self.seen.lock();
        seen.at = Some((Arc::downgrade(&row.table), row.id));
        let over = seen.over;
        drop(seen);
        if over {
            self.spend(&row.table, row.id);
        }
    }

    pub(crate) fn is_nowhere(&self) {
        self.seen.lock().at = None;
    }

    fn spend(&self, table: &Arc<Table>, id: RowId) {
        walk::spend(table, id, || {
            let node = self.node.upgrade();
            if !mem::replace(&mut self.seen.lock().reported, true) {
                let what = format!("a finalizer ran over its budget of {:?} and is cut", self.budget);
                let name = node.as_ref().and_then(|node| node.name.as_ref());
                Report::new(ReportKind::FinalizerOverrun, what).at(self.site).of(name).send();
            }
            Reason::from(ReasonKind::ShieldBudget).at(self.site, node.as_deref())
        });
    }
}

impl Wake for Overrun {
    fn wake(self: Arc<Self>) {
        let at = {
            let mut seen = self.seen.lock();
            seen.over = true;
            seen.at.clone()
        };
        if let Some((Some(table), id)) = at.map(|(table, id)| (table.upgrade(), id)) {
            self.spend(&table, id);
        }
    }
}
