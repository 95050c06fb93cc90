//! The pool from inside: how many threads there are, and when they end.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::jobs::{Jobs, Push};
use super::threads::{Pool, Settings, Work};
use crate::sync::Arc;

/// Runs a closure, or drops it.
struct Call<F: FnOnce() + Send>(F);

impl<F: FnOnce() + Send> Work for Call<F> {
    fn run(self: Box<Self>) {
        (self.0)();
    }

    fn refuse(self: Box<Self>, _why: &str) {}
}

fn pool(max_threads: usize, keep_alive: Duration) -> Pool {
    Pool::new(Settings { max_threads, keep_alive }, None)
}

/// Waits until the pool has `live` threads, as long as that may take on a busy machine.
fn wait_for_threads(pool: &Pool, live: usize) {
    let begun = Instant::now();
    while pool.threads().counts().1 != live {
        assert!(begun.elapsed() < Duration::from_secs(30), "{pool:?} does not get to {live} threads");
        std::thread::yield_now();
    }
}

#[test]
fn idle_threads_end() {
    let pool = pool(4, Duration::from_millis(10));
    assert_eq!(pool.threads().counts(), (0, 0, 0), "no thread before the first job");
    let (done, wait) = mpsc::channel();
    pool.threads().submit(Box::new(Call(move || done.send(()).unwrap())));
    wait.recv().unwrap();
    wait_for_threads(&pool, 0);
    // And the pool works on.
    let (done, wait) = mpsc::channel();
    pool.threads().submit(Box::new(Call(move || done.send(()).unwrap())));
    wait.recv().unwrap();
}

#[test]
fn an_idle_thread_takes_the_next_job() {
    let pool = pool(8, Duration::from_secs(600));
    for _ in 0..100 {
        let (done, wait) = mpsc::channel();
        pool.threads().submit(Box::new(Call(move || done.send(()).unwrap())));
        wait.recv().unwrap();
        // The thread has sent from inside the job: wait until it is back.
        while pool.threads().counts().2 == 0 {
            std::thread::yield_now();
        }
    }
    assert_eq!(pool.threads().counts(), (0, 1, 1));
    let threads = pool.threads();
    drop(pool);
    let begun = Instant::now();
    while threads.counts().1 != 0 {
        assert!(begun.elapsed() < Duration::from_secs(30), "an idle thread outlives its pool");
        std::thread::yield_now();
    }
}

#[test]
fn the_limit_holds() {
    let pool = pool(2, Duration::from_secs(600));
    let (begun, wait_begun) = mpsc::channel();
    let mut gates = Vec::new();
    for n in 0..5 {
        let (open, gate) = mpsc::channel::<()>();
        gates.push(open);
        let begun = begun.clone();
        pool.threads().submit(Box::new(Call(move || {
            begun.send(n).unwrap();
            let _ = gate.recv();
        })));
    }
    let mut first = [wait_begun.recv().unwrap(), wait_begun.recv().unwrap()];
    first.sort_unstable();
    assert_eq!(first, [0, 1], "first come, first served");
    assert_eq!(pool.threads().counts(), (3, 2, 0));
    gates.clear();
    let mut rest: Vec<i32> = (0..3).map(|_| wait_begun.recv().unwrap()).collect();
    rest.sort_unstable();
    assert_eq!(rest, [2, 3, 4]);
}

#[test]
fn a_panic_outside_of_the_job_costs_no_thread() {
    let pool = pool(1, Duration::from_secs(600));
    pool.threads().submit(Box::new(Call(|| panic!("a waker panics"))));
    let (done, wait) = mpsc::channel();
    pool.threads().submit(Box::new(Call(move || done.send(()).unwrap())));
    wait.recv().unwrap();
    assert_eq!(pool.threads().counts().1, 1);
}

#[test]
fn a_closed_pool_refuses() {
    let pool = pool(1, Duration::from_secs(600));
    let threads = pool.threads();
    drop(pool);
    assert!(threads.submit(Box::new(Call(|| unreachable!("it was refused")))).is_none());
    assert!(Settings { max_threads: 0, keep_alive: Duration::ZERO }.check().is_err());
}

#[test]
fn a_refused_thread_leaves_the_job_to_the_others() {
    let jobs = Jobs::new(4);
    // The first thread exists and runs a job.
    let Push::Start(_) = jobs.push("a") else { panic!("no thread was asked for") };
    assert_eq!(jobs.next(true, Duration::ZERO), Some("a"));
    // The second one is refused: its job stays in the queue for the first.
    let Push::Start(_) = jobs.push("b") else { panic!("no thread was asked for") };
    assert!(jobs.not_started().is_empty());
    assert_eq!(jobs.next(false, Duration::ZERO), Some("b"));
    assert_eq!(jobs.next(false, Duration::ZERO), None);
    assert_eq!(jobs.counts(), (0, 0, 0));
    // Without any thread the job comes back.
    let Push::Start(_) = jobs.push("c") else { panic!("no thread was asked for") };
    assert_eq!(jobs.not_started(), ["c"]);
    assert_eq!(jobs.counts(), (0, 0, 0));
}

#[test]
fn two_refused_threads_strand_nothing() {
    let jobs = Jobs::new(4);
    let Push::Start(_) = jobs.push("a") else { panic!("no thread was asked for") };
    let Push::Start(_) = jobs.push("b") else { panic!("no thread was asked for") };
    // Each believes that the other's thread may still come; the last one knows better.
    assert!(jobs.not_started().is_empty());
    assert_eq!(jobs.not_started(), ["a", "b"]);
}

#[test]
fn a_job_is_removed_or_taken() {
    let jobs = Jobs::new(1);
    let Push::Start(first) = jobs.push("a") else { panic!("no thread was asked for") };
    let Push::Queued(second) = jobs.push("b") else { panic!("a thread beyond the limit") };
    assert_eq!(jobs.remove(second), Some("b"));
    assert_eq!(jobs.next(true, Duration::ZERO), Some("a"));
    assert_eq!(jobs.remove(first), None);
    assert_eq!(jobs.remove(second), None);
}

/// At the limit with jobs coming and going, with threads ending at once: whatever the interleaving, every job runs.
#[test]
fn nothing_is_stranded_at_the_limit() {
    for limit in [1, 2, 3] {
        let pool = Arc::new(pool(limit, Duration::ZERO));
        let (done, wait) = mpsc::channel();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                let (pool, done) = (Arc::clone(&pool), done.clone());
                scope.spawn(move || {
                    for _ in 0..5_000 {
                        let done = done.clone();
                        pool.threads().submit(Box::new(Call(move || done.send(()).unwrap())));
                    }
                });
            }
        });
        for n in 0..10_000 {
            wait.recv_timeout(Duration::from_secs(30))
                .unwrap_or_else(|error| panic!("{n} of 10000 jobs: {error}, {pool:?}"));
        }
        wait_for_threads(&pool, 0);
    }
}

#[test]
fn a_job_without_any_thread_hears_of_it() {
    /// Sends what it is told.
    struct Told(mpsc::Sender<String>);

    impl Work for Told {
        fn run(self: Box<Self>) {
            unreachable!("there is no thread");
        }

        fn refuse(self: Box<Self>, why: &str) {
            self.0.send(why.to_owned()).unwrap();
        }
    }

    // No address space has room for such a stack, so the system refuses the thread.
    let pool = Pool::new(Settings::default(), Some(1 << 46));
    let (told, wait) = mpsc::channel();
    for _ in 0..2 {
        pool.threads().submit(Box::new(Told(told.clone())));
        let why = wait.try_recv().unwrap();
        assert!(why.contains("no thread could be started"), "{why}");
        assert_eq!(pool.threads().counts(), (0, 0, 0), "the pool is not the worse for it");
    }
}
