//! Blocking jobs: members of their scope, from the queue to the last thing that they own.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use ramus::blocking::{spawn_blocking_with, unblock};
use ramus::{Builder, Runtime, Scope, spawn_blocking};

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).build().unwrap()
}

/// A runtime whose pool has one thread.
fn narrow() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).max_blocking_threads(1).build().unwrap()
}

/// Counts its drops.
struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn values_come_back() {
    let runtime = runtime();
    let sum = runtime.block_on(async {
        let jobs: Vec<_> = (0..100u64).map(|n| spawn_blocking(move || n)).collect();
        let mut sum = 0;
        for job in jobs {
            sum += job.await.unwrap();
        }
        sum
    });
    assert_eq!(sum, 4950);
}

#[test]
fn blocking_jobs_run_beside_each_other() {
    let runtime = runtime();
    runtime.block_on(async {
        // Each waits for the other one: only two threads can end this.
        let (to_b, at_b) = mpsc::channel();
        let (to_a, at_a) = mpsc::channel();
        let a = spawn_blocking(move || {
            to_b.send(1).unwrap();
            at_a.recv().unwrap()
        });
        let b = spawn_blocking(move || {
            to_a.send(2).unwrap();
            at_b.recv().unwrap()
        });
        assert_eq!((a.await.unwrap(), b.await.unwrap()), (2, 1));
    });
}

#[test]
fn a_job_knows_its_runtime() {
    let runtime = runtime();
    let handle = runtime.handle();
    let (inside, spawned, blocked) = runtime.block_on(spawn_in_root(async {
        spawn_blocking(|| {
            let handle = ramus::Handle::current();
            let spawned = ramus::spawn(async { 3 });
            (handle, handle.block_on(spawned).unwrap(), handle.block_on(async { 4 }))
        })
        .await
        .unwrap()
    }));
    assert_eq!(inside, handle);
    assert_eq!((spawned, blocked), (3, 4));
}

async fn spawn_in_root<F>(future: F) -> F::Output
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    ramus::spawn(future).await.unwrap()
}

#[test]
fn d41_d47_the_scope_waits_for_a_job_whose_handle_is_dropped() {
    let runtime = runtime();
    let done = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&done);
    runtime.block_on(async move {
        let (open, gate) = mpsc::channel::<()>();
        let result = ramus::scope(|s: Scope<io::Error>| async move {
            drop(s.spawn(unblock(move |_| {
                gate.recv().unwrap();
                seen.store(true, Ordering::SeqCst);
            })));
            open.send(()).unwrap();
            Ok(())
        });
        result.await.unwrap();
        assert!(done.load(Ordering::SeqCst), "the scope ended before its job");
    });
}

#[test]
fn d41_a_cancelled_scope_waits_for_a_running_job_and_what_it_owns() {
    let runtime = runtime();
    let drops = Arc::new(AtomicUsize::new(0));
    let owned = Dropped(Arc::clone(&drops));
    let counted = Arc::clone(&drops);
    runtime.block_on(async move {
        let (begun, wait) = mpsc::channel();
        let result = ramus::scope(|s: Scope<io::Error>| async move {
            let job = s.spawn(unblock(move |job| {
                begun.send(()).unwrap();
                while !job.is_cancelled() {
                    std::thread::yield_now();
                }
                // What it returns is wanted by nobody any more, and dropped before the scope ends.
                owned
            }));
            let begun = spawn_blocking(move || wait.recv().unwrap());
            begun.await.unwrap();
            s.cancel("enough");
            drop(job.await);
            Ok(())
        });
        let error = result.await.unwrap_err();
        assert!(error.is_cancelled());
        assert_eq!(counted.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn d03_d41_a_job_that_has_not_begun_is_removed() {
    let runtime = narrow();
    let ran = Arc::new(AtomicBool::new(false));
    let drops = Arc::new(AtomicUsize::new(0));
    runtime.block_on(async {
        let (open, gate) = mpsc::channel::<()>();
        let (begun, wait) = mpsc::channel();
        let first = spawn_blocking(move || {
            begun.send(()).unwrap();
            let _ = gate.recv();
        });
        while wait.try_recv().is_err() {
            ramus::yield_now().await;
        }
        let (seen, owned) = (Arc::clone(&ran), Dropped(Arc::clone(&drops)));
        let second = spawn_blocking(move || {
            seen.store(true, Ordering::SeqCst);
            drop(owned);
        });
        second.cancel("not needed");
        let error = second.await.unwrap_err();
        assert!(error.is_cancelled());
        assert_eq!(drops.load(Ordering::SeqCst), 1, "the closure outlives its job");
        drop(open);
        first.await.unwrap();
    });
    drop(runtime);
    assert!(!ran.load(Ordering::SeqCst));
}

#[test]
fn d41_a_cancelled_scope_removes_its_queued_jobs() {
    let runtime = narrow();
    let drops = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&drops);
    runtime.block_on(async move {
        let (open, gate) = mpsc::channel::<()>();
        let blocker = spawn_blocking(move || gate.recv().unwrap_err());
        let error = ramus::scope(|s: Scope<io::Error>| async move {
            for _ in 0..50 {
                let owned = Dropped(Arc::clone(&counted));
                drop(s.spawn(unblock(move |_| drop(owned))));
            }
            s.cancel("enough");
            Ok(())
        })
        .await
        .unwrap_err();
        assert!(error.is_cancelled());
        // The only thread is still in the first job: nothing of the others ran, and nothing of them is left.
        assert_eq!(drops.load(Ordering::SeqCst), 50);
        drop(open);
        blocker.await.unwrap();
    });
}

#[test]
fn a_panic_reaches_the_handle_and_fails_the_scope() {
    let runtime = runtime();
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        runtime.block_on(async {
            let _ = ramus::scope(|s: Scope<io::Error>| async move {
                let job = s.spawn(unblock(|_| panic!("in the job")));
                let error = job.await.map(|(): ()| ()).unwrap_err();
                assert!(error.is_panic());
                Ok(())
            })
            .await;
        });
    }));
    let payload = panic.unwrap_err();
    assert_eq!(payload.downcast_ref::<&str>(), Some(&"in the job"));
    // The pool lives on.
    assert_eq!(runtime.block_on(spawn_in_root(async { unblock(|_| 5).await })), 5);
}

#[test]
fn a_panic_after_the_cancel_fails_the_scope_all_the_same() {
    let runtime = runtime();
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        runtime.block_on(async {
            let (begun, wait) = mpsc::channel();
            let _ = ramus::scope(|s: Scope<io::Error>| async move {
                let job = s.spawn(unblock(move |job| {
                    begun.send(()).unwrap();
                    while !job.is_cancelled() {
                        std::thread::yield_now();
                    }
                    panic!("late");
                }));
                while wait.try_recv().is_err() {
                    ramus::yield_now().await;
                }
                s.cancel("enough");
                job.await.map(|(): ()| ()).unwrap_err();
                Ok(())
            })
            .await;
        });
    }));
    let payload = panic.expect_err("the panic of a job that nobody awaits vanished");
    assert_eq!(payload.downcast_ref::<&str>(), Some(&"late"));
}

#[test]
fn shielded_code_of_a_cancelled_scope_can_still_block() {
    let runtime = runtime();
    runtime.block_on(async {
        let (begun, wait_begun) = mpsc::channel();
        let (answer, wait) = mpsc::channel();
        let cancelled = Arc::new(AtomicBool::new(false));
        let _ = ramus::scope(|s: Scope<io::Error>| async move {
            let seen = Arc::clone(&cancelled);
            drop(s.spawn(ramus::shield(Duration::from_secs(60), async move {
                begun.send(()).unwrap();
                while !seen.load(Ordering::SeqCst) {
                    ramus::yield_now().await;
                }
                answer.send(unblock(|_| 6).await).unwrap();
            })));
            while wait_begun.try_recv().is_err() {
                ramus::yield_now().await;
            }
            s.cancel("enough");
            cancelled.store(true, Ordering::SeqCst);
            Ok(())
        })
        .await;
        assert_eq!(wait.try_recv(), Ok(6), "the scope ended before its shielded code");
    });
}

#[test]
fn a_dropped_wait_keeps_its_scope_open() {
    let runtime = runtime();
    runtime.block_on(async {
        let (begun, wait) = mpsc::channel();
        let (open, gate) = mpsc::channel::<()>();
        let done = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&done);
        let _ = ramus::scope(|s: Scope<io::Error>| async move {
            let dropped = Arc::new(AtomicBool::new(false));
            let flag = Arc::clone(&dropped);
            drop(s.spawn(async move {
                let mut work = Box::pin(unblock(move |job| {
                    begun.send(()).unwrap();
                    while !job.is_cancelled() {
                        std::thread::yield_now();
                    }
                    gate.recv().unwrap();
                    seen.store(true, Ordering::SeqCst);
                }));
                std::future::poll_fn(|cx| {
                    assert!(work.as_mut().poll(cx).is_pending());
                    std::task::Poll::Ready(())
                })
                .await;
                while wait.try_recv().is_err() {
                    ramus::yield_now().await;
                }
                drop(work);
                flag.store(true, Ordering::SeqCst);
            }));
            while !dropped.load(Ordering::SeqCst) {
                ramus::yield_now().await;
            }
            open.send(()).unwrap();
            Ok(())
        })
        .await;
        assert!(done.load(Ordering::SeqCst), "the scope ended before the work that it had begun");
    });
}

#[test]
fn d41_d48_shutdown_drops_queued_jobs_and_waits_for_running_ones() {
    let runtime = narrow();
    let done = Arc::new(AtomicBool::new(false));
    let drops = Arc::new(AtomicUsize::new(0));
    let (begun, wait) = mpsc::channel();
    let seen = Arc::clone(&done);
    let handle = runtime.handle();
    drop(handle.spawn(unblock(move |job| {
        begun.send(()).unwrap();
        while !job.is_cancelled() {
            std::thread::yield_now();
        }
        seen.store(true, Ordering::SeqCst);
    })));
    wait.recv().unwrap();
    for _ in 0..10 {
        let owned = Dropped(Arc::clone(&drops));
        drop(handle.spawn(unblock(move |_| drop(owned))));
    }
    let report = runtime.shutdown_timeout(Duration::from_secs(60));
    assert!(report.is_clean(), "{report}");
    assert!(done.load(Ordering::SeqCst));
    assert_eq!(drops.load(Ordering::SeqCst), 10);
}

#[test]
fn d48_a_job_that_does_not_end_is_a_straggler() {
    let runtime = runtime();
    let (open, gate) = mpsc::channel::<()>();
    let (begun, wait) = mpsc::channel();
    let (ended, wait_ended) = mpsc::channel();
    drop(runtime.handle().spawn(unblock(move |_| {
        begun.send(()).unwrap();
        let _ = gate.recv();
        ended.send(()).unwrap();
    })));
    wait.recv().unwrap();
    let report = runtime.shutdown_timeout(Duration::from_millis(20));
    assert!(!report.is_clean());
    let [straggler] = report.stragglers() else { panic!("{report}") };
    assert_eq!(straggler.entry().site.map(|site| site.file()), Some(file!()), "{report}");
    // It ends after its runtime is gone.
    drop(open);
    wait_ended.recv().unwrap();
}

#[test]
fn a_full_grace_still_runs_jobs() {
    let runtime = runtime();
    let (stopping, wait) = mpsc::channel();
    let (answer, wait_answer) = mpsc::channel();
    drop(runtime.handle().spawn(async move {
        let root = ramus::Handle::current().root().unwrap();
        stopping.send(()).unwrap();
        root.stopping().await;
        answer.send(unblock(|_| 7).await).unwrap();
    }));
    wait.recv().unwrap();
    let report = runtime.shutdown(Duration::from_secs(30), Duration::from_secs(60));
    assert!(report.is_clean(), "{report}");
    assert_eq!(wait_answer.recv().unwrap(), 7);
}

#[test]
fn spawn_after_shutdown_is_cancelled() {
    let runtime = runtime();
    let handle = runtime.handle();
    drop(runtime);
    let mut job = handle.spawn(unblock(|_| ()));
    while !job.is_finished() {
        std::thread::yield_now();
    }
    assert!(job.try_result().unwrap().unwrap_err().is_cancelled());
}

#[test]
fn a_handle_cancels_its_job() {
    let runtime = runtime();
    let value = runtime.block_on(async {
        let (begun, wait) = mpsc::channel();
        let job = spawn_blocking_with(move |job| {
            begun.send(()).unwrap();
            while !job.is_cancelled() {
                std::thread::yield_now();
            }
            "as far as it came"
        });
        while wait.try_recv().is_err() {
            ramus::yield_now().await;
        }
        assert!(job.cancel("found elsewhere"));
        job.await.unwrap()
    });
    assert_eq!(value, "as far as it came");
}

#[test]
fn no_thread_is_refused_for_good() {
    assert_eq!(
        Builder::new_multi_thread().max_blocking_threads(0).build().unwrap_err().kind(),
        io::ErrorKind::InvalidInput
    );
}

/// What is captured may be `!Sync`, and a job may be anywhere.
#[test]
fn futures_are_send() {
    fn send<T: Send>(value: T) -> T {
        value
    }
    let cell = std::cell::Cell::new(3);
    let runtime = runtime();
    assert_eq!(runtime.block_on(send(unblock(move |_| cell.get()))), 3);
}
