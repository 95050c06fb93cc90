//! Children that do not play along: deaf to the soft stop, shielded for ever, blocking without a look, cancelling what they
//! are part of from their destructors. What the scope does about each, and what it says.
#![allow(missing_docs)]

mod common;
#[path = "common/jobs.rs"]
mod jobs;

use std::future::pending;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use common::{runtime, wait_until, watchdog};
use jobs::Dropped;
use ramus::{JoinHandle, ReasonKind, Scope, ScopeHandle, scope, shield, shield_unbounded};

const LONG: Duration = Duration::from_secs(3_600);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A scope in a task of `runtime` with one `child`, which has begun; its handle and its answer.
fn with_child<F>(
    runtime: &ramus::Runtime,
    child: F,
) -> (ScopeHandle, JoinHandle<Result<(), ramus::ScopeError<io::Error>>>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let (send, receive) = mpsc::channel();
    let task = runtime.spawn(scope(|s: Scope<io::Error>| async move {
        let own = (*s).clone();
        drop(s.spawn(async move {
            send.send(own).unwrap();
            child.await;
        }));
        Ok(())
    }));
    (receive.recv().unwrap(), task)
}

#[test]
fn rule7_d05_a_child_deaf_to_the_soft_stop_is_cut_after_the_grace() {
    let _dog = watchdog();
    let runtime = runtime(2);
    let dropped = Arc::new(AtomicUsize::new(0));
    let guard = Dropped(Arc::clone(&dropped));
    let (s, task) = with_child(&runtime, async move {
        let _guard = guard;
        loop {
            // It never asks.
            ramus::yield_now().await;
        }
    });
    let begun = Instant::now();
    assert!(s.stop(ms(30)));
    assert!(!s.is_cancelled() && dropped.load(Ordering::SeqCst) == 0);
    let error = runtime.block_on(task).unwrap().unwrap_err();
    assert!(begun.elapsed() >= ms(30), "the grace is the child's");
    assert!(error.is_cancelled() && !error.is_elapsed());
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
}

#[test]
fn d08_a_shield_that_does_not_end_ends_with_its_budget() {
    let _dog = watchdog();
    let runtime = runtime(2);
    let dropped = Arc::new(AtomicUsize::new(0));
    let guard = Dropped(Arc::clone(&dropped));
    let (s, task) = with_child(
        &runtime,
        shield(ms(30), async move {
            let _guard = guard;
            pending::<()>().await;
        }),
    );
    let begun = Instant::now();
    assert!(s.cancel("enough"));
    assert_eq!(dropped.load(Ordering::SeqCst), 0, "it has its budget");
    let error = runtime.block_on(task).unwrap().unwrap_err();
    assert!(begun.elapsed() >= ms(30));
    assert_eq!(error.to_string(), "the scope was cancelled: enough");
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
}

#[test]
fn d08_d48_a_shield_without_bound_is_named_by_the_tree_and_ended_by_a_kill() {
    let _dog = watchdog();
    let runtime = runtime(2);
    let (s, task) = with_child(&runtime, shield_unbounded(pending::<()>()));
    assert!(s.cancel("enough"));
    runtime.block_on(ramus::sleep(ms(20)));
    assert!(!task.is_finished(), "a cancel does not end it");
    let tree = runtime.tree().to_string();
    assert!(tree.contains("shield") && tree.contains("bad_children.rs"), "{tree}");
    assert!(s.kill("now, really"));
    let error = runtime.block_on(task).unwrap().unwrap_err();
    assert_eq!(error.to_string(), "the scope was cancelled: enough", "the first reason stays");
    assert!(!s.kill("again"));
}

#[test]
fn d41_d48_a_job_that_never_checks_is_waited_for_or_named() {
    let _dog = watchdog();
    let runtime = runtime(2);
    let (open, gate) = mpsc::channel::<()>();
    let (begins, has_begun) = mpsc::channel();
    let (s, task) = with_child(&runtime, async move {
        let job = ramus::blocking::Builder::new().name("deaf").spawn(move |_job| {
            begins.send(()).unwrap();
            let _ = gate.recv();
        });
        let _ = job.await;
    });
    has_begun.recv().unwrap();
    assert!(s.cancel("enough"));
    runtime.block_on(ramus::sleep(ms(20)));
    assert!(!task.is_finished() && s.live() > 0, "the scope waits for it");
    let handle = runtime.handle();
    let report = runtime.shutdown_timeout(ms(50));
    assert!(!report.is_clean());
    assert!(report.to_string().contains("deaf") && report.to_string().contains("bad_children.rs"), "{report}");
    drop(open);
    wait_until(|| handle.root().is_none());
    assert!(task.is_finished());
}

/// Does something to its scope when it is dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

#[test]
fn d05_d33_a_cancel_from_a_destructor_of_what_is_cancelled() {
    let _dog = watchdog();
    let runtime = runtime(4);
    for round in 0..50 {
        let repeated = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&repeated);
        let answer = runtime.block_on(scope(|s: Scope<io::Error>| async move {
            for _ in 0..8 {
                let (handle, counted) = ((*s).clone(), Arc::clone(&counted));
                let bomb = OnDrop(move || {
                    counted.fetch_add(usize::from(!handle.cancel("from a destructor")), Ordering::SeqCst);
                    assert!(!handle.stop(LONG) && handle.is_cancelled());
                    handle.kill("from a destructor");
                    assert!(handle.spawn(async { panic!("polled") }).is_finished());
                    assert!(handle.offer(async {}).is_err());
                });
                drop(s.spawn(async move {
                    let _bomb = bomb;
                    pending::<()>().await;
                }));
            }
            if round % 2 == 0 {
                ramus::yield_now().await;
            }
            s.cancel("first");
            pending::<()>().await;
        }));
        assert_eq!(answer.unwrap_err().reason().unwrap().message(), Some("first"));
        assert_eq!(repeated.load(Ordering::SeqCst), 8, "idempotent");
    }
}

/// A task's own canceller, its scope's handle and its runtime's root, all of them used while the task is being dropped.
#[test]
fn d04_d33_a_destructor_cancels_its_own_task_its_scope_and_its_runtime() {
    let _dog = watchdog();
    let runtime = runtime(2);
    let (send, receive) = mpsc::channel::<ramus::task::CancelHandle>();
    let root = runtime.handle().root().unwrap();
    let (dropped, was_dropped) = mpsc::channel();
    let (begins, has_begun) = mpsc::channel();
    let task = runtime.spawn(async move {
        let own = receive.recv().unwrap();
        begins.send(()).unwrap();
        let _bomb = OnDrop(move || {
            let own_again = own.cancel("again");
            let finished = own.is_finished();
            let all = root.cancel(ReasonKind::Shutdown);
            dropped.send((own_again, finished, all)).unwrap();
        });
        pending::<()>().await;
    });
    let canceller = task.cancel_handle();
    send.send(task.cancel_handle()).unwrap();
    has_begun.recv().unwrap();
    assert!(canceller.cancel("alone"));
    assert_eq!(was_dropped.recv().unwrap(), (false, false, true));
    assert!(canceller.is_cancelled());
    let refused = runtime.spawn(async {});
    assert!(refused.is_finished());
    assert!(runtime.shutdown_timeout(Duration::from_secs(20)).is_clean());
}
