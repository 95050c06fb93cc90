//! L21: the expiry of a deadline against an explicit cancel, with somebody who waits for either.
//!
//! Property: the reason is that of the first, the other one's is kept as a later one, and the waiter is woken once.
//! Threads: the timer, a canceller, the waiter (main). Bound: 2 preemptions.
//! Planted fault: the expiry puts its reason in the place of the first one.
#![cfg(ramus_loom)]

mod scope_clock;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};
use std::time::Instant;

use loom::thread;
use ramus_scope::{ReasonKind, Root};
use scope_clock::Clock;

/// Counts wakes, with an atomic that loom does not see: it lends no ordering to the model.
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn the_reason_is_the_first_and_there_is_one_wake() {
    loom_tests::check("scope_deadline_vs_cancel", 15, || {
        let clock = Clock::default();
        let root = Root::new(clock.clone(), "root");
        root.handle().set_deadline(Instant::now()).unwrap();
        let due = clock.take_due();
        let wakes = Arc::new(Wakes(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&wakes));
        let mut cx = Context::from_waker(&waker);
        let mut waiter = pin!(root.handle().cancelled());
        assert!(waiter.as_mut().poll(&mut cx).is_pending());
        let handle = root.handle().clone();
        let timer = thread::spawn(move || due.wake());
        let canceller = thread::spawn(move || handle.cancel("now"));
        let was_first = canceller.join().unwrap();
        timer.join().unwrap();
        assert!(waiter.as_mut().poll(&mut cx).is_ready());
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
        let (first, second) = match was_first {
            true => (ReasonKind::User, ReasonKind::Deadline),
            false => (ReasonKind::Deadline, ReasonKind::User),
        };
        assert_eq!(root.handle().reason().unwrap().kind(), first);
        let later: Vec<_> = root.handle().later_reasons().iter().map(|reason| reason.kind()).collect();
        assert_eq!(later, [second]);
        assert!(root.handle().set_deadline(None).unwrap_err().is_elapsed(), "it latches, first or not");
        root.close();
    });
}
