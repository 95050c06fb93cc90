//! Finalizers: when they run, in which order, and their panics.
#![allow(missing_docs)]

mod common;

use std::io;
use std::panic::AssertUnwindSafe;

use common::steps::{message, panic_of, step};
use common::{Log, Sim};
use futures_util::FutureExt;
use ramus_scope::{Builder, Host, Scope, ScopeHandle, TreeKind, scope};

const LONG: u64 = 1_000_000;

#[test]
fn d30_children_are_joined_then_finalizers_run_last_in_first_out_then_comes_the_result() {
    let sim = Sim::new();
    let log = Log::default();
    let seen = log.clone();
    let value = sim.run(async move {
        let log_inside = log.clone();
        let value = scope(|s: Scope<Sim, io::Error>| async move {
            let log = log_inside;
            s.defer(step(log.clone(), "first", 1)).unwrap();
            s.defer(step(log.clone(), "second", 0)).unwrap();
            s.spawn(step(log.clone(), "child", 5));
            log.add("body ends");
            Ok(7)
        })
        .await;
        log.add("result");
        value
    });
    assert_eq!(value.unwrap(), 7);
    assert_eq!(
        seen.take(),
        [
            "body ends",
            "child begins",
            "child ends",
            "second begins",
            "second ends",
            "first begins",
            "first ends",
            "result"
        ]
    );
    assert_eq!((sim.now(), sim.alarms()), (6, 0), "no budget is left running");
}

#[test]
fn d30_finalizers_of_the_inner_scope_run_before_those_of_the_outer_one() {
    let sim = Sim::new();
    let log = Log::default();
    let seen = log.clone();
    sim.run(async move {
        scope(|outer: Scope<Sim, io::Error>| async move {
            outer.defer(step(log.clone(), "outer", 1)).unwrap();
            outer.spawn(async move {
                scope(|inner: Scope<Sim, io::Error>| async move {
                    inner.defer(step(log, "inner", 1)).unwrap();
                    Sim::sleep(LONG).await;
                    Ok(())
                })
                .await
                .unwrap();
            });
            Sim::sleep(1).await;
            outer.cancel("both");
            Ok(())
        })
        .await
        .unwrap_err()
    });
    assert_eq!(seen.take(), ["inner begins", "inner ends", "outer begins", "outer ends"]);
}

#[test]
fn d30_finalizers_run_however_the_scope_ends() {
    type End = fn(&Scope<Sim, io::Error>) -> Result<(), io::Error>;
    let ends: [(&str, End); 6] = [
        ("value", |_| Ok(())),
        ("error", |_| Err(io::Error::other("of the body"))),
        ("panic", |_| panic!("of the body")),
        ("cancel", |s| {
            s.cancel("itself");
            Ok(())
        }),
        ("child's error", |s| {
            s.spawn_try(async { Err::<(), _>(io::Error::other("of a child")) });
            Ok(())
        }),
        ("child's panic", |s| {
            s.spawn(async { panic!("of a child") });
            Ok(())
        }),
    ];
    for suspends in [false, true] {
        for (name, end) in ends {
            let sim = Sim::new();
            let log = Log::default();
            let seen = log.clone();
            let run = async move {
                scope(|s: Scope<Sim, io::Error>| async move {
                    s.defer(step(log, "it", 3)).unwrap();
                    if suspends {
                        Sim::sleep(1).await;
                    }
                    end(&s)
                })
                .await
                .map_err(|error| error.errors().len())
            };
            let result = sim.run(AssertUnwindSafe(run).catch_unwind());
            match name {
                "value" | "cancel" => assert_eq!(result.unwrap(), Ok(()), "{name}: D35"),
                "error" | "child's error" => assert_eq!(result.unwrap(), Err(1), "{name}"),
                _ => assert!(message(result.unwrap_err()).starts_with("of "), "{name}"),
            }
            assert_eq!(seen.take(), ["it begins", "it ends"], "{name}");
            assert_eq!((sim.now(), sim.alarms()), (if suspends { 4 } else { 3 }, 0), "{name}");
        }
    }
}

#[test]
fn d30_a_finalizer_that_does_not_suspend_costs_no_alarm() {
    let sim = Sim::new();
    let log = Log::default();
    let seen = log.clone();
    let inner = sim.clone();
    sim.run(async move {
        scope(|s: Scope<Sim, io::Error>| async move {
            s.defer(async move { log.add(format!("{} alarms", inner.alarms())) }).unwrap();
            Ok(())
        })
        .await
        .unwrap();
    });
    assert_eq!(seen.take(), ["0 alarms"]);
}

#[test]
fn d21_a_panic_of_a_finalizer_goes_on_after_the_others_have_run() {
    let sim = Sim::new();
    let log = Log::default();
    let seen = log.clone();
    let text = panic_of(&sim, async move {
        scope(|s: Scope<Sim, io::Error>| async move {
            s.defer(step(log.clone(), "last", 1)).unwrap();
            s.defer(async { panic!("second") }).unwrap();
            s.defer(async {
                Sim::sleep(1).await;
                panic!("first")
            })
            .unwrap();
            s.defer(step(log, "before", 1)).unwrap();
            Ok(1)
        })
        .await
    });
    assert_eq!(text, "first");
    assert_eq!(seen.take(), ["before begins", "before ends", "last begins", "last ends"]);
}

#[test]
fn d21_the_panic_of_a_child_comes_before_that_of_a_finalizer_also_where_failures_are_isolated() {
    let sim = Sim::new();
    let both = scope(|s: Scope<Sim, io::Error>| async move {
        s.defer(async { panic!("the finalizer's") }).unwrap();
        s.spawn(async { panic!("the child's") });
        Ok(())
    });
    assert_eq!(panic_of(&sim, both), "the child's");
    let isolated = Builder::new().isolate().open(|s: Scope<Sim, io::Error>| async move {
        s.defer(async { panic!("the finalizer's") }).unwrap();
        s.spawn(async { panic!("the child's") });
        Ok(())
    });
    assert_eq!(panic_of(&Sim::new(), isolated), "the finalizer's");
}

#[test]
fn d30_a_finalizer_that_defers_another_is_followed_by_it() {
    let sim = Sim::new();
    let log = Log::default();
    let seen = log.clone();
    sim.run(scope(|s: Scope<Sim, io::Error>| async move {
        s.defer(step(log.clone(), "bottom", 1)).unwrap();
        let handle = (*s).clone();
        s.defer(async move {
            step(log.clone(), "top", 1).await;
            handle.defer(step(log.clone(), "late", 1)).unwrap();
            log.add("top is not over");
        })
        .unwrap();
        Ok(())
    }))
    .unwrap();
    let expected =
        ["top begins", "top ends", "top is not over", "late begins", "late ends", "bottom begins", "bottom ends"];
    assert_eq!(seen.take(), expected);
}

#[test]
fn d26_d30_a_finalizing_scope_admits_no_member_and_an_ended_one_no_finalizer() {
    let sim = Sim::new();
    let kept = sim.run(scope(|s: Scope<Sim, io::Error>| async move {
        let handle = (*s).clone();
        s.defer(async move {
            assert!(handle.offer(async {}).is_err());
            let answer = handle.spawn(async {}).await;
            assert!(answer.unwrap_err().never_started());
            assert!(handle.admit().is_err());
        })
        .unwrap();
        Ok((*s).clone())
    }));
    let kept: ScopeHandle<Sim> = kept.unwrap();
    let refused = kept.defer(async {}).unwrap_err();
    assert!(refused.reason().is_none());
    assert_eq!(refused.to_string(), "the scope admits nothing any more: it has ended");
    assert_eq!(refused.into_inner().now_or_never(), Some(()), "here it is back");
}

#[test]
fn d30_deferred_while_draining_and_while_cancelled() {
    let sim = Sim::new();
    let log = Log::default();
    let seen = log.clone();
    let error = sim.run(scope(|s: Scope<Sim, io::Error>| async move {
        let handle = (*s).clone();
        s.spawn(async move {
            Sim::sleep(1).await;
            handle.defer(step(log.clone(), "draining", 1)).unwrap();
            handle.cancel("itself");
            handle.defer(step(log, "cancelled", 1)).unwrap();
            Sim::sleep(1).await;
        });
        Ok(())
    }));
    assert!(error.unwrap_err().is_cancelled());
    assert_eq!(seen.take(), ["cancelled begins", "cancelled ends", "draining begins", "draining ends"]);
}

#[test]
fn d14_a_deadline_that_passes_while_finalizing_cuts_nobody() {
    let sim = Sim::new();
    let value = sim.run(async {
        let at = Sim::current().unwrap().instant(3);
        Builder::new()
            .deadline(at)
            .open(|s: Scope<Sim, io::Error>| async move {
                s.defer(Sim::sleep(10)).unwrap();
                Ok(5)
            })
            .await
    });
    assert_eq!(value.unwrap(), 5);
    assert_eq!((sim.now(), sim.alarms()), (10, 0));
}

#[test]
fn rule7_a_finalizer_under_a_stopped_scope_hears_of_the_stop() {
    let sim = Sim::new();
    let log = Log::default();
    let seen = log.clone();
    let inner_log = log.clone();
    sim.run(scope(|outer: Scope<Sim, io::Error>| async move {
        outer.spawn(async move {
            scope(|inner: Scope<Sim, io::Error>| async move {
                inner
                    .defer(async move {
                        let log = inner_log.clone();
                        let _ = scope(|t: Scope<Sim, io::Error>| async move {
                            t.stopping().await;
                            log.add("heard");
                            Ok(())
                        })
                        .await;
                    })
                    .unwrap();
                Ok(())
            })
            .await
            .unwrap();
        });
        Sim::sleep(4).await;
        outer.stop(std::time::Duration::from_millis(50));
        Ok(())
    }))
    .unwrap();
    assert_eq!((seen.take(), sim.now()), (vec!["heard".to_owned()], 4));
}

#[test]
fn a_finalizer_under_way_is_in_the_listing() {
    let sim = Sim::new();
    sim.run(scope(|s: Scope<Sim, io::Error>| async move {
        let handle = (*s).clone();
        s.defer(async move {
            Sim::sleep(1).await;
            let rows = handle.tree();
            let kinds: Vec<_> = rows.iter().map(|row| (row.depth, row.kind, row.state)).collect();
            assert_eq!(kinds, [(0, TreeKind::Scope, "open"), (1, TreeKind::Finalizer, "open")]);
        })
        .unwrap();
        Ok(())
    }))
    .unwrap();
}

#[test]
fn d30_what_a_finalizer_hands_to_another_thread_is_a_member_of_the_next_scope_outwards() {
    let sim = Sim::new();
    assert_eq!(ramus_scope::admit_current().map(drop), None);
    sim.run(scope(|outer: Scope<Sim, io::Error>| async move {
        let handle = (*outer).clone();
        outer.spawn(async move {
            scope(|inner: Scope<Sim, io::Error>| async move {
                inner
                    .defer(async move {
                        let before = handle.live();
                        let job = ramus_scope::admit_current().unwrap();
                        assert_eq!(handle.live(), before + 1);
                        drop(job);
                        assert_eq!(handle.live(), before);
                    })
                    .unwrap();
                Ok(())
            })
            .await
            .unwrap();
        });
        Ok(())
    }))
    .unwrap();
}
