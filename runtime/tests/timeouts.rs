//! Time-outs as frames: what is inside drains, and nobody mistakes one for a cancel.

mod common;

use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::{runtime, watchdog};
use ramus::sync::Event;
use ramus::time::Elapsed;
use ramus::{BoxError, Scope, scope, shield, timeout, timeout_at};

const HOUR: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(2);

#[test]
fn d16_a_timeout_is_an_ordinary_error_at_its_owner() {
    let _dog = watchdog();
    let runtime = runtime(2);
    let error = runtime.block_on(scope(|s: Scope| async move {
        let child = s.spawn(async { timeout(SHORT, pending::<()>()).await });
        let elapsed: Elapsed = child.await.expect("the task has ended by itself").expect_err("its time was up");
        assert!(!s.is_cancelled(), "nothing was cancelled");
        Err::<(), BoxError>(elapsed.into())
    }));
    let error = error.unwrap_err();
    assert!(!error.is_cancelled() && !error.is_elapsed(), "a failure: not the scope's own deadline, and no cancel");
    assert!(error.errors()[0].is::<Elapsed>());
}

#[test]
fn d16_a_cancel_from_above_is_not_mistaken_for_a_timeout() {
    let _dog = watchdog();
    let answered = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&answered);
    runtime(2)
        .block_on(scope(|s: Scope| async move {
            let started = Arc::new(Event::new());
            let starting = Arc::clone(&started);
            let task = s.spawn(async move {
                let work = async {
                    starting.set();
                    pending::<()>().await;
                };
                let _ = timeout(HOUR, work).await;
                answered.fetch_add(1, Ordering::SeqCst);
            });
            started.wait().await;
            task.cancel("from above");
            let error = task.await.unwrap_err();
            assert_eq!(error.reason().and_then(|reason| reason.message()), Some("from above"));
            Ok(())
        }))
        .unwrap();
    assert_eq!(seen.load(Ordering::SeqCst), 0, "the time-out has not answered");
}

#[test]
fn d13_spot5_what_is_inside_a_past_deadline_drains_from_then_on() {
    let _dog = watchdog();
    let past = Instant::now();
    let drained = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&drained);
    let joined = runtime(2).block_on(async move {
        ramus::spawn(async move {
            let inside = scope(|s: Scope| async move {
                let _child = s.spawn(pending::<()>());
                shield(HOUR, ramus::sleep(SHORT)).await;
                drained.fetch_add(1, Ordering::SeqCst);
                ramus::sleep(HOUR).await;
                drained.fetch_add(1, Ordering::SeqCst);
                Ok(())
            });
            assert!(timeout_at(past, inside).await.is_err());
        })
        .await
    });
    joined.unwrap();
    assert_eq!(seen.load(Ordering::SeqCst), 1, "to the end of its shield, and no further");
}

#[test]
fn d14_spot5_a_value_wins_while_a_borrowed_future_drains_and_the_future_is_kept() {
    let _dog = watchdog();
    let joined = runtime(2).block_on(async {
        ramus::spawn(async {
            let mut work = pin!(async {
                shield(HOUR, ramus::sleep(SHORT * 5)).await;
                7
            });
            assert_eq!(timeout(SHORT, &mut work).await, Ok(7));
            // Without a boundary inside there is nothing to wait for, and the borrowed future goes on later.
            let mut nap = pin!(ramus::sleep(SHORT * 5));
            assert!(timeout(SHORT, &mut nap).await.is_err());
            nap.await;
        })
        .await
    });
    joined.unwrap();
}

#[test]
fn d15_of_two_timeouts_each_answers_for_its_own_time_only() {
    let _dog = watchdog();
    let joined = runtime(2).block_on(async {
        ramus::spawn(async {
            // The outer one expires first. The inner one expires too, while what is in it drains.
            let inner = timeout(SHORT * 3, shield(HOUR, ramus::sleep(SHORT * 10)));
            let both = timeout(SHORT, inner).await;
            assert_eq!(both, Ok(Ok(())), "a value that was produced meanwhile wins in both");
            let inner = timeout(SHORT * 3, pending::<()>());
            assert!(timeout(SHORT, inner).await.is_err());
            let inner = timeout(SHORT, pending::<()>());
            assert!(timeout(HOUR, inner).await.unwrap().is_err());
        })
        .await
    });
    joined.unwrap();
}
