//! A task in every phase meets everything that can happen to it, with every part of it panicking; and nothing is leaked,
//! dropped twice or run twice.
//!
//! Leaks are found without looking into the allocator: the name of a task lives in its cell and is an `Arc`.

mod handle;
mod matrix;

use std::collections::VecDeque;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use ramus_scope::{Host, JoinError, Member, Root, ScopeHandle};

use super::*;
use crate::sync::Mutex;

const fn is_send<T: Send>() {}
const fn is_sync<T: Sync>() {}
const fn is_unpin<T: Unpin>() {}

const _: () = {
    is_send::<Runnable>();
    is_send::<JoinHandle<u8>>();
    is_sync::<JoinHandle<u8>>();
    // The output of one task may be `Send` alone, as long as only one thread has it at a time.
    is_send::<JoinHandle<std::cell::Cell<u8>>>();
    is_sync::<JoinHandle<std::cell::Cell<u8>>>();
    is_unpin::<JoinHandle<std::marker::PhantomPinned>>();
    is_send::<Id>();
    is_sync::<Id>();
    is_send::<TaskInfo>();
    is_sync::<TaskInfo>();
    assert!(size_of::<JoinHandle<[u8; 100]>>() == size_of::<usize>());
    assert!(size_of::<Option<Runnable>>() == size_of::<usize>());
};

/// A scheduler that keeps what it gets.
#[derive(Default)]
struct Queue {
    runnables: Mutex<VecDeque<Runnable>>,
    contained: AtomicUsize,
    serial: AtomicUsize,
    /// The name of the next task.
    name: Mutex<Option<Arc<str>>>,
}

impl Schedule for Queue {
    fn schedule(&'static self, runnable: Runnable) {
        self.runnables.lock().push_back(runnable);
    }

    fn contained(&'static self) {
        self.contained.fetch_add(1, SeqCst);
    }
}

/// All schedulers of the tests: they live for ever, and are no leaks.
static QUEUES: Mutex<Vec<&'static Queue>> = Mutex::new(Vec::new());

impl Queue {
    fn immortal() -> &'static Self {
        let queue: &'static Self = Box::leak(Box::default());
        QUEUES.lock().push(queue);
        queue
    }

    fn len(&self) -> usize {
        self.runnables.lock().len()
    }

    fn take(&self) -> Option<Runnable> {
        self.runnables.lock().pop_front()
    }

    /// Runs what is queued until nothing is; the number of polls.
    fn drain(&'static self, polled: &Polled) -> usize {
        let mut polls = 0;
        while let Some(runnable) = self.take() {
            polls += 1;
            assert!(polls < 1000, "the queue does not run dry");
            if let Ran::Again(runnable) = runnable.run(polled) {
                self.schedule(runnable);
            }
        }
        polls
    }
}

#[derive(Clone)]
struct Bench(&'static Queue);

impl Host for Bench {
    type JoinHandle<T: Send + 'static> = JoinHandle<T>;
    type Alarm = ();

    fn current() -> Option<Self> {
        None
    }

    fn spawn<F>(&self, member: Member<F>) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let queue = self.0;
        let id = Id::new(7, queue.serial.fetch_add(1, SeqCst) as u64);
        let name = queue.name.lock().take();
        let (runnable, handle) = match name {
            Some(name) => cell(queue, member, name, Location::caller(), id),
            None => cell(queue, member, (), Location::caller(), id),
        };
        runnable.schedule();
        handle
    }

    fn wake_after(&self, _after: Duration, _waker: Waker) {}

    fn wake_at(&self, _at: Instant, _waker: Waker) {}
}

/// A root scope to spawn into. Its end checks that every membership has ended.
struct Open(Root<Bench>);

impl Open {
    fn handle(&self) -> &ScopeHandle<Bench> {
        self.0.handle()
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.close();
        let drained = self.0.poll_drained(&mut Context::from_waker(Waker::noop()));
        assert!(drained.is_ready() || thread::panicking(), "a task is still a member of its scope");
    }
}

/// A scheduler with a root scope to spawn into.
fn bench() -> (&'static Queue, Open) {
    let queue = Queue::immortal();
    (queue, Open(Root::new(Bench(queue), "test")))
}

/// Polls `handle` once with a waker that counts into nothing.
fn poll_once<T>(handle: &mut JoinHandle<T>) -> Poll<Result<T, JoinError>> {
    Pin::new(handle).poll(&mut Context::from_waker(Waker::noop()))
}
