//! What code can ask about the frame that it is being polled in.

use crate::frame::Frame;
use crate::raw;
use crate::reason::Reason;

/// Is the code that is being polled on this thread cut: cancelled, and not protected by a shield?
///
/// Leaf futures ask it first and stay pending, without any effect, when it is so. Loops that compute ask it through the
/// runtime's `is_cancelled`. Outside any task and scope it is `false`.
///
/// ```
/// assert!(!ramus_scope::is_cut());
/// ```
#[inline]
pub fn is_cut() -> bool {
    raw::current(|frame| frame.is_some_and(Frame::is_cut))
}

/// Why the code that is being polled on this thread is cut; `None` if it is not.
///
/// ```
/// assert!(ramus_scope::cut_reason().is_none());
/// ```
pub fn cut_reason() -> Option<Reason> {
    raw::current(|frame| frame.filter(|frame| frame.is_cut()).map(Frame::reason))
}

/// Is a task, a scope or another boundary being polled on this thread? Whoever blocks there keeps it from its end.
///
/// ```
/// assert!(!ramus_scope::is_polling());
/// ```
pub fn is_polling() -> bool {
    raw::current(|frame| frame.is_some())
}
