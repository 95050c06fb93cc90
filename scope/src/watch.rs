//! `stop_on`: a future that stops the scope when it is ready. The scope's own future polls it; it is no member, so it does
//! not keep the scope open.

use std::future::Future;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::sync::Arc;
use crate::tree::{Node, drop_quietly};

/// A signal that a scope watches, and the grace of the stop that it starts.
pub(crate) struct Watcher {
    pub(crate) signal: Pin<Box<dyn Future<Output = ()> + Send>>,
    pub(crate) grace: Duration,
}

/// Polls `watchers`; keeps those that are pending and returns the graces of the others.
fn poll(watchers: &mut Vec<Watcher>, cx: &mut Context<'_>) -> Vec<Duration> {
    let mut ready = Vec::new();
    watchers.retain_mut(|watcher| match watcher.signal.as_mut().poll(cx) {
        Poll::Ready(()) => {
            ready.push(watcher.grace);
            false
        }
        Poll::Pending => true,
    });
    ready
}

/// What a scope that suspends sees to: the alarm of its deadline, and its signals.
pub(crate) fn suspend(node: &Arc<Node>, unarmed: &mut bool, cx: &mut Context<'_>) {
    if mem::take(unarmed) {
        node.arm_deadline();
    }
    poll_watchers(node, cx);
}

fn poll_watchers(node: &Arc<Node>, cx: &mut Context<'_>) {
    if !node.state.load().is_watched() {
        return;
    }
    let mut watchers = mem::take(&mut node.links.lock().watchers);
    match catch_unwind(AssertUnwindSafe(|| poll(&mut watchers, cx))) {
        Ok(graces) => {
            node.links.lock().watchers.append(&mut watchers);
            for grace in graces {
                node.stop(grace, None, node.site);
            }
        }
        // A signal belongs to the body, and so does its panic. The other signals have nothing to stop any more.
        Err(payload) => {
            node.body_panicked(payload);
            drop_quietly(watchers);
        }
    }
}
