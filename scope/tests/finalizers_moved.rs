//! What a finalizer has open when the future that polls it is dropped half-way (D28).
#![allow(missing_docs)]

mod common;

use std::future::{pending, poll_fn};
use std::io;
use std::task::Poll;
use std::time::Duration;

use common::strays::poll_once;
use common::{Log, Sim};
use futures_util::FutureExt;
use futures_util::future::{join, select};
use futures_util::stream::{FuturesUnordered, StreamExt};
use ramus_scope::{Root, Scope, run_until_cancelled, scope};

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

#[test]
fn d08_d28_a_budget_that_ends_while_nobody_polls_the_finalizer_wakes_what_is_open_in_it() {
    let sim = Sim::new();
    let log = Log::default();
    let l = log.clone();
    sim.run(async move {
        let _ = scope(|_adopter: Scope<Sim, io::Error>| async move {
            let tidying = scope(|s: Scope<Sim, io::Error>| async move {
                s.defer_within(Duration::from_millis(11), async move {
                    let protected = async move {
                        let answer = run_until_cancelled(Sim::sleep(1_000)).await;
                        l.add(format!("told: {}", answer.is_err()));
                    };
                    // It polls what was woken, and nothing else.
                    [protected].into_iter().collect::<FuturesUnordered<_>>().collect::<()>().await;
                })
                .unwrap();
                Ok(())
            });
            // Dropped at the time at which the budget ends, and first.
            let _ = select(Box::pin(Sim::sleep(11)), Box::pin(tidying)).await;
            Ok::<(), io::Error>(())
        })
        .await;
    });
    assert_eq!(log.take(), ["told: true"], "an open boundary is not dropped before it has answered (rule 4)");
    assert_eq!((sim.now(), sim.alarms()), (11, 0));
}

#[test]
fn rule4_d28_a_kill_before_the_finalizer_goes_on_drops_nothing_that_is_open_in_it() {
    let log = Log::default();
    let l = log.clone();
    Sim::new().run(async move {
        let _ = scope(|adopter: Scope<Sim, io::Error>| async move {
            let mut tidying = Box::pin(scope(|s: Scope<Sim, io::Error>| async move {
                s.defer(async move {
                    let answer = run_until_cancelled(pending::<()>()).await;
                    l.add(format!("told: {}", answer.is_err()));
                })
                .unwrap();
                Ok(())
            }));
            let holding = scope(|s: Scope<Sim, io::Error>| async move {
                s.spawn(pending::<()>());
                Ok(())
            });
            let killing = async {
                poll_once(&mut tidying).await;
                // This code is polled once more before the adopter's task goes on with the finalizer.
                poll_fn(|cx| {
                    cx.waker().wake_by_ref();
                    Poll::Ready(())
                })
                .await;
                drop(tidying);
                adopter.kill("the last resort");
                pending::<()>().await;
            };
            let _ = join(holding, killing).await;
            Ok::<(), io::Error>(())
        })
        .await;
    });
    assert_eq!(log.take(), ["told: true"]);
}
