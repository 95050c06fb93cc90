//! `CancelHandle`: the right to cancel one task, without its result.

use std::fmt;

use ramus_scope::Reason;

use super::cell::Grip;
use super::info::Id;
use crate::context;

/// Cancels one task, and knows whether it has ended; made by [`JoinHandle::cancel_handle`](super::JoinHandle::cancel_handle).
///
/// A clone is one count up. It keeps no more than the memory of the task's cell: neither the future nor its result.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let runtime = ramus::Runtime::new()?;
/// runtime.block_on(async {
///     let handle = ramus::spawn(std::future::pending::<()>());
///     let (first, second) = (handle.cancel_handle(), handle.cancel_handle());
///     assert!(first.cancel("enough"));
///     assert!(!second.cancel("the first reason stays"));
///     assert!(handle.await.unwrap_err().is_cancelled());
///     assert!(second.is_finished());
/// });
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct CancelHandle {
    grip: Grip,
}

impl CancelHandle {
    pub(super) fn new(grip: Grip) -> CancelHandle {
        CancelHandle { grip }
    }

    /// A wait for the task here would be one for itself (D39).
    pub(crate) fn waits_for_caller(&self) -> bool {
        self.grip.waits_for_caller()
    }

    /// Cancels the task alone, as [`JoinHandle::cancel`](super::JoinHandle::cancel).
    ///
    /// ```
    /// # fn stop(canceller: &ramus::task::CancelHandle) {
    /// if canceller.cancel("nobody needs it") {
    ///     println!("task {} is being cancelled", canceller.id());
    /// }
    /// # }
    /// ```
    #[track_caller]
    pub fn cancel(&self, reason: impl Into<Reason>) -> bool {
        let reason = reason.into();
        let _mark = context::cancelling();
        self.grip.cancel(reason)
    }

    /// True once the task has ended and been dropped.
    ///
    /// ```
    /// # fn look(canceller: &ramus::task::CancelHandle) {
    /// if canceller.is_finished() {
    ///     assert!(!canceller.cancel("too late"));
    /// }
    /// # }
    /// ```
    pub fn is_finished(&self) -> bool {
        self.grip.is_finished()
    }

    /// True if the task was cancelled through a handle of its own, whether or not it has ended since.
    ///
    /// ```
    /// # fn look(canceller: &ramus::task::CancelHandle) {
    /// canceller.cancel("enough");
    /// assert!(canceller.is_cancelled() || canceller.is_finished());
    /// # }
    /// ```
    pub fn is_cancelled(&self) -> bool {
        self.grip.is_cancelled()
    }

    /// The number of the task.
    ///
    /// ```
    /// # fn look(handle: &ramus::JoinHandle<()>) {
    /// assert_eq!(handle.cancel_handle().id(), handle.id());
    /// # }
    /// ```
    pub fn id(&self) -> Id {
        self.grip.id()
    }
}

impl fmt::Debug for CancelHandle {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("CancelHandle").field("id", &self.id()).field("finished", &self.is_finished()).finish()
    }
}
