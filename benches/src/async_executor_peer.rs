//! async-executor with async-io's timers.

use std::future::pending;
use std::thread;
use std::time::{Duration, Instant};

use async_executor::StaticExecutor;
use async_io::Timer;
use futures_lite::future::{block_on, or, yield_now};

use crate::{Peer, WORKERS};

/// async-executor's `StaticExecutor`, the fastest form it has.
#[derive(Clone, Copy)]
pub struct AsyncExecutor(&'static StaticExecutor);

impl AsyncExecutor {
    /// Starts the workers.
    ///
    /// # Panics
    ///
    /// If a thread cannot be started.
    pub fn start() -> AsyncExecutor {
        let executor: &'static StaticExecutor = Box::leak(Box::new(StaticExecutor::new()));
        for _ in 0..WORKERS {
            thread::Builder::new().spawn(|| block_on(executor.run(pending::<()>()))).expect("a thread starts");
        }
        AsyncExecutor(executor)
    }
}

impl Peer for AsyncExecutor {
    type Sleep = Timer;

    fn name(self) -> &'static str {
        "async-executor"
    }

    fn run<T: Send + 'static>(self, future: impl Future<Output = T> + Send + 'static) -> T {
        block_on(self.0.spawn(future))
    }

    fn spawn(self, future: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(future).detach();
    }

    async fn join_all<F: Future<Output = ()> + Send + 'static>(
        self,
        count: usize,
        task: impl Fn(usize) -> F + Send + 'static,
    ) {
        let tasks: Vec<_> = (0..count).map(|i| self.0.spawn(task(i))).collect();
        for task in tasks {
            task.await;
        }
    }

    async fn cancel_all<F: Future<Output = ()> + Send + 'static>(
        self,
        count: usize,
        task: impl Fn(usize) -> F + Send + 'static,
        parked: impl Future<Output = ()> + Send + 'static,
        dropped: impl Future<Output = ()> + Send + 'static,
    ) -> Duration {
        let tasks: Vec<_> = (0..count).map(|i| self.0.spawn(task(i))).collect();
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
