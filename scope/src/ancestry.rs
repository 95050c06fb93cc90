//! Who waits for whom, seen from the code that is being polled.

use crate::frame::{Frame, Kind};
use crate::raw;
use crate::sync::Arc;
use crate::table::Table;
use crate::task_cancel::TaskCancel;
use crate::tree::Node;

impl Node {
    /// Is this scope, or one above it, open in the task of `table`?
    fn is_below(self: &Arc<Node>, table: &Arc<Table>) -> bool {
        let mut at = Some(Arc::clone(self));
        while let Some(node) = at {
            if node.links.lock().home.as_ref().is_some_and(|(home, _)| Arc::ptr_eq(home, table)) {
                return true;
            }
            at = node.parent();
        }
        false
    }
}

impl TaskCancel {
    /// Is the code that is being polled on this thread run by the task of this cancel, or inside a scope that the task has
    /// open? Then the task cannot end before this code does, and waiting for it here would be waiting for itself (D39).
    ///
    /// A host asks it when a handle of the task is about to wait for the first time. A task without an open scope costs one
    /// load.
    ///
    /// ```
    /// use ramus_scope::TaskCancel;
    ///
    /// // Outside of any task:
    /// assert!(!TaskCancel::new().is_around());
    /// ```
    pub fn is_around(&self) -> bool {
        let is_task = |frame: &Frame<'_>| match &frame.kind {
            Kind::Task { cancel, .. } => std::ptr::eq(*cancel, self),
            Kind::Body { .. }
            | Kind::Shield { .. }
            | Kind::Catch { .. }
            | Kind::CutOn { .. }
            | Kind::Finalizer { .. } => false,
        };
        raw::current(|innermost| {
            let mut at = innermost;
            while let Some(frame) = at {
                if is_task(frame) {
                    return true;
                }
                at = raw::parent(frame);
            }
            let Some((table, innermost)) = self.known_table().zip(innermost) else { return false };
            innermost.scope().is_some_and(|(node, _)| node.is_below(&table))
        })
    }
}
