//! Nodes of scopes that have ended in peace, kept by their thread for its next scopes: a scope for every request then costs
//! neither an allocation nor the making of all that most scopes never use.
//!
//! A node is kept only if nobody else has a reference to it, and what the scope's user gave it has been dropped.

use std::cell::Cell;

use crate::deadline::Deadline;
use crate::raw::Sole;
use crate::sync::{Arc, RECYCLES, local};
use crate::tree::{Links, Node, drop_quietly};

/// How many a thread keeps: none for sanitizers, which must see every use of a node that is gone.
const MOST: usize = if RECYCLES { 16 } else { 0 };
/// Room for members, and for what else there may be many of, that a node may keep for its next scope.
const FEW: usize = 64;

local! {
    static SPARE: Cell<Vec<Sole>> = Cell::new(Vec::new())
}

/// Gives `f` the list, unless the thread's locals are being destroyed.
fn with_spare<R>(f: impl FnOnce(&mut Vec<Sole>) -> R) -> Option<R> {
    let with = |spare: &Cell<Vec<Sole>>| {
        let mut nodes = spare.take();
        let answer = f(&mut nodes);
        spare.set(nodes);
        answer
    };
    SPARE.try_with(with).ok()
}

/// A node as new, if there is one.
pub(crate) fn take() -> Option<Sole> {
    with_spare(Vec::pop)?
}

/// Makes `links` as new, if nothing is left in them. All fields by name, so that none is forgotten.
fn empty(links: &mut Links) -> bool {
    let Links {
        members,
        has_tables,
        taken,
        is_lending,
        adopted,
        home,
        waiters,
        next_waiter,
        joiner,
        drained,
        adopter,
        is_leaving,
        moved_to,
        reason,
        later,
        dropped_reasons,
        deadline,
        stops,
        callbacks,
        failures,
        panic,
        watchers,
        finalizers,
        finalizer_budget,
        sealed,
        ownerless,
        is_finalizing,
        ended,
        reported,
    } = links;
    let is_listed = !(members.is_empty() && taken.is_empty() && adopted.is_empty() && waiters.is_empty());
    let is_linked = home.is_some() || joiner.is_some() || adopter.is_some() || moved_to.is_some();
    let was_asked = reason.is_some() || !later.is_empty() || stops.is_some() || callbacks.is_some();
    let has_work = !watchers.is_empty() || finalizers.is_some() || failures.is_some() || panic.is_some();
    let is_large = members.capacity() > FEW || adopted.capacity() > FEW || watchers.capacity() > FEW;
    if is_listed || is_linked || was_asked || has_work || is_large {
        return false;
    }
    *deadline = Deadline::default();
    (*next_waiter, *dropped_reasons, *finalizer_budget) = (0, 0, None);
    for flag in [has_tables, is_lending, drained, is_leaving, sealed, ownerless, is_finalizing, ended, reported] {
        *flag = false;
    }
    true
}

/// The scope of `node` has ended, and its future has it no more.
pub(crate) fn keep(node: Arc<Node>) {
    if let Ok(node) = Sole::new(node) {
        keep_sole(node);
    }
}

/// As [`keep`], for a node that nobody else has.
pub(crate) fn keep_sole(mut node: Sole) {
    if !empty(node.links.get_mut()) {
        return;
    }
    // Destructors of a user: before the list is taken, since they may come back here.
    drop_quietly(node.strip());
    let mut node = Some(node);
    let _ = with_spare(|nodes| {
        if nodes.len() < MOST {
            nodes.extend(node.take());
        }
    });
}
