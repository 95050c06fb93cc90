//! L8: the end of a task against its joiner.
//!
//! Property: the joiner gets the value, whole and once, whether it asks before, during or after the end; its waker is
//! used once and dropped; the completer does not touch the cell after it has handed it over.
//! Threads: a runner, a joiner that awaits the handle, first with another waker than later, and a thread that wakes the
//! task for its last poll.
//! Bound: 2 preemptions.
//! Planted fault: the sight of `COMPLETE` does not acquire the output.

#![cfg(ramus_loom)]

mod task_bench;

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use loom::sync::Notify;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;
use task_bench::bench;

/// Counts wakes with an atomic that the model does not see.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Wakes a thread of the model.
struct Bell(Notify);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.notify();
    }
}

#[test]
fn a_runner_a_joiner_and_a_waker() {
    loom_tests::check("task_complete_vs_join", 10_000, || {
        let (queue, root) = bench();
        let (awaited, slot) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(None::<Waker>)));
        let handle = {
            let (awaited, slot) = (Arc::clone(&awaited), Arc::clone(&slot));
            root.handle().spawn(std::future::poll_fn(move |cx| {
                slot.lock().unwrap().get_or_insert_with(|| cx.waker().clone());
                if awaited.load(Ordering::Relaxed) { Poll::Ready(Box::new(42)) } else { Poll::Pending }
            }))
        };
        queue.run_once();
        let waker = slot.lock().unwrap().take().expect("the first poll left it");
        let finisher = thread::spawn(move || {
            awaited.store(true, Ordering::Relaxed);
            waker.wake();
        });
        let joiner = thread::spawn(move || {
            let mut handle = pin!(handle);
            let count = Arc::new(Count::default());
            let early = Waker::from(Arc::clone(&count));
            let bell = Arc::new(Bell(Notify::new()));
            let late = Waker::from(Arc::clone(&bell));
            let mut polled = handle.as_mut().poll(&mut Context::from_waker(&early));
            drop(early);
            let value = loop {
                match polled {
                    Poll::Ready(value) => break value,
                    Poll::Pending => polled = handle.as_mut().poll(&mut Context::from_waker(&late)),
                }
                if polled.is_pending() {
                    bell.0.wait();
                }
            };
            assert_eq!(*value.unwrap(), 42);
            count
        });
        queue.run_to_the_end();
        finisher.join().unwrap();
        let count = joiner.join().unwrap();
        assert_eq!(Arc::strong_count(&count), 1, "a waker of the joiner was leaked");
        assert!(count.0.load(Ordering::Relaxed) <= 1);
        assert_eq!(queue.contained(), 0);
    });
}
