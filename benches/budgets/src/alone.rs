//! Scenarios of one worker: the scenario's own task and what it spawns run on that worker, and the thread that started it
//! waits.

use std::convert::Infallible;
use std::future::{pending, poll_fn, ready};
use std::pin::pin;
use std::sync::Mutex;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use ramus::net::UnixStream;
use ramus::{Runtime, Scope};

use crate::scenario::ROUND;

/// Longer than any measurement.
const LONG: Duration = Duration::from_secs(600);

/// Long enough for 64 tasks to fall asleep on a slow machine, so that all wake at the same time.
const TOGETHER: Duration = Duration::from_millis(50);

/// Runs `body` as a task on the worker.
fn on_worker(runtime: &Runtime, body: impl Future<Output = ()> + Send + 'static) {
    runtime.block_on(runtime.spawn(body)).expect("no scenario fails");
}

/// Runs `body` in a scope, as a task on the worker.
fn in_scope<F: Future<Output = Result<(), Infallible>> + Send + 'static>(
    runtime: &Runtime,
    body: impl FnOnce(Scope<Infallible>) -> F + Send + 'static,
) {
    on_worker(runtime, async { ramus::scope(body).await.expect("no scenario fails") });
}

/// A child of a scope that ends at its first poll; nobody waits for its result. With 1/64 of a yield.
pub(crate) fn spawn(runtime: &Runtime, rounds: usize) {
    in_scope(runtime, move |scope| async move {
        for _ in 0..rounds {
            for _ in 0..ROUND {
                drop(scope.spawn(async {}));
            }
            ramus::yield_now().await;
        }
        Ok(())
    });
}

/// A child of a scope, and a wait for its result.
pub(crate) fn spawn_join(runtime: &Runtime, rounds: usize) {
    in_scope(runtime, move |scope| async move {
        for i in 0..rounds * ROUND {
            assert_eq!(scope.spawn(async move { i }).await.ok(), Some(i));
        }
        Ok(())
    });
}

/// A child of a scope that ends in its first poll, before the spawn returns. With 1/64 of a yield.
pub(crate) fn spawn_eager(runtime: &Runtime, rounds: usize) {
    in_scope(runtime, move |scope| async move {
        for _ in 0..rounds {
            for _ in 0..ROUND {
                drop(scope.spawn_eager(async {}));
            }
            ramus::yield_now().await;
        }
        Ok(())
    });
}

/// A task gives way, alone.
pub(crate) fn yield_now(runtime: &Runtime, rounds: usize) {
    on_worker(runtime, async move {
        for _ in 0..rounds * ROUND {
            ramus::yield_now().await;
        }
    });
}

/// A parked task is woken, polled, and parks again. With 1/64 of a yield.
pub(crate) fn wake(runtime: &Runtime, rounds: usize) {
    static PARKED: Mutex<Vec<Waker>> = Mutex::new(Vec::new());
    in_scope(runtime, move |scope| async move {
        for _ in 0..ROUND {
            let mut polls = 0;
            drop(scope.spawn(poll_fn(move |cx| {
                if polls == 0 {
                    PARKED.lock().expect("no scenario panics").push(cx.waker().clone());
                }
                polls += 1;
                if polls > rounds { Poll::Ready(()) } else { Poll::Pending }
            })));
        }
        ramus::yield_now().await;
        let parked = std::mem::take(&mut *PARKED.lock().expect("no scenario panics"));
        for _ in 0..rounds {
            for waker in &parked {
                waker.wake_by_ref();
            }
            ramus::yield_now().await;
        }
        Ok(())
    });
}

/// A sleep is registered and dropped. With 1/64 of a yield.
pub(crate) fn timer(runtime: &Runtime, rounds: usize) {
    on_worker(runtime, async move {
        for _ in 0..rounds {
            for _ in 0..ROUND {
                let mut sleep = pin!(ramus::sleep(LONG));
                poll_fn(|cx| {
                    assert!(sleep.as_mut().poll(cx).is_pending(), "the budget of a poll holds a round");
                    Poll::Ready(())
                })
                .await;
            }
            ramus::yield_now().await;
        }
    });
}

/// A task is spawned, sleeps, and is woken by its timer together with 63 others. With 1/64 of a scope and of a park.
pub(crate) fn timer_fire(runtime: &Runtime, rounds: usize) {
    on_worker(runtime, async move {
        for _ in 0..rounds {
            let deadline = Instant::now() + TOGETHER;
            let slept = ramus::scope(|scope: Scope<Infallible>| async move {
                for _ in 0..ROUND {
                    drop(scope.spawn(ramus::sleep_until(deadline)));
                }
                Ok(())
            });
            slept.await.expect("no scenario fails");
        }
    });
}

/// A time-out around a future that is ready at once. With 1/64 of a yield.
pub(crate) fn timeout_ready(runtime: &Runtime, rounds: usize) {
    on_worker(runtime, async move {
        for _ in 0..rounds {
            for _ in 0..ROUND {
                ramus::timeout(LONG, ready(())).await.expect("it was ready");
            }
            ramus::yield_now().await;
        }
    });
}

/// A time-out around a yield.
pub(crate) fn timeout_pending(runtime: &Runtime, rounds: usize) {
    on_worker(runtime, async move {
        for _ in 0..rounds * ROUND {
            ramus::timeout(LONG, ramus::yield_now()).await.expect("it yielded in time");
        }
    });
}

/// A byte from one task to another through a socket: a write, a wait for readiness, the event, a read.
pub(crate) fn io_event(runtime: &Runtime, rounds: usize) {
    in_scope(runtime, move |scope| async move {
        let (mut here, mut there) = UnixStream::pair().expect("the system has a pair of sockets");
        // Two bytes a trip, there and back.
        let trips = rounds * ROUND / 2;
        drop(scope.spawn(async move {
            let mut byte = [0];
            for _ in 0..trips {
                there.read_exact(&mut byte).await.expect("the other end is open");
                there.write_all(&byte).await.expect("the other end is open");
            }
        }));
        let mut byte = [0];
        for _ in 0..trips {
            here.write_all(&byte).await.expect("the other end is open");
            here.read_exact(&mut byte).await.expect("the other end is open");
        }
        Ok(())
    });
}

/// An empty scope is opened and closed. With 1/64 of a yield.
pub(crate) fn scope_empty(runtime: &Runtime, rounds: usize) {
    on_worker(runtime, async move {
        for _ in 0..rounds {
            for _ in 0..ROUND {
                let ended = ramus::scope(|_: Scope<Infallible>| async { Ok(()) }).await;
                ended.expect("no scenario fails");
            }
            ramus::yield_now().await;
        }
    });
}

/// A scope with eight children that end at their first poll.
pub(crate) fn scope_of_8(runtime: &Runtime, rounds: usize) {
    on_worker(runtime, async move {
        for _ in 0..rounds * ROUND {
            let ended = ramus::scope(|scope: Scope<Infallible>| async move {
                for _ in 0..8 {
                    drop(scope.spawn(async {}));
                }
                Ok(())
            });
            ended.await.expect("no scenario fails");
        }
    });
}

/// A scope with a deadline in which one yield is made, as a request has it.
pub(crate) fn scope_deadline(runtime: &Runtime, rounds: usize) {
    on_worker(runtime, async move {
        let deadline = Instant::now() + LONG;
        for _ in 0..rounds * ROUND {
            let ended = Scope::builder().deadline(deadline).open(|_: Scope<Infallible>| async {
                ramus::yield_now().await;
                Ok(())
            });
            ended.await.expect("no scenario fails");
        }
    });
}

/// A task is spawned, parks, is cancelled with 63 others, and is dropped. With 1/64 of a scope and of a yield.
pub(crate) fn cancel(runtime: &Runtime, rounds: usize) {
    on_worker(runtime, async move {
        for _ in 0..rounds {
            let cancelled = ramus::scope(|scope: Scope<Infallible>| async move {
                for _ in 0..ROUND {
                    drop(scope.spawn(pending::<()>()));
                }
                ramus::yield_now().await;
                scope.cancel("enough");
                Ok(())
            });
            cancelled.await.expect_err("it was cancelled");
        }
    });
}
