//! Nobody waits for ever: not behind a stuck worker, not behind a ping-pong, not behind tasks that are always ready.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use common::{runtime, wait_until, watchdog};

/// Blocks the thread that polls it until `release` is true.
fn block_worker(entered: &Arc<AtomicBool>, release: &Arc<AtomicBool>) -> impl Future<Output = ()> + Send + 'static {
    let (entered, release) = (Arc::clone(entered), Arc::clone(release));
    async move {
        entered.store(true, Ordering::SeqCst);
        while !release.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn flags() -> (Arc<AtomicBool>, Arc<AtomicBool>) {
    Default::default()
}

/// A busy machine delays one try; a worker that serves nobody else delays all of them.
fn best_of_five(mut try_once: impl FnMut() -> Duration) {
    let bound = Duration::from_millis(50);
    let late: Vec<_> = std::iter::repeat_with(&mut try_once).take(5).collect();
    assert!(late.iter().any(|&late| late <= bound), "late by {late:?}");
}

#[test]
fn a_timer_of_a_stuck_worker_is_fired_by_its_neighbour() {
    let _dog = watchdog();
    let runtime = runtime(2);
    best_of_five(|| {
        let (entered, release) = flags();
        let late = runtime.block_on(async {
            let (stuck, release_it) = (Arc::clone(&entered), Arc::clone(&release));
            ramus::spawn(async move {
                // Registered with this worker's timer, which then gets stuck with everything that it owns.
                let deadline = Instant::now() + Duration::from_millis(20);
                let mut sleep = Box::pin(ramus::sleep_until(deadline));
                std::future::poll_fn(|cx| {
                    assert!(sleep.as_mut().poll(cx).is_pending());
                    Poll::Ready(())
                })
                .await;
                let blocker = ramus::spawn(block_worker(&stuck, &release_it));
                sleep.await;
                let late = deadline.elapsed();
                release_it.store(true, Ordering::SeqCst);
                blocker.await.unwrap();
                late
            })
            .await
            .unwrap()
        });
        assert!(entered.load(Ordering::SeqCst));
        late
    });
}

#[test]
fn a_socket_of_a_stuck_worker_is_served_by_its_neighbour() {
    let _dog = watchdog();
    let runtime = runtime(2);
    best_of_five(|| {
        let (entered, release) = flags();
        let (stuck, release_it) = (Arc::clone(&entered), Arc::clone(&release));
        let (mut here, there) = std::os::unix::net::UnixStream::pair().unwrap();
        there.set_nonblocking(true).unwrap();
        let reader = runtime.spawn(async move {
            let mut stream = ramus::net::UnixStream::try_from(there).unwrap();
            let mut byte = [0];
            let blocker = {
                let mut read = std::pin::pin!(stream.read(&mut byte));
                // Registered with this worker's driver, which then gets stuck with everything that it owns.
                std::future::poll_fn(|cx| {
                    assert!(read.as_mut().poll(cx).is_pending());
                    Poll::Ready(())
                })
                .await;
                let blocker = ramus::spawn(block_worker(&stuck, &release_it));
                read.await.unwrap();
                blocker
            };
            let arrived = Instant::now();
            release_it.store(true, Ordering::SeqCst);
            blocker.await.unwrap();
            arrived
        });
        wait_until(|| entered.load(Ordering::SeqCst));
        let sent = Instant::now();
        std::io::Write::write_all(&mut here, b"x").unwrap();
        runtime.block_on(reader).unwrap() - sent
    });
}

#[test]
fn a_socket_of_a_stuck_worker_is_served_by_a_neighbour_that_is_never_idle() {
    let _dog = watchdog();
    let runtime = runtime(2);
    let (entered, release) = flags();
    let (stuck, released) = (Arc::clone(&entered), Arc::clone(&release));
    let (mut here, there) = std::os::unix::net::UnixStream::pair().unwrap();
    there.set_nonblocking(true).unwrap();
    let reader = runtime.spawn(async move {
        let mut stream = ramus::net::UnixStream::try_from(there).unwrap();
        let mut byte = [0];
        let mut read = std::pin::pin!(stream.read(&mut byte));
        // Registered with this worker's driver, which then gets stuck with everything that it owns.
        std::future::poll_fn(|cx| {
            assert!(read.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        let blocker = ramus::spawn(block_worker(&stuck, &released));
        read.await.unwrap();
        // The stuck worker waits for this.
        released.store(true, Ordering::SeqCst);
        blocker.await.unwrap();
    });
    wait_until(|| entered.load(Ordering::SeqCst));
    let busy = runtime.spawn(async move {
        while !release.load(Ordering::SeqCst) {
            ramus::yield_now().await;
        }
    });
    let polls = runtime.handle().metrics().polls();
    wait_until(|| runtime.handle().metrics().polls() > polls + 1_000);
    std::io::Write::write_all(&mut here, b"x").unwrap();
    runtime.block_on(async {
        reader.await.unwrap();
        busy.await.unwrap();
    });
}

#[test]
fn what_a_stuck_worker_would_run_next_is_run_by_its_neighbour() {
    let _dog = watchdog();
    let runtime = runtime(2);
    let ran = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&ran);
    let (spawner, stop) = flags();
    let stopped = Arc::clone(&stop);
    let handle = runtime.spawn(async move {
        for _ in 0..100 {
            let ran = Arc::clone(&ran);
            drop(ramus::spawn(async move {
                ran.fetch_add(1, Ordering::SeqCst);
            }));
        }
        // Stuck, and the last child is in this worker's next slot.
        spawner.store(true, Ordering::SeqCst);
        while !stopped.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    wait_until(|| seen.load(Ordering::SeqCst) == 100);
    stop.store(true, Ordering::SeqCst);
    runtime.block_on(handle).unwrap();
}

#[test]
fn a_bystander_runs_beside_a_ping_pong() {
    let _dog = watchdog();
    let runtime = runtime(1);
    let rounds = Arc::new(AtomicUsize::new(0));
    let stop = Arc::new(AtomicBool::new(false));
    let at_bystander = runtime.block_on(async {
        let (rounds, stop) = (Arc::clone(&rounds), Arc::clone(&stop));
        ramus::spawn(async move {
            // Two tasks that wake each other: each finds the other's waker and leaves its own.
            let place: Arc<[futures_util::task::AtomicWaker; 2]> = Arc::default();
            let pair: Vec<_> = (0..2)
                .map(|side| {
                    let (place, rounds, stop) = (Arc::clone(&place), Arc::clone(&rounds), Arc::clone(&stop));
                    ramus::spawn(std::future::poll_fn(move |cx| {
                        rounds.fetch_add(1, Ordering::SeqCst);
                        place[side].register(cx.waker());
                        place[1 - side].wake();
                        if stop.load(Ordering::SeqCst) { Poll::Ready(()) } else { Poll::Pending }
                    }))
                })
                .collect();
            while rounds.load(Ordering::SeqCst) < 1_000 {
                ramus::yield_now().await;
            }
            let before = rounds.load(Ordering::SeqCst);
            ramus::spawn(async {}).await.unwrap();
            let after = rounds.load(Ordering::SeqCst);
            stop.store(true, Ordering::SeqCst);
            for one in pair {
                one.await.unwrap();
            }
            after - before
        })
        .await
        .unwrap()
    });
    assert!(at_bystander <= 100, "{at_bystander} rounds before a bystander ran");
}

#[test]
fn tasks_that_are_always_ready_starve_neither_inbox_nor_timers_nor_sockets() {
    let _dog = watchdog();
    let runtime = runtime(1);
    let stop = Arc::new(AtomicBool::new(false));
    for _ in 0..8 {
        let stop = Arc::clone(&stop);
        drop(runtime.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                ramus::yield_now().await;
            }
        }));
    }
    runtime.block_on(runtime.spawn(async {})).unwrap();
    let fired = runtime.block_on(runtime.spawn(async {
        let deadline = Instant::now() + Duration::from_millis(5);
        ramus::sleep_until(deadline).await;
        deadline.elapsed()
    }));
    assert!(fired.unwrap() < Duration::from_secs(1));
    let (mut here, there) = std::os::unix::net::UnixStream::pair().unwrap();
    there.set_nonblocking(true).unwrap();
    let read = runtime.spawn(async move {
        let mut stream = ramus::net::UnixStream::try_from(there).unwrap();
        let mut byte = [0];
        stream.read(&mut byte).await.map(|_| byte[0])
    });
    std::io::Write::write_all(&mut here, b"x").unwrap();
    assert_eq!(runtime.block_on(read).unwrap().unwrap(), b'x');
    stop.store(true, Ordering::Relaxed);
}

#[test]
fn d46_a_loop_over_a_leaf_that_is_always_ready_lets_others_run() {
    let _dog = watchdog();
    let runtime = runtime(1);
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let looping = runtime.spawn(async move {
        let mut turns = 0_u64;
        while !stopped.load(Ordering::Relaxed) {
            // Over at once, each time.
            ramus::sleep(Duration::ZERO).await;
            turns += 1;
        }
        turns
    });
    runtime.block_on(runtime.spawn(async {})).unwrap();
    stop.store(true, Ordering::Relaxed);
    runtime.block_on(looping).unwrap();
}

#[test]
fn a_storm_of_wakes_polls_no_more_than_it_must() {
    let _dog = watchdog();
    let runtime = runtime(2);
    let polls = Arc::new(AtomicUsize::new(0));
    let done = Arc::new(AtomicBool::new(false));
    let waker = Arc::new(futures_util::task::AtomicWaker::new());
    let task = {
        let (polls, done, waker) = (Arc::clone(&polls), Arc::clone(&done), Arc::clone(&waker));
        runtime.spawn(std::future::poll_fn(move |cx| {
            polls.fetch_add(1, Ordering::SeqCst);
            waker.register(cx.waker());
            if done.load(Ordering::SeqCst) { Poll::Ready(()) } else { Poll::Pending }
        }))
    };
    wait_until(|| polls.load(Ordering::SeqCst) > 0);
    let stormers: Vec<_> = (0..4)
        .map(|_| {
            let waker = Arc::clone(&waker);
            std::thread::spawn(move || {
                for _ in 0..50_000 {
                    waker.wake();
                }
            })
        })
        .collect();
    for stormer in stormers {
        stormer.join().unwrap();
    }
    done.store(true, Ordering::SeqCst);
    waker.wake();
    runtime.block_on(task).unwrap();
    assert!(polls.load(Ordering::SeqCst) <= 200_002);
}

/// Blocks the thread until `reached` is true.
fn block_until(reached: &AtomicBool) {
    while !reached.load(Ordering::SeqCst) {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// `begin` spawns into the scope that it is given, from a task of another one, which then blocks until the scope has ended.
fn a_scope_ends_beside_a_task_that_spawned_into_it(begin: fn(&ramus::ScopeHandle)) {
    let _dog = watchdog();
    let runtime = runtime(2);
    let (ended, ready) = flags();
    let (told, is_ready) = (Arc::clone(&ended), Arc::clone(&ready));
    let (send, receive) = std::sync::mpsc::channel();
    let joiner = runtime.spawn(async move {
        let scoped = ramus::scope(|scope: ramus::Scope| async move {
            send.send(ramus::ScopeHandle::clone(&scope)).unwrap();
            while !is_ready.load(Ordering::SeqCst) {
                ramus::sleep(Duration::from_millis(1)).await;
            }
            Ok::<(), ramus::BoxError>(())
        });
        scoped.await.unwrap();
        told.store(true, Ordering::SeqCst);
    });
    let scope = receive.recv().unwrap();
    let spawner = runtime.spawn(async move {
        begin(&scope);
        ready.store(true, Ordering::SeqCst);
        block_until(&ended);
    });
    runtime.block_on(async {
        spawner.await.unwrap();
        joiner.await.unwrap();
    });
}

#[test]
fn a_scope_ends_beside_a_stuck_task_that_spawned_into_it() {
    a_scope_ends_beside_a_task_that_spawned_into_it(|scope| drop(scope.spawn(async {})));
}

#[test]
fn a_scope_ends_beside_a_stuck_task_that_spawned_into_it_eagerly() {
    a_scope_ends_beside_a_task_that_spawned_into_it(|scope| {
        drop(ramus::task::Builder::new().eager().spawn_in(scope, async {}));
    });
}
