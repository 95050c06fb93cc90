//! Decisions of the contract that no other test file is about.
#![allow(missing_docs)]

mod common;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{Alive, Foreign, Join, Log, Sim};
use ramus_scope::{CutOn, ReasonKind, Scope, scope, shield_unbounded};

const LONG: u64 = 1_000_000;

#[test]
fn d10_a_child_spawned_from_inside_a_shield_is_not_in_it() {
    let sim = Sim::new();
    let alive = Alive::default();
    let watch = alive.clone();
    let (shielded, child) = sim.run(async move {
        let at = Log::default();
        let log = at.clone();
        let _ = scope(|s: Scope<Sim, io::Error>| async move {
            let spawner = s.clone();
            s.spawn(async move {
                shield_unbounded(async move {
                    let guard = alive.guard();
                    let child: Join<()> = spawner.spawn(async move {
                        let _guard = guard;
                        Sim::sleep(LONG).await;
                    });
                    // The shield goes on, and sees its child go.
                    let error = child.await.unwrap_err();
                    log.add(format!("child {}", error.is_cancelled()));
                    Sim::sleep(20).await;
                    log.add("shield");
                })
                .await;
            });
            Sim::sleep(1).await;
            s.cancel("now");
            assert_eq!(s.live(), 2, "marked, not dropped inside the call");
            Sim::sleep(1).await;
            Ok(())
        })
        .await;
        let mut entries = at.take().into_iter();
        (entries.nth(1), watch.count())
    });
    assert_eq!((shielded.as_deref(), child), (Some("shield"), 0));
    assert_eq!(sim.now(), 21);
}

#[test]
fn d24_cancels_are_not_counted() {
    let sim = Sim::new();
    let outcome = sim.run(async {
        scope(|outer: Scope<Sim, io::Error>| async move {
            let inner = scope(|inner: Scope<Sim, io::Error>| async move {
                for _ in 0..3 {
                    inner.cancel("again and again");
                }
                Sim::sleep(LONG).await;
                Ok(())
            })
            .await;
            assert!(inner.unwrap_err().is_cancelled());
            // Three requests, one scope: nothing is left over for the scope around or for the next one.
            assert!(!outer.is_cancelled() && !ramus_scope::is_cut());
            Sim::sleep(5).await;
            let next = scope(|_s: Scope<Sim, io::Error>| async { Ok(7) }).await;
            Ok(next.unwrap())
        })
        .await
    });
    assert_eq!((outcome.unwrap(), sim.now()), (7, 5));
}

#[test]
fn d36_after_a_self_cancel_the_next_suspension_is_the_end() {
    let sim = Sim::new();
    let log = Log::default();
    let seen = log.clone();
    let error = sim.run(async move {
        scope(|s: Scope<Sim, io::Error>| async move {
            s.cancel("myself");
            log.add("still running");
            // A future that is ready without suspending is no suspension.
            std::future::ready(()).await;
            log.add("and on");
            Foreign::default().await;
            log.add("not reached");
            Ok(())
        })
        .await
        .unwrap_err()
    });
    assert_eq!(seen.take(), ["still running", "and on"]);
    assert_eq!(
        error.reason().map(|reason| (reason.kind(), reason.message())),
        Some((ReasonKind::User, Some("myself")))
    );
}

#[test]
fn d37_who_waits_in_the_exit_forwards_the_cancel_and_keeps_waiting() {
    let sim = Sim::new();
    let log = Log::default();
    let seen = log.clone();
    let result = sim.run(async move {
        scope(|outer: Scope<Sim, io::Error>| async move {
            let handle = outer.clone();
            let waiting = outer.spawn(async move {
                let l = log.clone();
                let inner = scope(|inner: Scope<Sim, io::Error>| async move {
                    let l2 = l.clone();
                    inner.spawn(async move {
                        shield_unbounded(Sim::sleep(30)).await;
                        l2.add("the shielded child ended");
                        Sim::sleep(1).await;
                    });
                    inner.spawn(async move {
                        Sim::sleep(LONG).await;
                        l.add("the other child is cut");
                    });
                    Ok(())
                });
                let _ = inner.await;
                log.add("code after the exit does not run on");
            });
            Sim::sleep(1).await;
            // It waits in its exit now.
            handle.cancel("from above");
            drop(waiting);
            Ok(())
        })
        .await
    });
    assert!(result.unwrap_err().is_cancelled());
    assert_eq!(seen.take(), ["the shielded child ended"]);
    assert_eq!(sim.now(), 30, "it waited for it");
}

#[test]
fn d45_a_scope_in_a_cut_frame_runs_its_body_to_the_first_suspension() {
    let sim = Sim::new();
    let log = Log::default();
    let seen = log.clone();
    sim.run(async move {
        let _ = scope(|s: Scope<Sim, io::Error>| async move {
            s.cancel("before");
            let entered = log.clone();
            let inner = scope(|inner: Scope<Sim, io::Error>| async move {
                entered.add("entered");
                let refused = inner.offer(async {}).err().unwrap();
                entered.add(format!("offer: {refused}"));
                let handle: Join<()> = inner.spawn(async { unreachable!("refused, so never polled") });
                drop(handle);
                Ok(5)
            })
            .await;
            // Leaving is no cancellation point either.
            log.add(format!("left with {}", inner.unwrap()));
            Sim::sleep(1).await;
            log.add("not reached");
            Ok(())
        })
        .await;
    });
    let seen = seen.take();
    assert_eq!(seen.len(), 3, "{seen:?}");
    assert!(seen[1].contains("before"), "the refusal says why: {seen:?}");
    assert_eq!(seen[2], "left with 5");
}

#[test]
fn spot2_a_scope_cut_from_outside_and_polled_later_says_cancelled() {
    let sim = Sim::new();
    let ended = Arc::new(AtomicBool::new(false));
    let end = Arc::clone(&ended);
    let error = sim.run(async move {
        let mut kept = Box::pin(scope(move |inner: Scope<Sim, io::Error>| async move {
            inner.spawn(async move {
                shield_unbounded(Sim::sleep(20)).await;
                end.store(true, Ordering::SeqCst);
                Sim::sleep(LONG).await;
            });
            Sim::sleep(LONG).await;
            Ok(())
        }));
        // Cut by the time-out around it: it drains, answers nothing, and lets itself be dropped. It is kept instead.
        assert!(CutOn::new(&mut kept, Sim::sleep(5)).await.is_err());
        kept.await.unwrap_err()
    });
    assert!(error.is_cancelled() && ended.load(Ordering::SeqCst));
    assert_eq!((sim.now(), sim.alarms()), (20, 0));
}
