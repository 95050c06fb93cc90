//! The phases of a scope's future, and what becomes of the scope when that is dropped in one of them.

use std::mem;
use std::pin::Pin;
use std::task::Waker;

use crate::finalizer::{self, Running};
use crate::frame::{Kind, RowCell};
use crate::raw::{self, Sole};
use crate::reason::Reason;
use crate::stage::Stage;
use crate::stray;
use crate::sync::Arc;
use crate::tree::Node;
use crate::walk;

/// Where a scope's future is; see the table of [`scope`](crate::scope).
pub(crate) enum Phase {
    New,
    Body,
    Draining,
    Drained,
    /// As `Drained`, and nobody else has ever seen the node, or does any more: it need not be closed. Left in the same poll.
    Alone(Sole),
    Finalizing(Box<Running>),
    Cut(Option<Reason>),
    Done,
}

impl Phase {
    /// Closes the scope, whose body is gone.
    pub(crate) fn after_body(node: &mut Option<Arc<Node>>, row: &RowCell) -> Phase {
        stray::body_ended(row);
        if row.borrow().is_none() {
            let is_idle = |node: &Node| node.count.is_idle();
            // Asked twice: seats count no reference, and nobody may have one where `Sole` takes the node for itself; but only
            // that comes after the handles that are gone, and so after whom they have admitted.
            if let Some(alone) = node.take_if(|node| Arc::strong_count(node) == 1 && is_idle(node)) {
                match Sole::new(alone) {
                    Ok(mut alone) => {
                        if is_idle(&alone) && !alone.has_finalizers() {
                            return Phase::Alone(alone);
                        }
                        *node = Some(alone.into_node());
                    }
                    Err(alone) => *node = Some(alone),
                }
            }
        }
        match node {
            Some(node) if !node.close_own() => Phase::Draining,
            Some(_) | None => Phase::Drained,
        }
    }
}

/// A scope's future is dropped half-way: what is left is cancelled, and the scope around waits for it (D28).
pub(crate) fn leave<F, Fut, T>(
    node: &Arc<Node>,
    row: &RowCell,
    stage: Pin<&mut Stage<F, Fut, T>>,
    phase: &mut Phase,
    reason: Reason,
) {
    let phase = mem::replace(phase, Phase::Done);
    let in_body = matches!(phase, Phase::Body);
    let given_up = node.leave_frame();
    walk::cancel(node, reason);
    let kind = Kind::Body { node, row, waker: Waker::noop() };
    if let Err(payload) = raw::enter(kind, |_| stage.drop_body()) {
        node.keep_panic(payload);
    }
    stray::body_ended(row);
    node.end_early();
    match phase {
        Phase::Body | Phase::Draining => {}
        Phase::Finalizing(running) => finalizer::hand_over(node, Some(running)),
        Phase::New | Phase::Drained | Phase::Alone(_) | Phase::Cut(_) | Phase::Done => finalizer::hand_over(node, None),
    }
    node.be_left();
    if in_body && !given_up {
        node.close();
    }
    let row = row.take();
    drop(row);
}
