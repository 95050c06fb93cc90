//! How a cancel travels and is delivered: the rules of delivery, leaves and shields.
#![allow(missing_docs)]

mod common;

use std::io;
use std::time::Duration;

use common::{Alive, Foreign, Log, Sim};
use futures_util::future::join;
use ramus_scope::{Scope, scope, shield, shield_unbounded};

const LONG: u64 = 1_000_000;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A child that opens a scope with a child of its own, `depth` times.
fn nest(depth: usize, alive: Alive, log: Log) -> futures_util::future::BoxFuture<'static, ()> {
    Box::pin(async move {
        let _guard = alive.guard();
        if depth == 0 {
            Sim::sleep(LONG).await;
        } else {
            let below = nest(depth - 1, alive.clone(), log.clone());
            let _ = scope(|s: Scope<Sim, io::Error>| async move {
                s.spawn(below);
                Ok(())
            })
            .await;
            log.add("ran on in a cancelled scope");
        }
    })
}

#[test]
fn d01_d32_rule1_a_cancel_reaches_everything_below_before_the_scope_returns() {
    let sim = Sim::new();
    let (alive, log) = (Alive::default(), Log::default());
    let (watch, seen) = (alive.clone(), log.clone());
    let error = sim.run(async move {
        scope(|s: Scope<Sim, io::Error>| async move {
            for _ in 0..3 {
                s.spawn(nest(4, alive.clone(), log.clone()));
            }
            Sim::sleep(1).await;
            assert_eq!(alive.count(), 15);
            s.cancel("all of it");
            Sim::sleep(1).await;
            Ok(())
        })
        .await
        .unwrap_err()
    });
    assert!(error.is_cancelled());
    assert_eq!(watch.count(), 0, "dropped when the scope returns");
    assert_eq!(seen.take(), Vec::<String>::new(), "D17: code after an inner scope does not run on");
    assert_eq!((sim.now(), sim.alarms()), (1, 0));
}

#[test]
fn rule6_nothing_above_is_cancelled() {
    let sim = Sim::new();
    let value = sim.run(async {
        scope(|s: Scope<Sim, io::Error>| async move {
            let sibling = s.spawn(async {
                Sim::sleep(3).await;
                1
            });
            let inner = scope(|inner: Scope<Sim, io::Error>| async move {
                inner.cancel("only here");
                Sim::sleep(1).await;
                Ok(())
            })
            .await;
            assert!(inner.unwrap_err().is_cancelled());
            assert!(!s.is_cancelled());
            Ok(sibling.await.unwrap())
        })
        .await
    });
    assert_eq!(value.unwrap(), 1);
}

#[test]
fn d07_d50_rule4_a_shielded_child_ends_and_its_siblings_do_not() {
    let sim = Sim::new();
    let log = Log::default();
    let seen = log.clone();
    let error = sim.run(async move {
        scope(|s: Scope<Sim, io::Error>| async move {
            let l = log.clone();
            s.spawn(async move {
                let value = shield(ms(100), async {
                    Sim::sleep(10).await;
                    assert!(!ramus_scope::is_cut(), "D50: what the task may observe");
                    5
                })
                .await;
                l.add(format!("shielded {value}"));
                assert!(ramus_scope::is_cut());
                Sim::sleep(1).await;
                l.add("D7: the next await after the shield observes");
            });
            let l = log.clone();
            s.spawn(async move {
                Sim::sleep(5).await;
                l.add("sibling");
            });
            Sim::sleep(1).await;
            s.cancel("now");
            Sim::sleep(1).await;
            Ok(())
        })
        .await
        .unwrap_err()
    });
    assert!(error.is_cancelled());
    assert_eq!(seen.take(), ["shielded 5"]);
    assert_eq!(sim.now(), 10);
}

#[test]
fn spot3_rule4_a_shield_ends_with_its_budget() {
    let sim = Sim::new();
    let alive = Alive::default();
    let watch = alive.clone();
    sim.run(async move {
        let result = scope(|s: Scope<Sim, io::Error>| async move {
            let guard = alive.guard();
            s.spawn(shield(ms(20), async move {
                let _guard = guard;
                // The budget runs from the arrival of the cancel, so this is longer than the shield.
                let inner = scope(|inner: Scope<Sim, io::Error>| async move {
                    inner.spawn(Sim::sleep(LONG));
                    Ok(())
                });
                inner.await.unwrap();
                panic!("the budget is over");
            }));
            Sim::sleep(7).await;
            s.cancel("now");
            Ok(())
        })
        .await;
        assert!(result.unwrap_err().is_cancelled());
    });
    assert_eq!((sim.now(), watch.count()), (27, 0));
}

#[test]
fn d06_a_cancel_inside_a_shield_works() {
    let sim = Sim::new();
    sim.run(async {
        shield_unbounded(async {
            let result = scope(|s: Scope<Sim, io::Error>| async move {
                s.cancel("D6");
                Sim::sleep(LONG).await;
                Ok(())
            })
            .await;
            assert!(result.unwrap_err().is_cancelled());
        })
        .await;
    });
    assert_eq!(sim.now(), 0);
}

#[test]
fn d03_a_member_cancelled_before_its_first_poll_never_runs() {
    let sim = Sim::new();
    let alive = Alive::default();
    let watch = alive.clone();
    let joined = sim.run(async move {
        let mut child = None;
        let slot = &mut child;
        let result = scope(|s: Scope<Sim, io::Error>| {
            let guard = alive.guard();
            *slot = Some(s.spawn(async move {
                let _guard = guard;
                panic!("D3: never polled");
            }));
            s.cancel("D3");
            async { Ok(()) }
        })
        .await;
        assert!(result.unwrap_err().is_cancelled());
        child.unwrap().await
    });
    let error = joined.unwrap_err();
    assert!(error.is_cancelled() && error.never_started());
    assert_eq!(watch.count(), 0);
}

#[test]
fn d04_d05_one_task_alone_is_cancelled_by_its_handle() {
    let sim = Sim::new();
    let result = sim.run(async {
        scope(|s: Scope<Sim, io::Error>| async move {
            let child = s.spawn(async {
                let _ = scope(|s: Scope<Sim, io::Error>| async move {
                    s.spawn(Sim::sleep(LONG));
                    Ok(())
                })
                .await;
                panic!("cut");
            });
            Sim::sleep(1).await;
            assert!(child.cancel("alone"));
            assert!(!child.cancel("twice"), "D5");
            let error = child.await.unwrap_err();
            assert_eq!(error.reason().unwrap().message(), Some("alone"));
            assert!(!error.never_started());
            Ok(1)
        })
        .await
    });
    assert_eq!(result.unwrap(), 1, "a child cancelled alone does not count as cut");
    assert_eq!(sim.now(), 1);
}

#[test]
fn rule3_spot1_leaves_in_a_cut_frame_have_no_effect() {
    let sim = Sim::new();
    let log = Log::default();
    let seen = log.clone();
    sim.run(async move {
        let _ = scope(|s: Scope<Sim, io::Error>| async move {
            s.spawn(async move {
                let held = shield(ms(50), async {
                    Sim::sleep(10).await;
                    log.add("shielded branch");
                });
                let foreign = async {
                    Sim::sleep(5).await;
                    log.add("inert branch");
                };
                join(held, foreign).await;
                log.add("joined");
            });
            Sim::sleep(1).await;
            s.cancel("now");
            Ok(())
        })
        .await;
    });
    assert_eq!(seen.take(), ["shielded branch"]);
    assert_eq!(sim.now(), 10);
}

#[test]
fn d02_rule2_futures_of_other_crates_are_dropped_at_their_suspension() {
    let sim = Sim::new();
    let alive = Alive::default();
    let watch = alive.clone();
    sim.run(async move {
        let _ = scope(|s: Scope<Sim, io::Error>| async move {
            let guard = alive.guard();
            s.spawn(async move {
                let _guard = guard;
                loop {
                    Foreign::default().await;
                }
            });
            Foreign::default().await;
            s.cancel("now");
            Ok(())
        })
        .await;
    });
    assert_eq!(watch.count(), 0);
}

#[test]
fn d17_rule6_the_outermost_cancelled_scope_catches() {
    let sim = Sim::new();
    let log = Log::default();
    let seen = log.clone();
    let error = sim.run(async move {
        scope(|outer: Scope<Sim, io::Error>| async move {
            let l = log.clone();
            let _ = scope(|inner: Scope<Sim, io::Error>| async move {
                inner.cancel("inner");
                outer.cancel("outer");
                Sim::sleep(1).await;
                Ok(())
            })
            .await;
            l.add("ran on");
            Sim::sleep(1).await;
            Ok(())
        })
        .await
        .unwrap_err()
    });
    assert_eq!(error.reason().unwrap().message(), Some("outer"), "D17");
    assert_eq!(seen.take(), Vec::<String>::new());
}
