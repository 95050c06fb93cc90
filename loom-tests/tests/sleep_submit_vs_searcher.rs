//! Property: no pushed item is left while every worker sleeps. A submitter that stays silent because somebody searches
//! relies on that searcher's last look, which the fence after the end of its search orders.
//!
//! Threads: two workers that search, find what they find and park; a submitter outside that pushes one item, and a worker
//! that gives its token back while the item arrives. Bound: 2 preemptions. Each parked worker blocks on a double of the
//! driver, so a lost wake is a deadlock that loom reports.
//!
//! Planted fault: the worker parks whatever its last look finds.
#![cfg(ramus_loom)]

use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;
use ramus::model::{Locked, Owner, Park, Sleep, Thief};

/// What a worker blocks in.
struct Bed {
    rung: Mutex<bool>,
    wakeup: Condvar,
}

impl Bed {
    fn new() -> Self {
        Self { rung: Mutex::new(false), wakeup: Condvar::new() }
    }

    fn ring(&self) {
        *self.rung.lock().unwrap() = true;
        self.wakeup.notify_one();
    }

    fn block(&self) {
        let mut rung = self.rung.lock().unwrap();
        while !*rung {
            rung = self.wakeup.wait(rung).unwrap();
        }
        *rung = false;
    }
}

struct Bench {
    sleep: Sleep,
    inbox: Flag,
    beds: [Bed; 2],
}

/// An inbox of one item whose looks order nothing by themselves, unlike a lock: what a deque offers at its weakest.
struct Flag(loom::sync::atomic::AtomicUsize);

impl Flag {
    fn push(&self) {
        self.0.fetch_add(1, loom::sync::atomic::Ordering::Relaxed);
    }

    fn is_empty(&self) -> bool {
        self.0.load(loom::sync::atomic::Ordering::Relaxed) == 0
    }

    fn take(&self) -> bool {
        let take = |items: usize| items.checked_sub(1);
        let relaxed = loom::sync::atomic::Ordering::Relaxed;
        self.0.fetch_update(relaxed, relaxed, take).is_ok()
    }
}

impl Bench {
    fn submit(&self) {
        self.inbox.push();
        if let Some(worker) = self.sleep.claim() {
            self.beds[worker].ring();
        }
    }

    /// Works until it has taken one item; parks as the runtime's worker does.
    fn take_one(&self, me: usize) {
        let mut token = self.sleep.start_search();
        loop {
            if self.inbox.take() {
                if let Some(token) = token.take() {
                    self.sleep.end_search(token);
                    if !self.inbox.is_empty() {
                        if let Some(worker) = self.sleep.claim() {
                            self.beds[worker].ring();
                        }
                    }
                }
                return;
            }
            if let Some(token) = token.take() {
                self.sleep.end_search(token);
            }
            token = match self.sleep.park_unless(me, || !self.inbox.is_empty()) {
                Park::Work(token) => Some(token.unwrap_or_else(|| self.sleep.force_search())),
                Park::Commit => {
                    self.beds[me].block();
                    self.sleep.end_idle(me)
                }
            };
        }
    }
}

fn bench() -> Arc<Bench> {
    Arc::new(Bench {
        sleep: Sleep::new(2),
        inbox: Flag(loom::sync::atomic::AtomicUsize::new(0)),
        beds: [Bed::new(), Bed::new()],
    })
}

#[test]
fn a_submit_meets_a_search() {
    loom_tests::check("sleep_submit_vs_searcher", 100, || {
        let bench = bench();
        let submitter = Arc::clone(&bench);
        let submitter = thread::spawn(move || submitter.submit());
        bench.take_one(0);
        submitter.join().unwrap();
        assert_eq!(bench.sleep.counts(), (0, 0), "tokens and bits are given back");
    });
}

#[test]
fn two_items_for_two_workers() {
    loom_tests::check("sleep_submit_vs_searcher, two workers", 10_000, || {
        let bench = bench();
        let (first, second) = (Arc::clone(&bench), Arc::clone(&bench));
        let worker = thread::spawn(move || first.take_one(1));
        let submitter = thread::spawn(move || {
            second.submit();
            second.submit();
        });
        bench.take_one(0);
        submitter.join().unwrap();
        worker.join().unwrap();
        assert!(bench.inbox.is_empty());
        assert_eq!(bench.sleep.counts(), (0, 0), "tokens and bits are given back");
    });
}

#[test]
fn a_batch_is_taken_once() {
    loom_tests::check("sleep_submit_vs_searcher, a steal", 6, || {
        let (from, into) = (Arc::new(Locked::new()), Locked::new());
        for item in 0..4 {
            from.put(item);
        }
        let owner = Arc::clone(&from);
        let owner = thread::spawn(move || std::iter::from_fn(|| owner.take()).collect::<Vec<u32>>());
        let mut seen: Vec<u32> = from.steal_into(&into).into_iter().collect();
        seen.extend(std::iter::from_fn(|| into.take()));
        seen.extend(owner.join().unwrap());
        seen.extend(std::iter::from_fn(|| from.take()));
        seen.sort_unstable();
        assert_eq!(seen, [0, 1, 2, 3]);
    });
}
