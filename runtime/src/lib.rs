//! A multi-threaded async runtime in which every task lives in a cancellation scope.
//!
//! A scope owns the tasks spawned into it. It ends when all of them have ended and been dropped; when one fails, or the
//! scope is cancelled, the others are dropped at their next suspension. No task is lost, no error vanishes, and shutting
//! down is cancelling the root scope.
//!
//! ```
//! use ramus::{Scope, scope};
//!
//! let runtime = ramus::Runtime::new()?;
//! let sum = runtime.block_on(async {
//!     scope(|s: Scope| async move {
//!         let a = s.spawn(async { 40 });
//!         let b = s.spawn(async { 2 });
//!         Ok(a.await? + b.await?)
//!     })
//!     .await
//! })?;
//! assert_eq!(sum, 42);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The parts
//!
//! | for | there is |
//! |---|---|
//! | starting a program | [`main`](macro@main), [`test`](macro@test); by hand [`Runtime`], [`Builder`], [`Handle`] |
//! | scopes: children, stops, cancels, kills, limits, values, finalizers, `start` | [`scope()`], [`Scope`]; all of it in the module [`mod@scope`] |
//! | code that must run although it is cancelled | [`shield()`], [`defer`](ramus_scope::ScopeHandle::defer), [`run_until_cancelled`] |
//! | tasks in the scope that the code is in | [`spawn`](spawn()), [`JoinHandle`], [`yield_now`], [`checkpoint`], [`is_cancelled`], [`task`] |
//! | several futures or tasks at once | [`race`], [`join_all`], [`try_join_all`], [`wait`], [`as_completed`]; the module [`combine`] |
//! | time | [`sleep`], [`interval`], [`timeout`]; the module [`time`] |
//! | sockets and signals | [`net`], [`signal`]; [`OrStopping`] waits until the scope is asked to stop |
//! | work that blocks, and threads outside | [`spawn_blocking`], [`block_on_in`], [`blocking::scope`](blocking::scope()) with children that borrow; the module [`blocking`] |
//! | work for the whole process | [`background`], [`Supervisor`] for children that are restarted |
//! | what tasks share | [`sync`] |
//! | looking at it | [`Handle::tree`], [`task::all`], [`metrics`] |
//! | tests | `testing`: simulations with a seed and virtual time, a cancel at every suspension (feature `test-util`) |
//! | traits of other crates | features `hyper`, `tokio-io`, `futures-io` |
//!
//! Each thing with settings has a builder of its own:
//!
//! | builder | makes |
//! |---|---|
//! | [`Builder`] | a runtime |
//! | [`ScopeBuilder`], from [`Scope::builder`] | a scope |
//! | [`task::Builder`] | a task with a name, or one that is polled at once |
//! | [`blocking::Builder`] | a blocking job with a name, or one that may be abandoned |
//! | `testing::Builder`, from `Simulation::builder` | a simulation |
//!
//! # How it works: what passes through on the way
//!
//! A waker is the only word that the parts share. Spawning, readiness, expiry and cancelling all end in one funnel: wake,
//! schedule, notify a sleeper.
//!
//! ```text
//! SPAWN    spawn ─ the scope admits a member ─ task/cell (one allocation) ─ pool ─ sleep
//!          worker ─ task/state ─ the future's poll ─ task/join
//! READY    worker (nothing to do) ─ driver ─ the system ─ readiness: collect wakers ─ locks released ─ wake ─ pool
//! EXPIRY   driver: time-out = the wheel's next deadline ─ wheel: advance ─ the same batch of wakes
//! CANCEL   scope: mark, stop at shields, collect wakers ─ locks released ─ wake ─ worker polls
//!          ─ the member sees the mark, drops the future ─ membership ends ─ the last one wakes whoever waits
//! ```
//!
//! A reader starts at `worker`, goes on with `task/state` and `driver`, and ends at `sleep` with its proof.
//!
//! # Features
//!
//! `macros` (default): `#[ramus::main]` and `#[ramus::test]`. `tokio-io`, `hyper`, `futures-io`: the traits of those crates
//! on sockets. `sync`: locks and channels in [`sync`]. `test-util`: `testing`, simulations with a seed and virtual time. A
//! feature adds a module and changes nothing else.

#![deny(unsafe_code)]

/// What tasks share: an event, and with the feature `sync` the locks and channels of other crates.
///
/// | asyncio, tokio | here | from |
/// |---|---|---|
/// | `asyncio.Event` | [`sync::Event`] | ramus |
/// | `Lock`, `Semaphore`, `Barrier`; `RwLock`, `OnceCell` | `sync::lock::{Mutex, Semaphore, Barrier, RwLock, OnceCell}` | `async-lock` |
/// | `Queue`; `mpsc` (here with many receivers) | `sync::channel::{bounded, unbounded}` | `async-channel` |
/// | `Future.set_result`; `oneshot` | `sync::oneshot::channel` | `futures-channel` |
///
/// All of them run on any runtime. Those of other crates are not leaves of this one: a future of theirs that waits *beside*
/// an open scope or shield, in a branch of a `join!` say, still completes after a cancel, where one of ours would stand
/// still. What it has taken by then is dropped with the code around it: a lock is released, a permit passes on, a message
/// that was received is lost. Receive outside of such branches, or count a message as taken once it was received.
pub mod sync;

mod background;
mod batches;
mod between;
pub mod blocking;
mod builder;
mod checkpoint;
pub mod combine;
mod context;
mod driver;
mod error;
#[allow(unreachable_pub, reason = "the models reach it")]
mod flagged;
mod handle;
mod io;
mod leaf;
#[cfg(any(test, ramus_loom))]
#[allow(unreachable_pub, reason = "the models reach it")]
mod locked;
#[allow(unreachable_pub, reason = "the models reach it")]
mod park;
#[allow(unreachable_pub, reason = "the models reach it")]
mod parker;
mod pool;
#[allow(unreachable_pub, reason = "the models reach it")]
mod queue;
#[allow(unreachable_pub, reason = "the models reach it")]
mod readiness;
#[allow(unreachable_pub, reason = "the models reach it")]
mod sleep;
mod spawn;
mod stopping;
mod tenant;
mod tree;
mod worker;

pub mod metrics;
pub mod net;
pub mod runtime;
pub mod scope;
pub mod signal;
pub mod supervise;
pub mod task;
pub mod time;

#[cfg(all(feature = "test-util", not(ramus_loom)))]
pub mod testing;

#[cfg(feature = "futures-io")]
mod futures_io;
#[cfg(feature = "hyper")]
pub mod hyper;
#[cfg(feature = "hyper")]
mod hyper_io;
#[cfg(feature = "hyper")]
mod hyper_timer;
#[cfg(any(feature = "hyper", feature = "tokio-io"))]
mod poll_write;
#[cfg(feature = "tokio-io")]
mod tokio_io;

pub use background::background;
pub use blocking::{block_on_in, spawn_blocking};
pub use builder::Builder;
pub use checkpoint::{Checkpoint, checkpoint, is_cancelled};
pub use combine::{When, as_completed, join_all, race, race_all, try_join_all, wait};
pub use error::EnterError;
pub use handle::{EnterGuard, Handle};
pub use runtime::{Runtime, ShutdownReport};
pub use scope::{
    BoxError, Cancelled, DeadlineError, JoinError, LaterReasons, OnCancel, PathScope, Ready, ReadyError, Reason,
    ReasonKind, Refused, Report, ReportKind, Scope, ScopeBuilder, ScopeError, ScopeHandle, ScopePath, ScopeValue,
    StartError, TreeKind, TreeRow, reset_report_hook, run_until_cancelled, scope, scope_value, set_report_hook, shield,
    shield_unbounded,
};
pub use spawn::{spawn, yield_now};
pub use stopping::{OrStopping, TryUntilStopping, UntilStopping};
pub use supervise::{Supervisor, SupervisorError};
pub use task::JoinHandle;
pub use time::{interval, sleep, sleep_until, timeout, timeout_at};
pub use tree::{Straggler, TreeEntry, TreeSnapshot};

#[cfg(feature = "macros")]
pub use ramus_macros::{main, test};

/// Who is told of every atomic operation; no part of the interface.
#[cfg(ramus_count)]
#[doc(hidden)]
pub use sync::counting::listen;

/// What the models reach; no part of the interface.
#[cfg(ramus_loom)]
#[doc(hidden)]
#[allow(missing_docs, reason = "not documented outside of the modules themselves")]
pub mod model {
    pub use crate::blocking::jobs::{Jobs, Place, Push};
    pub use crate::blocking::slot::{Outcome, Slot as JobSlot, Unwanted};
    pub use crate::flagged::Flagged;
    pub use crate::locked::Locked;
    pub use crate::park::{Bell, ParkWord};
    pub use crate::parker::Parker;
    pub use crate::queue::{Owner, Sink, Thief};
    pub use crate::sleep::{Park, Searching, Sleep};
    pub use crate::task::cell::{Polled, Ran, Runnable, Slot, cell};
    pub use crate::task::{JoinHandle, Schedule};

    pub mod readiness {
        pub use crate::readiness::*;
    }

    pub fn task_id(serial: u64) -> crate::task::Id {
        crate::task::Id::new(0, serial)
    }
}
