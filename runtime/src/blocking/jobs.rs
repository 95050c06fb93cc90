//! The protocol of the blocking pool: which job is taken by which thread, and when another thread is needed.
//!
//! Everything changes under one lock: the queue, the number of threads, and how many of them will still look at the
//! queue. A pool that keeps "somebody is idle" apart from "something is queued" can believe the one while the other has
//! changed, and strand a job.
//!
//! A thread is, as the lock sees it:
//!
//! | phase | counted in `live` | counted in `coming` | leaves by |
//! |---|---|---|---|
//! | starting: owed by a [`Push`], not yet in [`Jobs::next`] | yes | yes | `next`; or [`Jobs::not_started`], which uncounts it |
//! | waiting in `next` | yes | yes | a job; or its time is up and the queue empty |
//! | running a job | yes | no | the next call of `next` |
//! | ended | no | no | – |
//!
//! `coming` counts the threads that look at the queue under the lock before they wait again or end.
//!
//! Invariant, whenever the lock is free: `queued <= coming`, or `live == limit`, or a thread could not be started.
//! [`Jobs::push`] keeps it by asking for a thread; `next` keeps it because it takes one job and one of `coming` away
//! together. So no job is stranded:
//!
//! * If `queued <= coming`, there is a thread that comes for each job. A waiting one was notified by the push, or finds
//!   the queue filled when its time is up: it looks again, under the lock, before it ends.
//! * Else some thread lives, and each that runs a job calls `next` afterwards, which takes from the queue before it
//!   waits. If none lives, because the last one could not be started, `not_started` hands the whole queue back.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::sync::{Condvar, Mutex};

/// The place of a job in the queue.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Place(u64);

/// What [`Jobs::push`] came to.
#[derive(Debug)]
#[must_use = "a thread that is owed and not started strands the job"]
pub enum Push<J> {
    /// Queued; a thread that exists will come for it, or none may be added.
    Queued(Place),
    /// Queued, and the caller owes a thread that calls [`Jobs::next`] until it answers `None`, or else a call of
    /// [`Jobs::not_started`].
    Start(Place),
    /// The pool is closed; here is the job.
    Closed(J),
}

struct State<J> {
    /// In the order in which they came.
    queue: BTreeMap<Place, J>,
    next: u64,
    live: usize,
    coming: usize,
    closed: bool,
}

/// The queue of jobs and the count of the threads that take them.
pub struct Jobs<J> {
    state: Mutex<State<J>>,
    /// Something was queued, or the pool was closed.
    queued: Condvar,
    limit: usize,
}

impl<J> Jobs<J> {
    /// An empty queue for at most `limit` threads. Without any, no push asks for one, and whoever made the queue takes the
    /// jobs himself: `queued <= coming or live == limit` holds at 0 as well.
    pub fn new(limit: usize) -> Self {
        let state = State { queue: BTreeMap::new(), next: 0, live: 0, coming: 0, closed: false };
        Self { state: Mutex::new(state), queued: Condvar::new(), limit }
    }

    /// Queues a job.
    pub fn push(&self, job: J) -> Push<J> {
        let mut state = self.state.lock();
        if state.closed {
            return Push::Closed(job);
        }
        let place = Place(state.next);
        state.next += 1;
        state.queue.insert(place, job);
        let start = state.queue.len() > state.coming && state.live < self.limit;
        if start {
            state.live += 1;
            state.coming += 1;
        }
        drop(state);
        if start {
            return Push::Start(place);
        }
        self.queued.notify_one();
        Push::Queued(place)
    }

    /// A thread that was owed could not be started. Returns every queued job if that leaves no thread to run them.
    #[must_use = "these jobs will never run: whoever waits for them has to hear of it"]
    pub fn not_started(&self) -> Vec<J> {
        let mut state = self.state.lock();
        state.coming -= 1;
        state.live -= 1;
        if state.live > 0 {
            return Vec::new();
        }
        std::mem::take(&mut state.queue).into_values().collect()
    }

    /// The next job for a thread. `new`: this is its first call. Waits for `keep_alive`; `None`: the thread is to end.
    pub fn next(&self, new: bool, keep_alive: Duration) -> Option<J> {
        let mut state = self.state.lock();
        if !new {
            state.coming += 1;
        }
        let mut is_up = false;
        // A keep-alive beyond what the clock can express is no limit.
        let until = Instant::now().checked_add(keep_alive);
        loop {
            if let Some((_, job)) = state.queue.pop_first() {
                state.coming -= 1;
                return Some(job);
            }
            if is_up || state.closed {
                state.coming -= 1;
                state.live -= 1;
                return None;
            }
            (state, is_up) = match until {
                Some(until) => self.queued.wait_until(state, until),
                None => (self.queued.wait(state), false),
            };
        }
    }

    /// Takes a job out of the queue. `None`: a thread took it before, or the pool was closed.
    ///
    /// This and `next` decide, under the lock, whether a job has started.
    pub fn remove(&self, place: Place) -> Option<J> {
        self.state.lock().queue.remove(&place)
    }

    /// Refuses new jobs, returns the queued ones, and lets the threads end after the jobs that they run.
    #[must_use = "these jobs will never run: whoever waits for them has to hear of it"]
    pub fn close(&self) -> Vec<J> {
        let mut state = self.state.lock();
        state.closed = true;
        let queue = std::mem::take(&mut state.queue);
        drop(state);
        self.queued.notify_all();
        queue.into_values().collect()
    }

    /// Queued jobs, threads, and those of them that wait or start.
    pub fn counts(&self) -> (usize, usize, usize) {
        let state = self.state.lock();
        (state.queue.len(), state.live, state.coming)
    }
}
