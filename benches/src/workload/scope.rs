//! What a group costs besides its tasks.

use std::time::{Duration, Instant};

use super::Workload;
use crate::Peer;

/// W12: groups of `tasks` trivial tasks, opened and closed one after another; an operation is a group.
#[derive(Clone, Copy, Debug)]
pub struct Groups {
    /// How many groups.
    pub groups: usize,
    /// Tasks of each.
    pub tasks: usize,
}

impl Workload for Groups {
    fn name(&self) -> &'static str {
        "open and close a group"
    }

    fn operations(&self) -> usize {
        self.groups
    }

    fn time<P: Peer>(&self, peer: P) -> Duration {
        let Groups { groups, tasks } = *self;
        peer.run(async move {
            let begun = Instant::now();
            for _ in 0..groups {
                peer.join_all(tasks, async |_| {}).await;
            }
            begun.elapsed()
        })
    }
}

/// W12: two tasks that answer requests: for each a group with one task that yields, under a time-out of 30 s.
#[derive(Clone, Copy, Debug)]
pub struct Requests {
    /// Requests of each of the two tasks.
    pub rounds: usize,
}

impl Workload for Requests {
    fn name(&self) -> &'static str {
        "a group and a time-out per request"
    }

    fn operations(&self) -> usize {
        2 * self.rounds
    }

    fn time<P: Peer>(&self, peer: P) -> Duration {
        let Requests { rounds } = *self;
        peer.run(async move {
            let begun = Instant::now();
            peer.join_all(2, move |_| async move {
                for _ in 0..rounds {
                    let request = peer.join_all(1, move |_| peer.yield_now());
                    assert!(peer.timeout(Duration::from_secs(30), request).await, "a yield does not take 30 s");
                }
            })
            .await;
            begun.elapsed()
        })
    }
}

/// W13: two tasks of one group that start `each` trivial tasks in it.
#[derive(Clone, Copy, Debug)]
pub struct HotGroup {
    /// Tasks that each of the two starts.
    pub each: usize,
}

impl Workload for HotGroup {
    fn name(&self) -> &'static str {
        "one group, all workers"
    }

    fn operations(&self) -> usize {
        2 * self.each
    }

    fn time<P: Peer>(&self, peer: P) -> Duration {
        let HotGroup { each } = *self;
        peer.run(async move {
            let begun = Instant::now();
            peer.join_crowd(2, each).await;
            begun.elapsed()
        })
    }
}
