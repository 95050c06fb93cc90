//! L14. A blocking job ends while its task abandons it.
//!
//! Covers: D41.
//!
//! Property: either the task gets the outcome, or the job's thread gets it back and knows that it was abandoned; the place of
//! the job in its scope is given up once, and an abandoned job has none left by the time that it ends.
//!
//! Threads: the task (the main one) and the job's. Bound: 2 preemptions.
//!
//! Planted fault: the job is marked as abandoned in one critical section and loses its place in another.

#![cfg(ramus_loom)]

use std::task::{Poll, Waker};

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use ramus::model::{JobSlot, Outcome, Unwanted};

/// Counts how often it is given up.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn blocking_abandon() {
    loom_tests::check("blocking_abandon", 4, || {
        let given_up = Arc::new(AtomicUsize::new(0));
        let slot = Arc::new(JobSlot::new(Waker::noop().clone(), Some(Place(Arc::clone(&given_up)))));
        let job = {
            let slot = Arc::clone(&slot);
            thread::spawn(move || match slot.put(Outcome::Value(7)) {
                Ok(place) => {
                    assert!(place.is_some(), "the place was lost before the end");
                    None
                }
                Err(Unwanted { place, number, .. }) => {
                    assert!(place.is_none(), "an abandoned job still has its place");
                    number
                }
            })
        };
        if slot.abandon(3) {
            assert_eq!(given_up.load(Ordering::Relaxed), 1);
            assert_eq!(job.join().unwrap(), Some(3));
        } else {
            assert!(matches!(slot.poll(Waker::noop()), Poll::Ready(Outcome::Value(7))));
            assert_eq!(job.join().unwrap(), None);
        }
        assert_eq!(given_up.load(Ordering::Relaxed), 1);
    });
}
