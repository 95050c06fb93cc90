//! Wakers of a boundary that is polled in a frame that is cut: a wake asks for its poll.
//!
//! There a boundary holds back the drop of the frame, and code that keeps it without polling it must not hold the frame
//! for ever: it counts as dropped once it was woken and its task came to rest without polling it. A walk of a cancel asks
//! the rows that it meets by itself; what is woken by something else later is asked by this.

use std::task::{Wake, Waker};

use crate::frame::{Frame, Kind, RowCell};
use crate::raw;
use crate::sync::Arc;
use crate::table::{RowId, Table};
use crate::walk;

struct Asking {
    table: Arc<Table>,
    id: RowId,
    inner: Waker,
    /// If the boundary is kept by something that has ended, `inner` wakes nobody.
    outermost: Waker,
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
        let around = self.table.begin_asking(self.id);
        let _asked = around.is_some().then(|| Asked(&self.table));
        walk::contain(|| self.inner.wake_by_ref());
        if let Some(around) = around {
            walk::wake(around);
            walk::contain(|| self.outermost.wake_by_ref());
        }
    }
}

impl Frame<'_> {
    /// Has it and the frames around it polled again.
    pub(crate) fn wake(&self) {
        let mut frame = Some(self);
        while let Some(at) = frame {
            walk::contain(|| at.waker().wake_by_ref());
            frame = raw::parent(at);
        }
    }

    /// The waker of the frame that has no other around it.
    pub(crate) fn outermost_waker(&self) -> &Waker {
        let mut frame = self;
        while let Some(parent) = raw::parent(frame) {
            frame = parent;
        }
        frame.waker()
    }

    fn waker(&self) -> &Waker {
        match &self.kind {
            Kind::Task { waker, .. }
            | Kind::Body { waker, .. }
            | Kind::Shield { waker, .. }
            | Kind::Catch { waker, .. }
            | Kind::CutOn { waker, .. }
            | Kind::Finalizer { waker, .. } => waker,
        }
    }
}

/// What the inside of the boundary of `frame` is polled with, if that is not `waker` itself.
pub(crate) fn waker(frame: &Frame<'_>, row: &RowCell, waker: &Waker) -> Option<Waker> {
    let row = row.borrow();
    let row = row.as_ref().filter(|_| raw::parent(frame).is_some_and(Frame::is_cut))?;
    let asking = Asking {
        table: Arc::clone(&row.table),
        id: row.id,
        inner: waker.clone(),
        outermost: frame.outermost_waker().clone(),
    };
    Some(Waker::from(Arc::new(asking)))
}
