//! `start_guaranteed`: a first poll that no cancel takes away (D3).
#![allow(missing_docs)]

mod common;

use std::io;
use std::time::Duration;

use common::{Foreign, Log, Sim};
use ramus_scope::{Scope, scope, shield, shield_unbounded};

#[test]
fn d03_a_guaranteed_child_is_polled_once_although_it_was_cancelled_before() {
    let sim = Sim::new();
    let log = Log::default();
    let seen = log.clone();
    let error = sim.run(scope(|s: Scope<Sim, io::Error>| async move {
        let plain = log.clone();
        let unpolled = s.spawn(async move { plain.add("plain") });
        let inside = log.clone();
        let polled = s.start_guaranteed(async move {
            inside.add("first poll");
            Sim::sleep(0).await;
            inside.add("never");
        });
        let alone = log.clone();
        let by_handle = s.start_guaranteed(async move {
            alone.add("its handle does not keep it either");
            Foreign::default().await;
            alone.add("never");
        });
        let at_once = s.start_guaranteed(async { 3 });
        by_handle.cancel("alone");
        s.cancel("before any of them was polled");
        let refused = s.start_guaranteed(async { unreachable!("refused as every spawn") });
        shield_unbounded(async move {
            assert!(unpolled.await.unwrap_err().never_started());
            assert!(refused.await.unwrap_err().never_started());
            let error = polled.await.unwrap_err();
            assert!(error.is_cancelled() && !error.never_started());
            assert!(!by_handle.await.unwrap_err().never_started());
            assert_eq!(at_once.await.unwrap(), 3);
        })
        .await;
        Ok(())
    }));
    assert!(error.unwrap_err().is_cancelled());
    assert_eq!(seen.take(), ["first poll", "its handle does not keep it either"]);
}

#[test]
fn d03_a_guaranteed_child_holds_the_boundary_that_it_opened_in_its_first_poll() {
    let sim = Sim::new();
    let log = Log::default();
    let seen = log.clone();
    let error = sim.run(scope(|s: Scope<Sim, io::Error>| async move {
        s.start_guaranteed(async move {
            shield(Duration::from_millis(50), async {
                log.add("begins");
                Sim::sleep(5).await;
                log.add("ends");
            })
            .await;
            Sim::sleep(1).await;
        });
        s.cancel("before");
        Ok(())
    }));
    assert!(error.unwrap_err().is_cancelled());
    assert_eq!((seen.take(), sim.now()), (vec!["begins".to_owned(), "ends".to_owned()], 5));
}
