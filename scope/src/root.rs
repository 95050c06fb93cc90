//! The outermost scope of a runtime.

use std::borrow::Cow;
use std::panic::Location;
use std::task::{Context, Poll};

use crate::handle::ScopeHandle;
use crate::host::Host;
use crate::sync::{Arc, AtomicBool, Ordering};
use crate::tree::{Node, Policy};

/// A scope without a body: the outermost one of a runtime. Failures stay with their handles.
///
/// Dropping it closes it.
///
/// ```
/// # fn run<H: ramus_scope::Host>(host: H) {
/// let root = ramus_scope::Root::new(host, "root");
/// drop(root.handle().spawn(async {}));
/// root.close();
/// # }
/// ```
pub struct Root<H> {
    handle: ScopeHandle<H>,
    closed: AtomicBool,
}

impl<H: Host> Root<H> {
    /// Opens it.
    #[track_caller]
    pub fn new(host: H, name: impl Into<Cow<'static, str>>) -> Root<H> {
        let timer = host.clone();
        let node =
            Node::new(None, false, || Box::new(timer), Policy::Isolate, Some(name.into()), None, Location::caller());
        Root { handle: ScopeHandle::new(node, host), closed: AtomicBool::new(false) }
    }

    /// Its handle.
    pub fn handle(&self) -> &ScopeHandle<H> {
        &self.handle
    }

    /// Closes it: it is drained when its last member has ended. Later calls do nothing.
    pub fn close(&self) {
        close(self.handle.node(), &self.closed);
    }

    /// Ready when it is closed and its last member has ended.
    pub fn poll_drained(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.handle.node().poll_drained(cx.waker()) { Poll::Ready(()) } else { Poll::Pending }
    }
}

fn close(node: &Arc<Node>, closed: &AtomicBool) {
    // Ordering: [root:C1] Relaxed: it only picks the one call that closes; the count orders what comes before and after.
    if !closed.swap(true, Ordering::Relaxed) {
        node.close();
    }
}

impl<H> Drop for Root<H> {
    fn drop(&mut self) {
        close(self.handle.node(), &self.closed);
    }
}
