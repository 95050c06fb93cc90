//! Scopes whose frame ended without them: moved out of it, or leaked (D29).
//!
//! ```text
//!                      its frame ends                          a cancel
//!   placed ───────────────────────────────────────▶ stray ─────────────────▶ given up ──▶ drained
//!      ▲   the scope around adopts it, uncancelled     │    closed without its future
//!      └───────────────────────────────────────────────┘
//!        polled again: its new row first, then it leaves the adopter
//! ```
//!
//! 1. A frame ends when a task has answered or is dropped, and when the body of a scope is gone. Scopes that still have
//!    a row below that of the frame are somewhere else: in a channel, in a value that was returned, or leaked. One that
//!    is being polled in another place at this moment has another home, or gets it later; `home` decides, under the lock.
//! 2. A stray scope keeps its adopter open: its members go on, and the listing of the tree says that nobody polls it. Its row
//!    holds nothing back any more. Once it has drained it has ended, as far as requests go (D4): what its future would still
//!    say, if it ever comes back, no request changes. A panic is its adopter's from then on; the report hook hears of errors.
//! 3. Nobody knows whether a stray scope will ever be polled again. So a cancel gives it up: it is closed without its
//!    future and ends as soon as its members have. A future that comes back later drops its body unpolled and answers
//!    that it was cancelled. `STRAY` and `GIVEN_UP` change under the scope's lock, so either the future comes back first,
//!    and is cancelled where it is, or the cancel closes the scope first.
//! 4. A shield ends with its frame as far as scopes in it are concerned: nobody polls it, so it cannot let them end. One
//!    that comes back with its scopes protects them again, with what is left of its budget.
//! 5. Parents never form a circle: a scope that is polled inside itself (by a task of its own) would wait for itself. It
//!    is treated as dropped there (D28).

use crate::adoption::{self, Legacy};
use crate::frame::{Frame, Place, RowCell};
use crate::raw;
use crate::reason::{Reason, ReasonKind};
use crate::sync::Arc;
use crate::table::{RowId, RowRef, Table};
use crate::tree::{Links, Node};
use crate::walk;

impl Node {
    /// It was cancelled, or lost its frame. `true` if nobody polls it and its body's part is still counted: then the caller
    /// owes [`close`]. Under the lock of `links`.
    pub(crate) fn give_up(&self, links: &mut Links) -> bool {
        let state = self.state.load();
        if !state.is_stray() || !state.is_cancelled() || state.is_given_up() || links.is_leaving {
            return false;
        }
        let due = self.count.is_open();
        if due {
            self.count.disown();
            self.state.mark_cut();
            self.state.mark_given_up();
            // A task of the adopter runs its finalizers.
            links.ownerless = true;
        }
        due || links.is_finalizing
    }

    /// Its future was lost with a finalizer in its hands, which nobody else can run.
    fn leave_finalizer(&self) {
        let mut links = self.links.lock();
        if !links.is_finalizing {
            return;
        }
        let legacy = Legacy::take(self, &mut links);
        drop(links);
        if let Some(drained) = legacy.hand_over(self) {
            adoption::drain(drained);
        }
    }

    /// Nobody polls it, and it is cancelled: nobody waits for what its future does.
    fn is_lost(&self) -> bool {
        let state = self.state.load();
        state.is_stray() && state.is_cancelled()
    }

    /// It has ended: no request changes anything, even should its future, which nobody polls, come back with its answer
    /// (D4). Under the lock of `links`.
    pub(crate) fn has_ended(&self, links: &Links) -> bool {
        let is_drained = links.drained && !links.is_finalizing && !links.has_finalizers_left();
        links.ended || is_drained && self.state.load().is_stray()
    }

    /// Its future is being dropped. `true`: the scope was closed without it. Nobody adopts it alive from now on.
    pub(crate) fn leave_frame(&self) -> bool {
        let mut links = self.links.lock();
        links.is_leaving = true;
        self.state.clear_stray();
        self.state.load().is_given_up()
    }

    /// Its future is polled again. From here on nobody finds it where it was: a cancel that is in force in its new place
    /// finds it there, and not lost.
    pub(crate) fn come_back(&self) {
        let mut links = self.links.lock();
        self.state.clear_stray();
        let home = links.home.take();
        drop(links);
        drop(home);
    }

    /// Is it around itself? With all the locks on the way, so that of two moves that close a circle together one at least
    /// sees it.
    fn is_around_itself(&self) -> bool {
        let mut above = self.links.lock().moved_to.clone();
        while let Some(node) = above {
            if std::ptr::eq(&*node, self) {
                return true;
            }
            let moved_to = node.links.lock().moved_to.clone();
            above = moved_to.or_else(|| node.parent.clone());
        }
        false
    }

    /// Why it is cancelled, seen from below; `None` if it is not.
    fn inherited(&self) -> Option<Reason> {
        self.is_cancelled().then(|| self.reason().unwrap_or_else(|| ReasonKind::Parent.into()).inherited())
    }
}

/// The frame of row `id` has ended: scopes that still have their row below it are adopted alive.
pub(crate) fn frame_ended(table: &Arc<Table>, id: RowId) {
    let mut given_up = Vec::new();
    strand(table, id, &mut given_up);
    close(given_up);
}

/// The frame of a body has ended: what has left it is adopted by its scope.
pub(crate) fn body_ended(row: &RowCell) {
    let at =
        row.borrow().as_ref().filter(|row| !row.table.is_newest(row.id)).map(|row| (Arc::clone(&row.table), row.id));
    if let Some((table, id)) = at {
        frame_ended(&table, id);
    }
}

/// Closes scopes that were given up, whose future nobody polls. What is inside them is given up with them.
pub(crate) fn close(mut given_up: Vec<Arc<Node>>) {
    while let Some(node) = given_up.pop() {
        if !node.state.load().is_given_up() {
            node.leave_finalizer();
            continue;
        }
        let home = node.let_alarm_go();
        if let Some((table, id)) = home {
            strand(&table, id, &mut given_up);
        }
        node.close();
    }
}

fn strand(table: &Arc<Table>, id: RowId, given_up: &mut Vec<Arc<Node>>) {
    for (node, home) in table.scopes_below(id) {
        adopt(&node, table, home, given_up);
    }
}

/// Lets the scope around `node` wait for it, if its home is still that row.
fn adopt(node: &Arc<Node>, table: &Arc<Table>, home: RowId, given_up: &mut Vec<Arc<Node>>) {
    let Some(adopter) = node.find_adopter() else { return };
    let around = Arc::clone(&adopter.node);
    let mut links = node.links.lock();
    let is_there = links.home.as_ref().is_some_and(|(known, at)| Arc::ptr_eq(known, table) && *at == home);
    // Its row goes from one frame to the next outwards: an earlier one that has ended has seen to it.
    let is_over = node.has_ended(&links) || links.is_finalizing && node.is_lost();
    if !is_there || links.adopter.is_some() || is_over || links.is_leaving {
        drop(links);
        adopter.leave();
        return;
    }
    links.adopter = Some(adopter);
    // Its future was told that it has drained, and has not come for its panic or its finalizers.
    let is_late = links.drained && !links.is_finalizing;
    if is_late {
        (links.drained, links.ownerless) = (false, true);
    }
    node.state.mark_stray();
    node.state.set_shielded(false);
    if node.give_up(&mut links) {
        given_up.push(Arc::clone(node));
    }
    drop(links);
    // The adopter holds instead of it.
    table.abandon_row(home);
    // A cancel of the adopter that came before the entry was there did not meet it.
    if let Some(reason) = around.inherited() {
        given_up.extend(walk::mark(node, reason.clone()).1);
        if around.state.load().is_killed() {
            walk::kill(node, reason);
        }
    }
    if is_late {
        adoption::drain(Arc::clone(node));
    }
}

/// The future of `node` is polled in another place and has its new row; `frame` is around it. It leaves its adopter, and
/// what is in force at either place stays in force. `false`: that place is inside the scope itself, which stays where it was.
#[must_use]
pub(crate) fn moved(node: &Arc<Node>, frame: Option<&Frame<'_>>) -> bool {
    let was_shielded = node.state.load().is_shielded();
    let before = node.parent();
    let Some((around, shielded)) = frame.and_then(Frame::scope) else {
        // Outside any scope: it stays a member of the one that it came from.
        node.be_adopted();
        return true;
    };
    let changed = before.as_ref().is_none_or(|before| !Arc::ptr_eq(before, &around));
    if changed {
        node.move_to(Some(Arc::clone(&around)));
        if node.is_around_itself() {
            node.move_to(before);
            return false;
        }
    }
    let mut links = node.links.lock();
    node.state.set_shielded(shielded);
    let adopter = if node.state.load().is_given_up() { None } else { links.adopter.take() };
    drop(links);
    if let Some(adopter) = adopter {
        adopter.leave();
    }
    if let Some(before) = before.as_ref().filter(|_| changed) {
        let is_killed = before.state.load().is_killed();
        if let Some(reason) = before.inherited().filter(|_| is_killed || !was_shielded) {
            walk::cancel(node, reason.clone());
            if is_killed {
                walk::kill(node, reason);
            }
        }
    }
    if before.is_some_and(|before| before.is_stopping()) || around.is_stopping() {
        walk::stop(node);
    }
    true
}

impl Node {
    fn move_to(&self, around: Option<Arc<Node>>) {
        let mut links = self.links.lock();
        let older = std::mem::replace(&mut links.moved_to, around);
        self.state.mark_moved();
        drop(links);
        drop(older);
    }
}

/// `scopes` have outlived a shield and are right inside row `parent` of `table` now, whose frame may be cut. They may never be
/// polled there, to find out.
pub(crate) fn outlived(table: &Table, scopes: &[Arc<Node>], parent: u32) {
    if scopes.is_empty() {
        return;
    }
    let is_there = |place: Place| std::ptr::eq(&*place.table, table) && place.key == parent;
    let reason = raw::current(|frame| {
        let frame = frame.filter(|frame| frame.known_place().is_some_and(is_there) && frame.is_cut())?;
        Some(frame.reason().inherited())
    });
    let Some(reason) = reason else { return };
    for node in scopes {
        walk::cancel(node, reason.clone());
    }
}

/// The boundary that had `old` is polled in another place, where it has `new`. A shield takes its budget along (D9); what
/// is inside a scope follows when it is polled, and belongs to the scope until then.
pub(crate) fn row_moved(old: RowRef, new: Option<&RowRef>, node: Option<&Arc<Node>>) {
    if node.is_some() {
        frame_ended(&old.table, old.id);
        return;
    }
    let Some(new) = new else { return };
    if let Some(running) = old.table.take_running(old.id) {
        new.table.go_on(new.id, running);
    }
    if old.retire() {
        let _ = new.table.spend(new.id);
    }
}
