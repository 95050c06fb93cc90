//! Supervision: what restarts whom, and when it gives up.

mod common;

use std::error::Error;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::{runtime, watchdog};
use ramus::{BoxError, Scope, ScopeBuilder, ScopeHandle, Supervisor, SupervisorError};

const NEVER: Duration = Duration::from_secs(1_000_000);

/// Without pauses, and never too often.
fn eager() -> Supervisor {
    Supervisor::new().backoff(Duration::ZERO, Duration::ZERO).intensity(1_000, NEVER)
}

/// Counts the runs of one child.
#[derive(Clone, Default)]
struct Runs(Arc<AtomicUsize>);

impl Runs {
    /// The number of this run, from 1.
    fn next(&self) -> usize {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

fn failure(run: usize) -> BoxError {
    io::Error::other(format!("run {run}")).into()
}

async fn until(reached: impl Fn() -> bool) {
    while !reached() {
        ramus::yield_now().await;
    }
}

#[test]
fn without_children_it_returns_at_once() {
    let runtime = runtime(1);
    runtime.block_on(async { Supervisor::new().run().await }).unwrap();
}

#[test]
fn a_failed_child_is_restarted_alone() {
    let _dog = watchdog();
    let runtime = runtime(2);
    let (flaky, steady) = (Runs::default(), Runs::default());
    let (f, s, seen) = (flaky.clone(), steady.clone(), flaky.clone());
    runtime
        .block_on(async move {
            eager()
                .transient("flaky", move || {
                    let run = f.next();
                    async move { if run < 4 { Err(failure(run)) } else { Ok(()) } }
                })
                .transient("steady", move || {
                    s.next();
                    let seen = seen.clone();
                    async move {
                        until(|| seen.count() == 4).await;
                        Ok::<(), BoxError>(())
                    }
                })
                .run()
                .await
        })
        .unwrap();
    assert_eq!((flaky.count(), steady.count()), (4, 1));
}

#[test]
fn a_panic_is_a_failure() {
    let _dog = watchdog();
    let runtime = runtime(2);
    let runs = Runs::default();
    let child = runs.clone();
    let error = runtime
        .block_on(async move {
            eager()
                .intensity(2, NEVER)
                .transient("buggy", move || {
                    let run = child.next();
                    async move {
                        // Also where a task of its own panics.
                        if run == 2 {
                            drop(ramus::spawn(async { panic!("its task") }));
                            std::future::pending::<()>().await;
                        }
                        assert!(run == 2, "run {run}");
                        Ok::<(), BoxError>(())
                    }
                })
                .run()
                .await
        })
        .unwrap_err();
    assert_eq!((runs.count(), error.restarts(), error.child()), (3, 2, Some("buggy")));
    assert!(error.is_too_often());
    assert!(error.into_last().unwrap().to_string().contains("run 3"));
}

#[test]
fn kinds_of_children() {
    let _dog = watchdog();
    let runtime = runtime(2);
    let (permanent, transient, temporary) = (Runs::default(), Runs::default(), Runs::default());
    let (p, t, o, seen) = (permanent.clone(), transient.clone(), temporary.clone(), permanent.clone());
    let error = runtime
        .block_on(async move {
            ramus::scope(|scope: Scope<SupervisorError>| async move {
                eager()
                    .child("permanent", move || {
                        // Restarted although it returns Ok, until the scope is asked to stop.
                        if p.next() == 5 {
                            scope.stop(NEVER);
                        }
                        async { Ok::<(), BoxError>(()) }
                    })
                    .transient("transient", move || {
                        t.next();
                        async { Ok::<(), BoxError>(()) }
                    })
                    .temporary("temporary", move || {
                        o.next();
                        let seen = seen.clone();
                        async move {
                            until(|| seen.count() >= 2).await;
                            Err(failure(1))
                        }
                    })
                    .run()
                    .await
            })
            .await
        })
        .unwrap_err()
        .into_first()
        .unwrap();
    assert_eq!((permanent.count(), transient.count(), temporary.count()), (5, 1, 1));
    assert_eq!(error.child(), Some("temporary"), "its failure is not forgotten");
    assert!(error.is_failed() && !error.is_too_often() && !error.is_too_late() && !error.is_cancelled());
    assert_eq!(error.source().unwrap().to_string(), "run 1");
    assert_eq!(error.to_string(), "child \"temporary\" failed and was not restarted: run 1");
}

#[test]
fn restart_all_drains_the_siblings_first() {
    /// Says that it was dropped.
    struct Last(Arc<Mutex<Vec<String>>>);
    impl Drop for Last {
        fn drop(&mut self) {
            self.0.lock().unwrap().push("sibling dropped".to_owned());
        }
    }
    let _dog = watchdog();
    let runtime = runtime(2);
    let log: Arc<Mutex<Vec<String>>> = Arc::default();
    let (leader, sibling, once) = (Runs::default(), Runs::default(), Runs::default());
    let (l, s, o) = (leader.clone(), sibling.clone(), once.clone());
    let (first, second) = (Arc::clone(&log), Arc::clone(&log));
    let (seen, ended) = (sibling.clone(), once.clone());
    runtime
        .block_on(async move {
            eager()
                .restart_all()
                .transient("leader", move || {
                    let run = l.next();
                    first.lock().unwrap().push(format!("leader {run}"));
                    let (seen, ended) = (seen.clone(), ended.clone());
                    async move {
                        until(|| seen.count() == run && ended.count() == 1).await;
                        if run == 1 { Err(failure(run)) } else { Ok(()) }
                    }
                })
                .transient("sibling", move || {
                    let run = s.next();
                    let last = Last(Arc::clone(&second));
                    async move {
                        if run == 1 {
                            let _last = last;
                            // Its own task goes with it.
                            drop(ramus::spawn(std::future::pending::<()>()));
                            std::future::pending::<()>().await;
                        } else {
                            std::mem::forget(last);
                        }
                        Ok::<(), BoxError>(())
                    }
                })
                .transient("once", move || {
                    o.next();
                    async { Ok::<(), BoxError>(()) }
                })
                .run()
                .await
        })
        .unwrap();
    assert_eq!(*log.lock().unwrap(), ["leader 1", "sibling dropped", "leader 2"]);
    assert_eq!((leader.count(), sibling.count(), once.count()), (2, 2, 1), "what is done stays done");
}

#[test]
fn more_than_the_intensity_gives_up_and_drains() {
    struct Last(Runs);
    impl Drop for Last {
        fn drop(&mut self) {
            self.0.next();
        }
    }
    let _dog = watchdog();
    let runtime = runtime(2);
    let (runs, dropped) = (Runs::default(), Runs::default());
    let (bad, other) = (runs.clone(), dropped.clone());
    let error = runtime
        .block_on(async move {
            let result = eager()
                .intensity(3, NEVER)
                .child("bad", move || {
                    let run = bad.next();
                    async move { Err::<(), _>(failure(run)) }
                })
                .child("good", move || {
                    let last = Last(other.clone());
                    async move {
                        let _last = last;
                        std::future::pending::<()>().await;
                        Ok::<(), BoxError>(())
                    }
                })
                .run()
                .await;
            assert_eq!(dropped.count(), 1, "the sibling has ended when it returns");
            result
        })
        .unwrap_err();
    assert_eq!((runs.count(), error.restarts(), error.child()), (4, 3, Some("bad")));
    assert!(error.is_too_often());
    assert_eq!(error.to_string(), "child \"bad\" ended too often, after 3 restarts: run 4");
    assert_eq!(io::Error::from(error).to_string(), "child \"bad\" ended too often, after 3 restarts: run 4");
}

#[test]
fn returning_ok_too_often_is_too_often() {
    let _dog = watchdog();
    let runtime = runtime(1);
    let error = runtime
        .block_on(eager().intensity(0, NEVER).child("short", || async { Ok::<(), BoxError>(()) }).run())
        .unwrap_err();
    assert_eq!(error.to_string(), "child \"short\" ended too often, after 0 restarts: it returned Ok");
    assert!(error.source().is_none());
}

#[test]
fn who_never_gives_up_keeps_no_account() {
    const RESTARTS: usize = 20_000;
    let _dog = watchdog();
    let runs = Runs::default();
    let seen = runs.clone();
    let patient = Supervisor::new().intensity(usize::MAX, Duration::MAX).backoff(Duration::ZERO, Duration::ZERO);
    let run = patient.transient("x", move || {
        let run = seen.next();
        async move { if run < RESTARTS { Err(failure(run)) } else { Ok(()) } }
    });
    runtime(2).block_on(run.run()).unwrap();
    assert_eq!(runs.count(), RESTARTS);
}

#[test]
fn restarts_longer_ago_than_the_period_do_not_count() {
    let _dog = watchdog();
    let runtime = runtime(1);
    let runs = Runs::default();
    let child = runs.clone();
    // Each run is longer than the period.
    runtime
        .block_on(
            eager()
                .intensity(1, Duration::from_millis(2))
                .transient("slow", move || {
                    let run = child.next();
                    async move {
                        ramus::sleep(Duration::from_millis(5)).await;
                        if run < 5 { Err(failure(run)) } else { Ok(()) }
                    }
                })
                .run(),
        )
        .unwrap();
    assert_eq!(runs.count(), 5);
}

#[test]
fn pauses_double_up_to_the_longest() {
    let _dog = watchdog();
    let runtime = runtime(1);
    let runs = Runs::default();
    let child = runs.clone();
    let start = Instant::now();
    runtime
        .block_on(
            Supervisor::new()
                .backoff(Duration::from_millis(5), Duration::from_millis(20))
                .transient("flaky", move || {
                    let run = child.next();
                    async move { if run < 6 { Err(failure(run)) } else { Ok(()) } }
                })
                .run(),
        )
        .unwrap();
    // 5 + 10 + 20 + 20 + 20
    assert!(start.elapsed() >= Duration::from_millis(75), "{:?}", start.elapsed());
}

#[test]
fn a_pause_never_reaches_into_the_deadline() {
    let _dog = watchdog();
    let runtime = runtime(1);
    let error = runtime
        .block_on(async {
            ScopeBuilder::new()
                .deadline(Instant::now() + Duration::from_secs(1_000))
                .open(|_s: Scope<SupervisorError>| async {
                    Supervisor::new()
                        .backoff(Duration::from_secs(5_000), NEVER)
                        .child("hopeless", || async { Err::<(), _>(failure(1)) })
                        .run()
                        .await
                })
                .await
        })
        .unwrap_err();
    assert!(!error.is_elapsed());
    let error = error.into_first().unwrap();
    assert!(error.is_too_late() && !error.is_too_often());
    assert_eq!(error.to_string(), "child \"hopeless\" ended, and the deadline leaves no time for restart 1: run 1");
}

#[test]
fn a_pause_is_a_cancellation_point() {
    let _dog = watchdog();
    let runtime = runtime(2);
    let runs = Runs::default();
    let child = runs.clone();
    let error = runtime
        .block_on(async move {
            ramus::scope(|s: Scope<SupervisorError>| async move {
                drop(
                    s.spawn_try(
                        Supervisor::new()
                            .backoff(NEVER, NEVER)
                            .child("failing", move || {
                                let run = child.next();
                                async move { Err::<(), _>(failure(run)) }
                            })
                            .run(),
                    ),
                );
                until(|| runs.count() == 1).await;
                s.cancel("enough");
                ramus::yield_now().await;
                Ok(())
            })
            .await
        })
        .unwrap_err();
    assert!(error.is_cancelled());
    assert_eq!(error.reason().unwrap().message(), Some("enough"));
}

#[test]
fn d20_what_fails_while_stopping_is_not_restarted_and_not_lost() {
    let _dog = watchdog();
    let runtime = runtime(2);
    let (running, pausing) = (Runs::default(), Runs::default());
    let (r, p, seen) = (running.clone(), pausing.clone(), pausing.clone());
    let error = runtime
        .block_on(async move {
            ramus::scope(|s: Scope<SupervisorError>| async move {
                let stopping = s.clone();
                let run = Supervisor::new()
                    .backoff(NEVER, NEVER)
                    .child("running", move || {
                        r.next();
                        let stopping = stopping.clone();
                        async move {
                            stopping.stopping().await;
                            Ok::<(), BoxError>(())
                        }
                    })
                    .child("pausing", move || {
                        let run = p.next();
                        async move { Err::<(), _>(failure(run)) }
                    })
                    .run();
                drop(s.spawn_try(run));
                until(|| seen.count() == 1).await;
                s.stop(NEVER);
                Ok(())
            })
            .await
        })
        .unwrap_err();
    assert_eq!((running.count(), pausing.count()), (1, 1));
    let error = error.into_first().unwrap();
    assert_eq!(error.child(), Some("pausing"));
    assert_eq!(error.into_last().unwrap().to_string(), "run 1");
}

#[test]
fn children_are_named_in_the_tree() {
    let _dog = watchdog();
    let runtime = runtime(2);
    let handle = runtime.handle();
    runtime.block_on(async move {
        ramus::scope(|s: Scope| async move {
            let run = Supervisor::new()
                .name("services")
                .temporary("cache", || async {
                    let own = ScopeHandle::current().unwrap();
                    assert_eq!(own.name(), Some("cache"), "a scope of its own");
                    std::future::pending::<()>().await;
                    Ok::<(), BoxError>(())
                })
                .run();
            let run = s.spawn(run);
            let text = loop {
                let text = handle.tree().to_string();
                if text.contains("task \"cache\"") && text.contains("scope \"cache\"") {
                    break text;
                }
                ramus::yield_now().await;
            };
            assert!(text.contains("scope \"services\"") && text.contains("supervise.rs"), "{text}");
            run.cancel("seen");
            Ok(())
        })
        .await
        .unwrap();
    });
}

#[test]
fn a_timeout_around_it_drains_the_children() {
    struct Last(Runs);
    impl Drop for Last {
        fn drop(&mut self) {
            self.0.next();
        }
    }
    let _dog = watchdog();
    let runtime = runtime(2);
    let dropped = Runs::default();
    let last = dropped.clone();
    runtime.block_on(async move {
        let supervisor = eager().child("endless", move || {
            let last = Last(last.clone());
            async move {
                let _last = last;
                ramus::spawn(std::future::pending::<()>()).await.unwrap();
                Ok::<(), BoxError>(())
            }
        });
        let run = ramus::timeout(Duration::from_millis(5), supervisor.run());
        assert!(run.await.is_err());
        assert_eq!(dropped.count(), 1, "it has ended when the timeout answers");
    });
}
