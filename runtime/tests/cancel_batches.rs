//! A great cancel hands its wakers over in one piece. None of them waits for another, is lost with a runtime, or waits for a
//! runtime that it is none of.
#![allow(missing_docs)]

mod common;

use std::future::pending;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::{runtime, wait_until, watchdog};
use ramus::{Scope, ScopeHandle, scope, sleep};

/// More than one batch, and more than one worker takes at once.
const MANY: usize = 200;

/// Long enough for any machine that makes progress, shorter than the watchdog.
const LONG: Duration = Duration::from_secs(20);

/// Blocks its thread in its destructor until all senders are gone.
struct Blocks(Arc<Mutex<Receiver<()>>>, Arc<AtomicUsize>);

impl Drop for Blocks {
    fn drop(&mut self) {
        if self.0.lock().unwrap().recv_timeout(LONG) == Err(RecvTimeoutError::Timeout) {
            self.1.fetch_add(1, Ordering::SeqCst);
        }
    }
}

enum Kept {
    Blocks(#[expect(dead_code, reason = "held for its drop")] Blocks),
    Goes(#[expect(dead_code, reason = "held for its drop")] Sender<()>),
}

#[test]
fn d49_a_cancelled_task_that_blocks_keeps_no_other_one_from_its_end() {
    let _dog = watchdog();
    for blocker in [0, 7, MANY - 20] {
        let late = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&late);
        runtime(2).block_on(async move {
            scope(|s: Scope<io::Error>| async move {
                let (gone, all_gone) = channel();
                let all_gone = Arc::new(Mutex::new(all_gone));
                let suspended = Arc::new(AtomicUsize::new(0));
                for number in 0..MANY {
                    let kept = if number == blocker {
                        Kept::Blocks(Blocks(Arc::clone(&all_gone), Arc::clone(&counted)))
                    } else {
                        Kept::Goes(gone.clone())
                    };
                    let suspended = Arc::clone(&suspended);
                    drop(s.spawn(async move {
                        let _kept = kept;
                        suspended.fetch_add(1, Ordering::SeqCst);
                        pending::<()>().await;
                    }));
                }
                drop(gone);
                while suspended.load(Ordering::SeqCst) < MANY {
                    sleep(Duration::from_millis(1)).await;
                }
                s.cancel("one of them waits for the others");
                Ok(())
            })
            .await
            .unwrap_err();
        });
        assert_eq!(late.load(Ordering::SeqCst), 0, "number {blocker} waited in vain for those behind it");
    }
}

/// Waits for the cancel of a scope of another runtime, many times over; says how many have heard of it.
fn listeners(on: &ramus::Runtime, scope: &ScopeHandle) -> Arc<AtomicUsize> {
    let (waiting, heard) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    for _ in 0..MANY {
        let (scope, waiting, heard) = (scope.clone(), Arc::clone(&waiting), Arc::clone(&heard));
        drop(on.spawn(async move {
            let mut cancelled = std::pin::pin!(scope.cancelled());
            std::future::poll_fn(|cx| {
                let polled = cancelled.as_mut().poll(cx);
                waiting.fetch_add(1, Ordering::SeqCst);
                polled
            })
            .await;
            heard.fetch_add(1, Ordering::SeqCst);
        }));
    }
    wait_until(|| waiting.load(Ordering::SeqCst) >= MANY);
    heard
}

#[test]
fn d32_a_stuck_runtime_keeps_no_wake_from_the_tasks_of_another_one() {
    let _dog = watchdog();
    let (stuck, other) = (runtime(1), runtime(1));
    let (sender, handle) = channel();
    drop(stuck.spawn(async move {
        scope(|s: Scope<io::Error>| async move {
            sender.send(ScopeHandle::clone(&s)).unwrap();
            pending::<()>().await;
            Ok(())
        })
        .await
    }));
    let scope = handle.recv().unwrap();
    let heard = listeners(&other, &scope);
    // Its only worker polls this until all have heard of the cancel.
    let (release, released) = channel::<()>();
    let (begun, begins) = channel();
    let blocked = stuck.spawn(async move {
        begun.send(()).unwrap();
        released.recv_timeout(LONG)
    });
    begins.recv().unwrap();
    assert!(scope.cancel("heard everywhere"));
    let since = Instant::now();
    while heard.load(Ordering::SeqCst) < MANY && since.elapsed() < LONG / 2 {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(heard.load(Ordering::SeqCst), MANY, "they are no tasks of the runtime that is stuck");
    release.send(()).unwrap();
    assert_eq!(stuck.block_on(blocked).unwrap(), Ok(()));
}

#[test]
fn d48_the_wakes_of_a_shutdown_reach_the_tasks_of_another_runtime() {
    let _dog = watchdog();
    let other = runtime(2);
    for _ in 0..20 {
        let ends = runtime(1);
        let (sender, handle) = channel();
        drop(ends.spawn(async move {
            scope(|s: Scope<io::Error>| async move {
                sender.send(ScopeHandle::clone(&s)).unwrap();
                pending::<()>().await;
                Ok(())
            })
            .await
        }));
        let heard = listeners(&other, &handle.recv().unwrap());
        assert!(ends.shutdown_timeout(LONG).is_clean());
        let since = Instant::now();
        while heard.load(Ordering::SeqCst) < MANY && since.elapsed() < LONG {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(heard.load(Ordering::SeqCst), MANY);
    }
}

#[test]
fn d49_the_timers_of_a_worker_do_not_wait_for_a_batch_of_long_destructors() {
    const TASKS: usize = 100;
    /// A destructor that takes its time.
    struct Long(Arc<AtomicUsize>);
    impl Drop for Long {
        fn drop(&mut self) {
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_millis(10) {
                std::hint::spin_loop();
            }
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let _dog = watchdog();
    let gone = Arc::new(AtomicUsize::new(0));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (dropped, looks) = (Arc::clone(&gone), Arc::clone(&seen));
    runtime(1).block_on(async move {
        let counted = Arc::clone(&dropped);
        let ticker = ramus::spawn(async move {
            loop {
                looks.lock().unwrap().push(counted.load(Ordering::SeqCst));
                sleep(Duration::from_millis(1)).await;
            }
        });
        ramus::spawn(async move {
            scope(|s: Scope<io::Error>| async move {
                let suspended = Arc::new(AtomicUsize::new(0));
                for _ in 0..TASKS {
                    let (long, suspended) = (Long(Arc::clone(&dropped)), Arc::clone(&suspended));
                    drop(s.spawn(async move {
                        let _long = long;
                        suspended.fetch_add(1, Ordering::SeqCst);
                        pending::<()>().await;
                    }));
                }
                while suspended.load(Ordering::SeqCst) < TASKS {
                    sleep(Duration::from_millis(1)).await;
                }
                s.cancel("they take their time");
                Ok(())
            })
            .await
            .unwrap_err();
        })
        .await
        .unwrap();
        ticker.cancel("enough");
    });
    // How many had gone at each tick. How long they take is known after the first look, which is due after 32 polls.
    let mut at_ticks = seen.lock().unwrap().clone();
    at_ticks.dedup();
    at_ticks.retain(|gone| (40..TASKS).contains(gone));
    assert!(at_ticks.len() >= (TASKS - 40) / 4, "the timer was looked at after {at_ticks:?} of them");
}
