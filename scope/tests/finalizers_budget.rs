//! The budget of a finalizer: its own, whatever is around it.
#![allow(missing_docs)]

mod common;

use std::future::pending;
use std::io;
use std::sync::Mutex;
use std::task::Poll;
use std::time::Duration;

use common::steps::{panic_of, step};
use common::strays::poll_once;
use common::{Alive, Log, Sim};
use futures_util::future::poll_fn;
use ramus_scope::{Builder, Host, ReportKind, Root, Scope, is_cut, scope, shield, shield_unbounded};

const LONG: u64 = 1_000_000;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

static REPORTS: Mutex<Vec<(String, ReportKind, String)>> = Mutex::new(Vec::new());

/// Keeps reports from now on; all tests of this file share the hook, and know theirs by the scope's name.
fn listen() {
    ramus_scope::set_report_hook(|report| {
        let site = report.site().unwrap();
        assert!(site.file().ends_with("finalizers_budget.rs"), "{site}");
        let scope = report.scope().unwrap_or_default().to_owned();
        REPORTS.lock().unwrap().push((scope, report.kind(), report.to_string()));
    });
}

fn reports_of(scope: &str) -> Vec<String> {
    let reports = REPORTS.lock().unwrap();
    let of_it = reports.iter().filter(|(name, kind, _)| name == scope && *kind == ReportKind::FinalizerOverrun);
    of_it.map(|(_, _, text)| text.clone()).collect()
}

#[test]
fn d21_d23_a_destructor_that_panics_in_a_finalizer_counts_as_the_finalizers_panic() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("in a destructor");
        }
    }
    listen();
    let text = panic_of(
        &Sim::new(),
        Builder::new().name("bomb").open(|s: Scope<Sim, io::Error>| async move {
            s.defer_within(ms(2), async {
                let _bomb = Bomb;
                pending::<()>().await;
            })
            .unwrap();
            Ok(())
        }),
    );
    assert_eq!(text, "in a destructor");
    assert_eq!(reports_of("bomb").len(), 1);
}

#[test]
fn d21_d08_spot9_an_overrun_is_cut_and_reported_and_does_not_change_the_result() {
    listen();
    let sim = Sim::new();
    let log = Log::default();
    let seen = log.clone();
    let alive = Alive::default();
    let watch = alive.clone();
    let builder = Builder::new().name("overrun").finalizer_budget(ms(20));
    let value = sim.run(builder.open(|s: Scope<Sim, io::Error>| async move {
        s.defer(step(log.clone(), "last", 1)).unwrap();
        let guard = alive.guard();
        s.defer(async move {
            let _guard = guard;
            log.add("hangs");
            Sim::sleep(LONG).await;
            log.add("never");
        })
        .unwrap();
        Ok(3)
    }));
    assert_eq!(value.unwrap(), 3);
    assert_eq!(seen.take(), ["hangs", "last begins", "last ends"]);
    assert_eq!((watch.count(), sim.now(), sim.alarms()), (0, 21, 0), "dropped, and the next one ran");
    let reports = reports_of("overrun");
    assert_eq!(reports.len(), 1);
    let begin = "a finalizer ran over its budget of 20ms and is cut, in scope `overrun`, at ";
    assert!(reports[0].starts_with(begin) && reports[0].contains("finalizers_budget.rs:"), "{}", reports[0]);
}

#[test]
fn d08_each_finalizer_has_its_own_budget_from_its_start() {
    listen();
    let sim = Sim::new();
    let builder = Builder::new().name("each").finalizer_budget(ms(10));
    sim.run(builder.open(|s: Scope<Sim, io::Error>| async move {
        s.defer(Sim::sleep(9)).unwrap();
        s.defer(Sim::sleep(9)).unwrap();
        s.defer_within(ms(50), Sim::sleep(40)).unwrap();
        s.defer_within(ms(3), Sim::sleep(4)).unwrap();
        Ok(())
    }))
    .unwrap();
    assert_eq!((sim.now(), sim.alarms()), (3 + 40 + 9 + 9, 0));
    assert_eq!(reports_of("each").len(), 1);
}

#[test]
fn d08_the_default_budget_is_ten_seconds() {
    let sim = Sim::new();
    sim.run(scope(|s: Scope<Sim, io::Error>| async move {
        s.defer(pending()).unwrap();
        Ok(())
    }))
    .unwrap();
    assert_eq!(sim.now(), 10_000);
}

#[test]
fn d08_an_overrun_cancels_what_is_open_in_the_finalizer_and_waits_for_its_drain() {
    listen();
    let sim = Sim::new();
    let log = Log::default();
    let seen = log.clone();
    let builder = Builder::new().name("open inside");
    sim.run(builder.open(|s: Scope<Sim, io::Error>| async move {
        s.defer_within(ms(10), async move {
            let inside = log.clone();
            let _ = scope(|t: Scope<Sim, io::Error>| async move {
                let handle = (*t).clone();
                let log = inside.clone();
                t.spawn(async move {
                    shield(ms(30), async {
                        handle.cancelled().await;
                        let reason = handle.reason().unwrap();
                        log.add(format!("{:?} of {:?}", reason.kind(), reason.origin().kind()));
                        Sim::sleep(7).await;
                        log.add("drained");
                    })
                    .await;
                });
                Sim::sleep(LONG).await;
                Ok(())
            })
            .await;
            log.add("never");
        })
        .unwrap();
        Ok(())
    }))
    .unwrap();
    assert_eq!(seen.take(), ["Parent of ShieldBudget", "drained"]);
    assert_eq!(reports_of("open inside").len(), 1);
    assert_eq!((sim.now(), sim.alarms()), (10 + 7, 0));
}

#[test]
fn d08_a_shield_directly_in_a_finalizer_is_spent_with_it() {
    let sim = Sim::new();
    sim.run(scope(|s: Scope<Sim, io::Error>| async move {
        s.defer_within(ms(10), shield_unbounded(Sim::sleep(LONG))).unwrap();
        Ok(())
    }))
    .unwrap();
    assert_eq!((sim.now(), sim.alarms()), (10, 0));
}

#[test]
fn d08_a_value_produced_in_the_last_poll_ends_an_overrun_finalizer_like_any() {
    let sim = Sim::new();
    let log = Log::default();
    let seen = log.clone();
    sim.run(scope(|s: Scope<Sim, io::Error>| async move {
        s.defer_within(ms(10), async move {
            let inside = scope(|t: Scope<Sim, io::Error>| async move {
                t.spawn(shield_unbounded(Sim::sleep(20)));
                Ok(())
            });
            // The other branch is a foreign future, and goes on beside the open scope.
            let _ = futures_util::future::select(
                Box::pin(inside),
                Box::pin(poll_fn(|_| match is_cut() {
                    true => Poll::Ready(()),
                    false => Poll::Pending,
                })),
            )
            .await;
            log.add("went on in its last poll");
        })
        .unwrap();
        Ok(())
    }))
    .unwrap();
    assert_eq!(seen.take(), ["went on in its last poll"]);
}

#[test]
fn d08_spot9_a_spent_shield_around_takes_nothing_from_a_finalizer() {
    let sim = Sim::new();
    let log = Log::default();
    let seen = log.clone();
    let outcome = sim.run(scope(|outer: Scope<Sim, io::Error>| async move {
        let handle = (*outer).clone();
        outer.spawn(async move {
            Sim::sleep(1).await;
            handle.cancel("now");
        });
        shield(ms(5), async move {
            let _ = scope(|s: Scope<Sim, io::Error>| async move {
                s.defer_within(ms(50), step(log.clone(), "in time", 40)).unwrap();
                Sim::sleep(LONG).await;
                Ok(())
            })
            .await;
        })
        .await;
        Ok(())
    }));
    assert!(outcome.unwrap_err().is_cancelled());
    assert_eq!(seen.take(), ["in time begins", "in time ends"]);
    assert_eq!((sim.now(), sim.alarms()), (1 + 5 + 40, 0));
}

#[test]
fn d08_d10_no_cancel_from_around_gets_into_a_finalizer() {
    let sim = Sim::new();
    let log = Log::default();
    let seen = log.clone();
    let root = Root::new(sim.clone(), "root");
    let handle = root.handle().clone();
    let inner = log.clone();
    let task = root.handle().spawn(async move {
        let log = inner;
        Builder::new()
            .deadline(Sim::current().unwrap().instant(2))
            .name("s")
            .open(|s: Scope<Sim, io::Error>| async move {
                let own = (*s).clone();
                s.defer(async move {
                    own.cancel("itself");
                    handle.cancel("all");
                    Sim::sleep(5).await;
                    log.add(format!("cut {}, cancelled {}", is_cut(), own.is_cancelled()));
                    // A scope opened here is below the one that finalizes, under a shield.
                    let value = scope(|t: Scope<Sim, io::Error>| async move {
                        log.add(format!("inside: cancelled {}", t.is_cancelled()));
                        Ok(t.spawn(async {
                            Sim::sleep(5).await;
                            4
                        })
                        .await
                        .unwrap())
                    })
                    .await;
                    assert_eq!(value.unwrap(), 4);
                })
                .unwrap();
                Ok(1)
            })
            .await
            .unwrap()
    });
    // The value was produced before anything was cancelled, and nothing was cut.
    assert_eq!(sim.run(task).unwrap(), 1);
    assert_eq!(seen.take(), ["cut false, cancelled true", "inside: cancelled false"]);
    assert_eq!((sim.now(), sim.alarms()), (10, 0));
    root.close();
}

#[test]
fn rule7_stop_ends_within_grace_shield_budgets_and_finalizer_budgets_along_the_depth() {
    listen();
    let sim = Sim::new();
    let error = sim.run(Builder::new().name("bound").open(|outer: Scope<Sim, io::Error>| async move {
        outer.defer_within(ms(30), pending()).unwrap();
        outer.spawn(async {
            let inner = Builder::new().name("bound");
            let _ = inner
                .open(|inner: Scope<Sim, io::Error>| async move {
                    inner.defer_within(ms(20), pending()).unwrap();
                    inner.defer_within(ms(20), pending()).unwrap();
                    inner.spawn(shield(ms(7), pending::<()>()));
                    pending::<()>().await;
                    Ok(())
                })
                .await;
        });
        outer.stop(ms(100));
        pending::<()>().await;
        Ok(())
    }));
    assert!(error.unwrap_err().is_cancelled());
    assert_eq!((sim.now(), sim.alarms()), (100 + 7 + 20 + 20 + 30, 0));
    assert_eq!(reports_of("bound").len(), 3);
}

#[test]
fn d08_d10_a_scope_that_is_open_in_a_finalizer_is_not_reached_by_a_cancel_from_around() {
    let sim = Sim::new();
    let log = Log::default();
    let seen = log.clone();
    let error = sim.run(scope(|outer: Scope<Sim, io::Error>| async move {
        outer.spawn(async move {
            let _ = scope(|inner: Scope<Sim, io::Error>| async move {
                inner
                    .defer(async move {
                        let value = scope(|t: Scope<Sim, io::Error>| async move {
                            let child = t.spawn(Sim::sleep(10));
                            child.await.map_err(io::Error::from)
                        });
                        log.add(format!("{:?}", value.await.is_ok()));
                    })
                    .unwrap();
                Ok(())
            })
            .await;
            Sim::sleep(LONG).await;
        });
        Sim::sleep(5).await;
        outer.cancel("while it finalizes");
        Ok(())
    }));
    assert!(error.unwrap_err().is_cancelled());
    assert_eq!((seen.take(), sim.now()), (vec!["true".to_owned()], 10));
}

#[test]
fn d08_a_shield_opened_in_a_finalizer_that_is_over_protects_nothing() {
    let sim = Sim::new();
    sim.run(scope(|s: Scope<Sim, io::Error>| async move {
        s.defer_within(ms(10), async move {
            let drains = scope(|t: Scope<Sim, io::Error>| async move {
                t.spawn(async {
                    shield_unbounded(Sim::sleep(30)).await;
                    Sim::sleep(LONG).await;
                });
                Ok(())
            });
            // Foreign code, which goes on until the drop.
            let late = async {
                poll_fn(|_| if is_cut() { Poll::Ready(()) } else { Poll::Pending }).await;
                shield_unbounded(pending::<()>()).await;
            };
            let _ = futures_util::future::join(drains, late).await;
        })
        .unwrap();
        Ok(())
    }))
    .unwrap();
    assert_eq!((sim.now(), sim.alarms()), (30, 0));
}

#[test]
fn d28_the_budget_of_a_finalizer_goes_on_when_its_scope_is_dropped() {
    listen();
    let sim = Sim::new();
    let log = Log::default();
    let seen = log.clone();
    sim.run(scope(|_: Scope<Sim, io::Error>| async move {
        let named = Builder::new().name("goes on");
        let mut inner = Box::pin(named.open(|s: Scope<Sim, io::Error>| async move {
            s.defer(step(log, "next", 1)).unwrap();
            s.defer_within(ms(10), Sim::sleep(LONG)).unwrap();
            Ok(())
        }));
        poll_once(&mut inner).await;
        Sim::sleep(6).await;
        drop(inner);
        Ok(())
    }))
    .unwrap();
    assert_eq!((sim.now(), sim.alarms()), (11, 0));
    assert_eq!(reports_of("goes on").len(), 1);
    assert_eq!(seen.take(), ["next begins", "next ends"]);
}

#[test]
fn d28_a_finalizer_that_was_over_when_its_scope_was_dropped_is_not_polled_again() {
    let sim = Sim::new();
    let log = Log::default();
    let seen = log.clone();
    sim.run(scope(|_: Scope<Sim, io::Error>| async move {
        let mut inner = Box::pin(scope(|s: Scope<Sim, io::Error>| async move {
            s.defer_within(
                ms(10),
                poll_fn(move |_| {
                    log.add("polled");
                    Poll::Pending
                }),
            )
            .unwrap();
            Ok(())
        }));
        poll_once(&mut inner).await;
        // The budget is over, but nobody polls the scope.
        Sim::sleep(15).await;
        drop(inner);
        Ok(())
    }))
    .unwrap();
    assert_eq!((seen.take(), sim.now()), (vec!["polled".to_owned()], 15));
}

#[test]
fn d28_a_budget_that_is_over_in_the_poll_in_which_the_finalizer_finds_its_new_place() {
    let sim = Sim::new();
    let clock = sim.clone();
    sim.run(scope(|_: Scope<Sim, io::Error>| async move {
        let mut inner = Box::pin(scope(|s: Scope<Sim, io::Error>| async move {
            let mut polls = 0;
            s.defer_within(
                ms(10),
                poll_fn(move |_| {
                    polls += 1;
                    if polls == 2 {
                        assert!(clock.advance(), "the alarm of the budget");
                    }
                    Poll::Pending
                }),
            )
            .unwrap();
            Ok(())
        }));
        poll_once(&mut inner).await;
        drop(inner);
        Ok(())
    }))
    .unwrap();
    assert_eq!((sim.now(), sim.alarms()), (10, 0));
}

#[test]
fn d28_d29_the_budget_of_a_finalizer_goes_on_when_its_scope_moves_to_another_task() {
    listen();
    for moved_at in [6, 15] {
        let sim = Sim::new();
        let name = format!("moved at {moved_at}");
        let builder = Builder::new().name(name.clone());
        sim.run(scope(move |s: Scope<Sim, io::Error>| async move {
            let mut inner = Box::pin(builder.open(|t: Scope<Sim, io::Error>| async move {
                t.defer_within(ms(10), Sim::sleep(LONG)).unwrap();
                Ok(())
            }));
            poll_once(&mut inner).await;
            Sim::sleep(moved_at).await;
            s.spawn(async move { inner.await.unwrap() });
            Ok(())
        }))
        .unwrap();
        assert_eq!((sim.now(), sim.alarms()), (moved_at.max(10), 0));
        assert_eq!(reports_of(&name).len(), 1);
    }
}
