//! `shield`: code that goes on while the scope around it is cancelled, for as long as its budget lasts.

use std::cell::RefCell;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;

use crate::asking;
use crate::frame::{Kind, RowCell};
use crate::raw;

pin_project! {
    /// The future of [`shield`] and [`shield_unbounded`].
    #[must_use = "futures do nothing unless they are polled"]
    pub struct Shield<F> {
        // The inside is dropped before the row, so that rows inside find theirs above.
        #[pin]
        future: F,
        row: RowCell,
        budget: Option<Duration>,
        site: &'static Location<'static>,
    }
}

/// Protects `future` from a cancel that comes from outside, for at most `budget` after the cancel has arrived.
///
/// A cancel of a scope *inside* the shield works as ever. When the budget is used up, the shield protects nothing any
/// more: the future is dropped at its next suspension. A [kill](crate::ScopeHandle::kill) uses it up at once. Leaving the
/// shield is not a cancellation point; the next await after it is.
///
/// # Cancel safety
///
/// A boundary: it holds back the drop of the code around it until what is open inside has ended.
/// If the task is cut, the future goes on until it ends or the budget does.
///
/// ```
/// use std::time::Duration;
/// # async fn commit() {}
/// # async fn work() {
/// // The transaction is finished even if the request is cancelled meanwhile.
/// ramus_scope::shield(Duration::from_secs(1), commit()).await;
/// # }
/// ```
#[track_caller]
pub fn shield<F: Future>(budget: Duration, future: F) -> Shield<F> {
    Shield { future, row: RefCell::new(None), budget: Some(budget), site: Location::caller() }
}

/// A [`shield`] without a bound. A future that never ends in it keeps its scope, and whoever waits for that, for ever.
///
/// # Cancel safety
///
/// A boundary: it holds back the drop of the code around it until what is open inside has ended.
/// If the task is cut, the future goes on until it ends.
///
/// ```
/// # async fn commit() {}
/// # async fn work() {
/// ramus_scope::shield_unbounded(commit()).await;
/// # }
/// ```
#[track_caller]
pub fn shield_unbounded<F: Future>(future: F) -> Shield<F> {
    Shield { future, row: RefCell::new(None), budget: None, site: Location::caller() }
}

impl<F: Future> Future for Shield<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let waker = cx.waker();
        let kind = Kind::Shield { row: this.row, waker, budget: *this.budget, site: this.site };
        let answer = raw::enter(kind, |frame| {
            frame.polled();
            let asking = asking::waker(frame, this.row, waker);
            let answer = this.future.poll(&mut Context::from_waker(asking.as_ref().unwrap_or(waker)));
            if answer.is_pending() && frame.is_rooted() {
                frame.place();
                if raw::parent(frame).is_some_and(|parent| parent.is_cut()) {
                    // If the cancel came before the row was there, its budget starts now.
                    if let Some(row) = &*this.row.borrow() {
                        crate::walk::arm_shield(row);
                    }
                }
            }
            answer
        });
        if answer.is_ready() {
            let row = this.row.take();
            drop(row);
        }
        answer
    }
}
