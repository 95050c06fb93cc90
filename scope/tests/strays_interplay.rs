//! Leaked and moved scopes (D29) that meet other features: finalizers, cancelled places, callbacks, limits.
#![allow(missing_docs)]

mod common;

use std::future::pending;
use std::io;
use std::mem;
use std::num::NonZeroUsize;
use std::task::{Context, Waker};

use common::strays::{Answer, Boxed, LONG, Slot, go_to, is_over, ms, poll_once, start_in_a_task};
use common::{Alive, Log, Sim};
use ramus_scope::{Host, Root, Scope, scope, shield, shield_unbounded};

/// A scope without members and with a finalizer of 10 ms.
fn finalizing(log: &Log, child: u64) -> Boxed<Answer> {
    let log = log.clone();
    Box::pin(scope(move |s: Scope<Sim, io::Error>| async move {
        if child > 0 {
            drop(s.spawn(Sim::sleep(child)));
        }
        let done = log.clone();
        s.defer(async move { done.add("second") }).unwrap();
        s.defer(async move {
            Sim::sleep(10).await;
            log.add("first");
        })
        .unwrap();
        Ok(7)
    }))
}

#[test]
fn d29_a_scope_leaked_while_it_finalizes_keeps_its_scope_open_until_a_cancel() {
    for child in [0, 2] {
        let (sim, log) = (Sim::new(), Log::default());
        let root = Root::new(sim.clone(), "root");
        let mut inner = finalizing(&log, child);
        drop(root.handle().spawn(async move {
            poll_once(&mut inner).await;
            Sim::sleep(child).await;
            Sim::sleep(1).await;
            poll_once(&mut inner).await;
            mem::forget(inner);
        }));
        go_to(&sim, child + 1);
        assert!(!is_over(&root), "child: {child}");
        root.handle().cancel("now");
        sim.settle();
        assert!(is_over(&root), "child: {child}");
    }
}

#[test]
fn d29_a_scope_that_moves_while_it_finalizes_goes_on_elsewhere() {
    for child in [0, 2] {
        for how in ["polled", "dropped", "cancelled and polled", "cancelled and dropped"] {
            let (sim, log) = (Sim::new(), Log::default());
            let (first, second) = (Root::new(sim.clone(), "first"), Root::new(sim.clone(), "second"));
            let mut inner = finalizing(&log, child);
            let slot = Slot::new();
            let put = slot.clone();
            drop(first.handle().spawn(async move {
                poll_once(&mut inner).await;
                Sim::sleep(child).await;
                Sim::sleep(1).await;
                poll_once(&mut inner).await;
                put.put(inner);
            }));
            go_to(&sim, child + 1);
            if how.starts_with("cancelled") {
                first.handle().cancel("in transit");
                sim.settle();
                assert!(is_over(&first), "{how}, child: {child}");
            }
            let inner = slot.take();
            let mut join = None;
            if how.ends_with("polled") {
                join = Some(second.handle().spawn(inner));
            } else {
                drop(inner);
            }
            while sim.now() < 20 {
                sim.settle();
                if !sim.advance() {
                    break;
                }
            }
            sim.settle();
            assert_eq!(log.take(), ["first", "second"], "{how}, child: {child}");
            assert!(is_over(&first) && is_over(&second), "{how}, child: {child}");
            if let Some(join) = join {
                assert!(join.try_take().unwrap().is_ok());
            }
        }
    }
}

#[test]
fn d29_d30_a_scope_that_has_drained_before_it_is_leaked_runs_its_finalizers() {
    let (sim, log) = (Sim::new(), Log::default());
    let root = Root::new(sim.clone(), "root");
    let mut inner = finalizing(&log, 2);
    drop(root.handle().spawn(async move {
        poll_once(&mut inner).await;
        // Its child ends meanwhile, and nobody polls it.
        Sim::sleep(5).await;
        mem::forget(inner);
    }));
    go_to(&sim, 15);
    assert_eq!(log.take(), ["first", "second"]);
    assert!(is_over(&root));
}

#[test]
fn d29_a_scope_that_is_polled_by_its_own_finalizer_ends() {
    let (sim, alive) = (Sim::new(), Alive::default());
    let root = Root::new(sim.clone(), "root");
    let slot: Slot<Boxed<Answer>> = Slot::new();
    let (take, guard) = (slot.clone(), alive.guard());
    let mut inner: Boxed<Answer> = Box::pin(scope(|s: Scope<Sim, io::Error>| async move {
        s.defer(async move {
            let _guard = guard;
            let _: Result<(), _> = scope(|t: Scope<Sim, io::Error>| async move {
                drop(t.spawn(async move {
                    Sim::sleep(2).await;
                    let _ = take.take().await;
                }));
                Ok(())
            })
            .await;
        })
        .unwrap();
        Ok(7)
    }));
    let put = slot.clone();
    drop(root.handle().spawn(async move {
        poll_once(&mut inner).await;
        put.put(inner);
    }));
    root.close();
    while {
        sim.settle();
        sim.advance()
    } {}
    assert_eq!(alive.count(), 0);
    assert!(is_over(&root));
}

#[test]
fn d29_a_scope_without_members_that_ends_outside_any_scope_leaves_its_adopter() {
    let sim = Sim::new();
    let root = Root::new(sim.clone(), "root");
    let inner: Boxed<Answer> = Box::pin(scope(|_: Scope<Sim, io::Error>| async move {
        Sim::sleep(5).await;
        Ok(7)
    }));
    let (_task, slot) = start_in_a_task(root.handle(), inner);
    sim.settle();
    assert!(!is_over(&root));
    assert_eq!(sim.run(slot.take()).unwrap(), 7);
    assert!(is_over(&root));
}

#[test]
fn d21_d29_the_panic_of_a_finalizer_of_a_leaked_scope_is_its_adopters() {
    let sim = Sim::new();
    let result = sim.run(async {
        let outer = scope(|s: Scope<Sim, io::Error>| async move {
            let mut inner: Boxed<Answer> = Box::pin(scope(|s: Scope<Sim, io::Error>| async move {
                drop(s.spawn(Sim::sleep(1)));
                s.defer(async {
                    Sim::sleep(1).await;
                    Sim::sleep(1).await;
                    panic!("in the finalizer");
                })
                .unwrap();
                Ok(7)
            }));
            drop(s.spawn(async move {
                poll_once(&mut inner).await;
                mem::forget(inner);
            }));
            Ok(())
        });
        futures_util::FutureExt::catch_unwind(std::panic::AssertUnwindSafe(outer)).await
    });
    assert!(result.is_err(), "{result:?}");
}

#[test]
fn d29_d34_a_callback_of_a_leaked_scope_runs_before_its_adopter_ends() {
    let (sim, log) = (Sim::new(), Log::default());
    let root = Root::new(sim.clone(), "root");
    let (at, out) = (Slot::new(), log.clone());
    let put = at.clone();
    drop(root.handle().spawn(async move {
        let limit = Scope::<Sim>::builder().task_limit(NonZeroUsize::MIN).deadline(Sim::current().unwrap().instant(5));
        let mut inner: Boxed<Answer> = Box::pin(limit.open(move |s: Scope<Sim, io::Error>| async move {
            let (end, tidy) = (out.clone(), out.clone());
            s.on_cancel(move |reason| out.add(format!("{:?}", reason.kind()))).detach();
            s.defer(async move { tidy.add("tidy") }).unwrap();
            drop(s.spawn(shield(ms(10), async move {
                Sim::sleep(LONG).await;
            })));
            // In the line for the slot.
            drop(s.spawn(async {}));
            drop(s.start_guaranteed(async {}));
            put.put((*s).clone());
            let _: () = pending().await;
            end.add("never");
            Ok(7)
        }));
        poll_once(&mut inner).await;
        mem::forget(inner);
    }));
    sim.settle();
    assert!(!is_over(&root));
    go_to(&sim, 5);
    assert_eq!(log.take(), ["Deadline"]);
    let inner = at.take();
    assert!(inner.set_deadline(sim.instant(50)).is_err());
    assert!(!inner.cancel("late") && !is_over(&root));
    go_to(&sim, 15);
    assert_eq!(log.take(), ["tidy"]);
    assert!(is_over(&root));
    assert_eq!(sim.alarms(), 0);
}

#[test]
fn d29_a_scope_with_a_shield_in_it_that_moves_into_a_cancelled_scope_drains_there() {
    for caught in [false, true] {
        let (sim, log) = (Sim::new(), Log::default());
        let (first, second) = (Root::new(sim.clone(), "first"), Root::new(sim.clone(), "second"));
        let out = log.clone();
        let inner: Boxed<Answer> = Box::pin(scope(move |_: Scope<Sim, io::Error>| async move {
            let end = out.clone();
            let work = shield(ms(100), async move {
                Sim::sleep(5).await;
                out.add("shielded");
            });
            if caught {
                let cut = ramus_scope::run_until_cancelled(async {
                    work.await;
                    pending::<()>().await;
                });
                end.add(format!("{:?}", cut.await.is_err()));
            } else {
                work.await;
            }
            pending::<()>().await;
            Ok(7)
        }));
        let (_task, slot) = start_in_a_task(first.handle(), inner);
        sim.settle();
        let join = second.handle().start_guaranteed(slot.take());
        second.handle().cancel("now");
        go_to(&sim, 5);
        let expected: &[&str] = if caught { &["shielded", "true"] } else { &["shielded"] };
        assert_eq!(log.take(), expected);
        assert!(is_over(&first) && is_over(&second));
        assert!(join.try_take().unwrap().is_err());
    }
}

#[test]
fn d29_a_task_that_is_cancelled_and_then_dropped_unfinished_leaves_what_it_leaked() {
    for cancelled in [false, true] {
        let (sim, alive) = (Sim::new(), Alive::default());
        let root = Root::new(sim.clone(), "root");
        let guard = alive.guard();
        let at = Slot::new();
        let put = at.clone();
        drop(root.handle().spawn(async move {
            let mut outer: Boxed<Answer> = Box::pin(scope(move |s: Scope<Sim, io::Error>| async move {
                put.put(s);
                pending::<()>().await;
                Ok(7)
            }));
            poll_once(&mut outer).await;
            let _ = outer.await;
        }));
        sim.settle();
        let s = at.take();
        let mut task = Box::pin(
            s.member(async move {
                let mut inner: Boxed<Answer> = Box::pin(scope(move |s: Scope<Sim, io::Error>| async move {
                    drop(s.spawn(shield_unbounded(async move {
                        let _guard = guard;
                        Sim::sleep(5).await;
                    })));
                    pending::<()>().await;
                    Ok(7)
                }));
                poll_once(&mut inner).await;
                mem::forget(inner);
                pending::<()>().await;
            })
            .unwrap_or_else(|_| panic!())
            .into_future(),
        );
        let t: Slot<_> = Slot::new();
        let tt = t.clone();
        sim.run(async move {
            assert!(task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            tt.put(task);
        });
        sim.settle();
        assert_eq!(alive.count(), 1);
        if cancelled {
            s.cancel("now");
        }
        drop(t.take());
        if !cancelled {
            s.cancel("now");
        }
        sim.settle();
        assert!(!is_over(&root), "the leaked scope's child goes on: {cancelled}");
        go_to(&sim, 5);
        assert_eq!(alive.count(), 0);
        assert!(is_over(&root));
    }
}

#[test]
fn d29_a_scope_leaked_by_a_finalizer_keeps_the_next_scope_open() {
    // a scope leaked out of a finalizer that its adopter still waits for
    let (sim, log) = (Sim::new(), Log::default());
    let root = Root::new(sim.clone(), "root");
    let out = log.clone();
    let join = root.handle().spawn(scope(|s: Scope<Sim, io::Error>| async move {
        s.defer(async move {
            let mut inner: Boxed<Answer> = Box::pin(scope(move |s: Scope<Sim, io::Error>| async move {
                drop(s.spawn(async move {
                    Sim::sleep(5).await;
                    out.add("child")
                }));
                pending::<()>().await;
                Ok(7)
            }));
            poll_once(&mut inner).await;
            mem::forget(inner);
        })
        .unwrap();
        Ok(())
    }));
    go_to(&sim, 0);
    assert!(join.try_take().is_some());
    go_to(&sim, 5);
    assert_eq!(log.take(), ["child"]);
    assert!(!is_over(&root));
    root.handle().cancel("now");
    sim.settle();
    assert!(is_over(&root));
}
