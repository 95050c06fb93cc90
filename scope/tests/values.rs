//! Values that scopes hand down, and roots below a scope.
#![allow(missing_docs)]

mod common;

use std::io;
use std::sync::{Arc, Mutex};

use common::{Alive, Guard, Log, Sim};
use ramus_scope::{
    Builder, Root, Scope, ScopeHandle, ScopeValue, current_value, run_until_cancelled, scope, shield_unbounded,
};

#[derive(Debug, PartialEq)]
struct Id(u32);
impl ScopeValue for Id {}

#[derive(Debug, PartialEq)]
struct Name(&'static str);
impl ScopeValue for Name {}

fn id() -> Option<u32> {
    current_value::<Id>().map(|id| id.0)
}

#[test]
fn the_nearest_value_wins() {
    let sim = Sim::new();
    sim.run(async {
        Builder::new()
            .value(Id(1))
            .value(Name("outer"))
            .open(|s: Scope<Sim, io::Error>| async move {
                assert_eq!(s.value::<Id>().unwrap().0, 1);
                let outer = s.clone();
                let child = s.spawn(async { id() });
                Builder::new()
                    .value(Id(2))
                    .value(Id(3))
                    .open(|inner: Scope<Sim, io::Error>| async move {
                        assert_eq!(*inner.value::<Id>().unwrap(), Id(3), "the second of a type replaces the first");
                        assert_eq!(*inner.value::<Name>().unwrap(), Name("outer"), "inherited");
                        assert_eq!(outer.value::<Id>().unwrap().0, 1, "a handle answers for its own scope");
                        assert_eq!(outer.spawn(async { id() }).await.unwrap(), Some(1), "a child of the outer scope");
                        assert_eq!(inner.spawn(async { id() }).await.unwrap(), Some(3));
                        Ok(())
                    })
                    .await
                    .unwrap();
                assert_eq!((child.await.unwrap(), id()), (Some(1), Some(1)));
                Ok(())
            })
            .await
            .unwrap();
        assert_eq!(id(), None);
    });
}

#[test]
fn values_pass_through_tasks_shields_and_plain_scopes() {
    let sim = Sim::new();
    sim.run(async {
        Builder::new()
            .value(Id(5))
            .open(|s: Scope<Sim, io::Error>| async move {
                let child = s.spawn(async {
                    Sim::sleep(1).await;
                    shield_unbounded(run_until_cancelled(scope(|s: Scope<Sim, io::Error>| async move {
                        Sim::sleep(1).await;
                        Ok(s.spawn(async { id() }).await.unwrap())
                    })))
                    .await
                    .unwrap()
                    .unwrap()
                });
                assert_eq!(child.await.unwrap(), Some(5));
                Ok(())
            })
            .await
            .unwrap();
    });
}

#[test]
fn a_job_sees_the_values_of_its_scope() {
    let sim = Sim::new();
    sim.run(async {
        Builder::new()
            .value(Id(9))
            .open(|s: Scope<Sim, io::Error>| async move {
                let membership = s.admit().unwrap();
                let seen = std::thread::spawn(move || {
                    let inside = membership.run(|| (id(), membership.run(id), id()));
                    (inside, id())
                });
                assert_eq!(seen.join().unwrap(), ((Some(9), Some(9), Some(9)), None));
                Ok(())
            })
            .await
            .unwrap();
    });
}

#[test]
fn a_value_lives_as_long_as_its_scope_and_its_handles() {
    struct Resource(#[expect(dead_code, reason = "held for its drop")] Guard);
    impl ScopeValue for Resource {}
    let sim = Sim::new();
    let alive = Alive::default();
    let resource = Resource(alive.guard());
    let handle = sim.run(async {
        Builder::new()
            .value(resource)
            .open(|s: Scope<Sim, io::Error>| async move {
                s.spawn(Sim::sleep(5));
                Ok(s.clone())
            })
            .await
            .unwrap()
    });
    assert_eq!(alive.count(), 1, "a handle keeps it");
    assert!(handle.value::<Resource>().is_some());
    drop(handle);
    assert_eq!(alive.count(), 0);
}

#[test]
fn a_value_whose_destructor_panics_harms_nobody() {
    struct Bomb;
    impl ScopeValue for Bomb {}
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("a destructor");
        }
    }
    let sim = Sim::new();
    let seven =
        sim.run(async { Builder::new().value(Bomb).open(|_s: Scope<Sim, io::Error>| async { Ok(7) }).await.unwrap() });
    assert_eq!(seven, 7);
}

#[test]
fn builders_print_the_types_of_their_values() {
    let text = format!("{:?}", Builder::new().value(Id(1)));
    assert!(text.contains("Id"), "{text}");
}

#[test]
fn d47_a_root_below_a_scope_is_waited_for() {
    let sim = Sim::new();
    let log = Log::default();
    let seen = log.clone();
    sim.run(async move {
        let l = log.clone();
        Builder::new()
            .value(Id(4))
            .open(|s: Scope<Sim, io::Error>| async move {
                let below = Root::below(&s, "below");
                assert_eq!(below.handle().name(), Some("below"));
                below.handle().spawn(async move {
                    Sim::sleep(10).await;
                    l.add(format!("{:?}", id()));
                });
                let bad = below.handle().spawn(async { panic!("isolated") });
                assert!(bad.await.unwrap_err().is_panic());
                Ok(())
            })
            .await
            .unwrap();
        log.add("ended");
    });
    assert_eq!((seen.take(), sim.now()), (vec!["Some(4)".to_owned(), "ended".to_owned()], 10));
}

#[test]
fn d47_a_stop_or_a_cancel_closes_a_root_below_that_somebody_holds() {
    let sim = Sim::new();
    let root = Root::new(sim.clone(), "root");
    for is_stop in [true, false] {
        let held: Arc<Mutex<Option<Root<Sim>>>> = Arc::default();
        let out = Arc::clone(&held);
        let scope = root.handle().spawn(async move {
            scope(|s: Scope<Sim, io::Error>| async move {
                let below = Root::below(&s, "below");
                below.handle().spawn(Sim::sleep(3));
                *out.lock().unwrap() = Some(below);
                Sim::sleep(1).await;
                if is_stop {
                    s.stop(std::time::Duration::from_secs(100));
                } else {
                    s.cancel("enough");
                }
                Ok(())
            })
            .await
        });
        sim.settle();
        while sim.advance() {
            sim.settle();
        }
        let ended = scope.try_take().expect("it waits for the owner of the root").unwrap();
        assert!(ended.is_ok(), "failures and cuts are the root's own");
        let below = held.lock().unwrap().take().unwrap();
        let late: ScopeHandle<Sim> = below.handle().clone();
        assert!(late.offer(async {}).is_err());
        drop(below);
    }
}

#[test]
fn d47_a_root_below_what_has_ended_or_is_cancelled_admits_nothing() {
    let sim = Sim::new();
    sim.run(async {
        let ended = scope(|s: Scope<Sim, io::Error>| async move {
            s.cancel("closed");
            let below = Root::below(&s, "below");
            let refused = below.handle().offer(async {}).err().unwrap();
            assert!(refused.reason().is_some());
            assert!(below.handle().is_cancelled());
            Ok((*s).clone())
        })
        .await
        .unwrap();
        let below = Root::below(&ended, "late");
        let handle = below.handle().spawn(async { panic!("polled") });
        assert!(handle.await.unwrap_err().never_started());
    });
}
