//! Attempts to make a child of a blocking scope outlive what it borrows. The borrowed data is on the heap and freed as soon
//! as the call returns, so that AddressSanitizer sees an access that comes too late.
#![allow(missing_docs)]

mod common;

use std::future::{Future, pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use common::{runtime, wait_until, watchdog};
use ramus::{BoxError, blocking, shield_unbounded, yield_now};

/// Touches what it borrows when it is dropped, and panics then if it is told to.
struct Touch<'a> {
    count: &'a AtomicUsize,
    panics: bool,
}

impl Drop for Touch<'_> {
    fn drop(&mut self) {
        self.count.fetch_add(1, Ordering::SeqCst);
        if self.panics && !thread::panicking() {
            resume_unwind(Box::new("in a destructor"));
        }
    }
}

/// Borrowed data of its own allocation, freed when the attack is over.
fn attack(of: impl FnOnce(&AtomicUsize)) {
    let lent = Box::new(AtomicUsize::new(0));
    let _ = catch_unwind(AssertUnwindSafe(|| of(&lent)));
    drop(lent);
}

#[test]
fn destructors_that_panic_at_every_place_give_the_parts_back() {
    let _dog = watchdog();
    let runtime = runtime(2);
    let handle = runtime.handle();
    for round in 0..60 {
        for place in 0..7 {
            attack(|count| {
                let touch = |panics| Touch { count, panics };
                let _ = blocking::scope(&handle, |s| {
                    match place {
                        // The output, whose handle is gone before.
                        0 => drop(s.spawn(async move { touch(true) })),
                        // The output, with its handle, on this thread.
                        1 => {
                            let child = s.spawn(async move { touch(true) });
                            while !child.is_finished() {
                                thread::yield_now();
                            }
                            drop(child);
                        }
                        // What a suspended future holds, at a cancel.
                        2 => {
                            let (first, second) = (touch(true), touch(false));
                            s.spawn(async move {
                                let _both = (first, second);
                                pending::<()>().await;
                            });
                        }
                        // What an unpolled future holds.
                        3 => {
                            s.cancel("first");
                            let held = touch(true);
                            s.spawn(async move { drop(held) });
                        }
                        // A closure that is refused, or runs.
                        4 => {
                            let held = touch(true);
                            let job = s.spawn_blocking(move |_| drop(held));
                            if round % 2 == 0 {
                                job.cancel("not run");
                            }
                        }
                        // An error that panics while it is converted.
                        5 => {
                            struct Bad<'a>(#[allow(dead_code)] Touch<'a>);
                            impl From<Bad<'_>> for BoxError {
                                fn from(_: Bad<'_>) -> BoxError {
                                    panic_quietly()
                                }
                            }
                            let bad = Bad(touch(false));
                            drop(s.spawn_try(async move { Err::<(), Bad<'_>>(bad) }));
                        }
                        // This closure, with children under way.
                        _ => {
                            for _ in 0..4 {
                                let held = touch(false);
                                s.spawn(async move {
                                    yield_now().await;
                                    drop(held);
                                });
                            }
                            panic_quietly();
                        }
                    }
                    if round % 3 == 0 {
                        s.cancel("enough");
                    }
                    if place == 2 {
                        s.cancel("or it never ends");
                    }
                });
            });
        }
    }
}

fn panic_quietly() -> ! {
    resume_unwind(Box::new("quiet"))
}

#[test]
fn wakers_of_other_threads_race_with_the_end() {
    let _dog = watchdog();
    let runtime = runtime(2);
    let handle = runtime.handle();
    let (send, receive) = mpsc::channel::<Waker>();
    let waking = thread::spawn(move || {
        let mut kept = Vec::new();
        for waker in receive {
            waker.wake_by_ref();
            kept.push(waker);
            if kept.len() > 64 {
                kept.drain(..32).for_each(Waker::wake);
            }
        }
        kept.into_iter().for_each(Waker::wake);
    });
    for round in 0..300 {
        let send = &send;
        attack(|count| {
            let _ = blocking::scope(&handle, |s| {
                for _ in 0..4 {
                    let held = Touch { count, panics: false };
                    s.spawn(async move {
                        let held = held;
                        poll_fn(|cx| {
                            send.send(cx.waker().clone()).unwrap();
                            held.count.fetch_add(1, Ordering::Relaxed);
                            Poll::<()>::Pending
                        })
                        .await;
                    });
                }
                if round % 2 == 0 {
                    thread::yield_now();
                }
                s.cancel("the end");
            });
        });
    }
    drop(send);
    waking.join().unwrap();
}

#[test]
fn a_destructor_that_spawns_is_waited_for() {
    struct Spawns<'scope, 'env> {
        s: blocking::Scope<'scope, 'env>,
        count: &'scope AtomicUsize,
        left: usize,
    }
    impl Drop for Spawns<'_, '_> {
        fn drop(&mut self) {
            self.count.fetch_add(1, Ordering::SeqCst);
            if self.left > 0 {
                let next = Spawns { s: self.s.clone(), count: self.count, left: self.left - 1 };
                let job = Spawns { s: self.s.clone(), count: self.count, left: 0 };
                self.s.spawn(async move {
                    let _next = next;
                    yield_now().await;
                });
                self.s.spawn_blocking(move |_| drop(job));
            }
        }
    }
    let _dog = watchdog();
    let runtime = runtime(2);
    for round in 0..100 {
        attack(|count| {
            let _ = blocking::scope(&runtime.handle(), |s| {
                let first = Spawns { s: s.clone(), count, left: 5 };
                s.spawn(async move {
                    let _first = first;
                    if round % 2 == 0 { pending().await } else { yield_now().await }
                });
                if round % 2 == 0 {
                    s.cancel("early");
                }
            });
            assert_eq!(count.load(Ordering::SeqCst), 11);
        });
    }
}

#[test]
fn handles_travel_through_outputs_and_cycles() {
    struct Holds<'a>(#[allow(dead_code)] Touch<'a>, #[allow(dead_code)] Option<Box<dyn Send + 'a>>);
    let _dog = watchdog();
    let runtime = runtime(2);
    for round in 0..100 {
        attack(|count| {
            let _ = blocking::scope(&runtime.handle(), |s| {
                let mut last: Option<Box<dyn Send>> = None;
                for _ in 0..8 {
                    let inside = last.take();
                    let child = s.spawn(async move {
                        yield_now().await;
                        Holds(Touch { count, panics: false }, inside)
                    });
                    last = Some(Box::new(child));
                }
                match round % 3 {
                    0 => drop(last),
                    1 => std::mem::forget(last),
                    // A child that holds the chain and is cancelled.
                    _ => {
                        s.spawn(async move {
                            let _last = last;
                            pending::<()>().await;
                        });
                        s.cancel("enough");
                    }
                }
                // A handle that its own task holds.
                let slot = Arc::new(Mutex::new(None));
                let own = Arc::clone(&slot);
                let held = Touch { count, panics: false };
                let child = s.spawn(async move {
                    let _held = (held, own);
                    yield_now().await;
                });
                *slot.lock().unwrap() = Some(child);
            });
        });
    }
}

#[test]
fn a_scope_inside_of_a_job_of_a_scope_and_threads_in_it() {
    let _dog = watchdog();
    let runtime = runtime(2);
    let handle = runtime.handle();
    for round in 0..50 {
        attack(|count| {
            let _ = blocking::scope(&handle, |outer| {
                for _ in 0..2 {
                    let of_job = outer.clone();
                    outer.spawn_blocking(move |job| {
                        let local = AtomicUsize::new(0);
                        let _ = blocking::scope(&handle, |inner| {
                            thread::scope(|threads| {
                                for _ in 0..2 {
                                    threads.spawn(|| {
                                        let held = Touch { count: &local, panics: false };
                                        inner.spawn(async move {
                                            let _held = held;
                                            yield_now().await;
                                        });
                                        let held = Touch { count, panics: false };
                                        of_job.spawn(async move {
                                            let _held = held;
                                            yield_now().await;
                                        });
                                    });
                                }
                            });
                            assert!(blocking::try_block_on_in(job.scope(), async {}).unwrap_err().is_nested());
                        });
                        assert_eq!(local.load(Ordering::SeqCst), 2);
                    });
                }
                if round % 2 == 0 {
                    outer.cancel("enough");
                }
            });
        });
    }
}

#[test]
fn a_shutdown_meanwhile_kills_and_lends_nothing_on() {
    let _dog = watchdog();
    for round in 0..12 {
        let runtime = runtime(2);
        let handle = runtime.handle();
        let ready = Arc::new(AtomicBool::new(false));
        let shut = Arc::clone(&ready);
        let ender = thread::spawn(move || {
            wait_until(|| shut.load(Ordering::SeqCst));
            match round % 3 {
                0 => drop(runtime.shutdown_timeout(Duration::from_millis(50))),
                1 => runtime.shutdown_background(),
                _ => drop(runtime.shutdown(Duration::from_millis(20), Duration::from_millis(100))),
            }
        });
        attack(|count| {
            let answer = blocking::scope(&handle, |s| {
                let held = Touch { count, panics: false };
                s.spawn(async move {
                    let _held = held;
                    if round % 3 == 1 {
                        yield_now().await;
                    } else {
                        shield_unbounded(pending::<()>()).await;
                    }
                });
                let held = Touch { count, panics: false };
                s.spawn_blocking(move |job| {
                    let held = held;
                    while !job.is_cancelled() {
                        held.count.load(Ordering::SeqCst);
                        thread::yield_now();
                    }
                });
                ready.store(true, Ordering::SeqCst);
                while !s.is_cancelled() {
                    thread::yield_now();
                }
                // Longer than the limit of the shutdown.
                thread::sleep(Duration::from_millis(if round % 2 == 0 { 150 } else { 0 }));
                let held = Touch { count, panics: false };
                s.spawn(async move { drop(held) });
                let held = Touch { count, panics: false };
                s.spawn_blocking(move |_| drop(held));
            });
            assert!(answer.is_err());
            assert_eq!(count.load(Ordering::SeqCst), 4);
        });
        ender.join().unwrap();
    }
}

/// Polls a handle with a waker of somebody else's and leaves that behind.
struct PollOnce<'a, F>(Pin<&'a mut F>);

impl<F: Future> Future for PollOnce<'_, F> {
    type Output = bool;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<bool> {
        Poll::Ready(self.0.as_mut().poll(cx).is_ready())
    }
}

#[test]
fn handles_polled_by_nobody_in_particular() {
    let _dog = watchdog();
    let runtime = runtime(2);
    for _ in 0..50 {
        attack(|count| {
            let _ = blocking::scope(&runtime.handle(), |s| {
                let held = Touch { count, panics: false };
                let mut child = s.spawn(async move {
                    let held = held;
                    yield_now().await;
                    held
                });
                thread::scope(|threads| {
                    threads.spawn(|| {
                        let mut cx = Context::from_waker(Waker::noop());
                        let mut once = PollOnce(Pin::new(&mut child));
                        let _ = Pin::new(&mut once).poll(&mut cx);
                    });
                });
                s.spawn(async move {
                    let mut child = child;
                    let _ = PollOnce(Pin::new(&mut child)).await;
                });
            });
            assert_eq!(count.load(Ordering::SeqCst), 1);
        });
    }
}
