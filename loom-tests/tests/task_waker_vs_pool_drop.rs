//! L7: a foreign waker against the end of its task by shutdown.
//!
//! Property: a waker may be used and dropped while, and after, the scheduler drains: it meets a live cell, or the last
//! words of one, never freed memory; the task is not run again; the cell is freed exactly once, whoever is last.
//! Threads: a runner that drains after the cancel of the root scope, a foreign thread with a waker by value, one with a
//! waker by reference.
//! Bound: 2 preemptions.
//! Planted fault: giving up a reference orders nothing, so the cell is freed while another thread is still in its words.

#![cfg(ramus_loom)]

mod task_bench;

use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use loom::thread;
use task_bench::bench;

#[test]
fn foreign_wakers_and_a_shutdown() {
    loom_tests::check("task_waker_vs_pool_drop", 500, || {
        let (queue, root) = bench();
        let slot: Arc<Mutex<Option<Waker>>> = Arc::default();
        let handle = {
            let slot = Arc::clone(&slot);
            root.handle().spawn(std::future::poll_fn(move |cx| {
                slot.lock().unwrap().get_or_insert_with(|| cx.waker().clone());
                Poll::<()>::Pending
            }))
        };
        drop(handle);
        queue.run_once();
        let waker = slot.lock().unwrap().take().expect("the first poll left it");

        let by_reference = {
            let waker = waker.clone();
            thread::spawn(move || waker.wake_by_ref())
        };
        let by_value = thread::spawn(move || waker.wake());
        root.handle().cancel("shutdown");
        queue.run_to_the_end();
        by_reference.join().unwrap();
        by_value.join().unwrap();
    });
}
