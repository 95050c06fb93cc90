//! Callbacks of a scope's cancel.
#![allow(missing_docs)]

mod common;

use std::cell::Cell;
use std::future::pending;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{Alive, Log, Sim};
use ramus_scope::{OnCancel, ReasonKind, Root, Scope, ScopeHandle, scope, shield_unbounded};

const LONG: u64 = 1_000_000;

thread_local! {
    static IN_CANCEL: Cell<bool> = const { Cell::new(false) };
}

#[test]
fn d34_a_callback_runs_on_the_runtime_and_the_scope_waits_for_it() {
    let sim = Sim::new();
    let log = Log::default();
    let l = log.clone();
    let error = sim.run(async move {
        scope(|s: Scope<Sim, io::Error>| async move {
            let seen = l.clone();
            let handle = s.clone();
            s.on_cancel(move |reason| {
                assert!(!IN_CANCEL.get(), "not on the canceller's stack");
                assert_eq!(handle.live(), 1, "it is a member while it runs");
                seen.add(format!("ran: {reason}"));
            })
            .detach();
            IN_CANCEL.set(true);
            s.cancel("enough");
            IN_CANCEL.set(false);
            l.add("cancel returned");
            pending::<()>().await;
            Ok(())
        })
        .await
        .unwrap_err()
    });
    log.add("scope ended");
    assert_eq!(error.reason().unwrap().message(), Some("enough"));
    assert_eq!(log.take(), ["cancel returned", "ran: cancelled: enough", "scope ended"]);
}

#[test]
fn d34_unregistering_tells_whether_it_was_in_time() {
    let sim = Sim::new();
    let root = Root::new(sim.clone(), "root");
    let alive = Alive::default();
    let ran = Arc::new(AtomicBool::new(false));
    let register = || {
        let (guard, ran) = (alive.guard(), Arc::clone(&ran));
        root.handle().on_cancel(move |_| {
            drop(guard);
            ran.store(true, Ordering::SeqCst);
        })
    };
    assert!(register().unregister(), "in time");
    assert_eq!(alive.count(), 0, "dropped there");
    drop(register());
    assert_eq!(alive.count(), 0, "dropping the guard unregisters too");
    let late = register();
    let kept = register();
    kept.detach();
    assert_eq!(alive.count(), 2);
    root.handle().cancel("now");
    assert!(!late.unregister(), "it is about to run");
    assert!(!ran.load(Ordering::SeqCst));
    sim.settle();
    assert!(ran.load(Ordering::SeqCst));
    assert_eq!(alive.count(), 0);
    root.close();
}

#[test]
fn d34_registered_in_a_cancelled_scope_it_runs_at_once() {
    let sim = Sim::new();
    let log = Log::default();
    let l = log.clone();
    sim.run(async move {
        let ended = l.clone();
        let _ = scope(|s: Scope<Sim, io::Error>| async move {
            s.cancel("before");
            let seen = l.clone();
            let guard = s.on_cancel(move |reason| seen.add(format!("{:?}", reason.message())));
            l.add("registered");
            assert!(!guard.unregister(), "too late for that");
            Ok(())
        })
        .await;
        ended.add("ended");
    });
    assert_eq!(log.take(), ["registered", "Some(\"before\")", "ended"]);
}

#[test]
fn d34_a_scope_that_ends_in_peace_drops_its_callbacks_unrun() {
    let sim = Sim::new();
    let alive = Alive::default();
    let guard = alive.guard();
    let (registration, handle) = sim.run(async move {
        scope(|s: Scope<Sim, io::Error>| async move {
            let registration = s.on_cancel(move |_| {
                panic!("{}", {
                    drop(guard);
                    "it ran"
                })
            });
            s.spawn(Sim::sleep(1));
            Ok((registration, (*s).clone()))
        })
        .await
        .unwrap()
    });
    assert_eq!(alive.count(), 0);
    assert!(!registration.unregister(), "it was not this that dropped it");
    let guard = alive.guard();
    let late: OnCancel = handle.on_cancel(move |_| drop(guard));
    assert_eq!(alive.count(), 0, "a scope that has ended takes none");
    assert!(!late.unregister());
    sim.settle();
}

#[test]
fn d34_a_root_that_has_drained_runs_no_callback() {
    let sim = Sim::new();
    let root = Root::new(sim.clone(), "root");
    let alive = Alive::default();
    let guard = alive.guard();
    root.handle()
        .on_cancel(move |_| {
            panic!("{}", {
                drop(guard);
                "no user code after the end"
            })
        })
        .detach();
    root.close();
    root.handle().cancel("too late");
    assert_eq!(alive.count(), 0);
    sim.settle();
    assert_eq!(root.handle().live(), 0);
}

#[test]
fn d34_the_panic_of_a_callback_is_that_of_a_child() {
    let sim = Sim::new();
    let log = Log::default();
    let l = log.clone();
    let payload = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        sim.run(async move {
            let _ = scope(|s: Scope<Sim, io::Error>| async move {
                s.on_cancel(|_| panic!("callback")).detach();
                s.on_cancel(|_| panic!("later payloads are dropped")).detach();
                s.on_cancel(move |_| l.add("the others run all the same")).detach();
                s.cancel("now");
                Ok(())
            })
            .await;
        });
    }))
    .unwrap_err();
    assert_eq!(payload.downcast_ref::<&str>(), Some(&"callback"));
    assert_eq!(log.take(), ["the others run all the same"]);
}

#[test]
fn d33_a_callback_may_cancel_spawn_and_register_in_its_tree() {
    let sim = Sim::new();
    let log = Log::default();
    let l = log.clone();
    sim.run(async move {
        let _ = scope(|outer: Scope<Sim, io::Error>| async move {
            let (o, l) = ((*outer).clone(), l.clone());
            outer.spawn(async move {
                let _ = scope(|inner: Scope<Sim, io::Error>| async move {
                    let i = (*inner).clone();
                    inner
                        .on_cancel(move |_| {
                            let (again, child, done): (_, _, ScopeHandle<Sim>) = (l.clone(), l.clone(), i.clone());
                            i.on_cancel(move |_| again.add("registered in a callback")).detach();
                            assert!(i.spawn(async {}).try_take().is_none(), "refused: it answers when it is polled");
                            drop(o.spawn(shield_unbounded(async move { child.add("spawned above") })));
                            assert!(!done.cancel("again") && o.cancel("above"));
                            l.add("first");
                        })
                        .detach();
                    inner.cancel("below");
                    pending::<()>().await;
                    Ok(())
                })
                .await;
            });
            Sim::sleep(LONG).await;
            Ok(())
        })
        .await;
    });
    let mut seen = log.take();
    assert_eq!(seen.remove(0), "first");
    assert_eq!(seen, ["registered in a callback"], "the child above was cancelled before its first poll (D3)");
    assert_eq!(sim.alarms(), 0);
}

#[test]
fn d34_a_cancel_from_above_or_a_kill_fires_it_too_and_once() {
    let sim = Sim::new();
    let root = Root::new(sim.clone(), "root");
    let log = Log::default();
    let l = log.clone();
    drop(root.handle().spawn(async move {
        let _ = scope(|s: Scope<Sim, io::Error>| async move {
            let seen = l.clone();
            s.on_cancel(move |reason| seen.add(format!("{:?} of {:?}", reason.kind(), reason.origin().kind())))
                .detach();
            s.spawn(shield_unbounded(async move {
                let _ = scope(|inner: Scope<Sim, io::Error>| async move {
                    inner.on_cancel(move |reason| l.add(format!("inner: {:?}", reason.origin().kind()))).detach();
                    pending::<()>().await;
                    Ok(())
                })
                .await;
            }));
            pending::<()>().await;
            Ok(())
        })
        .await;
    }));
    sim.settle();
    root.handle().cancel(ReasonKind::ClientGone);
    sim.settle();
    assert_eq!(log.take(), ["Parent of ClientGone"], "not through the shield");
    root.handle().kill("kill");
    sim.settle();
    assert_eq!(log.take(), ["inner: ClientGone"]);
    root.close();
    assert_eq!(root.handle().live(), 0);
}

#[test]
fn d34_a_deadline_fires_it() {
    let sim = Sim::new();
    let log = Log::default();
    let (l, at) = (log.clone(), sim.instant(10));
    let clock = sim.clone();
    let error = sim.run(async move {
        Scope::<Sim>::builder()
            .deadline(at)
            .open(|s: Scope<Sim, io::Error>| async move {
                s.on_cancel(move |reason| l.add(format!("{:?} at {}", reason.kind(), clock.now()))).detach();
                Sim::sleep(LONG).await;
                Ok(())
            })
            .await
            .unwrap_err()
    });
    assert!(error.is_elapsed());
    assert_eq!(log.take(), ["Deadline at 10"]);
}

#[test]
fn d28_a_callback_of_a_dropped_scope_runs_before_the_adopter_ends() {
    let sim = Sim::new();
    let log = Log::default();
    let l = log.clone();
    sim.run(async move {
        scope(|_: Scope<Sim, io::Error>| async move {
            let seen = l.clone();
            let mut inner = Box::pin(scope(|s: Scope<Sim, io::Error>| async move {
                s.on_cancel(move |reason| seen.add(format!("{:?}", reason.kind()))).detach();
                pending::<()>().await;
                Ok(())
            }));
            let polled = futures_util::poll!(inner.as_mut());
            assert!(polled.is_pending());
            drop(inner);
            l.add("dropped");
            Ok(())
        })
        .await
        .unwrap();
    });
    log.add("ended");
    assert_eq!(log.take(), ["dropped", "Dropped", "ended"]);
}
