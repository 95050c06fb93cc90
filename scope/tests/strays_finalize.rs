//! Finalizers of scopes whose future nobody polls, and who runs them (D28, D29).
#![allow(missing_docs)]

mod common;

use std::future::{Future, pending};
use std::io;
use std::mem;

use common::strays::{Answer, Boxed, LONG, Slot, go_to, is_over, ms, poll_once};
use common::{Log, Sim};
use ramus_scope::{Root, Scope, shield};

/// A scope with a child that ends with `child`, a body that ends with `body`, and a finalizer of 10 ms.
fn tidy<C, B>(log: &Log, child: C, body: B) -> Boxed<Answer>
where
    C: Future<Output = ()> + Send + 'static,
    B: Future<Output = ()> + Send + 'static,
{
    let log = log.clone();
    Box::pin(Scope::<Sim>::builder().name("inner").open(|s: Scope<Sim, io::Error>| async move {
        drop(s.spawn(child));
        s.defer(async move {
            log.add("tidies");
            Sim::sleep(10).await;
            log.add("is tidy");
        })
        .unwrap();
        body.await;
        Ok(7)
    }))
}

#[test]
fn d28_d29_a_leaked_scope_that_is_cancelled_runs_its_finalizers_in_its_adopter() {
    let (sim, log) = (Sim::new(), Log::default());
    let root = Root::new(sim.clone(), "root");
    let scope = tidy(&log, shield(ms(LONG), Sim::sleep(20)), pending());
    drop(root.handle().spawn(async move {
        let mut scope = scope;
        poll_once(&mut scope).await;
        mem::forget(scope);
    }));
    sim.settle();
    root.handle().cancel("now");
    go_to(&sim, 20);
    assert_eq!(log.take(), ["tidies"], "after its child has ended");
    assert!(!is_over(&root), "the adopter waits for it");
    go_to(&sim, 30);
    assert_eq!(log.take(), ["is tidy"]);
    assert!(is_over(&root));
    assert_eq!(sim.alarms(), 0);
}

#[test]
fn d28_d29_a_scope_leaked_while_it_drains_runs_its_finalizers_in_its_adopter() {
    let (sim, log) = (Sim::new(), Log::default());
    let root = Root::new(sim.clone(), "root");
    let scope = tidy(&log, Sim::sleep(5), async {});
    drop(root.handle().spawn(async move {
        let mut scope = scope;
        poll_once(&mut scope).await;
        mem::forget(scope);
    }));
    go_to(&sim, 15);
    assert_eq!(log.take(), ["tidies", "is tidy"]);
    assert!(is_over(&root));
    assert_eq!(sim.alarms(), 0);
}

#[test]
fn d28_d29_d30_a_scope_that_comes_back_waits_for_its_finalizers() {
    for cancelled in [false, true] {
        let (sim, log) = (Sim::new(), Log::default());
        let (first, second) = (Root::new(sim.clone(), "first"), Root::new(sim.clone(), "second"));
        let slot = Slot::new();
        let put = slot.clone();
        // Its body has ended, or goes on; its child ends while nobody polls it.
        let body = async move {
            if cancelled {
                pending::<()>().await;
            }
        };
        let mut scope = tidy(&log, Sim::sleep(5), body);
        drop(first.handle().spawn(async move {
            poll_once(&mut scope).await;
            put.put(scope);
        }));
        sim.settle();
        if cancelled {
            first.handle().cancel("in transit");
        }
        go_to(&sim, if cancelled { 0 } else { 5 });
        assert_eq!(log.take(), ["tidies"]);
        let join = second.handle().spawn(slot.take());
        sim.settle();
        assert!(join.try_take().is_none(), "a finalizer is under way");
        go_to(&sim, if cancelled { 10 } else { 15 });
        assert_eq!(log.take(), ["is tidy"], "once");
        let answer = join.try_take().unwrap().unwrap();
        assert_eq!(answer.is_err(), cancelled, "{answer:?}");
        assert!(is_over(&first) && is_over(&second));
        assert_eq!(sim.alarms(), 0);
    }
}
