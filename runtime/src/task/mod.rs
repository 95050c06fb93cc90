//! Tasks: spawned futures, their handles, and what can be asked about them.
//!
//! | for | there is |
//! |---|---|
//! | spawning in the scope that the code is in | [`spawn`](spawn()); with a name, or polled at once: [`Builder`] |
//! | the result, or a cancel of this task alone | [`JoinHandle`], [`CancelHandle`] |
//! | letting others run | [`yield_now`], [`checkpoint`](crate::checkpoint()) |
//! | work that blocks its thread | [`spawn_blocking`]; the module [`blocking`](crate::blocking) |
//! | who is there | [`current`], [`all`], [`TaskInfo`], [`Id`] |
//!
//! # How it works
//!
//! A task lives in a cell:
//!
//! ```text
//! state   the two words of a task and all of their transitions, as values; the tables and the proof
//! cell    one block per task: header, name, future; its runnable and its waker. Home of this crate's `unsafe`
//!   waker   the waker of a task: one static table for all tasks
//!   tap     a waker around another one that tells of its clones, for tests
//!   slot    a place for one runnable, filled by its owner and emptied by anybody
//!   ticket  the handle's side of a cell: who owns the output and the joiner's waker
//! slab    where cells come from: recycled memory, the one seam to an allocator (`plain` is its alternative)
//!   grip    a counted reference to a cell, without any right to what is in it
//! join    `JoinHandle`
//! cancel_handle `CancelHandle`
//! info    what a task tells about itself
//! contain user code that may panic where nobody can take the panic
//! ```
//!
//! This module knows no scope, timer or I/O: membership comes wrapped around the future, and waking ends in
//! [`Schedule`].

mod cancel_handle;
pub(crate) mod cell;
pub(crate) mod contain;
mod info;
mod join;
mod state;

#[cfg(test)]
mod tests;

pub use crate::blocking::{Blocking, BlockingScope, spawn_blocking, spawn_blocking_with, unblock};
pub use crate::spawn::builder::Builder;
pub use crate::spawn::{YieldNow, spawn, yield_now};
pub use crate::tree::{all, current};
pub use cancel_handle::CancelHandle;
pub(crate) use cell::{Name, Polled, Ran, Runnable, Slot, cell, claim, inspect, is_of};
pub use info::{Id, State, TaskInfo};
pub use join::JoinHandle;

/// What a task needs of its scheduler.
///
/// Tasks and their wakers point to the scheduler without counting, so it must live for ever; a scheduler that has shut
/// down is still called by whoever wakes a task that is not done.
#[allow(unreachable_pub, reason = "models reach it through a module of their own")]
pub trait Schedule: Sync + 'static {
    /// Takes a runnable whose task was woken (or just spawned) and sees to it that it is run.
    ///
    /// Called on any thread, in the middle of foreign code that calls `wake`: it must not poll.
    fn schedule(&'static self, runnable: Runnable);

    /// Counts a panic that was caught where nobody can take it: in the destructor of an output or of a waker, or in
    /// the waker of a joiner. The panic hook has reported it.
    fn contained(&'static self);
}
