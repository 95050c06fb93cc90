//! Property: an unpark ends the current or the next park, and what was written before it is visible after.
//!
//! Threads: the owner, two unparkers. Bound: 2 preemptions. A lost unpark is a deadlock that loom reports.
//!
//! Planted fault: the unparker does not go through the lock before it notifies.
#![cfg(ramus_loom)]

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;
use ramus::model::Parker;

/// Written by an unparker, read by the owner: only the parker orders the two.
struct Letter(UnsafeCell<u32>);

// SAFETY: loom checks each access.
unsafe impl Sync for Letter {}
// SAFETY: it holds a number.
unsafe impl Send for Letter {}

#[test]
fn an_unpark_is_not_lost_and_carries_what_came_before() {
    loom_tests::check("parker", 8, || {
        let shared = Arc::new((Parker::new(), Letter(UnsafeCell::new(0))));
        let unparker = Arc::clone(&shared);
        let unparker = thread::spawn(move || {
            // SAFETY: the owner reads it after the unpark only.
            unparker.1.0.with_mut(|letter| unsafe { *letter = 7 });
            unparker.0.unpark();
        });
        shared.0.park();
        // SAFETY: the only writer has unparked.
        assert_eq!(shared.1.0.with(|letter| unsafe { *letter }), 7);
        unparker.join().unwrap();
    });
}

#[test]
fn two_unparkers_and_a_condition() {
    loom_tests::check("parker, two unparkers", 300, || {
        let shared = Arc::new((Parker::new(), [AtomicBool::new(false), AtomicBool::new(false)]));
        let unparkers: Vec<_> = (0..2)
            .map(|index| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    shared.1[index].store(true, Ordering::Relaxed);
                    shared.0.unpark();
                })
            })
            .collect();
        // The loop of `block_on`: looks, then parks. Relaxed flags: the parker alone must make them visible.
        while !(shared.1[0].load(Ordering::Relaxed) && shared.1[1].load(Ordering::Relaxed)) {
            shared.0.park();
        }
        for unparker in unparkers {
            unparker.join().unwrap();
        }
    });
}
