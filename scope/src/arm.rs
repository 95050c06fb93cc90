//! `Arm`: a future in a frame of its own that whoever runs it can cut: the inside of a time-out, a competitor of a race.

use std::cell::RefCell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Poll, Waker};

use pin_project_lite::pin_project;

use crate::frame::{Frame, Kind, RowCell};
use crate::inside::{self, Inside, Payload};
use crate::raw;
use crate::reason::Reason;
use crate::tree::drop_quietly;
use crate::walk;

pin_project! {
    /// Gone: the future has ended and was dropped.
    pub(crate) struct Arm<F> {
        #[pin]
        future: Option<F>,
        row: RowCell,
    }
}

/// A reason for cutting an arm that starts in the code that is being polled.
pub(crate) fn reason_here(reason: impl Into<Reason>, site: &'static Location<'static>) -> Reason {
    let scope = raw::current(|frame| frame.and_then(Frame::scope)).map(|(node, _)| node);
    reason.into().at(site, scope.as_deref())
}

/// How an arm ended.
pub(crate) enum Ended<T> {
    Value(T),
    /// It was cut, has drained and was dropped.
    Cut,
    Panicked(Payload),
}

impl<F: Future> Arm<F> {
    pub(crate) fn new(future: F) -> Arm<F> {
        Arm { future: Some(future), row: RefCell::new(None) }
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.future.is_none()
    }

    /// Polls the future; `cut`: why its owner has cut it, if so. [`Inside::Drop`] comes from the owner's cut, or else from
    /// outside, and then the frame around drops the arm.
    pub(crate) fn poll(self: Pin<&mut Self>, waker: &Waker, cut: Option<&Reason>) -> Inside<F::Output> {
        let mut this = self.project();
        let inside = raw::enter(Kind::CutOn { row: this.row, waker, cut }, |frame| {
            frame.polled();
            // If the row has moved, what is open inside moves after it, when it is polled.
            if cut.is_some() && !frame.is_held_yet() {
                return Inside::Drop;
            }
            let inside = inside::poll_inside(frame, waker, |cx| match this.future.as_mut().as_pin_mut() {
                Some(future) => future.poll(cx),
                None => panic!("polled after it ended"),
            });
            if matches!(inside, Inside::Ready(_)) {
                this.future.set(None);
            }
            inside
        });
        if matches!(inside, Inside::Ready(_)) {
            drop(this.row.take());
        }
        inside
    }

    /// Cancels what is open inside. [`Inside::Drop`]: nothing holds, the future is to be dropped.
    pub(crate) fn cut(self: Pin<&mut Self>, waker: &Waker, reason: &Reason) -> Inside<F::Output> {
        let this = self.project();
        if let Some(row) = &*this.row.borrow() {
            walk::cancel_inside(&row.table, row.id, &reason.inherited());
        }
        raw::enter(Kind::CutOn { row: this.row, waker, cut: Some(reason) }, inside::settle)
    }

    /// Drops the future in its frame.
    pub(crate) fn remove(self: Pin<&mut Self>, waker: &Waker, reason: &Reason) {
        let mut this = self.project();
        raw::enter(Kind::CutOn { row: this.row, waker, cut: Some(reason) }, |_| this.future.set(None));
        drop(this.row.take());
    }

    /// As [`poll`](Arm::poll) for one of many: it ends by itself, a panic is a value, and a cut from outside is `Pending`.
    pub(crate) fn step(mut self: Pin<&mut Self>, waker: &Waker, cut: Option<&Reason>) -> Poll<Ended<F::Output>> {
        match catch_unwind(AssertUnwindSafe(|| self.as_mut().poll(waker, cut))) {
            Ok(Inside::Ready(value)) => Poll::Ready(Ended::Value(value)),
            Ok(Inside::Pending) => Poll::Pending,
            Ok(Inside::Drop) => match cut {
                Some(reason) => Poll::Ready(self.remove_caught(waker, reason)),
                None => Poll::Pending,
            },
            Err(payload) => {
                if let Err(second) = inside::drop_caught(self.project().future) {
                    drop_quietly(second);
                }
                Poll::Ready(Ended::Panicked(payload))
            }
        }
    }

    /// As [`cut`](Arm::cut) for one of many: if nothing holds, it ends at once.
    pub(crate) fn lose(mut self: Pin<&mut Self>, waker: &Waker, reason: &Reason) -> Poll<Ended<F::Output>> {
        match self.as_mut().cut(waker, reason) {
            Inside::Drop => Poll::Ready(self.remove_caught(waker, reason)),
            Inside::Pending | Inside::Ready(_) => Poll::Pending,
        }
    }

    fn remove_caught(self: Pin<&mut Self>, waker: &Waker, reason: &Reason) -> Ended<F::Output> {
        match catch_unwind(AssertUnwindSafe(|| self.remove(waker, reason))) {
            Ok(()) => Ended::Cut,
            Err(payload) => Ended::Panicked(payload),
        }
    }
}

/// The first panic of several arms; the others went to the panic hook only.
#[derive(Default)]
pub(crate) struct Fallout(Option<Payload>);

impl Fallout {
    pub(crate) fn keep(&mut self, payload: Payload) {
        match &self.0 {
            None => self.0 = Some(payload),
            Some(_) => drop_quietly(payload),
        }
    }

    /// Takes in how an arm ended that has lost: its value is of no use any more.
    pub(crate) fn absorb<T>(&mut self, ended: Ended<T>) {
        match ended {
            Ended::Cut => {}
            Ended::Panicked(payload) => self.keep(payload),
            Ended::Value(value) => self.discard(value),
        }
    }

    pub(crate) fn discard<T>(&mut self, value: T) {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(value))) {
            self.keep(payload);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Gives `value` back, or unwinds with the panic.
    pub(crate) fn resume_or<T>(&mut self, value: T) -> T {
        match self.0.take() {
            None => value,
            Some(payload) => {
                drop_quietly(value);
                resume_unwind(payload)
            }
        }
    }
}
