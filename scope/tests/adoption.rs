//! Adoption: scopes whose future is dropped half-way (D28).
#![allow(missing_docs)]

mod common;

use std::future::Future;
use std::io;
use std::panic::AssertUnwindSafe;
use std::task::Poll;
use std::time::Duration;

use common::{Alive, Sim};
use futures_util::FutureExt;
use futures_util::future::poll_fn;
use ramus_scope::{Root, Scope, ScopeError, scope, shield, shield_unbounded};

const LONG: u64 = 1_000_000;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Polls `future` once, which must suspend.
async fn poll_once<F: Future + Unpin>(future: &mut F) {
    poll_fn(|cx| {
        assert!(future.poll_unpin(cx).is_pending());
        Poll::Ready(())
    })
    .await;
}

#[test]
fn d28_a_scope_dropped_half_way_is_adopted() {
    let sim = Sim::new();
    let alive = Alive::default();
    let watch = alive.clone();
    sim.run(async move {
        scope(|_: Scope<Sim, io::Error>| async move {
            let guard = alive.guard();
            let mut inner = Box::pin(scope(|s: Scope<Sim, io::Error>| async move {
                s.spawn(shield(ms(50), async move {
                    Sim::sleep(10).await;
                    drop(guard);
                }));
                Sim::sleep(LONG).await;
                Ok(())
            }));
            poll_fn(|cx| {
                assert!(inner.as_mut().poll_unpin(cx).is_pending());
                Poll::Ready(())
            })
            .await;
            Sim::sleep(1).await;
            drop(inner);
            assert_eq!(alive.count(), 1, "its child is shielded");
            Ok(())
        })
        .await
        .unwrap();
        assert_eq!(watch.count(), 0, "D28: the enclosing scope waited");
    });
    assert_eq!((sim.now(), sim.alarms()), (10, 0));
}

/// An outer scope of `builder` whose body opens an inner scope, polls it once, drops it at time 5, and goes on until 30.
fn dropped_half_way<F>(
    builder: ramus_scope::Builder,
    child: F,
) -> impl Future<Output = Result<u8, ScopeError<io::Error>>>
where
    F: Future<Output = ()> + Send + 'static,
{
    builder.open(|s: Scope<Sim, io::Error>| async move {
        let sibling = s.spawn(async {
            Sim::sleep(30).await;
            1
        });
        let mut inner = Box::pin(scope(|s: Scope<Sim, io::Error>| async move {
            s.spawn(child);
            Ok(())
        }));
        poll_once(&mut inner).await;
        Sim::sleep(5).await;
        drop(inner);
        Ok(sibling.await.unwrap_or(0))
    })
}

fn quietly<T: Send + 'static>(sim: &Sim, future: impl Future<Output = T> + Send + 'static) -> Option<T> {
    sim.run(AssertUnwindSafe(future).catch_unwind()).ok()
}

#[test]
fn d28_what_the_body_dropped_does_not_count_as_cut() {
    let sim = Sim::new();
    let value = sim.run(dropped_half_way(Scope::<Sim>::builder(), Sim::sleep(LONG)));
    assert_eq!(value.unwrap(), 1);
    assert_eq!((sim.now(), sim.alarms()), (30, 0));
}

#[test]
fn d22_d28_the_panic_of_an_adopted_subtree_is_its_adopters() {
    let late = || async {
        shield_unbounded(Sim::sleep(10)).await;
        panic!("after the adoption");
    };
    let sim = Sim::new();
    assert!(quietly(&sim, dropped_half_way(Scope::<Sim>::builder(), late())).is_none());
    assert_eq!(sim.now(), 10, "the sibling was cancelled");
    let sim = Sim::new();
    let isolated = quietly(&sim, dropped_half_way(Scope::<Sim>::builder().isolate(), late()));
    assert_eq!(isolated.unwrap().unwrap(), 1, "an isolating adopter goes on");
    assert_eq!(sim.now(), 30);
}

#[test]
fn d22_d28_the_panic_of_a_drained_scope_that_is_dropped_is_not_lost() {
    let sim = Sim::new();
    let early = async {
        Sim::sleep(1).await;
        panic!("before the drop");
    };
    assert!(quietly(&sim, dropped_half_way(Scope::<Sim>::builder(), early)).is_none());
    assert_eq!(sim.now(), 5);
}

#[test]
fn d28_a_root_goes_on_when_an_adopted_subtree_panics() {
    let sim = Sim::new();
    let root = Root::new(sim.clone(), "root");
    let task = root.handle().spawn(async {
        let mut inner = Box::pin(scope(|s: Scope<Sim, io::Error>| async move {
            s.spawn(async {
                shield_unbounded(Sim::sleep(5)).await;
                panic!("in a scope that was dropped");
            });
            Ok(())
        }));
        poll_once(&mut inner).await;
        Sim::sleep(1).await;
    });
    assert!(sim.run(task).is_ok());
    assert!(sim.advance());
    sim.settle();
    assert!(!root.handle().is_cancelled());
    assert_eq!(root.handle().live(), 0);
}

#[test]
fn d28_select_style_drops_in_all_phases() {
    for when in [0, 1, 3, 8, 40] {
        let sim = Sim::new();
        let alive = Alive::default();
        let watch = alive.clone();
        let result = sim.run(async move {
            scope(|_: Scope<Sim, io::Error>| async move {
                let inner = Box::pin(scope(|s: Scope<Sim, io::Error>| async move {
                    let guard = alive.guard();
                    s.spawn(async move {
                        shield(ms(30), Sim::sleep(20)).await;
                        drop(guard);
                    });
                    Sim::sleep(2).await;
                    s.cancel("of its own");
                    Sim::sleep(1).await;
                    Ok(())
                }));
                let _ = futures_util::future::select(inner, Box::pin(Sim::sleep(when))).await;
                Ok(1)
            })
            .await
        });
        assert_eq!(result.unwrap(), 1, "dropped at {when}");
        assert_eq!((watch.count(), sim.alarms()), (0, 0), "dropped at {when}");
    }
}
