//! ramus: groups are scopes.

use std::convert::Infallible;
use std::pin::Pin;
use std::time::{Duration, Instant};

use ramus::time::Sleep;
use ramus::{Builder, Runtime, Scope};

use super::{Peer, Tree};

/// The runtime of this workspace.
#[derive(Clone, Copy)]
pub struct Ramus(&'static Runtime);

impl Ramus {
    /// Starts a runtime.
    ///
    /// # Panics
    ///
    /// If its threads cannot be started.
    pub fn start(workers: usize) -> Ramus {
        let runtime = Builder::new_multi_thread().worker_threads(workers).build().expect("ramus starts");
        Ramus(Box::leak(Box::new(runtime)))
    }
}

impl Peer for Ramus {
    type Sleep = Sleep;

    fn name(self) -> &'static str {
        "ramus"
    }

    fn run<T: Send + 'static>(self, future: impl Future<Output = T> + Send + 'static) -> T {
        self.0.block_on(self.0.spawn(future)).expect("no workload panics")
    }

    fn spawn(self, future: impl Future<Output = ()> + Send + 'static) {
        drop(ramus::spawn(future));
    }

    fn spawn_outside(self, future: impl Future<Output = ()> + Send + 'static) {
        drop(self.0.spawn(future));
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
        let left = ramus::spawn(left);
        let right = right.await;
        (left.await.expect("no workload panics"), right)
    }

    async fn join_all<F: Future<Output = ()> + Send + 'static>(
        self,
        count: usize,
        task: impl Fn(usize) -> F + Send + 'static,
    ) {
        ramus::scope(|group: Scope<Infallible>| async move {
            for i in 0..count {
                drop(group.spawn(task(i)));
            }
        })
        .await
        .expect("no workload fails");
    }

    async fn join_crowd(self, spawners: usize, each: usize) {
        ramus::scope(|group: Scope<Infallible>| async move {
            for _ in 0..spawners {
                let all = group.clone();
                drop(group.spawn(async move {
                    for _ in 0..each {
                        drop(all.spawn(async {}));
                    }
                }));
            }
        })
        .await
        .expect("no workload fails");
    }

    async fn cancel_all<F: Future<Output = ()> + Send + 'static>(
        self,
        count: usize,
        task: impl Fn(usize) -> F + Send + 'static,
        parked: impl Future<Output = ()> + Send + 'static,
        _dropped: impl Future<Output = ()> + Send + 'static,
    ) -> Duration {
        cancelled(parked, move |group| {
            for i in 0..count {
                drop(group.spawn(task(i)));
            }
        })
        .await
    }

    async fn cancel_tree<F: Future<Output = ()> + Send + 'static>(
        self,
        tree: Tree,
        leaf: impl Fn() -> F + Clone + Send + Sync + 'static,
        parked: impl Future<Output = ()> + Send + 'static,
        _dropped: impl Future<Output = ()> + Send + 'static,
    ) -> Duration {
        cancelled(parked, move |group| grow(group, tree, leaf)).await
    }

    fn yield_now(self) -> impl Future<Output = ()> + Send {
        ramus::yield_now()
    }

    fn sleep(self, time: Duration) -> Sleep {
        ramus::sleep(time)
    }

    async fn timeout<F: Future + Send>(self, time: Duration, future: F) -> bool {
        ramus::timeout(time, future).await.is_ok()
    }
}

/// Fills a scope, waits for `parked`, cancels it; the time from there to the end of the scope, when all is dropped.
async fn cancelled(parked: impl Future<Output = ()> + Send, fill: impl FnOnce(&Scope<Infallible>) + Send) -> Duration {
    let mut begun = None;
    let cancelled = ramus::scope(|group: Scope<Infallible>| {
        let begun = &mut begun;
        async move {
            fill(&group);
            parked.await;
            *begun = Some(Instant::now());
            group.cancel("enough");
        }
    })
    .await;
    let time = begun.expect("the body has run").elapsed();
    assert!(cancelled.is_err(), "the cancel has cut the tasks");
    time
}

fn grow<F, L>(group: &Scope<Infallible>, tree: Tree, leaf: L)
where
    F: Future<Output = ()> + Send + 'static,
    L: Fn() -> F + Clone + Send + Sync + 'static,
{
    for _ in 0..tree.fan_out {
        match tree.below() {
            Some(below) => drop(group.spawn(branch(below, leaf.clone()))),
            None => drop(group.spawn(leaf())),
        }
    }
}

fn branch<F, L>(tree: Tree, leaf: L) -> Pin<Box<dyn Future<Output = ()> + Send>>
where
    F: Future<Output = ()> + Send + 'static,
    L: Fn() -> F + Clone + Send + Sync + 'static,
{
    Box::pin(async move {
        ramus::scope(|group: Scope<Infallible>| async move { grow(&group, tree, leaf) })
            .await
            .expect("a cancel from above is not answered");
    })
}
