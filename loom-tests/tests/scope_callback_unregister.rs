//! The unregistration of an on-cancel callback against its firing (D34).
//!
//! Property: either the callback was unregistered in time and never runs, or it runs, once, before the scope has drained.
//! Threads: a canceller, a killer, whoever unregisters (main). Bound: 2 preemptions.
//! Planted fault: the unregistration says that it was in time without looking.
#![cfg(ramus_loom)]

mod scope_clock;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};

use loom::thread;
use ramus_scope::Root;
use scope_clock::Clock;

#[test]
fn exactly_one_of_them() {
    loom_tests::check("scope_callback_unregister", 30, || {
        let clock = Clock::default();
        let root = Root::new(clock.clone(), "root");
        // Counted by an atomic that loom does not see: it lends no ordering to the model.
        let ran = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&ran);
        let callback = root.handle().on_cancel(move |reason| {
            assert!(reason.message().is_some());
            count.fetch_add(1, Ordering::Relaxed);
        });
        let (canceller, killer) = (root.handle().clone(), root.handle().clone());
        let canceller = thread::spawn(move || canceller.cancel("cancel"));
        let killer = thread::spawn(move || killer.kill("kill"));
        let in_time = callback.unregister();
        canceller.join().unwrap();
        assert!(killer.join().unwrap(), "a kill is news, before the cancel and after it");
        root.close();
        let drained = root.poll_drained(&mut Context::from_waker(Waker::noop())).is_ready();
        assert_eq!(drained, in_time, "the scope waits for a callback that is to run");
        assert_eq!(ran.load(Ordering::Relaxed), 0, "not on the stack of who cancels");
        let tasks = clock.run();
        assert_eq!(tasks, usize::from(!in_time));
        assert_eq!(usize::from(in_time) + ran.load(Ordering::Relaxed), 1);
        assert!(root.poll_drained(&mut Context::from_waker(Waker::noop())).is_ready());
    });
}
