//! The end of a runtime: what runs, parks or is spawned meanwhile, and who comes too late.

mod common;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use common::{runtime, wait_until, watchdog};
use ramus::ReasonKind;

/// Counts its drops.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn d48_parked_queued_and_running_tasks_are_dropped_before_drop_returns() {
    let _dog = watchdog();
    let dropped = Arc::new(AtomicUsize::new(0));
    let parked = Arc::new(AtomicUsize::new(0));
    let runtime = runtime(2);
    for _ in 0..1_000 {
        let (counted, parked) = (Counted(Arc::clone(&dropped)), Arc::clone(&parked));
        drop(runtime.spawn(async move {
            let _counted = counted;
            parked.fetch_add(1, Ordering::SeqCst);
            std::future::pending::<()>().await;
        }));
    }
    wait_until(|| parked.load(Ordering::SeqCst) == 1_000);
    for _ in 0..100 {
        let counted = Counted(Arc::clone(&dropped));
        drop(runtime.spawn(async move {
            let _counted = counted;
            loop {
                ramus::yield_now().await;
            }
        }));
    }
    drop(runtime);
    assert_eq!(dropped.load(Ordering::SeqCst), 1_100);
}

#[test]
fn d26_d33_a_task_spawned_by_a_destructor_is_refused_and_dropped() {
    struct SpawnsInDrop(Arc<AtomicUsize>, mpsc::Sender<ramus::JoinHandle<()>>);
    impl Drop for SpawnsInDrop {
        fn drop(&mut self) {
            let counted = Counted(Arc::clone(&self.0));
            let handle = ramus::spawn(async move {
                let _counted = counted;
                panic!("polled after the shutdown");
            });
            self.1.send(handle).unwrap();
        }
    }
    let _dog = watchdog();
    let dropped = Arc::new(AtomicUsize::new(0));
    let (handles, arrived) = mpsc::channel();
    let runtime = runtime(2);
    let guard = SpawnsInDrop(Arc::clone(&dropped), handles);
    let started = Arc::new(AtomicBool::new(false));
    let has_started = Arc::clone(&started);
    drop(runtime.spawn(async move {
        let _guard = guard;
        has_started.store(true, Ordering::SeqCst);
        std::future::pending::<()>().await;
    }));
    wait_until(|| started.load(Ordering::SeqCst));
    drop(runtime);
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
    let handle = arrived.recv().unwrap();
    assert!(handle.is_finished());
    let error = common::runtime(1).block_on(handle).unwrap_err();
    assert!(error.is_cancelled(), "{error}");
}

#[test]
fn d26_a_spawn_after_the_end_is_refused() {
    let _dog = watchdog();
    let runtime = runtime(1);
    let handle = runtime.handle();
    drop(runtime);
    let dropped = Arc::new(AtomicUsize::new(0));
    let counted = Counted(Arc::clone(&dropped));
    let late = handle.spawn(async move {
        let _counted = counted;
        panic!("polled after the end");
    });
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
    assert!(late.is_finished());
    // The pool is used again by now: the old handle must not reach the new runtime.
    let other = common::runtime(1);
    assert!(handle.spawn(async {}).is_finished());
    assert!(handle.try_block_on(async {}).unwrap_err().is_shut_down());
    assert!(handle.root().is_none() && handle.tree().entries().is_empty());
    assert!(other.block_on(late).unwrap_err().is_cancelled());
}

#[test]
fn a_runtime_dropped_by_its_own_task_ends_in_the_background() {
    let _dog = watchdog();
    let runtime = runtime(2);
    let handle = runtime.handle();
    let dropped = Arc::new(AtomicUsize::new(0));
    let counted = Counted(Arc::clone(&dropped));
    drop(handle.spawn(async move {
        let _counted = counted;
        std::future::pending::<()>().await;
    }));
    let task = handle.spawn(async move { drop(runtime) });
    wait_until(|| task.is_finished() && dropped.load(Ordering::SeqCst) == 1 && handle.root().is_none());
}

#[test]
fn a_runtime_dropped_inside_block_on_does_not_wait() {
    let _dog = watchdog();
    let (outer, inner) = (runtime(1), runtime(1));
    let handle = inner.handle();
    outer.block_on(async move { drop(inner) });
    wait_until(|| handle.root().is_none());
}

#[test]
fn a_block_on_is_ended_by_a_shutdown_on_another_thread() {
    let _dog = watchdog();
    let runtime = runtime(1);
    let handle = runtime.handle();
    let (started, has_started) = mpsc::channel();
    let blocked = std::thread::spawn(move || {
        handle.try_block_on(async move {
            started.send(()).unwrap();
            std::future::pending::<()>().await;
        })
    });
    has_started.recv().unwrap();
    drop(runtime);
    assert!(blocked.join().unwrap().unwrap_err().is_shut_down());
}

#[test]
fn d48_a_straggler_is_named_and_the_others_end() {
    let _dog = watchdog();
    let runtime = runtime(2);
    let release = Arc::new(AtomicBool::new(false));
    let started = Arc::new(AtomicBool::new(false));
    let (released, has_started) = (Arc::clone(&release), Arc::clone(&started));
    let mut first = true;
    drop(runtime.spawn(std::future::poll_fn(move |cx| {
        if std::mem::replace(&mut first, false) {
            // Listed from here on.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        has_started.store(true, Ordering::SeqCst);
        while !released.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
        Poll::Ready(())
    })));
    wait_until(|| started.load(Ordering::SeqCst));
    let handle = runtime.handle();
    let begun = Instant::now();
    let report = runtime.shutdown_timeout(Duration::from_millis(50));
    assert!(begun.elapsed() >= Duration::from_millis(50));
    assert!(!report.is_clean());
    let named: Vec<_> = report.stragglers().iter().map(ToString::to_string).collect();
    assert_eq!(named.len(), 1, "{report}");
    assert!(named[0].contains("shutdown.rs") && named[0].contains("running"), "{report}");
    release.store(true, Ordering::SeqCst);
    wait_until(|| handle.root().is_none());
}

#[test]
fn d48_rule7_a_grace_lets_tasks_that_listen_end_in_peace() {
    let _dog = watchdog();
    let runtime = runtime(2);
    let root = runtime.handle().root().unwrap();
    let (started, has_started) = mpsc::channel();
    let task = runtime.spawn(async move {
        started.send(()).unwrap();
        root.stopping().await;
        ramus::yield_now().await;
        "in peace"
    });
    has_started.recv().unwrap();
    let begun = Instant::now();
    assert!(runtime.shutdown(Duration::from_secs(30), Duration::from_secs(60)).is_clean());
    assert!(begun.elapsed() < Duration::from_secs(20), "nobody waits for the whole grace");
    assert_eq!(common::runtime(1).block_on(task).unwrap(), "in peace");
}

#[test]
fn d34_d48_a_shutdown_kills_what_is_shielded_in_the_last_tenth_of_its_limit() {
    let _dog = watchdog();
    let runtime = runtime(2);
    let root = runtime.handle().root().unwrap();
    let (started, has_started) = mpsc::channel();
    let (told, was_told) = mpsc::channel();
    let task = runtime.spawn(ramus_scope::shield_unbounded(async move {
        let callback = move |reason: &ramus::Reason| told.send((reason.kind(), thread::current().id())).unwrap();
        root.on_cancel(callback).detach();
        started.send(()).unwrap();
        std::future::pending::<()>().await;
    }));
    has_started.recv().unwrap();
    let begun = Instant::now();
    let report = runtime.shutdown(Duration::ZERO, Duration::from_secs(2));
    assert!(begun.elapsed() >= Duration::from_millis(1800), "the shield has its time");
    assert!(report.stragglers().is_empty(), "and no more: {report}");
    assert_eq!(report.killed().len(), 1, "it is named: {report}");
    let (kind, thread) = was_told.recv().expect("the callback ran before the runtime ended");
    assert!(kind == ReasonKind::Shutdown && thread != thread::current().id());
    assert!(common::runtime(1).block_on(task).unwrap_err().is_cancelled());
}

#[test]
fn d48_a_grace_beyond_the_limit_ends_with_it() {
    let _dog = watchdog();
    let runtime = runtime(2);
    let (started, has_started) = mpsc::channel();
    let task = runtime.spawn(async move {
        started.send(()).unwrap();
        std::future::pending::<()>().await;
    });
    has_started.recv().unwrap();
    assert!(runtime.shutdown(Duration::MAX, Duration::from_millis(500)).is_clean());
    let error = common::runtime(1).block_on(task).unwrap_err();
    let reason = error.reason().unwrap();
    assert_eq!(reason.kind(), ReasonKind::Shutdown);
    assert!(format!("{reason:#}").contains("shutdown.rs"), "it names who shut down: {reason:#}");
}

#[test]
fn a_waker_used_after_the_end_does_nothing() {
    let _dog = watchdog();
    let (wakers, arrived) = mpsc::channel::<Waker>();
    let runtime = runtime(2);
    let task = runtime.spawn(std::future::poll_fn(move |cx| {
        wakers.send(cx.waker().clone()).unwrap();
        Poll::<()>::Pending
    }));
    let waker = arrived.recv().unwrap();
    drop(runtime);
    assert!(task.is_finished());
    let next = common::runtime(2);
    for _ in 0..100 {
        waker.wake_by_ref();
    }
    let owned = waker.clone();
    owned.wake();
    assert_eq!(next.handle().metrics().inbox_pushes, 0);
    assert_eq!(next.block_on(async { ramus::spawn(async { 1 }).await.unwrap() }), 1);
    drop(next);
    drop(waker);
}

#[test]
fn tasks_that_spawn_for_ever_do_not_outlive_the_runtime() {
    fn endless(alive: Arc<AtomicUsize>) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            alive.fetch_add(1, Ordering::SeqCst);
            ramus::yield_now().await;
            drop(ramus::spawn(endless(alive)));
        })
    }
    let _dog = watchdog();
    let alive = Arc::new(AtomicUsize::new(0));
    let runtime = runtime(2);
    for _ in 0..8 {
        drop(runtime.spawn(endless(Arc::clone(&alive))));
    }
    wait_until(|| alive.load(Ordering::SeqCst) > 1_000);
    drop(runtime);
    assert_eq!(Arc::strong_count(&alive), 1);
}
