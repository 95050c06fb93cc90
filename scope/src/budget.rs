//! The running budget of a shield that a cancel from outside has reached.
//!
//! It belongs to the shield's row ([`Running`]) and goes with it when the future moves to another place, so that a budget
//! never starts again (D9). The alarm finds the row through [`Expiry`], which says where the row is now:
//!
//! 1. A moved shield first says so here, then its old row goes. So an alarm that finds no row looks here again, and finds
//!    either the new place or none.
//! 2. An alarm that still met the old row has marked it as spent, which whoever takes the row away passes on.

use std::sync::Weak;
use std::task::{Wake, Waker};

use crate::host::AnyAlarm;
use crate::reason::{Reason, ReasonKind};
use crate::sync::{Arc, Mutex};
use crate::table::{RowId, Table};
use crate::walk;

/// Where the row is; `None` once it is gone.
type At = Option<(Weak<Table>, RowId)>;

struct Standing {
    at: At,
    alarm: Option<AnyAlarm>,
}

/// What the alarm of a budget calls.
pub(crate) struct Expiry(Mutex<Standing>);

impl Expiry {
    pub(crate) fn waker(self: &Arc<Self>) -> Waker {
        Waker::from(Arc::clone(self))
    }

    /// Keeps the alarm for as long as the shield has its row; gives it back if that is gone.
    pub(crate) fn keep(&self, alarm: AnyAlarm) -> Option<AnyAlarm> {
        let mut standing = self.0.lock();
        if standing.at.is_none() {
            return Some(alarm);
        }
        standing.alarm.replace(alarm)
    }

    fn at(&self) -> Option<(Arc<Table>, RowId)> {
        let (table, id) = self.0.lock().at.clone()?;
        Some((table.upgrade()?, id))
    }
}

impl Wake for Expiry {
    fn wake(self: Arc<Self>) {
        let mut tried = None;
        while let Some((table, id)) = self.at() {
            if tried.as_ref().is_some_and(|(known, at)| Arc::ptr_eq(known, &table) && *at == id) {
                return;
            }
            if let Some((site, scope)) = table.origin(id) {
                if walk::spend(&table, id, || Reason::from(ReasonKind::ShieldBudget).at(site, Some(&scope))) {
                    return;
                }
            }
            // Spent before, or moved meanwhile.
            tried = Some((table, id));
        }
    }
}

/// A budget that runs. Dropping it stops the alarm; it is dropped outside all locks.
pub(crate) struct Running(Arc<Expiry>);

impl Running {
    pub(crate) fn new(table: &Arc<Table>, id: RowId) -> Running {
        let at = Some((Arc::downgrade(table), id));
        Running(Arc::new(Expiry(Mutex::new(Standing { at, alarm: None }))))
    }

    pub(crate) fn expiry(&self) -> Arc<Expiry> {
        Arc::clone(&self.0)
    }

    /// The shield has got another row.
    pub(crate) fn moved(&self, table: &Arc<Table>, id: RowId) {
        self.0.0.lock().at = Some((Arc::downgrade(table), id));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut standing = self.0.0.lock();
        standing.at = None;
        let alarm = standing.alarm.take();
        drop(standing);
        drop(alarm);
    }
}
