//! A deadline that moves against its expiry and the exit of its scope (D12).
//!
//! Property: a deadline that was moved in time does not cancel the scope, although its alarm was on its way; one that passed
//! latches; a scope that has ended says so and keeps no alarm.
//! Threads: the timer, the mover, the poller (main). Bound: 2 preemptions.
//! Planted fault: an alarm does not look whether the deadline has moved since it was set.
#![cfg(ramus_loom)]

mod scope_clock;

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use loom::future::block_on;
use loom::thread;
use ramus_scope::{Builder, Root, Scope, ScopeError, ScopeHandle};
use scope_clock::Clock;

fn model(name: &str, floor: usize, to: Option<Instant>) {
    loom_tests::check(name, floor, move || {
        let clock = Clock::default();
        let root = Root::new(clock.clone(), "root");
        let slot = Arc::new(Mutex::new(None::<ScopeHandle<Clock>>));
        let opened = Arc::clone(&slot);
        let scope = Builder::new().deadline(Instant::now()).open(move |s: Scope<Clock>| {
            *opened.lock().unwrap() = Some((*s).clone());
            let mut polled = false;
            async move {
                std::future::poll_fn(|_| {
                    if std::mem::replace(&mut polled, true) { Poll::Ready(()) } else { Poll::Pending }
                })
                .await;
                Ok(())
            }
        });
        let Ok(member) = root.handle().member(scope) else { panic!("the root is open") };
        let mut task = Box::pin(member.into_future());
        // It comes to rest, and its alarm is set.
        assert!(task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let due = clock.take_due();
        let handle = slot.lock().unwrap().take().unwrap();
        let mover = handle.clone();
        let timer = thread::spawn(move || due.wake());
        let mover = thread::spawn(move || mover.set_deadline(to));
        let result: Result<(), ScopeError> = block_on(task).unwrap();
        timer.join().unwrap();
        match (mover.join().unwrap(), result) {
            (Ok(()), Ok(())) => assert!(handle.reason().is_none(), "it was moved in time"),
            (Ok(()), Err(error)) => panic!("moved in time, and cancelled: {error:?}"),
            (Err(error), Ok(())) => assert!(error.is_closed() || error.is_elapsed()),
            (Err(error), Err(result)) => assert!(error.is_closed() || (error.is_elapsed() && result.is_elapsed())),
        }
        assert!(handle.set_deadline(None).unwrap_err().is_closed());
        assert_eq!(clock.alarms(), 0);
        root.close();
        assert_eq!(root.handle().live(), 0);
    });
}

#[test]
fn a_deadline_taken_away() {
    model("scope_deadline_move", 100, None);
}

#[test]
fn a_deadline_set_anew() {
    model("scope_deadline_move: set anew", 100, Some(Instant::now()));
}
