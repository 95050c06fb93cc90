//! Work for the whole process, and roots that users make.

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use common::{runtime, wait_until, watchdog};
use ramus::{Scope, ScopeBuilder, ScopeValue, scope_value};
use ramus_scope::Root;

/// Counts its drops.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn d47_the_same_name_gives_the_same_scope() {
    let _dog = watchdog();
    let runtime = runtime(2);
    let audit = runtime.handle().background("audit");
    let (open, gate) = mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    let task = audit.spawn(async move { gate.lock().unwrap().try_recv().is_ok() });
    runtime.block_on(task).unwrap();
    drop(open);
    runtime.block_on(async {
        let known = ramus::background("audit");
        let pending = known.spawn(std::future::pending::<()>());
        assert!(audit.live() >= 1, "the same scope");
        assert_eq!(ramus::background("statistics").live(), 0, "another one");
        pending.cancel("enough");
        assert!(pending.await.unwrap_err().is_cancelled());
    });
    let names: Vec<_> = runtime.tree().entries().iter().filter_map(|entry| entry.name.clone()).collect();
    assert_eq!(names.iter().filter(|name| *name == "audit").count(), 1, "{names:?}");
    assert!(names.contains(&"statistics".to_owned()));
}

#[test]
fn d47_work_in_the_background_outlives_its_scope_and_holds_no_block_on() {
    let _dog = watchdog();
    let runtime = runtime(2);
    let dropped = Arc::new(AtomicUsize::new(0));
    let counted = Counted(Arc::clone(&dropped));
    runtime.block_on(async {
        ramus::scope(|_s: Scope| async move {
            drop(ramus::background("metrics").spawn(async move {
                let _counted = counted;
                std::future::pending::<()>().await;
            }));
        })
        .await
        .unwrap();
    });
    assert_eq!(dropped.load(Ordering::SeqCst), 0, "it runs on");
    assert!(runtime.shutdown_timeout(Duration::from_secs(60)).is_clean());
    assert_eq!(dropped.load(Ordering::SeqCst), 1, "the shutdown waited for it");
}

#[test]
fn d47_failures_stay_with_their_handles() {
    let _dog = watchdog();
    let runtime = runtime(2);
    runtime.block_on(async {
        let audit = ramus::background("audit");
        let bad = audit.spawn(async { panic!("a bug") });
        assert!(bad.await.unwrap_err().is_panic());
        assert!(!audit.is_cancelled());
        assert_eq!(audit.spawn(async { 1 }).await.unwrap(), 1);
    });
}

#[test]
fn d47_d48_a_shutdown_is_soft_then_hard_in_the_background_too() {
    let _dog = watchdog();
    let runtime = runtime(2);
    let (told, news) = mpsc::channel();
    let audit = runtime.handle().background("audit");
    let (polite, stubborn) = (told.clone(), told);
    let scope = audit.clone();
    drop(audit.spawn(async move {
        scope.stopping().await;
        polite.send("polite").unwrap();
    }));
    let guard = Counted(Arc::new(AtomicUsize::new(0)));
    let dropped = Arc::clone(&guard.0);
    drop(audit.spawn(async move {
        let _guard = guard;
        let _stubborn = stubborn;
        std::future::pending::<()>().await;
    }));
    let report = runtime.shutdown(Duration::from_millis(20), Duration::from_secs(60));
    assert!(report.is_clean(), "{report}");
    assert_eq!(news.iter().collect::<Vec<_>>(), ["polite"]);
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
}

#[test]
fn d26_d47_after_a_shutdown_has_begun_the_background_refuses() {
    let _dog = watchdog();
    let runtime = runtime(2);
    let handle = runtime.handle();
    let known = handle.background("known");
    let (begun, seen) = mpsc::channel();
    // A task that holds the shutdown up until it has tried.
    let root = handle.root().unwrap();
    drop(runtime.spawn(async move {
        root.stopping().await;
        let late = ramus::background("late").spawn(async { panic!("polled") });
        let known = ramus::background("known").spawn(async { panic!("polled") });
        begun.send((late.await.unwrap_err(), known.await.unwrap_err())).unwrap();
    }));
    assert!(runtime.shutdown(Duration::from_secs(60), Duration::from_secs(60)).is_clean());
    let (late, open) = seen.recv().unwrap();
    assert!(late.never_started() && open.never_started());
    // The runtime is gone altogether.
    for scope in [known, handle.background("known"), handle.background("new")] {
        assert!(scope.offer(async {}).is_err());
        let refused = scope.spawn(async { panic!("polled") });
        assert!(common::runtime(1).block_on(refused).unwrap_err().never_started());
    }
}

#[test]
fn d47_a_straggler_in_the_background_is_named() {
    let _dog = watchdog();
    let runtime = runtime(2);
    let (open, gate) = mpsc::channel::<()>();
    let started = Arc::new(AtomicUsize::new(0));
    let has_started = Arc::clone(&started);
    let audit = runtime.handle().background("audit");
    drop(ramus::task::Builder::new().name("stuck").spawn_in(&audit, async move {
        ramus::yield_now().await;
        has_started.store(1, Ordering::SeqCst);
        ramus::shield_unbounded(std::future::poll_fn(move |cx| match gate.try_recv() {
            Err(mpsc::TryRecvError::Empty) => {
                cx.waker().wake_by_ref();
                std::task::Poll::Pending
            }
            Ok(()) | Err(mpsc::TryRecvError::Disconnected) => std::task::Poll::Ready(()),
        }))
        .await;
    }));
    wait_until(|| started.load(Ordering::SeqCst) == 1);
    let report = runtime.shutdown_timeout(Duration::from_millis(20));
    assert!(!report.is_clean());
    // It may be killed in time, or be left.
    let named = |task: &ramus::Straggler| task.entry().name.as_deref() == Some("stuck");
    assert!(report.killed().iter().chain(report.stragglers()).any(named), "{report}");
    drop(open);
}

#[test]
fn a_root_of_a_user_ends_with_the_runtime() {
    let _dog = watchdog();
    let runtime = runtime(2);
    let handle = runtime.handle();
    let held = Root::new(handle, "held");
    let dropped = Arc::new(AtomicUsize::new(0));
    let polled = Arc::new(AtomicUsize::new(0));
    for _ in 0..10 {
        let (counted, polled) = (Counted(Arc::clone(&dropped)), Arc::clone(&polled));
        drop(held.handle().spawn(async move {
            let _counted = counted;
            polled.fetch_add(1, Ordering::SeqCst);
            std::future::pending::<()>().await;
        }));
    }
    wait_until(|| polled.load(Ordering::SeqCst) == 10);
    assert!(runtime.tree().to_string().contains("held"));
    // The root is still held: the shutdown does not wait for that.
    assert!(runtime.shutdown_timeout(Duration::from_secs(60)).is_clean());
    assert_eq!(dropped.load(Ordering::SeqCst), 10);
    // Another runtime may live in the same place now; nothing gets there.
    let next = common::runtime(2);
    assert!(held.handle().offer(async {}).is_err());
    let refused = held.handle().spawn(async { panic!("polled") });
    assert!(next.block_on(refused).unwrap_err().never_started());
    let late = Root::new(handle, "late");
    assert!(late.handle().is_cancelled());
    let refused = late.handle().spawn(async { panic!("polled") });
    assert!(next.block_on(refused).unwrap_err().never_started());
    drop((held, late));
}

struct Request(u32);
impl ScopeValue for Request {}

fn request() -> Option<u32> {
    scope_value::<Request>().map(|request| request.0)
}

#[test]
fn values_are_seen_by_tasks_and_blocking_jobs() {
    let _dog = watchdog();
    let runtime = runtime(2);
    runtime.block_on(async {
        ScopeBuilder::new()
            .value(Request(7))
            .open(|s: Scope| async move {
                assert_eq!(s.value::<Request>().map(|request| request.0), Some(7));
                assert_eq!(request(), Some(7));
                assert_eq!(ramus::spawn(async { request() }).await?, Some(7));
                assert_eq!(ramus::spawn_blocking(request).await?, Some(7));
                assert_eq!(ramus::blocking::unblock(|_| request()).await, Some(7));
                assert_eq!(ramus::background("elsewhere").spawn(async { request() }).await?, None);
                Ok(())
            })
            .await
            .unwrap();
        assert_eq!(request(), None);
    });
}
