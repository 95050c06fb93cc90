//! A scope whose frame has ended without it: its next poll, or its drop, against the cancel of the scope that adopted it.
//!
//! Property: either the future comes back first, and is cancelled and drains where it is, or the cancel closes the scope
//! without it, and the future drops its body without running it. The count is closed once, the adopter drains and the body
//! is dropped before the task that has it ends.
//! Threads: a canceller, the poller (main), and in one model a member of the moved scope. Bound: 2 preemptions.
//! Planted fault: a scope that comes back can still be given up.
//! Covers: D29.
#![cfg(ramus_loom)]

mod scope_bench;

use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use loom::future::block_on;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use ramus_scope::{Membership, Root, Scope, ScopeError, scope};
use scope_bench::Bench;

type Moved = Pin<Box<dyn Future<Output = Result<(), ScopeError>> + Send>>;

struct Guard(Arc<AtomicUsize>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A stray scope of `root`, with a member that is no future; `dropped` counts the drops of its body.
fn stray(root: &Root<Bench>, dropped: &Arc<AtomicUsize>) -> (Moved, Membership) {
    let (future, member) = (std::sync::Arc::new(std::sync::Mutex::new(None)), std::sync::Arc::default());
    let (out, job, guard) =
        (std::sync::Arc::clone(&future), std::sync::Arc::clone(&member), Guard(Arc::clone(dropped)));
    let mut first = root.handle().spawn(async move {
        let mut inner: Moved = Box::pin(scope(|s: Scope<Bench>| async move {
            let _guard = guard;
            *std::sync::Mutex::lock(&job).unwrap() = s.admit().ok();
            pending::<()>().await;
            Ok(())
        }));
        poll_fn(|cx| {
            assert!(inner.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        *out.lock().unwrap() = Some(inner);
    });
    assert!(Pin::new(&mut first).poll(&mut Context::from_waker(Waker::noop())).is_ready());
    let (future, member) = (future.lock().unwrap().take().unwrap(), member.lock().unwrap().take().unwrap());
    (future, member)
}

#[test]
fn poll_against_cancel() {
    loom_tests::check("scope_moved_vs_drain", 100, || {
        let root = Root::new(Bench, "root");
        let dropped = Arc::new(AtomicUsize::new(0));
        let (moved, member) = stray(&root, &dropped);
        let mut polls = 0;
        let mut second = root.handle().spawn(async move {
            poll_fn(|_| {
                polls += 1;
                if polls == 1 { Poll::Pending } else { Poll::Ready(()) }
            })
            .await;
            let _ = moved.await;
        });
        // It has started, so the cancel does not drop it unpolled.
        assert!(Pin::new(&mut second).poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let handle = root.handle().clone();
        let canceller = thread::spawn(move || {
            let first = handle.cancel("now");
            drop(member);
            first
        });
        assert!(block_on(second).unwrap_err().is_cancelled());
        assert_eq!(dropped.load(Ordering::Relaxed), 1, "the body is dropped with its task");
        assert!(canceller.join().unwrap());
        root.close();
        block_on(poll_fn(|cx| root.poll_drained(cx)));
        assert_eq!(root.handle().live(), 0);
    });
}

#[test]
fn drop_against_cancel() {
    loom_tests::check("scope_moved_vs_drain: drop", 50, || {
        let root = Root::new(Bench, "root");
        let dropped = Arc::new(AtomicUsize::new(0));
        let (moved, member) = stray(&root, &dropped);
        let handle = root.handle().clone();
        let canceller = thread::spawn(move || handle.cancel("now"));
        let job = thread::spawn(move || drop(member));
        drop(moved);
        assert_eq!(dropped.load(Ordering::Relaxed), 1);
        assert!(canceller.join().unwrap());
        root.close();
        block_on(poll_fn(|cx| root.poll_drained(cx)));
        job.join().unwrap();
        assert_eq!(root.handle().live(), 0);
    });
}
