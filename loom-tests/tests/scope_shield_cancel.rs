//! L19: a cancel against a task that enters and leaves a shield.
//!
//! Property: one of two orders is seen: the cancel came first and the task never ran, or the shield was entered first and
//! everything in it ran to its end. What is in the shield is never dropped half-way; what comes after it never runs.
//! Threads: a canceller, the poller (main). Bound: 2 preemptions.
//! Planted fault: what is in a shield takes itself for cut.
//! Covers: D7, rule 4.
#![cfg(ramus_loom)]

mod scope_bench;

use std::future::{pending, poll_fn};
use std::task::Poll;

use loom::future::block_on;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use ramus_scope::{Root, shield_unbounded};
use scope_bench::Bench;

#[test]
fn one_of_two_orders() {
    loom_tests::check("scope_shield_cancel", 10, || {
        let root = Root::new(Bench, "root");
        let handle = root.handle().clone();
        let canceller = thread::spawn(move || handle.cancel("now"));
        let progress = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&progress);
        let task = root.handle().spawn(async move {
            shield_unbounded(async {
                seen.store(1, Ordering::Relaxed);
                let mut polled = false;
                poll_fn(|cx| {
                    if polled {
                        return Poll::Ready(());
                    }
                    polled = true;
                    cx.waker().wake_by_ref();
                    Poll::Pending
                })
                .await;
                assert!(!ramus_scope::is_cut(), "the cancel is not seen through the shield");
                seen.store(2, Ordering::Relaxed);
            })
            .await;
            pending::<()>().await;
            seen.store(3, Ordering::Relaxed);
        });
        let error = block_on(task).unwrap_err();
        let end = progress.load(Ordering::Relaxed);
        assert_eq!(end, if error.never_started() { 0 } else { 2 });
        assert!(canceller.join().unwrap());
        root.close();
    });
}
