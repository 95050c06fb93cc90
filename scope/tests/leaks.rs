//! What leaked scopes leave behind, and whom they hold (D29).
#![allow(missing_docs)]

mod common;

use std::future::pending;
use std::io;
use std::mem;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::strays::{Answer, Boxed, LONG, Slot, go_to, inner, is_over, ms, poll_once};
use common::{Alive, Join, Sim};
use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use ramus_scope::{CutOn, ReportKind, Root, Scope, ScopeHandle, run_until_cancelled, scope, shield};

/// A task that opens a scope, whose body polls `leaked` once, goes on for 5 ms, and leaks it.
fn leak_after_5(root: &Root<Sim>, leaked: Boxed<Answer>) -> Join<Result<Answer, String>> {
    root.handle().spawn(
        AssertUnwindSafe(scope(|_: Scope<Sim, io::Error>| async move {
            let mut leaked = leaked;
            poll_once(&mut leaked).await;
            Sim::sleep(5).await;
            mem::forget(leaked);
            Ok(1)
        }))
        .catch_unwind()
        .map(|answer| answer.map_err(|payload| payload.downcast_ref::<&str>().unwrap().to_string())),
    )
}

#[test]
fn d22_d29_the_panic_of_a_scope_that_had_drained_when_it_was_leaked_is_its_adopters() {
    for in_body in [false, true] {
        let sim = Sim::new();
        let root = Root::new(sim.clone(), "root");
        let leaked: Boxed<Answer> = Box::pin(scope(move |s: Scope<Sim, io::Error>| async move {
            drop(s.spawn(async move {
                Sim::sleep(2).await;
                assert!(in_body, "in the child");
            }));
            assert!(!in_body, "in the body");
            Ok(1)
        }));
        let join = leak_after_5(&root, leaked);
        go_to(&sim, 5);
        let panic = join.try_take().unwrap().unwrap().unwrap_err();
        assert_eq!(panic, if in_body { "in the body" } else { "in the child" });
        assert!(is_over(&root));
    }
}

#[test]
fn d22_d29_the_panic_of_a_scope_leaked_in_a_finalizer_is_its_adopters() {
    let sim = Sim::new();
    let root = Root::new(sim.clone(), "root");
    let leaked: Boxed<Answer> = Box::pin(scope(|s: Scope<Sim, io::Error>| async move {
        s.defer(pending()).unwrap();
        std::panic::resume_unwind(Box::new("before the finalizer"));
        #[expect(unreachable_code, reason = "the type of the body")]
        Ok(1)
    }));
    let join = leak_after_5(&root, leaked);
    go_to(&sim, 5);
    // Its panic has cancelled it, so nobody waits for the finalizer.
    assert_eq!(join.try_take().unwrap().unwrap().unwrap_err(), "before the finalizer");
    assert!(is_over(&root));
}

#[test]
fn d28_d29_errors_that_nobody_answers_with_are_reported() {
    static REPORTS: AtomicUsize = AtomicUsize::new(0);
    ramus_scope::set_report_hook(|report| {
        assert_eq!((report.kind(), report.scope()), (ReportKind::ErrorsUnseen, Some("failing")));
        REPORTS.fetch_add(1, Ordering::SeqCst);
    });
    let failing = || -> Boxed<Answer> {
        Box::pin(Scope::<Sim>::builder().name("failing").open(|s: Scope<Sim, io::Error>| async move {
            s.spawn_try(async {
                Sim::sleep(2).await;
                Err::<(), _>(io::Error::other("unseen"))
            });
            Sim::sleep(LONG).await;
            Ok(1)
        }))
    };
    let sim = Sim::new();
    let root = Root::new(sim.clone(), "root");
    // Leaked, with its body cut but not dropped, and dropped half-way.
    drop(leak_after_5(&root, failing()));
    let mut dropped = failing();
    drop(root.handle().spawn(async move {
        poll_once(&mut dropped).await;
        Sim::sleep(4).await;
    }));
    go_to(&sim, 5);
    assert_eq!(REPORTS.load(Ordering::SeqCst), 2);
    assert!(is_over(&root));
    // One that comes back answers with them.
    let (slot, mut moved) = (Slot::new(), failing());
    let put = slot.clone();
    drop(root.handle().spawn(async move {
        poll_once(&mut moved).await;
        put.put(moved);
    }));
    sim.settle();
    let join = root.handle().spawn(slot.take());
    while sim.advance() {
        sim.settle();
    }
    assert_eq!(join.try_take().unwrap().unwrap().unwrap_err().errors().len(), 1);
    assert_eq!(REPORTS.load(Ordering::SeqCst), 2);
    ramus_scope::reset_report_hook();
}

#[test]
fn d04_d29_a_leaked_scope_that_has_ended_takes_no_request() {
    let sim = Sim::new();
    let root = Root::new(sim.clone(), "root");
    let slot: Slot<ScopeHandle<Sim>> = Slot::new();
    // Its body has ended when it is leaked, its child later or before.
    for child in [2, 8] {
        drop(leak_after_5(&root, inner(&slot, Sim::sleep(child), async {})));
        let now = sim.now();
        go_to(&sim, now + child.max(5));
        let ended = slot.take();
        assert!(!ended.cancel("late") && !ended.kill("late") && !ended.stop(ms(1)), "child: {child}");
        assert!(ended.set_deadline(sim.instant(LONG)).unwrap_err().is_closed());
        assert!(ended.defer(async {}).is_err());
        assert!(!ended.is_cancelled() && is_over(&root));
        assert_eq!(sim.alarms(), 0);
    }
}

#[test]
fn d29_a_leaked_scope_that_a_timeout_has_cut_does_not_cut_its_adopter() {
    let sim = Sim::new();
    let root = Root::new(sim.clone(), "root");
    let join = root.handle().spawn(scope(|_: Scope<Sim, io::Error>| async move {
        let leaking = async {
            let mut leaked = inner(&Slot::new(), Sim::sleep(LONG), pending());
            poll_once(&mut leaked).await;
            mem::forget(leaked);
            pending::<()>().await;
        };
        assert!(CutOn::new(leaking, Box::pin(Sim::sleep(1))).await.is_err());
        Ok(7)
    }));
    go_to(&sim, 1);
    assert_eq!(join.try_take().unwrap().unwrap().unwrap(), 7, "no cancel of its own");
    assert!(is_over(&root));
}

#[test]
fn rule5_d29_a_scope_leaked_in_a_shield_holds_nothing_that_is_cut() {
    let sim = Sim::new();
    let root = Root::new(sim.clone(), "root");
    let (alive, handle) = (Alive::default(), root.handle().clone());
    let guard = alive.guard();
    drop(root.handle().spawn(async move {
        let leaking = async {
            shield(ms(50), async {
                handle.cancel("from inside");
                // Whoever kept it is gone when the shield ends: its waker wakes nobody.
                let keeping = async {
                    let mut leaked = inner(&Slot::new(), pending(), pending());
                    poll_once(&mut leaked).await;
                    mem::forget(leaked);
                };
                let _: Vec<()> = [keeping].into_iter().collect::<FuturesUnordered<_>>().collect().await;
                Sim::sleep(1).await;
            })
            .await;
            pending::<()>().await;
        };
        let _ = run_until_cancelled(leaking).await;
        drop(guard);
    }));
    go_to(&sim, 1);
    assert_eq!((alive.count(), is_over(&root)), (0, true), "cut at its first suspension after the shield");
}

#[test]
fn rule5_d29_a_leaked_scope_that_drains_in_a_cut_frame_lets_it_go() {
    let sim = Sim::new();
    let root = Root::new(sim.clone(), "root");
    let handle = root.handle().clone();
    drop(root.handle().spawn(async move {
        let branch = async move {
            let mut leaked: Boxed<Answer> = Box::pin(scope(|s: Scope<Sim, io::Error>| async move {
                drop(s.spawn(shield(ms(50), Sim::sleep(3))));
                Sim::sleep(1).await;
                Ok(1)
            }));
            poll_once(&mut leaked).await;
            mem::forget(leaked);
            handle.cancel("from inside");
        };
        let both = [branch.boxed(), pending().boxed()].into_iter().collect::<FuturesUnordered<_>>();
        let _: Vec<()> = both.collect().await;
    }));
    let mut ended = 0;
    sim.settle();
    while !is_over(&root) && sim.advance() {
        sim.settle();
        ended = sim.now();
    }
    assert!(is_over(&root) && ended <= 3, "at {ended}");
}

#[test]
fn d05_d32_a_kill_right_after_a_cancel_reaches_what_a_task_has_open() {
    let sim = Sim::new();
    let root = Root::new(sim.clone(), "root");
    let slot: Slot<ScopeHandle<Sim>> = Slot::new();
    let opened = inner(&slot, Sim::sleep(LONG), shield(ms(LONG), Sim::sleep(LONG)));
    drop(root.handle().spawn(opened.map(drop)));
    sim.settle();
    let inner = slot.take();
    // The task is not polled in between.
    assert!(root.handle().cancel("first") && root.handle().kill("second"));
    assert!(!inner.kill("third"), "killed from above");
    sim.settle();
    assert!(is_over(&root));
}
