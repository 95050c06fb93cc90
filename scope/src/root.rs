//! Scopes without a body: the outermost one of a runtime, and those below it that belong to nobody's call.

use std::borrow::Cow;
use std::panic::Location;
use std::sync::Weak;
use std::task::{Context, Poll, Wake, Waker};

use crate::admit::ended;
use crate::handle::ScopeHandle;
use crate::host::Host;
use crate::reason::{Reason, ReasonKind};
use crate::sync::{Arc, AtomicBool, Ordering};
use crate::tree::{Node, Opening, Policy};
use crate::walk;

/// A scope without a body. Failures stay with their handles.
///
/// Dropping it closes it: nothing is cancelled, and it is drained when its last member has ended. One that is opened below
/// another scope is closed, too, as soon as a stop or a cancel reaches it, whoever holds it: so a scope never waits for the
/// owner of a root.
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
    closed: Arc<Closed>,
}

/// Whether a root was closed.
#[derive(Default)]
struct Closed(AtomicBool);

impl Closed {
    /// `true` once.
    fn begin(&self) -> bool {
        // Ordering: [root:C1] Relaxed: it only picks the one call that closes; the count orders what comes before and after.
        !self.0.swap(true, Ordering::Relaxed)
    }
}

/// The waker of a root below another scope: a request closes it. It stands among the waiters of its node, and so is
/// dropped with it at the latest.
struct CloseOnRequest {
    node: Weak<Node>,
    closed: Arc<Closed>,
}

impl Wake for CloseOnRequest {
    fn wake(self: Arc<Self>) {
        if let Some(node) = self.node.upgrade() {
            close(&node, &self.closed);
        }
    }
}

fn close(node: &Arc<Node>, closed: &Closed) {
    if closed.begin() {
        node.close();
    }
}

impl<H: Host> Root<H> {
    /// Opens the outermost scope of `host` itself: what [`Host::outermost`] answers with from then on. For the host's own
    /// use.
    ///
    /// ```
    /// # fn start<H: ramus_scope::Host>(executor: H) {
    /// let root = ramus_scope::Root::outermost(executor, "executor");
    /// // ... and at its end:
    /// root.handle().cancel(ramus_scope::ReasonKind::Shutdown);
    /// root.close();
    /// # }
    /// ```
    #[track_caller]
    pub fn outermost(host: H, name: impl Into<Cow<'static, str>>) -> Root<H> {
        Root::open(None, host, name.into(), Location::caller())
    }

    /// Opens it: below the outermost scope of the host, where the host has one ([`Host::outermost`]), so that it ends with
    /// the host. On a host that has ended it is cancelled from the start and admits nothing.
    #[track_caller]
    pub fn new(host: H, name: impl Into<Cow<'static, str>>) -> Root<H> {
        let name = name.into();
        match host.outermost() {
            Ok(None) => Root::open(None, host, name, Location::caller()),
            Ok(Some(outermost)) => Root::below(&outermost, name),
            Err(reason) => {
                let root = Root::open(None, host, name, Location::caller());
                root.end(reason);
                root
            }
        }
    }

    /// Opens it below `parent`, whose end then waits for it, and whose stop and cancel close it. If `parent` is cancelled, or
    /// has ended, it is cancelled from the start and admits nothing.
    ///
    /// ```
    /// use ramus_scope::{Host, Root, ScopeHandle};
    ///
    /// /// Work that outlives the calls it comes from, but not the scope.
    /// fn audit<H: Host>(service: &ScopeHandle<H>) -> Root<H> {
    ///     let audit = Root::below(service, "audit");
    ///     drop(audit.handle().spawn(async { println!("it happened") }));
    ///     audit
    /// }
    /// ```
    #[track_caller]
    pub fn below(parent: &ScopeHandle<H>, name: impl Into<Cow<'static, str>>) -> Root<H> {
        let above = parent.node();
        let root = Root::open(Some(Arc::clone(above)), parent.host().clone(), name.into(), Location::caller());
        let node = root.handle.node();
        let closer = CloseOnRequest { node: Arc::downgrade(node), closed: Arc::clone(&root.closed) };
        node.wait_for_request(Waker::from(Arc::new(closer)));
        if node.be_adopted_by(above) {
            // A request that came before the adoption did not meet this node; one that comes later does.
            if above.is_cancelled() {
                let reason = above.reason().map_or_else(|| ReasonKind::Parent.into(), |it| it.inherited());
                if above.state.load().is_killed() {
                    walk::kill(node, reason);
                } else {
                    walk::cancel(node, reason);
                }
            } else if above.is_stopping() {
                // It may have been born as stopping, so that the walk would tell nobody.
                walk::stop(node);
                root.close();
            }
        } else {
            root.end(above.reason().map_or_else(ended, |reason| reason.inherited()));
        }
        root
    }

    fn open(parent: Option<Arc<Node>>, host: H, name: Cow<'static, str>, site: &'static Location<'static>) -> Root<H> {
        let timer = host.clone();
        let opening = Opening { policy: Policy::Isolate, name: Some(name), ..Opening::default() };
        let node = Node::new(parent, false, || Box::new(timer), opening, site);
        // It has no future that could run its finalizers.
        node.links.lock().ownerless = true;
        Root { handle: ScopeHandle::new(node, host), closed: Arc::default() }
    }

    fn end(&self, reason: Reason) {
        walk::cancel(self.handle.node(), reason);
        self.close();
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

impl<H> Drop for Root<H> {
    fn drop(&mut self) {
        close(self.handle.node(), &self.closed);
    }
}
