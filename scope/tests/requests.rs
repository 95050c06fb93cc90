//! Spawns, stops and listings: what a handle of a scope does.
#![allow(missing_docs)]

mod common;

use std::io;
use std::time::Duration;

use common::{Log, Sim};
use ramus_scope::{Root, Scope, ScopeHandle, scope, shield, shield_unbounded};

const LONG: u64 = 1_000_000;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn d26_spawning_into_a_cancelled_or_ended_scope() {
    let sim = Sim::new();
    sim.run(async {
        let handle = scope(|s: Scope<Sim, io::Error>| async move {
            s.cancel("closed");
            let refused = s.offer(async { 1 }).err().unwrap();
            assert_eq!(refused.reason().unwrap().message(), Some("closed"), "D26");
            assert_eq!(refused.into_inner().await, 1, "handed back unpolled");
            let handle = s.spawn(async { panic!("polled") });
            let slot = s.clone();
            drop(handle);
            Ok(slot)
        })
        .await
        .unwrap();
        let late = handle.spawn(async { panic!("polled") });
        let error = late.await.unwrap_err();
        assert!(error.is_cancelled() && error.never_started());
        let root: ScopeHandle<Sim> = (*handle).clone();
        assert!(root.admit().is_err());
    });
}

#[test]
fn d26_d27_a_child_may_spawn_while_the_scope_drains() {
    let sim = Sim::new();
    let log = Log::default();
    let seen = log.clone();
    sim.run(async move {
        scope(|s: Scope<Sim, io::Error>| async move {
            let handle = s.clone();
            s.spawn(async move {
                Sim::sleep(3).await;
                handle.spawn(async move {
                    Sim::sleep(4).await;
                    log.add("grandchild");
                });
            });
            Ok(())
        })
        .await
        .unwrap();
    });
    assert_eq!(seen.take(), ["grandchild"]);
    assert_eq!(sim.now(), 7);
}

#[test]
fn rule7_a_soft_stop_is_information_until_the_grace_is_over() {
    let sim = Sim::new();
    let log = Log::default();
    let seen = log.clone();
    let error = sim.run(async move {
        scope(|s: Scope<Sim, io::Error>| async move {
            let outer = s.clone();
            let l = log.clone();
            s.spawn(shield_unbounded(async move {
                scope(|inner: Scope<Sim, io::Error>| async move {
                    inner.stopping().await;
                    l.add("polite child, through a shield");
                    Ok(())
                })
                .await
                .unwrap();
            }));
            s.spawn(Sim::sleep(LONG));
            s.stop_on(Sim::sleep(5), ms(10));
            Sim::sleep(6).await;
            assert!(outer.is_stopping() && !outer.is_cancelled());
            s.spawn(async {});
            Sim::sleep(LONG).await;
            Ok(())
        })
        .await
        .unwrap_err()
    });
    assert_eq!(error.reason().unwrap().kind(), ramus_scope::ReasonKind::Shutdown);
    assert_eq!(seen.take(), ["polite child, through a shield"]);
    assert_eq!((sim.now(), sim.alarms()), (15, 0));
}

#[test]
fn tree_shows_scopes_tasks_and_shields() {
    let sim = Sim::new();
    let root = Root::new(sim.clone(), "root");
    let handle = root.handle().clone();
    let _task = root.handle().spawn(async {
        Scope::<Sim>::builder()
            .name("work")
            .open(|s: Scope<Sim, io::Error>| async move {
                s.spawn(shield(ms(5), Sim::sleep(10)));
                Ok(())
            })
            .await
    });
    sim.settle();
    let rows = handle.tree();
    let lines: Vec<String> = rows
        .iter()
        .map(|row| {
            format!("{}{:?} {} {}", " ".repeat(row.depth), row.kind, row.name.as_deref().unwrap_or("-"), row.state)
        })
        .collect();
    assert_eq!(
        lines,
        ["Scope root open", " Task - suspended", "  Scope work open", "   Task - suspended", "    Shield - open",]
    );
    handle.cancel("end");
    sim.settle();
    assert!(handle.tree().iter().any(|row| row.state == "protecting"), "it still shows the shielded child");
    while sim.advance() {
        sim.settle();
    }
    assert_eq!(handle.tree().len(), 1);
}
