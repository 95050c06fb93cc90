//! A scope whose future is dropped half-way (D28): its last member against its adoption and its adopter's exit.
//!
//! Property: the adopter exits after the last member of the adopted scope has ended, and it does exit.
//! Threads: the member, the poller of the adopter (main). Bound: 2 preemptions.
//! Planted fault: a scope that has drained meanwhile is adopted all the same, and never says that it has drained.
//! Covers: D28.
#![cfg(ramus_loom)]

mod scope_bench;

use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::task::Poll;

use loom::future::block_on;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;
use ramus_scope::{Root, Scope, scope};
use scope_bench::Bench;

#[test]
fn the_last_member_of_a_draining_scope() {
    loom_tests::check("scope_adopted_vs_exit", 20, || dropped_half_way(false));
}

#[test]
fn the_last_member_of_an_open_scope() {
    loom_tests::check("scope_adopted_vs_exit: open", 20, || dropped_half_way(true));
}

fn dropped_half_way(in_body: bool) {
    let root = Root::new(Bench, "root");
    let ended = Arc::new(AtomicBool::new(false));
    let mark = Arc::clone(&ended);
    let (member, thread) = (std::sync::Arc::new(std::sync::Mutex::new(None)), std::sync::Arc::default());
    let (out, started) = (std::sync::Arc::clone(&member), std::sync::Arc::clone(&thread));
    let task = root.handle().spawn(scope(move |_: Scope<Bench>| async move {
        {
            let mut inner = pin!(scope(move |s: Scope<Bench>| async move {
                *out.lock().unwrap() = s.admit().ok();
                if in_body {
                    pending::<()>().await;
                }
                Ok(())
            }));
            poll_fn(|cx| {
                assert!(inner.as_mut().poll(cx).is_pending());
                Poll::Ready(())
            })
            .await;
            let member = member.lock().unwrap().take();
            let job = thread::spawn(move || {
                mark.store(true, Ordering::Relaxed);
                drop(member);
            });
            *std::sync::Mutex::lock(&started).unwrap() = Some(job);
        }
        Ok(())
    }));
    let answer = block_on(task).unwrap();
    assert!(ended.load(Ordering::Relaxed), "the member came first, and what it did is seen");
    assert!(answer.is_ok(), "a subtree that the body dropped does not count as cut");
    let job: loom::thread::JoinHandle<()> = thread.lock().unwrap().take().unwrap();
    job.join().unwrap();
    root.close();
    assert_eq!(root.handle().live(), 0);
}
