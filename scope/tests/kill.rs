//! The three stages of a request: stops and their graces, cancels, kills.
#![allow(missing_docs)]

mod common;

use std::future::{Future, pending};
use std::io;
use std::time::Duration;

use common::{Alive, Foreign, Log, Sim};
use futures_util::future::join;
use ramus_scope::{ReasonKind, Root, Scope, ScopeHandle, run_until_cancelled, scope, shield, shield_unbounded};

const LONG: u64 = 1_000_000;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Runs `child` in a scope to which `request` is made at time 1; returns the time at which the scope ended.
fn at_1(
    child: impl Future<Output = ()> + Send + 'static,
    request: impl FnOnce(&ScopeHandle<Sim>) + Send + 'static,
) -> u64 {
    let sim = Sim::new();
    sim.run(async move {
        let _ = scope(|s: Scope<Sim, io::Error>| async move {
            s.spawn(child);
            Sim::sleep(1).await;
            request(&s);
            Ok(())
        })
        .await;
    });
    assert_eq!(sim.alarms(), 0, "the alarm of a budget goes with its shield");
    sim.now()
}

#[test]
fn d05_a_kill_is_stronger_than_a_cancel_and_takes_effect_after_it() {
    let sim = Sim::new();
    let alive = Alive::default();
    let guard = alive.guard();
    let error = sim.run(async move {
        scope(|s: Scope<Sim, io::Error>| async move {
            s.spawn(shield_unbounded(async move {
                let _guard = guard;
                Sim::sleep(LONG).await;
            }));
            let handle = s.clone();
            shield_unbounded(async move {
                Sim::sleep(1).await;
                assert!(handle.cancel("first"));
                Sim::sleep(4).await;
                assert_eq!(handle.live(), 1, "the shield holds against a cancel");
                assert!(handle.kill("second"), "and a kill is news");
                assert!(!handle.kill("third"), "once");
                assert!(!handle.cancel("fourth"), "a weaker request changes nothing");
            })
            .await;
            Ok(())
        })
        .await
        .unwrap_err()
    });
    assert_eq!(error.reason().unwrap().message(), Some("first"));
    assert_eq!((sim.now(), sim.alarms(), alive.count()), (5, 0, 0));
}

#[test]
fn d05_a_kill_is_a_cancel_for_a_scope_that_was_not_cancelled() {
    let nested = shield_unbounded(shield(ms(LONG), shield_unbounded(Sim::sleep(LONG))));
    let end = at_1(nested, |s| {
        assert!(s.kill("now"));
        assert!(s.is_cancelled() && s.is_stopping());
        assert_eq!(s.reason().unwrap().message(), Some("now"));
        assert!(!s.cancel("later"));
    });
    assert_eq!(end, 1);
}

#[test]
fn d04_a_kill_of_what_has_ended_does_nothing() {
    let sim = Sim::new();
    let handle = sim.run(async { scope(|s: Scope<Sim, io::Error>| async move { Ok((*s).clone()) }).await.unwrap() });
    assert!(!handle.kill("too late"));
    assert!(!handle.is_cancelled() && handle.reason().is_none());
    assert!(!handle.stop_then_kill(ms(1), ms(1)));
    assert_eq!(sim.alarms(), 0);
}

/// Both requests come before the task has been polled in between: the kill does not find it on the scope's list.
#[test]
fn d05_a_kill_right_after_a_cancel_reaches_a_task_that_is_not_listed() {
    let end = at_1(shield_unbounded(Sim::sleep(LONG)), |s| {
        s.cancel("first");
        s.kill("second");
    });
    assert_eq!(end, 1);
    // Also a scope in the shield, with a shield of its own.
    let inner = async {
        let _ = scope(|s: Scope<Sim, io::Error>| async move {
            s.spawn(shield_unbounded(Sim::sleep(LONG)));
            Ok(())
        })
        .await;
    };
    let end = at_1(shield_unbounded(inner), |s| {
        s.cancel("first");
        s.kill("second");
    });
    assert_eq!(end, 1);
}

#[test]
fn d08_a_shield_opened_in_a_killed_scope_protects_nothing() {
    let log = Log::default();
    // The code after the catch runs on until its next unshielded suspension; that is the end after a kill.
    let child = |log: Log| async move {
        let _ = run_until_cancelled(Sim::sleep(LONG)).await;
        log.add("caught");
        shield_unbounded(async {
            log.add(format!("cut: {}", ramus_scope::is_cut()));
            Sim::sleep(20).await;
            log.add("in the shield");
        })
        .await;
    };
    assert_eq!(at_1(child(log.clone()), |s| _ = s.cancel("soft")), 21);
    assert_eq!(log.take(), ["caught", "cut: false", "in the shield"]);
    assert_eq!(at_1(child(log.clone()), |s| _ = s.kill("hard")), 1);
    assert_eq!(log.take(), ["caught", "cut: true"]);
}

#[test]
fn d08_a_scope_opened_under_a_shield_in_a_killed_scope_is_cancelled() {
    let log = Log::default();
    let seen = log.clone();
    let child = async move {
        let _ = run_until_cancelled(Sim::sleep(LONG)).await;
        shield_unbounded(async {
            let _ = scope(|inner: Scope<Sim, io::Error>| async move {
                seen.add(format!("{}", inner.is_cancelled()));
                inner.on_cancel(move |reason| seen.add(format!("{:?}", reason.origin().message()))).detach();
                pending::<()>().await;
                Ok(())
            })
            .await;
        })
        .await;
    };
    assert_eq!(at_1(child, |s| _ = s.kill("hard")), 1);
    assert_eq!(log.take(), ["true", "Some(\"hard\")"]);
}

#[test]
fn d32_when_a_kill_returns_all_below_reports_cancelled() {
    let sim = Sim::new();
    let root = Root::new(sim.clone(), "root");
    let (send, handles) = std::sync::mpsc::channel::<ScopeHandle<Sim>>();
    drop(root.handle().spawn(shield_unbounded(async move {
        let _ = scope(|outer: Scope<Sim, io::Error>| async move {
            send.send((*outer).clone()).unwrap();
            outer.spawn(shield(ms(5), async move {
                let _ = scope(|inner: Scope<Sim, io::Error>| async move {
                    send.send((*inner).clone()).unwrap();
                    pending::<()>().await;
                    Ok(())
                })
                .await;
            }));
            pending::<()>().await;
            Ok(())
        })
        .await;
    })));
    sim.settle();
    let handles: Vec<_> = handles.try_iter().collect();
    assert_eq!(handles.len(), 2);
    root.handle().cancel("held back");
    assert!(handles.iter().all(|handle| !handle.is_cancelled()));
    root.handle().kill("not held back");
    for handle in &handles {
        assert!(handle.is_cancelled());
        let reason = handle.reason().unwrap();
        assert_eq!((reason.kind(), reason.message()), (ReasonKind::Parent, Some("held back")));
    }
    root.close();
    sim.settle();
    assert_eq!((root.handle().live(), sim.alarms()), (0, 0));
}

#[test]
fn d06_a_kill_of_a_scope_inside_a_shield_stays_inside() {
    let log = Log::default();
    let seen = log.clone();
    let end = at_1(
        shield_unbounded(async move {
            let error = scope(|inner: Scope<Sim, io::Error>| async move {
                inner.spawn(shield_unbounded(Sim::sleep(LONG)));
                Sim::sleep(5).await;
                inner.kill("mine");
                Ok(())
            })
            .await
            .unwrap_err();
            seen.add(error.to_string());
            Sim::sleep(5).await;
            seen.add("the shield around it holds");
        }),
        |s| _ = s.cancel("outer"),
    );
    assert_eq!(log.take(), ["the scope was cancelled: mine", "the shield around it holds"]);
    assert_eq!(end, 10);
}

#[test]
fn d37_a_kill_goes_down_a_chain_of_tasks_scopes_and_shields() {
    fn level(left: u32, alive: Alive) -> futures_util::future::BoxFuture<'static, ()> {
        Box::pin(async move {
            let _guard = alive.guard();
            let _ = scope(|s: Scope<Sim, io::Error>| async move {
                if left > 0 {
                    s.spawn(shield_unbounded(level(left - 1, alive)));
                }
                join(shield_unbounded(Sim::sleep(LONG)), shield(ms(LONG), Sim::sleep(LONG))).await;
                Ok(())
            })
            .await;
        })
    }
    let alive = Alive::default();
    let end = at_1(level(50, alive.clone()), |s| {
        s.cancel("first");
        let handle = s.clone();
        // Let everybody come to rest in between, so that both ways of being found occur.
        handle.stop_then_kill(Duration::ZERO, ms(3));
    });
    assert_eq!((end, alive.count()), (4, 0));
}

/// When a shielded child of a scope that ran `requests` at time 0 was dropped, and when an unshielded one.
fn ends(requests: impl FnOnce(&ScopeHandle<Sim>) + Send + 'static) -> (u64, u64) {
    let sim = Sim::new();
    let (first, second) = (Alive::default(), Alive::default());
    let (soft, hard) = (first.guard(), second.guard());
    let root = Root::new(sim.clone(), "root");
    drop(root.handle().spawn(async move {
        let _ = scope(|s: Scope<Sim, io::Error>| async move {
            s.spawn(async move {
                let _guard = soft;
                Sim::sleep(LONG).await;
            });
            s.spawn(shield_unbounded(async move {
                let _guard = hard;
                Sim::sleep(LONG).await;
            }));
            // They come to rest first.
            Foreign::default().await;
            requests(&s);
            Ok(())
        })
        .await;
    }));
    let mut at = (LONG, LONG);
    loop {
        sim.settle();
        if first.count() == 0 {
            at.0 = at.0.min(sim.now());
        }
        if second.count() == 0 {
            at.1 = at.1.min(sim.now());
        }
        if !sim.advance() {
            return at;
        }
    }
}

#[test]
fn d05_the_earliest_cancel_and_the_earliest_kill_of_all_stops_win() {
    assert_eq!(ends(|s| _ = s.stop(ms(10))), (10, LONG));
    assert_eq!(ends(|s| _ = s.stop_then_kill(ms(10), ms(20))), (10, 30));
    let shorter = ends(|s| {
        assert!(s.stop_then_kill(ms(10), ms(20)));
        assert!(s.stop_then_kill(ms(5), ms(1)));
    });
    assert_eq!(shorter, (5, 6), "a shorter grace takes effect");
    let longer = ends(|s| {
        s.stop_then_kill(ms(10), ms(20));
        s.stop_then_kill(ms(50), ms(50));
        s.stop(ms(100));
    });
    assert_eq!(longer, (10, 30), "a longer one changes nothing");
    let crossed = ends(|s| {
        s.stop_then_kill(ms(10), ms(90));
        s.stop_then_kill(ms(40), ms(5));
    });
    assert_eq!(crossed, (10, 45), "each stage for itself");
    let after_a_cancel = ends(|s| {
        s.cancel("now");
        assert!(!s.stop(ms(1)), "it is over");
        assert!(s.stop_then_kill(ms(1), ms(1)), "but not killed");
    });
    assert_eq!(after_a_cancel, (0, 2));
}

#[test]
fn d05_a_stop_that_changes_nothing_leaves_no_alarm_and_no_reason() {
    let sim = Sim::new();
    let root = Root::new(sim.clone(), "root");
    let handle = root.handle();
    for _ in 0..100 {
        assert!(handle.stop_then_kill(ms(10), ms(10)));
    }
    assert_eq!(sim.alarms(), 2);
    handle.cancel("first");
    while sim.advance() {}
    assert!(
        handle.later_reasons().is_empty() == handle.later_reasons().iter().all(|r| r.kind() != ReasonKind::Shutdown)
    );
    assert_eq!(handle.later_reasons().len(), 1, "the kill, not the cancel that came too late");
    root.close();
}

#[test]
fn rule7_graces_of_nested_scopes_compose_by_minimum() {
    /// When the inner scope is cancelled.
    fn inner_end(outer: u64, inner: u64) -> u64 {
        let sim = Sim::new();
        let clock = sim.clone();
        let (send, at) = std::sync::mpsc::channel();
        sim.run(async move {
            let _ = scope(|o: Scope<Sim, io::Error>| async move {
                o.spawn(async move {
                    let _ = scope(|i: Scope<Sim, io::Error>| async move {
                        i.on_cancel(move |_| send.send(clock.now()).unwrap()).detach();
                        i.stop(ms(inner));
                        Sim::sleep(LONG).await;
                        Ok(())
                    })
                    .await;
                });
                o.stop(ms(outer));
                Sim::sleep(LONG).await;
                Ok(())
            })
            .await;
        });
        at.recv().unwrap()
    }
    assert_eq!(inner_end(10, 3), 3);
    assert_eq!(inner_end(3, 10), 3);
}

#[test]
fn rule7_stopping_is_ready_below_through_shields_and_in_scopes_opened_later() {
    fn listener(log: &Log, name: &'static str) -> impl Future<Output = ()> + Send + 'static {
        let log = log.clone();
        async move {
            scope(|s: Scope<Sim, io::Error>| async move {
                s.stopping().await;
                assert!(s.is_stopping() && !s.is_cancelled());
                log.add(name);
                // Nothing is refused or dropped by it.
                Sim::sleep(10).await;
                assert_eq!(s.spawn(async { 1 }).await.unwrap(), 1);
                Ok(())
            })
            .await
            .unwrap();
        }
    }
    let sim = Sim::new();
    let log = Log::default();
    let l = log.clone();
    sim.run(async move {
        scope(|s: Scope<Sim, io::Error>| async move {
            s.spawn(listener(&l, "below"));
            s.spawn(shield(ms(5), shield_unbounded(listener(&l, "through shields"))));
            let late = l.clone();
            s.spawn(shield_unbounded(async move {
                Sim::sleep(5).await;
                late.add("opened later");
                listener(&late, "later").await;
            }));
            let late = l.clone();
            let handle = s.clone();
            s.spawn(async move {
                Sim::sleep(5).await;
                handle.spawn(listener(&late, "spawned later"));
            });
            Sim::sleep(1).await;
            l.add("stop");
            assert!(s.stop(ms(100)));
            Ok(())
        })
        .await
        .unwrap();
    });
    assert_eq!(log.take(), ["stop", "below", "through shields", "opened later", "later", "spawned later"]);
    assert_eq!((sim.now(), sim.alarms()), (15, 0));
}

#[test]
fn d48_a_root_is_stopped_cancelled_and_killed() {
    let sim = Sim::new();
    let root = Root::new(sim.clone(), "root");
    let log = Log::default();
    let (l, handle, clock) = (log.clone(), root.handle().clone(), sim.clone());
    drop(root.handle().spawn(async move {
        handle.stopping().await;
        l.add(format!("soft at {}", clock.now()));
        let _ = run_until_cancelled(Sim::sleep(LONG)).await;
        l.add(format!("hard at {}", clock.now()));
        struct Dropped(Log, Sim);
        impl Drop for Dropped {
            fn drop(&mut self) {
                self.0.add(format!("dropped at {}", self.1.now()));
            }
        }
        let _dropped = Dropped(l, clock);
        shield_unbounded(Sim::sleep(LONG)).await;
    }));
    sim.settle();
    root.close();
    assert!(root.handle().stop_then_kill(ms(10), ms(10)));
    sim.settle();
    while sim.advance() {
        sim.settle();
    }
    assert_eq!(log.take(), ["soft at 0", "hard at 10", "dropped at 20"]);
    assert_eq!((root.handle().live(), sim.now()), (0, 20));
}

#[test]
fn d21_d48_a_kill_ends_finalizers_at_their_next_suspension() {
    let sim = Sim::new();
    let log = Log::default();
    let l = log.clone();
    sim.run(async move {
        let _ = scope(|outer: Scope<Sim, io::Error>| async move {
            let killer = outer.clone();
            outer.spawn(async move {
                Sim::sleep(5).await;
                killer.cancel("not enough for a finalizer");
                killer.kill("enough");
            });
            let _ = scope(|s: Scope<Sim, io::Error>| async move {
                for name in ["first", "second"] {
                    let l = l.clone();
                    s.defer_within(ms(LONG), async move {
                        l.add(format!("{name} begins"));
                        let _ = scope(|inner: Scope<Sim, io::Error>| async move {
                            inner.spawn(shield_unbounded(Sim::sleep(LONG)));
                            Ok(())
                        })
                        .await;
                        Sim::sleep(1).await;
                        l.add(format!("{name} is not held back"));
                    })
                    .unwrap();
                }
                Ok(())
            })
            .await;
            Ok(())
        })
        .await;
    });
    // The one under way is cut, and the next one at its first suspension.
    assert_eq!(log.take(), ["second begins", "first begins"]);
    assert_eq!((sim.now(), sim.alarms()), (5, 0));
}
