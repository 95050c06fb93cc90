//! Spawning and joining, from inside and outside.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{runtime, watchdog};

#[test]
fn a_task_returns_its_value() {
    let _dog = watchdog();
    let runtime = runtime(2);
    let value = runtime.block_on(async { ramus::spawn(async { 42 }).await });
    assert_eq!(value.unwrap(), 42);
}

#[test]
fn a_hundred_thousand_tasks_spawned_by_a_worker_all_run() {
    let _dog = watchdog();
    let runtime = runtime(2);
    let ran = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&ran);
    let joined = runtime.block_on(async move {
        ramus::spawn(async move {
            let handles: Vec<_> = (0..100_000)
                .map(|_| {
                    let ran = Arc::clone(&ran);
                    ramus::spawn(async move { ran.fetch_add(1, Ordering::Relaxed) })
                })
                .collect();
            let mut joined = 0;
            for handle in handles {
                handle.await.unwrap();
                joined += 1;
            }
            joined
        })
        .await
        .unwrap()
    });
    assert_eq!((joined, seen.load(Ordering::Relaxed)), (100_000, 100_000));
}

#[test]
fn nested_spawns_reach_the_bottom() {
    fn nest(depth: u32) -> std::pin::Pin<Box<dyn Future<Output = u32> + Send>> {
        Box::pin(async move { if depth == 0 { 0 } else { 1 + ramus::spawn(nest(depth - 1)).await.unwrap() } })
    }
    let _dog = watchdog();
    assert_eq!(runtime(2).block_on(nest(1_000)), 1_000);
}

#[test]
fn threads_outside_spawn_together() {
    let _dog = watchdog();
    let runtime = runtime(2);
    let handle = runtime.handle();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            std::thread::spawn(move || {
                let tasks: Vec<_> = (0..5_000).map(|i| handle.spawn(async move { i })).collect();
                handle.block_on(async {
                    let mut sum = 0_u64;
                    for task in tasks {
                        sum += task.await.unwrap();
                    }
                    sum
                })
            })
        })
        .collect();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), 4_999 * 5_000 / 2);
    }
    let metrics = handle.metrics();
    assert!(metrics.tasks_spawned >= 20_000, "{metrics:?}");
    assert!(metrics.inbox_pushes >= 20_000, "{metrics:?}");
}

#[test]
fn a_scope_joins_what_is_spawned_into_it() {
    let _dog = watchdog();
    let ran = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&ran);
    runtime(2).block_on(async move {
        ramus::scope(|s: ramus::Scope| async move {
            for _ in 0..1_000 {
                let ran = Arc::clone(&ran);
                drop(s.spawn(async move {
                    ramus::yield_now().await;
                    ran.fetch_add(1, Ordering::Relaxed);
                }));
            }
            Ok(())
        })
        .await
        .unwrap();
    });
    assert_eq!(seen.load(Ordering::Relaxed), 1_000);
}

#[test]
fn a_hundred_thousand_panics_do_not_cost_a_worker() {
    let _dog = watchdog();
    std::panic::set_hook(Box::new(|_| {}));
    let runtime = runtime(2);
    let panicked = runtime.block_on(async {
        ramus::spawn(async {
            let mut panicked = 0;
            for _ in 0..1_000 {
                let batch: Vec<_> = (0..100).map(|_| ramus::spawn(async { panic!("on purpose") })).collect();
                for task in batch {
                    panicked += usize::from(task.await.unwrap_err().is_panic());
                }
            }
            panicked
        })
        .await
        .unwrap()
    });
    let _ = std::panic::take_hook();
    assert_eq!(panicked, 100_000);
    // Both workers still poll: two tasks that wait for each other on a barrier need both.
    let barrier = Arc::new(std::sync::Barrier::new(2));
    runtime.block_on(async {
        let two = [barrier.clone(), barrier].map(|barrier| ramus::spawn(async move { barrier.wait() }));
        for one in two {
            one.await.unwrap();
        }
    });
}

#[test]
fn a_panic_of_the_root_future_resumes_on_the_caller() {
    let _dog = watchdog();
    let runtime = runtime(1);
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| runtime.block_on(async { panic!("root") })));
    assert_eq!(caught.unwrap_err().downcast_ref::<&str>(), Some(&"root"));
    assert_eq!(runtime.block_on(async { 1 }), 1);
}
