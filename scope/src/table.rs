//! The boundaries inside one task: a table of rows, made at the task's first boundary, its rows reused.
//!
//! A frame that is cut must know whether a boundary inside it still holds back its drop, and a cancel must reach the
//! boundaries to get them polled (a combinator such as `FuturesUnordered` polls only what was woken). So each open
//! boundary has a row: its parent row, how many of its children hold, and the waker of its own last poll.
//!
//! 1. A row *holds* if it holds by itself (an open scope, an unspent shield, an open `run_until_cancelled`) or if one of
//!    its children holds. `holders` counts the children that hold; it changes on the way up only until a row whose own
//!    holding does not change.
//! 2. A row is *asked* when a cancel woke it, and no longer once it was polled. An asked row that the frame came to rest
//!    without polling is kept but not polled any more: it stops holding ([`Table::abandon`]), and so does what is
//!    below it, which a walk that stopped at a shield did not ask. A walk marks its rows first and wakes them later; a poll
//!    that began in between cannot tell, so it abandons nothing and is repeated once the walk has woken all (`walks`,
//!    `missed`).
//! 3. Row [`BASE`] is the task itself. Rows of dropped boundaries leave their children to their parent.
//! 4. A shield inside a spent one is spent too, unless a scope stands between them.
//!
//! Locks: never two tables, never a node's links and a table at once. No waker is cloned, called or dropped under the
//! lock: a walk takes it out of the row, whose next poll brings a new one.

mod rows;

use std::panic::Location;
use std::task::Waker;
use std::time::Duration;

pub(crate) use self::rows::{BASE, BASE_ROW, Boundary, RowId};
use self::rows::{Outlived, Rows};
use crate::budget::{Expiry, Running};
use crate::frame::Frame;
use crate::raw;
use crate::stray;
use crate::sync::{Arc, AtomicU32, Mutex, Ordering};
use crate::tree::Node;
use crate::walk;

/// What a walk found below a row.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) scopes: Vec<Arc<Node>>,
    pub(crate) wakers: Vec<Waker>,
    /// Shields whose budget starts now.
    pub(crate) shields: Vec<(Arc<Expiry>, Duration)>,
    /// Shields that the walk did not go into.
    pub(crate) below: Vec<RowId>,
    /// Rows were marked as asked: the walk owes [`Table::asked`] after it has woken them.
    pub(crate) asking: bool,
}

/// How far a walk goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// A cancel: stops at unspent shields and starts their budgets.
    ToShields,
    /// A soft stop: goes through shields.
    Through,
    /// A kill: uses up the shields and goes on inside them.
    Kill,
}

/// One line of a listing of the rows.
pub(crate) enum Listed {
    Scope(Arc<Node>),
    Shield { armed: bool, spent: bool },
    Catch,
    Timeout,
    Finalizer { spent: bool },
}

pub(crate) struct Table {
    /// The scope of the task, or the outermost scope where there is no task.
    pub(crate) scope: Arc<Node>,
    /// There is no task: it was made by a boundary with no frame around it.
    pub(crate) is_outside: bool,
    /// The serial number of the newest row.
    newest: AtomicU32,
    rows: Mutex<Rows>,
}

impl Table {
    pub(crate) fn new(scope: Arc<Node>, is_outside: bool) -> Arc<Table> {
        let newest = AtomicU32::new(BASE_ROW.serial);
        Arc::new(Table { scope, is_outside, newest, rows: Mutex::new(Rows::new()) })
    }

    /// A new row below `parent`.
    pub(crate) fn insert(&self, parent: u32, boundary: Boundary, waker: Waker) -> RowId {
        let mut rows = self.rows.lock();
        let id = rows.insert(parent, boundary, waker);
        // Ordering: [table:N1] Relaxed: who has a row and asks comes after whatever was put below it (N2).
        self.newest.store(id.serial, Ordering::Relaxed);
        id
    }

    /// True if no row was made after row `id`, so that none is below it: one that is moved is a new one, and what a row
    /// leaves behind goes to an older one. Without the lock. Only whoever may poll the boundary of the row asks.
    pub(crate) fn is_newest(&self, id: RowId) -> bool {
        // Ordering: [table:N2] Relaxed: a row comes below this one only where this one's boundary is polled, and whoever
        // asks comes after its polls. So it sees N1 of that row, or of a newer one.
        self.newest.load(Ordering::Relaxed) == id.serial
    }

    /// The boundary is polled again: it is not asked any more, holds again if it was taken for abandoned, and is woken by
    /// `waker` from now on. Returns whether it is where it was, below `parent`.
    pub(crate) fn polled(&self, id: RowId, parent: u32, waker: &Waker) -> bool {
        let mut rows = self.rows.lock();
        if !rows.get(id.key).waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
            drop(rows);
            let newer = waker.clone();
            rows = self.rows.lock();
            let older = rows.get_mut(id.key).waker.replace(newer);
            if older.is_some() {
                drop(rows);
                drop(older);
                rows = self.rows.lock();
            }
        }
        rows.unask(id.key);
        let row = rows.get(id.key);
        let same = row.parent == parent && !row.is_outside;
        let (own, abandoned) = (row.boundary.holds_by_itself(), row.abandoned);
        if row.own != own {
            rows.set_own(id.key, own);
        }
        if abandoned {
            rows.set_abandoned(id.key, false);
        }
        same
    }

    /// Takes the waker of the last poll of a boundary; whoever takes it wakes it.
    pub(crate) fn take_waker(&self, id: RowId) -> Option<Waker> {
        let mut rows = self.rows.lock();
        if rows.is(id) { rows.get_mut(id.key).waker.take() } else { None }
    }

    /// Takes a row away, if it is there. `true`: it was that of a spent shield.
    pub(crate) fn remove(&self, id: RowId) -> bool {
        let mut rows = self.rows.lock();
        if !rows.is(id) {
            return false;
        }
        // What outlives a shield was not asked by a cancel that this has stopped, perhaps before it was told.
        let is_late = matches!(
            rows.get(id.key).boundary,
            Boundary::Shield { spent: false, .. } | Boundary::Finalizer { spent: false }
        );
        let outlived = if is_late { rows.ask_children(id.key) } else { Outlived::default() };
        let row = rows.remove(id.key);
        drop(rows);
        stray::outlived(self, &outlived.scopes, row.parent);
        walk::wake(outlived.wakers);
        if outlived.any {
            // They may have been woken before, or their wakers be those of something that is gone: only another poll of what
            // is around them sees that nobody polls them.
            raw::current(|frame| frame.map(Frame::wake)).unwrap_or_default();
        }
        matches!(row.boundary, Boundary::Shield { spent: true, .. })
    }

    /// The scopes below row `id`, not those inside them, with their rows.
    pub(crate) fn scopes_below(&self, id: RowId) -> Vec<(Arc<Node>, RowId)> {
        let rows = self.rows.lock();
        let mut found = Vec::new();
        if !rows.is(id) {
            return found;
        }
        let mut at = rows.walk_next(id.key, id.key, true);
        while let Some(key) = at {
            let row = rows.get(key);
            let descend = match &row.boundary {
                Boundary::Scope(node) => {
                    found.push((Arc::clone(node), RowId { key, serial: row.serial }));
                    false
                }
                // A finalizer takes what is open in it along, to the task of the adopter.
                Boundary::Finalizer { .. } => false,
                Boundary::Base | Boundary::Shield { .. } | Boundary::Catch | Boundary::CutOn => true,
            };
            at = rows.walk_next(id.key, key, descend);
        }
        found
    }

    /// The wakers of all boundaries below row `id`, further than scopes as well.
    pub(crate) fn take_wakers_below(&self, id: RowId) -> Vec<Waker> {
        let mut rows = self.rows.lock();
        let mut wakers = Vec::new();
        let mut at = if rows.is(id) { rows.walk_next(id.key, id.key, true) } else { None };
        while let Some(key) = at {
            wakers.extend(rows.get_mut(key).waker.take());
            at = rows.walk_next(id.key, key, true);
        }
        wakers
    }

    /// Whoever polled the boundary has gone: it holds nothing back until it is polled again, nor does what is in it.
    pub(crate) fn abandon_row(&self, id: RowId) {
        let mut rows = self.rows.lock();
        if rows.is(id) {
            rows.set_abandoned(id.key, true);
        }
    }

    /// Does a boundary inside the frame of row `key` hold back its drop?
    pub(crate) fn is_held(&self, key: u32) -> bool {
        self.rows.lock().get(key).holders > 0
    }

    /// Is there a boundary inside the frame of row `key` that would hold back its drop, if it is polled?
    pub(crate) fn has_holders(&self, key: u32) -> bool {
        let rows = self.rows.lock();
        let mut at = rows.walk_next(key, key, true);
        while let Some(row) = at {
            if rows.get(row).own {
                return true;
            }
            at = rows.walk_next(key, row, true);
        }
        false
    }

    /// A poll of a cut frame begins; returns its epoch for [`abandon`](Table::abandon). `None`: a walk is waking what is
    /// inside, and wakes `waker` when it is through, so that the frame is polled again.
    pub(crate) fn begin_cut_poll(&self, waker: &Waker) -> Option<u32> {
        let mut spare = None;
        loop {
            let mut rows = self.rows.lock();
            if rows.walks == 0 {
                rows.epoch = rows.epoch.wrapping_add(1);
                let epoch = rows.epoch;
                drop(rows);
                drop(spare);
                return Some(epoch);
            }
            if let Some(waker) = spare.take() {
                rows.missed.push(waker);
                return None;
            }
            drop(rows);
            spare = Some(waker.clone());
        }
    }

    /// Marks a row that no walk has met as asked, and takes its waker; whoever takes it wakes it.
    pub(crate) fn ask(&self, id: RowId) -> Option<Waker> {
        let mut rows = self.rows.lock();
        rows.ask(id.key);
        rows.get_mut(id.key).waker.take()
    }

    /// Marks a row that is about to be woken as asked; then [`asked`](Table::asked) is owed. `None`: it is gone. Else the
    /// wakers of those around it, to be woken as well: if nobody polls it any more, they are to see that.
    pub(crate) fn begin_asking(&self, id: RowId) -> Option<Vec<Waker>> {
        let mut rows = self.rows.lock();
        if !rows.is(id) {
            return None;
        }
        rows.ask(id.key);
        rows.walks += 1;
        let mut wakers = Vec::new();
        let mut at = rows.get(id.key).parent;
        while at != BASE {
            let row = rows.get_mut(at);
            wakers.extend(row.waker.take());
            at = row.parent;
        }
        Some(wakers)
    }

    /// A walk has woken the rows that it had marked as asked. Returns whom to wake when it was the last one under way.
    pub(crate) fn asked(&self) -> Vec<Waker> {
        let mut rows = self.rows.lock();
        rows.walks -= 1;
        if rows.walks == 0 { std::mem::take(&mut rows.missed) } else { Vec::new() }
    }

    /// The frame of row `key` came to rest after the poll of `epoch`: boundaries inside it that were asked before that poll
    /// and not polled do not hold any more.
    pub(crate) fn abandon(&self, key: u32, epoch: u32) {
        let mut rows = self.rows.lock();
        if rows.asked == 0 {
            return;
        }
        let mut at = rows.walk_next(key, key, true);
        while let Some(row) = at {
            if rows.get(row).asked.is_some_and(|asked| epoch.wrapping_sub(asked) as i32 > 0) {
                rows.unask(row);
                rows.set_abandoned(row, true);
            }
            at = rows.walk_next(key, row, true);
        }
    }

    /// Finds what a request at row `key` reaches inside the task, and marks it as asked.
    pub(crate) fn reach(self: &Arc<Self>, id: RowId, reach: Reach, found: &mut Found) {
        let mut rows = self.rows.lock();
        // A row that has gone since it was found has left what was below it to a row that is above, or it was empty.
        if !rows.is(id) {
            return;
        }
        let key = id.key;
        let mut at = Some(key);
        while let Some(row) = at {
            if reach != Reach::Through && row != key {
                rows.ask(row);
                found.asking = true;
            }
            let entry = rows.get_mut(row);
            let mut descend = true;
            if reach != Reach::Through {
                found.wakers.extend(entry.waker.take());
            }
            let used_up = reach == Reach::Kill && entry.boundary.use_up();
            if row != key {
                let id = RowId { key: row, serial: entry.serial };
                match &mut entry.boundary {
                    Boundary::Scope(node) => {
                        found.scopes.push(Arc::clone(node));
                        descend = false;
                    }
                    Boundary::Shield { budget, running, armed, spent: false, .. } if reach == Reach::ToShields => {
                        descend = false;
                        found.below.push(id);
                        if !std::mem::replace(armed, true) {
                            found.shields.extend(budget.map(|budget| (self.start(running, id), budget)));
                        }
                    }
                    Boundary::Finalizer { spent: false } if reach == Reach::ToShields => {
                        descend = false;
                        found.below.push(id);
                    }
                    Boundary::Base
                    | Boundary::Shield { .. }
                    | Boundary::Catch
                    | Boundary::CutOn
                    | Boundary::Finalizer { .. } => {}
                }
            }
            if used_up {
                rows.set_own(row, false);
            }
            at = rows.walk_next(key, row, descend);
        }
        if found.asking {
            rows.walks += 1;
        }
    }

    /// The budget of the shield in row `id` begins to run.
    fn start(self: &Arc<Self>, running: &mut Option<Running>, id: RowId) -> Arc<Expiry> {
        running.get_or_insert_with(|| Running::new(self, id)).expiry()
    }

    /// The shield in row `id` has moved to another row: the budget that runs, for [`go_on`](Table::go_on).
    pub(crate) fn take_running(&self, id: RowId) -> Option<Running> {
        match &mut self.rows.lock().get_mut(id.key).boundary {
            Boundary::Shield { running, .. } => running.take(),
            _ => None,
        }
    }

    /// The shield in row `id` goes on with the budget that it had in another row.
    pub(crate) fn go_on(self: &Arc<Self>, id: RowId, older: Running) {
        older.moved(self, id);
        let mut rows = self.rows.lock();
        let newer = match &mut rows.get_mut(id.key).boundary {
            Boundary::Shield { running, armed, .. } => {
                *armed = true;
                running.replace(older)
            }
            _ => Some(older),
        };
        drop(rows);
        drop(newer);
    }

    /// The budget of a shield or a finalizer is used up, and with it that of the shields inside it (D8): the smallest budget counts.
    /// Returns the scopes that were opened under them; `None` if the shield is gone, or was spent before.
    pub(crate) fn spend(&self, id: RowId) -> Option<Vec<Arc<Node>>> {
        let mut rows = self.rows.lock();
        let unspent = |boundary: &Boundary| {
            matches!(boundary, Boundary::Shield { spent: false, .. } | Boundary::Finalizer { spent: false })
        };
        if !rows.is(id) || !unspent(&rows.get(id.key).boundary) {
            return None;
        }
        let mut scopes = Vec::new();
        let mut at = Some(id.key);
        while let Some(row) = at {
            let mut descend = true;
            match &mut rows.get_mut(row).boundary {
                // A finalizer further in has a budget of its own (D8); it is behind its scope.
                Boundary::Shield { spent, .. } | Boundary::Finalizer { spent } => {
                    *spent = true;
                    rows.set_own(row, false);
                }
                Boundary::Scope(node) => {
                    scopes.push(Arc::clone(node));
                    descend = false;
                }
                Boundary::Base | Boundary::Catch | Boundary::CutOn => {}
            }
            at = rows.walk_next(id.key, row, descend);
        }
        Some(scopes)
    }

    /// Where the shield was opened: in the source, and in which scope.
    pub(crate) fn origin(&self, id: RowId) -> Option<(&'static Location<'static>, Arc<Node>)> {
        let rows = self.rows.lock();
        let row = rows.is(id).then(|| rows.get(id.key))?;
        let Boundary::Shield { site, .. } = row.boundary else { return None };
        Some((site, Arc::clone(rows.scope_around(row.parent).unwrap_or(&self.scope))))
    }

    /// Is the budget of the shield or finalizer used up?
    pub(crate) fn is_spent(&self, id: RowId) -> bool {
        let rows = self.rows.lock();
        matches!(rows.get(id.key).boundary, Boundary::Shield { spent: true, .. } | Boundary::Finalizer { spent: true })
    }

    /// A cancel from outside reaches the shield: its budget, unless it has none or runs already.
    pub(crate) fn arm(self: &Arc<Self>, id: RowId) -> Option<(Arc<Expiry>, Duration)> {
        match &mut self.rows.lock().get_mut(id.key).boundary {
            Boundary::Shield { budget, running, armed, spent: false, .. } => {
                let first = !std::mem::replace(armed, true);
                let budget = budget.filter(|_| first)?;
                Some((self.start(running, id), budget))
            }
            _ => None,
        }
    }

    /// Lists the rows below `key`, not those inside scopes, each with its depth.
    pub(crate) fn list(&self, id: RowId, out: &mut Vec<(usize, Listed)>) {
        let rows = self.rows.lock();
        if !rows.is(id) {
            return;
        }
        let key = id.key;
        let depth = |mut row: u32| {
            let mut depth = 0;
            while row != key {
                depth += 1;
                row = rows.get(row).parent;
            }
            depth
        };
        let mut at = rows.walk_next(key, key, true);
        while let Some(row) = at {
            let (listed, descend) = match &rows.get(row).boundary {
                Boundary::Base => unreachable!("the base row is below no row"),
                Boundary::Scope(node) => (Listed::Scope(Arc::clone(node)), false),
                Boundary::Shield { armed, spent, .. } => (Listed::Shield { armed: *armed, spent: *spent }, true),
                Boundary::Catch => (Listed::Catch, true),
                Boundary::CutOn => (Listed::Timeout, true),
                Boundary::Finalizer { spent } => (Listed::Finalizer { spent: *spent }, true),
            };
            out.push((depth(row), listed));
            at = rows.walk_next(key, row, descend);
        }
    }
}

/// A boundary's own row; dropping it removes the row.
pub(crate) struct RowRef {
    pub(crate) table: Arc<Table>,
    pub(crate) id: RowId,
}

impl RowRef {
    pub(crate) fn key(&self) -> u32 {
        self.id.key
    }
}

impl RowRef {
    /// Takes the row away. `true`: it was that of a spent shield.
    pub(crate) fn retire(self) -> bool {
        self.table.remove(self.id)
    }
}

impl Drop for RowRef {
    fn drop(&mut self) {
        self.table.remove(self.id);
    }
}
