//! L6: two wakers against the run of a task.
//!
//! Property: a wake is never lost, also when another one made the task run; what a waker wrote before its wake is seen by
//! a poll after it; there is never a second runnable; every reference is given back.
//! Threads: a runner, a thread that wakes by value and runs the task itself if it can, a thread that wakes by reference.
//! Bound: 2 preemptions.
//! Planted fault: a wake that does not release. The poll caused by one waker then misses what the other one wrote, and
//! the task waits for ever.

#![cfg(ramus_loom)]

mod task_bench;

use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use loom::sync::atomic::AtomicBool;
use loom::sync::atomic::Ordering::Relaxed;
use loom::thread;
use task_bench::bench;

#[test]
fn two_wakers_and_a_runner() {
    loom_tests::check("task_wake_run", 700, || {
        let (queue, root) = bench();
        // Relaxed flags: only the wakes may order them.
        let flags = Arc::new([AtomicBool::new(false), AtomicBool::new(false)]);
        let slot: Arc<Mutex<Option<Waker>>> = Arc::default();
        let handle = {
            let (flags, slot) = (Arc::clone(&flags), Arc::clone(&slot));
            root.handle().spawn(std::future::poll_fn(move |cx| {
                slot.lock().unwrap().get_or_insert_with(|| cx.waker().clone());
                if flags.iter().all(|flag| flag.load(Relaxed)) { Poll::Ready(()) } else { Poll::Pending }
            }))
        };
        drop(handle);
        queue.run_once();
        let waker = slot.lock().unwrap().clone().expect("the first poll left it");

        let by_value = {
            let (flags, waker) = (Arc::clone(&flags), waker.clone());
            thread::spawn(move || {
                flags[0].store(true, Relaxed);
                waker.wake();
                queue.run_once();
            })
        };
        let by_reference = thread::spawn(move || {
            flags[1].store(true, Relaxed);
            waker.wake_by_ref();
        });
        queue.run_to_the_end();
        by_value.join().unwrap();
        by_reference.join().unwrap();
        drop(slot.lock().unwrap().take());
    });
}
