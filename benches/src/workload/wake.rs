//! Tasks that wake themselves and each other.

use std::time::{Duration, Instant};

use futures_channel::oneshot;

use super::Workload;
use crate::Peer;

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
