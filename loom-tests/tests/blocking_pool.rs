//! L14. Jobs come to a blocking pool at its limit while its only thread goes to sleep.
//!
//! Property: each job is taken by a thread, or removed by whoever queued it, exactly once; none is stranded in the queue
//! while a thread sleeps, which loom reports as a deadlock. After the pool is closed its thread ends and the counts are 0.
//!
//! Threads: two that submit (the main one removes its job again, if it still can), and the one that is started. Bound: 2
//! preemptions.
//!
//! Planted fault: the thread finds the queue empty in one critical section and goes to sleep in another.

#![cfg(ramus_loom)]

use std::time::Duration;

use loom::sync::{Arc, Condvar, Mutex};
use loom::thread::{self, JoinHandle};
use ramus::model::{Jobs, Place, Push};

/// How often each of the two jobs has ended.
struct Ended {
    times: Mutex<[usize; 2]>,
    changed: Condvar,
}

struct Pool {
    jobs: Jobs<usize>,
    ended: Ended,
}

impl Pool {
    fn end(&self, job: usize) {
        self.ended.times.lock().unwrap()[job] += 1;
        self.ended.changed.notify_one();
    }

    /// Queues `job` and starts the thread that it is owed.
    fn submit(pool: &Arc<Pool>, job: usize) -> (Place, Option<JoinHandle<()>>) {
        match pool.jobs.push(job) {
            Push::Queued(place) => (place, None),
            Push::Start(place) => {
                let pool = Arc::clone(pool);
                (place, Some(thread::spawn(move || pool.work())))
            }
            Push::Closed(_) => panic!("closed too early"),
        }
    }

    fn work(&self) {
        let mut new = true;
        while let Some(job) = self.jobs.next(new, Duration::MAX) {
            new = false;
            self.end(job);
        }
    }
}

#[test]
fn blocking_pool() {
    loom_tests::check("blocking_pool", 100, || {
        let ended = Ended { times: Mutex::new([0; 2]), changed: Condvar::new() };
        let pool = Arc::new(Pool { jobs: Jobs::new(1), ended });
        let other = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || Pool::submit(&pool, 0).1)
        };
        let (place, mine) = Pool::submit(&pool, 1);
        if let Some(job) = pool.jobs.remove(place) {
            pool.end(job);
        }
        let theirs = other.join().unwrap();
        assert!(mine.is_some() != theirs.is_some(), "one thread, and only one");

        let mut times = pool.ended.times.lock().unwrap();
        while times.contains(&0) {
            times = pool.ended.changed.wait(times).unwrap();
        }
        assert_eq!(*times, [1, 1]);
        drop(times);
        assert!(pool.jobs.close().is_empty());
        for thread in [mine, theirs].into_iter().flatten() {
            thread.join().unwrap();
        }
        assert_eq!(pool.jobs.counts(), (0, 0, 0));
        assert!(matches!(pool.jobs.push(0), Push::Closed(0)));
    });
}
