//! A place in a scope for work that is no future: a job on a thread of its own.

use std::cell::Cell;
use std::task::Waker;

use crate::error::JoinError;
use crate::member::Listing;
use crate::raw::Seat;
use crate::reason::Reason;
use crate::sync::Arc;
use crate::tree::Node;

/// A member without a future: a job on a thread of its own. Dropping it ends the membership.
///
/// ```
/// # use ramus_scope::{Host, ScopeHandle};
/// # fn example<H: Host>(scope: &ScopeHandle<H>) {
/// if let Ok(membership) = scope.admit() {
///     std::thread::spawn(move || {
///         while !membership.is_cancelled() {
///             // ... a round of work ...
/// #           break;
///         }
///     }); // the scope waits until it is dropped
/// }
/// # }
/// ```
#[must_use = "dropping a membership ends it"]
pub struct Membership {
    listing: Listing,
    seat: Seat,
}

impl Membership {
    pub(crate) fn new(seat: Seat) -> Membership {
        Membership { listing: Listing::NONE, seat }
    }

    pub(crate) fn node(&self) -> Arc<Node> {
        self.seat.node()
    }

    /// Has `waker` woken when the scope is cancelled; at once if it is cancelled already.
    ///
    /// ```
    /// # use std::task::Waker;
    /// # use ramus_scope::{Host, ScopeHandle};
    /// # fn example<H: Host>(scope: &ScopeHandle<H>, waker: Waker) {
    /// if let Ok(mut membership) = scope.admit() {
    ///     membership.listen(&waker);
    /// }
    /// # }
    /// ```
    pub fn listen(&mut self, waker: &Waker) {
        let listing = Cell::new(self.listing);
        self.seat.list(&listing, waker, None, true);
        self.listing = listing.get();
        if self.seat.state.load().is_cancelled() {
            waker.wake_by_ref();
        }
    }

    /// Is the scope cancelled?
    pub fn is_cancelled(&self) -> bool {
        self.seat.is_cancelled()
    }

    /// Why the scope was cancelled.
    pub fn reason(&self) -> Option<Reason> {
        self.seat.reason()
    }

    /// Ends the membership of a job that panicked: its scope fails, and this error goes to the handle.
    pub fn panicked(self, payload: Box<dyn std::any::Any + Send>) -> JoinError {
        self.seat.panicked(payload)
    }

    /// Ends the membership of a job that was cut by its scope's cancel.
    pub fn cut(self, started: bool) -> JoinError {
        self.seat.cut(started)
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        drop(self.seat.unlist(self.listing));
    }
}
