//! L10: cancel against the registration and the deregistration of a waiter, and cancel against cancel.
//!
//! Property: whoever waits for the cancel wakes, whichever of the two comes first; exactly one canceller is the first.
//! Threads: a waiter, two cancellers (one is main); two waiters, one of which gives up, and a canceller (main). Bound: 2
//! preemptions.
//! Planted fault: the waiter does not ask again after it listed itself.
//! Covers: D5, D32.
#![cfg(ramus_loom)]

mod scope_bench;

use std::future::Future;
use std::task::{Context, Waker};

use loom::future::block_on;
use loom::thread;
use ramus_scope::Root;
use scope_bench::Bench;

#[test]
fn a_waiter_wakes_and_one_canceller_is_first() {
    loom_tests::check("scope_cancel_register", 100, || {
        let root = Root::new(Bench, "root");
        let (waiting, other) = (root.handle().clone(), root.handle().clone());
        let waiter = thread::spawn(move || {
            block_on(waiting.cancelled());
            assert!(waiting.is_cancelled());
        });
        let canceller = thread::spawn(move || other.cancel("other"));
        let first = root.handle().cancel("main");
        let second = canceller.join().unwrap();
        assert!(first ^ second, "exactly one of them is the first");
        let reason = root.handle().reason().unwrap();
        assert_eq!(reason.message() == Some("main"), first, "the first reason stays");
        waiter.join().unwrap();
        root.close();
    });
}

#[test]
fn a_waiter_that_gives_up_takes_nobody_with_it() {
    loom_tests::check("scope_cancel_register: deregistration", 100, || {
        let root = Root::new(Bench, "root");
        let (leaving, waiting) = (root.handle().clone(), root.handle().clone());
        let leaver = thread::spawn(move || {
            let mut waiter = Box::pin(leaving.cancelled());
            let seen = waiter.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            drop(waiter);
            assert!(seen.is_pending() || leaving.is_cancelled());
        });
        let waiter = thread::spawn(move || block_on(waiting.cancelled()));
        assert!(root.handle().cancel("main"));
        leaver.join().unwrap();
        waiter.join().unwrap();
        root.close();
    });
}
