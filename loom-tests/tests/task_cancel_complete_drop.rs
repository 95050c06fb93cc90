//! L9: the end of a task against its cancel and the drop of its handle.
//!
//! Property: there is exactly one outcome; the future is dropped once, and never by the canceller; an output is dropped
//! once, by whoever has it last; the cell is freed once.
//! Threads: a runner, a canceller, a thread that drops the handle (with a waker of its own in it).
//! Bound: 2 preemptions.
//! Planted fault: a handle that is dropped after the end takes itself for detached: the output and the cell are leaked.

#![cfg(ramus_loom)]

mod task_bench;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc as Plain;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, Wake, Waker};

use loom::sync::Arc;
use loom::thread;
use task_bench::bench;

/// Counters that the model does not see, so that they order nothing.
#[derive(Default)]
struct Counts {
    futures: AtomicUsize,
    outputs_made: AtomicUsize,
    outputs: AtomicUsize,
}

struct Subject(Plain<Counts>);
struct Outcome(Plain<Counts>);

impl Future for Subject {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Outcome> {
        self.0.outputs_made.fetch_add(1, Relaxed);
        Poll::Ready(Outcome(Plain::clone(&self.0)))
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        self.0.futures.fetch_add(1, Relaxed);
    }
}

impl Drop for Outcome {
    fn drop(&mut self) {
        self.0.outputs.fetch_add(1, Relaxed);
    }
}

struct Silent;

impl Wake for Silent {
    fn wake(self: Plain<Self>) {}
}

#[test]
fn a_runner_a_canceller_and_a_dropper() {
    loom_tests::check("task_cancel_complete_drop", 700, || {
        let (queue, root) = bench();
        let counts = Plain::new(Counts::default());
        let mut handle = root.handle().spawn(Subject(Plain::clone(&counts)));
        let silent = Plain::new(Silent);
        let waker = Waker::from(Plain::clone(&silent));
        assert!(Pin::new(&mut handle).poll(&mut Context::from_waker(&waker)).is_pending());
        drop(waker);

        let handle = Arc::new(handle);
        let canceller = {
            let handle = Arc::clone(&handle);
            thread::spawn(move || handle.cancel("not needed"))
        };
        let dropper = thread::spawn(move || drop(handle));
        queue.run_to_the_end();
        let cancelled = canceller.join().unwrap();
        dropper.join().unwrap();

        let made = counts.outputs_made.load(Relaxed);
        assert_eq!(counts.futures.load(Relaxed), 1);
        assert_eq!(counts.outputs.load(Relaxed), made, "the output");
        assert!(made == 1 || cancelled, "neither a value nor a cancel");
        assert_eq!(Plain::strong_count(&silent), 1, "the joiner's waker was leaked");
        assert_eq!(queue.contained(), 0);
    });
}
