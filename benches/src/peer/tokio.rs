//! tokio, with the three ways its users form groups of tasks.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use super::{Peer, Tree};

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
    pub fn start(workers: usize, group: TokioGroup) -> Tokio {
        let runtime = Builder::new_multi_thread().worker_threads(workers).enable_all().build().expect("tokio starts");
        Tokio { runtime: Box::leak(Box::new(runtime)), group }
    }

    /// Starts a runtime with tokio's alternative timer, which only builds with `--cfg tokio_unstable` have.
    ///
    /// # Panics
    ///
    /// If its threads cannot be started.
    #[cfg(tokio_unstable)]
    pub fn start_alt_timer(workers: usize, group: TokioGroup) -> Tokio {
        let mut builder = Builder::new_multi_thread();
        let runtime = builder.worker_threads(workers).enable_all().enable_alt_timer().build().expect("tokio starts");
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

    fn spawn_outside(self, future: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(future);
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
        let left = tokio::spawn(left);
        let right = right.await;
        (left.await.expect("no workload panics"), right)
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
                all_of((0..count).map(|i| tokio::spawn(task(i))).collect()).await;
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

    async fn join_crowd(self, spawners: usize, each: usize) {
        match self.group {
            TokioGroup::JoinSet => {
                let all = Arc::new(Mutex::new(JoinSet::new()));
                let adders = (0..spawners).map(|_| {
                    let all = Arc::clone(&all);
                    async move {
                        for _ in 0..each {
                            all.lock().expect("no workload panics").spawn(async {});
                        }
                    }
                });
                let mut adders: JoinSet<()> = adders.collect();
                while adders.join_next().await.is_some() {}
                let all = Arc::into_inner(all).expect("the spawners are gone");
                all.into_inner().expect("no workload panics").join_all().await;
            }
            TokioGroup::Handles => {
                let start = move || (0..each).map(|_| tokio::spawn(async {})).collect::<Vec<_>>();
                let spawners: Vec<_> = (0..spawners).map(|_| tokio::spawn(async move { start() })).collect();
                for handles in spawners {
                    all_of(handles.await.expect("no workload panics")).await;
                }
            }
            TokioGroup::Tracker => {
                let group = TaskTracker::new();
                for _ in 0..spawners {
                    let all = group.clone();
                    group.spawn(async move {
                        for _ in 0..each {
                            all.spawn(async {});
                        }
                    });
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

    async fn cancel_tree<F: Future<Output = ()> + Send + 'static>(
        self,
        tree: Tree,
        leaf: impl Fn() -> F + Clone + Send + Sync + 'static,
        parked: impl Future<Output = ()> + Send + 'static,
        dropped: impl Future<Output = ()> + Send + 'static,
    ) -> Duration {
        match self.group {
            TokioGroup::JoinSet => {
                let mut group = sets(tree, &leaf);
                parked.await;
                let begun = Instant::now();
                group.abort_all();
                while group.join_next().await.is_some() {}
                dropped.await;
                begun.elapsed()
            }
            TokioGroup::Handles => {
                let handles = handles(tree, &leaf);
                parked.await;
                let begun = Instant::now();
                drop(handles);
                dropped.await;
                begun.elapsed()
            }
            TokioGroup::Tracker => {
                let token = CancellationToken::new();
                let group = tracker(tree, &leaf, &token);
                parked.await;
                let begun = Instant::now();
                token.cancel();
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

async fn all_of(handles: Vec<JoinHandle<()>>) {
    for handle in handles {
        handle.await.expect("no workload panics");
    }
}

type Branch = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A tree of `JoinSet`s: one that is dropped aborts its tasks, and so drops those below.
fn sets<F, L>(tree: Tree, leaf: &L) -> JoinSet<()>
where
    F: Future<Output = ()> + Send + 'static,
    L: Fn() -> F + Clone + Send + Sync + 'static,
{
    fn branch<F, L>(tree: Tree, leaf: L) -> Branch
    where
        F: Future<Output = ()> + Send + 'static,
        L: Fn() -> F + Clone + Send + Sync + 'static,
    {
        Box::pin(async move {
            let mut group = sets(tree, &leaf);
            while group.join_next().await.is_some() {}
        })
    }
    let mut group = JoinSet::new();
    for _ in 0..tree.fan_out {
        match tree.below() {
            Some(below) => group.spawn(branch(below, leaf.clone())),
            None => group.spawn(leaf()),
        };
    }
    group
}

/// A tree of lists of handles that abort when they are dropped.
fn handles<F, L>(tree: Tree, leaf: &L) -> Vec<AbortOnDropHandle<()>>
where
    F: Future<Output = ()> + Send + 'static,
    L: Fn() -> F + Clone + Send + Sync + 'static,
{
    fn branch<F, L>(tree: Tree, leaf: L) -> Branch
    where
        F: Future<Output = ()> + Send + 'static,
        L: Fn() -> F + Clone + Send + Sync + 'static,
    {
        Box::pin(async move {
            for handle in handles(tree, &leaf) {
                handle.await.expect("no workload panics");
            }
        })
    }
    let member = |_| match tree.below() {
        Some(below) => tokio::spawn(branch(below, leaf.clone())),
        None => tokio::spawn(leaf()),
    };
    (0..tree.fan_out).map(member).map(AbortOnDropHandle::new).collect()
}

/// A tree of trackers and tokens: a token for each group, a child of it for each leaf.
fn tracker<F, L>(tree: Tree, leaf: &L, token: &CancellationToken) -> TaskTracker
where
    F: Future<Output = ()> + Send + 'static,
    L: Fn() -> F + Clone + Send + Sync + 'static,
{
    fn branch<F, L>(tree: Tree, leaf: L, token: CancellationToken) -> Branch
    where
        F: Future<Output = ()> + Send + 'static,
        L: Fn() -> F + Clone + Send + Sync + 'static,
    {
        Box::pin(async move { tracker(tree, &leaf, &token).wait().await })
    }
    let group = TaskTracker::new();
    for _ in 0..tree.fan_out {
        let token = token.child_token();
        match tree.below() {
            Some(below) => drop(group.spawn(branch(below, leaf.clone(), token))),
            None => drop(group.spawn(token.run_until_cancelled_owned(leaf()))),
        }
    }
    group.close();
    group
}
