//! Sleeps, time-outs and intervals on the runtime.

use ramus::Runtime;
use ramus::time::{Duration, Instant, interval, interval_at, sleep, sleep_until, timeout, timeout_at};
use std::cell::Cell;
use std::future::{pending, poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

const HOUR: Duration = Duration::from_secs(3600);

fn runtime() -> Runtime {
    Runtime::new().expect("a runtime is built")
}

#[test]
fn a_sleep_is_never_early() {
    runtime().block_on(async {
        for micros in [0, 1, 130, 131, 132, 900, 1000, 5000] {
            let wanted = Duration::from_micros(micros);
            let start = Instant::now();
            sleep(wanted).await;
            assert!(start.elapsed() >= wanted);
        }
    });
}

#[test]
fn spawned_sleeps_are_never_early_and_all_end() {
    runtime().block_on(async {
        let naps: Vec<_> = (0..500u64)
            .map(|nap| {
                ramus::spawn(async move {
                    let deadline = Instant::now() + Duration::from_micros(nap * 40);
                    sleep_until(deadline).await;
                    Instant::now() >= deadline
                })
            })
            .collect();
        for nap in naps {
            assert!(nap.await.expect("a nap ends"));
        }
    });
}

#[test]
fn sleeps_are_made_anywhere_and_polled_in_a_runtime() {
    let nap = sleep(Duration::from_millis(1));
    let ticks = interval(Duration::from_millis(1));
    let limited = timeout(HOUR, ready(1));
    let outside = catch_unwind(AssertUnwindSafe(|| {
        let mut nap = sleep(HOUR);
        let _ = Pin::new(&mut nap).poll(&mut Context::from_waker(Waker::noop()));
    }));
    let message = *outside.expect_err("there is no runtime").downcast::<String>().expect("a message");
    assert!(message.contains("no ramus runtime on this thread"), "{message}");
    runtime().block_on(async {
        nap.await;
        let mut ticks = ticks;
        ticks.tick().await;
        assert_eq!(limited.await, Ok(1));
    });
}

#[test]
fn a_reset_sleep_wakes_at_its_new_deadline() {
    runtime().block_on(async {
        let mut nap = pin!(sleep(HOUR));
        poll_fn(|cx| {
            assert!(nap.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        let deadline = Instant::now() + Duration::from_millis(2);
        nap.as_mut().reset(deadline);
        assert_eq!(nap.deadline(), deadline);
        nap.as_mut().await;
        assert!(Instant::now() >= deadline);
        assert!(nap.is_elapsed());
    });
}

#[test]
fn d13_d14_a_value_wins_over_the_deadline() {
    runtime().block_on(async {
        let past = Instant::now() - Duration::from_secs(1);
        assert_eq!(timeout_at(past, ready(5)).await, Ok(5));
        assert_eq!(timeout(Duration::ZERO, ready(6)).await, Ok(6));
        assert!(timeout(Duration::ZERO, pending::<()>()).await.is_err());
        assert!(timeout_at(past, sleep(HOUR)).await.is_err());
        assert_eq!(timeout(Duration::MAX, ready(7)).await, Ok(7));
    });
}

// Fault F11: a future that uses up the budget in every poll does not outlive its deadline.
#[test]
fn a_greedy_future_is_timed_out() {
    runtime().block_on(async {
        let polls = Cell::new(0u64);
        let past = Instant::now();
        let greedy = async {
            loop {
                polls.set(polls.get() + 1);
                // Always ready, so only the budget ever makes it wait.
                sleep_until(past).await;
            }
        };
        let result: Result<(), _> = timeout(Duration::from_millis(5), greedy).await;
        assert!(result.is_err());
        assert!(polls.get() > 1);
    });
}

/// Sets its flag when it is dropped.
struct Flag(Arc<AtomicBool>);

impl Drop for Flag {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn an_expired_future_is_dropped_before_the_error_is_seen() {
    runtime().block_on(async {
        let dropped = Arc::new(AtomicBool::new(false));
        let flag = Flag(dropped.clone());
        let result = timeout(Duration::from_millis(1), async move {
            let _flag = flag;
            pending::<()>().await;
        })
        .await;
        assert!(result.is_err());
        assert!(dropped.load(Ordering::SeqCst));
    });
}

#[test]
fn d15_the_inner_of_two_timeouts_expires_first() {
    runtime().block_on(async {
        let inner = timeout(Duration::from_millis(1), pending::<()>());
        let outer = timeout(HOUR, inner).await;
        assert!(outer.expect("the outer one is far").is_err());
        let inner = timeout(HOUR, pending::<()>());
        assert!(timeout(Duration::from_millis(1), inner).await.is_err());
    });
}

#[test]
fn an_interval_keeps_its_phase() {
    runtime().block_on(async {
        let start = Instant::now() + Duration::from_millis(2);
        let period = Duration::from_millis(2);
        let mut ticks = interval_at(start, period);
        for tick in 0..5 {
            let due = ticks.tick().await;
            assert_eq!(due, start + period * tick);
            assert!(Instant::now() >= due);
        }
    });
}

/// A time-out over a scope with a parked and a shielded child: (the shield was entered, it ran to its end).
async fn expire_over_a_shield() -> (bool, bool) {
    let new = || Arc::new(AtomicBool::new(false));
    let (dropped, entered, finished) = (new(), new(), new());
    let (flag, begin, end) = (Flag(dropped.clone()), entered.clone(), finished.clone());
    let body = ramus::scope(|scope: ramus::Scope| async move {
        let _parked = scope.spawn(async move {
            let _flag = flag;
            pending::<()>().await;
        });
        let _shielded = scope.spawn(ramus::shield(HOUR, async move {
            begin.store(true, Ordering::SeqCst);
            sleep(Duration::from_millis(20)).await;
            end.store(true, Ordering::SeqCst);
        }));
        pending::<()>().await;
        Ok(())
    });
    assert!(timeout(Duration::from_millis(2), body).await.is_err());
    assert!(dropped.load(Ordering::SeqCst), "a child outlived the time-out");
    (entered.load(Ordering::SeqCst), finished.load(Ordering::SeqCst))
}

#[test]
fn spot5_an_expired_scope_drains_before_the_error_is_seen() {
    runtime().block_on(async {
        // On a busy machine the time may be up before the shield begins; then it never does.
        loop {
            let (entered, finished) = expire_over_a_shield().await;
            assert_eq!(finished, entered, "a shield that has begun runs to its end");
            if entered {
                break;
            }
        }
    });
}
