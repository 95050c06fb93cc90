//! Callbacks of a scope's cancel (D34): registered, taken by the walk of the first cancel, run as a task of the scope.
//!
//! A callback is in exactly one place: in the node's list, with whoever unregisters it, or with the walk. It changes hands
//! under the node's lock, in the critical section that sets the cancel bit, so an unregistration knows whether it was in time.
//! The walk counts the task as a member before the lock is released: the scope does not end before the callbacks have run.

use std::collections::BTreeMap;
use std::fmt;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::handle::ScopeHandle;
use crate::host::{Host, Work};
use crate::member::Member;
use crate::raw::Seat;
use crate::reason::Reason;
use crate::sync::Arc;
use crate::tree::{Links, Node, drop_quietly};
use crate::walk;

type Callback = Box<dyn FnOnce(&Reason) + Send>;

/// The callbacks of a scope that is not cancelled.
#[derive(Default)]
pub(crate) struct Callbacks {
    next: u64,
    waiting: BTreeMap<u64, Callback>,
}

/// Callbacks whose time has come.
pub(crate) struct Firing {
    /// The place of their task; `None`: the scope has drained, and they are dropped unrun.
    seat: Option<Seat>,
    callbacks: Vec<Callback>,
    reason: Reason,
}

impl Firing {
    /// Under the lock of `node`, which has just been cancelled: its callbacks, if it has any.
    pub(crate) fn take(node: &Arc<Node>, links: &mut Links) -> Option<Firing> {
        let waiting = mem::take(&mut links.callbacks.as_mut()?.waiting);
        if waiting.is_empty() {
            return None;
        }
        Firing::of(node, links, waiting.into_values().collect())
    }

    fn of(node: &Arc<Node>, links: &Links, callbacks: Vec<Callback>) -> Option<Firing> {
        let reason = links.reason.clone()?;
        let seat = node.count.admit(1).then(|| Seat::admitted(node));
        Some(Firing { seat, callbacks, reason })
    }

    /// Outside all locks: has them run as a task of the scope.
    pub(crate) fn spawn(self) {
        let Firing { seat, callbacks, reason } = self;
        let Some(seat) = seat else {
            callbacks.into_iter().for_each(drop_quietly);
            return;
        };
        let node = seat.node();
        let work: Work = Box::pin(async move { run(callbacks, &reason) });
        let member = Member::new(seat, work).guaranteed();
        if let Some(host) = node.host() {
            host.run(member);
        }
    }
}

/// Runs all of them, also if one panics; the first panic is the task's.
fn run(callbacks: Vec<Callback>, reason: &Reason) {
    let mut panic = None;
    for callback in callbacks {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| callback(reason))) {
            match &panic {
                None => panic = Some(payload),
                Some(_) => drop_quietly(payload),
            }
        }
    }
    if let Some(payload) = panic {
        resume_unwind(payload);
    }
}

/// A registered callback; made by [`ScopeHandle::on_cancel`]. Dropping it unregisters the callback.
///
/// ```
/// # fn example<H: ramus_scope::Host>(s: &ramus_scope::ScopeHandle<H>) {
/// let guard = s.on_cancel(|reason| eprintln!("gave up: {reason}"));
/// // ... the part of the work that wants to hear of a cancel ...
/// if guard.unregister() {
///     // It never runs: not now, not later.
/// }
/// # }
/// ```
#[must_use = "dropping it unregisters the callback: `detach` keeps it"]
pub struct OnCancel {
    registered: Option<(Arc<Node>, u64)>,
}

impl OnCancel {
    /// Takes the callback back. `true`: in time, it has been dropped here and never runs. `false`: it has run, or is about to
    /// run; or the scope has ended and dropped it.
    ///
    /// ```
    /// # fn example<H: ramus_scope::Host>(s: &ramus_scope::ScopeHandle<H>) {
    /// let guard = s.on_cancel(|_| eprintln!("cancelled"));
    /// assert!(guard.unregister() || s.is_cancelled());
    /// # }
    /// ```
    pub fn unregister(mut self) -> bool {
        self.take_back()
    }

    /// Keeps the callback registered until the scope ends.
    ///
    /// ```
    /// # fn example<H: ramus_scope::Host>(s: &ramus_scope::ScopeHandle<H>) {
    /// s.on_cancel(|reason| eprintln!("{reason:#}")).detach();
    /// # }
    /// ```
    pub fn detach(mut self) {
        self.registered = None;
    }

    fn take_back(&mut self) -> bool {
        let Some((node, key)) = self.registered.take() else { return false };
        let mut links = node.links.lock();
        let callback = links.callbacks.as_mut().and_then(|callbacks| callbacks.waiting.remove(&key));
        drop(links);
        callback.is_some()
    }
}

impl Drop for OnCancel {
    fn drop(&mut self) {
        let _ = self.take_back();
    }
}

impl fmt::Debug for OnCancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnCancel").field("is_registered", &self.registered.is_some()).finish()
    }
}

impl<H: Host> ScopeHandle<H> {
    /// Calls `f` with the reason when the scope is cancelled, whether by itself or by a scope above it.
    ///
    /// It runs on the executor, as a task of the scope, which waits for it: neither on the stack of whoever cancels nor after
    /// the scope has ended. It may cancel, spawn and register in the same tree; what it must not do is block. A panic is
    /// that of a child. If the scope is cancelled already, `f` runs at once; if it ends without a cancel, or is
    /// cancelled only while its finalizers run, when it admits no task any more, `f` is dropped.
    ///
    /// ```
    /// # fn example<H: ramus_scope::Host>(s: &ramus_scope::ScopeHandle<H>, socket: std::net::TcpStream) {
    /// // A blocking read on another thread ends when its scope is cancelled.
    /// let guard = s.on_cancel(move |_| drop(socket.shutdown(std::net::Shutdown::Both)));
    /// guard.detach();
    /// # }
    /// ```
    pub fn on_cancel<F>(&self, f: F) -> OnCancel
    where
        F: FnOnce(&Reason) + Send + 'static,
    {
        let node = self.node();
        let callback: Callback = Box::new(f);
        // In a scope that a request above has not reached yet, it is cancelled now: it may end before it is reached.
        if !node.state.load().is_cancelled() && node.is_cancelled() {
            if let Some(reason) = node.reason_here_or_above() {
                walk::cancel(node, reason);
            }
        }
        let mut links = node.links.lock();
        if links.ended {
            drop(links);
            drop(callback);
            return OnCancel { registered: None };
        }
        if node.state.load().is_cancelled() {
            let firing = Firing::of(node, &links, vec![callback]);
            drop(links);
            walk::fire(firing);
            return OnCancel { registered: None };
        }
        let callbacks = links.callbacks.get_or_insert_default();
        let key = callbacks.next;
        callbacks.next += 1;
        callbacks.waiting.insert(key, callback);
        OnCancel { registered: Some((Arc::clone(node), key)) }
    }
}
