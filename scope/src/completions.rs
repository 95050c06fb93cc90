//! Completions that are merged per thread before they reach a scope's shared line.
//!
//! A worker that runs many tasks of one scope would write the scope's count once per task. Instead it keeps the ended
//! members of *one* scope as credits and subtracts them together. A credit also serves as an admission: a spawn into the
//! same scope takes one back instead of writing the line.
//!
//! A join is not delayed by a kept credit as long as the host keeps two rules: credits of a scope are flushed before a task
//! of another scope is polled (done by the member itself), and [`flush`] is called **before** the worker's
//! last look at its local work. A flush may wake the joiner into the worker's own queue, so a flush between the last look
//! and parking would leave it there.
//!
//! In the middle of a poll, which may block its thread, only credits of scopes are kept that the polled code keeps open
//! itself. A host that polls a task in the middle of the poll of another one calls [`flush`] after it.

use std::cell::Cell;
use std::ptr;

use crate::raw::{self, Credits, Seat};
use crate::sync::{Arc, local};
use crate::tree::Node;

/// How many admissions a worker buys at once when it spawns into a scope that it does not own.
const BATCH: i64 = 16;

struct Merged {
    enabled: Cell<bool>,
    credits: Cell<Option<Credits>>,
}

local! {
    static MERGED: Merged = Merged { enabled: Cell::new(false), credits: Cell::new(None) }
}

/// Lets this thread merge completions. Its host has to call [`flush`] as this module says.
///
/// ```
/// ramus_scope::completions::enable();
/// // ... poll tasks; then, before looking for work a last time and parking:
/// ramus_scope::completions::flush();
/// ramus_scope::completions::disable();
/// ```
pub fn enable() {
    MERGED.with(|merged| merged.enabled.set(true));
}

/// Ends merging on this thread, and flushes.
///
/// ```
/// ramus_scope::completions::disable();
/// ```
pub fn disable() {
    with_merged(|merged| {
        if let Some(merged) = merged {
            merged.enabled.set(false);
        }
    });
    flush();
}

/// Tells the count of the scope whose members ended on this thread. May wake the task that joins the scope.
///
/// ```
/// ramus_scope::completions::flush();
/// ```
pub fn flush() {
    if let Some(credits) = with_merged(|merged| merged?.credits.take()) {
        credits.flush();
    }
}

/// Flushes what is not of `node`, because a task of `node` is polled next.
#[inline]
pub(crate) fn switch(node: &Node) {
    let other = with_merged(|merged| {
        let merged = merged?;
        let credits = merged.credits.take()?;
        if credits.is_of(node) {
            merged.credits.set(Some(credits));
            None
        } else {
            Some(credits)
        }
    });
    if let Some(credits) = other {
        credits.flush();
    }
}

/// A member has ended on this thread.
pub(crate) fn end(ended: Credits) {
    let due = merge(ended);
    if let Some(credits) = due {
        credits.flush();
    }
}

/// True if credits of the scope that `is_it` knows delay nobody: the code that is being polled here keeps it open, or
/// nothing is being polled, and the host sees to the flush.
fn may_wait(is_it: impl Fn(&Node) -> bool) -> bool {
    raw::current(|frame| frame.is_none_or(|frame| frame.is_inside(is_it)))
}

/// Keeps `ended` and returns what has to be flushed now.
fn merge(ended: Credits) -> Option<Credits> {
    let may_wait = may_wait(|node| ended.is_of(node));
    with_merged(|merged| {
        let Some(merged) = merged.filter(|merged| merged.enabled.get()) else { return Some(ended) };
        match merged.credits.take() {
            None if !may_wait => Some(ended),
            Some(mut credits) if !may_wait => {
                let Some(other) = credits.merge(ended) else { return Some(credits) };
                merged.credits.set(Some(credits));
                Some(other)
            }
            None => {
                merged.credits.set(Some(ended));
                None
            }
            Some(mut credits) => {
                let other = credits.merge(ended);
                // Of another scope: that scope's completions start a new run, the old run is over.
                let (keep, due) = match other {
                    None => (credits, None),
                    Some(newer) => (newer, Some(credits)),
                };
                merged.credits.set(Some(keep));
                due
            }
        }
    })
}

/// Admits a member that is not spawned by the owner of `node`. `None`: the scope is drained.
pub(crate) fn admit(node: &Arc<Node>) -> Option<Seat> {
    let kept = with_merged(|merged| {
        let merged = merged?;
        let credits = merged.credits.take()?;
        if credits.is_of(node) {
            let (seat, rest) = credits.take_seat();
            merged.credits.set(rest);
            Some(seat)
        } else {
            merged.credits.set(Some(credits));
            None
        }
    });
    if kept.is_some() {
        return kept;
    }
    let merging = with_merged(|merged| merged.is_some_and(|merged| merged.enabled.get()))
        && may_wait(|around| ptr::eq(around, &**node));
    let n = if merging { BATCH } else { 1 };
    if !node.count.admit(n) {
        return None;
    }
    let (seat, rest) = Credits::bought(node, n).take_seat();
    if let Some(rest) = rest {
        end(rest);
    }
    Some(seat)
}

#[inline]
fn with_merged<R>(f: impl FnOnce(Option<&Merged>) -> R) -> R {
    let mut f = Some(f);
    // While the thread's locals are being destroyed nothing is merged.
    match MERGED.try_with(|merged| f.take().map(|f| f(Some(merged)))) {
        Ok(Some(result)) => result,
        Ok(None) | Err(_) => match f.take() {
            Some(f) => f(None),
            None => unreachable!("the closure was taken only if it ran"),
        },
    }
}
