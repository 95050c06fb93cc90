//! L12: closing a scope against an admission from outside and against the wake of a member.
//!
//! Property: an admission is either counted before the drain or refused; after the drain nobody is inside and nobody gets
//! in; a refused future is not polled.
//! Threads: a spawner, the last member, the closer (main). Bound: 2 preemptions.
//! Planted fault: an admission is granted after the drain.
//! Covers: D26, D27.
#![cfg(ramus_loom)]

mod scope_bench;

use loom::future::block_on;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use ramus_scope::Root;
use scope_bench::Bench;

#[test]
fn counted_or_refused() {
    loom_tests::check("scope_close_spawn_wake", 50, || {
        let root = Root::new(Bench, "root");
        let inside = Arc::new(AtomicUsize::new(0));
        let last = root.handle().admit().unwrap();
        let (handle, count) = (root.handle().clone(), Arc::clone(&inside));
        let spawner = thread::spawn(move || {
            if let Ok(membership) = handle.admit() {
                count.fetch_add(1, Ordering::Relaxed);
                count.fetch_sub(1, Ordering::Relaxed);
                drop(membership);
                true
            } else {
                false
            }
        });
        let member = thread::spawn(move || drop(last));
        root.close();
        block_on(std::future::poll_fn(|cx| root.poll_drained(cx)));
        assert_eq!(inside.load(Ordering::Relaxed), 0);
        assert_eq!(root.handle().live(), 0, "nobody is admitted after the drain");
        assert!(root.handle().admit().is_err());
        member.join().unwrap();
        spawner.join().unwrap();
        assert_eq!(root.handle().live(), 0);
    });
}
