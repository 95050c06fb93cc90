//! Waiting for a scope's cancel or stop.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::being_polled::is_cut;
use crate::sync::Arc;
use crate::tree::Node;

/// A waiter in a node's list. Listed at its first suspension, taken off when dropped.
struct Waiter {
    node: Arc<Node>,
    key: Option<u64>,
}

impl Waiter {
    /// Lists it, then asks again: a request that came before the listing did not meet it.
    fn poll(&mut self, cx: &mut Context<'_>, ready: impl Fn(&Node) -> bool) -> Poll<()> {
        if is_cut() {
            return Poll::Pending;
        }
        if ready(&self.node) {
            return Poll::Ready(());
        }
        let waker = cx.waker().clone();
        let mut links = self.node.links.lock();
        // A request takes the whole list; a waiter that it does not satisfy is listed again under a new key.
        let key = match self.key.filter(|key| links.waiters.contains_key(key)) {
            Some(key) => key,
            None => {
                links.next_waiter += 1;
                links.next_waiter
            }
        };
        self.key = Some(key);
        let older = links.waiters.insert(key, waker);
        drop(links);
        drop(older);
        if ready(&self.node) { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let Some(key) = self.key else { return };
        let mut links = self.node.links.lock();
        let entry = links.waiters.remove(&key);
        drop(links);
        drop(entry);
    }
}

impl Node {
    /// Has `waker` woken, once, at the next stop or cancel.
    pub(crate) fn wait_for_request(&self, waker: Waker) {
        let mut links = self.links.lock();
        links.next_waiter += 1;
        let key = links.next_waiter;
        links.waiters.insert(key, waker);
    }
}

/// The future of [`ScopeHandle::cancelled`](crate::ScopeHandle::cancelled).
#[must_use = "futures do nothing unless they are polled"]
pub struct WaitCancelled(Waiter);

impl WaitCancelled {
    pub(crate) fn new(node: &Arc<Node>) -> WaitCancelled {
        WaitCancelled(Waiter { node: Arc::clone(node), key: None })
    }
}

impl Future for WaitCancelled {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.poll(cx, Node::is_cancelled)
    }
}

/// The future of [`ScopeHandle::stopping`](crate::ScopeHandle::stopping).
#[must_use = "futures do nothing unless they are polled"]
pub struct WaitStopping(Waiter);

impl WaitStopping {
    pub(crate) fn new(node: &Arc<Node>) -> WaitStopping {
        WaitStopping(Waiter { node: Arc::clone(node), key: None })
    }
}

impl Future for WaitStopping {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.poll(cx, Node::is_stopping)
    }
}
