//! A boundary kept in a frame that is cut already, which something else than the cancel's walk wakes: the end of its last
//! member. That is another thread's, and it may come while another walk is between marking the same rows and waking them.
//!
//! Property: the task, which polls the boundary no more, ends: whoever wakes it has asked for its poll before.
//! Threads: the last member, the poller (main), and in one model who cancels the task alone. Bound: 2 preemptions.
//! Planted fault: the boundary's waker wakes first and marks then.
//! Covers: rule 5.
#![cfg(ramus_loom)]

mod scope_bench;

use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use loom::future::block_on;
use loom::thread;
use ramus_scope::{Membership, Root, Scope, scope};
use scope_bench::{Bench, Task};

/// A task that has polled a scope, and polled it again after its root was cancelled; then others run `meanwhile`, with what
/// the scope waits for. Ready when the task has ended.
fn ends(mut meanwhile: impl FnMut(&Task<()>, Membership)) {
    let root = Root::new(Bench, "root");
    let member = Arc::default();
    let job: Arc<std::sync::Mutex<Option<Membership>>> = Arc::clone(&member);
    let mut task = root.handle().spawn(async move {
        let mut kept = Box::pin(scope(|s: Scope<Bench>| async move {
            *job.lock().unwrap() = s.admit().ok();
            pending::<()>().await;
        }));
        let mut polls = 0;
        poll_fn(|cx| {
            polls += 1;
            if polls <= 2 {
                assert!(kept.as_mut().poll(cx).is_pending());
            }
            Poll::<()>::Pending
        })
        .await;
    });
    let mut has_begun = false;
    // One waker for all polls: it is the one that the scope knows.
    let answer = block_on(poll_fn(|cx| {
        if !has_begun {
            has_begun = true;
            assert!(Pin::new(&mut task).poll(cx).is_pending());
            assert!(root.handle().cancel("now"));
            assert!(Pin::new(&mut task).poll(cx).is_pending(), "the scope drains");
            let member = member.lock().unwrap().take().unwrap();
            meanwhile(&task, member);
        }
        Pin::new(&mut task).poll(cx)
    }));
    assert!(answer.unwrap_err().is_cancelled());
    root.close();
    block_on(poll_fn(|cx| root.poll_drained(cx)));
    assert_eq!(root.handle().live(), 0);
}

#[test]
fn the_last_member_against_a_poll() {
    loom_tests::check("scope_asking_waker", 20, || {
        ends(|_, member| drop(thread::spawn(move || drop(member))));
    });
}

#[test]
fn the_last_member_against_another_walk() {
    loom_tests::check("scope_asking_waker: walk", 100, || {
        ends(|task, member| {
            let alone = Arc::clone(&task.cancel);
            drop(thread::spawn(move || drop(member)));
            drop(thread::spawn(move || assert!(alone.cancel("alone"))));
        });
    });
}
