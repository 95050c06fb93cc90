//! What every leaf future of this crate does first.
//!
//! A leaf waits for something: a timer, a socket, a handle, a yield. Before it looks at what it waits for it calls
//! [`poll_enter`], which answers two questions at once:
//!
//! * Is the frame cut? Then the leaf is inert: `Pending`, no effect, no registration. The frame around it drops it.
//! * Is the budget of this poll used up? Then the task goes behind the others: it is woken at once and queued at the
//!   tail, so a loop over operations that are always ready still lets its neighbours run and still meets a cancel.

use std::task::{Context as TaskContext, Poll};

use crate::context;

/// Operations of leaves that one poll of a task may complete.
pub(crate) const BUDGET: u32 = 128;

/// Says whether a leaf may look at what it waits for.
///
/// `Pending` means: return `Pending` now, with nothing registered and nothing taken. Everything needed for a later poll
/// has been done: a cut frame drops the leaf, a task without budget has been woken.
///
/// The charge costs one operation of the budget unless it is dropped without [`Charge::made_progress`].
#[inline]
pub(crate) fn poll_enter(cx: &mut TaskContext<'_>) -> Poll<Charge> {
    if ramus_scope::is_cut() {
        return Poll::Pending;
    }
    poll_charge(cx)
}

/// The second question alone, for whoever has asked the first one for several leaves at once.
#[inline]
pub(crate) fn poll_charge(cx: &mut TaskContext<'_>) -> Poll<Charge> {
    if context::charge_budget() {
        Poll::Ready(Charge { refund: true })
    } else {
        context::wake_polled(cx.waker());
        Poll::Pending
    }
}

/// One operation taken from the budget of this poll; given back when dropped without progress.
#[derive(Debug)]
#[must_use = "a charge that is dropped at once is given back, and the budget never ends"]
pub(crate) struct Charge {
    refund: bool,
}

impl Charge {
    /// The operation completed: the charge is kept.
    #[inline]
    pub(crate) fn made_progress(mut self) {
        self.refund = false;
    }
}

impl Drop for Charge {
    #[inline]
    fn drop(&mut self) {
        if self.refund {
            context::refund_budget();
        }
    }
}
