//! More workers than processors, fewer processors than workers, all timers at once, everybody from outside: slower, but nothing
//! is lost, and nobody waits for ever.
#![allow(missing_docs)]

mod common;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::{runtime, wait_until, watchdog};
use futures_util::stream::{FuturesUnordered, StreamExt};
use ramus::{Runtime, Scope, scope, sleep, sleep_until, yield_now};

/// Tasks that yield, sleep, spawn and wait for one another; returns how many have ended.
fn mixed_work(runtime: &Runtime, tasks: usize) -> usize {
    let ended = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&ended);
    runtime.block_on(async move {
        ramus::spawn(scope(move |s: Scope<io::Error>| async move {
            for task in 0..tasks {
                let ended = Arc::clone(&counted);
                drop(s.spawn(async move {
                    for _ in 0..10 {
                        yield_now().await;
                    }
                    sleep(Duration::from_micros(task as u64 % 1_000)).await;
                    let answer = ramus::spawn(async move { task }).await.unwrap();
                    assert_eq!(answer, task);
                    ended.fetch_add(1, Ordering::SeqCst);
                }));
            }
            Ok(())
        }))
        .await
        .unwrap()
        .unwrap();
    });
    ended.load(Ordering::SeqCst)
}

#[test]
fn sixty_four_workers_on_few_processors_end_what_they_are_given() {
    let _dog = watchdog();
    let runtime = runtime(64);
    assert_eq!(mixed_work(&runtime, 10_000), 10_000);
    assert!(runtime.shutdown_timeout(Duration::from_secs(60)).is_clean());
}

#[test]
fn four_workers_on_one_processor_end_what_they_are_given() {
    let _dog = watchdog();
    // Threads inherit it, and this one ends with the test.
    let allowed = rustix::thread::sched_getaffinity(None).unwrap();
    let first = (0..rustix::thread::CpuSet::MAX_CPU).find(|&processor| allowed.is_set(processor)).unwrap();
    let mut one = rustix::thread::CpuSet::new();
    one.set(first);
    rustix::thread::sched_setaffinity(None, &one).unwrap();
    let runtime = runtime(4);
    assert_eq!(mixed_work(&runtime, 10_000), 10_000);
    // A task that never yields has the only processor, and the others get their share of it all the same.
    let stop = Arc::new(AtomicUsize::new(0));
    let stopped = Arc::clone(&stop);
    let busy = runtime.spawn(async move { while stopped.load(Ordering::SeqCst) == 0 {} });
    assert_eq!(mixed_work(&runtime, 100), 100);
    stop.store(1, Ordering::SeqCst);
    runtime.block_on(busy).unwrap();
    assert!(runtime.shutdown_timeout(Duration::from_secs(60)).is_clean());
}

#[test]
fn a_million_timers_on_one_tick_all_fire_and_none_early() {
    const TASKS: usize = 1_000;
    const TIMERS: usize = 1_000;
    let _dog = watchdog();
    let runtime = runtime(2);
    let fired = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&fired);
    runtime.block_on(async move {
        // Far enough for all of them to be registered by then, mostly; those that come late fire at once.
        let deadline = Instant::now() + Duration::from_millis(1_500);
        ramus::spawn(scope(move |s: Scope<io::Error>| async move {
            for _ in 0..TASKS {
                let fired = Arc::clone(&counted);
                drop(s.spawn(async move {
                    let mut timers: FuturesUnordered<_> = (0..TIMERS).map(|_| sleep_until(deadline)).collect();
                    while timers.next().await.is_some() {
                        assert!(Instant::now() >= deadline, "too early");
                        fired.fetch_add(1, Ordering::SeqCst);
                    }
                }));
            }
            Ok(())
        }))
        .await
        .unwrap()
        .unwrap();
    });
    assert_eq!(fired.load(Ordering::SeqCst), TASKS * TIMERS);
}

#[test]
fn a_storm_of_spawns_from_outside_loses_nothing_and_starves_nobody() {
    const THREADS: usize = 8;
    const SPAWNS: usize = 20_000;
    let _dog = watchdog();
    let runtime = runtime(2);
    let (ran, over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let until = Arc::clone(&over);
    // Its task is woken by a timer and by itself, never from outside.
    let inside = runtime.spawn(async move {
        let mut rounds = 0_usize;
        while until.load(Ordering::SeqCst) == 0 || rounds == 0 {
            sleep(Duration::from_micros(100)).await;
            yield_now().await;
            rounds += 1;
        }
    });
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let (handle, ran) = (runtime.handle(), Arc::clone(&ran));
            std::thread::spawn(move || {
                for _ in 0..SPAWNS {
                    let ran = Arc::clone(&ran);
                    drop(handle.spawn(async move { ran.fetch_add(1, Ordering::SeqCst) }));
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    over.store(1, Ordering::SeqCst);
    runtime.block_on(inside).unwrap();
    wait_until(|| ran.load(Ordering::SeqCst) == THREADS * SPAWNS);
    assert!(runtime.shutdown_timeout(Duration::from_secs(60)).is_clean());
}
