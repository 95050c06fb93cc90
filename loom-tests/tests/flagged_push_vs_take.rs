//! A queue with a flag (cancelled tasks go into one): pushes against a taker that finds it dry and takes the flag back.
//!
//! Property: when nobody pushes any more, the flag is set as long as something is in the queue, so whoever looks at the flag
//! alone takes every item.
//! Threads: two pushers, the taker (main). Bound: 2 preemptions.
//! Planted fault: the flag is taken back without a second look.
//! Covers: D49.
#![cfg(ramus_loom)]

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use loom::thread;
use ramus::model::{Flagged, Locked, Sink, Thief};

/// A queue whose operations order nothing by themselves: what a deque offers at its weakest.
struct Weak(AtomicUsize);

impl Sink<()> for Weak {
    fn push(&self, (): ()) {
        self.0.fetch_add(1, Relaxed);
    }
}

impl Thief<()> for Weak {
    type Into = Locked<()>;

    fn steal_into(&self, _: &Locked<()>) -> Option<()> {
        self.steal_one()
    }

    fn steal_one(&self) -> Option<()> {
        // A load first: an empty queue may be seen as it was a while ago.
        let some = self.0.load(Relaxed) > 0;
        let take = |items: usize| items.checked_sub(1);
        (some && self.0.fetch_update(Relaxed, Relaxed, take).is_ok()).then_some(())
    }

    fn is_dry(&self) -> bool {
        self.0.load(Relaxed) == 0
    }
}

#[test]
fn no_push_hides_behind_a_flag() {
    loom_tests::check("flagged_push_vs_take", 100, || {
        let flagged = Arc::new(Flagged::new(Weak(AtomicUsize::new(0))));
        let pushers = [(); 2].map(|()| {
            let flagged = Arc::clone(&flagged);
            thread::spawn(move || flagged.push(()))
        });
        let mut taken = 0;
        for _ in 0..2 {
            if flagged.any() && flagged.take().is_some() {
                taken += 1;
            }
        }
        for pusher in pushers {
            pusher.join().unwrap();
        }
        while flagged.any() {
            taken += usize::from(flagged.take().is_some());
        }
        assert_eq!(taken, 2, "an item is left behind a flag that is clear");
    });
}
