//! The walk of a request down the tree: mark, stop at shields or go through them, collect wakers, and wake
//! outside all locks.
//!
//! ```text
//!   node: set the bit and take the members (one critical section) ─┬─ member's table ─ rows ─┐
//!                                                                  ├─ own row ─────── rows ──┤
//!                                                                  └─ adopted nodes ─────────┴─ nodes, next round
//! ```
//!
//! The worklist makes it iterative at any depth. Nothing is woken before everything is marked, so a task that is woken by
//! the walk and looks around sees all of it cancelled.

use std::mem;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::task::Waker;

use slab::Slab;

use crate::budget::Expiry;
use crate::host::Wakes;
use crate::on_cancel::Firing;
use crate::reason::{Reason, ReasonKind};
use crate::state::Request;
use crate::stray;
use crate::sync::Arc;
use crate::table::{BASE_ROW, Found, Reach, RowId, Table};
use crate::tree::{Links, Listed, Node, drop_quietly};

#[derive(Default)]
struct Walk {
    nodes: Vec<Arc<Node>>,
    rows: Vec<(Arc<Table>, RowId)>,
    wakers: Vec<Waker>,
    /// Callbacks of scopes that are cancelled now.
    firings: Vec<Firing>,
    shields: Vec<(Arc<Table>, Arc<Expiry>, std::time::Duration)>,
    /// Tables with rows that are marked as asked and not woken yet, once for each time.
    asking: Vec<Arc<Table>>,
    /// Shields that stopped the cancel: what is in them is asked to finish soon.
    below: Vec<(Arc<Table>, RowId)>,
    /// Scopes that nobody polls, which are closed without their futures.
    given_up: Vec<Arc<Node>>,
}

impl Walk {
    /// What is done outside all locks, with the host of `of`: callbacks and budgets start, and what was reached is woken.
    /// Returns those that are given up, for [`stray::close`].
    fn finish(mut self, of: &Node) -> Vec<Arc<Node>> {
        fire(mem::take(&mut self.firings));
        for (table, expiry, budget) in mem::take(&mut self.shields) {
            // Without a host there is no clock: a shield without a bound.
            if let Some(host) = table.scope.host() {
                contain(|| drop(expiry.keep(host.wake_after(budget, expiry.waker()))));
            }
        }
        // The way to the host is as long as the tree is deep: not for nobody.
        let host = if self.wakers.is_empty() { None } else { of.host() };
        let wakes = Wakes::new(self.wakers);
        match host {
            Some(host) => contain(|| host.wake_cancelled(wakes)),
            None => drop(wakes),
        }
        for table in self.asking {
            wake(table.asked());
        }
        self.given_up
    }

    fn inside(&mut self, links: &Links) {
        self.rows.extend(links.home.clone());
        self.nodes.extend(links.adopted.iter().map(|(_, node)| Arc::clone(node)));
    }

    fn rows(&mut self, reach: Reach) {
        while let Some((table, id)) = self.rows.pop() {
            let mut found = Found::default();
            table.reach(id, reach, &mut found);
            self.nodes.append(&mut found.scopes);
            self.wakers.append(&mut found.wakers);
            let shields = found.shields.into_iter();
            self.shields.extend(shields.map(|(expiry, budget)| (Arc::clone(&table), expiry, budget)));
            self.below.extend(found.below.into_iter().map(|id| (Arc::clone(&table), id)));
            if found.asking {
                self.asking.push(table);
            }
        }
    }

    fn cancel(&mut self, inherited: &Reason) {
        loop {
            self.rows(Reach::ToShields);
            let Some(node) = self.nodes.pop() else { break };
            let _ = self.cancel_one(&node, inherited.clone());
        }
        self.inside_first();
        // A hard cancel says "finish soon" as well, and that goes through shields.
        self.rows = mem::take(&mut self.below);
        self.stop();
    }

    fn kill(&mut self, inherited: &Reason) {
        loop {
            self.rows(Reach::Kill);
            let Some(node) = self.nodes.pop() else { break };
            let _ = self.kill_one(&node, inherited.clone());
        }
        self.inside_first();
    }

    /// What is around something is polled after it: once, mostly, when the inside has ended, and not before to no end.
    fn inside_first(&mut self) {
        self.wakers.reverse();
    }

    /// `true` if this was the first cancel of the node.
    fn cancel_one(&mut self, node: &Arc<Node>, reason: Reason) -> bool {
        let mut links = node.links.lock();
        if node.has_ended(&links) {
            return false;
        }
        Node::keep_reason(&mut links, reason);
        if node.state.cancel() == Request::Repeated {
            return false;
        }
        let members = self.first_cancel(node, &mut links);
        drop(links);
        self.members(members);
        true
    }

    /// `true` if this was the first kill of the node.
    fn kill_one(&mut self, node: &Arc<Node>, reason: Reason) -> bool {
        let mut links = node.links.lock();
        // What a scope whose future was dropped has left behind may still be protected by shields and budgets (D28).
        if node.has_ended(&links) && links.sealed {
            return false;
        }
        Node::keep_reason(&mut links, reason);
        if node.state.kill() == Request::Repeated {
            return false;
        }
        node.state.lift_shield();
        if node.state.cancel() == Request::First {
            let members = self.first_cancel(node, &mut links);
            drop(links);
            self.members(members);
        } else {
            self.rows.extend(links.tables().map(|table| (table, BASE_ROW)));
            self.inside(&links);
        }
        true
    }

    /// Under the lock: what the first cancel of a node finds there. The members it takes are for [`members`](Walk::members).
    fn first_cancel(&mut self, node: &Arc<Node>, links: &mut Links) -> Slab<Listed> {
        self.wakers.extend(mem::take(&mut links.waiters).into_values());
        self.firings.extend(Firing::take(node, links));
        if node.give_up(links) {
            self.given_up.push(Arc::clone(node));
        }
        self.inside(links);
        links.take_members()
    }

    fn members(&mut self, members: Slab<Listed>) {
        self.wakers.reserve(members.len());
        for (_, member) in members {
            self.rows.extend(member.table.map(|table| (table, BASE_ROW)));
            self.wakers.extend(member.waker);
        }
    }

    fn stop(&mut self) {
        loop {
            self.rows(Reach::Through);
            let Some(node) = self.nodes.pop() else { return };
            let mut links = node.links.lock();
            if node.state.stop() == Request::Repeated {
                continue;
            }
            let tables = links.members.iter().filter_map(|(_, member)| member.table.clone());
            self.rows.extend(tables.map(|table| (table, BASE_ROW)));
            self.wakers.extend(mem::take(&mut links.waiters).into_values());
            self.inside(&links);
        }
    }
}

/// Cancels `node` and all below it that is not shielded. `true` if this was its first cancel and it had not ended.
pub(crate) fn cancel(node: &Arc<Node>, reason: Reason) -> bool {
    let (first, given_up) = mark(node, reason);
    stray::close(given_up);
    first
}

/// As [`cancel`], but the scopes that are given up are for the caller to close.
pub(crate) fn mark(node: &Arc<Node>, reason: Reason) -> (bool, Vec<Arc<Node>>) {
    let mut walk = Walk::default();
    let first = walk.cancel_one(node, reason.clone());
    if first {
        walk.cancel(&reason.inherited());
    }
    (first, walk.finish(node))
}

/// Cancels `node` for something that happened in it, and that was set up at `site`.
pub(crate) fn cancel_for(node: &Arc<Node>, kind: ReasonKind, site: &'static Location<'static>) {
    if !node.overlooks_reason() {
        cancel(node, Reason::from(kind).at(site, Some(node)));
    }
}

/// Cancels `node` and all below it, through shields, which are used up. `true` if this was its first kill and it had not
/// ended.
pub(crate) fn kill(node: &Arc<Node>, reason: Reason) -> bool {
    let mut walk = Walk::default();
    let first = walk.kill_one(node, reason);
    if let Some(reason) = node.reason().filter(|_| first) {
        // Below, too, the first reason is why.
        walk.kill(&reason.inherited());
    }
    stray::close(walk.finish(node));
    first
}

/// Cancels what is open inside the frame of a row: an expired timeout, a spent shield, a task cancelled alone.
pub(crate) fn cancel_inside(table: &Arc<Table>, id: RowId, inherited: &Reason) {
    let mut walk = Walk { rows: vec![(Arc::clone(table), id)], ..Walk::default() };
    walk.cancel(inherited);
    stray::close(walk.finish(&table.scope));
}

/// Starts the budget of a shield whose row was made in a frame that was cut already.
pub(crate) fn arm_shield(row: &crate::table::RowRef) {
    let Some((expiry, budget)) = row.table.arm(row.id) else { return };
    let mut walk = Walk::default();
    walk.shields.push((Arc::clone(&row.table), expiry, budget));
    let none = walk.finish(&row.table.scope);
    debug_assert!(none.is_empty(), "nothing was cancelled");
}

/// Asks `node` and all below it to finish soon, through shields. `true` if it was not asked before.
pub(crate) fn stop(node: &Arc<Node>) -> bool {
    if node.state.load().is_stopping() {
        return false;
    }
    let mut walk = Walk { nodes: vec![Arc::clone(node)], ..Walk::default() };
    walk.stop();
    let none = walk.finish(node);
    debug_assert!(none.is_empty(), "nothing was cancelled");
    true
}

/// Has the scope's own future polled, if it is suspended.
pub(crate) fn nudge(node: &Node) {
    let home = node.links.lock().home.clone();
    wake(home.and_then(|(table, id)| table.take_waker(id)));
}

/// Calls what is the executor's. Its panic must not keep a walk from its other duties, and there is nobody here whom it
/// concerns; the panic hook has reported it.
pub(crate) fn contain(call: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(call)) {
        drop_quietly(payload);
    }
}

/// Has callbacks run as a task of their scope.
pub(crate) fn fire(firing: impl IntoIterator<Item = Firing>) {
    for firing in firing {
        contain(|| firing.spawn());
    }
}

/// Wakes all of them, also if one panics.
pub(crate) fn wake(wakers: impl IntoIterator<Item = Waker>) {
    for waker in wakers {
        contain(|| waker.wake());
    }
}

/// The budget of a shield or a finalizer is used up: it protects nothing any more, and what is in it is cancelled for
/// `reason`. `false`: it is gone, or was spent before. `reason` is asked for before anybody is woken.
pub(crate) fn spend(table: &Arc<Table>, id: RowId, reason: impl FnOnce() -> Reason) -> bool {
    let Some(scopes) = table.spend(id) else { return false };
    let reason = reason();
    for node in scopes {
        node.state.lift_shield();
    }
    cancel_inside(table, id, &reason.inherited());
    true
}
