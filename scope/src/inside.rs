//! Polling what is inside a frame that may be cut.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Wake, Waker};

use crate::frame::{Frame, Place};
use crate::sync::{Arc, AtomicU8, Ordering};

/// What the poll of a frame's inside came to.
pub(crate) enum Inside<T> {
    Ready(T),
    Pending,
    /// The frame is cut and nothing inside it holds: the future is to be dropped.
    Drop,
}

/// Sees whether a poll leaves a wake behind: whether the frame comes to rest.
struct Rest {
    inner: Waker,
    woken: AtomicU8,
}

impl Wake for Rest {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Ordering: [inside:W1] Release: pairs with L1.
        self.woken.store(1, Ordering::Release);
        self.inner.wake_by_ref();
    }
}

/// Polls the inside of `frame`, and says whether it is to be dropped.
#[inline]
pub(crate) fn poll_inside<T>(
    frame: &Frame<'_>,
    waker: &Waker,
    poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
) -> Inside<T> {
    poll_seen(frame, frame.is_cut(), waker, poll)
}

/// As [`poll_inside`], for whoever has just seen whether `frame` `is_cut`.
#[inline]
pub(crate) fn poll_seen<T>(
    frame: &Frame<'_>,
    is_cut: bool,
    waker: &Waker,
    poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
) -> Inside<T> {
    let held = if is_cut { held_place(frame) } else { None };
    let polled = match held {
        None => poll(&mut Context::from_waker(waker)),
        Some(place) => poll_held(&place, waker, poll),
    };
    match polled {
        Poll::Ready(value) => Inside::Ready(value),
        Poll::Pending => settle(frame),
    }
}

#[cold]
fn held_place(frame: &Frame<'_>) -> Option<Place> {
    frame.known_place().filter(|place| place.table.is_held(place.key))
}

/// Only in a frame that is cut and held: did what is inside come to rest without polling a boundary that it was asked to
/// poll? Then that boundary is not polled any more and must not hold for ever.
#[cold]
fn poll_held<T>(place: &Place, waker: &Waker, poll: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
    let epoch = place.table.begin_cut_poll(waker);
    let rest = Arc::new(Rest { inner: waker.clone(), woken: AtomicU8::new(0) });
    let resting = Waker::from(Arc::clone(&rest));
    let polled = poll(&mut Context::from_waker(&resting));
    // Ordering: [inside:L1] Acquire: pairs with W1.
    if let Some(epoch) = epoch.filter(|_| polled.is_pending() && rest.woken.load(Ordering::Acquire) == 0) {
        place.table.abandon(place.key, epoch);
    }
    polled
}

/// Whether the pending inside of `frame` is kept.
#[inline]
pub(crate) fn settle<T>(frame: &Frame<'_>) -> Inside<T> {
    if frame.is_cut() && !frame.is_held() { Inside::Drop } else { Inside::Pending }
}

/// The payload of a panic.
pub(crate) type Payload = Box<dyn Any + Send>;

/// Polls `future`; a panic is a value.
pub(crate) fn poll_caught<F: Future>(
    future: Pin<&mut Option<F>>,
    cx: &mut Context<'_>,
) -> Poll<Result<F::Output, Payload>> {
    let Some(future) = future.as_pin_mut() else { unreachable!("polled after it ended") };
    match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
        Ok(Poll::Ready(value)) => Poll::Ready(Ok(value)),
        Ok(Poll::Pending) => Poll::Pending,
        Err(payload) => Poll::Ready(Err(payload)),
    }
}

/// Drops the future in its place; a panic of a destructor is a value (D23).
pub(crate) fn drop_caught<F>(mut future: Pin<&mut Option<F>>) -> Result<(), Payload> {
    catch_unwind(AssertUnwindSafe(|| future.set(None)))
}
