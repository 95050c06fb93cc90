//! A snapshot of the tree below a scope, as lines with a depth.

use std::collections::HashSet;
use std::mem;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::task::Waker;

use crate::handle::ScopeHandle;
use crate::host::Host;
use crate::reason::Reason;
use crate::sync::Arc;
use crate::table::{BASE_ROW, Listed, RowId, Table};
use crate::tree::Node;
use crate::walk;

/// What a [`TreeRow`] stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TreeKind {
    /// A scope.
    Scope,
    /// A shield inside a task.
    Shield,
    /// A `run_until_cancelled` inside a task.
    Catch,
    /// A timeout inside a task, with something open in it.
    Timeout,
    /// A finalizer of a scope that has drained.
    Finalizer,
    /// A suspended task.
    Task,
    /// A job on a thread of its own.
    Job,
}

/// One line of the tree below a scope. Members that have not suspended yet are only counted, in their scope's `live`.
///
/// ```
/// use ramus_scope::{Host, ScopeHandle};
///
/// fn print<H: Host>(scope: &ScopeHandle<H>) {
///     for row in scope.tree() {
///         println!("{:1$}{2:?} {3}", "", 2 * row.depth, row.kind, row.state);
///     }
/// }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TreeRow {
    /// How deep below the scope that was asked; that scope itself is 0.
    pub depth: usize,
    /// What it is.
    pub kind: TreeKind,
    /// The name of a scope.
    pub name: Option<String>,
    /// Where a scope was opened.
    pub site: Option<&'static Location<'static>>,
    /// One word: `open`, `stopping`, `cancelled`, `protecting`, `spent`, …. A scope that nobody polls since the code around it
    /// has ended says so: `leaked: …`. It keeps what is around it open until it is cancelled.
    pub state: &'static str,
    /// Why a scope was cancelled.
    pub reason: Option<Reason>,
    /// How many members a scope has, also those that are not listed.
    pub live: u64,
    /// The waker of a task, by which its host recognises it.
    pub waker: Option<Waker>,
}

impl TreeRow {
    fn new(depth: usize, kind: TreeKind, state: &'static str) -> TreeRow {
        TreeRow { depth, kind, name: None, site: None, state, reason: None, live: 0, waker: None }
    }
}

enum Step {
    Node(Arc<Node>),
    Task(TreeRow, Option<Arc<Table>>),
    Row(TreeRow),
}

/// The steps below a row of a task, in order.
fn inside(table: &Table, id: RowId, depth: usize) -> Vec<(usize, Step)> {
    let mut listed = Vec::new();
    table.list(id, &mut listed);
    let step = |(below, listed)| {
        let depth = depth + below;
        let row = |kind, state| Step::Row(TreeRow::new(depth, kind, state));
        let step = match listed {
            Listed::Scope(node) => Step::Node(node),
            Listed::Shield { spent: true, .. } => row(TreeKind::Shield, "spent"),
            Listed::Shield { armed: true, .. } => row(TreeKind::Shield, "protecting"),
            Listed::Shield { .. } => row(TreeKind::Shield, "open"),
            Listed::Catch => row(TreeKind::Catch, "open"),
            Listed::Timeout => row(TreeKind::Timeout, "open"),
            Listed::Finalizer { spent: true } => row(TreeKind::Finalizer, "spent"),
            Listed::Finalizer { spent: false } => row(TreeKind::Finalizer, "open"),
        };
        (depth, step)
    };
    listed.into_iter().map(step).collect()
}

/// A waker taken out of the list of members.
struct Lent {
    waker: Waker,
    key: usize,
    /// Its line in the listing.
    at: usize,
}

impl Node {
    fn row(&self, depth: usize) -> TreeRow {
        let state = self.state.load();
        let state = match (state.is_cancelled(), state.is_stopping()) {
            (true, _) => "cancelled",
            // Nothing but a cancel, or a poll in another place, ends it.
            _ if state.is_stray() => "leaked: not polled since its frame ended",
            (false, true) => "stopping",
            (false, false) => "open",
        };
        TreeRow {
            name: self.name.as_ref().map(ToString::to_string),
            site: Some(self.site),
            live: self.live(),
            reason: self.reason(),
            ..TreeRow::new(depth, TreeKind::Scope, state)
        }
    }

    /// Clones wakers that were taken out under the lock, outside it, and puts them back.
    fn clone_lent(&self, lent: Vec<Lent>, steps: &mut [(usize, Step)]) {
        for Lent { waker, at, .. } in &lent {
            if let (_, Step::Task(row, _)) = &mut steps[*at] {
                row.waker = catch_unwind(AssertUnwindSafe(|| waker.clone())).ok();
            }
        }
        let mut links = self.links.lock();
        links.is_lending = false;
        let mut missed = Vec::new();
        for Lent { waker, key, .. } in lent {
            match links.members.get_mut(key) {
                // Wakers are only taken out of an entry by one listing at a time, so this is the entry.
                Some(entry) if entry.waker.is_none() => entry.waker = Some(waker),
                // A cancel has taken the entry meanwhile, and could not wake it; or it was refreshed, or is gone.
                Some(_) | None => missed.push(waker),
            }
        }
        drop(links);
        walk::wake(missed);
    }

    /// What is directly below, in the order of listing.
    fn below(&self, depth: usize) -> Vec<(usize, Step)> {
        let mut steps = Vec::new();
        let mut lent = Vec::new();
        let mut links = self.links.lock();
        let may_lend = !mem::replace(&mut links.is_lending, true);
        for (key, member) in &mut links.members {
            let kind = if member.is_job { TreeKind::Job } else { TreeKind::Task };
            if may_lend {
                lent.extend(member.waker.take().map(|waker| Lent { waker, key, at: steps.len() }));
            }
            steps.push((depth, Step::Task(TreeRow::new(depth, kind, "suspended"), member.table.clone())));
        }
        steps.extend(links.adopted.iter().map(|(_, node)| (depth, Step::Node(Arc::clone(node)))));
        let home = links.home.clone();
        drop(links);
        if may_lend {
            self.clone_lent(lent, &mut steps);
        }
        if let Some((table, id)) = home {
            // Directly below the scope's own row is depth 1 there.
            steps.extend(inside(&table, id, depth - 1));
        }
        steps
    }
}

impl<H: Host> ScopeHandle<H> {
    /// A snapshot of the tree from this scope down. It is no instant of all of it: each node is looked at by itself.
    pub fn tree(&self) -> Vec<TreeRow> {
        let mut rows = Vec::new();
        // A scope that moves meanwhile may be met twice, also inside itself.
        let mut seen = HashSet::new();
        let mut stack = vec![(0, Step::Node(Arc::clone(self.node())))];
        while let Some((depth, step)) = stack.pop() {
            let below = match step {
                Step::Node(node) if !seen.insert(Arc::as_ptr(&node)) => Vec::new(),
                Step::Node(node) => {
                    rows.push(node.row(depth));
                    node.below(depth + 1)
                }
                Step::Task(row, table) => {
                    rows.push(row);
                    table.map_or_else(Vec::new, |table| inside(&table, BASE_ROW, depth))
                }
                Step::Row(row) => {
                    rows.push(row);
                    Vec::new()
                }
            };
            stack.extend(below.into_iter().rev());
        }
        rows
    }
}
