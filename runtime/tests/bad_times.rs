//! Times that are no times: deadlines in the past and at the end of the clock, durations that no clock can count.
#![allow(missing_docs)]

mod common;

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::{runtime, wait_until, watchdog};
use ramus::{
    BoxError, Scope, ScopeBuilder, Supervisor, When, blocking, run_until_cancelled, scope, shield, sleep, sleep_until,
    timeout, timeout_at, wait, yield_now,
};

/// As far as the clock goes.
fn end_of_time() -> Instant {
    let mut far = Instant::now();
    for step in (0..62).rev().map(|bit| Duration::from_secs(1 << bit)) {
        far = far.checked_add(step).unwrap_or(far);
    }
    far
}

/// As far back as the clock goes.
fn begin_of_time() -> Instant {
    let mut past = Instant::now();
    for step in (0..62).rev().map(|bit| Duration::from_secs(1 << bit)) {
        past = past.checked_sub(step).unwrap_or(past);
    }
    past
}

#[test]
fn d12_d13_a_deadline_in_the_past_polls_once_and_cancels() {
    let _dog = watchdog();
    runtime(2).block_on(async {
        for past in [Instant::now(), begin_of_time()] {
            let polls = Arc::new(AtomicUsize::new(0));
            let polled = Arc::clone(&polls);
            let late = ScopeBuilder::new().deadline(past).open(|s: Scope<io::Error>| async move {
                drop(s.spawn(pending::<()>()));
                polled.fetch_add(1, Ordering::SeqCst);
                pending::<()>().await;
            });
            let error = late.await.unwrap_err();
            assert!(error.is_elapsed() && error.is_cancelled());
            assert_eq!(error.to_string(), "the scope was cancelled: deadline");
            assert_eq!(polls.load(Ordering::SeqCst), 1);
            let ready = ScopeBuilder::new().deadline(past).open(|_: Scope<io::Error>| async { Ok(7) });
            assert_eq!(ready.await.unwrap(), 7);
            let moved = scope(|s: Scope<io::Error>| async move {
                drop(s.spawn(pending::<()>()));
                s.set_deadline(past).unwrap();
                let again = s.set_deadline(end_of_time()).unwrap_err();
                assert!(again.is_elapsed() && !again.is_closed());
                assert_eq!(again.to_string(), "the deadline has passed");
                yield_now().await;
            });
            assert!(moved.await.unwrap_err().is_elapsed(), "it went on after the suspension");
            let elapsed = timeout_at(past, pending::<()>()).await.unwrap_err();
            assert_eq!(elapsed.to_string(), "the time was up before the future completed");
            sleep_until(past).await;
        }
    });
}

#[test]
fn d05_d12_a_deadline_in_the_past_is_no_reason_in_a_scope_that_a_cancel_has_reached_already() {
    let _dog = watchdog();
    runtime(2).block_on(async {
        let outer = scope(|outer: Scope<io::Error>| async move {
            outer.cancel("first");
            // It has not suspended, so no walk has met it.
            let inner = scope(|s: Scope<io::Error>| async move {
                s.set_deadline(begin_of_time()).unwrap();
                let reason = s.reason().expect("cancelled");
                assert_eq!((reason.kind().as_str(), reason.origin().kind().as_str()), ("parent", "user"));
                Ok(())
            });
            drop(inner.await);
        });
        assert!(outer.await.is_ok(), "nothing was cut");
    });
}

#[test]
fn d12_a_deadline_at_the_end_of_time_never_comes_and_can_be_moved() {
    let _dog = watchdog();
    runtime(2).block_on(async {
        let far = end_of_time();
        let kept = ScopeBuilder::new().deadline(far).open(|s: Scope<io::Error>| async move {
            drop(s.spawn(sleep(Duration::from_millis(2))));
            s.set_deadline(far).unwrap();
            s.set_deadline(None).unwrap();
            s.set_deadline(far).unwrap();
            assert_eq!((s.deadline(), s.is_cancelled()), (Some(far), false));
            sleep(Duration::from_millis(1)).await;
            Ok(7)
        });
        assert_eq!(kept.await.unwrap(), 7);
        assert_eq!(timeout_at(far, yield_now()).await, Ok(()));
        let brought = ScopeBuilder::new().deadline(far).open(|s: Scope<io::Error>| async move {
            let handle = s.clone();
            drop(s.spawn(async move { handle.set_deadline(Instant::now() + Duration::from_millis(2)).unwrap() }));
            pending::<()>().await;
        });
        assert!(brought.await.unwrap_err().is_elapsed());
    });
}

#[test]
fn rule7_d08_durations_without_end_wait_and_nothing_else() {
    let _dog = watchdog();
    let runtime = runtime(2);
    runtime.block_on(async {
        let ended = scope(|s: Scope<io::Error>| async move {
            assert!(s.stop(Duration::MAX));
            assert!(s.stop_then_kill(Duration::MAX, Duration::MAX));
            s.stop_on(async {}, Duration::MAX);
            // A shield with a budget for ever, in a scope that is being cancelled: it runs to its end.
            let shielded = s.spawn(async {
                let _ = run_until_cancelled(shield(Duration::MAX, sleep(Duration::from_millis(5)))).await;
            });
            sleep(Duration::from_millis(1)).await;
            assert!(s.is_stopping() && !s.is_cancelled());
            assert!(s.stop_then_kill(Duration::ZERO, Duration::MAX));
            drop(shielded);
            pending::<()>().await;
        });
        assert!(ended.await.unwrap_err().is_cancelled());

        let mut handles = vec![ramus::spawn(async { 7 })];
        let done = wait(&mut handles, When::All, Some(Duration::MAX)).await;
        assert_eq!((done.len(), handles.len()), (1, 0));
        assert_eq!(timeout(Duration::MAX, timeout(Duration::MAX, async { 7 })).await, Ok(Ok(7)));

        let runs = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&runs);
        let supervised = Supervisor::new()
            .intensity(usize::MAX, Duration::MAX)
            .backoff(Duration::ZERO, Duration::MAX)
            .child("fails twice", move || {
                let run = counted.fetch_add(1, Ordering::SeqCst);
                async move {
                    if run == 2 {
                        pending::<()>().await;
                    }
                    Err::<(), BoxError>("again".into())
                }
            });
        let watched = Arc::clone(&runs);
        let _ = ramus::race((async { drop(supervised.run().await) }, async move {
            while watched.load(Ordering::SeqCst) < 3 {
                sleep(Duration::from_millis(1)).await;
            }
        }))
        .await;

        // Waited for, however long that is.
        let begun = Arc::new(AtomicUsize::new(0));
        let begins = Arc::clone(&begun);
        let job = blocking::Builder::new().abandon_on_cancel(Duration::MAX).spawn(move |job| {
            begins.fetch_add(1, Ordering::SeqCst);
            while !job.is_cancelled() {
                std::thread::yield_now();
            }
            std::thread::sleep(Duration::from_millis(5));
            7
        });
        while begun.load(Ordering::SeqCst) == 0 {
            yield_now().await;
        }
        assert!(job.cancel("enough"));
        assert!(job.await.is_ok_and(|value| value == 7), "the result of a job that ended counts");
    });
    let done = Arc::new(AtomicUsize::new(0));
    let ends = Arc::clone(&done);
    drop(runtime.spawn(async move {
        ramus::yield_now().await;
        ends.fetch_add(1, Ordering::SeqCst);
    }));
    wait_until(|| done.load(Ordering::SeqCst) == 1);
    assert!(runtime.shutdown(Duration::MAX, Duration::MAX).is_clean());
}
