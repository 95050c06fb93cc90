//! A cancel's walk against a task that keeps a boundary: it polls it when that was woken, or never again.
//!
//! Property: a task that rests elsewhere ends, whatever it keeps: no wake is lost, and what is kept holds it back only until
//! it was woken and not polled. A boundary that is polled whenever it was woken is not abandoned, although its task is also
//! polled for other reasons: it goes on to its end.
//! Threads: a canceller, the poller (main). Bound: 2 preemptions.
//! Planted fault: a poll that begins between the marking and the waking of a walk takes itself for one that knows what was
//! woken.
//! Covers: rule 5.
#![cfg(ramus_loom)]

mod scope_bench;

use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use loom::future::block_on;
use loom::sync::Mutex;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use ramus_scope::{Root, Scope, ScopeError, scope, shield_unbounded};
use scope_bench::Bench;

/// Polls once.
async fn once<F: Future + Unpin>(mut future: F) {
    let polled = poll_fn(|cx| Poll::Ready(Pin::new(&mut future).poll(cx))).await;
    assert!(polled.is_pending());
}

/// The task of `root` polls `kept` once and rests elsewhere; a cancel comes, in or after its first poll.
fn rests_elsewhere<F: Future + Send + 'static>(root: &Root<Bench>, kept: F, has_begun: bool) {
    let mut task = root.handle().spawn(async move {
        let mut kept = Box::pin(kept);
        once(&mut kept).await;
        pending::<()>().await;
    });
    if has_begun {
        assert!(Pin::new(&mut task).poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    let handle = root.handle().clone();
    let canceller = thread::spawn(move || handle.cancel("now"));
    assert!(block_on(task).unwrap_err().is_cancelled());
    assert!(canceller.join().unwrap());
    root.close();
    assert_eq!(root.handle().live(), 0);
}

#[test]
fn a_kept_shield_does_not_hold_its_task_for_ever() {
    loom_tests::check("scope_kept_boundary", 100, || {
        rests_elsewhere(&Root::new(Bench, "root"), shield_unbounded(pending::<()>()), false);
    });
}

#[test]
fn nor_does_a_kept_scope_with_a_shield_in_it() {
    loom_tests::check("scope_kept_boundary: scope", 100, || {
        let kept = async {
            let _: Result<(), ScopeError> = scope(|_: Scope<Bench>| async {
                shield_unbounded(pending::<()>()).await;
                Ok(())
            })
            .await;
        };
        rests_elsewhere(&Root::new(Bench, "root"), kept, true);
    });
}

/// The waker of one part of a task, as a combinator has it: the part is polled only when it was woken.
struct Part {
    woken: AtomicUsize,
    task: Mutex<Waker>,
}

impl Wake for Part {
    fn wake(self: Arc<Self>) {
        self.woken.swap(1, Ordering::AcqRel);
        let task = self.task.lock().unwrap().clone();
        task.wake();
    }
}

/// Polls `kept` first, and then whenever it was woken; ready when that is.
async fn when_woken<F: Future + Unpin>(mut kept: F) {
    let part = Arc::new(Part { woken: AtomicUsize::new(1), task: Mutex::new(Waker::noop().clone()) });
    let waker = Waker::from(Arc::clone(&part));
    poll_fn(|cx| {
        let newer = cx.waker().clone();
        let older = std::mem::replace(&mut *part.task.lock().unwrap(), newer);
        drop(older);
        if part.woken.swap(0, Ordering::AcqRel) == 0 {
            return Poll::Pending;
        }
        Pin::new(&mut kept).poll(&mut Context::from_waker(&waker)).map(drop)
    })
    .await;
}

#[test]
fn a_boundary_that_is_polled_when_it_was_woken_runs_to_its_end() {
    loom_tests::check("scope_kept_boundary: polled", 100, || {
        let root = Root::new(Bench, "root");
        let ended = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&ended);
        let mut task = root.handle().spawn(async move {
            let mut polls = 0;
            let inside = poll_fn(move |_| {
                polls += 1;
                if polls == 1 { Poll::Pending } else { Poll::Ready(()) }
            });
            when_woken(Box::pin(shield_unbounded(inside))).await;
            seen.store(1, Ordering::Relaxed);
            pending::<()>().await;
        });
        // It has begun, and `block_on` polls it once more although nothing has woken what it keeps.
        assert!(Pin::new(&mut task).poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let handle = root.handle().clone();
        let canceller = thread::spawn(move || handle.cancel("now"));
        assert!(block_on(task).unwrap_err().is_cancelled());
        assert_eq!(ended.load(Ordering::Relaxed), 1, "the shield was dropped before it was polled again");
        assert!(canceller.join().unwrap());
        root.close();
        assert_eq!(root.handle().live(), 0);
    });
}
