//! A node of the scope tree: what a scope is to its members, its parent and whoever holds a handle.
//!
//! ```text
//!   node ── members ── (task's table) ── rows ── node      scopes opened by a member
//!        ── home    ── (table, row)   ── rows ── node      scopes opened by the scope's own body
//!        ── adopted ── node                                 scopes whose future was dropped half-way (D28), or whose
//!                                                            frame ended without it (D29, `stray`)
//! ```
//!
//! Invariants:
//!
//! 1. A node points to its parent with a counted reference; downwards it is found through members, home and adoption. So
//!    a subtree keeps its ancestors, and dropping a leaf may free a whole chain: `Drop` walks it, it does not recurse. A
//!    scope whose future moved into another scope has that one as its parent from then on; it keeps the first one as well.
//! 2. `CANCEL` is set under `links`, in the critical section that takes the members. A member that lists itself later
//!    sees the bit under the same lock.
//! 3. Lock order: one node's links, or one table, never two of them at once.
//! 4. No waker and no destructor of a user runs under `links`: they are taken out, the lock is released, then they run.
//! 5. While it is open, whoever will close it has a strong reference: the scope's future, the root, or who has given it up.
//!    A closed count owns one, given back by whoever drains it (`raw`).

use std::any::Any;
use std::borrow::Cow;
use std::cell::Cell;
use std::panic::Location;
use std::sync::Weak;
use std::task::Waker;
use std::time::{Duration, Instant};

use slab::Slab;

use crate::adoption::{Adopter, drain};
use crate::count::Count;
use crate::deadline::Deadline;
use crate::finalizer::Finalizers;
use crate::host::AnyHost;
use crate::limit::Limit;
use crate::member::Listing;
use crate::on_cancel::Callbacks;
use crate::raw;
use crate::reason::Reason;
use crate::spare;
use crate::state::State;
use crate::stop::Stops;
use crate::sync::{Arc, Mutex};
use crate::table::{RowId, Table};
use crate::value::Values;
use crate::waiters::Waiters;
use crate::watch::Watcher;

/// What a failing child does to its siblings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Policy {
    /// They are cancelled.
    #[default]
    FailFast,
    /// They go on; the failure stays with its handle and is listed at the end.
    Isolate,
}

/// A suspended member, or a job that wants to hear of a cancel.
pub(crate) struct Listed {
    /// `None` while a listing of the tree clones it, outside the lock (`listing`).
    pub(crate) waker: Option<Waker>,
    pub(crate) table: Option<Arc<Table>>,
    pub(crate) is_job: bool,
}

#[derive(Default)]
pub(crate) struct Links {
    pub(crate) members: Slab<Listed>,
    /// Members have come with tables.
    pub(crate) has_tables: bool,
    /// The tables of members whose entries the cancel took: what is open in them is still there for a kill.
    pub(crate) taken: Box<[Weak<Table>]>,
    /// A listing of the tree has taken wakers out to clone them.
    pub(crate) is_lending: bool,
    pub(crate) adopted: Slab<Arc<Node>>,
    pub(crate) home: Option<(Arc<Table>, RowId)>,
    /// Whoever waits in `cancelled()`, `stopping()`.
    pub(crate) waiters: Waiters,
    pub(crate) next_waiter: u64,
    /// The task in the scope's exit.
    pub(crate) joiner: Option<Waker>,
    pub(crate) drained: bool,
    pub(crate) adopter: Option<Adopter>,
    /// The scope's future is being dropped: its frame cannot lose it any more.
    pub(crate) is_leaving: bool,
    /// The scope around the future's new place, once it has moved.
    pub(crate) moved_to: Option<Arc<Node>>,
    pub(crate) reason: Option<Reason>,
    /// Reasons of later cancels, a few of them.
    pub(crate) later: Vec<Reason>,
    /// How many more there were.
    pub(crate) dropped_reasons: u64,
    pub(crate) deadline: Deadline,
    pub(crate) stops: Option<Box<Stops>>,
    /// What `on_cancel` has registered.
    pub(crate) callbacks: Option<Box<Callbacks>>,
    /// A `Vec<E>` of the scope's error type.
    pub(crate) failures: Option<Box<dyn Any + Send>>,
    /// The report hook has heard of the failures: they are nobody's result.
    pub(crate) reported: bool,
    pub(crate) panic: Option<Box<dyn Any + Send>>,
    pub(crate) watchers: Vec<Watcher>,
    pub(crate) finalizers: Option<Box<Finalizers>>,
    /// The budget of its finalizers, if it is not the default.
    pub(crate) finalizer_budget: Option<Duration>,
    /// No finalizer is taken any more.
    pub(crate) sealed: bool,
    /// No future of its own sees to its end: it was dropped, or it is a root.
    pub(crate) ownerless: bool,
    /// Its future is running a finalizer.
    pub(crate) is_finalizing: bool,
    pub(crate) ended: bool,
}

impl Links {
    /// Is there a finalizer that has not begun, or one that was handed over?
    pub(crate) fn has_finalizers_left(&self) -> bool {
        self.finalizers.as_ref().is_some_and(|finalizers| !finalizers.is_empty())
    }

    /// The first cancel takes all entries.
    pub(crate) fn take_members(&mut self) -> Slab<Listed> {
        if self.has_tables {
            let tables = self.members.iter().filter_map(|(_, member)| member.table.as_ref());
            self.taken = tables.map(Arc::downgrade).collect();
        }
        std::mem::take(&mut self.members)
    }

    /// The tables of all members that a kill may have to go through, also of those that the cancel has taken.
    pub(crate) fn tables(&mut self) -> impl Iterator<Item = Arc<Table>> + '_ {
        let taken = std::mem::take(&mut self.taken);
        let listed = self.members.iter().filter_map(|(_, member)| member.table.clone());
        taken.into_iter().filter_map(|table| table.upgrade()).chain(listed)
    }
}

/// What a scope is opened with.
#[derive(Default)]
pub(crate) struct Opening {
    pub(crate) policy: Policy,
    pub(crate) name: Option<Cow<'static, str>>,
    pub(crate) deadline: Option<Instant>,
    pub(crate) limit: Option<Arc<Limit>>,
    pub(crate) values: Option<Box<Values>>,
}

pub(crate) struct Node {
    pub(crate) state: State,
    pub(crate) policy: Policy,
    pub(crate) parent: Option<Arc<Node>>,
    host: Option<Box<dyn AnyHost>>,
    pub(crate) name: Option<Cow<'static, str>>,
    pub(crate) site: &'static Location<'static>,
    limit: Option<Arc<Limit>>,
    pub(crate) values: Option<Box<Values>>,
    pub(crate) links: Mutex<Links>,
    pub(crate) count: Count,
}

/// How many reasons after the first one are kept.
const LATER_REASONS: usize = 4;

impl Node {
    /// A new node; `host` is asked for where there is no parent to borrow the timer half from.
    pub(crate) fn new(
        parent: Option<Arc<Node>>,
        shielded: bool,
        host: impl FnOnce() -> Box<dyn AnyHost>,
        opening: Opening,
        site: &'static Location<'static>,
    ) -> Arc<Node> {
        let Opening { policy, name, deadline, limit, values } = opening;
        let host = parent.is_none().then(host);
        let stopping = parent.as_ref().is_some_and(|parent| parent.state.load().is_stopping());
        let state = State::new(shielded, stopping);
        let node = match spare::take() {
            Some(mut node) => {
                (node.state, node.policy, node.parent, node.host) = (state, policy, parent, host);
                (node.name, node.site, node.limit, node.values) = (name, site, limit, values);
                node.links.get_mut().deadline = Deadline::new(deadline);
                node.count.reset();
                node.into_node()
            }
            None => {
                let links = Mutex::new(Links { deadline: Deadline::new(deadline), ..Links::default() });
                let count = Count::new();
                Arc::new(Node { state, policy, parent, host, name, site, limit, values, links, count })
            }
        };
        if node.limit.is_some() {
            node.state.mark_limited();
        }
        node
    }

    /// The task limit. Spawns ask the state word, which they load anyway, before they touch another line.
    pub(crate) fn limit(&self) -> Option<&Arc<Limit>> {
        if self.state.load().is_limited() { self.limit.as_ref() } else { None }
    }

    /// Cancelled here, or above without a shield in between, or killed above (D32: a request above may still be on its way
    /// down).
    pub(crate) fn is_cancelled(&self) -> bool {
        self.cut_off(|_| ()).is_some()
    }

    /// Asks the innermost scope whose cancel or kill reaches this one.
    fn cut_off<T>(&self, ask: impl Fn(&Node) -> T) -> Option<T> {
        let mut shielded = false;
        self.up(|node| {
            let state = node.state.load();
            let reaches = if shielded { state.is_killed() } else { state.is_cancelled() };
            shielded |= state.is_shielded();
            reaches.then(|| ask(node))
        })
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.up(|node| node.state.load().is_stopping().then_some(())).is_some() || self.is_cancelled()
    }

    /// The first answer on the way from here to the root.
    pub(crate) fn up<T>(&self, mut ask: impl FnMut(&Node) -> Option<T>) -> Option<T> {
        let mut moved_to;
        let mut node = self;
        loop {
            if let Some(answer) = ask(node) {
                return Some(answer);
            }
            if node.state.load().is_moved() {
                moved_to = node.parent()?;
                node = &moved_to;
            } else {
                node = node.parent.as_deref()?;
            }
        }
    }

    /// Was the scope around asked to finish soon?
    pub(crate) fn is_below_stopping(&self) -> bool {
        if self.state.load().is_moved() {
            return self.parent().is_some_and(|parent| parent.state.load().is_stopping());
        }
        self.parent.as_ref().is_some_and(|parent| parent.state.load().is_stopping())
    }

    /// The scope around: where its future was opened, or where it has moved to.
    pub(crate) fn parent(&self) -> Option<Arc<Node>> {
        if self.state.load().is_moved() {
            if let Some(moved_to) = &self.links.lock().moved_to {
                return Some(Arc::clone(moved_to));
            }
        }
        self.parent.clone()
    }

    pub(crate) fn reason(&self) -> Option<Reason> {
        self.links.lock().reason.clone()
    }

    /// Why it is cancelled, or will be as soon as the walk of a request above arrives here.
    pub(crate) fn reason_here_or_above(&self) -> Option<Reason> {
        self.reason().or_else(|| self.cut_off(|node| node.reason().map(|reason| reason.inherited()))?)
    }

    /// Keeps the first reason, and a few later ones.
    pub(crate) fn keep_reason(links: &mut Links, reason: Reason) {
        if links.reason.is_none() {
            links.reason = Some(reason);
        } else if links.later.len() < LATER_REASONS {
            links.later.push(reason);
        } else {
            links.dropped_reasons += 1;
        }
    }

    /// A cancel that would change nothing is counted as a reason that was not kept.
    pub(crate) fn overlooks_reason(&self) -> bool {
        if !self.state.load().is_cancelled() {
            return false;
        }
        let mut links = self.links.lock();
        let full = links.later.len() == LATER_REASONS;
        links.dropped_reasons += u64::from(full);
        full
    }

    /// The earliest deadline that holds here: the scope's own and those above it, up to a shield.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let mut earliest: Option<Instant> = None;
        let _: Option<()> = self.up(|node| {
            let own = node.links.lock().deadline.at();
            earliest = earliest.into_iter().chain(own).min();
            node.state.load().is_shielded().then_some(())
        });
        earliest
    }

    /// The timer half of the host, kept by the root. A scope keeps the host that it was opened on, wherever its future goes.
    pub(crate) fn host(&self) -> Option<&dyn AnyHost> {
        let mut node = self;
        loop {
            if let Some(host) = &node.host {
                return Some(&**host);
            }
            node = node.parent.as_deref()?;
        }
    }

    pub(crate) fn live(&self) -> u64 {
        self.count.live()
    }

    /// The body has ended.
    pub(crate) fn close(self: &Arc<Node>) {
        if let Some(drained) = raw::close(self) {
            drain(drained);
        }
    }

    /// The body has ended, and its future asks: `true` if nobody was left, so that there is nothing to wait for and nobody to
    /// tell.
    pub(crate) fn close_own(self: &Arc<Node>) -> bool {
        raw::close(self).is_some()
    }

    /// Is it drained? If not, `waker` is woken when it is.
    pub(crate) fn poll_drained(&self, waker: &Waker) -> bool {
        let waker = waker.clone();
        let mut links = self.links.lock();
        let drained = links.drained;
        let older = if drained { Some(waker) } else { links.joiner.replace(waker) };
        drop(links);
        drop(older);
        drained
    }

    /// The scope's own row has been made.
    pub(crate) fn settle_at(&self, table: Arc<Table>, id: RowId) {
        let older = self.links.lock().home.replace((table, id));
        drop(older);
    }

    /// Lists a suspended member, or refreshes its entry. Safe to call for a member that is listed.
    pub(crate) fn list(&self, listing: &Cell<Listing>, waker: &Waker, table: Option<&Arc<Table>>, is_job: bool) {
        let known = listing.get();
        if known.is_current(waker, table.is_some()) && !(known.before_cancel() && self.state.load().is_cancelled()) {
            return;
        }
        let entry = Listed { waker: Some(waker.clone()), table: table.cloned(), is_job };
        let mut links = self.links.lock();
        links.has_tables |= table.is_some();
        let cancelled = self.state.load().is_cancelled();
        let older = match known.key(cancelled) {
            Some(key) => {
                let slot = &mut links.members[key];
                let table = entry.table.or_else(|| slot.table.take());
                Some(std::mem::replace(slot, Listed { table, ..entry }))
            }
            None => {
                let key = links.members.insert(entry);
                listing.set(known.at(key, cancelled));
                None
            }
        };
        listing.set(listing.get().with(waker, table.is_some()));
        drop(links);
        drop(older);
    }

    /// Takes a member off the list; gives its table, if the entry had one.
    #[inline]
    pub(crate) fn unlist(&self, listing: Listing) -> Option<Arc<Table>> {
        if listing.is_listed() { self.unlist_entry(listing) } else { None }
    }

    fn unlist_entry(&self, listing: Listing) -> Option<Arc<Table>> {
        // A cancel takes the whole list: what was listed before it is gone, and nobody's lock is needed to know it.
        if listing.before_cancel() && self.state.load().is_cancelled() {
            return None;
        }
        let mut links = self.links.lock();
        let cancelled = self.state.load().is_cancelled();
        let entry = listing.key(cancelled).map(|key| links.members.remove(key))?;
        drop(links);
        drop(entry.waker);
        entry.table
    }

    /// An error of the body or a child.
    pub(crate) fn fail<E: Send + 'static>(&self, error: E) {
        let mut links = self.links.lock();
        let failures = links.failures.get_or_insert_with(|| Box::new(Vec::<E>::new()));
        let foreign = match failures.downcast_mut::<Vec<E>>() {
            Some(failures) => {
                failures.push(error);
                None
            }
            None => Some(error),
        };
        drop(links);
        debug_assert!(foreign.is_none(), "a scope has one error type");
    }

    /// The panic of the body or a child: the first payload is kept for the scope's exit, later ones are dropped (the panic
    /// hook has reported them).
    pub(crate) fn keep_panic(&self, payload: Box<dyn Any + Send>) {
        let mut links = self.links.lock();
        let surplus = if links.panic.is_none() {
            links.panic = Some(payload);
            None
        } else {
            Some(payload)
        };
        drop(links);
        drop_quietly(surplus);
    }
}

impl Node {
    /// What the node was opened with, for its drop.
    pub(crate) fn strip(&mut self) -> impl Sized + use<> {
        (self.values.take(), self.name.take(), self.limit.take(), self.host.take(), self.parent.take())
    }

    /// The counted references to what is above: one, and for a moved scope a second one.
    fn take_parent(&mut self, moved_to: &mut Vec<Arc<Node>>) -> Option<Arc<Node>> {
        if self.state.load().is_moved() {
            moved_to.extend(self.links.lock().moved_to.take());
        }
        self.parent.take()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let mut moved_to = Vec::new();
        let mut next = self.take_parent(&mut moved_to).or_else(|| moved_to.pop());
        if let Some(values) = self.values.take() {
            // Destructors of a user; the chain above is held until they are done.
            drop_quietly(values);
        }
        while let Some(parent) = next {
            next = Arc::into_inner(parent).and_then(|mut parent| parent.take_parent(&mut moved_to));
            next = next.or_else(|| moved_to.pop());
        }
    }
}

/// Drops what may panic while it drops: a panic's payload. Its own panic has nowhere to go.
pub(crate) fn drop_quietly<T>(value: T) {
    if let Err(payload) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(value))) {
        // A payload whose drop panics again and again is leaked.
        std::mem::forget(payload);
    }
}
