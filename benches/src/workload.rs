//! The workloads, each once for all peers. Each returns the time that counts and does nothing else in it.

use std::future::{pending, poll_fn};
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use futures_channel::oneshot;

use crate::Peer;

/// Something to be timed on a peer.
pub trait Workload {
    /// The name in tables.
    fn name(&self) -> &'static str;

    /// How many operations one run does; the time of a run is shared out among them.
    fn operations(&self) -> usize;

    /// Runs it once.
    fn time<P: Peer>(&self, peer: P) -> Duration;
}

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

/// W2: `tasks` tasks that yield `yields` times each.
#[derive(Clone, Copy, Debug)]
pub struct Yields {
    /// Tasks of the group.
    pub tasks: usize,
    /// Yields of each task.
    pub yields: usize,
}

impl Workload for Yields {
    fn name(&self) -> &'static str {
        "yield"
    }

    fn operations(&self) -> usize {
        self.tasks * self.yields
    }

    fn time<P: Peer>(&self, peer: P) -> Duration {
        let Yields { tasks, yields } = *self;
        peer.run(async move {
            let begun = Instant::now();
            peer.join_all(tasks, move |_| async move {
                for _ in 0..yields {
                    peer.yield_now().await;
                }
            })
            .await;
            begun.elapsed()
        })
    }
}

/// W3: `pairs` tasks, each of which starts a partner and exchanges a message both ways over two oneshots.
#[derive(Clone, Copy, Debug)]
pub struct PingPong {
    /// Pairs of tasks.
    pub pairs: usize,
}

impl Workload for PingPong {
    fn name(&self) -> &'static str {
        "ping-pong"
    }

    fn operations(&self) -> usize {
        self.pairs
    }

    fn time<P: Peer>(&self, peer: P) -> Duration {
        let PingPong { pairs } = *self;
        peer.run(async move {
            let begun = Instant::now();
            peer.join_all(pairs, move |_| async move {
                let (ping, pinged) = oneshot::channel();
                let (pong, ponged) = oneshot::channel();
                peer.spawn(async move {
                    let message: usize = pinged.await.expect("the ping is sent");
                    pong.send(message + 1).expect("the pong is awaited");
                });
                ping.send(1).expect("the ping is awaited");
                assert_eq!(ponged.await, Ok(2));
            })
            .await;
            begun.elapsed()
        })
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

/// W6a: each of `tasks` tasks registers `sleeps` sleeps with deadlines spread over 10 minutes, and then drops them.
/// The boxes that hold them are made before and freed after.
#[derive(Clone, Copy, Debug)]
pub struct RegisterSleeps {
    /// Tasks of the group.
    pub tasks: usize,
    /// Sleeps of each task.
    pub sleeps: usize,
}

impl Workload for RegisterSleeps {
    fn name(&self) -> &'static str {
        match self.tasks {
            1 => "register and drop sleeps, one task",
            _ => "register and drop sleeps, many tasks",
        }
    }

    fn operations(&self) -> usize {
        self.tasks * self.sleeps
    }

    fn time<P: Peer>(&self, peer: P) -> Duration {
        let RegisterSleeps { tasks, sleeps } = *self;
        peer.run(async move {
            let longest = Arc::new(AtomicUsize::new(0));
            let times = Arc::clone(&longest);
            peer.join_all(tasks, move |_| register(peer, sleeps, Arc::clone(&times))).await;
            Duration::from_nanos(longest.load(Ordering::Relaxed) as u64)
        })
    }
}

async fn register<P: Peer>(peer: P, sleeps: usize, longest: Arc<AtomicUsize>) {
    const SPREAD: Duration = Duration::from_secs(600);
    let mut slots: Vec<Pin<Box<Option<P::Sleep>>>> = (0..sleeps).map(|_| Box::pin(None)).collect();
    let begun = Instant::now();
    poll_fn(|cx| {
        for (i, slot) in slots.iter_mut().enumerate() {
            // Neither the first nor in order: 7919 is a prime, so every deadline occurs.
            let part = (i * 7919 % sleeps) as f64 / sleeps as f64;
            slot.set(Some(peer.sleep(SPREAD.mul_f64(0.01 + part))));
            let sleep = slot.as_mut().as_pin_mut().expect("just set");
            assert!(sleep.poll(cx).is_pending(), "it is not due");
        }
        Poll::Ready(())
    })
    .await;
    for slot in &mut slots {
        slot.set(None);
    }
    longest.fetch_max(begun.elapsed().as_nanos() as usize, Ordering::Relaxed);
}

/// W6b: two tasks that run `rounds` yields each, every one under a time-out of 30 s.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// Yields of each of the two tasks.
    pub rounds: usize,
}

impl Workload for Timeouts {
    fn name(&self) -> &'static str {
        "yield under a timeout"
    }

    fn operations(&self) -> usize {
        2 * self.rounds
    }

    fn time<P: Peer>(&self, peer: P) -> Duration {
        let Timeouts { rounds } = *self;
        peer.run(async move {
            let begun = Instant::now();
            peer.join_all(2, move |_| async move {
                for _ in 0..rounds {
                    let ended = peer.timeout(Duration::from_secs(30), peer.yield_now());
                    assert!(ended.await, "a yield does not take 30 s");
                }
            })
            .await;
            begun.elapsed()
        })
    }
}

/// W7a: cancels a group of `tasks` parked tasks and waits until all of them are dropped.
#[derive(Clone, Copy, Debug)]
pub struct CancelParked {
    /// Tasks of the group.
    pub tasks: usize,
}

impl Workload for CancelParked {
    fn name(&self) -> &'static str {
        "cancel parked tasks"
    }

    fn operations(&self) -> usize {
        self.tasks
    }

    fn time<P: Peer>(&self, peer: P) -> Duration {
        let CancelParked { tasks } = *self;
        peer.run(async move {
            let parked = Arc::new(Count::default());
            let dropped = Arc::new(Count::default());
            let task = {
                let (parked, dropped) = (Arc::clone(&parked), Arc::clone(&dropped));
                move |_| park(Arc::clone(&parked), AtDrop(Arc::clone(&dropped)))
            };
            let all_dropped = {
                let dropped = Arc::clone(&dropped);
                async move { dropped.reaches(peer, tasks).await }
            };
            let time =
                peer.cancel_all(tasks, task, async move { parked.reaches(peer, tasks).await }, all_dropped).await;
            assert_eq!(dropped.0.load(Ordering::Acquire), tasks, "all are dropped");
            time
        })
    }
}

async fn park(parked: Arc<Count>, at_drop: AtDrop) {
    parked.0.fetch_add(1, Ordering::Release);
    drop(parked);
    pin!(pending::<()>()).await;
    drop(at_drop);
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Count {
    async fn reaches<P: Peer>(&self, peer: P, wanted: usize) {
        while self.0.load(Ordering::Acquire) < wanted {
            peer.yield_now().await;
        }
    }
}

/// Counts when it is dropped.
struct AtDrop(Arc<Count>);

impl Drop for AtDrop {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Ordering::Release);
    }
}
