//! Property: idle bits and search tokens are exact. A worker that finds its bit cleared owns the token that the claimer
//! made before, whatever woke it, so the number of tokens never falls below zero and ends at zero; and while one worker
//! works and another one is idle, one is the sentinel.
//!
//! Threads: two workers that go idle and wake by themselves (as by an event or a time-out), a claimer; a sentinel that
//! resigns, and one that begins to work, against a worker that begins or parks. Bound: 2
//! preemptions.
//!
//! Planted fault: the sentinel resigns without looking at the idle bits again.
#![cfg(ramus_loom)]

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;
use ramus::model::{Park, Sleep};

/// Goes idle and wakes up by itself; gives back what it got meanwhile.
fn nap(sleep: &Sleep, me: usize) {
    let token = match sleep.park_unless(me, || false) {
        Park::Commit => sleep.end_idle(me),
        Park::Work(_) => unreachable!("the look finds nothing"),
    };
    if let Some(token) = token {
        let (_, searching) = sleep.counts();
        assert!((1..=2).contains(&searching), "{searching} tokens while one is held");
        sleep.end_search(token);
    }
}

#[test]
fn a_claim_meets_workers_that_wake_by_themselves() {
    loom_tests::check("sleep_idle_accounting", 150, || {
        let sleep = Arc::new(Sleep::new(2));
        let (one, two) = (Arc::clone(&sleep), Arc::clone(&sleep));
        let first = thread::spawn(move || nap(&one, 0));
        let second = thread::spawn(move || nap(&two, 1));
        // The claimed worker keeps the token, and gives it back when it wakes.
        let _claimed = sleep.claim();
        first.join().unwrap();
        second.join().unwrap();
        assert_eq!(sleep.counts(), (0, 0));
    });
}

#[test]
fn a_sentinel_that_resigns_meets_a_worker_that_begins() {
    loom_tests::check("sleep_idle_accounting, sentinel", 15, || {
        let sleep = Arc::new(Sleep::new(2));
        // Both are idle, and worker 0 has watched so far.
        assert!(matches!(sleep.park_unless(0, || false), Park::Commit));
        assert!(sleep.watch(0));
        assert!(matches!(sleep.park_unless(1, || false), Park::Commit));
        let asks_for_one = Arc::new(AtomicBool::new(false));
        let (begins, asks) = (Arc::clone(&sleep), Arc::clone(&asks_for_one));
        let begins = thread::spawn(move || {
            assert!(begins.end_idle(1).is_none(), "nobody claimed it");
            asks.store(begins.begin_work(1), Ordering::Relaxed);
        });
        let resigned = sleep.resign(0);
        begins.join().unwrap();
        assert!(!resigned || asks_for_one.load(Ordering::Relaxed), "worker 1 works and nobody watches it");
    });
}

#[test]
fn a_sentinel_that_begins_to_work_meets_a_worker_that_parks() {
    loom_tests::check("sleep_idle_accounting, handover", 10, || {
        let sleep = Arc::new(Sleep::new(2));
        // Worker 0 has watched worker 1, and found work for itself.
        assert!(matches!(sleep.park_unless(0, || false), Park::Commit));
        assert!(sleep.watch(0));
        let parks = Arc::clone(&sleep);
        let parks = thread::spawn(move || {
            assert!(matches!(parks.park_unless(1, || false), Park::Commit));
            parks.watch(1)
        });
        assert!(sleep.end_idle(0).is_none(), "nobody claimed it");
        let asks_for_one = sleep.begin_work(0);
        let watches = parks.join().unwrap();
        assert!(watches || asks_for_one, "worker 0 works and nobody watches it");
    });
}
