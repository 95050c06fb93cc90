//! The drop of a scope's future against the end of its last member, and a `defer` from outside: who runs the finalizers?
//!
//! Property: every finalizer that was taken runs exactly once, before the adopter drains; a refused one comes back. Nothing
//! deadlocks, nothing leaks.
//! Threads: the last member (or who defers), and main, which drops the future and polls what was spawned. Bound: 2
//! preemptions.
//! Planted fault: the drop does not look whether the scope has drained already.
//! Covers: D28, D30.
#![cfg(ramus_loom)]

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use ramus_scope::{Host, Member, MemberFuture, Membership, Root, Scope, ScopeHandle, scope};

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

loom::lazy_static! {
    /// What was spawned; read after the threads are joined.
    static ref SPAWNED: Mutex<Vec<Work>> = Mutex::new(Vec::new());
}

/// A host that keeps what it is to spawn.
#[derive(Clone)]
struct Keep;

impl Host for Keep {
    type JoinHandle<T: Send + 'static> = ();
    type Alarm = ();

    fn current() -> Option<Keep> {
        Some(Keep)
    }

    fn spawn<F>(&self, member: Member<F>)
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let future = member.into_future();
        SPAWNED.lock().unwrap().push(Box::pin(async move {
            assert!(future.await.is_ok());
        }));
    }

    fn wake_after(&self, _: Duration, _: Waker) {}

    fn wake_at(&self, _: Instant, _: Waker) {}
}

struct Draining {
    root: Root<Keep>,
    task: Pin<Box<MemberFuture<Work>>>,
    member: Membership,
    scope: ScopeHandle<Keep>,
    ran: Arc<AtomicUsize>,
}

/// A task in a scope that drains: one member is left, one finalizer is deferred.
fn draining() -> Draining {
    let root = Root::new(Keep, "root");
    let ran = Arc::new(AtomicUsize::new(0));
    let slot = Arc::new(Mutex::new(None));
    let (out, count) = (Arc::clone(&slot), Arc::clone(&ran));
    let work: Work = Box::pin(async move {
        let _ = scope(|s: Scope<Keep, io::Error>| async move {
            s.defer(async move {
                count.fetch_add(1, Ordering::Relaxed);
            })
            .unwrap();
            let member = s.admit().unwrap();
            *out.lock().unwrap() = Some((member, (*s).clone()));
            Ok(())
        })
        .await;
    });
    let mut task = Box::pin(root.handle().member(work).unwrap().into_future());
    assert!(task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    let (member, scope) = slot.lock().unwrap().take().unwrap();
    Draining { root, task, member, scope, ran }
}

/// Polls what was spawned, and ends the root.
fn finish(root: &Root<Keep>) {
    let mut cx = Context::from_waker(Waker::noop());
    root.close();
    loop {
        let Some(mut work) = SPAWNED.lock().unwrap().pop() else { break };
        assert!(root.poll_drained(&mut cx).is_pending(), "the adopter waits for the finalizers");
        assert!(work.as_mut().poll(&mut cx).is_ready());
    }
    assert_eq!(root.poll_drained(&mut cx), Poll::Ready(()));
}

#[test]
fn the_last_member_against_the_drop() {
    loom_tests::check("scope_finalizer", 10, || {
        let Draining { root, task, member, scope, ran } = draining();
        let last = thread::spawn(move || drop(member));
        drop(task);
        last.join().unwrap();
        finish(&root);
        assert_eq!(ran.load(Ordering::Relaxed), 1);
        assert!(scope.defer(async {}).is_err());
    });
}

#[test]
fn a_defer_against_the_last_member_of_a_dropped_scope() {
    loom_tests::check("scope_finalizer: defer", 10, || {
        let Draining { root, task, member, scope, ran } = draining();
        drop(task);
        let count = Arc::clone(&ran);
        let deferring = thread::spawn(move || {
            let taken = scope.defer(async move {
                count.fetch_add(1, Ordering::Relaxed);
            });
            usize::from(taken.is_ok())
        });
        drop(member);
        finish_one(&root);
        let taken = deferring.join().unwrap();
        finish(&root);
        assert_eq!(ran.load(Ordering::Relaxed), 1 + taken);
    });
}

/// Polls one that was spawned, beside whoever defers.
fn finish_one(root: &Root<Keep>) {
    let mut cx = Context::from_waker(Waker::noop());
    assert!(root.poll_drained(&mut cx).is_pending());
    let work = SPAWNED.lock().unwrap().pop();
    if let Some(mut work) = work {
        assert!(work.as_mut().poll(&mut cx).is_ready());
    }
}
