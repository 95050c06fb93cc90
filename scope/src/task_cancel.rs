//! The cancel of one task, apart from its scope's: what its handle writes and its frame reads.

use std::ptr;

use crate::raw::Late;
use crate::reason::Reason;
use crate::sync::{Arc, AtomicBool, AtomicPtr, Mutex, Ordering};
use crate::table::{BASE_ROW, Table};
use crate::walk;

/// A task's own cancel request, and where its boundaries are found.
///
/// It lives in the header of the task, beside the future and not in it, because a handle on another thread writes it
/// while the task is polled. One word: the rest is allocated with the first request, or with the task's first boundary.
///
/// ```
/// use ramus_scope::TaskCancel;
///
/// let cancel = TaskCancel::new();
/// assert!(cancel.cancel("not needed any more"));
/// assert!(!cancel.cancel("too late"), "the first reason stays");
/// assert_eq!(cancel.reason().unwrap().message(), Some("not needed any more"));
/// ```
pub struct TaskCancel(Late<Known>);

struct Known {
    cancelled: AtomicBool,
    /// Which table it is, for the poll of the task, which alone puts it into `found` and takes it away: its address, never
    /// looked behind.
    own: AtomicPtr<Table>,
    found: Mutex<Found>,
}

impl Default for Known {
    fn default() -> Known {
        let found = Mutex::new(Found { reason: None, table: None });
        Known { cancelled: AtomicBool::new(false), own: AtomicPtr::new(ptr::null_mut()), found }
    }
}

impl Known {
    fn replace_table(&self, table: Option<Arc<Table>>) -> Option<Arc<Table>> {
        let own = table.as_ref().map_or(ptr::null(), Arc::as_ptr);
        // Ordering: [task_cancel:T1] Relaxed: only the poll of the task reads it, and an executor orders its polls.
        self.own.store(own.cast_mut(), Ordering::Relaxed);
        std::mem::replace(&mut self.found.lock().table, table)
    }
}

struct Found {
    reason: Option<Reason>,
    table: Option<Arc<Table>>,
}

impl TaskCancel {
    /// Nothing is requested.
    pub fn new() -> TaskCancel {
        TaskCancel(Late::new())
    }

    /// Requests the cancel and marks the scopes inside the task. The caller must wake the task afterwards. `false`: it was
    /// requested before, and the first reason stays.
    #[track_caller]
    pub fn cancel(&self, reason: impl Into<Reason>) -> bool {
        let known = self.0.get_or_make();
        let scope = known.found.lock().table.as_ref().map(|table| Arc::clone(&table.scope));
        let reason = reason.into().at(std::panic::Location::caller(), scope.as_deref());
        let table = {
            let mut found = known.found.lock();
            if found.reason.is_some() {
                return false;
            }
            found.reason = Some(reason.clone());
            // Ordering: [task_cancel:S1] Release: pairs with L1; what the canceller wrote before is visible to the task
            // that observes the cancel.
            known.cancelled.store(true, Ordering::Release);
            found.table.clone()
        };
        if let Some(table) = table {
            walk::cancel_inside(&table, BASE_ROW, &reason.inherited());
        }
        true
    }

    /// Was a cancel of this task alone requested?
    #[inline]
    pub fn is_cancelled(&self) -> bool {
        // Ordering: [task_cancel:L1] Acquire: pairs with the Release of S1.
        self.0.get().is_some_and(|known| known.cancelled.load(Ordering::Acquire))
    }

    /// The reason of the request.
    pub fn reason(&self) -> Option<Reason> {
        self.0.get().and_then(|known| known.found.lock().reason.clone())
    }

    /// The table of the task's boundaries, made on first use.
    pub(crate) fn table(&self, make: impl FnOnce() -> Arc<Table>) -> Arc<Table> {
        if let Some(table) = self.known_table() {
            return table;
        }
        // Only the poll of the task makes it, so nobody else makes one meanwhile.
        let table = make();
        let none = self.0.get_or_make().replace_table(Some(Arc::clone(&table)));
        debug_assert!(none.is_none(), "a task makes one table");
        table
    }

    /// The table, if the task has one.
    pub(crate) fn known_table(&self) -> Option<Arc<Table>> {
        self.0.get().and_then(|known| known.found.lock().table.clone())
    }

    /// `false`: the task has no table. An answer without a lock.
    #[inline]
    pub(crate) fn may_have_table(&self) -> bool {
        self.0.get().is_some()
    }

    /// Is `table` the one of this task? For its own poll; an answer without a lock.
    #[inline]
    pub(crate) fn has_table(&self, table: &Arc<Table>) -> bool {
        // Ordering: [task_cancel:T2] Relaxed, as T1.
        self.0.get().is_some_and(|known| ptr::eq(known.own.load(Ordering::Relaxed), Arc::as_ptr(table)))
    }

    /// The task has ended: its table goes.
    pub(crate) fn take_table(&self) -> Option<Arc<Table>> {
        self.0.get().and_then(|known| known.replace_table(None))
    }
}

impl Default for TaskCancel {
    fn default() -> TaskCancel {
        TaskCancel::new()
    }
}

impl std::fmt::Debug for TaskCancel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TaskCancel").field("reason", &self.reason()).finish()
    }
}
