//! Task limits: at most so many children of a scope run at once, the others stand in line.
//!
//! A slot is handed from the child that ends to the first in line, under one lock; it is free only while the line is empty.
//! So whoever comes later cannot pass, and whoever leaves with a slot that was handed to it hands it on (D40). A child takes
//! its place in the line when it is spawned, not when it is first polled.
//!
//! | a [`Slot`] is | its entry in the line | it becomes |
//! |---|---|---|
//! | waiting | there | held, when a slot is handed to it; gone, when it is dropped |
//! | handed over | taken out | held, at its next poll |
//! | held | none | handed on or free, when it is dropped |

use std::collections::BTreeMap;
use std::future::Future;
use std::num::NonZeroUsize;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use pin_project_lite::pin_project;

use crate::admit::{self, seat};
use crate::being_polled::is_cut;
use crate::error::Refused;
use crate::handle::ScopeHandle;
use crate::host::Host;
use crate::member::{self, Member};
use crate::scope::Builder;
use crate::sync::{Arc, Mutex};
use crate::tree::Node;
use crate::wait::WaitCancelled;
use crate::walk;

/// How many children of one scope may run at once, and who waits.
pub(crate) struct Limit {
    most: NonZeroUsize,
    line: Mutex<Line>,
}

struct Line {
    free: usize,
    /// Who waits, in the order of arrival, with a waker once it was polled.
    waiting: BTreeMap<u64, Option<Waker>>,
    next: u64,
}

impl Limit {
    pub(crate) fn new(most: NonZeroUsize) -> Arc<Limit> {
        let line = Line { free: most.get(), waiting: BTreeMap::new(), next: 0 };
        Arc::new(Limit { most, line: Mutex::new(line) })
    }

    /// A slot, or a place in the line.
    fn enter(self: &Arc<Limit>) -> Slot {
        let mut line = self.line.lock();
        let place = if line.free > 0 {
            line.free -= 1;
            None
        } else {
            let place = line.next;
            line.next += 1;
            line.waiting.insert(place, None);
            Some(place)
        };
        drop(line);
        Slot { limit: Arc::clone(self), place }
    }

    /// A slot, if one is free.
    pub(crate) fn try_enter(self: &Arc<Limit>) -> Option<Slot> {
        let mut line = self.line.lock();
        line.free = line.free.checked_sub(1)?;
        drop(line);
        Some(Slot { limit: Arc::clone(self), place: None })
    }
}

/// A child's right to run, or its place in the line.
pub(crate) struct Slot {
    limit: Arc<Limit>,
    /// `None`: it is held.
    place: Option<u64>,
}

impl Slot {
    /// Is it held? If not, `waker` is woken when it is.
    fn poll(&mut self, waker: &Waker) -> bool {
        let Some(place) = self.place else { return true };
        let waker = waker.clone();
        let mut line = self.limit.line.lock();
        let surplus = match line.waiting.get_mut(&place) {
            Some(entry) => entry.replace(waker),
            None => {
                self.place = None;
                Some(waker)
            }
        };
        drop(line);
        drop(surplus);
        self.place.is_none()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut line = self.limit.line.lock();
        let left = self.place.and_then(|place| line.waiting.remove(&place));
        let next = match &left {
            Some(_) => None,
            None => {
                let first = line.waiting.pop_first();
                line.free += usize::from(first.is_none());
                first.and_then(|(_, waker)| waker)
            }
        };
        drop(line);
        drop(left);
        walk::wake(next);
    }
}

pin_project! {
    /// A child of a scope with a task limit: its future is polled once it has a slot. Made by
    /// [`ScopeHandle::member_in_line`].
    ///
    /// The slot is given on after the future has been dropped.
    #[must_use = "futures do nothing unless they are polled"]
    pub struct Limited<F> {
        // Dropped before the slot.
        #[pin]
        future: F,
        slot: Option<Slot>,
    }
}

impl<F> Limited<F> {
    pub(crate) fn new(slot: Option<Slot>, future: F) -> Limited<F> {
        Limited { future, slot }
    }

    pub(crate) fn in_line(limit: &Arc<Limit>, future: F) -> Limited<F> {
        Limited::new(Some(limit.enter()), future)
    }
}

impl<F: Future> Future for Limited<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        if let Some(slot) = this.slot.as_mut().filter(|slot| slot.place.is_some()) {
            // In a cut frame only a guaranteed child comes here: it has its slot, or it was not started.
            if !slot.poll(cx.waker()) {
                member::never_started();
                return Poll::Pending;
            }
        }
        this.future.poll(cx)
    }
}

/// Waiting for a slot of a scope, from wherever. `None`: the scope was cancelled meanwhile.
struct WaitSlot {
    node: Arc<Node>,
    cancelled: WaitCancelled,
    slot: Option<Slot>,
}

impl WaitSlot {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Slot>> {
        if is_cut() {
            return Poll::Pending;
        }
        let Some(limit) = self.node.limit() else { return Poll::Ready(None) };
        if Pin::new(&mut self.cancelled).poll(cx).is_ready() {
            self.slot = None;
            return Poll::Ready(None);
        }
        if self.slot.get_or_insert_with(|| limit.enter()).poll(cx.waker()) {
            Poll::Ready(self.slot.take())
        } else {
            Poll::Pending
        }
    }
}

/// The future of [`ScopeHandle::spawn_when_free`].
#[must_use = "nothing is spawned unless it is awaited"]
pub struct SpawnWhenFree<'a, H, F> {
    scope: &'a ScopeHandle<H>,
    wait: WaitSlot,
    future: Option<F>,
    site: &'static Location<'static>,
}

// The future that waits to be spawned is never polled in here, so it may be moved.
impl<H, F> Unpin for SpawnWhenFree<'_, H, F> {}

impl<H, F> Future for SpawnWhenFree<'_, H, F>
where
    H: Host,
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    type Output = Result<H::JoinHandle<F::Output>, Refused<F>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Poll::Ready(slot) = self.wait.poll(cx) else { return Poll::Pending };
        let Some(future) = self.future.take() else { panic!("polled after it was ready") };
        let host = self.scope.host();
        Poll::Ready(match (seat(self.scope.node()), slot) {
            (Ok(seat), Some(slot)) => {
                Ok(host.spawn_from(Member::new(seat, Limited::new(Some(slot), future)), self.site))
            }
            (Ok(seat), None) => Ok(host.spawn_from(Member::new(seat, future), self.site)),
            (Err(reason), _) => Err(Refused::new(future, reason)),
        })
    }
}

impl Builder {
    /// At most `n` children of the scope run at once.
    ///
    /// A child that is spawned beyond that is a member at once, but it is polled for the first time when a slot is free:
    /// first come, first served. Cancelled while it waits, it is dropped unpolled, and its handle answers so
    /// ([`JoinError::never_started`](crate::JoinError::never_started)). A slot is free again when a child has ended and been
    /// dropped. [`offer`](crate::ScopeHandle::offer) hands the future back where there is no slot, and
    /// [`spawn_when_free`](crate::ScopeHandle::spawn_when_free) waits for one.
    ///
    /// What counts are the tasks spawned into this very scope: not its body, not those of scopes below it, and not blocking
    /// jobs, which have a limit of their own. A child that waits for a sibling that waits for a slot may wait for ever.
    ///
    /// ```
    /// use std::num::NonZeroUsize;
    /// use ramus_scope::{Builder, Host, Scope, ScopeError};
    ///
    /// const EIGHT: NonZeroUsize = NonZeroUsize::new(8).unwrap();
    ///
    /// async fn thumbnails<H: Host>(pictures: Vec<u32>) -> Result<(), ScopeError> {
    ///     Builder::new()
    ///         .task_limit(EIGHT)
    ///         .open(|s: Scope<H>| async move {
    ///             for picture in pictures {
    ///                 s.spawn(async move { println!("scaling {picture}") });
    ///             }
    ///             Ok(())
    ///         })
    ///         .await
    /// }
    /// ```
    pub fn task_limit(mut self, n: NonZeroUsize) -> Builder {
        self.limit = Some(n);
        self
    }
}

impl<H: Host> ScopeHandle<H> {
    /// How many children of the scope may run at once ([`Builder::task_limit`](crate::Builder::task_limit)); `None`: as
    /// many as there are.
    ///
    /// ```
    /// # fn example<H: ramus_scope::Host>(s: &ramus_scope::ScopeHandle<H>) {
    /// if let Some(limit) = s.task_limit() {
    ///     println!("at most {limit} at once");
    /// }
    /// # }
    /// ```
    pub fn task_limit(&self) -> Option<NonZeroUsize> {
        self.node().limit().map(|limit| limit.most)
    }

    /// Waits until the scope has a free slot, then spawns `future`: back-pressure for whoever makes the work. Slots go to
    /// whoever asked first, be it a child that was spawned and waits or a call of this.
    ///
    /// In a scope without a [task limit](crate::Builder::task_limit) it spawns at once.
    ///
    /// ```
    /// # async fn example<H: ramus_scope::Host>(s: &ramus_scope::ScopeHandle<H>, urls: Vec<String>) {
    /// for url in urls {
    ///     // Not all of the pages are asked for at once, nor are a million tasks made.
    ///     if s.spawn_when_free(async move { fetch(url).await }).await.is_err() {
    ///         break; // the scope was cancelled
    ///     }
    /// }
    /// # }
    /// # async fn fetch(_: String) {}
    /// ```
    ///
    /// # Errors
    ///
    /// [`Refused`] with the future, unpolled, if the scope is cancelled, also while this waits, or has ended.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it either completes or has no effect. Cut or dropped while it waits, the future is dropped unpolled and
    /// no slot is lost.
    #[track_caller]
    pub fn spawn_when_free<F>(&self, future: F) -> SpawnWhenFree<'_, H, F>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let node = Arc::clone(self.node());
        let wait = WaitSlot { cancelled: WaitCancelled::new(&node), node, slot: None };
        SpawnWhenFree { scope: self, wait, future: Some(future), site: Location::caller() }
    }

    /// As [`member`](ScopeHandle::member), for a host that spawns members itself: in a scope with a
    /// [task limit](crate::Builder::task_limit) the future stands in line for a slot.
    ///
    /// ```
    /// # fn example<H: ramus_scope::Host>(s: &ramus_scope::ScopeHandle<H>) {
    /// if let Ok(member) = s.member_in_line(async { 40 + 2 }) {
    ///     let _handle = s.host().spawn(member);
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Refused`] with the future, unpolled, if the scope is cancelled or has ended.
    pub fn member_in_line<F: Future>(&self, future: F) -> Result<Member<Limited<F>>, Refused<F>> {
        match seat(self.node()) {
            Ok(seat) => {
                let slot = self.node().limit().map(Limit::enter);
                Ok(Member::new(seat, Limited::new(slot, future)))
            }
            Err(reason) => Err(Refused::new(future, reason)),
        }
    }
}

/// `future` as a member of `node`, which stands in line for a slot of `limit`; or as one that only answers that it was
/// refused.
pub(crate) fn member_in_line<F>(node: &Arc<Node>, limit: &Arc<Limit>, future: F) -> Member<Limited<F>> {
    match seat(node) {
        Ok(seat) => Member::new(seat, Limited::in_line(limit, future)),
        Err(reason) => Member::refused(reason.unwrap_or_else(admit::ended), Limited::new(None, future)),
    }
}
