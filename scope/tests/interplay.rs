//! Features that meet: kills, finalizers, starts, limits, callbacks, roots.
#![allow(missing_docs)]

mod common;

use std::future::{pending, poll_fn};
use std::io;
use std::num::NonZeroUsize;
use std::task::Poll;

use common::strays::{Answer, Boxed, LONG, Slot, go_to, is_over, ms, poll_once, start_in_a_task};
use common::{Alive, Log, Sim};
use ramus_scope::{Ready, ReasonKind, Root, Scope, scope, shield, shield_unbounded};

#[test]
fn d05_d28_a_kill_reaches_what_is_shielded_in_a_scope_that_was_dropped() {
    for by_own_handle in [false, true] {
        let (sim, alive) = (Sim::new(), Alive::default());
        let root = Root::new(sim.clone(), "root");
        let (at, guard) = (Slot::new(), alive.guard());
        let put = at.clone();
        drop(root.handle().spawn(async move {
            let mut inner: Boxed<Answer> = Box::pin(scope(|s: Scope<Sim, io::Error>| async move {
                put.put((*s).clone());
                drop(s.spawn(shield_unbounded(async move {
                    let _guard = guard;
                    pending::<()>().await;
                })));
                Sim::sleep(LONG).await;
                Ok(7)
            }));
            poll_once(&mut inner).await;
            Sim::sleep(1).await;
            drop(inner);
        }));
        go_to(&sim, 1);
        assert_eq!(alive.count(), 1, "the shield holds against the drop");
        assert!(!is_over(&root));
        let inner = at.take();
        if by_own_handle {
            inner.kill("now")
        } else {
            root.handle().kill("now")
        };
        sim.settle();
        assert_eq!(alive.count(), 0, "a kill goes through shields: {by_own_handle}");
        assert!(root.handle().live() == 0);
    }
}

#[test]
fn d05_d28_a_kill_ends_the_finalizers_of_a_scope_that_was_dropped() {
    for begun in [false, true] {
        let (sim, alive) = (Sim::new(), Alive::default());
        let root = Root::new(sim.clone(), "root");
        let guard = alive.guard();
        drop(root.handle().spawn(async move {
            let mut inner: Boxed<Answer> = Box::pin(scope(move |s: Scope<Sim, io::Error>| async move {
                s.defer(async move {
                    let _guard = guard;
                    shield_unbounded(pending::<()>()).await;
                })
                .unwrap();
                if !begun {
                    Sim::sleep(LONG).await;
                }
                Ok(7)
            }));
            poll_once(&mut inner).await;
            Sim::sleep(1).await;
            if begun {
                poll_once(&mut inner).await;
            }
            drop(inner);
        }));
        go_to(&sim, 1);
        assert_eq!(alive.count(), 1);
        root.handle().kill("now");
        sim.settle();
        assert_eq!(alive.count(), 0, "begun: {begun}");
        assert!(is_over(&root));
    }
}

#[test]
fn d04_a_root_that_has_drained_is_over() {
    let sim = Sim::new();
    let root = Root::new(sim.clone(), "root");
    let alive = Alive::default();
    let guard = alive.guard();
    root.handle().on_cancel(move |_| drop(guard)).detach();
    root.handle().stop(ms(LONG));
    assert_eq!(sim.alarms(), 1);
    root.close();
    sim.settle();
    assert!(root.handle().set_deadline(sim.instant(5)).is_err());
    assert!(!root.handle().cancel("late"), "it has ended");
    assert!(!root.handle().kill("late"), "it has ended");
    assert_eq!(alive.count(), 0, "its callbacks go with it");
    assert_eq!(sim.alarms(), 0, "its alarms go with it");
}

#[test]
fn d03_d40_a_guaranteed_child_that_was_handed_its_slot_runs() {
    let (sim, log) = (Sim::new(), Log::default());
    let root = Root::new(sim.clone(), "root");
    let (at, out) = (Slot::new(), log.clone());
    let put = at.clone();
    drop(root.handle().spawn(async move {
        let limited = ramus_scope::Builder::new().task_limit(NonZeroUsize::MIN);
        limited
            .open(|s: Scope<Sim, io::Error>| async move {
                put.put((*s).clone());
                drop(s.spawn(Sim::sleep(1)));
                drop(s.start_guaranteed(async move {
                    out.add("ran");
                    Sim::sleep(1).await;
                    out.add("ran on");
                }));
                pending::<()>().await;
                Ok(())
            })
            .await
    }));
    sim.settle();
    assert!(sim.advance() && sim.step(), "the first child ends, and hands its slot on");
    at.take().cancel("now");
    sim.settle();
    assert_eq!(log.take(), ["ran"]);
    assert!(is_over(&root));
}

#[test]
fn d08_d29_a_shield_that_moves_out_of_a_killed_scope_stays_spent() {
    let (sim, alive) = (Sim::new(), Alive::default());
    let (first, second) = (Root::new(sim.clone(), "first"), Root::new(sim.clone(), "second"));
    let guard = alive.guard();
    let work = Box::pin(shield_unbounded(scope(|s: Scope<Sim, io::Error>| async move {
        drop(s.spawn(shield_unbounded(async move {
            let _guard = guard;
            pending::<()>().await;
        })));
        pending::<()>().await;
        Ok(())
    })));
    let (_task, slot) = start_in_a_task(first.handle(), work);
    sim.settle();
    let join = {
        first.handle().kill("now");
        second.handle().spawn(slot.take())
    };
    sim.settle();
    assert_eq!(alive.count(), 0);
    assert!(is_over(&first), "first");
    assert!(join.try_take().unwrap().unwrap().is_err());
    assert!(is_over(&second), "second");
}

#[test]
fn d42_a_started_child_with_open_boundaries_that_is_killed_as_it_moves_in_ends() {
    for kill in [false, true] {
        let (sim, alive) = (Sim::new(), Alive::default());
        let (root, other) = (Root::new(sim.clone(), "root"), Root::new(sim.clone(), "other"));
        let (at, guard) = (Slot::new(), alive.guard());
        let put = at.clone();
        drop(root.handle().spawn(async move {
            ramus_scope::Builder::new()
                .task_limit(NonZeroUsize::MIN)
                .open(|s: Scope<Sim, io::Error>| async move {
                    put.put(s);
                    Sim::sleep(LONG).await;
                    Ok(())
                })
                .await
        }));
        sim.settle();
        let s = at.take();
        let join = other.handle().spawn(async move {
            let started = s
                .start(|ready: Ready<u8>| async move {
                    let _guard = guard;
                    let _: Result<(), _> = scope(|t: Scope<Sim, io::Error>| async move {
                        drop(t.spawn(async move {
                            Sim::sleep(1).await;
                            ready.ready(3).unwrap();
                        }));
                        shield(ms(100), Sim::sleep(50)).await;
                        Ok(())
                    })
                    .await;
                    Ok::<(), io::Error>(())
                })
                .await;
            if kill {
                s.kill("now");
            } else {
                s.cancel("now");
            }
            started.unwrap()
        });
        go_to(&sim, 1);
        assert_eq!(join.try_take().unwrap().unwrap(), 3);
        assert_eq!(alive.count(), usize::from(!kill));
        assert_eq!(is_over(&root), kill);
        assert!(is_over(&other));
        if !kill {
            go_to(&sim, 50);
            assert!(is_over(&root) && alive.count() == 0);
        }
    }
}

#[test]
fn d28_d42_a_pending_start_whose_scope_is_dropped_is_refused() {
    let sim = Sim::new();
    let (root, other) = (Root::new(sim.clone(), "root"), Root::new(sim.clone(), "other"));
    let at = Slot::new();
    let put = at.clone();
    drop(root.handle().spawn(async move {
        let mut inner: Boxed<Answer> = Box::pin(scope(|s: Scope<Sim, io::Error>| async move {
            put.put(s);
            pending::<()>().await;
            Ok(7)
        }));
        poll_once(&mut inner).await;
        Sim::sleep(1).await;
        drop(inner);
    }));
    sim.settle();
    let s = at.take();
    let join = other.handle().spawn(async move {
        s.start(|ready: Ready<u8>| async move {
            Sim::sleep(2).await;
            ready.ready(3).map_err(io::Error::from)
        })
        .await
        .map_err(|error| (error.is_refused(), error.reason().map(|reason| reason.kind())))
    });
    go_to(&sim, 1);
    assert!(!is_over(&root), "a start is pending");
    go_to(&sim, 2);
    assert_eq!(join.try_take().unwrap().unwrap(), Err((true, Some(ReasonKind::Dropped))));
    assert!(is_over(&root));
}

#[test]
fn rule4_d29_a_race_whose_loser_was_moved_out_and_killed_ends() {
    let (sim, alive) = (Sim::new(), Alive::default());
    let root = Root::new(sim.clone(), "root");
    let guard = alive.guard();
    let mut race = Box::pin(ramus_scope::race((
        async move {
            let _ = scope(|s: Scope<Sim, io::Error>| async move {
                drop(s.spawn(shield_unbounded(async move {
                    let _guard = guard;
                    pending::<()>().await;
                })));
                pending::<()>().await;
                Ok(())
            })
            .await;
            1
        },
        async {
            Sim::sleep(1).await;
            2
        },
    )));
    let slot = Slot::new();
    let put = slot.clone();
    drop(root.handle().spawn(async move {
        poll_once(&mut race).await;
        Sim::sleep(2).await;
        // It is decided, and its loser drains.
        poll_fn(|cx| {
            assert!(race.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        put.put(race);
    }));
    go_to(&sim, 2);
    let second = Root::new(sim.clone(), "second");
    let join = second.handle().spawn(slot.take());
    sim.settle();
    assert!(is_over(&root), "it has moved");
    second.handle().kill("now");
    sim.settle();
    assert_eq!(alive.count(), 0);
    assert!(is_over(&second));
    assert!(join.try_take().is_some());
}

#[test]
fn d05_d28_d48_a_kill_reaches_a_scope_dropped_in_a_dropped_scope_through_a_root() {
    let (sim, alive) = (Sim::new(), Alive::default());
    let root = Root::new(sim.clone(), "root");
    let below = Root::below(root.handle(), "below");
    let guard = alive.guard();
    drop(below.handle().spawn(async move {
        let mut outer: Boxed<Answer> = Box::pin(scope(move |_: Scope<Sim, io::Error>| async move {
            let mut inner: Boxed<Answer> = Box::pin(scope(move |s: Scope<Sim, io::Error>| async move {
                drop(s.spawn(shield_unbounded(async move {
                    let _guard = guard;
                    pending::<()>().await;
                })));
                pending::<()>().await;
                Ok(7)
            }));
            poll_once(&mut inner).await;
            Sim::sleep(1).await;
            drop(inner);
            pending::<()>().await;
            Ok(7)
        }));
        poll_once(&mut outer).await;
        Sim::sleep(2).await;
        drop(outer);
    }));
    go_to(&sim, 2);
    root.handle().cancel("now");
    sim.settle();
    assert_eq!(alive.count(), 1);
    root.handle().kill("now");
    sim.settle();
    assert_eq!(alive.count(), 0);
    assert!(is_over(&root));
}
