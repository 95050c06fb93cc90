//! W11: how long a parked task takes to run after a thread outside has woken it, while all workers sleep.

use std::thread;
use std::time::{Duration, Instant};

use futures_channel::{mpsc, oneshot};
use futures_lite::StreamExt;

use super::{Case, Samples, Scale};
use crate::{Peer, WORKERS};

/// Wakes a task again and again.
pub(super) struct WakeFromOutside {
    pub(super) wakes: usize,
}

/// Between two wakes, so that every worker has gone to sleep.
const PAUSE: Duration = Duration::from_millis(2);

impl Case for WakeFromOutside {
    fn run<P: Peer>(&self, start: impl Fn(usize) -> P, _scale: Scale) -> Result<Samples, String> {
        let peer = start(WORKERS);
        let (wake, mut woken) = mpsc::unbounded::<Instant>();
        let (tell, told) = oneshot::channel();
        peer.spawn_outside(async move {
            let mut times = Vec::new();
            while let Some(sent) = woken.next().await {
                times.push(sent.elapsed().as_nanos() as f64);
            }
            tell.send(times).expect("the times are waited for");
        });
        for _ in 0..self.wakes {
            thread::sleep(PAUSE);
            wake.unbounded_send(Instant::now()).map_err(|_| "the task has ended")?;
        }
        drop(wake);
        let mut times = futures_lite::future::block_on(told).map_err(|_| "the task was lost")?;
        times.sort_by(f64::total_cmp);
        Ok(Samples::default().with("p50_ns", times[times.len() / 2]).with("p99_ns", times[times.len() * 99 / 100]))
    }
}
