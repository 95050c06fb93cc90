//! Deadlines: set, moved and taken away; and whose a deadline or a time-out is.
#![allow(missing_docs)]

mod common;

use std::future::{Future, ready};
use std::io;
use std::time::{Duration, Instant};

use common::{Foreign, Log, Sim};
use ramus_scope::{Builder, shield_unbounded};
use ramus_scope::{CutOn, ReasonKind, Root, Scope, ScopeError, ScopeHandle, run_until_cancelled, scope, shield};

const LONG: u64 = 1_000_000;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn opened() -> Builder {
    Scope::<Sim>::builder()
}

/// A time-out as a runtime builds it.
async fn timeout<F: Future>(limit: u64, future: F) -> Result<F::Output, &'static str> {
    let signal = async move {
        Sim::sleep(limit).await;
        "elapsed"
    };
    CutOn::new(future, signal).await
}

type Task = common::Join<Result<(), ScopeError<io::Error>>>;

/// A scope at rest, its handle, and the task that its result comes from.
fn resting(sim: &Sim, builder: Builder) -> (ScopeHandle<Sim>, Task, Root<Sim>) {
    let root = Root::new(sim.clone(), "root");
    let (send, handle) = std::sync::mpsc::channel();
    let task = root.handle().spawn(builder.open(move |s: Scope<Sim, io::Error>| async move {
        send.send((*s).clone()).unwrap();
        Sim::sleep(100).await;
        Ok(())
    }));
    sim.settle();
    (handle.recv().unwrap(), task, root)
}

#[test]
fn d12_a_deadline_moves_at_once_and_from_any_thread() {
    let sim = Sim::new();
    for (first, second, end) in
        [(Some(50), Some(10), 10), (Some(10), Some(50), 50), (Some(10), None, 100), (None, Some(10), 10)]
    {
        let begun = sim.now();
        let builder = first.map_or_else(opened, |at| opened().deadline(sim.instant(at)));
        let (handle, task, root) = resting(&sim, builder);
        let at = second.map(|at| sim.instant(at));
        let mover = handle.clone();
        std::thread::spawn(move || mover.set_deadline(at).unwrap()).join().unwrap();
        assert_eq!(handle.deadline(), at);
        assert_eq!(sim.alarms(), 1 + usize::from(at.is_some()), "the older alarm is gone");
        let result = sim.run(task).unwrap();
        assert_eq!(sim.now() - begun, end);
        assert_eq!(result.is_err_and(|error| error.is_elapsed()), end < 100);
        assert_eq!(sim.alarms(), 0);
        root.close();
    }
}

#[test]
fn d12_a_passed_deadline_latches() {
    let sim = Sim::new();
    let at = sim.instant(10);
    let error = sim.run(async move {
        opened()
            .deadline(at)
            .open(|s: Scope<Sim, io::Error>| async move {
                let handle = s.clone();
                shield_unbounded(async move {
                    handle.cancelled().await;
                    for later in [Some(Instant::now() + ms(LONG)), None] {
                        let error = handle.set_deadline(later).unwrap_err();
                        assert!(error.is_elapsed() && !error.is_closed());
                        assert_eq!(error.to_string(), "the deadline has passed");
                    }
                    assert_eq!(handle.deadline(), Some(at));
                })
                .await;
                Sim::sleep(1).await;
                Ok(())
            })
            .await
            .unwrap_err()
    });
    assert!(error.is_elapsed());
    assert_eq!((sim.now(), sim.alarms()), (10, 0));
}

#[test]
fn d12_a_deadline_latches_also_in_a_scope_that_was_cancelled_before() {
    let sim = Sim::new();
    let (at, late) = (sim.instant(10), sim.instant(20));
    let error = sim.run(async move {
        opened()
            .deadline(at)
            .open(|s: Scope<Sim, io::Error>| async move {
                let handle = s.clone();
                shield_unbounded(async move {
                    handle.cancel("before");
                    Sim::sleep(15).await;
                    assert!(handle.set_deadline(late).unwrap_err().is_elapsed());
                    assert_eq!(handle.later_reasons()[0].kind(), ReasonKind::Deadline);
                })
                .await;
                Sim::sleep(1).await;
                Ok(())
            })
            .await
            .unwrap_err()
    });
    assert_eq!(error.reason().unwrap().message(), Some("before"));
    assert!(!error.is_elapsed(), "the first reason stays");
}

#[test]
fn d12_after_the_end_a_deadline_is_closed() {
    let sim = Sim::new();
    let (handle, task, root) = resting(&sim, opened());
    sim.run(task).unwrap().unwrap();
    let error = handle.set_deadline(sim.instant(5)).unwrap_err();
    assert!(error.is_closed() && !error.is_elapsed());
    assert_eq!(format!("{error:?}"), "DeadlineError(the scope has ended)");
    assert!(handle.set_deadline(None).unwrap_err().is_closed());
    root.close();
    assert!(root.handle().set_deadline(sim.instant(5)).unwrap_err().is_closed(), "drained");
    assert_eq!(sim.alarms(), 0);
}

#[test]
fn d12_deadlines_at_both_ends_of_time() {
    let sim = Sim::new();
    let mut far = sim.instant(0);
    for step in [1_u64 << 60, 1 << 55, 1 << 50] {
        while let Some(later) = far.checked_add(Duration::from_secs(step)) {
            far = later;
        }
    }
    let (handle, task, root) = resting(&sim, opened().deadline(far));
    assert_eq!(handle.deadline(), Some(far));
    handle.set_deadline(far).unwrap();
    sim.settle();
    assert!(!handle.is_cancelled());
    handle.set_deadline(sim.instant(0)).unwrap();
    assert!(sim.run(task).unwrap().unwrap_err().is_elapsed());
    assert_eq!((sim.now(), sim.alarms()), (0, 0));
    root.close();
}

#[test]
fn d13_a_past_deadline_polls_once_and_a_ready_value_wins() {
    let sim = Sim::new();
    let past = sim.instant(0);
    sim.run(Sim::sleep(5));
    let value = sim.run(async move { opened().deadline(past).open(|_: Scope<Sim, io::Error>| ready(Ok(7))).await });
    assert_eq!(value.unwrap(), 7);
    let log = Log::default();
    let l = log.clone();
    let error = sim.run(async move {
        opened()
            .deadline(past)
            .open(|s: Scope<Sim, io::Error>| async move {
                l.add(format!("polled, cut: {}", ramus_scope::is_cut()));
                // What is open inside still drains.
                s.spawn(shield_unbounded(Sim::sleep(3)));
                Sim::sleep(LONG).await;
                l.add("polled again");
                Ok(())
            })
            .await
            .unwrap_err()
    });
    assert!(error.is_elapsed());
    assert_eq!(log.take(), ["polled, cut: false"]);
}

#[test]
fn d13_a_deadline_moved_into_the_past_cuts_at_the_next_suspension() {
    let sim = Sim::new();
    let past = sim.instant(0);
    sim.run(Sim::sleep(5));
    let value = sim.run(async move {
        scope(|s: Scope<Sim, io::Error>| async move {
            s.set_deadline(past).unwrap();
            Ok(1)
        })
        .await
    });
    assert_eq!(value.unwrap(), 1, "it did not suspend");
    let error = sim.run(async move {
        scope(|s: Scope<Sim, io::Error>| async move {
            s.set_deadline(past).unwrap();
            Sim::sleep(LONG).await;
            Ok(())
        })
        .await
        .unwrap_err()
    });
    assert!(error.is_elapsed());
    assert_eq!((sim.now(), sim.alarms()), (5, 0));
}

#[test]
fn d12_the_effective_deadline_follows_a_move_and_ends_at_a_shield() {
    let sim = Sim::new();
    let (early, middle, late) = (sim.instant(50), sim.instant(70), sim.instant(500));
    sim.run(async move {
        opened()
            .deadline(early)
            .open(|outer: Scope<Sim, io::Error>| async move {
                let above = outer.clone();
                opened()
                    .deadline(middle)
                    .open(move |s: Scope<Sim, io::Error>| async move {
                        assert_eq!(s.deadline(), Some(early));
                        above.set_deadline(late).unwrap();
                        assert_eq!(s.deadline(), Some(middle));
                        s.set_deadline(None).unwrap();
                        assert_eq!(s.deadline(), Some(late));
                        above.set_deadline(None).unwrap();
                        assert_eq!(s.deadline(), None);
                        above.set_deadline(early).unwrap();
                        shield(
                            ms(10),
                            scope(|inner: Scope<Sim, io::Error>| async move {
                                assert_eq!(inner.deadline(), None, "it ends at the shield");
                                Ok(())
                            }),
                        )
                        .await
                        .unwrap();
                        Ok(())
                    })
                    .await
                    .unwrap();
                Ok(())
            })
            .await
            .unwrap();
    });
    assert_eq!(sim.alarms(), 0);
}

#[test]
fn d14_a_produced_value_wins_over_a_timeout() {
    let sim = Sim::new();
    assert_eq!(sim.run(timeout(0, ready(1))), Ok(1));
    // Cancelled by the time-out, what is inside drains, and the value that comes of it counts.
    let late = |end| async move {
        Sim::sleep(end).await;
        end
    };
    let value = sim.run_task(timeout(5, shield_unbounded(late(9)))).unwrap();
    assert_eq!((value, sim.now()), (Ok(9), 9));
    // At the same instant, too.
    assert_eq!(sim.run_task(timeout(5, shield_unbounded(late(5)))).unwrap(), Ok(5));
}

#[test]
fn d15_a_timeout_does_not_convert_the_expiry_of_a_scope_inside() {
    let sim = Sim::new();
    let at = sim.instant(5);
    let inner = sim.run(async move {
        timeout(
            5,
            opened().deadline(at).open(|_: Scope<Sim, io::Error>| async {
                Sim::sleep(LONG).await;
                Ok(())
            }),
        )
        .await
    });
    // Both are due at 5. The scope suspended first, so its deadline was first, and its reason is the stored one.
    match inner {
        Ok(Err(error)) => assert!(error.is_elapsed()),
        other => panic!("the scope owns it: {other:?}"),
    }
    assert_eq!(sim.now(), 5);
}

/// An outer deadline and a time-out inside, both due at 10; `both`: the task is polled after both have fired.
fn same_instant(both: bool) -> (Vec<String>, bool) {
    let sim = Sim::new();
    let root = Root::new(sim.clone(), "root");
    let log = Log::default();
    let (l, at) = (log.clone(), sim.instant(10));
    let task = root.handle().spawn(opened().deadline(at).open(move |_: Scope<Sim, io::Error>| async move {
        let result = timeout(10, Sim::sleep(LONG)).await;
        l.add(format!("{result:?}"));
        Sim::sleep(1).await;
        l.add("ran on");
        Ok(())
    }));
    sim.settle();
    assert!(sim.advance());
    if !both {
        sim.settle();
    }
    assert!(sim.advance());
    sim.settle();
    assert_eq!(sim.now(), 10);
    let result = task.try_take().unwrap().unwrap();
    root.close();
    (log.take(), result.unwrap_err().is_elapsed())
}

#[test]
fn d15_d17_an_outer_deadline_at_the_instant_of_a_timeout() {
    assert_eq!(same_instant(false), (vec!["Err(\"elapsed\")".to_owned()], true), "each owner has its own");
    assert_eq!(same_instant(true), (vec![], true), "the outer one catches, and the code after the inner does not run");
}

#[test]
fn d15_d17_a_cancel_from_above_while_an_expired_timeout_drains() {
    let sim = Sim::new();
    let log = Log::default();
    let (l, at) = (log.clone(), sim.instant(20));
    let error = sim.run(async move {
        opened()
            .deadline(at)
            .open(|_: Scope<Sim, io::Error>| async move {
                let inside = scope(|s: Scope<Sim, io::Error>| async move {
                    s.spawn(shield_unbounded(Sim::sleep(30)));
                    Sim::sleep(LONG).await;
                    Ok(())
                });
                // Expired at 10, drained at 30; the deadline above is at 20.
                let result = timeout(10, inside).await.map(|inner| inner.is_err());
                l.add(format!("the code after it must not run: {result:?}"));
                Ok(())
            })
            .await
            .unwrap_err()
    });
    assert!(error.is_elapsed());
    assert_eq!((log.take(), sim.now()), (vec![], 30));
}

#[test]
fn d15_a_timeout_that_expired_answers_once_its_frame_is_not_cut() {
    let sim = Sim::new();
    let seen = sim.run_task(async {
        let inside = scope(|s: Scope<Sim, io::Error>| async move {
            s.spawn(shield_unbounded(Sim::sleep(30)));
            Sim::sleep(LONG).await;
            Ok(())
        });
        // Expired at 10 and drained at 30, in a frame that was cut at 20.
        let mut kept = Box::pin(timeout(10, inside));
        let around = timeout(20, &mut kept).await.map(|kept| kept.is_ok());
        assert_eq!(around, Err("elapsed"));
        kept.await.map(|inside| inside.is_ok())
    });
    assert_eq!(seen.unwrap(), Err("elapsed"));
    assert_eq!((sim.now(), sim.alarms()), (30, 0));
}

#[test]
fn d16_an_elapsed_deadline_is_an_error_at_its_owner_and_nobody_elses() {
    let sim = Sim::new();
    let at = sim.instant(10);
    let log = Log::default();
    let l = log.clone();
    let error = sim.run(async move {
        opened()
            .deadline(at)
            .open(|s: Scope<Sim, io::Error>| async move {
                let seen = l.clone();
                let child = s.spawn(async move {
                    let cancelled = run_until_cancelled(async move {
                        let inner = scope(|_: Scope<Sim, io::Error>| async {
                            Sim::sleep(LONG).await;
                            Ok(())
                        })
                        .await;
                        seen.add(format!("not its own: {}", inner.is_err()));
                    })
                    .await
                    .unwrap_err();
                    l.add(format!("{:?}", cancelled.reason().kind()));
                });
                let _ = child.await;
                Foreign::default().await;
                Ok(())
            })
            .await
            .unwrap_err()
    });
    assert!(error.is_elapsed() && error.is_cancelled() && !error.was_also_cancelled());
    assert_eq!(log.take(), ["Deadline"]);
    let io = io::Error::from(error);
    assert_eq!(io.kind(), io::ErrorKind::TimedOut);
}

#[test]
fn d17_the_outermost_of_two_cancelled_scopes_catches() {
    let sim = Sim::new();
    let log = Log::default();
    let l = log.clone();
    let error = sim.run(async move {
        scope(|outer: Scope<Sim, io::Error>| async move {
            let above = outer.clone();
            let inner = scope(|inner: Scope<Sim, io::Error>| async move {
                Sim::sleep(1).await;
                inner.cancel("inner");
                above.cancel("outer");
                Sim::sleep(LONG).await;
                Ok(())
            })
            .await;
            l.add(format!("{inner:?}"));
            Ok(())
        })
        .await
        .unwrap_err()
    });
    assert_eq!(error.reason().unwrap().message(), Some("outer"));
    assert_eq!(log.take(), Vec::<String>::new());
    // With a shield in between the inner one is the outermost one that is cancelled there.
    let l = log.clone();
    sim.run(async move {
        let _ = scope(|outer: Scope<Sim, io::Error>| async move {
            let above = outer.clone();
            shield_unbounded(async {
                let inner = scope(|inner: Scope<Sim, io::Error>| async move {
                    Sim::sleep(1).await;
                    above.cancel("outer");
                    inner.cancel("inner");
                    Sim::sleep(LONG).await;
                    Ok(())
                })
                .await;
                l.add(inner.unwrap_err().to_string());
            })
            .await;
            Ok(())
        })
        .await;
    });
    assert_eq!(log.take(), ["the scope was cancelled: inner"]);
}
