//! Who is admitted to a scope, and how it is counted.

use std::future::Future;

use crate::completions;
use crate::frame::{Frame, Kind};
use crate::host::Host;
use crate::limit::member_in_line;
use crate::member::Member;
use crate::membership::Membership;
use crate::raw::{self, Seat};
use crate::reason::Reason;
use crate::sync::Arc;
use crate::tree::Node;

/// Gives `f` the frame of the body of `node`'s scope, if that is being polled on this thread, in this task.
fn in_body<R>(node: &Arc<Node>, f: impl FnOnce(&Frame<'_>) -> R) -> Option<R> {
    raw::current(|frame| {
        let mut at = frame;
        while let Some(frame) = at {
            match &frame.kind {
                Kind::Body { node: body, .. } if Arc::ptr_eq(body, node) => return Some(f(frame)),
                Kind::Task { .. } => return None,
                Kind::Body { .. }
                | Kind::Shield { .. }
                | Kind::Catch { .. }
                | Kind::CutOn { .. }
                | Kind::Finalizer { .. } => {}
            }
            at = raw::parent(frame);
        }
        None
    })
}

/// True in the body of `node`'s scope.
fn is_owner(node: &Arc<Node>) -> bool {
    // The first spawn gives the scope its row, so that a cancel from above reaches what is spawned.
    in_body(node, |frame| frame.place()).is_some()
}

/// A scope that never suspended has no row, and no cancel from above has reached it: if it is the polled code that asks, it
/// catches up.
pub(crate) fn catch_up(node: &Arc<Node>) {
    in_body(node, |frame| {
        if raw::parent(frame).is_some_and(Frame::is_cut) {
            frame.place();
        }
    });
}

/// A place for a member of `node`, or the reason why there is none.
pub(crate) fn seat(node: &Arc<Node>) -> Result<Seat, Option<Reason>> {
    let owner = is_owner(node);
    if node.state.load().is_cancelled() {
        return Err(node.reason());
    }
    counted(node, owner).ok_or_else(|| node.reason())
}

/// A place in the count of `node`, cancelled or not. `None`: it has ended.
fn counted(node: &Arc<Node>, owner: bool) -> Option<Seat> {
    if owner && node.count.admit_owned() {
        return Some(Seat::admitted(node));
    }
    completions::admit(node)
}

/// One more member of the innermost scope of the code that is being polled on this thread: for work that this code hands
/// to another thread, and that its scope has to wait for. `None` outside any scope.
///
/// Unlike a spawn it is admitted to a cancelled scope too: code that still runs there, in a shield, may still do such
/// work. What a finalizer hands over is a member of the next scope outwards, because its own one is closed.
///
/// ```
/// // Outside of any scope:
/// assert!(ramus_scope::admit_current().is_none());
/// ```
pub fn admit_current() -> Option<Membership> {
    let (node, _) = raw::current(|frame| frame.and_then(Frame::scope))?;
    let owner = is_owner(&node);
    let mut seat = counted(&node, owner);
    let mut around = node.parent.clone();
    // A scope whose finalizers run is closed: the next one around that is not waits for the work.
    while let (None, Some(node)) = (&seat, &around) {
        seat = completions::admit(node);
        around = node.parent.clone();
    }
    seat.map(Membership::new)
}

/// Spawns `future` with `host` in the innermost scope of the code that is being polled on this thread. `None`, and the
/// future back, outside any scope.
///
/// ```
/// # fn example<H: ramus_scope::Host>(host: &H) {
/// // Outside of any scope the future comes back.
/// let refused = ramus_scope::spawn_current(host, async { 1 });
/// assert!(refused.is_err());
/// # }
/// ```
///
/// # Errors
///
/// The future, if nothing around it is a scope.
#[track_caller]
pub fn spawn_current<H, F>(host: &H, future: F) -> Result<H::JoinHandle<F::Output>, F>
where
    H: Host,
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    raw::current(|frame| match frame.and_then(Frame::scope_lent) {
        Some((node, _)) => Ok(match node.limit() {
            None => host.spawn(member_of(&node, future)),
            Some(limit) => host.spawn(member_in_line(&node, limit, future)),
        }),
        None => Err(future),
    })
}

/// `future` as a member of `node`, or as one that only answers that it was refused.
pub(crate) fn member_of<F>(node: &Arc<Node>, future: F) -> Member<F> {
    match seat(node) {
        Ok(seat) => Member::new(seat, future),
        Err(reason) => Member::refused(reason.unwrap_or_else(ended), future),
    }
}

pub(crate) fn ended() -> Reason {
    Reason::from("the scope has ended")
}
