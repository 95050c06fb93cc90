//! L11: a cancel of the root against a member that lists itself and opens a scope with a member of its own, and against a
//! member that ends.
//!
//! Property: every live descendant ends cancelled or complete; nothing deadlocks, nothing leaks.
//! Threads: a canceller, a poller (main), and in one model a job that lists itself and ends. Bound: 2 preemptions.
//! Planted fault: a scope that gets its row does not look whether what is around it is cut already.
//! Covers: D32.
#![cfg(ramus_loom)]

mod scope_bench;

use std::future::pending;
use std::task::Waker;

use loom::future::block_on;
use loom::thread;
use ramus_scope::{Root, Scope, scope};
use scope_bench::Bench;

#[test]
fn attach_against_cancel() {
    loom_tests::check("scope_tree_ops", 50, || {
        let root = Root::new(Bench, "root");
        let handle = root.handle().clone();
        let canceller = thread::spawn(move || handle.cancel("now"));
        let task = root.handle().spawn(async {
            scope(|s: Scope<Bench>| async move {
                let child = s.spawn(pending::<()>());
                // The child is polled in the body, so that one thread polls everything.
                let _ = child.await;
                pending::<()>().await;
                Ok(())
            })
            .await
        });
        let error = block_on(task).map(|_| ()).unwrap_err();
        assert!(error.is_cancelled());
        assert!(canceller.join().unwrap());
        root.close();
        block_on(std::future::poll_fn(|cx| root.poll_drained(cx)));
    });
}

#[test]
fn detach_against_cancel() {
    loom_tests::check("scope_tree_ops: detach", 10, || {
        let root = Root::new(Bench, "root");
        let handle = root.handle().clone();
        let canceller = thread::spawn(move || handle.cancel("now"));
        let mut polls = 0;
        let task = root.handle().spawn(std::future::poll_fn(move |cx| {
            polls += 1;
            if polls == 2 {
                return std::task::Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            std::task::Poll::Pending
        }));
        if let Err(error) = block_on(task) {
            assert!(error.is_cancelled());
        }
        canceller.join().unwrap();
        root.close();
        block_on(std::future::poll_fn(|cx| root.poll_drained(cx)));
    });
}

#[test]
fn attach_against_detach_against_cancel() {
    loom_tests::check("scope_tree_ops: triple", 500, || {
        let root = Root::new(Bench, "root");
        let handle = root.handle().clone();
        let mut job = root.handle().admit().unwrap();
        let canceller = thread::spawn(move || handle.cancel("now"));
        let member = thread::spawn(move || {
            job.listen(Waker::noop());
            drop(job);
        });
        let task = root.handle().spawn(async {
            scope(|s: Scope<Bench>| async move {
                let membership = s.admit();
                pending::<()>().await;
                drop(membership);
                Ok(())
            })
            .await
        });
        assert!(block_on(task).map(|_| ()).unwrap_err().is_cancelled());
        assert!(canceller.join().unwrap());
        root.close();
        block_on(std::future::poll_fn(|cx| root.poll_drained(cx)));
        member.join().unwrap();
        assert_eq!(root.handle().live(), 0);
    });
}
