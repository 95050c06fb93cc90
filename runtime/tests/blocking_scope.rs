//! Scopes for threads outside of the workers: children borrow from the caller, and nothing of them is left when it goes on.

mod common;

use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};
use std::task::{Poll, Waker};
use std::time::Duration;

use common::{runtime, watchdog};
use ramus::blocking;

/// Counts its drops in something that it borrows.
struct Borrows<'a>(&'a AtomicUsize);

impl Drop for Borrows<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn count(dropped: &AtomicUsize) -> usize {
    dropped.load(Ordering::SeqCst)
}

#[test]
fn children_borrow_and_run_beside_each_other() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let words = [String::from("one"), String::from("two")];
    let (to_b, at_b) = mpsc::channel();
    let (to_a, at_a) = mpsc::channel();
    let (to_b, at_b, to_a, at_a) = (Mutex::new(to_b), Mutex::new(at_b), Mutex::new(to_a), Mutex::new(at_a));
    // Each waits for the other one, blocking: only two threads can end this.
    let both = blocking::scope(&runtime.handle(), |s| {
        let a = s.spawn(async {
            to_b.lock().unwrap().send(&words[0]).unwrap();
            at_a.lock().unwrap().recv().unwrap()
        });
        let b = s.spawn(async {
            to_a.lock().unwrap().send(&words[1]).unwrap();
            at_b.lock().unwrap().recv().unwrap()
        });
        Ok((a.join()?, b.join()?))
    });
    let (a, b): (&String, &String) = both.unwrap();
    assert_eq!((a.as_str(), b.as_str()), ("two", "one"));
}

#[test]
fn outputs_that_nobody_takes_are_dropped_before_the_end() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let dropped = AtomicUsize::new(0);
    let dropped = &dropped;
    let seen = blocking::scope(&runtime.handle(), |s| {
        // The handle is dropped before, during or after the child.
        for _ in 0..50 {
            drop(s.spawn(async move { Borrows(dropped) }));
            let late = s.spawn(async move {
                ramus::yield_now().await;
                Borrows(dropped)
            });
            drop(s.spawn_blocking(move |_| Borrows(dropped)));
            // A handle that lives in another child, which never looks at it.
            s.spawn(async move {
                let _late = late;
                ramus::yield_now().await;
            });
        }
        let kept = s.spawn(async move { Borrows(dropped) });
        while !kept.is_finished() {
            std::thread::yield_now();
        }
        Ok(count(dropped))
    });
    assert!(seen.unwrap() <= 150);
    assert_eq!(count(dropped), 151);
}

#[test]
fn a_waker_that_somebody_keeps_keeps_nothing_borrowed() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let kept: Mutex<Vec<Waker>> = Mutex::new(Vec::new());
    {
        let dropped = AtomicUsize::new(0);
        let (dropped, wakers) = (&dropped, &kept);
        let error = blocking::scope(&runtime.handle(), |s| {
            for _ in 0..20 {
                let borrows = Borrows(dropped);
                s.spawn(async move {
                    let _borrows = borrows;
                    poll_fn(|cx| {
                        wakers.lock().unwrap().push(cx.waker().clone());
                        Poll::<()>::Pending
                    })
                    .await;
                });
            }
            while wakers.lock().unwrap().len() < 20 {
                std::thread::yield_now();
            }
            s.cancel("enough");
        })
        .unwrap_err();
        assert_eq!(error.reason().and_then(|reason| reason.message()), Some("enough"));
        assert_eq!(count(dropped), 20);
    }
    // The tasks' memory is still there; waking finds nothing in it.
    for waker in kept.into_inner().unwrap() {
        waker.wake_by_ref();
        drop(waker);
    }
}

#[test]
fn d22_a_childs_panic_is_resumed_after_all_were_joined() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let dropped = AtomicUsize::new(0);
    let counted = &dropped;
    let panic = catch_unwind(AssertUnwindSafe(|| {
        blocking::scope(&runtime.handle(), |s| {
            for _ in 0..20 {
                let borrows = Borrows(counted);
                s.spawn(async move {
                    let _borrows = borrows;
                    pending::<()>().await;
                });
            }
            let borrows = Borrows(counted);
            let child = s.spawn(async move {
                let _borrows = borrows;
                ramus::yield_now().await;
                panic!("in a child");
            });
            let error = child.join().map(|(): ()| ()).unwrap_err();
            assert!(error.is_panic(), "{error}");
        })
    }));
    assert_eq!(panic.unwrap_err().downcast_ref::<&str>(), Some(&"in a child"));
    assert_eq!(dropped.load(Ordering::SeqCst), 21);
}

#[test]
fn a_panic_of_the_closure_cancels_and_joins_before_it_goes_on() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let dropped = AtomicUsize::new(0);
    let counted = &dropped;
    let panic = catch_unwind(AssertUnwindSafe(|| {
        let _ = blocking::scope(&runtime.handle(), |s| {
            for _ in 0..20 {
                let borrows = Borrows(counted);
                s.spawn(async move {
                    let _borrows = borrows;
                    pending::<()>().await;
                });
                let borrows = Borrows(counted);
                s.spawn_blocking(move |job| {
                    let _borrows = borrows;
                    while !job.is_cancelled() {
                        std::thread::yield_now();
                    }
                });
            }
            if counted.load(Ordering::SeqCst) == 0 {
                panic!("in the closure");
            }
        });
    }));
    assert_eq!(panic.unwrap_err().downcast_ref::<&str>(), Some(&"in the closure"));
    assert_eq!(dropped.load(Ordering::SeqCst), 40);
}

#[test]
fn d23_a_destructor_that_panics_drops_the_rest_all_the_same() {
    struct Panics<'a>(&'a AtomicUsize);

    impl Drop for Panics<'_> {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
            panic!("in a destructor");
        }
    }

    let _watchdog = watchdog();
    let runtime = runtime(2);
    let dropped = AtomicUsize::new(0);
    let counted = &dropped;
    let panic = catch_unwind(AssertUnwindSafe(|| {
        blocking::scope(&runtime.handle(), |s| {
            let output = s.spawn(async move { (Borrows(counted), Panics(counted)) });
            while !output.is_finished() {
                std::thread::yield_now();
            }
            // An output's destructor panics on this thread.
            let panic = catch_unwind(AssertUnwindSafe(|| drop(output)));
            assert!(panic.is_err());
            let owned = (Borrows(counted), Panics(counted), Borrows(counted));
            s.spawn(async move {
                let _owned = owned;
                pending::<()>().await;
            });
            let owned = (Borrows(counted), Panics(counted), Borrows(counted));
            s.spawn_blocking(move |_| drop(owned));
            s.cancel("enough");
        })
    }));
    assert_eq!(panic.unwrap_err().downcast_ref::<&str>(), Some(&"in a destructor"));
    assert_eq!(dropped.load(Ordering::SeqCst), 8);
}

#[test]
fn d07_a_shield_in_a_child_is_waited_for() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let done = AtomicBool::new(false);
    let (begun, wait) = mpsc::channel();
    let error = blocking::scope(&runtime.handle(), |s| {
        let done = &done;
        s.spawn(ramus::shield(Duration::from_secs(60), async move {
            begun.send(()).unwrap();
            for _ in 0..100 {
                ramus::yield_now().await;
            }
            done.store(true, Ordering::SeqCst);
        }));
        wait.recv().unwrap();
        s.cancel("enough");
    });
    assert!(done.load(Ordering::SeqCst), "the scope ended before its shielded child");
    // The value of the child came too late to be cut.
    drop(error);
}

#[test]
fn a_child_joins_another_and_spawns_more() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let base = 40;
    let base = &base;
    let sum = blocking::scope(&runtime.handle(), |s| {
        let first = s.spawn(async move { *base });
        let of_child = s.clone();
        let sum = s.spawn(async move {
            let second = of_child.spawn_blocking(move |_| *base - 38);
            first.await.unwrap() + second.await.unwrap()
        });
        Ok(sum.join()?)
    });
    assert_eq!(sum.unwrap(), 42);
}

#[test]
fn joining_in_a_cancelled_scope_answers() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let error = blocking::scope(&runtime.handle(), |s| {
        let child = s.spawn(pending::<()>());
        s.cancel("enough");
        let error = child.join().unwrap_err();
        assert!(error.is_cancelled());
        // D26: what is spawned now is dropped unpolled.
        let late = s.spawn(async { 1 }).join().unwrap_err();
        assert!(late.never_started());
        let late = s.spawn_blocking(|_| 1).join().unwrap_err();
        assert!(late.never_started());
    })
    .unwrap_err();
    assert!(error.is_cancelled());
}

#[test]
fn a_cancelled_child_is_no_failure() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let local = 5;
    let value = blocking::scope(&runtime.handle(), |s| {
        let child = s.spawn(async {
            pending::<()>().await;
            &local
        });
        assert!(child.cancel("not needed"));
        let error = child.join().unwrap_err();
        assert_eq!(error.reason().unwrap().message(), Some("not needed"));
        Ok(local)
    });
    assert_eq!(value.unwrap(), 5);
}

#[test]
fn an_error_fails_the_scope_and_cancels_the_others() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let path = String::from("/no/such/file");
    let error = blocking::scope(&runtime.handle(), |s| {
        s.spawn(pending::<()>());
        let child = s.spawn_try(async { std::fs::read(&path) });
        assert!(child.join().unwrap_err().is_failed());
    })
    .unwrap_err();
    assert_eq!(error.errors().len(), 1);
}

#[test]
fn rule7_a_stop_while_it_waits_reaches_the_children() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let (stop, signal) = (AtomicBool::new(false), AtomicBool::new(false));
    let stopped = &stop;
    blocking::scope(&runtime.handle(), |s| {
        let (scope, seen) = (s.clone(), &signal);
        // Polled by the scope's own future, so only once the closure has returned.
        s.stop_on(ramus::sleep(Duration::ZERO), Duration::from_secs(60));
        s.spawn(async move {
            scope.stopping().await;
            stopped.store(true, Ordering::SeqCst);
            seen.store(true, Ordering::SeqCst);
        });
    })
    .unwrap();
    assert!(stop.load(Ordering::SeqCst) && signal.load(Ordering::SeqCst));
}

#[test]
fn a_leaked_handle_leaks_an_output_and_nothing_else() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let dropped = AtomicUsize::new(0);
    let counted = &dropped;
    blocking::scope(&runtime.handle(), |s| {
        let borrows = Borrows(counted);
        let child = s.spawn(async move {
            let _borrows = borrows;
            ramus::yield_now().await;
            Box::new(7)
        });
        std::mem::forget(child);
    })
    .unwrap();
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
}

/// Many short lives on the stack, ended in every way; for the address sanitizer.
#[test]
fn every_end_leaves_the_stack_alone() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    for round in 0..200_usize {
        let cells: [AtomicUsize; 16] = std::array::from_fn(AtomicUsize::new);
        let dropped = AtomicUsize::new(0);
        let (cells, counted) = (&cells, &dropped);
        let ended = catch_unwind(AssertUnwindSafe(|| {
            blocking::scope(&runtime.handle(), |s| {
                for (index, cell) in cells.iter().enumerate() {
                    let borrows = Borrows(counted);
                    let child = s.spawn(async move {
                        let _borrows = borrows;
                        for _ in 0..index {
                            cell.fetch_add(1, Ordering::Relaxed);
                            ramus::yield_now().await;
                        }
                        if round % 4 == 1 && index == 8 {
                            panic!("one of them");
                        }
                        if round % 4 == 2 {
                            pending::<()>().await;
                        }
                        Borrows(counted)
                    });
                    if index % 3 == 0 {
                        child.cancel("every third");
                    }
                    let borrows = Borrows(counted);
                    s.spawn_blocking(move |job| {
                        let _borrows = borrows;
                        cell.fetch_add(1, Ordering::Relaxed);
                        job.is_cancelled()
                    });
                }
                match round % 4 {
                    2 => assert!(s.cancel("enough")),
                    3 => panic!("the closure"),
                    _ => {}
                }
            })
        }));
        assert_eq!(ended.is_err(), round % 4 == 1 || round % 4 == 3);
        let left = dropped.load(Ordering::SeqCst);
        assert!((32..=48).contains(&left), "{left} of what was borrowed is gone in round {round}");
    }
}
