//! A slot of a task limit that is handed to a child just as that child is dropped.
//!
//! Property: the slot goes on to the next in the line, whether the one that leaves was still waiting, had been handed the slot
//! or had run; and it runs one child at a time.
//! Threads: a child that holds the slot, one that waits and is dropped, one that waits (main, with the scope). Bound: 2
//! preemptions.
//! Planted fault: a child that leaves with a slot it has not seen yet does not hand it on.
//! Covers: D3, D40.
#![cfg(ramus_loom)]

mod scope_bench;

use std::convert::Infallible;
use std::future::Future;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::task::{Context, Waker};

use loom::future::block_on;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use ramus_scope::{Builder, Scope};
use scope_bench::Bench;

/// What a child does: nobody else may be at it.
async fn alone(running: Arc<AtomicUsize>) {
    assert_eq!(running.fetch_add(1, Ordering::Relaxed), 0);
    running.fetch_sub(1, Ordering::Relaxed);
}

#[test]
fn the_slot_goes_on() {
    loom_tests::check("scope_task_limit", 100, || {
        let scope = Builder::new().task_limit(NonZeroUsize::MIN).open(|s: Scope<Bench, Infallible>| async move {
            let running = Arc::new(AtomicUsize::new(0));
            let first = s.spawn(alone(Arc::clone(&running)));
            let mut second = s.spawn(alone(Arc::clone(&running)));
            let third = s.spawn(alone(running));
            let holder = thread::spawn(move || assert!(block_on(first).is_ok()));
            let leaver = thread::spawn(move || {
                let _ = Pin::new(&mut second).poll(&mut Context::from_waker(Waker::noop()));
                drop(second);
            });
            assert!(third.await.is_ok());
            Ok((holder, leaver))
        });
        let Ok((holder, leaver)) = block_on(scope) else { panic!("the scope failed") };
        holder.join().unwrap();
        leaver.join().unwrap();
    });
}
