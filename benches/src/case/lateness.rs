//! W6c: many sleeps that end within one second: how late each is, and what all of them cost.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use super::{Case, Samples, Scale};
use crate::process::own_cpu;
use crate::{Peer, WORKERS};

/// `timers` tasks, asleep until deadlines that lie evenly within a second.
pub(super) struct Lateness {
    pub(super) timers: usize,
}

/// What it takes to start them all.
const BEFORE: Duration = Duration::from_millis(500);

impl Case for Lateness {
    fn run<P: Peer>(&self, start: impl Fn(usize) -> P, _scale: Scale) -> Result<Samples, String> {
        let timers = self.timers;
        let peer = start(WORKERS);
        let late: Arc<[AtomicI64]> = (0..timers).map(|_| AtomicI64::new(i64::MIN)).collect();
        let cpu = own_cpu();
        let first = Instant::now() + BEFORE;
        let slots = Arc::clone(&late);
        peer.run(async move {
            peer.join_all(timers, move |i| {
                let slots = Arc::clone(&slots);
                // Not in order: 7919 is a prime, so every deadline occurs.
                let due = first + Duration::from_secs(1).mul_f64((i * 7919 % timers) as f64 / timers as f64);
                async move {
                    peer.sleep(due.saturating_duration_since(Instant::now())).await;
                    let woke = Instant::now();
                    let late = woke.saturating_duration_since(due).as_nanos() as i64;
                    let early = due.saturating_duration_since(woke).as_nanos() as i64;
                    slots[i].store(late - early, Ordering::Relaxed);
                }
            })
            .await;
        });
        let cpu = own_cpu() - cpu;
        let mut late: Vec<i64> = late.iter().map(|slot| slot.load(Ordering::Relaxed)).collect();
        late.sort_unstable();
        let early = late.partition_point(|&late| late < 0);
        Ok(Samples::default()
            .with("p50_us", late[timers / 2] as f64 / 1e3)
            .with("p99_us", late[timers * 99 / 100] as f64 / 1e3)
            .with("cpu_ns", cpu.as_nanos() as f64 / timers as f64)
            .with("early", early as f64))
    }
}
