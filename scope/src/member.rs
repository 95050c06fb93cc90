//! The membership of a future in a scope.
//!
//! | state | seat | listed | polled | ends by |
//! |---|---|---|---|---|
//! | new | counted | no | no | first poll; a cancel drops the future unpolled (D3), unless that poll is guaranteed |
//! | running | counted | maybe | being polled | `Ready`, a panic, or a suspension in a cut frame |
//! | suspended | counted | yes | yes | as above, at a later poll |
//! | ended | given back | no | – | – |
//! | refused | none | no | never | its first poll, which only answers |
//!
//! A member is listed when it first suspends: one that ends in its first poll never touches the list.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use pin_project_lite::pin_project;

use crate::error::{JoinError, panic_message};
use crate::frame::{Frame, Kind};
use crate::inside::{self, Inside, Payload};
use crate::raw::{self, Seat};
use crate::reason::{Reason, ReasonKind};
use crate::sync::Arc;
use crate::table::BASE_ROW;
use crate::task_cancel::TaskCancel;
use crate::tree::Policy;
use crate::{completions, stray, walk};

/// Where a member stands in its scope's list, and with which waker. 16 bytes, with two flags of the member's own in the
/// room that is left.
#[derive(Clone, Copy)]
pub(crate) struct Listing {
    key: u32,
    /// The future was polled.
    started: bool,
    /// Listed after the scope was cancelled. A cancel takes the whole list, so an older entry is gone.
    after_cancel: bool,
    has_table: bool,
    /// Its first poll comes whether the scope is cancelled or not.
    guaranteed: bool,
    /// The waker of the entry, told by its two words in one. The entry keeps it alive, so they cannot be reused.
    waker: usize,
}

const UNLISTED: u32 = u32::MAX;

/// The two words of a waker in one. Two wakers that are alive share it only if their data are as far apart as the halves
/// of a word turned: many times the size of a program.
fn words(waker: &Waker) -> usize {
    waker.data().addr() ^ std::ptr::from_ref(waker.vtable()).addr().rotate_left(usize::BITS / 2)
}

impl Listing {
    pub(crate) const NONE: Listing =
        Listing { key: UNLISTED, started: false, after_cancel: false, has_table: false, guaranteed: false, waker: 0 };

    pub(crate) fn at(self, key: usize, after_cancel: bool) -> Listing {
        debug_assert!(key < UNLISTED as usize, "fewer members than that fit into memory");
        Listing { key: key as u32, after_cancel, has_table: false, ..self }
    }

    fn start(listing: &Cell<Listing>) {
        listing.set(Listing { started: true, ..listing.get() });
    }

    /// The future was polled, but nothing of its user's code ran.
    fn unstart(listing: &Cell<Listing>) {
        listing.set(Listing { started: false, ..listing.get() });
    }

    pub(crate) fn with(self, waker: &Waker, has_table: bool) -> Listing {
        Listing { waker: words(waker), has_table: self.has_table || has_table, ..self }
    }

    pub(crate) fn is_listed(self) -> bool {
        self.key != UNLISTED
    }

    pub(crate) fn is_current(self, waker: &Waker, needs_table: bool) -> bool {
        self.is_listed() && self.waker == words(waker) && (self.has_table || !needs_table)
    }

    pub(crate) fn before_cancel(self) -> bool {
        self.is_listed() && !self.after_cancel
    }

    /// The key of the entry, if it is still there.
    pub(crate) fn key(self, cancelled: bool) -> Option<usize> {
        (self.is_listed() && self.after_cancel == cancelled).then_some(self.key as usize)
    }
}

pin_project! {
    /// A future with its place in a scope. A [`Host`](crate::Host) runs it as a task: in a task cell of its own
    /// ([`poll_task`](Member::poll_task)), or on any executor ([`into_future`](Member::into_future)).
    ///
    /// Dropping a member that has not ended drops the future and ends the membership.
    #[must_use = "a member does nothing unless it is polled"]
    pub struct Member<F> {
        #[pin]
        future: Option<F>,
        standing: Standing,
    }

    impl<F> PinnedDrop for Member<F> {
        fn drop(this: Pin<&mut Self>) {
            this.quit(None);
        }
    }
}

/// The rows of the table above, as far as they differ in what they keep.
enum Standing {
    Seated {
        seat: Seat,
        listing: Cell<Listing>,
    },
    /// Refused for a reason, or ended. One variant, so that the null of the seat's pointer tells the two apart from it.
    Away(Option<Reason>),
}

impl Seat {
    /// A member panicked: the siblings are cancelled, or it stays with the handle.
    pub(crate) fn panicked(&self, payload: Payload) -> JoinError {
        let message = panic_message(&*payload);
        match self.policy {
            Policy::FailFast => {
                self.keep_panic(payload);
                walk::cancel_for(&self.node(), ReasonKind::SiblingFailed, self.site);
                JoinError::panicked(message)
            }
            Policy::Isolate => JoinError::isolated(message, payload),
        }
    }

    /// A member was cut by its scope.
    pub(crate) fn cut(&self, started: bool) -> JoinError {
        self.state.mark_cut();
        JoinError::cancelled(self.reason().unwrap_or_else(|| ReasonKind::Parent.into()), started)
    }
}

impl<F> Member<F> {
    /// Drops a future that has not ended. Its table is in its entry, until a cancel takes that; `cancel`, if known, has it too.
    fn quit(self: Pin<&mut Self>, cancel: Option<&TaskCancel>) {
        let mut this = self.project();
        let Standing::Seated { seat, listing } = this.standing else { return };
        if this.future.is_some() && seat.state.load().is_cancelled() {
            seat.state.mark_cut();
        }
        if let Err(payload) = inside::drop_caught(this.future.as_mut()) {
            let _ = seat.panicked(payload);
        }
        let listed = seat.unlist(listing.replace(Listing::NONE));
        if let Some(table) = cancel.and_then(TaskCancel::take_table).or(listed) {
            stray::frame_ended(&table, BASE_ROW);
        }
    }

    pub(crate) fn new(seat: Seat, future: F) -> Member<F> {
        Member { future: Some(future), standing: Standing::Seated { seat, listing: Cell::new(Listing::NONE) } }
    }

    /// A cancel does not keep it from its first poll.
    pub(crate) fn guaranteed(mut self) -> Member<F> {
        if let Standing::Seated { listing, .. } = &mut self.standing {
            let known = listing.get_mut();
            *known = Listing { guaranteed: true, ..*known };
        }
        self
    }

    /// Its future was polled before it became a member. If it `held` a boundary open then, a cancel does not keep it from
    /// the poll in which that finds its new place.
    pub(crate) fn begun(mut self, held: bool) -> Member<F> {
        if let Standing::Seated { listing, .. } = &mut self.standing {
            let known = listing.get_mut();
            *known = Listing { started: !held, guaranteed: held, ..*known };
        }
        self
    }

    /// True if the scope did not admit it: its first poll drops the future and answers. It keeps nothing open, so a host
    /// that may stop running tasks polls it at once.
    ///
    /// ```
    /// use ramus_scope::{Member, ReasonKind};
    ///
    /// let member = Member::refused(ReasonKind::Shutdown.into(), async {});
    /// assert!(member.is_refused());
    /// ```
    pub fn is_refused(&self) -> bool {
        matches!(self.standing, Standing::Away(Some(_)))
    }

    /// A member of nothing, for a host that cannot run it any more: its first poll drops the future and answers
    /// "cancelled" with `reason`.
    pub fn refused(reason: Reason, future: F) -> Member<F> {
        Member { future: Some(future), standing: Standing::Away(Some(reason)) }
    }

    /// Ends the membership after the task has answered. A host calls it once the result is where handles find it; a host
    /// that does not call it drops the member, which does the same.
    pub fn end(self: Pin<&mut Self>) {
        drop(self.take_place());
    }

    /// Takes the place in the scope's count out of a member that has answered: dropping it ends the membership.
    pub fn take_place(self: Pin<&mut Self>) -> Option<Place> {
        let standing = self.project().standing;
        match std::mem::replace(standing, Standing::Away(None)) {
            Standing::Seated { seat, .. } => Some(Place(seat)),
            Standing::Away(_) => None,
        }
    }
}

/// The place of an ended member; dropping it ends the membership.
pub struct Place(#[expect(dead_code, reason = "held for its drop")] Seat);

impl<F: Future> Member<F> {
    /// Polls the future as a task with `cancel` as its own cancel state.
    ///
    /// Panics of the future are answered as an error. In a cut frame the future is dropped: before the poll if it never
    /// started or nothing inside it holds, else at the first suspension at which nothing does. The future has been
    /// dropped when the answer is there.
    ///
    /// ```
    /// use std::pin::pin;
    /// use std::task::{Context, Poll, Waker};
    /// use ramus_scope::{Member, ReasonKind, TaskCancel};
    ///
    /// let mut member = pin!(Member::refused(ReasonKind::Shutdown.into(), async { 1 }));
    /// let cancel = TaskCancel::new();
    /// let mut cx = Context::from_waker(Waker::noop());
    /// let Poll::Ready(Err(error)) = member.as_mut().poll_task(&mut cx, &cancel) else { panic!() };
    /// assert!(error.is_cancelled() && error.never_started());
    /// ```
    ///
    /// # Panics
    ///
    /// If it is polled again after it answered.
    pub fn poll_task(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        cancel: &TaskCancel,
    ) -> Poll<Result<F::Output, JoinError>> {
        self.poll_for(cx, cancel, true)
    }

    /// As [`poll_task`](Member::poll_task), and says whether anybody `is_there` to look at the answer. If not, and the scope has
    /// cut the task, the error does not say why: whoever asks for that writes to a line that all members share.
    ///
    /// ```
    /// use std::pin::pin;
    /// use std::task::{Context, Poll, Waker};
    /// use ramus_scope::{Member, ReasonKind, TaskCancel};
    ///
    /// let mut member = pin!(Member::refused(ReasonKind::Shutdown.into(), async { 1 }));
    /// let cancel = TaskCancel::new();
    /// let mut cx = Context::from_waker(Waker::noop());
    /// let Poll::Ready(Err(error)) = member.as_mut().poll_for(&mut cx, &cancel, false) else { panic!() };
    /// assert!(error.is_cancelled());
    /// ```
    ///
    /// # Panics
    ///
    /// If it is polled again after it answered.
    pub fn poll_for(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        cancel: &TaskCancel,
        is_there: bool,
    ) -> Poll<Result<F::Output, JoinError>> {
        let mut this = self.project();
        let (seat, listing) = match this.standing {
            Standing::Seated { seat, listing } => (&*seat, &*listing),
            Standing::Away(reason) => {
                let Some(reason) = reason.take() else { panic!("a member was polled after it ended") };
                // Nothing of it was polled; a destructor that panics has nobody else to tell.
                return Poll::Ready(Err(match inside::drop_caught(this.future) {
                    Ok(()) => JoinError::cancelled(reason, false),
                    Err(payload) => JoinError::isolated(panic_message(&*payload), payload),
                }));
            }
        };
        completions::switch(seat);
        let failed = Cell::new(false);
        // `poll_inside` may hand another waker to the inside, so the frame keeps the task's.
        let waker = cx.waker();
        let kind = Kind::Task { seat, cancel, listing, waker, failed: &failed };
        let ended = raw::enter(kind, |frame| {
            let known = listing.get();
            let Listing { started, guaranteed, .. } = known;
            let is_due = guaranteed && !started;
            let is_cut = frame.is_cut();
            let polled = if is_cut && !is_due && (!started || !frame.is_held()) {
                Inside::Drop
            } else {
                Listing::start(listing);
                inside::poll_seen(frame, is_cut, waker, |cx| inside::poll_caught(this.future.as_mut(), cx))
            };
            let polled = match polled {
                Inside::Pending if failed.get() => Inside::Drop,
                // Listed whole already: a cancel that comes now meets the entry.
                Inside::Pending
                    if listing.get().is_current(waker, cancel.may_have_table())
                        && !seat.state.load().is_cancelled() =>
                {
                    Inside::Pending
                }
                Inside::Pending => {
                    let table = cancel.known_table();
                    seat.list(listing, waker, table.as_ref(), false);
                    // A cancel takes the list, and wakes the waker that it finds there: perhaps that of an earlier poll.
                    let is_missed = known.before_cancel() && !known.is_current(waker, false);
                    if let Some(table) = table.as_ref().filter(|_| is_missed && seat.state.load().is_cancelled()) {
                        walk::cancel_inside(table, BASE_ROW, &frame.reason().inherited());
                        waker.wake_by_ref();
                    }
                    // A cancel that came before the listing did not meet the entry.
                    inside::settle(frame)
                }
                other => other,
            };
            if matches!(polled, Inside::Pending) {
                return None;
            }
            let dropped = inside::drop_caught(this.future.as_mut());
            Some(match (polled, dropped) {
                (Inside::Ready(Ok(value)), Ok(())) => Ok(value),
                (Inside::Ready(Err(payload)), _) | (_, Err(payload)) => Err(seat.panicked(payload)),
                (_, Ok(())) if failed.get() => Err(JoinError::failed()),
                (_, Ok(())) => Err(match cancel.reason() {
                    Some(reason) => JoinError::cancelled(reason, listing.get().started),
                    None if is_there => seat.cut(listing.get().started),
                    None => {
                        seat.state.mark_cut();
                        JoinError::unobserved(listing.get().started)
                    }
                }),
            })
        });
        match ended {
            None => Poll::Pending,
            Some(result) => {
                if let Some(table) = cancel.take_table() {
                    stray::frame_ended(&table, BASE_ROW);
                }
                drop(seat.unlist(listing.replace(Listing::NONE)));
                Poll::Ready(result)
            }
        }
    }

    /// The member as a future, for an executor without task cells of its own.
    ///
    /// ```
    /// # use ramus_scope::{Host, ScopeHandle};
    /// # async fn example<H: Host>(scope: &ScopeHandle<H>) {
    /// let Ok(member) = scope.member(async { 42 }) else { return };
    /// match member.into_future().await {
    ///     Ok(value) => println!("{value}"),
    ///     Err(error) => eprintln!("{error}"),
    /// }
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Cancel safe to drop, but what was under way inside is lost with it: the future is dropped, and the
    /// membership ends.
    pub fn into_future(self) -> MemberFuture<F> {
        MemberFuture { member: self, cancel: Arc::new(TaskCancel::new()) }
    }
}

pin_project! {
    /// A [`Member`] as a future of its own. Made by [`Member::into_future`].
    #[must_use = "futures do nothing unless they are polled"]
    pub struct MemberFuture<F> {
        #[pin]
        member: Member<F>,
        cancel: Arc<TaskCancel>,
    }

    impl<F> PinnedDrop for MemberFuture<F> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            this.member.quit(Some(this.cancel));
        }
    }
}

impl<F> MemberFuture<F> {
    /// The cancel state of this task alone. After a `cancel` the task must be woken.
    ///
    /// ```
    /// use ramus_scope::{Member, ReasonKind};
    ///
    /// let future = Member::refused(ReasonKind::Shutdown.into(), async {}).into_future();
    /// assert!(future.task_cancel().cancel("not needed"));
    /// ```
    pub fn task_cancel(&self) -> &Arc<TaskCancel> {
        &self.cancel
    }
}

impl<F: Future> Future for MemberFuture<F> {
    type Output = Result<F::Output, JoinError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let answer = this.member.as_mut().poll_task(cx, this.cancel);
        if answer.is_ready() {
            this.member.end();
        }
        answer
    }
}

/// Says of the task being polled that nothing of its user's code has run, although it was polled: for a task that only
/// waits for its turn elsewhere, and is cut there. If it is cut in this poll, its handle answers so. Outside of a task's own
/// frame it does nothing.
///
/// ```
/// // Outside of any task:
/// ramus_scope::never_started();
/// ```
pub fn never_started() {
    raw::current(|frame| {
        if let Some(Frame { kind: Kind::Task { listing, .. }, .. }) = frame {
            Listing::unstart(listing);
        }
    });
}

/// Ends the task being polled as failed; its error has gone to its scope.
pub(crate) fn fail_task() {
    raw::current(|frame| {
        if let Some(Frame { kind: Kind::Task { failed, .. }, .. }) = frame {
            failed.set(true);
        }
    });
}
