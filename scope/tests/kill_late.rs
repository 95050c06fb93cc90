//! Kills and deadlines that come late: after a drop half-way (D28), by the scope's own code, while finalizers run.
#![allow(missing_docs)]

mod common;

use std::future::{Future, poll_fn};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use common::strays::poll_once;
use common::{Alive, Log, Sim};
use ramus_scope::{Root, Scope, scope, shield_unbounded};

#[test]
fn d28_d48_a_kill_reaches_the_shielded_children_of_a_dropped_scope() {
    let sim = Sim::new();
    let root = Root::new(sim.clone(), "root");
    let alive = Alive::default();
    let guard = alive.guard();
    drop(root.handle().spawn(async move {
        let mut dropped = Box::pin(scope(move |s: Scope<Sim, io::Error>| async move {
            drop(s.spawn(shield_unbounded(async move {
                let _guard = guard;
                Sim::sleep(1_000).await;
            })));
            Sim::sleep(1_000).await;
        }));
        poll_once(&mut dropped).await;
        Sim::sleep(1).await;
    }));
    sim.settle();
    assert!(sim.advance(), "the task ends, and drops the scope with its future");
    sim.settle();
    assert_eq!((alive.count(), root.handle().live()), (1, 1), "the child is shielded");
    root.handle().kill("at once");
    sim.settle();
    assert_eq!((alive.count(), root.handle().live()), (0, 0));
}

#[test]
fn d28_d48_a_kill_ends_the_finalizers_of_a_dropped_scope() {
    let sim = Sim::new();
    let root = Root::new(sim.clone(), "root");
    let alive = Alive::default();
    let guard = alive.guard();
    drop(root.handle().spawn(async move {
        let mut dropped = Box::pin(scope(move |s: Scope<Sim, io::Error>| async move {
            let _ = s.defer(async move {
                let _guard = guard;
                Sim::sleep(1_000).await;
            });
            Sim::sleep(1_000).await;
        }));
        poll_once(&mut dropped).await;
    }));
    sim.settle();
    assert_eq!(alive.count(), 1, "its finalizer runs");
    root.handle().kill("at once");
    sim.settle();
    assert_eq!((alive.count(), root.handle().live()), (0, 0));
}

#[test]
fn d05_a_kill_of_oneself_in_a_killed_scope_is_not_the_first() {
    let sim = Sim::new();
    let first = sim.run(async {
        let _ = scope(|outer: Scope<Sim, io::Error>| async move {
            outer.kill("outer");
            // Its first poll: it has not suspended, so no walk has met it.
            let inner = scope(|inner: Scope<Sim, io::Error>| async move { Ok(inner.kill("again")) }).await;
            assert!(!inner.unwrap(), "it was killed with the outer one");
            Ok(())
        })
        .await;
        true
    });
    assert!(first);
}

#[test]
fn d48_a_task_that_kills_its_own_scope_runs_on_in_no_shield() {
    let sim = Sim::new();
    let log = Log::default();
    let seen = log.clone();
    sim.run(async move {
        let _ = scope(|s: Scope<Sim, io::Error>| async move {
            let killer = s.clone();
            s.spawn(shield_unbounded(async move {
                Sim::sleep(1).await;
                killer.cancel("first");
                killer.kill("then");
                log.add("to the next suspension");
                let _ = scope(|_s: Scope<Sim, io::Error>| async {
                    Sim::sleep(1).await;
                    Ok(())
                })
                .await;
                log.add("not reached");
            }));
            Ok(())
        })
        .await;
    });
    assert_eq!(seen.take(), ["to the next suspension"]);
    assert_eq!((sim.now(), sim.alarms()), (1, 0));
}

#[test]
fn d12_a_deadline_moves_until_the_exit_also_while_finalizers_run() {
    for with_member in [false, true] {
        let sim = Sim::new();
        sim.run(async move {
            let _ = scope(|s: Scope<Sim, io::Error>| async move {
                let handle = s.clone();
                s.defer(async move {
                    let at = handle.host().instant(1_000);
                    assert!(handle.set_deadline(at).is_ok(), "with a member before: {with_member}");
                })
                .unwrap();
                if with_member {
                    s.spawn(Sim::sleep(1));
                }
                Ok(())
            })
            .await;
        });
        assert_eq!(sim.alarms(), 0);
    }
}

/// A task runs `protected` when its scope is cancelled and, right after that, killed: does it go on? What it waits for inside
/// is ready then.
fn goes_on<F>(protected: impl FnOnce(Arc<AtomicBool>) -> F) -> bool
where
    F: Future + Send + 'static,
{
    let (ready, went_on) = (Arc::new(AtomicBool::new(false)), Alive::default());
    let (task, guard) = (protected(Arc::clone(&ready)), Arc::new(went_on.guard()));
    let in_task = Arc::clone(&guard);
    Sim::new().run(async move {
        let _ = scope(|s: Scope<Sim, io::Error>| async move {
            s.spawn(async move {
                task.await;
                std::mem::forget(in_task);
            });
            Sim::sleep(1).await;
            s.cancel("first");
            s.kill("second");
            ready.store(true, Ordering::SeqCst);
            Ok(())
        })
        .await;
    });
    drop(guard);
    went_on.count() != 0
}

/// A future of another crate: it goes on until it is dropped (rule 3).
async fn foreign(ready: Arc<AtomicBool>) {
    poll_fn(|_| if ready.load(Ordering::SeqCst) { Poll::Ready(()) } else { Poll::Pending }).await
}

#[test]
fn d32_d48_a_kill_right_after_a_cancel_is_seen_in_the_next_poll() {
    assert!(!goes_on(|ready| shield_unbounded(foreign(ready))), "a shield");
    let nested = |ready| {
        shield_unbounded(async {
            let _ = scope(|_s: Scope<Sim, io::Error>| async move {
                foreign(ready).await;
                Ok(())
            })
            .await;
        })
    };
    assert!(!goes_on(nested), "a scope in a shield");
    let asked_to_stop = |_| {
        shield_unbounded(async {
            let _ = scope(|s: Scope<Sim, io::Error>| async move {
                s.stopping().await;
                Ok(())
            })
            .await;
        })
    };
    assert!(
        !goes_on(asked_to_stop),
        "a cancel goes through shields as a soft stop, and the kill comes before it is seen"
    );
}

#[test]
fn d48_a_kill_by_the_code_of_a_scope_in_a_cancelled_task_is_seen_at_once() {
    let log = Log::default();
    let seen = log.clone();
    Sim::new().run(async move {
        let _ = scope(|s: Scope<Sim, io::Error>| async move {
            let outer = s.clone();
            s.spawn(shield_unbounded(async move {
                let _ = scope(|_s: Scope<Sim, io::Error>| async move {
                    // The cancel of the outer scope is what wakes this code.
                    outer.stopping().await;
                    outer.kill("from inside");
                    log.add("to the next suspension");
                    outer.stopping().await;
                    log.add("not reached");
                    Ok(())
                })
                .await;
            }));
            Sim::sleep(1).await;
            s.cancel("first");
            Ok(())
        })
        .await;
    });
    assert_eq!(seen.take(), ["to the next suspension"]);
}

#[test]
fn d28_d32_a_kill_reaches_a_dropped_scope_whose_finalizers_have_not_gone_on_yet() {
    Sim::new().run(async move {
        let _ = scope(|outer: Scope<Sim, io::Error>| async move {
            let seen = Arc::new(Mutex::new(None));
            let at = Arc::clone(&seen);
            let mut tidying = Box::pin(scope(move |s: Scope<Sim, io::Error>| async move {
                s.defer(Sim::sleep(1)).unwrap();
                *at.lock().unwrap() = Some((*s).clone());
                Ok(())
            }));
            poll_once(&mut tidying).await;
            drop(tidying);
            let inner = seen.lock().unwrap().take().unwrap();
            outer.kill("all of it");
            assert!(!inner.kill("again"), "the kill of the scope around was the first");
            Ok(())
        })
        .await;
    });
}
