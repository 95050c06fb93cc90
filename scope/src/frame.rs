//! Frames: what is being polled, from the innermost boundary out to the task.
//!
//! A frame is *cut* when a cancel reaches it through the shields inside which it is. That is computed from the inside out and
//! ends at the first scope or task, because a cancel marks every scope below it: the depth of the tree costs nothing.

use std::cell::{Cell, RefCell};
use std::panic::Location;
use std::task::Waker;

use crate::member::Listing;
use crate::raw::{self, Lent, Seat};
use crate::reason::{Reason, ReasonKind};
use crate::stray;
use crate::sync::Arc;
use crate::table::{BASE, Boundary, RowRef, Table};
use crate::task_cancel::TaskCancel;
use crate::tree::Node;

/// The row of a boundary, once it has one.
pub(crate) type RowCell = RefCell<Option<RowRef>>;

pub(crate) enum Kind<'a> {
    Task {
        seat: &'a Seat,
        cancel: &'a TaskCancel,
        listing: &'a Cell<Listing>,
        waker: &'a Waker,
        failed: &'a Cell<bool>,
    },
    Body {
        node: &'a Arc<Node>,
        row: &'a RowCell,
        waker: &'a Waker,
    },
    Shield {
        row: &'a RowCell,
        waker: &'a Waker,
        budget: Option<std::time::Duration>,
        site: &'static Location<'static>,
    },
    Catch {
        row: &'a RowCell,
        waker: &'a Waker,
    },
    CutOn {
        row: &'a RowCell,
        waker: &'a Waker,
        /// Why its owner has cut it, if so.
        cut: Option<&'a Reason>,
    },
    Finalizer {
        row: &'a RowCell,
        waker: &'a Waker,
        /// Its budget was used up before this poll.
        spent: bool,
        site: &'static Location<'static>,
    },
}

pub(crate) struct Frame<'a> {
    parent: *const (),
    pub(crate) kind: Kind<'a>,
    /// Boundaries were open inside when it came here from another place. They follow when they are polled.
    came_held: Cell<bool>,
}

/// Where a row hangs: its table and the key of the row above it.
pub(crate) struct Place {
    pub(crate) table: Arc<Table>,
    pub(crate) key: u32,
}

impl<'a> Frame<'a> {
    #[inline]
    pub(crate) fn new(parent: *const (), kind: Kind<'a>) -> Frame<'a> {
        Frame { parent, kind, came_held: Cell::new(false) }
    }

    pub(crate) fn parent_pointer(&self) -> *const () {
        self.parent
    }

    /// Cancelled as seen in this frame, through its shields. Each poll asks several times, mostly in the frame of a task.
    #[inline]
    pub(crate) fn is_cut(&self) -> bool {
        match &self.kind {
            Kind::Task { seat, cancel, .. } => seat.state.load().is_cancelled() || cancel.is_cancelled(),
            _ => self.is_cut_around(),
        }
    }

    fn is_cut_around(&self) -> bool {
        let mut frame = self;
        loop {
            match &frame.kind {
                Kind::Task { seat, cancel, .. } => return seat.state.load().is_cancelled() || cancel.is_cancelled(),
                Kind::Body { node, row, .. } => {
                    if node.state.load().is_cancelled() {
                        return true;
                    }
                    // A scope with a row is marked by every cancel that reaches it.
                    if row.borrow().is_some() {
                        return false;
                    }
                }
                Kind::Shield { .. } if !frame.is_spent() => return false,
                Kind::Shield { .. } => {}
                // It never asks the frames around.
                Kind::Finalizer { .. } => return frame.is_spent(),
                Kind::CutOn { cut: Some(_), .. } => return true,
                Kind::CutOn { .. } | Kind::Catch { .. } => {}
            }
            match raw::parent(frame) {
                Some(parent) => frame = parent,
                None => return false,
            }
        }
    }

    /// A shield or a finalizer that protects nothing: its budget is used up, it was opened inside such a one (D8), or a kill
    /// has come.
    fn is_spent(&self) -> bool {
        let mut frame = self;
        loop {
            match &frame.kind {
                Kind::Shield { row, .. } => {
                    if let Some(row) = &*row.borrow() {
                        // A kill by the task itself uses the row up when the poll is over.
                        return row.table.is_spent(row.id) || frame.is_killed();
                    }
                }
                Kind::Finalizer { row, spent, .. } => {
                    let used_up = *spent || row.borrow().as_ref().is_some_and(|row| row.table.is_spent(row.id));
                    return used_up || frame.is_killed();
                }
                Kind::Catch { .. } | Kind::CutOn { .. } => {}
                Kind::Task { .. } | Kind::Body { .. } => return frame.is_killed(),
            }
            match raw::parent(frame) {
                Some(parent) => frame = parent,
                None => return false,
            }
        }
    }

    /// Has a kill of a scope around this frame come? No shield matters to it.
    fn is_killed(&self) -> bool {
        let mut frame = self;
        loop {
            match &frame.kind {
                Kind::Task { seat, .. } => return seat.state.load().is_killed(),
                Kind::Body { node, row, .. } => {
                    if node.state.load().is_killed() {
                        return true;
                    }
                    // A scope with a row is marked by every kill that reaches it.
                    if row.borrow().is_some() {
                        return false;
                    }
                }
                Kind::Shield { .. } | Kind::Catch { .. } | Kind::CutOn { .. } | Kind::Finalizer { .. } => {}
            }
            match raw::parent(frame) {
                Some(parent) => frame = parent,
                None => return false,
            }
        }
    }

    /// A reason that starts in this frame.
    pub(crate) fn reason_here(&self, kind: ReasonKind, site: &'static Location<'static>) -> Reason {
        let scope = self.scope().map(|(node, _)| node);
        Reason::from(kind).at(site, scope.as_deref())
    }

    /// Why this frame is cut.
    pub(crate) fn reason(&self) -> Reason {
        let mut from_above = false;
        let mut frame = self;
        let reason = loop {
            match &frame.kind {
                Kind::Task { seat, cancel, .. } => {
                    break cancel.reason().or_else(|| seat.reason()).unwrap_or_else(|| ReasonKind::Parent.into());
                }
                Kind::Body { node, .. } if node.state.load().is_cancelled() => {
                    break node.reason().unwrap_or_else(|| ReasonKind::Parent.into());
                }
                Kind::CutOn { cut: Some(reason), .. } => break (*reason).clone(),
                Kind::Shield { site, .. } | Kind::Finalizer { site, .. } if frame.is_spent() && !frame.is_killed() => {
                    break frame.reason_here(ReasonKind::ShieldBudget, site);
                }
                // A scope without a row, which the cancel has not reached yet.
                Kind::Body { .. } => from_above = true,
                Kind::Shield { .. } | Kind::CutOn { .. } | Kind::Catch { .. } | Kind::Finalizer { .. } => {}
            }
            match raw::parent(frame) {
                Some(parent) => frame = parent,
                None => break ReasonKind::Parent.into(),
            }
        };
        if from_above { reason.inherited() } else { reason }
    }

    /// The innermost scope around what runs in this frame, and whether a shield stands in between.
    pub(crate) fn scope(&self) -> Option<(Arc<Node>, bool)> {
        self.scope_lent().map(|(node, shielded)| (Arc::clone(&node), shielded))
    }

    /// As [`scope`](Frame::scope), but it counts no reference.
    #[inline]
    pub(crate) fn scope_lent(&self) -> Option<(Lent<'_>, bool)> {
        let mut shielded = false;
        let mut frame = self;
        loop {
            match &frame.kind {
                Kind::Task { seat, .. } => return Some((seat.lend(), shielded)),
                Kind::Body { node, .. } => return Some((Lent::of(node), shielded)),
                Kind::Shield { .. } | Kind::Finalizer { .. } => shielded |= !frame.is_spent(),
                Kind::Catch { .. } | Kind::CutOn { .. } => {}
            }
            frame = raw::parent(frame)?;
        }
    }

    /// True if `is_it` says so of one of the scopes around what runs in this frame, up to that of its task.
    pub(crate) fn is_inside(&self, is_it: impl Fn(&Node) -> bool) -> bool {
        let mut frame = self;
        loop {
            match &frame.kind {
                Kind::Task { seat, .. } => return is_it(seat),
                Kind::Body { node, .. } if is_it(node) => return true,
                Kind::Body { .. }
                | Kind::Shield { .. }
                | Kind::Catch { .. }
                | Kind::CutOn { .. }
                | Kind::Finalizer { .. } => {}
            }
            match raw::parent(frame) {
                Some(parent) => frame = parent,
                None => return false,
            }
        }
    }

    /// Gives this frame its row, if it has none; the frames around it get theirs first.
    pub(crate) fn place(&self) {
        let placed = match &self.kind {
            Kind::Task { .. } => return drop(self.place_for(None)),
            Kind::Body { row, .. }
            | Kind::Shield { row, .. }
            | Kind::Catch { row, .. }
            | Kind::CutOn { row, .. }
            | Kind::Finalizer { row, .. } => row.borrow().is_some(),
        };
        if !placed {
            self.make_row(None);
        }
    }

    /// This frame's row, made now if it has none, for a scope inside: outside any task, the table belongs to its node.
    fn place_for(&self, inside: Option<&Arc<Node>>) -> Place {
        let row = match &self.kind {
            Kind::Task { seat, cancel, listing, waker, .. } => {
                let table = cancel.table(|| Table::new(seat.node(), false));
                seat.list(listing, waker, Some(&table), false);
                return Place { table, key: BASE };
            }
            Kind::Body { row, .. }
            | Kind::Shield { row, .. }
            | Kind::Catch { row, .. }
            | Kind::CutOn { row, .. }
            | Kind::Finalizer { row, .. } => row,
        };
        if row.borrow().is_none() {
            self.make_row(inside);
        }
        match &*row.borrow() {
            Some(row) => Place { table: Arc::clone(&row.table), key: row.key() },
            None => unreachable!("made just now"),
        }
    }

    /// This frame's row, which it does not have yet.
    fn make_row(&self, inside: Option<&Arc<Node>>) {
        let (row, waker) = match &self.kind {
            // Its row is there from the beginning.
            Kind::Task { .. } => return,
            Kind::Body { row, waker, .. }
            | Kind::Shield { row, waker, .. }
            | Kind::Catch { row, waker }
            | Kind::CutOn { row, waker, .. }
            | Kind::Finalizer { row, waker, .. } => (row, waker),
        };
        let above = self.above(inside);
        // The clone may come back here, when it spawns.
        let waker = (*waker).clone();
        if row.borrow().is_some() {
            return;
        }
        let id = above.table.insert(above.key, self.boundary(), waker);
        let home = matches!(self.kind, Kind::Body { .. }).then(|| Arc::clone(&above.table));
        *row.borrow_mut() = Some(RowRef { table: above.table, id });
        if let (Kind::Body { node, .. }, Some(home)) = (&self.kind, home) {
            node.settle_at(home, id);
            // The walk of a cancel that came before the row was there did not meet it; one that comes later does.
            if let Some(parent) = raw::parent(self).filter(|parent| parent.is_cut()) {
                crate::walk::cancel(node, parent.reason().inherited());
            }
            if let Some(parent) = raw::parent(self).filter(|parent| parent.is_killed()) {
                crate::walk::kill(node, parent.reason().inherited());
            }
            if node.is_below_stopping() {
                crate::walk::stop(node);
            }
        }
        let table = || row.borrow().as_ref().map(|row| Arc::clone(&row.table));
        // As above: a walk that came before the row was there did not use it up.
        if matches!(self.kind, Kind::Shield { .. } | Kind::Finalizer { .. }) && self.is_killed() {
            let _ = table().map(|table| table.spend(id));
        }
        // Nor did it ask this one to be polled again: code that keeps it and does not poll it must not be held by it.
        if raw::parent(self).is_some_and(Frame::is_cut) {
            crate::walk::wake(table().and_then(|table| table.ask(id)));
            self.wake();
        }
    }

    /// Where this frame's row hangs or will hang. What is outside any task has a table of its own.
    fn above(&self, inside: Option<&Arc<Node>>) -> Place {
        let scope = match &self.kind {
            Kind::Body { node, .. } => Some(*node),
            _ => inside,
        };
        match (raw::parent(self), scope) {
            (Some(parent), _) => parent.place_for(scope),
            (None, Some(scope)) => Place { table: Table::new(Arc::clone(scope), true), key: BASE },
            (None, None) => unreachable!("a boundary outside any task and scope makes no row"),
        }
    }

    fn boundary(&self) -> Boundary {
        match &self.kind {
            Kind::Task { .. } => Boundary::Base,
            Kind::Body { node, .. } => Boundary::Scope(Arc::clone(node)),
            Kind::Shield { budget, site, .. } => {
                Boundary::Shield { budget: *budget, running: None, armed: false, spent: false, site }
            }
            Kind::Catch { .. } => Boundary::Catch,
            Kind::CutOn { .. } => Boundary::CutOn,
            Kind::Finalizer { .. } => Boundary::Finalizer { spent: false },
        }
    }

    /// Is there a task or a scope around this frame (or is it one)?
    pub(crate) fn is_rooted(&self) -> bool {
        let mut frame = self;
        loop {
            if matches!(frame.kind, Kind::Task { .. } | Kind::Body { .. }) {
                return true;
            }
            match raw::parent(frame) {
                Some(parent) => frame = parent,
                None => return false,
            }
        }
    }

    /// The row of this frame if it has one already.
    pub(crate) fn known_place(&self) -> Option<Place> {
        match &self.kind {
            Kind::Task { cancel, .. } => cancel.known_table().map(|table| Place { table, key: BASE }),
            Kind::Body { row, .. }
            | Kind::Shield { row, .. }
            | Kind::Catch { row, .. }
            | Kind::CutOn { row, .. }
            | Kind::Finalizer { row, .. } => {
                row.borrow().as_ref().map(|row| Place { table: Arc::clone(&row.table), key: row.key() })
            }
        }
    }

    /// The key of this frame's row, if that is in `table`.
    fn key_in(&self, table: &Arc<Table>) -> Option<u32> {
        match &self.kind {
            Kind::Task { cancel, .. } => cancel.has_table(table).then_some(BASE),
            Kind::Body { row, .. }
            | Kind::Shield { row, .. }
            | Kind::Catch { row, .. }
            | Kind::CutOn { row, .. }
            | Kind::Finalizer { row, .. } => {
                row.borrow().as_ref().filter(|row| Arc::ptr_eq(&row.table, table)).map(RowRef::key)
            }
        }
    }

    /// Does a boundary inside this frame hold back its drop?
    pub(crate) fn is_held(&self) -> bool {
        self.known_place().is_some_and(|place| place.table.is_held(place.key))
    }

    /// Before the poll of what is inside: as [`is_held`](Frame::is_held), wherever the boundaries inside still are.
    pub(crate) fn is_held_yet(&self) -> bool {
        self.came_held.get() || self.is_held()
    }

    /// The boundary of this frame is being polled: refreshes its row, and moves it if the future has moved to another
    /// place (D29). `false`: that place is inside the scope of this frame, which cannot go on there.
    pub(crate) fn polled(&self) -> bool {
        let (row, waker) = match &self.kind {
            Kind::Task { .. } => return true,
            Kind::Body { row, waker, .. }
            | Kind::Shield { row, waker, .. }
            | Kind::Catch { row, waker }
            | Kind::CutOn { row, waker, .. }
            | Kind::Finalizer { row, waker, .. } => (row, waker),
        };
        let stale = match &*row.borrow() {
            None => false,
            Some(known) => {
                let above = match raw::parent(self) {
                    None => known.table.is_outside.then_some(BASE),
                    // When it got its row, all frames around it got theirs first; if not in this table, these are others.
                    Some(parent) => parent.key_in(&known.table),
                };
                let same_parent = known.table.polled(known.id, above.unwrap_or(BASE), waker);
                !(above.is_some() && same_parent)
                    || matches!(&self.kind, Kind::Body { node, .. } if node.state.load().is_stray())
            }
        };
        !stale || self.moved(row)
    }

    /// As [`polled`](Frame::polled), for a scope that a task of its adopter polls: its place is that task, wherever its
    /// future may be.
    pub(crate) fn stayed(&self) {
        if let Kind::Body { row, waker, .. } = &self.kind {
            if let Some(known) = &*row.borrow() {
                let above = raw::parent(self).and_then(|parent| parent.key_in(&known.table));
                known.table.polled(known.id, above.unwrap_or(BASE), waker);
            }
        }
    }

    /// Gives the boundary of this frame a row in its new place; the old one goes. As [`polled`](Frame::polled).
    fn moved(&self, row: &RowCell) -> bool {
        let node = match &self.kind {
            Kind::Body { node, .. } => Some(*node),
            _ => None,
        };
        let old = row.borrow_mut().take();
        if let Some(old) = &old {
            // What is in there follows when it is polled, and a combinator may poll only what was woken.
            crate::walk::wake(old.table.take_wakers_below(old.id));
        }
        self.came_held.set(old.as_ref().is_some_and(|old| old.table.has_holders(old.key())));
        if raw::parent(self).is_none_or(|parent| !parent.is_rooted()) && node.is_none() {
            return true;
        }
        if let Some(node) = node {
            node.come_back();
        }
        self.place();
        let is_sound = node.is_none_or(|node| stray::moved(node, raw::parent(self)));
        if let Some(old) = old {
            stray::row_moved(old, row.borrow().as_ref(), node);
        }
        is_sound
    }
}
