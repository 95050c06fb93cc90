//! What a scope answers (the result table and the D-rows that it names).
#![allow(missing_docs)]

mod common;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use common::{Alive, Log, Sim};
use ramus_scope::{ReasonKind, Scope, ScopeError, scope};

type Error = ScopeError<io::Error>;

fn fail(text: &'static str) -> io::Error {
    io::Error::other(text)
}

#[test]
fn d30_a_value_when_all_went_well() {
    let sim = Sim::new();
    let alive = Alive::default();
    let watch = alive.clone();
    let result = sim.run(async move {
        scope(|s: Scope<Sim, io::Error>| async move {
            let a = s.spawn(async { 40 });
            let guard = alive.guard();
            s.spawn(async move {
                Sim::sleep(5).await;
                drop(guard);
            });
            let a = a.await.map_err(fail_join)?;
            Ok(a + 2)
        })
        .await
    });
    assert_eq!(result.unwrap(), 42);
    assert_eq!(watch.count(), 0, "the scope waited for the child that nobody joined");
    assert_eq!(sim.now(), 5);
    assert_eq!(sim.alarms(), 0);
}

fn fail_join(error: ramus_scope::JoinError) -> io::Error {
    io::Error::other(error)
}

#[test]
fn d19_d20_all_errors_are_collected_first_one_first() {
    let sim = Sim::new();
    let error: Error = sim.run(async {
        scope(|s: Scope<Sim, io::Error>| async move {
            s.spawn_try(async {
                ramus_scope::shield_unbounded(Sim::sleep(3)).await;
                Err::<(), _>(fail("two"))
            });
            s.spawn_try(async {
                Sim::sleep(1).await;
                Err::<(), _>(fail("one"))
            });
            s.spawn(Sim::sleep(1_000_000));
            Sim::sleep(100).await;
            Ok(())
        })
        .await
        .unwrap_err()
    });
    let texts: Vec<String> = error.errors().iter().map(ToString::to_string).collect();
    assert_eq!(texts, ["one", "two"], "D20: a child errs while its siblings are being cancelled");
    assert_eq!(error.reason().unwrap().kind(), ReasonKind::SiblingFailed);
    assert!(!error.was_also_cancelled() && !error.is_cancelled());
    assert_eq!(sim.now(), 3, "the sleeping sibling was cancelled, the shielded one was waited for");
}

#[test]
fn the_body_fails() {
    let sim = Sim::new();
    let alive = Alive::default();
    let watch = alive.clone();
    let error = sim.run(async move {
        scope(|s: Scope<Sim, io::Error>| async move {
            let guard = alive.guard();
            s.spawn(async move {
                Sim::sleep(1_000_000).await;
                drop(guard);
            });
            Err::<(), _>(fail("body"))
        })
        .await
        .unwrap_err()
    });
    assert_eq!(error.errors().len(), 1);
    assert_eq!(error.reason().unwrap().kind(), ReasonKind::BodyFailed);
    assert_eq!((watch.count(), sim.now()), (0, 0));
}

#[test]
fn isolated_failures_leave_the_siblings_alone() {
    let sim = Sim::new();
    let error: Error = sim.run(async {
        Scope::<Sim>::builder()
            .isolate()
            .open(|s: Scope<Sim, io::Error>| async move {
                let bad = s.spawn_try(async { Err::<(), _>(fail("bad")) });
                let panics = s.spawn(async { panic!("isolated") });
                let good = s.spawn(async {
                    Sim::sleep(3).await;
                    7
                });
                assert!(bad.await.unwrap_err().is_failed());
                let payload = panics.await.unwrap_err().into_panic().unwrap();
                assert_eq!(*payload.downcast::<&str>().unwrap(), "isolated");
                assert_eq!(good.await.unwrap(), 7);
                Ok(())
            })
            .await
            .unwrap_err()
    });
    assert_eq!(error.errors().len(), 1);
    assert!(error.reason().is_none());
}

#[test]
fn d22_a_panic_of_a_child_is_resumed_after_the_join() {
    let sim = Sim::new();
    let alive = Alive::default();
    let watch = alive.clone();
    let log = Log::default();
    let seen = log.clone();
    let payload = catch_unwind(AssertUnwindSafe(|| {
        sim.run(async move {
            let result =
                futures_util::FutureExt::catch_unwind(AssertUnwindSafe(scope(|s: Scope<Sim, io::Error>| async move {
                    let guard = alive.guard();
                    s.spawn(async move {
                        Sim::sleep(100).await;
                        drop(guard);
                    });
                    s.spawn(async { panic!("child") });
                    Sim::sleep(50).await;
                    Ok(())
                })))
                .await;
            log.add(format!("alive {}", alive_count(&result)));
            result.map(|_| ()).unwrap_err()
        })
    }))
    .unwrap();
    assert_eq!(*payload.downcast::<&str>().unwrap(), "child", "D22");
    assert_eq!(watch.count(), 0, "joined before the panic went on");
    assert_eq!(seen.take(), ["alive panic"]);
}

fn alive_count<T, E>(result: &Result<T, E>) -> &'static str {
    if result.is_err() { "panic" } else { "value" }
}

#[test]
fn d22_a_panic_of_the_body_is_resumed_after_the_join() {
    let sim = Sim::new();
    let alive = Alive::default();
    let watch = alive.clone();
    let payload = sim.run(async move {
        futures_util::FutureExt::catch_unwind(AssertUnwindSafe(scope(|s: Scope<Sim, io::Error>| async move {
            let guard = alive.guard();
            s.spawn(async move {
                Sim::sleep(100).await;
                drop(guard);
            });
            if sim_is_running() {
                panic!("body");
            }
            Ok(())
        })))
        .await
        .map(|_| ())
        .unwrap_err()
    });
    assert_eq!(*payload.downcast::<&str>().unwrap(), "body");
    assert_eq!(watch.count(), 0);
}

fn sim_is_running() -> bool {
    ramus_scope::Host::current().map(|_: Sim| ()).is_some()
}

#[test]
fn rule6_own_cancel_that_cut_something() {
    let sim = Sim::new();
    let error = sim.run(async {
        scope(|s: Scope<Sim, io::Error>| async move {
            assert!(s.cancel("enough"));
            assert!(!s.cancel("again"), "D5");
            Sim::sleep(1).await;
            panic!("D36: self-cancel, then suspend: dropped there");
            #[allow(unreachable_code)]
            Ok(())
        })
        .await
        .unwrap_err()
    });
    assert!(error.is_cancelled() && !error.is_elapsed());
    assert_eq!(error.reason().unwrap().message(), Some("enough"));
    assert!(error.reason().unwrap().site().unwrap().file().ends_with("results.rs"));
}

#[test]
fn d35_own_cancel_then_a_value_without_suspending() {
    let sim = Sim::new();
    let result = sim.run(async {
        scope(|s: Scope<Sim, io::Error>| async move {
            s.cancel("D35");
            Ok(1)
        })
        .await
    });
    assert_eq!(result.unwrap(), 1);
}

#[test]
fn spot7_spot8_a_deadline_while_draining() {
    let sim = Sim::new();
    let at = sim.instant(10);
    let cut = sim.run(async move {
        Scope::<Sim>::builder()
            .deadline(at)
            .open(|s: Scope<Sim, io::Error>| async move {
                s.spawn(Sim::sleep(20));
                Ok(1)
            })
            .await
    });
    assert!(cut.unwrap_err().is_elapsed(), "it cut a child");
    assert_eq!(sim.now(), 10);

    let at = sim.instant(10);
    let whole = sim.run(async move {
        Scope::<Sim>::builder()
            .deadline(at)
            .open(|s: Scope<Sim, io::Error>| async move {
                let shielded = async { ramus_scope::shield_unbounded(Sim::sleep(20)).await };
                s.spawn(shielded);
                Ok(1)
            })
            .await
    });
    assert_eq!(whole.unwrap(), 1, "it cut nobody");
    assert_eq!(sim.alarms(), 0);
}

#[test]
fn d13_a_deadline_that_has_passed_polls_the_body_once() {
    let sim = Sim::new();
    let at = sim.instant(0);
    let ready =
        sim.run(
            async move { Scope::<Sim>::builder().deadline(at).open(|_: Scope<Sim, io::Error>| async { Ok(1) }).await },
        );
    assert_eq!(ready.unwrap(), 1, "D13: a ready value wins");
    let late = sim.run(async move {
        Scope::<Sim>::builder()
            .deadline(at)
            .open(|_: Scope<Sim, io::Error>| async {
                Sim::sleep(1).await;
                Ok(1)
            })
            .await
    });
    assert!(late.unwrap_err().is_elapsed());
}

#[test]
fn d12_a_moved_deadline() {
    let sim = Sim::new();
    let (early, late) = (sim.instant(5), sim.instant(50));
    let result = sim.run(async move {
        Scope::<Sim>::builder()
            .deadline(early)
            .open(|s: Scope<Sim, io::Error>| async move {
                assert_eq!(s.deadline(), Some(early));
                s.set_deadline(late).unwrap();
                Sim::sleep(20).await;
                Ok(s.clone())
            })
            .await
    });
    let handle = result.unwrap();
    assert!(handle.set_deadline(late).unwrap_err().is_closed(), "after its end");
    assert!(!handle.cancel("D4"), "cancel of something that has ended");
    assert!(!handle.is_cancelled());
}

#[test]
fn d44_an_empty_scope_neither_yields_nor_observes() {
    let sim = Sim::new();
    let order = sim.run(async {
        let log = Log::default();
        scope(|_: Scope<Sim, io::Error>| async { Ok(()) }).await.unwrap();
        log.add("D44");
        log.take()
    });
    assert_eq!(order, ["D44"]);
}

#[test]
fn d20_an_error_in_a_scope_that_never_suspended_carries_the_cancel_from_above() {
    let sim = Sim::new();
    sim.run(async {
        let outer = scope(|outer: Scope<Sim, io::Error>| async move {
            let inner = scope(|_: Scope<Sim, io::Error>| async move {
                outer.cancel("from above");
                Err::<(), _>(fail("body"))
            })
            .await
            .unwrap_err();
            assert!(inner.was_also_cancelled(), "{inner:?}");
            assert_eq!(inner.reason().unwrap().kind(), ReasonKind::Parent);
            Ok(())
        })
        .await;
        outer.unwrap();
    });
}

#[test]
fn d05_d45_a_cancel_of_a_scope_opened_in_a_cancelled_one_is_not_the_first() {
    let sim = Sim::new();
    sim.run(async {
        let outer = scope(|outer: Scope<Sim, io::Error>| async move {
            outer.cancel("from above");
            let inner = scope(|inner: Scope<Sim, io::Error>| async move {
                assert!(!inner.cancel("too late") && !inner.stop(std::time::Duration::from_secs(1)));
                assert_eq!(inner.reason().unwrap().kind(), ReasonKind::Parent);
                Ok(())
            })
            .await;
            inner.unwrap();
            Ok(())
        })
        .await;
        outer.unwrap();
    });
}

#[test]
fn d45_a_catch_in_a_scope_opened_in_a_cancelled_one_says_that_the_cancel_came_from_above() {
    let sim = Sim::new();
    let error: Error = sim.run(async {
        scope(|outer: Scope<Sim, io::Error>| async move {
            let inner = scope(|_: Scope<Sim, io::Error>| async move {
                outer.cancel("outer");
                let cancelled = ramus_scope::run_until_cancelled(Sim::sleep(1)).await.unwrap_err();
                assert_eq!(cancelled.reason().kind(), ReasonKind::Parent);
                assert_eq!(cancelled.reason().origin().message(), Some("outer"));
                Err::<(), _>(fail("seen"))
            })
            .await;
            inner.map_err(|error| error.into_first().unwrap())
        })
        .await
        .unwrap_err()
    });
    assert_eq!(error.errors().len(), 1);
}

#[test]
fn d32_d45_a_scope_opened_in_an_expired_timeout_reports_cancelled() {
    let sim = Sim::new();
    let log = Log::default();
    let seen = log.clone();
    sim.run_task(async move {
        let body = async move {
            ramus_scope::shield_unbounded(Sim::sleep(2)).await;
            let _ = scope(|s: Scope<Sim, io::Error>| async move { log.add(s.is_cancelled().to_string()) }).await;
        };
        let _ = ramus_scope::CutOn::new(Box::pin(body), Sim::sleep(1)).await;
    })
    .unwrap();
    assert_eq!(seen.take(), ["true"]);
}
