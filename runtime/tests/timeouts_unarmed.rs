//! A time-out sets no alarm while its task is polled again anyway. Whatever becomes of that poll, it fires.
//!
//! What marks the task is a yield in the same poll. The tests run on workers, since only these leave the alarm out.
#![allow(missing_docs)]

mod common;

use std::future::{Future, pending, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use common::{runtime, watchdog};
use futures_util::future::{Either, join, select};
use futures_util::stream::{FuturesUnordered, StreamExt};
use ramus::time::Elapsed;
use ramus::{BoxError, Scope, scope, shield, sleep, timeout, timeout_at, yield_now};

const SHORT: Duration = Duration::from_millis(20);

type Limited = Pin<Box<dyn Future<Output = Result<(), Elapsed>> + Send>>;

fn limited() -> Limited {
    Box::pin(timeout(SHORT, pending()))
}

/// Polls `future` once.
async fn once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    poll_fn(|cx| match Pin::new(&mut *future).poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// Marks the task, and drops the yield that did it.
fn mark(cx: &mut Context<'_>) {
    assert!(pin!(yield_now()).poll(cx).is_pending());
}

/// `future`, polled once by itself in a poll that is marked.
async fn begun(mut future: Limited) -> Limited {
    let mut first = true;
    poll_fn(|cx| {
        if std::mem::take(&mut first) {
            mark(cx);
            assert!(future.as_mut().poll(cx).is_pending());
            return Poll::Pending;
        }
        Poll::Ready(())
    })
    .await;
    future
}

/// Runs each on one worker and on two, in a task of its own.
fn on_workers<F>(test: impl Fn() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let _dog = watchdog();
    for workers in [1, 2] {
        let runtime = runtime(workers);
        runtime.block_on(runtime.spawn(test())).unwrap();
    }
}

#[test]
fn d16_a_timeout_beside_a_yield_fires() {
    on_workers(|| async {
        // In either order, and with the yield gone for good after the first poll.
        let (_, late) = join(yield_now(), limited()).await;
        late.unwrap_err();
        let (late, ()) = join(limited(), yield_now()).await;
        late.unwrap_err();
    });
}

#[test]
fn d16_a_timeout_fires_after_a_yield_inside_and_around_it() {
    on_workers(|| async {
        let inside = timeout(SHORT, async {
            yield_now().await;
            pending::<()>().await;
        });
        inside.await.unwrap_err();
        let mut first = true;
        let mut late = pin!(limited());
        poll_fn(|cx| {
            if std::mem::take(&mut first) {
                mark(cx);
            }
            late.as_mut().poll(cx)
        })
        .await
        .unwrap_err();
    });
}

#[test]
fn d16_a_timeout_fires_where_the_branch_that_yielded_is_dropped() {
    on_workers(|| async {
        for _ in 0..20 {
            let late = match select(pin!(yield_now()), limited()).await {
                Either::Left(((), late)) => late,
                Either::Right(_) => panic!("it has waited for nothing"),
            };
            late.await.unwrap_err();
        }
    });
}

#[test]
fn d16_a_timeout_that_rests_unpolled_is_up_when_it_is_polled() {
    on_workers(|| async {
        let mut late = begun(limited()).await;
        sleep(SHORT * 2).await;
        assert!(matches!(once(&mut late).await, Some(Err(_))), "it is up, and says so in the first poll");
        // Polled before that, it fires by itself.
        let late = begun(limited()).await;
        sleep(SHORT / 10).await;
        late.await.unwrap_err();
    });
}

#[test]
fn d16_a_timeout_fires_in_the_task_that_it_was_moved_to() {
    on_workers(|| async {
        for _ in 0..20 {
            let late = begun(limited()).await;
            ramus::spawn(late).await.unwrap().unwrap_err();
        }
        // Moved out of the very poll that was marked.
        let mut moved = None;
        let mut first = true;
        poll_fn(|cx| {
            if std::mem::take(&mut first) {
                mark(cx);
                let mut late = limited();
                assert!(late.as_mut().poll(cx).is_pending());
                moved = Some(ramus::spawn(late));
                return Poll::Pending;
            }
            Poll::Ready(())
        })
        .await;
        moved.unwrap().await.unwrap().unwrap_err();
    });
}

#[test]
fn d16_a_timeout_that_other_wakers_poll_fires() {
    on_workers(|| async {
        // The task is marked, but it is not the task's own waker that is polled with.
        let mut late: FuturesUnordered<Limited> = (0..4).map(|_| limited()).collect();
        let mut first = true;
        let mut fired = 0;
        poll_fn(|cx| {
            if std::mem::take(&mut first) {
                mark(cx);
            }
            while let Poll::Ready(Some(answer)) = late.poll_next_unpin(cx) {
                answer.unwrap_err();
                fired += 1;
            }
            if fired == 4 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        // And the other way round: yields and time-outs inside, each with the waker of its own.
        let mut mixed: FuturesUnordered<_> = (0..8)
            .map(|number| async move {
                if number % 2 == 0 {
                    yield_now().await;
                }
                limited().await
            })
            .collect();
        while let Some(answer) = mixed.next().await {
            answer.unwrap_err();
        }
    });
}

#[test]
fn d16_a_timeout_begun_without_a_waker_fires() {
    on_workers(|| async {
        let mut late = limited();
        poll_fn(|cx| {
            mark(cx);
            assert!(late.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            assert!(late.as_mut().poll(cx).is_pending());
            assert!(late.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            Poll::Ready(())
        })
        .await;
        late.await.unwrap_err();
    });
}

#[test]
fn d15_nested_timeouts_fire_each_at_its_own_time() {
    on_workers(|| async {
        let inner = timeout(Duration::from_secs(60), async {
            join(yield_now(), timeout(SHORT, join(yield_now(), pending::<()>()))).await.1
        });
        let answer = timeout(Duration::from_secs(30), inner).await;
        assert!(matches!(answer, Ok(Ok(Err(_)))), "the innermost alone is up");
        let outer = timeout(SHORT, async {
            yield_now().await;
            timeout(Duration::from_secs(60), join(yield_now(), pending::<()>())).await
        });
        outer.await.unwrap_err();
    });
}

#[test]
fn d16_d46_a_timeout_around_a_loop_that_never_rests_fires_on_time() {
    on_workers(|| async {
        let begun = Instant::now();
        let spins = timeout(SHORT, async {
            loop {
                yield_now().await;
            }
        });
        let error: Result<(), Elapsed> = spins.await;
        error.unwrap_err();
        // Its budget is used up in each poll, and nothing else marks the task.
        let at = Instant::now() + SHORT;
        let busy = timeout_at(at, async {
            loop {
                ramus::time::timeout(Duration::ZERO, async {}).await.unwrap();
                sleep(Duration::ZERO).await;
            }
        });
        let error: Result<(), Elapsed> = busy.await;
        error.unwrap_err();
        assert!(begun.elapsed() >= SHORT * 2, "nothing fires early");
    });
}

#[test]
fn d16_spot5_a_timeout_beside_a_yield_lets_what_is_open_drain() {
    on_workers(|| async {
        let open = scope(|s: Scope<BoxError>| async move {
            drop(s.spawn(pending::<()>()));
            drop(s.spawn(shield(Duration::from_secs(60), sleep(SHORT))));
            yield_now().await;
            pending::<()>().await;
        });
        let open: Pin<Box<dyn Future<Output = _> + Send>> = Box::pin(open);
        let limited = timeout(SHORT, join(open, yield_now()));
        assert!(limited.await.is_err());
    });
}

#[test]
fn d16_timeouts_of_many_tasks_that_are_stolen_between_polls_fire() {
    let _dog = watchdog();
    let runtime = runtime(4);
    let tasks: Vec<_> = (0..2_000)
        .map(|number| {
            runtime.spawn(async move {
                let yields = number % 5;
                let late = timeout(SHORT, async {
                    for _ in 0..yields {
                        yield_now().await;
                    }
                    pending::<()>().await;
                });
                join(yield_now(), late).await.1
            })
        })
        .collect();
    runtime.block_on(async {
        for task in tasks {
            task.await.unwrap().unwrap_err();
        }
    });
}
