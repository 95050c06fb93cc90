//! ramus: groups are scopes.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use ramus::time::Sleep;
use ramus::{Builder, Runtime, Scope};

use crate::{Peer, WORKERS};

/// The runtime of this workspace.
#[derive(Clone, Copy)]
pub struct Ramus(&'static Runtime);

impl Ramus {
    /// Starts a runtime.
    ///
    /// # Panics
    ///
    /// If its threads cannot be started.
    pub fn start() -> Ramus {
        let runtime = Builder::new_multi_thread().worker_threads(WORKERS).build().expect("ramus starts");
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

    async fn cancel_all<F: Future<Output = ()> + Send + 'static>(
        self,
        count: usize,
        task: impl Fn(usize) -> F + Send + 'static,
        parked: impl Future<Output = ()> + Send + 'static,
        _dropped: impl Future<Output = ()> + Send + 'static,
    ) -> Duration {
        let mut begun = None;
        let cancelled = ramus::scope(|group: Scope<Infallible>| {
            let begun = &mut begun;
            async move {
                for i in 0..count {
                    drop(group.spawn(task(i)));
                }
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
