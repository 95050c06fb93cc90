//! Cancellation scopes for async tasks, on any executor.
//!
//! A *scope* owns the tasks spawned into it. Its `.await` ends only when all of them have ended and been dropped; a cancel
//! reaches everything below it and nothing above; no error and no panic vanishes.
//!
//! | for | there is |
//! |---|---|
//! | opening a scope | [`scope`], with a name, a deadline, a limit, values: [`Builder`] |
//! | spawning into it | its handle: [`Scope`], or without its error type [`ScopeHandle`] |
//! | children that say when they are ready | [`Scope::start`], [`Ready`] |
//! | bounding how many children run at once | [`Builder::task_limit`], [`ScopeHandle::spawn_when_free`] |
//! | asking it to end | [`ScopeHandle::stop`], [`cancel`](ScopeHandle::cancel), [`kill`](ScopeHandle::kill), [`set_deadline`](ScopeHandle::set_deadline) |
//! | hearing of it | [`ScopeHandle::stopping`], [`cancelled`](ScopeHandle::cancelled), [`on_cancel`](ScopeHandle::on_cancel) |
//! | protecting code for a budget of time | [`shield`] |
//! | clean-up after everything else | [`ScopeHandle::defer`] |
//! | a cancel as a value | [`run_until_cancelled`] |
//! | several futures at once, whose losers drain | [`race`], [`join_all`], [`try_join_all`] |
//! | what a scope hands down | [`ScopeValue`], [`current_value`] |
//! | how it ended | [`ScopeError`], [`JoinError`], [`Reason`], [`ScopePath`] |
//! | what is nobody's result | [`set_report_hook`] |
//! | scopes without a body | [`Root`] |
//! | an executor of one's own | [`Host`]: *spawn this* and *wake this later*; [`Member`], [`Membership`], [`TaskCancel`], [`CutOn`], [`completions`] are for it too |
//!
//! A cancel is a state, not an event. It is delivered by dropping: a future that is cut and pending is never polled again,
//! it is dropped at that suspension, once the scopes and shields inside it have drained. So it cannot be swallowed, and
//! futures of other crates obey too.
//!
//! The crate knows no clock, no I/O and no executor. See [`Host`] for a complete example on tokio.
//!
//! # Where to start reading
//!
//! `tree` (a node and its invariants), `walk` (how a cancel travels), `table` (the boundaries inside one task), `member`
//! (a future's membership), `scope` (the future of a scope), `finalizer` (what runs after its members). `raw` is the only home
//! of `unsafe`: the pointer to the frame being polled, and a member's pointer to its scope.

#![deny(unsafe_code)]
#![deny(unsafe_op_in_unsafe_fn)]

mod admit;
mod adoption;
mod ancestry;
mod arm;
mod asking;
mod being_polled;
mod blocking;
mod budget;
mod catch;
pub mod completions;
mod contest;
mod count;
mod cut_on;
mod deadline;
mod error;
mod finalizer;
mod frame;
mod handle;
mod host;
mod inside;
mod join_all;
mod lifecycle;
mod limit;
mod listing;
mod member;
mod membership;
mod on_cancel;
mod outcome;
mod overrun;
mod path;
mod phase;
mod race;
mod raw;
mod reason;
mod report;
mod requests;
mod root;
mod scope;
mod shield;
mod spare;
mod stage;
mod start;
mod state;
mod stop;
mod stray;
mod sync;
mod table;
mod task_cancel;
mod tree;
mod typed;
mod value;
mod wait;
mod waiters;
mod walk;
mod watch;

pub use admit::{admit_current, spawn_current};
pub use being_polled::{cut_reason, is_cut, is_polling};
pub use blocking::BlockingHost;
pub use catch::{Cancelled, Resume, RunUntilCancelled, run_until_cancelled};
pub use cut_on::CutOn;
pub use deadline::DeadlineError;
pub use error::{BoxError, JoinError, Refused, ScopeError};
pub use handle::ScopeHandle;
pub use host::{Host, Wakes};
pub use join_all::{JoinAll, TryJoinAll, join_all, try_join_all};
pub use limit::{Limited, SpawnWhenFree};
pub use listing::{TreeKind, TreeRow};
pub use member::{Member, MemberFuture, Place, never_started};
pub use membership::Membership;
pub use on_cancel::OnCancel;
pub use outcome::Outcome;
pub use path::{PathScope, ScopePath};
pub use race::{Race, RaceAll, Racing, race, race_all};
pub use reason::{Reason, ReasonKind};
pub use report::{Report, ReportKind, reset_report_hook, set_report_hook};
pub use requests::LaterReasons;
pub use root::Root;
pub use scope::{Builder, ScopeFuture, scope};
pub use shield::{Shield, shield, shield_unbounded};
pub use start::{Ready, ReadyError, Start, StartError};
pub use task_cancel::TaskCancel;
pub use typed::{Scope, SpawnTryWhenFree};
pub use value::{ScopeValue, current_value};
pub use wait::{WaitCancelled, WaitStopping};

/// Who is told of every atomic operation; no part of the interface.
#[cfg(ramus_count)]
#[doc(hidden)]
pub use sync::counting::listen;
