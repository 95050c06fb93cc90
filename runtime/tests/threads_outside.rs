//! Threads outside of the runtime take part in its scopes.

mod common;
#[path = "common/jobs.rs"]
mod jobs;

use std::future::pending;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use common::{runtime, wait_until, watchdog};
use jobs::{Dropped, open_scope};
use ramus::Scope;
use ramus::blocking::{block_on_in, try_block_on_in};

#[test]
fn d32_threads_outside_cancel_and_spawn() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let (s, ended) = open_scope(&runtime);
    let drops = Arc::new(AtomicUsize::new(0));
    std::thread::scope(|threads| {
        for _ in 0..4 {
            let (s, drops) = (&s, &drops);
            threads.spawn(move || {
                for _ in 0..50 {
                    let (task, job) = (Dropped(Arc::clone(drops)), Dropped(Arc::clone(drops)));
                    drop(s.spawn(async move {
                        let _owned = task;
                        pending::<()>().await;
                    }));
                    drop(s.spawn_blocking(move |_| drop(job)));
                }
            });
        }
        threads.spawn(|| {
            wait_until(|| s.live() > 50);
            s.cancel("from outside");
            assert!(s.is_cancelled());
        });
    });
    assert!(runtime.block_on(ended).unwrap());
    assert_eq!(drops.load(Ordering::SeqCst), 400);
}

#[test]
fn d32_a_thread_outside_runs_a_future_in_a_scope() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let (s, ended) = open_scope(&runtime);
    // Not `Send`, and it borrows.
    let local = std::rc::Rc::new(41);
    let sum = block_on_in(&s, async {
        assert!(!ramus::is_cancelled());
        // The ambient scope is that one.
        *local + ramus::spawn(async { 1 }).await.unwrap()
    });
    assert_eq!(sum.unwrap(), 42);
    // It is cancelled with the scope, and the scope waits for it.
    let drops = Arc::new(AtomicUsize::new(0));
    let (begun, wait) = mpsc::channel();
    let (far, owned) = (s.clone(), Dropped(Arc::clone(&drops)));
    let outside = std::thread::spawn(move || {
        block_on_in(&far, async move {
            let _owned = owned;
            begun.send(()).unwrap();
            pending::<()>().await;
        })
    });
    wait.recv().unwrap();
    s.cancel("enough");
    assert!(runtime.block_on(ended).unwrap());
    assert_eq!(drops.load(Ordering::SeqCst), 1);
    let error = outside.join().unwrap().unwrap_err();
    assert_eq!(error.reason().unwrap().message(), Some("enough"));
    // D26: what comes later is dropped unpolled.
    let error = block_on_in(&s, async { unreachable!("it was polled") }).map(|(): ()| ()).unwrap_err();
    assert!(error.never_started());
}

#[test]
fn d22_a_panic_in_block_on_in_fails_the_scope() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let panic = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async {
            let _ = ramus::scope(|s: Scope<io::Error>| async move {
                let inside = s.spawn_blocking(|job| {
                    let answer = block_on_in(job.scope(), async { panic!("in the future") });
                    answer.map(|(): ()| ()).unwrap_err().is_panic()
                });
                let _ = inside.await;
                Ok(())
            })
            .await;
        });
    }));
    assert_eq!(panic.unwrap_err().downcast_ref::<&str>(), Some(&"in the future"));
}

#[test]
fn block_on_in_is_refused_where_tasks_run() {
    let _watchdog = watchdog();
    let (first, second) = (runtime(2), runtime(1));
    let root = second.handle().root().unwrap();
    let far = root.clone();
    let refused = move || {
        let error = try_block_on_in(&far, async { unreachable!("it was polled") }).map(|_: Result<(), _>| ());
        let error = error.unwrap_err();
        assert!(error.is_nested(), "{error}");
        assert!(error.to_string().contains("already runs"), "{error}");
    };
    let also = refused.clone();
    first.block_on(first.spawn(async move { refused() })).unwrap();
    first.block_on(async move { also() });
    drop(second);
    assert!(try_block_on_in(&root, async {}).unwrap_err().is_shut_down());
    let panic = catch_unwind(AssertUnwindSafe(|| block_on_in(&root, async {})));
    assert!(panic.unwrap_err().downcast_ref::<String>().unwrap().contains("shut down"));
}
