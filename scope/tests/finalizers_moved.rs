//! What a finalizer has open when the future that polls it is dropped half-way (D28).
#![allow(missing_docs)]

mod common;

use std::io;

use common::{Log, Sim};
use futures_util::FutureExt;
use futures_util::future::join;
use ramus_scope::{Root, Scope, scope};

#[test]
fn d08_d28_a_scope_open_in_a_finalizer_is_not_cancelled_when_the_finalizer_moves_to_the_adopter() {
    let sim = Sim::new();
    let root = Root::new(sim.clone(), "root");
    let log = Log::default();
    let l = log.clone();
    let task = root.handle().spawn(async move {
        let failing = scope(|_outer: Scope<Sim, io::Error>| async move {
            let tidying = scope(|s: Scope<Sim, io::Error>| async move {
                s.defer(async move {
                    let answer = scope(|inner: Scope<Sim, io::Error>| async move {
                        inner.spawn(Sim::sleep(20));
                        Sim::sleep(10).await;
                        Ok(7)
                    })
                    .await;
                    l.add(format!("tidied: {:?}", answer.ok()));
                })
                .unwrap();
                Ok(())
            });
            let panicking = async {
                Sim::sleep(5).await;
                panic!("beside a scope that finalizes");
            };
            join(tidying, panicking).await;
            Ok(())
        });
        assert!(std::panic::AssertUnwindSafe(failing).catch_unwind().await.is_err());
    });
    sim.settle();
    while sim.advance() {
        sim.settle();
    }
    assert!(task.try_take().unwrap().is_ok());
    root.close();
    assert_eq!(log.take(), ["tidied: Some(7)"], "no cancel from around gets into a finalizer");
    assert_eq!((sim.now(), sim.alarms(), root.handle().live()), (20, 0, 0));
}
