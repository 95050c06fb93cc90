//! Handles, runnables and what a task tells, case by case.

use std::future::{Future, pending};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use ramus_scope::JoinError;

use super::super::cell::{Header, Ticket};
use super::super::contain;
use super::super::{Id, JoinHandle, Polled, Ran, Schedule, State, TaskInfo, inspect};
use super::matrix::{Act, Bomb, Phase, Trial};
use super::{bench, poll_once};
use crate::sync::Mutex;

/// A waker that counts, and may panic.
#[derive(Default)]
struct Alarm {
    wakes: AtomicUsize,
    panics_in_wake: AtomicBool,
    panics_in_drop: AtomicBool,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wakes.fetch_add(1, SeqCst);
        assert!(!self.panics_in_wake.load(SeqCst), "the joiner's waker");
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        assert!(!self.panics_in_drop.load(SeqCst), "the waker's destructor");
    }
}

fn poll_with<T>(handle: &mut JoinHandle<T>, alarm: &Arc<Alarm>) -> Poll<Result<T, JoinError>> {
    Pin::new(handle).poll(&mut Context::from_waker(&Waker::from(Arc::clone(alarm))))
}

#[test]
fn the_last_waker_is_kept_and_woken_once() {
    let (queue, root) = bench();
    let polled = Polled::new();
    let mut handle = root.handle().spawn(async { 5 });
    let (first, second) = (Arc::new(Alarm::default()), Arc::new(Alarm::default()));
    assert!(poll_with(&mut handle, &first).is_pending());
    assert!(poll_with(&mut handle, &first).is_pending());
    assert_eq!(Arc::strong_count(&first), 2, "the same waker is kept once");
    assert!(poll_with(&mut handle, &second).is_pending());
    assert_eq!(Arc::strong_count(&first), 1, "the replaced waker is dropped at once");
    queue.drain(&polled);
    assert_eq!((first.wakes.load(SeqCst), second.wakes.load(SeqCst)), (0, 1));
    assert_eq!(Arc::strong_count(&second), 1, "the joiner's waker is gone with the completion");
    assert!(matches!(poll_with(&mut handle, &second), Poll::Ready(Ok(5))));
}

#[test]
fn a_dropped_handle_drops_its_waker_at_once() {
    let (queue, root) = bench();
    let mut handle = root.handle().spawn(async { 5 });
    let alarm = Arc::new(Alarm::default());
    assert!(poll_with(&mut handle, &alarm).is_pending());
    drop(handle);
    assert_eq!(Arc::strong_count(&alarm), 1);
    assert_eq!(queue.drain(&Polled::new()), 1, "the task itself goes on");
    assert_eq!(alarm.wakes.load(SeqCst), 0);
}

#[test]
fn two_tasks_that_join_each_other_are_freed() {
    let (queue, root) = bench();
    let polled = Polled::new();
    let name: Arc<str> = Arc::from("one of two");
    let slot: Arc<Mutex<Option<JoinHandle<()>>>> = Arc::default();
    let spawn = |slot: Arc<Mutex<Option<JoinHandle<()>>>>| {
        *queue.name.lock() = Some(Arc::clone(&name));
        root.handle().spawn(async move {
            let other = slot.lock().take();
            if let Some(other) = other {
                let _ = other.await;
            }
        })
    };
    let other_slot: Arc<Mutex<Option<JoinHandle<()>>>> = Arc::default();
    let (one, two) = (spawn(Arc::clone(&slot)), spawn(Arc::clone(&other_slot)));
    *other_slot.lock() = Some(one);
    *slot.lock() = Some(two);
    queue.drain(&polled);
    assert_eq!(Arc::strong_count(&name), 3, "both wait, each with the other's handle");
    root.handle().cancel("a cycle");
    queue.drain(&polled);
    assert_eq!(Arc::strong_count(&name), 1, "a cycle of handles was leaked");
}

#[test]
fn joiners_that_panic_harm_nobody() {
    let (queue, root) = bench();
    let polled = Polled::new();
    let name: Arc<str> = Arc::from("victim");

    *queue.name.lock() = Some(Arc::clone(&name));
    let mut handle = root.handle().spawn(async { 1 });
    let bad = Arc::new(Alarm::default());
    bad.panics_in_wake.store(true, SeqCst);
    assert!(poll_with(&mut handle, &bad).is_pending());
    queue.drain(&polled);
    assert_eq!((bad.wakes.load(SeqCst), queue.contained.load(SeqCst)), (1, 1));
    assert!(matches!(poll_once(&mut handle), Poll::Ready(Ok(1))));
    drop(handle);

    // A waker whose last owner is the slot, and whose destructor panics.
    *queue.name.lock() = Some(Arc::clone(&name));
    let mut handle = root.handle().spawn(async { 2 });
    let bad = Arc::new(Alarm::default());
    assert!(poll_with(&mut handle, &bad).is_pending());
    bad.panics_in_drop.store(true, SeqCst);
    drop(bad);
    drop(handle);
    assert_eq!(queue.contained.load(SeqCst), 2);
    queue.drain(&polled);
    assert_eq!(Arc::strong_count(&name), 1);

    // The same, met by a poll that replaces it: that poll panics, the handle stays usable.
    let mut handle = root.handle().spawn(async { 3 });
    let bad = Arc::new(Alarm::default());
    assert!(poll_with(&mut handle, &bad).is_pending());
    bad.panics_in_drop.store(true, SeqCst);
    drop(bad);
    assert!(contain::contain(|| drop(poll_once(&mut handle))));
    assert!(poll_once(&mut handle).is_pending());
    queue.drain(&polled);
    assert!(matches!(poll_once(&mut handle), Poll::Ready(Ok(3))));
}

#[test]
fn a_result_is_taken_once() {
    let (queue, root) = bench();
    let mut handle = root.handle().spawn(async { String::from("value") });
    assert!(handle.try_result().is_none());
    assert!(!handle.is_finished());
    queue.drain(&Polled::new());
    assert!(handle.is_finished());
    assert_eq!(handle.try_result().unwrap().unwrap(), "value");
    assert!(handle.try_result().is_none());
    assert!(contain::contain(|| drop(poll_once(&mut handle))), "polled after the result was taken: a clear panic");
    assert!(!handle.cancel("too late"));
}

#[test]
fn d39_a_task_that_joins_itself_is_told_so() {
    let (queue, root) = bench();
    let name: Arc<str> = Arc::from("waits for itself");
    *queue.name.lock() = Some(Arc::clone(&name));
    let own: Arc<Mutex<Option<JoinHandle<()>>>> = Arc::default();
    let inside = Arc::clone(&own);
    let handle = root.handle().spawn(async move {
        let mut own = inside.lock().take().unwrap();
        assert!((&mut own).await.unwrap_err().is_self_join());
        *inside.lock() = Some(own);
    });
    *own.lock() = Some(handle);
    assert_eq!(queue.drain(&Polled::new()), 1);
    let mut handle = own.lock().take().unwrap();
    assert!(handle.try_result().unwrap().is_ok(), "it ended, and the result was not taken");
    drop(handle);
    *queue.name.lock() = None;
    assert_eq!(Arc::strong_count(&name), 1, "nothing of it is left");
}

/// A cancel marks and wakes; the future is dropped by whoever runs the task.
#[test]
fn cancel_drops_nothing_on_the_callers_thread() {
    let trial = Trial::new(Bomb::None);
    trial.bring_to(Phase::Pending);
    let handle = Arc::clone(&trial.handle);
    let canceller = thread::spawn(move || {
        assert!(handle.lock().as_ref().unwrap().cancel("from outside"));
        // And the handle goes at once: the mark stays.
        drop(handle.lock().take());
        thread::current().id()
    });
    let canceller = canceller.join().unwrap();
    assert_eq!(trial.log.futures_dropped.load(SeqCst), 0);
    assert_eq!(trial.queue.drain(&trial.polled), 1);
    assert_eq!(trial.log.futures_dropped.load(SeqCst), 1);
    assert_ne!(*trial.log.dropped_on.lock(), Some(canceller));
    assert_eq!(trial.log.polls.load(SeqCst), 1);
}

// ----- the runnable -----

#[test]
fn a_dropped_runnable_ends_its_task() {
    let trial = Trial::new(Bomb::None);
    drop(trial.queue.take());
    assert_eq!(trial.log.futures_dropped.load(SeqCst), 1);
    let mut handle = trial.handle.lock().take().unwrap();
    assert!(handle.try_result().unwrap().is_err_and(|error| error.is_cancelled()));
    drop(handle);
    assert_eq!(Arc::strong_count(&trial.name), 1);

    // Detached before, and a destructor that panics.
    let trial = Trial::new(Bomb::Future);
    drop(trial.handle.lock().take());
    drop(trial.queue.take());
    assert_eq!(trial.log.futures_dropped.load(SeqCst), 1);
    assert_eq!(Arc::strong_count(&trial.name), 1);
}

#[test]
fn a_task_wakes_from_any_thread_and_runs_once_for_many_wakes() {
    let trial = Trial::new(Bomb::None);
    trial.bring_to(Phase::Pending);
    let waker = trial.log.waker.lock().clone().unwrap();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let waker = waker.clone();
            thread::spawn(move || {
                for _ in 0..1000 {
                    waker.wake_by_ref();
                    let by_value = waker.clone();
                    by_value.wake();
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(trial.queue.len(), 1);
    assert_eq!(trial.queue.drain(&trial.polled), 1);
    assert!(waker.will_wake(&waker.clone()));
    assert!(trial.handle.lock().as_ref().unwrap().cancel("enough"));
    trial.queue.drain(&trial.polled);
}

#[test]
fn tasks_of_different_types_have_wakers_of_one_table() {
    let (queue, root) = bench();
    let polled = Polled::new();
    let wakers: Arc<Mutex<Vec<Waker>>> = Arc::default();
    let keep = Arc::clone(&wakers);
    let first = root.handle().spawn(async move {
        std::future::poll_fn(|cx| {
            keep.lock().push(cx.waker().clone());
            Poll::Ready(())
        })
        .await;
    });
    let keep = Arc::clone(&wakers);
    let second = root.handle().spawn(async move {
        std::future::poll_fn(|cx| {
            keep.lock().push(cx.waker().clone());
            Poll::Ready(())
        })
        .await;
        [0_u64; 8]
    });
    queue.drain(&polled);
    let wakers = std::mem::take(&mut *wakers.lock());
    assert!(std::ptr::eq(wakers[0].vtable(), wakers[1].vtable()));
    assert!(!wakers[0].will_wake(&wakers[1]));
    assert!(inspect(Waker::noop(), 0).is_none(), "not one of ours");
    drop((first, second));
}

// ----- what a task tells -----

#[test]
fn a_task_is_seen_in_all_its_states() {
    let trial = Trial::new(Bomb::None);
    let seen: Arc<Mutex<Vec<TaskInfo>>> = Arc::default();
    trial.log.acts.lock().extend([Act::Pending, Act::Ready]);
    let (log, keep) = (Arc::clone(&trial.log), Arc::clone(&seen));
    *trial.log.hook.lock() = Some(Box::new(move || {
        let waker = log.waker.lock().clone().unwrap();
        keep.lock().push(inspect(&waker, 9).unwrap());
    }));
    assert!(trial.polled.info(9).is_none());
    trial.queue.drain(&trial.polled);
    let waker = trial.log.waker.lock().clone().unwrap();
    seen.lock().push(inspect(&waker, 9).unwrap());
    waker.wake_by_ref();
    seen.lock().push(inspect(&waker, 9).unwrap());
    trial.queue.drain(&trial.polled);
    seen.lock().push(inspect(&waker, 9).unwrap());

    let seen = seen.lock();
    let states: Vec<_> = seen.iter().map(TaskInfo::state).collect();
    assert_eq!(states, [State::Running, State::Suspended, State::Queued, State::Done]);
    for info in seen.iter() {
        assert_eq!(info.name(), Some("subject"));
        assert_eq!(info.id(), Id::new(7, 0));
        assert_eq!(info.age(), Duration::from_millis(2));
        assert!(info.location().file().ends_with("matrix.rs"), "{}", info.location());
    }
}

#[test]
fn the_polled_task_is_shown_also_when_polls_are_nested() {
    let (queue, root) = bench();
    let polled: &'static PolledHere = &PolledHere;
    let seen: Arc<Mutex<Vec<Option<Id>>>> = Arc::default();
    let keep = Arc::clone(&seen);
    let inner = root.handle().spawn({
        let keep = Arc::clone(&seen);
        async move { keep.lock().push(polled.id()) }
    });
    let inner_runnable = Mutex::new(queue.take());
    let outer = root.handle().spawn(async move {
        keep.lock().push(polled.id());
        let runnable = inner_runnable.lock().take().unwrap();
        assert!(matches!(POLLED.with(|polled| runnable.run(polled)), Ran::Done));
        keep.lock().push(polled.id());
    });
    POLLED.with(|polled| queue.drain(polled));
    let expected = [Some(outer.id()), Some(inner.id()), Some(outer.id())];
    assert_eq!(*seen.lock(), expected);
    assert_eq!(polled.id(), None);
}

thread_local! {
    static POLLED: Polled = const { Polled::new() };
}

/// The thread-local above, as a value that a `Send` future may carry.
struct PolledHere;

impl PolledHere {
    fn id(&self) -> Option<Id> {
        POLLED.with(|polled| polled.info(0).map(|info| info.id()))
    }
}

// ----- sizes -----

#[test]
fn a_wake_and_a_poll_find_all_in_64_bytes() {
    assert!(std::mem::offset_of!(Header, cancel) + size_of::<ramus_scope::TaskCancel>() <= 64);
    assert!(size_of::<Header>() <= 88, "{}", size_of::<Header>());
    assert_eq!(size_of::<Ticket<[u8; 100]>>(), size_of::<usize>());
}

/// A future of 512 KiB is moved once into its cell, not through a chain of frames: 2 MiB of stack are enough for its
/// maker, its spawn and its run in a build without optimisation.
#[test]
fn a_large_future_runs_on_a_small_stack() {
    struct Large([u8; 512 * 1024]);
    impl Future for Large {
        type Output = usize;
        fn poll(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<usize> {
            Poll::Ready(self.0.iter().filter(|byte| **byte == 1).count())
        }
    }
    let stack = if cfg!(debug_assertions) { 8 << 20 } else { 2 << 20 };
    let thread = thread::Builder::new().stack_size(stack).spawn(|| {
        let (queue, root) = bench();
        let mut handle = root.handle().spawn(Large([1; 512 * 1024]));
        queue.drain(&Polled::new());
        handle.try_result().unwrap().unwrap()
    });
    assert_eq!(thread.unwrap().join().unwrap(), 512 * 1024);

    // In a box it needs next to nothing.
    let thread = thread::Builder::new().stack_size(128 << 10).spawn(|| {
        let (queue, root) = bench();
        let boxed: Pin<Box<dyn Future<Output = usize> + Send>> = Box::pin(async {
            let large = vec![1_u8; 512 * 1024];
            large.len()
        });
        let mut handle = root.handle().spawn(boxed);
        queue.drain(&Polled::new());
        handle.try_result().unwrap().unwrap()
    });
    assert_eq!(thread.unwrap().join().unwrap(), 512 * 1024);
}

#[test]
fn over_aligned_futures_are_aligned() {
    #[repr(align(256))]
    struct Strict(u8);
    impl Future for Strict {
        type Output = bool;
        fn poll(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<bool> {
            Poll::Ready((&raw const self.0).addr() % 256 == 0)
        }
    }
    let (queue, root) = bench();
    let mut handle = root.handle().spawn(Strict(0));
    queue.drain(&Polled::new());
    assert!(handle.try_result().unwrap().unwrap());
}

// ----- many -----

/// Tasks made on one thread, run and woken on others, with handles dropped and joined on a third.
#[test]
fn nothing_is_leaked_between_threads() {
    const TASKS: usize = if cfg!(miri) { 50 } else { 20_000 };
    let (queue, root) = bench();
    let name: Arc<str> = Arc::from("many");
    let made = Arc::new(AtomicUsize::new(0));
    let finished = Arc::new(AtomicUsize::new(0));
    let runners: Vec<_> = (0..2)
        .map(|_| {
            let finished = Arc::clone(&finished);
            thread::spawn(move || {
                let polled = Polled::new();
                while finished.load(SeqCst) < TASKS {
                    let Some(runnable) = queue.take() else {
                        thread::yield_now();
                        continue;
                    };
                    match runnable.run(&polled) {
                        Ran::Again(runnable) => queue.schedule(runnable),
                        Ran::Pending => {}
                        Ran::Done => {
                            finished.fetch_add(1, SeqCst);
                        }
                    }
                }
            })
        })
        .collect();
    let mut joined = Vec::new();
    for number in 0..TASKS {
        *queue.name.lock() = Some(Arc::clone(&name));
        let made = Arc::clone(&made);
        let mut yielded = false;
        let handle = root.handle().spawn(std::future::poll_fn(move |cx| {
            if !yielded {
                yielded = true;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            made.fetch_add(1, SeqCst);
            Poll::Ready(Box::new(number))
        }));
        match number % 3 {
            0 => drop(handle),
            1 => joined.push((number, handle)),
            _ => {
                handle.cancel("one of three");
            }
        }
    }
    for (number, mut handle) in joined {
        let value = loop {
            match handle.try_result() {
                Some(result) => break result.unwrap(),
                None => thread::yield_now(),
            }
        };
        assert_eq!(*value, number);
    }
    for runner in runners {
        runner.join().unwrap();
    }
    assert_eq!(finished.load(SeqCst), TASKS);
    assert!(made.load(SeqCst) >= TASKS.div_ceil(3) * 2 - 2);
    assert_eq!(Arc::strong_count(&name), 1, "cells were leaked");
}

#[test]
fn a_suspended_task_is_ended_by_its_handle_alone() {
    let (queue, root) = bench();
    let name: Arc<str> = Arc::from("waits for ever");
    *queue.name.lock() = Some(Arc::clone(&name));
    let mut handle = pin!(root.handle().spawn(pending::<()>()));
    queue.drain(&Polled::new());
    assert!(handle.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert!(handle.cancel("enough"));
    assert!(handle.is_cancelled());
    queue.drain(&Polled::new());
    let Poll::Ready(Err(error)) = handle.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("the task has ended");
    };
    assert_eq!(error.reason().and_then(|reason| reason.message()), Some("enough"));
    drop(error);
    handle.set(root.handle().spawn(pending()));
    assert_eq!(Arc::strong_count(&name), 1);
    drop(queue.take());
}
