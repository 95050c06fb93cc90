//! Starting tasks and waiting for them.

use std::hint::black_box;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_channel::oneshot;
use futures_lite::future::block_on;

use super::Workload;
use crate::Peer;

/// W1: spawns `tasks` trivial tasks from a worker and waits for all.
#[derive(Clone, Copy, Debug)]
pub struct SpawnJoin {
    /// Tasks of the group.
    pub tasks: usize,
}

impl Workload for SpawnJoin {
    fn name(&self) -> &'static str {
        "spawn and join"
    }

    fn operations(&self) -> usize {
        self.tasks
    }

    fn time<P: Peer>(&self, peer: P) -> Duration {
        let SpawnJoin { tasks } = *self;
        peer.run(async move {
            let begun = Instant::now();
            peer.join_all(tasks, async |i| {
                black_box(i);
            })
            .await;
            begun.elapsed()
        })
    }
}

/// W7c: as W1, with one yield in each task.
#[derive(Clone, Copy, Debug)]
pub struct SpawnYieldJoin {
    /// Tasks of the group.
    pub tasks: usize,
}

impl Workload for SpawnYieldJoin {
    fn name(&self) -> &'static str {
        "spawn, yield, join"
    }

    fn operations(&self) -> usize {
        self.tasks
    }

    fn time<P: Peer>(&self, peer: P) -> Duration {
        let SpawnYieldJoin { tasks } = *self;
        peer.run(async move {
            let begun = Instant::now();
            peer.join_all(tasks, move |_| peer.yield_now()).await;
            begun.elapsed()
        })
    }
}

/// What W7c compares with: tasks with one yield each and without a group; the last one says that all have ended.
#[derive(Clone, Copy, Debug)]
pub struct SpawnBare {
    /// How many.
    pub tasks: usize,
}

impl Workload for SpawnBare {
    fn name(&self) -> &'static str {
        "spawn, yield, count"
    }

    fn operations(&self) -> usize {
        self.tasks
    }

    fn time<P: Peer>(&self, peer: P) -> Duration {
        let SpawnBare { tasks } = *self;
        peer.run(async move {
            let begun = Instant::now();
            let (last, all_ended) = Last::of(tasks);
            for _ in 0..tasks {
                let last = Arc::clone(&last);
                peer.spawn(async move {
                    peer.yield_now().await;
                    last.ended();
                });
            }
            all_ended.await.expect("the last one says so");
            begun.elapsed()
        })
    }
}

/// W4b: a thread that is no worker starts `tasks` trivial tasks and waits until all have ended.
#[derive(Clone, Copy, Debug)]
pub struct Outside {
    /// How many.
    pub tasks: usize,
}

impl Workload for Outside {
    fn name(&self) -> &'static str {
        "spawn from outside"
    }

    fn operations(&self) -> usize {
        self.tasks
    }

    fn time<P: Peer>(&self, peer: P) -> Duration {
        let begun = Instant::now();
        let (last, all_ended) = Last::of(self.tasks);
        for _ in 0..self.tasks {
            let last = Arc::clone(&last);
            peer.spawn_outside(async move { last.ended() });
        }
        block_on(all_ended).expect("the last one says so");
        begun.elapsed()
    }
}

/// Counts tasks without a group, and speaks when the last one has ended.
struct Last {
    left: AtomicUsize,
    say: std::sync::Mutex<Option<oneshot::Sender<()>>>,
}

impl Last {
    fn of(tasks: usize) -> (Arc<Last>, oneshot::Receiver<()>) {
        let (say, said) = oneshot::channel();
        (Arc::new(Last { left: AtomicUsize::new(tasks), say: Some(say).into() }), said)
    }

    fn ended(&self) {
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            let say = self.say.lock().expect("nobody panics").take().expect("there is one last task");
            say.send(()).expect("it is waited for");
        }
    }
}

/// W4: a chain of `hops` tasks, each of which spawns the next.
#[derive(Clone, Copy, Debug)]
pub struct Chain {
    /// Length of the chain.
    pub hops: usize,
}

impl Workload for Chain {
    fn name(&self) -> &'static str {
        "chain"
    }

    fn operations(&self) -> usize {
        self.hops
    }

    fn time<P: Peer>(&self, peer: P) -> Duration {
        let Chain { hops } = *self;
        peer.run(async move {
            let begun = Instant::now();
            let (end, ended) = oneshot::channel();
            hop(peer, hops, end);
            ended.await.expect("the chain ends");
            begun.elapsed()
        })
    }
}

fn hop<P: Peer>(peer: P, left: usize, end: oneshot::Sender<()>) {
    peer.spawn(async move {
        match left {
            0 => end.send(()).expect("the end is awaited"),
            left => hop(peer, left - 1, end),
        }
    });
}

/// W5: Fibonacci numbers by recursion, with a task for each left branch.
#[derive(Clone, Copy, Debug)]
pub struct Fib {
    /// The number's place.
    pub n: u32,
}

impl Workload for Fib {
    fn name(&self) -> &'static str {
        "fork and join"
    }

    fn operations(&self) -> usize {
        // Each call above the lowest two forks once.
        fn forks(n: u32) -> usize {
            if n < 2 { 0 } else { 1 + forks(n - 1) + forks(n - 2) }
        }
        forks(self.n)
    }

    fn time<P: Peer>(&self, peer: P) -> Duration {
        let Fib { n } = *self;
        peer.run(async move {
            let begun = Instant::now();
            black_box(fib(peer, n).await);
            begun.elapsed()
        })
    }
}

fn fib<P: Peer>(peer: P, n: u32) -> Pin<Box<dyn Future<Output = u64> + Send>> {
    Box::pin(async move {
        if n < 2 {
            return n.into();
        }
        let (left, right) = peer.fork_join(fib(peer, n - 1), fib(peer, n - 2)).await;
        left + right
    })
}
