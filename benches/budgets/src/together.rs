//! Scenarios in which two threads meet.

use std::convert::Infallible;
use std::future::poll_fn;
use std::hint::spin_loop;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

use ramus::{Runtime, Scope};

use crate::scenario::ROUND;

/// A worker without work sleeps after this. Asking it would be counted.
const FALLS_ASLEEP: Duration = Duration::from_millis(1);

/// Two threads take turns: each waits for its number.
#[derive(Default)]
struct Turns(AtomicUsize);

impl Turns {
    fn wait_for(&self, turn: usize) {
        while self.0.load(SeqCst) < turn {
            spin_loop();
        }
    }

    fn pass(&self) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// What the outside thread and the worker share in [`with_busy_worker`].
#[derive(Default)]
struct Meeting {
    turns: Turns,
    /// Tasks that have still to be polled in this round.
    left: AtomicUsize,
    /// The task that keeps the worker busy.
    host: Mutex<Option<Waker>>,
}

impl Meeting {
    /// A task of this round was polled; the last one wakes the task that keeps the worker busy.
    fn polled(&self) {
        if self.left.fetch_sub(1, SeqCst) == 1 {
            if let Some(host) = self.host.lock().expect("no scenario panics").take() {
                host.wake();
            }
        }
    }
}

/// In each round a task keeps the worker from looking around while `outside` makes [`ROUND`] tasks runnable on this thread;
/// then the worker polls all of them, and the next round begins.
fn with_busy_worker(runtime: &Runtime, rounds: usize, outside: impl Fn(&Arc<Meeting>)) {
    let meeting = Arc::new(Meeting::default());
    let shared = Arc::clone(&meeting);
    let host = runtime.spawn(async move {
        for round in 0..rounds {
            shared.left.store(ROUND, SeqCst);
            shared.turns.pass();
            shared.turns.wait_for(2 * round + 2);
            // Nothing can run between the store of the waker and the return: there is one worker.
            poll_fn(|cx| {
                if shared.left.load(SeqCst) == 0 {
                    return Poll::Ready(());
                }
                *shared.host.lock().expect("no scenario panics") = Some(cx.waker().clone());
                Poll::Pending
            })
            .await;
        }
    });
    for round in 0..rounds {
        meeting.turns.wait_for(2 * round + 1);
        outside(&meeting);
        meeting.turns.pass();
    }
    runtime.block_on(host).expect("no scenario fails");
}

/// Tasks that park, say when they were polled, and end with their scope. Returns their wakers and the scope's end.
fn parked_tasks(runtime: &Runtime, tasks: usize, polled: impl Fn() + Clone + Send + 'static) -> (Vec<Waker>, Stop) {
    let wakers = Arc::new(Mutex::new(Vec::new()));
    let (sent, scope) = std::sync::mpsc::channel();
    let sink = Arc::clone(&wakers);
    let end = runtime.spawn(async move {
        let cancelled = ramus::scope(|scope: Scope<Infallible>| async move {
            for _ in 0..tasks {
                let polled = polled.clone();
                let sink = Arc::clone(&sink);
                let mut is_new = true;
                drop(scope.spawn(poll_fn(move |cx| {
                    if is_new {
                        is_new = false;
                        sink.lock().expect("no scenario panics").push(cx.waker().clone());
                    } else {
                        polled();
                    }
                    Poll::<()>::Pending
                })));
            }
            sent.send(ramus::ScopeHandle::clone(&scope)).expect("the scenario waits for it");
            Ok(())
        });
        cancelled.await.expect_err("it is cancelled when the scenario ends");
    });
    let scope = scope.recv().expect("the scope opens");
    loop {
        let mut wakers = wakers.lock().expect("no scenario panics");
        if wakers.len() == tasks {
            return (std::mem::take(&mut *wakers), Stop { scope, end });
        }
        drop(wakers);
        thread::yield_now();
    }
}

/// Ends the tasks of [`parked_tasks`].
struct Stop {
    scope: ramus::ScopeHandle,
    end: ramus::JoinHandle<()>,
}

impl Stop {
    fn stop(self, runtime: &Runtime) {
        self.scope.cancel("enough");
        runtime.block_on(self.end).expect("no scenario fails");
    }
}

/// A parked task is woken by a thread outside while the worker is busy, is polled, and parks again.
pub(crate) fn wake_outside(runtime: &Runtime, rounds: usize) {
    static MEETING: Mutex<Option<Arc<Meeting>>> = Mutex::new(None);
    let polled = || {
        let meeting = MEETING.lock().expect("no scenario panics").clone();
        meeting.expect("woken in a round").polled();
    };
    let (wakers, tasks) = parked_tasks(runtime, ROUND, polled);
    with_busy_worker(runtime, rounds, |meeting| {
        *MEETING.lock().expect("no scenario panics") = Some(Arc::clone(meeting));
        wakers.iter().for_each(Waker::wake_by_ref);
    });
    tasks.stop(runtime);
}

/// A thread outside spawns a task while the worker is busy.
pub(crate) fn spawn_outside(runtime: &Runtime, rounds: usize) {
    let handle = runtime.handle();
    with_busy_worker(runtime, rounds, |meeting| {
        for _ in 0..ROUND {
            let meeting = Arc::clone(meeting);
            drop(handle.spawn(async move { meeting.polled() }));
        }
    });
}

/// The only worker sleeps, a thread outside wakes a task, the worker polls it and sleeps again.
pub(crate) fn wake_parked(runtime: &Runtime, rounds: usize) {
    let polls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&polls);
    let polled = move || {
        counted.fetch_add(1, SeqCst);
    };
    let (wakers, tasks) = parked_tasks(runtime, 1, polled);
    for wake in 1..=rounds * ROUND {
        thread::sleep(FALLS_ASLEEP);
        wakers[0].wake_by_ref();
        while polls.load(SeqCst) < wake {
            spin_loop();
        }
    }
    tasks.stop(runtime);
}

/// A child runs on a worker other than the one that spawned it, which is stuck in a poll meanwhile.
pub(crate) fn steal(runtime: &Runtime, rounds: usize) {
    let stuck = runtime.spawn(async move {
        for _ in 0..rounds {
            let ended = ramus::scope(|scope: Scope<Infallible>| async move {
                let left = Arc::new(AtomicUsize::new(ROUND));
                for _ in 0..ROUND {
                    let left = Arc::clone(&left);
                    drop(scope.spawn(async move {
                        left.fetch_sub(1, SeqCst);
                    }));
                }
                while left.load(SeqCst) != 0 {
                    thread::yield_now();
                }
                Ok(())
            });
            ended.await.expect("no scenario fails");
        }
    });
    runtime.block_on(stuck).expect("no scenario fails");
}
