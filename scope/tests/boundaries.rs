//! Boundaries: timeouts, caught cancels, and boundaries that are kept, moved or leaked.
#![allow(missing_docs)]

mod common;

use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use common::{Alive, Log, Sim};
use futures_util::FutureExt;
use futures_util::future::{join, poll_fn};
use futures_util::stream::{FuturesUnordered, StreamExt};
use ramus_scope::{CutOn, Root, Scope, run_until_cancelled, scope, shield, shield_unbounded};

const LONG: u64 = 1_000_000;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn d02_rule4_spot4_run_until_cancelled_shows_the_cancel() {
    let sim = Sim::new();
    let log = Log::default();
    let seen = log.clone();
    sim.run(async move {
        let _ = scope(|s: Scope<Sim, io::Error>| async move {
            s.spawn(async move {
                let caught = run_until_cancelled(Sim::sleep(LONG)).await.unwrap_err();
                log.add(format!("caught: {}", caught.reason()));
                shield(ms(10), Sim::sleep(2)).await;
                log.add("cleaned up");
                caught.resume::<()>().await;
                log.add("ran on");
            });
            Sim::sleep(1).await;
            s.cancel("why");
            Ok(())
        })
        .await;
    });
    assert_eq!(seen.take(), ["caught: cancelled: why", "cleaned up"]);
    assert_eq!(sim.now(), 3);
}

#[test]
fn spot5_rule4_a_timeout_drains_what_is_inside() {
    let sim = Sim::new();
    let alive = Alive::default();
    let watch = alive.clone();
    let result = sim.run(async move {
        let inside = scope(|s: Scope<Sim, io::Error>| async move {
            let guard = alive.guard();
            s.spawn(shield(ms(50), async move {
                Sim::sleep(20).await;
                drop(guard);
            }));
            Sim::sleep(LONG).await;
            Ok(())
        });
        CutOn::new(inside, Sim::sleep(5)).await
    });
    assert!(result.is_err(), "elapsed");
    assert_eq!((sim.now(), watch.count()), (20, 0), "the shield inside was waited for");
}

#[test]
fn d14_spot5_a_value_produced_while_a_timeout_drains_wins() {
    let sim = Sim::new();
    let result = sim.run(CutOn::new(
        async {
            shield(ms(50), Sim::sleep(20)).await;
            "late but whole"
        },
        Sim::sleep(5),
    ));
    // Without a task and a scope around there is nobody to be held back.
    assert!(result.is_err());
    let result = sim.run_task(CutOn::new(
        async {
            shield(ms(50), Sim::sleep(20)).await;
            "late but whole"
        },
        Sim::sleep(5),
    ));
    assert_eq!(result.unwrap(), Ok("late but whole"));
}

#[test]
fn spot6_rule5_a_boundary_that_is_not_polled_any_more_does_not_hold() {
    let sim = Sim::new();
    let alive = Alive::default();
    let watch = alive.clone();
    sim.run(async move {
        let _ = scope(|s: Scope<Sim, io::Error>| async move {
            let guard = alive.guard();
            s.spawn(async move {
                let _guard = guard;
                let mut kept = Box::pin(shield_unbounded(Sim::sleep(LONG)));
                poll_fn(|cx| {
                    assert!(kept.as_mut().poll_unpin(cx).is_pending());
                    Poll::Ready(())
                })
                .await;
                Sim::sleep(LONG).await;
            });
            Sim::sleep(1).await;
            s.cancel("now");
            Ok(())
        })
        .await;
    });
    assert_eq!((sim.now(), watch.count()), (1, 0));
}

#[test]
fn rule5_many_boundaries_in_one_task() {
    let sim = Sim::new();
    let alive = Alive::default();
    let watch = alive.clone();
    sim.run(async move {
        let _ = scope(|s: Scope<Sim, io::Error>| async move {
            let mut all: FuturesUnordered<_> = (0..1000)
                .map(|_| {
                    let guard = alive.guard();
                    scope(|s: Scope<Sim, io::Error>| async move {
                        s.spawn(Sim::sleep(LONG));
                        Sim::sleep(LONG).await;
                        drop(guard);
                        Ok(())
                    })
                })
                .collect();
            let waiting = async { while all.next().await.is_some() {} };
            let canceller = async {
                Sim::sleep(1).await;
                s.cancel("all thousand");
            };
            join(waiting, canceller).await;
            Ok(())
        })
        .await;
    });
    assert_eq!((sim.now(), sim.alarms(), watch.count()), (1, 0, 0));
}

#[test]
fn spot6_rule5_a_scope_that_is_not_polled_any_more_does_not_hold() {
    let sim = Sim::new();
    let alive = Alive::default();
    let watch = alive.clone();
    sim.run(async move {
        let _ = scope(|s: Scope<Sim, io::Error>| async move {
            let guard = alive.guard();
            s.spawn(async move {
                let mut kept = Box::pin(scope(|inner: Scope<Sim, io::Error>| async move {
                    inner.spawn(async move {
                        let _guard = guard;
                        Sim::sleep(LONG).await;
                    });
                    Sim::sleep(LONG).await;
                    Ok(())
                }));
                poll_fn(|cx| {
                    assert!(kept.as_mut().poll_unpin(cx).is_pending());
                    Poll::Ready(())
                })
                .await;
                Sim::sleep(LONG).await;
            });
            Sim::sleep(1).await;
            s.cancel("now");
            Ok(())
        })
        .await;
    });
    assert_eq!((sim.now(), watch.count()), (1, 0));
}

#[test]
fn spot6_a_boundary_that_is_polled_again_holds_again() {
    let sim = Sim::new();
    let log = Log::default();
    let seen = log.clone();
    sim.run(async move {
        let _ = scope(|s: Scope<Sim, io::Error>| async move {
            s.spawn(async move {
                let mut kept = Box::pin(shield_unbounded(async move {
                    Sim::sleep(30).await;
                    log.add("kept to its end");
                }));
                poll_fn(|cx| {
                    assert!(kept.as_mut().poll_unpin(cx).is_pending());
                    Poll::Ready(())
                })
                .await;
                // While this holds, the other one is asked, not polled, and taken for gone.
                shield_unbounded(Sim::sleep(20)).await;
                kept.await;
                Sim::sleep(1).await;
                panic!("the next await after the shields observes");
            });
            Sim::sleep(1).await;
            s.cancel("now");
            Ok(())
        })
        .await;
    });
    assert_eq!(seen.take(), ["kept to its end"]);
    assert_eq!(sim.now(), 30);
}

/// Polls `future` once, which must suspend.
async fn poll_once<F: Future + Unpin>(future: &mut F) {
    poll_fn(|cx| {
        assert!(future.poll_unpin(cx).is_pending());
        Poll::Ready(())
    })
    .await;
}

/// Two tasks: the first polls `future` once, hands it to the second and stays.
fn moved<F>(s: &Scope<Sim, io::Error>, mut future: F) -> (common::Join<()>, common::Join<F::Output>)
where
    F: Future + Unpin + Send + 'static,
    F::Output: Send + 'static,
{
    let slot = Arc::new(Mutex::new(None));
    let hand_over = Arc::clone(&slot);
    let first = s.spawn(async move {
        poll_once(&mut future).await;
        *hand_over.lock().unwrap() = Some(future);
        Sim::sleep(LONG).await;
    });
    let second = s.spawn(async move {
        let future = slot.lock().unwrap().take().expect("the tasks run in the order of their spawns");
        future.await
    });
    (first, second)
}

#[test]
fn d29_a_moved_scope_is_held_and_cancelled_where_it_is() {
    let sim = Sim::new();
    let log = Log::default();
    let seen = log.clone();
    let clock = sim.clone();
    sim.run(async move {
        scope(|s: Scope<Sim, io::Error>| async move {
            let inner = scope(move |s: Scope<Sim, io::Error>| async move {
                s.spawn(shield(ms(50), async move {
                    Sim::sleep(20).await;
                    log.add("child");
                }));
                Sim::sleep(LONG).await;
                Ok(())
            });
            let (first, second) = moved(&s, Box::pin(inner));
            Sim::sleep(1).await;
            assert!(first.cancel("it has moved out"));
            assert!(first.await.is_err());
            assert_eq!(clock.now(), 1, "D29: it holds nothing where it was");
            Sim::sleep(1).await;
            assert!(second.cancel("where it is"));
            assert!(second.await.map(|_| ()).is_err());
            assert_eq!(clock.now(), 20, "D29: it is drained where it is");
            Ok(())
        })
        .await
        .unwrap();
    });
    assert_eq!(seen.take(), ["child"]);
    assert_eq!((sim.now(), sim.alarms()), (20, 0));
}

#[test]
fn d29_a_moved_shield_holds_where_it_is() {
    let sim = Sim::new();
    let clock = sim.clone();
    sim.run(async move {
        scope(|s: Scope<Sim, io::Error>| async move {
            let (first, second) = moved(
                &s,
                Box::pin(shield(ms(50), async {
                    Sim::sleep(20).await;
                    7
                })),
            );
            Sim::sleep(1).await;
            second.cancel("where it is");
            assert_eq!(second.await.unwrap(), 7, "D7: its value survives");
            assert_eq!(clock.now(), 20);
            first.cancel("the end");
            Ok(())
        })
        .await
        .unwrap();
    });
    assert_eq!(sim.alarms(), 0);
}

#[test]
fn d09_d29_a_shield_moved_inside_a_cut_task_keeps_no_longer_than_its_budget() {
    let sim = Sim::new();
    let alive = Alive::default();
    let watch = alive.clone();
    sim.run(async move {
        let _ = scope(|s: Scope<Sim, io::Error>| async move {
            let guard = alive.guard();
            s.spawn(async move {
                let mut kept = Box::pin(shield(ms(10), async move {
                    Sim::sleep(LONG).await;
                    drop(guard);
                }));
                poll_once(&mut kept).await;
                Sim::sleep(5).await;
                // Under another boundary from now on, in a task that is not cut yet.
                let _ = run_until_cancelled(kept).await;
            });
            Sim::sleep(7).await;
            s.cancel("now");
            Ok(())
        })
        .await;
    });
    assert_eq!((sim.now(), watch.count(), sim.alarms()), (17, 0, 0));
}

#[test]
fn d29_a_leaked_scope_does_not_dangle() {
    let sim = Sim::new();
    let (alive, log) = (Alive::default(), Log::default());
    let (watch, seen) = (alive.clone(), log.clone());
    let root = Root::new(sim.clone(), "root");
    drop(root.handle().spawn(async move {
        let guard = alive.guard();
        let mut inner = Box::pin(scope(|s: Scope<Sim, io::Error>| async move {
            s.spawn(async move {
                Sim::sleep(10).await;
                log.add("a child of a leaked scope");
                drop(guard);
            });
            Sim::sleep(LONG).await;
            Ok(())
        }));
        poll_once(&mut inner).await;
        std::mem::forget(inner);
    }));
    sim.settle();
    while watch.count() > 0 {
        assert!(sim.advance());
        sim.settle();
    }
    assert_eq!(seen.take(), ["a child of a leaked scope"]);
    root.handle().cancel("the end");
    root.close();
    assert_eq!(root.handle().live(), 0);
}

#[test]
fn d08_spot5_a_timeout_in_a_shield_in_a_timeout() {
    let sim = Sim::new();
    let result = sim.run_task(CutOn::new(
        shield(ms(50), async {
            // The outer timeout expires at 5, this one at 20: each converts only its own expiry (D15).
            CutOn::new(
                async {
                    let _ = run_until_cancelled(Sim::sleep(LONG)).await;
                },
                Sim::sleep(20),
            )
            .await
        }),
        Sim::sleep(5),
    ));
    assert_eq!(result.unwrap(), Ok(Ok(())), "values produced meanwhile win");
    assert_eq!((sim.now(), sim.alarms()), (20, 0));
}

#[test]
fn rule4_shields_and_timeouts_among_many_futures() {
    let sim = Sim::new();
    let (alive, log) = (Alive::default(), Log::default());
    let (watch, seen) = (alive.clone(), log.clone());
    sim.run(async move {
        let _ = scope(|s: Scope<Sim, io::Error>| async move {
            s.spawn(async move {
                let mut all = FuturesUnordered::new();
                for i in 1..=20_u64 {
                    let (guard, log) = (alive.guard(), log.clone());
                    let work = async move {
                        let _guard = guard;
                        Sim::sleep(i * 5).await;
                        log.add("whole");
                    };
                    all.push(CutOn::new(shield(ms(52), work), Sim::sleep(LONG)));
                }
                while all.next().await.is_some() {}
            });
            Sim::sleep(1).await;
            s.cancel("now");
            Ok(())
        })
        .await;
    });
    // Cancelled at 1, so what needs longer than 53 is cut.
    assert_eq!(seen.take().len(), 10);
    assert_eq!((sim.now(), watch.count(), sim.alarms()), (53, 0, 0));
}
