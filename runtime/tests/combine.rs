//! `wait`, `as_completed`, and the combinators of futures on the runtime.

mod common;

use std::future::{pending, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use common::{runtime, watchdog};
use futures_util::future::join;
use futures_util::stream::{Stream, StreamExt};
use ramus::sync::Event;
use ramus::time::sleep_until;
use ramus::{
    BoxError, JoinHandle, Scope, When, as_completed, join_all, race, scope, shield, sleep, timeout, try_join_all, wait,
    yield_now,
};

const HOUR: Duration = Duration::from_secs(3600);
const NO_LIMIT: Option<Duration> = None;

/// A task that ends when its event is set.
struct Gate {
    open: Arc<Event>,
    task: JoinHandle<usize>,
}

fn gates(s: &Scope, n: usize) -> (Vec<Arc<Event>>, Vec<JoinHandle<usize>>) {
    let gates = (0..n).map(|value| {
        let open = Arc::new(Event::new());
        let opened = Arc::clone(&open);
        let task = s.spawn(async move {
            opened.wait().await;
            value
        });
        Gate { open, task }
    });
    gates.map(|Gate { open, task }| (open, task)).unzip()
}

/// Sets the event of a task and waits until the task has finished.
async fn finish(open: &Event, mut is_finished: impl FnMut() -> bool) {
    open.set();
    while !is_finished() {
        yield_now().await;
    }
}

async fn values(done: Vec<JoinHandle<usize>>) -> Vec<usize> {
    join_all(done).await.into_iter().map(Result::unwrap).collect()
}

fn in_scope<F, Fut>(workers: usize, body: F)
where
    F: FnOnce(Scope) -> Fut,
    Fut: Future<Output = Result<(), BoxError>> + Send,
{
    let _dog = watchdog();
    let runtime = runtime(workers);
    runtime.block_on(scope(body)).unwrap();
}

#[test]
fn d38_wait_takes_the_finished_ones_and_leaves_the_rest_in_the_list() {
    in_scope(2, |s: Scope| async move {
        let (open, mut tasks) = gates(&s, 5);
        for first in [3, 1] {
            let cancellers: Vec<_> = tasks.iter().map(JoinHandle::cancel_handle).collect();
            let (done, ()) = join(wait(&mut tasks, When::FirstCompleted, NO_LIMIT), async { open[first].set() }).await;
            assert!(cancellers.iter().all(|task| !task.is_cancelled()));
            assert_eq!(values(done).await, [first]);
        }
        let left: Vec<_> = tasks.iter().map(JoinHandle::id).collect();
        assert_eq!(left.len(), 3);
        let nothing = wait(&mut tasks, When::FirstCompleted, Some(Duration::from_millis(2))).await;
        assert!(nothing.is_empty(), "a limit that passes is not an error");
        assert_eq!(tasks.iter().map(JoinHandle::id).collect::<Vec<_>>(), left, "in their order");
        for gate in open {
            gate.set();
        }
        assert_eq!(values(wait(&mut tasks, When::All, Some(HOUR)).await).await.len(), 3);
        assert!(tasks.is_empty());
        Ok(())
    });
}

#[test]
fn wait_answers_in_the_order_of_completion() {
    in_scope(2, |s: Scope| async move {
        let (open, mut tasks) = gates(&s, 6);
        // Two that have finished before come first, in the order of the list.
        finish(&open[4], || tasks[4].is_finished()).await;
        finish(&open[2], || tasks[2].is_finished()).await;
        let cancellers: Vec<_> = tasks.iter().map(JoinHandle::cancel_handle).collect();
        let order = async {
            yield_now().await;
            for next in [5, 0, 3, 1] {
                finish(&open[next], || cancellers[next].is_finished()).await;
            }
        };
        let (done, ()) = join(wait(&mut tasks, When::All, NO_LIMIT), order).await;
        assert_eq!(values(done).await, [2, 4, 5, 0, 3, 1]);
        Ok(())
    });
}

#[test]
fn wait_looks_once_with_a_limit_of_zero_and_answers_an_empty_list_at_once() {
    in_scope(1, |s: Scope| async move {
        let mut nobody: Vec<JoinHandle<()>> = Vec::new();
        for when in [When::All, When::FirstCompleted, When::FirstError] {
            assert!(wait(&mut nobody, when, NO_LIMIT).await.is_empty());
        }
        let (open, mut tasks) = gates(&s, 3);
        finish(&open[1], || tasks[1].is_finished()).await;
        let done = wait(&mut tasks, When::All, Some(Duration::ZERO)).await;
        assert_eq!(values(done).await, [1]);
        assert_eq!(tasks.len(), 2);
        open.iter().for_each(|gate| gate.set());
        Ok(())
    });
}

type End = fn(&Scope<String>) -> JoinHandle<usize>;

#[test]
fn the_first_error_is_a_panic_a_cancel_or_a_failure() {
    let _dog = watchdog();
    std::panic::set_hook(Box::new(|_| {}));
    runtime(2)
        .block_on(Scope::builder().isolate().open(|s: Scope<String>| async move {
            let ends: [End; 3] = [
                |s| s.spawn(async { panic!("on purpose") }),
                |s| {
                    let handle = s.spawn(pending());
                    handle.cancel("on purpose");
                    handle
                },
                |s| s.spawn_try(async { Err("on purpose".to_owned()) }),
            ];
            for end in ends {
                let fine = s.spawn(async { 1 });
                while !fine.is_finished() {
                    yield_now().await;
                }
                let slow = s.spawn(pending());
                let mut tasks = vec![slow, fine, end(&s)];
                let mut done = wait(&mut tasks, When::FirstError, NO_LIMIT).await;
                assert_eq!((done.len(), tasks.len()), (2, 1));
                assert_eq!(done.remove(0).await.unwrap(), 1);
                assert!(done.remove(0).await.is_err());
                tasks[0].cancel("the end");
            }
            // Nobody fails: all of them. An `Err` that is a value is no failure.
            let mut tasks: Vec<_> =
                (0..10).map(|i| s.spawn(async move { if i == 3 { Err(i) } else { Ok(i) } })).collect();
            assert_eq!(wait(&mut tasks, When::FirstError, NO_LIMIT).await.len(), 10);
            Ok(())
        }))
        .unwrap_err();
    let _ = std::panic::take_hook();
}

#[test]
fn d40_wait_dropped_at_any_suspension_leaves_all_handles_and_results() {
    in_scope(2, |s: Scope| async move {
        for polls in 0..4 {
            let (open, mut tasks) = gates(&s, 3);
            {
                let cancellers: Vec<_> = tasks.iter().map(JoinHandle::cancel_handle).collect();
                let mut waiting = pin!(wait(&mut tasks, When::All, Some(HOUR)));
                for opened in 0..polls {
                    poll_fn(|cx| {
                        assert!(waiting.as_mut().poll(cx).is_pending());
                        Poll::Ready(())
                    })
                    .await;
                    finish(&open[opened], || cancellers[opened].is_finished()).await;
                }
            }
            assert_eq!(tasks.len(), 3);
            for gate in &open {
                gate.set();
            }
            let all = wait(&mut tasks, When::All, NO_LIMIT).await;
            let mut all = values(all).await;
            all.sort_unstable();
            assert_eq!(all, [0, 1, 2], "no result was lost");
        }
        Ok(())
    });
}

#[test]
fn d38_d40_a_cancelled_wait_cancels_no_task() {
    in_scope(2, |s: Scope| async move {
        let (open, mut tasks) = gates(&s, 3);
        let cancellers: Vec<_> = tasks.iter().map(JoinHandle::cancel_handle).collect();
        let waiting = s.spawn(async move { wait(&mut tasks, When::All, Some(HOUR)).await.len() });
        let (more_open, more) = gates(&s, 3);
        let more_cancellers: Vec<_> = more.iter().map(JoinHandle::cancel_handle).collect();
        let joining = s.spawn(async move {
            let mut results = as_completed(more);
            while results.next().await.is_some() {}
        });
        yield_now().await;
        assert!(waiting.cancel("alone") && joining.cancel("alone"));
        assert!(waiting.await.unwrap_err().is_cancelled());
        assert!(joining.await.unwrap_err().is_cancelled());
        let all = || cancellers.iter().chain(&more_cancellers);
        assert!(all().all(|task| !task.is_cancelled() && !task.is_finished()));
        open.iter().chain(&more_open).for_each(|gate| gate.set());
        while !all().all(|task| task.is_finished()) {
            yield_now().await;
        }
        Ok(())
    });
}

#[test]
fn d38_a_cancel_of_a_joined_task_is_a_value() {
    in_scope(2, |s: Scope| async move {
        let (open, tasks) = gates(&s, 3);
        tasks[1].cancel("alone");
        open[0].set();
        open[2].set();
        let results = join_all(tasks).await;
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 2);
        assert!(results[1].as_ref().unwrap_err().is_cancelled());
        Ok(())
    });
}

#[test]
fn d38_d47_try_join_all_of_handles_leaves_the_tasks_in_their_scope() {
    in_scope(2, |s: Scope| async move {
        let (open, tasks) = gates(&s, 3);
        let cancellers: Vec<_> = tasks.iter().map(JoinHandle::cancel_handle).collect();
        tasks[1].cancel("alone");
        assert!(try_join_all(tasks).await.unwrap_err().is_cancelled());
        assert!(!cancellers[0].is_cancelled() && !cancellers[2].is_cancelled());
        open.iter().for_each(|gate| gate.set());
        Ok(())
    });
}

#[test]
fn as_completed_answers_in_the_order_of_completion() {
    in_scope(2, |s: Scope| async move {
        let (open, tasks) = gates(&s, 4);
        let cancellers: Vec<_> = tasks.iter().map(JoinHandle::cancel_handle).collect();
        let mut results = as_completed(tasks);
        assert!(timeout(Duration::from_millis(1), results.next()).await.is_err(), "and it goes on after a time-out");
        for next in [2, 0, 3] {
            let opening = finish(&open[next], || cancellers[next].is_finished());
            let (result, ()) = join(results.next(), opening).await;
            assert_eq!(result.unwrap().unwrap(), next);
        }
        assert_eq!((results.len(), results.size_hint()), (1, (1, Some(1))));
        open[1].set();
        assert_eq!(StreamExt::next(&mut results).await.unwrap().unwrap(), 1);
        assert!(results.next().await.is_none() && results.is_empty());
        Ok(())
    });
}

#[test]
fn d40_as_completed_dropped_half_way_leaves_the_tasks() {
    in_scope(2, |s: Scope| async move {
        let (open, tasks) = gates(&s, 3);
        let mut results = as_completed(tasks);
        open[0].set();
        assert_eq!(results.next().await.unwrap().unwrap(), 0);
        assert!(timeout(Duration::from_millis(1), results.next()).await.is_err());
        let handles = results.into_handles();
        assert!(handles.len() == 2 && handles.iter().all(|task| !task.is_cancelled() && !task.is_finished()));
        open[1].set();
        let mut rest = as_completed(handles);
        assert_eq!(rest.next().await.unwrap().unwrap(), 1);
        drop(rest);
        open[2].set();
        Ok(())
    });
}

/// What finishes while the frame around is cut is not lost to a later frame that is not.
#[test]
fn d40_rule3_spot1_results_that_come_in_a_cut_frame_are_there_later() {
    in_scope(2, |s: Scope| async move {
        let (open, tasks) = gates(&s, 2);
        let (late_open, mut late) = gates(&s, 2);
        let cancellers: Vec<_> = tasks.iter().chain(&late).map(JoinHandle::cancel_handle).collect();
        let mut results = as_completed(tasks);
        let mut waiting = pin!(wait(&mut late, When::All, Some(HOUR)));
        let (cut, opened) = (Event::new(), Event::new());
        let beside = async {
            let held = shield(HOUR, async {
                // After the time-out has expired: from here on the two others stand still.
                cut.wait().await;
                open.iter().chain(&late_open).for_each(|gate| gate.set());
                while !cancellers.iter().all(|task| task.is_finished()) {
                    yield_now().await;
                }
                opened.wait().await;
            });
            // The branches share a waker: each of them is polled whenever one is woken.
            let results = async { assert!(results.next().await.is_none(), "nothing is taken in a cut frame") };
            join(held, join(results, &mut waiting)).await;
        };
        let limited = timeout(Duration::from_millis(1), beside);
        let outside = async {
            sleep(Duration::from_millis(5)).await;
            cut.set();
            sleep(Duration::from_millis(5)).await;
            opened.set();
        };
        assert!(join(limited, outside).await.0.is_err());
        assert_eq!(waiting.await.len(), 2);
        let mut sum = 0;
        while let Some(result) = results.next().await {
            sum += result.unwrap();
        }
        assert_eq!(sum, 1);
        Ok(())
    });
}

/// Ten thousand futures that each take from the budget: the polls stay in proportion.
#[test]
fn many_budgeted_futures_are_polled_in_linear_time() {
    const N: usize = 10_000;
    in_scope(1, |s: Scope| async move {
        let (past, polls) = (Instant::now(), AtomicUsize::new(0));
        let all = (0..N).map(|_| {
            let mut nap = Box::pin(sleep_until(past));
            let polls = &polls;
            poll_fn(move |cx| {
                polls.fetch_add(1, Ordering::Relaxed);
                nap.as_mut().poll(cx)
            })
        });
        assert_eq!(join_all(all).await.len(), N);
        assert!(polls.load(Ordering::Relaxed) < 2 * N, "{polls:?} polls");
        let mut tasks: Vec<_> = (0..N).map(|i| s.spawn(async move { i })).collect();
        assert_eq!(wait(&mut tasks, When::All, NO_LIMIT).await.len(), N);
        Ok(())
    });
}

#[test]
fn spot5_rule4_a_race_on_the_runtime_drains_its_losers() {
    in_scope(2, |s: Scope| async move {
        let ended = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&ended);
        let started = Arc::new(Event::new());
        let starting = Arc::clone(&started);
        let inside = scope(|inner: Scope| async move {
            drop(inner.spawn(shield(HOUR, async move {
                starting.set();
                sleep(Duration::from_millis(5)).await;
                ended.fetch_add(1, Ordering::SeqCst);
            })));
            pending::<()>().await;
            Ok(())
        });
        let winner = async {
            // One that was never polled would be dropped unpolled.
            started.wait().await;
            Ok(())
        };
        race((inside, winner)).await?;
        assert_eq!(seen.load(Ordering::SeqCst), 1);
        assert_eq!(s.live(), 0, "no child, no adopted scope");
        Ok(())
    });
}

/// The combinators of futures, cancelled and dropped at each of their suspensions: no task, timer or value is left.
#[test]
fn d40_futures_ended_at_any_suspension_leave_no_task() {
    in_scope(2, |s: Scope| async move {
        for which in 0..3 {
            for point in 0..12 {
                let alive = Arc::new(());
                let value = Arc::clone(&alive);
                let arm = move |naps: u64| {
                    let value = Arc::clone(&value);
                    async move {
                        let held = Arc::clone(&value);
                        let inner = scope(|inner: Scope| async move {
                            drop(inner.spawn(shield(HOUR, async move {
                                yield_now().await;
                                drop(held);
                            })));
                            yield_now().await;
                            Ok(())
                        });
                        inner.await.unwrap();
                        for _ in 0..naps {
                            yield_now().await;
                        }
                        drop(value);
                        Err::<(), ()>(())
                    }
                };
                let task = s.spawn(async move {
                    let work = async {
                        match which {
                            0 => drop(race((arm(1), arm(3))).await),
                            1 => drop(join_all([arm(1), arm(3)]).await),
                            _ => drop(try_join_all([arm(1), arm(3)]).await),
                        }
                    };
                    let mut work = pin!(work);
                    let mut polls = 0;
                    poll_fn(|cx| {
                        polls += 1;
                        if polls > point { Poll::Ready(()) } else { work.as_mut().poll(cx) }
                    })
                    .await;
                });
                if point % 2 == 1 {
                    for _ in 0..point {
                        yield_now().await;
                    }
                    task.cancel("somewhere");
                }
                let _ = task.await;
                // What was dropped half-way drains in the scope around.
                while s.live() > 0 {
                    yield_now().await;
                }
                assert_eq!(Arc::strong_count(&alive), 1, "{which}, {point}");
            }
        }
        Ok(())
    });
}

#[test]
fn a_wait_works_outside_of_a_runtime_without_a_limit() {
    let _dog = watchdog();
    let runtime = runtime(1);
    let mut tasks = vec![runtime.handle().spawn(async { 1 })];
    common::wait_until(|| tasks[0].is_finished());
    let polled = pin!(wait(&mut tasks, When::All, NO_LIMIT)).poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Ready(done) if done.len() == 1));
}
