//! What the models of tasks share: a scheduler that queues under a lock, and a host that spawns onto it.
#![allow(dead_code, unreachable_pub, reason = "each model uses its part")]

use std::collections::VecDeque;
use std::future::Future;
use std::panic::Location;
use std::task::Waker;
use std::time::{Duration, Instant};

use loom::sync::{Condvar, Mutex};
use ramus::model::{JoinHandle, Polled, Ran, Runnable, Schedule, cell, task_id};
use ramus_scope::{Host, Member, Root};

#[derive(Default)]
struct Waiting {
    runnables: VecDeque<Runnable>,
    contained: usize,
    done: bool,
}

/// The scheduler. It lives for ever, as schedulers must: each execution leaks one.
pub struct Queue {
    waiting: Mutex<Waiting>,
    ready: Condvar,
}

impl Schedule for Queue {
    fn schedule(&'static self, runnable: Runnable) {
        let mut waiting = self.waiting.lock().unwrap();
        waiting.runnables.push_back(runnable);
        assert_eq!(waiting.runnables.len(), 1, "the one task has two runnables");
        drop(waiting);
        self.ready.notify_all();
    }

    fn contained(&'static self) {
        self.waiting.lock().unwrap().contained += 1;
    }
}

impl Queue {
    fn leaked() -> &'static Self {
        Box::leak(Box::new(Self { waiting: Mutex::new(Waiting::default()), ready: Condvar::new() }))
    }

    /// Runs the task whenever it is queued, until somebody has seen it end. A lost wake is a deadlock here.
    pub fn run_to_the_end(&'static self) {
        let polled = Polled::new();
        loop {
            let mut waiting = self.waiting.lock().unwrap();
            while waiting.runnables.is_empty() && !waiting.done {
                waiting = self.ready.wait(waiting).unwrap();
            }
            if waiting.done {
                assert!(waiting.runnables.is_empty(), "a finished task has a runnable");
                return;
            }
            let runnable = waiting.runnables.pop_front();
            drop(waiting);
            self.run(runnable, &polled);
        }
    }

    /// Runs the task once, if it is queued.
    pub fn run_once(&'static self) {
        let runnable = self.waiting.lock().unwrap().runnables.pop_front();
        self.run(runnable, &Polled::new());
    }

    fn run(&'static self, runnable: Option<Runnable>, polled: &Polled) {
        match runnable.map(|runnable| runnable.run(polled)) {
            None | Some(Ran::Pending) => {}
            Some(Ran::Again(runnable)) => self.schedule(runnable),
            Some(Ran::Done) => {
                self.waiting.lock().unwrap().done = true;
                self.ready.notify_all();
            }
        }
    }

    /// Panics caught where nobody takes them.
    pub fn contained(&self) -> usize {
        self.waiting.lock().unwrap().contained
    }
}

/// Spawns onto one queue.
#[derive(Clone)]
pub struct Bench(&'static Queue);

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
        let (runnable, handle) = cell(self.0, member, (), Location::caller(), task_id(1));
        runnable.schedule();
        handle
    }

    fn wake_after(&self, _after: Duration, _waker: Waker) {}

    fn wake_at(&self, _at: Instant, _waker: Waker) {}
}

/// A queue, and a root scope whose tasks go there.
pub fn bench() -> (&'static Queue, Root<Bench>) {
    let queue = Queue::leaked();
    (queue, Root::new(Bench(queue), "model"))
}

/// A task of `member` that is not queued anywhere; nobody waits for it.
#[allow(dead_code, reason = "each model uses a part of this module")]
pub fn unscheduled<F>(queue: &'static Queue, member: Member<F>, site: &'static Location<'static>) -> Runnable
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let (runnable, handle) = cell(queue, member, (), site, task_id(1));
    drop(handle);
    runnable
}
