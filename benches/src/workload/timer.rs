//! Sleeps and time-outs.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use super::Workload;
use crate::Peer;

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
