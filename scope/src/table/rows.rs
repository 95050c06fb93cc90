//! The rows as a tree in a slab: who is whose parent, who holds, who is asked. No lock and no user code in here.

use std::panic::Location;
use std::task::Waker;
use std::time::Duration;

use slab::Slab;

use crate::budget::Running;
use crate::sync::Arc;
use crate::tree::Node;

/// The key of the row that stands for the task.
pub(crate) const BASE: u32 = 0;
pub(crate) const BASE_ROW: RowId = RowId { key: BASE, serial: 0 };
const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RowId {
    pub(super) key: u32,
    /// Tells a reused row from the one that was meant.
    pub(super) serial: u32,
}

pub(crate) enum Boundary {
    Base,
    Scope(Arc<Node>),
    Shield {
        budget: Option<Duration>,
        running: Option<Running>,
        armed: bool,
        spent: bool,
        site: &'static Location<'static>,
    },
    Catch,
    CutOn,
    /// It stops what comes from around as a shield does; its budget is kept beside it.
    Finalizer {
        spent: bool,
    },
}

impl Boundary {
    pub(super) fn holds_by_itself(&self) -> bool {
        match self {
            Boundary::Scope(_) | Boundary::Catch => true,
            Boundary::Shield { spent, .. } | Boundary::Finalizer { spent } => !spent,
            Boundary::Base | Boundary::CutOn => false,
        }
    }

    /// A kill has come: whatever holds for the sake of a budget holds no longer. `true` if this one did.
    pub(super) fn use_up(&mut self) -> bool {
        match self {
            Boundary::Shield { spent, .. } | Boundary::Finalizer { spent } => !std::mem::replace(spent, true),
            Boundary::Base | Boundary::Scope(_) | Boundary::Catch | Boundary::CutOn => false,
        }
    }
}

pub(super) struct Row {
    pub(super) serial: u32,
    pub(super) parent: u32,
    first_child: u32,
    next: u32,
    previous: u32,
    pub(super) boundary: Boundary,
    pub(super) waker: Option<Waker>,
    /// Holds by itself.
    pub(super) own: bool,
    /// Children that hold.
    pub(super) holders: u32,
    /// The epoch in which it was woken first since its last poll.
    pub(super) asked: Option<u32>,
    /// Kept and not polled any more: it does not hold, nor does what is below it.
    pub(super) abandoned: bool,
    /// It outlives a shield that was around it: its next poll finds out what reaches it where it is now.
    pub(super) is_outside: bool,
}

impl Row {
    fn new(serial: u32, parent: u32, boundary: Boundary, waker: Option<Waker>) -> Row {
        Row {
            serial,
            parent,
            first_child: NONE,
            next: NONE,
            previous: NONE,
            boundary,
            waker,
            own: false,
            holders: 0,
            asked: None,
            abandoned: false,
            is_outside: false,
        }
    }
}

/// What was right inside a shield, and is asked for a poll where it is now.
#[derive(Default)]
pub(super) struct Outlived {
    /// For the caller to wake.
    pub(super) wakers: Vec<Waker>,
    pub(super) scopes: Vec<Arc<Node>>,
    /// There were any.
    pub(super) any: bool,
}

pub(super) struct Rows {
    slab: Slab<Row>,
    next_serial: u32,
    pub(super) epoch: u32,
    /// Rows that are asked.
    pub(super) asked: u32,
    /// Walks that have marked rows as asked and not woken all of them yet.
    pub(super) walks: u32,
    /// Frames that were polled while a walk was under way.
    pub(super) missed: Vec<Waker>,
}

impl Rows {
    /// The task's own row alone.
    pub(super) fn new() -> Rows {
        // Most tasks with a boundary have one: a task's scope.
        let mut slab = Slab::with_capacity(2);
        slab.insert(Row::new(BASE_ROW.serial, NONE, Boundary::Base, None));
        Rows { slab, next_serial: BASE_ROW.serial + 1, epoch: 0, asked: 0, walks: 0, missed: Vec::new() }
    }

    pub(super) fn get(&self, key: u32) -> &Row {
        &self.slab[key as usize]
    }

    pub(super) fn get_mut(&mut self, key: u32) -> &mut Row {
        &mut self.slab[key as usize]
    }

    pub(super) fn is(&self, id: RowId) -> bool {
        self.slab.get(id.key as usize).is_some_and(|row| row.serial == id.serial)
    }

    /// A new row below `parent`.
    pub(super) fn insert(&mut self, parent: u32, mut boundary: Boundary, waker: Waker) -> RowId {
        if let Boundary::Shield { spent, .. } = &mut boundary {
            *spent |= self.is_under_spent(parent);
        }
        let serial = self.next_serial;
        self.next_serial = serial.wrapping_add(1);
        let own = boundary.holds_by_itself();
        let key = self.slab.insert(Row::new(serial, parent, boundary, Some(waker))) as u32;
        self.link(key, parent);
        self.set_own(key, own);
        RowId { key, serial }
    }

    /// Takes a row out. What it was is for the caller to drop, outside the lock.
    pub(super) fn remove(&mut self, key: u32) -> Row {
        let parent = self.get(key).parent;
        let is_shield = matches!(self.get(key).boundary, Boundary::Shield { .. } | Boundary::Finalizer { .. });
        if self.holds(key) {
            self.child_changed(parent, false);
        }
        // A boundary that outlives the one around it (it was moved out, or leaked) belongs to the next one outwards.
        while self.get(key).first_child != NONE {
            let child = self.get(key).first_child;
            self.get_mut(child).is_outside |= is_shield;
            self.unlink(child);
            self.link(child, parent);
            if self.holds(child) {
                self.child_changed(parent, true);
            }
        }
        self.unlink(key);
        self.unask(key);
        self.slab.remove(key as usize)
    }

    fn link(&mut self, key: u32, parent: u32) {
        let first = std::mem::replace(&mut self.get_mut(parent).first_child, key);
        let row = self.get_mut(key);
        row.parent = parent;
        row.previous = NONE;
        row.next = first;
        if first != NONE {
            self.get_mut(first).previous = key;
        }
    }

    fn unlink(&mut self, key: u32) {
        let Row { parent, next, previous, .. } = *self.get(key);
        match previous {
            NONE => self.get_mut(parent).first_child = next,
            previous => self.get_mut(previous).next = next,
        }
        if next != NONE {
            self.get_mut(next).previous = previous;
        }
    }

    pub(super) fn holds(&self, key: u32) -> bool {
        let row = self.get(key);
        !row.abandoned && (row.own || row.holders > 0)
    }

    /// A child of `parent` began (`true`) or ceased to hold.
    fn child_changed(&mut self, mut parent: u32, holds: bool) {
        while parent != NONE {
            let before = self.holds(parent);
            let row = self.get_mut(parent);
            if holds {
                row.holders += 1;
            } else {
                row.holders -= 1;
            }
            let up = row.parent;
            if self.holds(parent) == before {
                return;
            }
            parent = up;
        }
    }

    pub(super) fn set_own(&mut self, key: u32, own: bool) {
        let abandoned = self.get(key).abandoned;
        self.set(key, own, abandoned);
    }

    /// Kept and not polled (`true`), or polled again.
    pub(super) fn set_abandoned(&mut self, key: u32, abandoned: bool) {
        let own = self.get(key).own;
        self.set(key, own, abandoned);
    }

    fn set(&mut self, key: u32, own: bool, abandoned: bool) {
        let before = self.holds(key);
        let row = self.get_mut(key);
        (row.own, row.abandoned) = (own, abandoned);
        let parent = row.parent;
        let after = self.holds(key);
        if before != after {
            self.child_changed(parent, after);
        }
    }

    /// Who asks first says since when.
    pub(super) fn ask(&mut self, key: u32) {
        let epoch = self.epoch;
        let row = self.get_mut(key);
        if row.asked.is_none() {
            row.asked = Some(epoch);
            self.asked += 1;
        }
    }

    /// Asks the rows right below `key`.
    pub(super) fn ask_children(&mut self, key: u32) -> Outlived {
        let mut outlived = Outlived { any: self.get(key).first_child != NONE, ..Outlived::default() };
        let mut child = self.get(key).first_child;
        while child != NONE {
            self.ask(child);
            let row = self.get_mut(child);
            outlived.wakers.extend(row.waker.take());
            if let Boundary::Scope(node) = &row.boundary {
                outlived.scopes.push(Arc::clone(node));
            }
            child = row.next;
        }
        outlived
    }

    pub(super) fn unask(&mut self, key: u32) {
        if self.get_mut(key).asked.take().is_some() {
            self.asked -= 1;
        }
    }

    /// Is a spent shield around a boundary below `parent`, with no scope in between?
    fn is_under_spent(&self, mut parent: u32) -> bool {
        loop {
            let row = self.get(parent);
            match row.boundary {
                Boundary::Shield { spent, .. } | Boundary::Finalizer { spent } => return spent,
                Boundary::Catch | Boundary::CutOn => parent = row.parent,
                Boundary::Base | Boundary::Scope(_) => return false,
            }
        }
    }

    /// The innermost scope around a boundary below `parent`, if it is one of this task's.
    pub(super) fn scope_around(&self, mut parent: u32) -> Option<&Arc<Node>> {
        while parent != NONE {
            let row = self.get(parent);
            if let Boundary::Scope(node) = &row.boundary {
                return Some(node);
            }
            parent = row.parent;
        }
        None
    }

    /// The row after `key` in a walk over everything below `top`, in depth-first order; `descend` says whether the
    /// children of `key` belong to it.
    pub(super) fn walk_next(&self, top: u32, mut key: u32, descend: bool) -> Option<u32> {
        if descend && self.get(key).first_child != NONE {
            return Some(self.get(key).first_child);
        }
        while key != top {
            let row = self.get(key);
            if row.next != NONE {
                return Some(row.next);
            }
            key = row.parent;
        }
        None
    }
}
