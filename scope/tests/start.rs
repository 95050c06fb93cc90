//! `start`: the child runs under its caller until it says that it is ready (D42).
#![allow(missing_docs)]

mod common;

use std::future::pending;
use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use common::{Alive, Log, Sim};
use futures_util::FutureExt;
use futures_util::future::poll_fn;
use ramus_scope::{BoxError, CutOn, Ready, Scope, ScopeHandle, StartError, scope, shield, shield_unbounded};

const LONG: u64 = 1_000_000;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Says that it is ready after `before`, and goes on for `after`.
async fn server(log: Log, ready: Ready<u16>, before: u64, after: u64) -> Result<(), io::Error> {
    log.add("begins");
    Sim::sleep(before).await;
    ready.ready(80)?;
    log.add("is ready");
    Sim::sleep(after).await;
    log.add("ends");
    Ok(())
}

#[test]
fn d42_the_caller_goes_on_when_the_child_is_ready_and_the_scope_waits_for_the_child() {
    let sim = Sim::new();
    let log = Log::default();
    let seen = log.clone();
    let ended_at = sim.run(scope(|s: Scope<Sim, io::Error>| async move {
        let inside = log.clone();
        let port = s.start(|ready| server(inside, ready, 5, 20)).await.unwrap();
        log.add(format!("port {port}"));
        Ok(())
    }));
    ended_at.unwrap();
    assert_eq!(seen.take(), ["begins", "is ready", "port 80", "ends"]);
    assert_eq!((sim.now(), sim.alarms()), (25, 0));
}

#[test]
fn d42_an_error_or_a_panic_before_it_is_ready_is_the_callers() {
    let sim = Sim::new();
    sim.run(scope(|s: Scope<Sim, io::Error>| async move {
        let failed = s
            .start(|_: Ready<u8>| async {
                Sim::sleep(1).await;
                Err(io::Error::other("no port"))
            })
            .await
            .unwrap_err();
        assert!(failed.is_failed() && !failed.is_refused() && !failed.is_not_ready());
        assert_eq!(failed.to_string(), "the child failed before it was ready: no port");
        assert_eq!(failed.into_error().unwrap().to_string(), "no port");
        let panicked = s.start(|_: Ready<u8>| async {
            Sim::sleep(1).await;
            panic!("before");
            #[expect(unreachable_code, reason = "for its type")]
            Ok::<(), io::Error>(())
        });
        let payload = AssertUnwindSafe(panicked).catch_unwind().await.unwrap_err();
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"before"));
        assert!(!s.is_cancelled(), "neither was the scope's");
        Ok(())
    }))
    .unwrap();
}

#[test]
fn d42_an_error_or_a_panic_after_it_was_ready_is_the_scopes() {
    for suspends in [false, true] {
        let sim = Sim::new();
        let error = sim.run(scope(move |s: Scope<Sim, io::Error>| async move {
            let value = s
                .start(move |ready| async move {
                    ready.ready(7).unwrap();
                    if suspends {
                        Sim::sleep(1).await;
                    }
                    Err(io::Error::other("later"))
                })
                .await;
            assert_eq!(value.unwrap(), 7);
            Sim::sleep(LONG).await;
            Ok(())
        }));
        assert_eq!(error.unwrap_err().errors()[0].to_string(), "later");
        let panics = scope(move |s: Scope<Sim, io::Error>| async move {
            let value = s
                .start(move |ready| async move {
                    ready.ready(7).unwrap();
                    if suspends {
                        Sim::sleep(1).await;
                    }
                    panic!("later");
                    #[expect(unreachable_code, reason = "for its type")]
                    Ok::<(), io::Error>(())
                })
                .await;
            assert_eq!(value.unwrap(), 7);
            Sim::sleep(LONG).await;
            Ok(())
        });
        let payload = sim.run(AssertUnwindSafe(panics).catch_unwind()).unwrap_err();
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"later"));
        assert_eq!(sim.alarms(), 0);
    }
}

#[test]
fn d42_a_child_that_ends_without_a_word() {
    Sim::new()
        .run(scope(|s: Scope<Sim>| async move {
            let error = s.start(|_: Ready<u8>| async { Ok::<(), BoxError>(()) }).await.unwrap_err();
            assert!(error.is_not_ready() && !error.is_failed());
            assert_eq!(error.to_string(), "the child ended without saying that it was ready");
            // One that is ready and ends in the same poll is fine.
            let value = s.start(|ready| async move { Ok::<(), BoxError>(ready.ready(1)?) }).await;
            assert_eq!(value.unwrap(), 1);
            Ok(())
        }))
        .unwrap();
}

#[test]
fn d42_d26_a_scope_that_admits_nothing_refuses_without_a_call() {
    fn unmade(_: Ready<u8>) -> std::future::Ready<Result<(), io::Error>> {
        unreachable!("the closure is not called")
    }
    let sim = Sim::new();
    let ended = sim.run(scope(|s: Scope<Sim, io::Error>| async move {
        s.cancel("enough");
        let error = shield_unbounded(s.start(unmade)).await.unwrap_err();
        assert!(error.is_refused());
        assert_eq!(error.reason().unwrap().message(), Some("enough"));
        assert_eq!(error.to_string(), "the scope starts nothing any more: it was cancelled: enough");
        // In a cut frame it is inert, as any leaf.
        let mut cut = s.start(unmade);
        assert!(poll_fn(|cx| Poll::Ready(cut.poll_unpin(cx))).await.is_pending());
        Ok(s.clone())
    }));
    let ended: Scope<Sim, io::Error> = ended.unwrap();
    let error: StartError<io::Error> = sim.run(async move { ended.start(unmade).await }).unwrap_err();
    assert!(error.is_refused());
    assert_eq!(io::Error::from(error).to_string(), "cancelled: enough");
}

#[test]
fn d42_d27_a_pending_start_keeps_its_scope_open() {
    let sim = Sim::new();
    let log = Log::default();
    let seen = log.clone();
    let root = ramus_scope::Root::new(sim.clone(), "root");
    let slot: Arc<Mutex<Option<Scope<Sim, io::Error>>>> = Arc::default();
    let out = Arc::clone(&slot);
    let other = log.clone();
    // The target scope, whose body ends at once; a member keeps it open for 3 ms.
    let target = root.handle().spawn(async move {
        scope(|s: Scope<Sim, io::Error>| async move {
            *out.lock().unwrap() = Some(s.clone());
            s.spawn(Sim::sleep(3));
            Ok(())
        })
        .await
        .unwrap();
        other.add("the target ends");
    });
    let inside = log.clone();
    let caller = root.handle().spawn(async move {
        Sim::sleep(1).await;
        let target = slot.lock().unwrap().clone().unwrap();
        let port = target.start(|ready| server(inside, ready, 10, 10)).await;
        log.add(format!("port {}", port.unwrap()));
    });
    sim.run(async move {
        target.await.unwrap();
        caller.await.unwrap();
    });
    assert_eq!(seen.take(), ["begins", "is ready", "port 80", "ends", "the target ends"]);
    assert_eq!(sim.now(), 21);
    root.close();
}

#[test]
fn d42_ready_fails_when_the_scope_was_cancelled_meanwhile() {
    let sim = Sim::new();
    let alive = Alive::default();
    let watch = alive.clone();
    sim.run(scope(|outer: Scope<Sim, io::Error>| async move {
        let slot: Arc<Mutex<Option<Scope<Sim, io::Error>>>> = Arc::default();
        let out = Arc::clone(&slot);
        let target = outer.spawn(async move {
            scope(|s: Scope<Sim, io::Error>| async move {
                *out.lock().unwrap() = Some(s.clone());
                Sim::sleep(LONG).await;
                Ok(())
            })
            .await
        });
        Sim::sleep(1).await;
        let target_scope = slot.lock().unwrap().take().unwrap();
        let canceller: ScopeHandle<Sim> = (*target_scope).clone();
        outer.spawn(async move {
            Sim::sleep(2).await;
            canceller.cancel("too slow");
        });
        let error = target_scope
            .start(|ready| async move {
                Sim::sleep(5).await;
                let late = ready.ready(alive.guard()).unwrap_err();
                assert_eq!(late.to_string(), "too late to be ready: the scope was cancelled: too slow");
                assert_eq!(late.reason().unwrap().message(), Some("too slow"));
                drop(late.into_inner());
                // It is the caller's child still, and may clean up.
                Sim::sleep(5).await;
                Err(io::Error::other("gave up"))
            })
            .await
            .err()
            .unwrap();
        assert!(error.is_refused() && !error.is_failed());
        assert_eq!(error.reason().unwrap().message(), Some("too slow"));
        assert_eq!(error.into_error().unwrap().to_string(), "gave up", "no error vanishes");
        assert!(target.await.unwrap().unwrap_err().is_cancelled());
        Ok(())
    }))
    .unwrap();
    assert_eq!((watch.count(), sim.now()), (0, 11));
}

#[test]
fn d42_dropping_the_start_half_way_drops_the_child_and_gives_the_place_back() {
    let sim = Sim::new();
    let alive = Alive::default();
    let watch = alive.clone();
    sim.run(scope(|s: Scope<Sim, io::Error>| async move {
        let kept: Arc<Mutex<Option<Ready<u8>>>> = Arc::default();
        let keep = Arc::clone(&kept);
        let guard = alive.guard();
        let start = s.start(|ready| async move {
            let _guard = guard;
            *keep.lock().unwrap() = Some(ready);
            Sim::sleep(LONG).await;
            Ok::<(), io::Error>(())
        });
        assert_eq!(s.live(), 0, "unpolled, it is nothing");
        assert_eq!(CutOn::new(start, Sim::sleep(5)).await.unwrap_err(), ());
        assert_eq!((alive.count(), s.live()), (0, 0));
        let late = kept.lock().unwrap().take().unwrap().ready(9).unwrap_err();
        assert_eq!(late.to_string(), "too late to be ready: nobody waits for the start any more");
        assert_eq!(late.into_inner(), 9);
        Ok(())
    }))
    .unwrap();
    assert_eq!((watch.count(), sim.now()), (0, 5));
}

#[test]
fn d42_a_cut_of_the_caller_drops_the_child_and_a_shield_of_the_caller_protects_it() {
    let sim = Sim::new();
    let log = Log::default();
    let seen = log.clone();
    let root = ramus_scope::Root::new(sim.clone(), "root");
    let (cut_log, shielded_log) = (log.clone(), log.clone());
    let target: Arc<Mutex<Option<Scope<Sim, io::Error>>>> = Arc::default();
    let out = Arc::clone(&target);
    let open = root.handle().spawn(scope(|s: Scope<Sim, io::Error>| async move {
        *out.lock().unwrap() = Some(s.clone());
        Sim::sleep(50).await;
        Ok(())
    }));
    sim.settle();
    let target = target.lock().unwrap().take().unwrap();
    let again = target.clone();
    let cut = root.handle().spawn(async move {
        let _ = target.start(|ready| server(cut_log, ready, 10, 10)).await;
        unreachable!("it is cut");
    });
    let shielded = root.handle().spawn(async move {
        let start = again.start(|ready| server(shielded_log, ready, 10, 10));
        let port = shield(ms(100), start).await;
        log.add(format!("port {}", port.unwrap()));
        pending::<()>().await;
    });
    sim.settle();
    cut.cancel("the caller");
    shielded.cancel("the caller");
    assert!(sim.run(cut).unwrap_err().is_cancelled());
    assert!(sim.run(shielded).unwrap_err().is_cancelled());
    sim.run(open).unwrap().unwrap();
    // Once ready, it is the scope's, and what cut the caller is nothing to it.
    assert_eq!(seen.take(), ["begins", "begins", "is ready", "port 80", "ends"]);
    root.close();
}

#[test]
fn d42_ready_may_be_said_from_elsewhere() {
    let sim = Sim::new();
    let log = Log::default();
    let seen = log.clone();
    sim.run(scope(|s: Scope<Sim, io::Error>| async move {
        let helper = s.clone();
        let inside = log.clone();
        let value = s
            .start(|ready| async move {
                helper.spawn(async move {
                    Sim::sleep(3).await;
                    ready.ready(5).unwrap();
                });
                Sim::sleep(10).await;
                inside.add("ends");
                Ok::<(), io::Error>(())
            })
            .await;
        log.add(format!("value {}", value.unwrap()));
        Ok(())
    }))
    .unwrap();
    assert_eq!((seen.take(), sim.now()), (vec!["value 5".to_owned(), "ends".to_owned()], 10));
}

#[test]
fn d42_d29_a_boundary_that_is_open_when_the_child_moves_goes_with_it() {
    for cancel_at_once in [false, true] {
        let sim = Sim::new();
        let log = Log::default();
        let seen = log.clone();
        let error = sim.run(scope(move |s: Scope<Sim, io::Error>| async move {
            let value = s
                .start(move |ready| async move {
                    let inner = scope(|t: Scope<Sim, io::Error>| async move {
                        t.spawn(shield(ms(100), async move {
                            Sim::sleep(8).await;
                            log.add("drained");
                        }));
                        Sim::sleep(2).await;
                        ready.ready(1).unwrap();
                        Sim::sleep(LONG).await;
                        Ok(())
                    });
                    let _ = inner.await;
                    unreachable!("the scope around is cancelled");
                    #[expect(unreachable_code, reason = "for its type")]
                    Ok::<(), io::Error>(())
                })
                .await;
            assert_eq!(value.unwrap(), 1);
            if !cancel_at_once {
                Sim::sleep(1).await;
            }
            s.cancel("all");
            Ok(())
        }));
        assert!(error.unwrap_err().is_cancelled());
        assert_eq!((seen.take(), sim.now()), (vec!["drained".to_owned()], 8), "at once: {cancel_at_once}");
        assert_eq!(sim.alarms(), 0);
    }
}

#[test]
fn d42_d29_a_shield_that_is_open_when_the_child_moves_protects_it_in_its_new_place() {
    let sim = Sim::new();
    let log = Log::default();
    let seen = log.clone();
    let error = sim.run(scope(move |s: Scope<Sim, io::Error>| async move {
        let started = s.start(move |ready| async move {
            shield(ms(100), async {
                Sim::sleep(1).await;
                ready.ready(1).unwrap();
                Sim::sleep(8).await;
                log.add("whole");
            })
            .await;
            Sim::sleep(LONG).await;
            Ok::<(), io::Error>(())
        });
        assert_eq!(started.await.unwrap(), 1);
        s.cancel("before the task of the child was polled");
        Ok(())
    }));
    assert!(error.unwrap_err().is_cancelled());
    assert_eq!((seen.take(), sim.now()), (vec!["whole".to_owned()], 9));
}
