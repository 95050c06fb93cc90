//! async-executor with async-io's timers: what smol is made of.

use std::future::pending;
use std::io;
use std::pin::Pin;
use std::thread;
use std::time::{Duration, Instant};

use async_executor::{Executor, StaticExecutor, Task};
use async_io::Timer;
use futures_lite::future::{block_on, or, yield_now};

use super::{Peer, Tree};

/// async-executor's `StaticExecutor`, the fastest form it has, on plain threads; async-io runs its timers on a thread of its
/// own.
pub type AsyncExecutor = Smol<StaticExecutor>;

/// One of async-executor's executors. With [`Executor`] this is the program that smol's documentation shows: the threads
/// run the executor in `async_io::block_on`, which drives timers and sockets too.
pub struct Smol<E: 'static = Executor<'static>>(&'static E);

impl<E: Threads> Smol<E> {
    /// Starts the workers.
    ///
    /// # Panics
    ///
    /// If a thread cannot be started.
    pub fn start(workers: usize) -> Smol<E> {
        let executor = E::leaked();
        for _ in 0..workers {
            thread::Builder::new().spawn(|| executor.work()).expect("a thread starts");
        }
        Smol(executor)
    }

    /// Starts a task and gives its handle out.
    pub fn task<T: Send + 'static>(self, future: impl Future<Output = T> + Send + 'static) -> Task<T> {
        self.0.task(future)
    }

    /// A task for each member of a tree; dropping one drops the future, and so the tasks below.
    fn tree<F, L>(self, tree: Tree, leaf: &L) -> Vec<Task<()>>
    where
        F: Future<Output = ()> + Send + 'static,
        L: Fn() -> F + Clone + Send + Sync + 'static,
    {
        let member = |_| match tree.below() {
            Some(below) => self.0.task(self.branch(below, leaf.clone())),
            None => self.0.task(leaf()),
        };
        (0..tree.fan_out).map(member).collect()
    }

    fn branch<F, L>(self, tree: Tree, leaf: L) -> Pin<Box<dyn Future<Output = ()> + Send>>
    where
        F: Future<Output = ()> + Send + 'static,
        L: Fn() -> F + Clone + Send + Sync + 'static,
    {
        Box::pin(async move {
            for task in self.tree(tree, &leaf) {
                task.await;
            }
        })
    }
}

impl<E> Clone for Smol<E> {
    fn clone(&self) -> Smol<E> {
        *self
    }
}

impl<E> Copy for Smol<E> {}

/// What the two executors have in common.
pub trait Threads: Send + Sync + Sized + 'static {
    /// The name in tables.
    const NAME: &str;

    /// A new one.
    fn leaked() -> &'static Self;

    /// Runs tasks for ever.
    fn work(&'static self) -> io::Result<()>;

    /// Starts a task.
    fn task<T: Send + 'static>(&'static self, future: impl Future<Output = T> + Send + 'static) -> Task<T>;
}

impl Threads for StaticExecutor {
    const NAME: &str = "async-executor";

    fn leaked() -> &'static StaticExecutor {
        Box::leak(Box::new(StaticExecutor::new()))
    }

    fn work(&'static self) -> io::Result<()> {
        block_on(self.run(pending()))
    }

    fn task<T: Send + 'static>(&'static self, future: impl Future<Output = T> + Send + 'static) -> Task<T> {
        self.spawn(future)
    }
}

impl Threads for Executor<'static> {
    const NAME: &str = "smol";

    fn leaked() -> &'static Executor<'static> {
        Box::leak(Box::new(Executor::new()))
    }

    fn work(&'static self) -> io::Result<()> {
        async_io::block_on(self.run(pending()))
    }

    fn task<T: Send + 'static>(&'static self, future: impl Future<Output = T> + Send + 'static) -> Task<T> {
        self.spawn(future)
    }
}

impl<E: Threads> Peer for Smol<E> {
    type Sleep = Timer;

    fn name(self) -> &'static str {
        E::NAME
    }

    fn run<T: Send + 'static>(self, future: impl Future<Output = T> + Send + 'static) -> T {
        block_on(self.0.task(future))
    }

    fn spawn(self, future: impl Future<Output = ()> + Send + 'static) {
        self.0.task(future).detach();
    }

    fn spawn_outside(self, future: impl Future<Output = ()> + Send + 'static) {
        self.0.task(future).detach();
    }

    async fn fork_join<L, R>(
        self,
        left: impl Future<Output = L> + Send + 'static,
        right: impl Future<Output = R> + Send,
    ) -> (L, R)
    where
        L: Send + 'static,
        R: Send,
    {
        let left = self.0.task(left);
        let right = right.await;
        (left.await, right)
    }

    async fn join_all<F: Future<Output = ()> + Send + 'static>(
        self,
        count: usize,
        task: impl Fn(usize) -> F + Send + 'static,
    ) {
        let tasks: Vec<_> = (0..count).map(|i| self.0.task(task(i))).collect();
        for task in tasks {
            task.await;
        }
    }

    async fn join_crowd(self, spawners: usize, each: usize) {
        let start = move || (0..each).map(|_| self.0.task(async {})).collect::<Vec<_>>();
        let spawners: Vec<_> = (0..spawners).map(|_| self.0.task(async move { start() })).collect();
        for tasks in spawners {
            for task in tasks.await {
                task.await;
            }
        }
    }

    async fn cancel_all<F: Future<Output = ()> + Send + 'static>(
        self,
        count: usize,
        task: impl Fn(usize) -> F + Send + 'static,
        parked: impl Future<Output = ()> + Send + 'static,
        dropped: impl Future<Output = ()> + Send + 'static,
    ) -> Duration {
        let tasks: Vec<_> = (0..count).map(|i| self.0.task(task(i))).collect();
        parked.await;
        let begun = Instant::now();
        drop(tasks);
        dropped.await;
        begun.elapsed()
    }

    async fn cancel_tree<F: Future<Output = ()> + Send + 'static>(
        self,
        tree: Tree,
        leaf: impl Fn() -> F + Clone + Send + Sync + 'static,
        parked: impl Future<Output = ()> + Send + 'static,
        dropped: impl Future<Output = ()> + Send + 'static,
    ) -> Duration {
        let tasks = self.tree(tree, &leaf);
        parked.await;
        let begun = Instant::now();
        drop(tasks);
        dropped.await;
        begun.elapsed()
    }

    fn yield_now(self) -> impl Future<Output = ()> + Send {
        yield_now()
    }

    fn sleep(self, time: Duration) -> Timer {
        Timer::after(time)
    }

    async fn timeout<F: Future + Send>(self, time: Duration, future: F) -> bool {
        let ended = async {
            future.await;
            true
        };
        let elapsed = async {
            Timer::after(time).await;
            false
        };
        or(ended, elapsed).await
    }
}
