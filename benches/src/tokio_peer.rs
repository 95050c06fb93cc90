//! tokio, with the three ways its users form groups of tasks.

use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::{Peer, WORKERS};

/// How tasks are grouped on tokio.
#[derive(Clone, Copy, Debug)]
pub enum TokioGroup {
    /// A `JoinSet`: what a scope replaces.
    JoinSet,
    /// A list of `JoinHandle`s.
    Handles,
    /// A `TaskTracker`, and for the cancel a `CancellationToken` with a child for each task.
    Tracker,
}

/// tokio's multi-threaded runtime.
#[derive(Clone, Copy)]
pub struct Tokio {
    runtime: &'static Runtime,
    group: TokioGroup,
}

impl Tokio {
    /// Starts a runtime.
    ///
    /// # Panics
    ///
    /// If its threads cannot be started.
    pub fn start(group: TokioGroup) -> Tokio {
        let runtime = Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build().expect("tokio starts");
        Tokio { runtime: Box::leak(Box::new(runtime)), group }
    }

    /// The same runtime with another kind of group.
    pub fn with_group(self, group: TokioGroup) -> Tokio {
        Tokio { group, ..self }
    }
}

impl Peer for Tokio {
    type Sleep = tokio::time::Sleep;

    fn name(self) -> &'static str {
        match self.group {
            TokioGroup::JoinSet => "tokio JoinSet",
            TokioGroup::Handles => "tokio JoinHandles",
            TokioGroup::Tracker => "tokio TaskTracker",
        }
    }

    fn run<T: Send + 'static>(self, future: impl Future<Output = T> + Send + 'static) -> T {
        self.runtime.block_on(self.runtime.spawn(future)).expect("no workload panics")
    }

    fn spawn(self, future: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(future);
    }

    async fn join_all<F: Future<Output = ()> + Send + 'static>(
        self,
        count: usize,
        task: impl Fn(usize) -> F + Send + 'static,
    ) {
        match self.group {
            TokioGroup::JoinSet => {
                let mut group: JoinSet<()> = (0..count).map(task).collect();
                while group.join_next().await.is_some() {}
            }
            TokioGroup::Handles => {
                let handles: Vec<_> = (0..count).map(|i| tokio::spawn(task(i))).collect();
                for handle in handles {
                    handle.await.expect("no workload panics");
                }
            }
            TokioGroup::Tracker => {
                let group = TaskTracker::new();
                for i in 0..count {
                    group.spawn(task(i));
                }
                group.close();
                group.wait().await;
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
        match self.group {
            TokioGroup::JoinSet => {
                let mut group: JoinSet<()> = (0..count).map(task).collect();
                parked.await;
                let begun = Instant::now();
                group.abort_all();
                while group.join_next().await.is_some() {}
                begun.elapsed()
            }
            TokioGroup::Handles => {
                let handles: Vec<_> = (0..count).map(|i| tokio::spawn(task(i))).collect();
                parked.await;
                let begun = Instant::now();
                for handle in &handles {
                    handle.abort();
                }
                dropped.await;
                begun.elapsed()
            }
            TokioGroup::Tracker => {
                let group = TaskTracker::new();
                let token = CancellationToken::new();
                for i in 0..count {
                    group.spawn(token.child_token().run_until_cancelled_owned(task(i)));
                }
                parked.await;
                let begun = Instant::now();
                token.cancel();
                group.close();
                group.wait().await;
                begun.elapsed()
            }
        }
    }

    fn yield_now(self) -> impl Future<Output = ()> + Send {
        tokio::task::yield_now()
    }

    fn sleep(self, time: Duration) -> tokio::time::Sleep {
        tokio::time::sleep(time)
    }

    async fn timeout<F: Future + Send>(self, time: Duration, future: F) -> bool {
        tokio::time::timeout(time, future).await.is_ok()
    }
}
