//! The runtimes under test.

mod ramus;
mod smol;
mod tokio;

use std::time::Duration;

pub use self::ramus::Ramus;
pub use self::smol::{AsyncExecutor, Smol, Threads};
pub use self::tokio::{Tokio, TokioGroup};

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

    /// From a thread that is no worker: starts a task that nobody waits for here.
    fn spawn_outside(self, future: impl Future<Output = ()> + Send + 'static);

    /// From a task: runs `left` in a task of its own and `right` in place.
    fn fork_join<L, R>(
        self,
        left: impl Future<Output = L> + Send + 'static,
        right: impl Future<Output = R> + Send,
    ) -> impl Future<Output = (L, R)> + Send
    where
        L: Send + 'static,
        R: Send;

    /// From a task: starts `count` tasks as a group and waits until all have ended.
    fn join_all<F: Future<Output = ()> + Send + 'static>(
        self,
        count: usize,
        task: impl Fn(usize) -> F + Send + 'static,
    ) -> impl Future<Output = ()> + Send;

    /// From a task: one group, in which `spawners` tasks start `each` trivial tasks; waits until all have ended.
    fn join_crowd(self, spawners: usize, each: usize) -> impl Future<Output = ()> + Send;

    /// From a task: starts `count` tasks as a group, waits for `parked`, cancels the group and waits until all of its
    /// futures are dropped. Returns the time from the cancel on.
    fn cancel_all<F: Future<Output = ()> + Send + 'static>(
        self,
        count: usize,
        task: impl Fn(usize) -> F + Send + 'static,
        parked: impl Future<Output = ()> + Send + 'static,
        dropped: impl Future<Output = ()> + Send + 'static,
    ) -> impl Future<Output = Duration> + Send;

    /// As [`Peer::cancel_all`], with a tree: each group has `fan_out` members, each of them a task that has a group of its
    /// own, down to `depth` levels; the tasks of the lowest one are `leaf`s. The outermost group is cancelled.
    fn cancel_tree<F: Future<Output = ()> + Send + 'static>(
        self,
        tree: Tree,
        leaf: impl Fn() -> F + Clone + Send + Sync + 'static,
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

/// The shape of a tree of groups.
#[derive(Clone, Copy, Debug)]
pub struct Tree {
    /// Levels of groups.
    pub depth: u32,
    /// Members of each group.
    pub fan_out: usize,
}

impl Tree {
    /// How many leaves it has.
    pub fn leaves(self) -> usize {
        self.fan_out.pow(self.depth)
    }

    /// The tree of each member, while there is one.
    fn below(self) -> Option<Tree> {
        (self.depth > 1).then_some(Tree { depth: self.depth - 1, ..self })
    }
}
