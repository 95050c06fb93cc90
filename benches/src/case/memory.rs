//! W8: what a parked task occupies.

use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use super::{Case, Samples, Scale};
use crate::process::resident;
use crate::{Peer, WORKERS};

/// `tasks` tasks in a group, each of which has stored its waker: 24 bytes of state.
pub(super) struct Parked {
    pub(super) tasks: usize,
}

/// How many are parked. Not a field of theirs: that would be 8 bytes more.
static PARKED: AtomicUsize = AtomicUsize::new(0);

#[derive(Default)]
struct Park {
    waker: Option<Waker>,
    polls: usize,
}

impl Future for Park {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.polls == 0 {
            PARKED.fetch_add(1, Ordering::Release);
        }
        self.polls += 1;
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Park {
    fn drop(&mut self) {
        if self.polls != 0 {
            PARKED.fetch_sub(1, Ordering::Release);
        }
    }
}

impl Case for Parked {
    fn run<P: Peer>(&self, start: impl Fn(usize) -> P, _scale: Scale) -> Result<Samples, String> {
        const { assert!(size_of::<Park>() == 24) };
        static FULL: Mutex<Option<Result<f64, String>>> = Mutex::new(None);
        let tasks = self.tasks;
        let peer = start(WORKERS);
        let reached = async move |wanted| {
            while PARKED.load(Ordering::Acquire) != wanted {
                peer.yield_now().await;
            }
        };
        // The threads are up, and have their own memory.
        peer.run(async move { peer.join_all(100, move |_| peer.yield_now()).await });
        let empty = resident()?;
        peer.run(async move {
            let parked = async move {
                reached(tasks).await;
                *FULL.lock().expect("nobody panics") = Some(resident());
            };
            peer.cancel_all(tasks, |_| Park::default(), parked, async move { reached(0).await }).await;
        });
        let full = FULL.lock().expect("nobody panics").take().expect("all were parked")?;
        Ok(Samples::default().with("bytes", (full - empty) / tasks as f64))
    }
}
