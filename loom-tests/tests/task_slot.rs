//! The next slot of a worker: its owner against a neighbour that takes from it.
//!
//! Property: what is put into the slot is taken once, by one of the two, who finds the task as it was put in; what the
//! neighbour takes makes room for the next one, and nothing is lost or left behind.
//! Threads: the owner, who fills, takes, and fills again; a neighbour that takes.
//! Bound: 2 preemptions.
//! Planted fault: a fill that does not release. The neighbour then polls a future that it may not have seen written.

#![cfg(ramus_loom)]

mod task_bench;

use std::future::poll_fn;
use std::panic::Location;
use std::sync::Arc;
use std::task::Poll;

use loom::cell::UnsafeCell;
use loom::sync::atomic::AtomicUsize;
use loom::sync::atomic::Ordering::Relaxed;
use loom::thread;
use ramus::model::{Polled, Ran, Runnable, Slot};
use task_bench::{bench, unscheduled};

/// A value that the task's maker writes and its poll reads.
struct Written(UnsafeCell<u32>);

// SAFETY: the slot has to order the write before the read; loom reports it if it does not.
unsafe impl Send for Written {}
// SAFETY: as above.
unsafe impl Sync for Written {}

fn run(runnable: Option<Runnable>) {
    if let Some(runnable) = runnable {
        assert!(matches!(runnable.run(&Polled::new()), Ran::Done));
    }
}

#[test]
fn an_owner_and_a_neighbour() {
    loom_tests::check("task_slot", 10, || {
        let (queue, root) = bench();
        let runs = Arc::new(AtomicUsize::new(0));
        let task = || {
            let runs = Arc::clone(&runs);
            let written = Written(UnsafeCell::new(0));
            written.0.with_mut(|value| {
                // SAFETY: nobody else has it yet.
                unsafe { *value = 7 }
            });
            let future = poll_fn(move |_| {
                let written = &written;
                written.0.with(|value| {
                    // SAFETY: the property.
                    assert_eq!(unsafe { *value }, 7);
                });
                runs.fetch_add(1, Relaxed);
                Poll::Ready(())
            });
            let member = root.handle().member(future).unwrap_or_else(|_| unreachable!("the scope is open"));
            unscheduled(queue, member, Location::caller())
        };
        let slot = Arc::new(Slot::new());
        let neighbour = {
            let slot = Arc::clone(&slot);
            thread::spawn(move || run(slot.take()))
        };
        slot.fill(task());
        // Whether or not the neighbour was faster, it is empty after this.
        run(slot.take());
        slot.fill(task());
        neighbour.join().unwrap();
        run(slot.take());
        assert!(slot.take().is_none());
        assert_eq!(runs.load(Relaxed), 2);
    });
}
