//! One source for every workload, run on ramus and on its rivals: a workload sees a [`Peer`] and nothing else of the
//! runtime below it. Every peer has [`WORKERS`] workers, and every time is taken on a worker.
//!
//! Each peer joins and cancels groups of tasks the way its users do: ramus in a scope, tokio in one of three forms
//! ([`TokioGroup`]), async-executor through its handles.

mod async_executor_peer;
mod compare;
mod ramus_peer;
mod tokio_peer;
pub mod workload;

use std::time::Duration;

pub use async_executor_peer::AsyncExecutor;
pub use compare::{AnyPeer, compare, peers, tokio_groups};
pub use ramus_peer::Ramus;
pub use tokio_peer::{Tokio, TokioGroup};

/// Worker threads of each peer.
pub const WORKERS: usize = 2;

/// A runtime under test. It is leaked when started, so that tasks can hold it freely.
pub trait Peer: Copy + Send + Sync + 'static {
    /// A timer of this runtime.
    type Sleep: Future + Send + 'static;

    /// The name in tables.
    fn name(self) -> &'static str;

    /// Runs a future on a worker and blocks the calling thread until it has ended.
    fn run<T: Send + 'static>(self, future: impl Future<Output = T> + Send + 'static) -> T;

    /// From a task: starts another one that nobody waits for here.
    fn spawn(self, future: impl Future<Output = ()> + Send + 'static);

    /// From a task: starts `count` tasks as a group and waits until all have ended.
    fn join_all<F: Future<Output = ()> + Send + 'static>(
        self,
        count: usize,
        task: impl Fn(usize) -> F + Send + 'static,
    ) -> impl Future<Output = ()> + Send;

    /// From a task: starts `count` tasks as a group, waits for `parked`, cancels the group and waits until all of its
    /// futures are dropped. Returns the time from the cancel on.
    fn cancel_all<F: Future<Output = ()> + Send + 'static>(
        self,
        count: usize,
        task: impl Fn(usize) -> F + Send + 'static,
        parked: impl Future<Output = ()> + Send + 'static,
        dropped: impl Future<Output = ()> + Send + 'static,
    ) -> impl Future<Output = Duration> + Send;

    /// Lets others run.
    fn yield_now(self) -> impl Future<Output = ()> + Send;

    /// Ends after `time`.
    fn sleep(self, time: Duration) -> Self::Sleep;

    /// Runs `future` for at most `time`; says whether it ended.
    fn timeout<F: Future + Send>(self, time: Duration, future: F) -> impl Future<Output = bool> + Send;
}
