//! Wakers of a boundary that is polled in a frame that is cut: a wake asks for its poll.
//!
//! There a boundary holds back the drop of the frame, and code that keeps it without polling it must not hold the frame
//! for ever: it counts as dropped once it was woken and its task came to rest without polling it. A walk of a cancel asks
//! the rows that it meets by itself; what is woken by something else later is asked by this.

use std::task::{Wake, Waker};

use crate::frame::{Frame, RowCell};
use crate::raw;
use crate::sync::Arc;
use crate::table::{RowId, Table};
use crate::walk;

struct Asking {
    table: Arc<Table>,
    id: RowId,
    inner: Waker,
}

/// Whoever was polled while the row was asked is polled again, also if the waker panics.
struct Asked<'a>(&'a Table);

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        walk::wake(self.0.asked());
    }
}

impl Wake for Asking {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let _asked = self.table.begin_asking(self.id).then(|| Asked(&self.table));
        self.inner.wake_by_ref();
    }
}

/// What the inside of the boundary of `frame` is polled with, if that is not `waker` itself.
pub(crate) fn waker(frame: &Frame<'_>, row: &RowCell, waker: &Waker) -> Option<Waker> {
    let row = row.borrow();
    let row = row.as_ref().filter(|_| raw::parent(frame).is_some_and(Frame::is_cut))?;
    let asking = Asking { table: Arc::clone(&row.table), id: row.id, inner: waker.clone() };
    Some(Waker::from(Arc::new(asking)))
}
