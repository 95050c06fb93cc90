//! Handles that outlive what they are of: every method of a scope's handle, a runtime's and a task's answers, at once, when
//! the scope has ended and when its runtime is gone.
#![allow(missing_docs)]

mod common;

use std::future::pending;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use common::{runtime, watchdog};
use futures_util::FutureExt;
use ramus::{Handle, Scope, ScopeHandle, scope};

/// Every method that asks or requests; those that spawn have a file of their own.
#[track_caller]
fn ask_all(s: &ScopeHandle, was_cancelled: bool) {
    let begun = Instant::now();
    assert!(!s.cancel("too late"));
    assert!(!s.kill("too late"));
    assert!(!s.stop(Duration::ZERO));
    assert!(!s.stop(Duration::MAX));
    assert!(!s.stop_then_kill(Duration::ZERO, Duration::ZERO));
    let signals = Arc::new(AtomicUsize::new(0));
    let polled = Arc::clone(&signals);
    s.stop_on(
        async move {
            polled.fetch_add(1, Ordering::SeqCst);
        },
        Duration::ZERO,
    );
    assert_eq!((signals.load(Ordering::SeqCst), Arc::strong_count(&signals)), (0, 1), "dropped unpolled");
    for deadline in [None, Some(begun), Some(begun + Duration::from_secs(3_600))] {
        let error = s.set_deadline(deadline).unwrap_err();
        assert!(error.is_closed() && !error.is_elapsed());
        assert_eq!(error.to_string(), "the scope has ended");
    }
    assert_eq!((s.is_cancelled(), s.reason().is_some()), (was_cancelled, was_cancelled));
    assert_eq!(s.cancelled().now_or_never().is_some(), was_cancelled);
    assert_eq!(s.stopping().now_or_never().is_some(), s.is_stopping());
    assert!(s.admit().is_err());
    assert_eq!((s.live(), s.name(), s.task_limit()), (0, Some("late"), None));
    assert!(s.tree().len() <= 1, "nothing is left in it");
    let (_, _, _) = (s.deadline(), s.later_reasons(), s.value::<Tenant>());
    let ran = Arc::new(AtomicUsize::new(0));
    let runs = Arc::clone(&ran);
    let callback = s.on_cancel(move |_| {
        runs.fetch_add(1, Ordering::SeqCst);
    });
    let _ = callback.unregister();
    assert_eq!(ran.load(Ordering::SeqCst), 0, "no user code runs after the end");
    assert_eq!(s.run(|| 7), 7);
    assert!(!format!("{s:?}").is_empty());
    assert!(begun.elapsed() < Duration::from_secs(5), "something waited");
}

struct Tenant;

impl ramus::ScopeValue for Tenant {}

fn opened() -> ramus::ScopeBuilder {
    ramus::ScopeBuilder::new().name("late")
}

#[test]
fn d04_d12_d26_a_scope_that_has_ended_answers_every_call() {
    let _dog = watchdog();
    let runtime = runtime(2);
    let peaceful = runtime.block_on(opened().open(|s: Scope<io::Error>| async move { Ok((*s).clone()) })).unwrap();
    ask_all(&peaceful, false);
    let (send, receive) = mpsc::channel();
    let cancelled = runtime.block_on(opened().open(|s: Scope<io::Error>| async move {
        send.send((*s).clone()).unwrap();
        s.cancel("by itself");
        pending::<()>().await;
    }));
    assert_eq!(cancelled.unwrap_err().to_string(), "the scope was cancelled: by itself");
    ask_all(&receive.recv().unwrap(), true);
}

#[test]
fn d04_d26_d48_a_scope_that_outlives_its_runtime_answers_every_call() {
    let _dog = watchdog();
    let runtime = runtime(2);
    let (send, receive) = mpsc::channel();
    drop(runtime.spawn(async move {
        let _ = opened()
            .open(|s: Scope<io::Error>| async move {
                let registered = s.on_cancel(|_| {});
                send.send(((*s).clone(), registered)).unwrap();
                pending::<()>().await;
            })
            .await;
    }));
    let (s, registered) = receive.recv().unwrap();
    let root = runtime.handle().root().unwrap();
    // Closed and drained, it has ended, though no cancel ever came to it.
    let background = runtime.handle().background("late");
    drop(runtime);
    assert!(!registered.unregister(), "it has run");
    ask_all(&s, true);
    assert_eq!(s.reason().unwrap().to_string(), "cancelled: shutdown");
    ask_all(&background, true);
    assert!(!root.cancel("too late") && root.is_cancelled());
    assert!(root.set_deadline(Instant::now()).unwrap_err().is_closed());
    assert!(root.spawn(async {}).is_finished());
}

#[test]
fn d26_d48_a_handle_and_what_it_made_outlive_the_runtime() {
    let _dog = watchdog();
    let runtime = runtime(2);
    let handle = runtime.handle();
    let mut finished = handle.spawn(async { 7 });
    let shared = handle.spawn(pending::<()>()).shared();
    let mut parked = handle.spawn(pending::<()>());
    let canceller = parked.cancel_handle();
    runtime.block_on(async {
        while !finished.is_finished() {
            ramus::yield_now().await;
        }
    });
    drop(runtime);
    assert_eq!(finished.try_result().unwrap().unwrap(), 7, "a result that was there stays");
    assert!(!parked.cancel("too late") && !canceller.cancel("too late") && !shared.cancel("too late"));
    assert!(parked.is_finished() && canceller.is_finished() && shared.is_finished());
    assert_eq!(parked.try_result().unwrap().unwrap_err().to_string(), "the task was cancelled: shutdown");
    assert_eq!(shared.try_result().unwrap().unwrap_err().to_string(), "the task was cancelled: shutdown");
    assert_eq!(shared.now_or_never().unwrap().unwrap_err().to_string(), "the task was cancelled: shutdown");
    assert!(handle.root().is_none() && handle.tree().entries().is_empty());
    let _ = (handle.name(), handle.workers(), handle.metrics());
    let entered = handle.enter();
    assert!(Handle::current() == handle);
    let refused = [ramus::spawn(async {}), handle.spawn(async {}), handle.spawn_blocking(|| ())];
    for mut refused in refused {
        assert_eq!(refused.try_result().unwrap().unwrap_err().to_string(), "the task was cancelled: shutdown");
    }
    drop(entered);
    assert_eq!(handle.try_block_on(async {}).unwrap_err().to_string(), "the ramus runtime was shut down");
}

/// What waits on another executor for something of a runtime that goes: woken, not forgotten.
#[test]
fn d48_waits_on_another_executor_end_with_the_runtime() {
    let _dog = watchdog();
    let runtime = runtime(2);
    let (send, receive) = mpsc::channel();
    let task = runtime.spawn(async move {
        let _ = scope(|s: Scope<io::Error>| async move {
            send.send((*s).clone()).unwrap();
            pending::<()>().await;
        })
        .await;
    });
    let s = receive.recv().unwrap();
    let (waiting, is_waiting) = mpsc::channel();
    let waits = std::thread::spawn(move || {
        let other = common::runtime(1);
        other.block_on(async {
            let (cancelled, stopping) = (s.cancelled(), s.stopping());
            waiting.send(()).unwrap();
            let joined = futures_util::join!(cancelled, stopping, task);
            joined.2.unwrap_err().to_string()
        })
    });
    is_waiting.recv().unwrap();
    drop(runtime);
    assert_eq!(waits.join().unwrap(), "the task was cancelled: shutdown");
}
