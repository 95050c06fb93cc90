//! Cancelled tasks run first, within a bounded share; a storm of them does not starve others; one that ignores its cancel
//! costs nothing.
#![allow(missing_docs)]

mod common;

use std::future::pending;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::{runtime, watchdog};
use ramus::{Scope, scope, shield, sleep, yield_now};

/// Says in its destructor that it is gone.
struct Mark<T: Copy + Send + 'static>(Arc<Mutex<Vec<T>>>, T);

impl<T: Copy + Send> Drop for Mark<T> {
    fn drop(&mut self) {
        self.0.lock().unwrap().push(self.1);
    }
}

#[test]
fn d49_cancelled_tasks_run_first_within_a_bounded_share() {
    const OTHERS: usize = 1_000;
    const CANCELLED: usize = 100;
    let _dog = watchdog();
    let order = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&order);
    // One worker, so that there is one order.
    runtime(1).block_on(async move {
        ramus::spawn(async move {
            scope(|s: Scope<io::Error>| async move {
                let suspended = Arc::new(AtomicUsize::new(0));
                for _ in 0..CANCELLED {
                    let (mark, suspended) = (Mark(Arc::clone(&log), true), Arc::clone(&suspended));
                    drop(s.spawn(async move {
                        let _mark = mark;
                        suspended.fetch_add(1, Ordering::SeqCst);
                        pending::<()>().await;
                    }));
                }
                while suspended.load(Ordering::SeqCst) < CANCELLED {
                    yield_now().await;
                }
                let others = (0..OTHERS).map(|_| {
                    let mark = Mark(Arc::clone(&log), false);
                    // Not of this scope.
                    ramus::Handle::current().spawn(async move { drop(mark) })
                });
                let others: Vec<_> = others.collect();
                s.cancel("those that wait");
                ramus::run_until_cancelled(async {
                    yield_now().await;
                })
                .await
                .unwrap_err();
                shield(Duration::from_secs(60), async {
                    for other in others {
                        other.await.unwrap();
                    }
                })
                .await;
                Ok(())
            })
            .await
        })
        .await
        .unwrap()
        .unwrap_err();
    });
    let order = order.lock().unwrap();
    assert_eq!(order.len(), OTHERS + CANCELLED);
    let last = order.iter().rposition(|&cancelled| cancelled).unwrap();
    assert!(last < 3 * CANCELLED, "the last cancelled task was dropped as number {last}");
    let mut ahead = 0_i64;
    for &cancelled in &order[..last] {
        ahead += if cancelled { 1 } else { -1 };
        assert!(ahead <= 10, "the others get their share meanwhile: {ahead} more of the cancelled ones");
    }
}

#[test]
fn d32_cancelling_200_000_tasks_does_not_stop_a_ticker() {
    const TASKS: usize = 200_000;
    let _dog = watchdog();
    let runtime = runtime(2);
    let over = Arc::new(AtomicBool::new(false));
    let (stop, ended) = (Arc::clone(&over), Arc::clone(&over));
    let ticker = runtime.spawn(async move {
        let mut late = Vec::new();
        while !stop.load(Ordering::SeqCst) {
            let due = Instant::now() + Duration::from_millis(1);
            ramus::sleep_until(due).await;
            late.push(due.elapsed());
        }
        late.sort();
        late
    });
    runtime.block_on(async move {
        ramus::spawn(async move {
            for _ in 0..3 {
                let suspended = Arc::new(AtomicUsize::new(0));
                let _ = scope(|s: Scope<io::Error>| async move {
                    for _ in 0..TASKS {
                        let suspended = Arc::clone(&suspended);
                        drop(s.spawn(async move {
                            suspended.fetch_add(1, Ordering::SeqCst);
                            pending::<()>().await;
                        }));
                    }
                    while suspended.load(Ordering::SeqCst) < TASKS {
                        sleep(Duration::from_millis(1)).await;
                    }
                    s.cancel("all");
                    yield_now().await;
                    Ok(())
                })
                .await;
            }
        })
        .await
        .unwrap();
        ended.store(true, Ordering::SeqCst);
    });
    let late = runtime.block_on(ticker).unwrap();
    let p99 = late[late.len() * 99 / 100];
    println!("{} ticks, late by {p99:?} at p99, {:?} at most", late.len(), late[late.len() - 1]);
    assert!(p99 <= Duration::from_millis(50), "late by {p99:?} at p99 of {} ticks", late.len());
}

#[test]
fn d01_a_task_that_ignores_its_cancel_costs_nothing() {
    let _dog = watchdog();
    let runtime = runtime(2);
    let polls = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&polls);
    let task = runtime.spawn(async move {
        shield(
            Duration::from_secs(3_600),
            std::future::poll_fn(move |_| {
                seen.fetch_add(1, Ordering::SeqCst);
                std::task::Poll::<()>::Pending
            }),
        )
        .await;
    });
    common::wait_until(|| polls.load(Ordering::SeqCst) == 1);
    assert!(task.cancel("it does not listen"));
    common::wait_until(|| polls.load(Ordering::SeqCst) >= 2);
    let (before, busy) = (polls.load(Ordering::SeqCst), runtime.handle().metrics().polls());
    std::thread::sleep(Duration::from_millis(500));
    // One more, if the poll that the cancel brought met its walk.
    assert!(polls.load(Ordering::SeqCst) <= before + 1, "nothing polls it again and again");
    assert!(runtime.handle().metrics().polls() - busy <= 2, "nor does anything else run");
    // It is left behind, and named.
    let report = runtime.shutdown_timeout(Duration::ZERO);
    assert!(report.stragglers().len() == 1, "{report}");
}

#[test]
fn d49_a_canceller_puts_its_task_first_as_the_handle_does() {
    const OTHERS: usize = 1_000;
    let _dog = watchdog();
    for by_canceller in [false, true] {
        let order = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&order);
        runtime(1).block_on(async move {
            ramus::spawn(async move {
                let (mark, suspended) = (Mark(Arc::clone(&log), true), Arc::new(AtomicBool::new(false)));
                let rests = Arc::clone(&suspended);
                let task = ramus::spawn(async move {
                    let _mark = mark;
                    rests.store(true, Ordering::SeqCst);
                    pending::<()>().await;
                });
                while !suspended.load(Ordering::SeqCst) {
                    yield_now().await;
                }
                let others = (0..OTHERS).map(|_| {
                    let mark = Mark(Arc::clone(&log), false);
                    ramus::spawn(async move { drop(mark) })
                });
                let others: Vec<_> = others.collect();
                let cancelled = if by_canceller { task.cancel_handle().cancel("over") } else { task.cancel("over") };
                assert!(cancelled);
                for other in others {
                    other.await.unwrap();
                }
                assert!(task.await.unwrap_err().is_cancelled());
            })
            .await
            .unwrap();
        });
        let place = order.lock().unwrap().iter().position(|&cancelled| cancelled).unwrap();
        assert!(place < 100, "by its canceller: {by_canceller}; dropped as number {place}");
    }
}

#[test]
fn d49_a_cancelled_task_is_reached_while_others_never_rest() {
    let _dog = watchdog();
    let runtime = runtime(1);
    let over = Arc::new(AtomicBool::new(false));
    for _ in 0..4 {
        let over = Arc::clone(&over);
        drop(runtime.spawn(async move {
            while !over.load(Ordering::Relaxed) {
                yield_now().await;
            }
        }));
    }
    // The second cancel comes while the worker finds nothing behind the first one, now and then.
    for round in 0..5_000 {
        let tasks = [(); 2].map(|()| runtime.spawn(pending::<()>()));
        std::thread::sleep(Duration::from_micros(50));
        tasks[0].cancel("first");
        let first = Instant::now();
        while first.elapsed() < Duration::from_micros(round % 40) {
            std::hint::spin_loop();
        }
        tasks[1].cancel("second");
        // A lost one is never found: the watchdog tells.
        while !tasks.iter().all(ramus::JoinHandle::is_finished) {
            std::thread::yield_now();
        }
    }
    over.store(true, Ordering::Relaxed);
}

struct Woken(AtomicUsize);

impl std::task::Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn d32_a_cancel_of_many_reaches_tasks_and_foreign_wakers_alike() {
    const EACH: usize = 300;
    let _dog = watchdog();
    for workers in [1, 2] {
        let woken = Arc::new(Woken(AtomicUsize::new(0)));
        let waker = std::task::Waker::from(Arc::clone(&woken));
        let dropped = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&dropped);
        runtime(workers).block_on(async move {
            ramus::spawn(async move {
                scope(|s: Scope<io::Error>| async move {
                    let suspended = Arc::new(AtomicUsize::new(0));
                    let mut jobs = Vec::new();
                    for number in 0..EACH {
                        let (mark, suspended) = (Mark(Arc::clone(&log), number), Arc::clone(&suspended));
                        drop(s.spawn(async move {
                            let _mark = mark;
                            suspended.fetch_add(1, Ordering::SeqCst);
                            pending::<()>().await;
                        }));
                        let mut job = s.admit().unwrap();
                        job.listen(&waker);
                        jobs.push(job);
                    }
                    while suspended.load(Ordering::SeqCst) < EACH {
                        yield_now().await;
                    }
                    // From a thread that is no worker.
                    let canceller = s.clone();
                    assert!(std::thread::spawn(move || canceller.cancel("enough")).join().unwrap());
                    drop(jobs);
                    pending::<()>().await;
                    Ok(())
                })
                .await
                .unwrap_err();
            })
            .await
            .unwrap();
        });
        assert_eq!(woken.0.load(Ordering::SeqCst), EACH, "each job was told once");
        let mut dropped = dropped.lock().unwrap().clone();
        dropped.sort_unstable();
        assert!(dropped.into_iter().eq(0..EACH), "each task was dropped once");
    }
}
