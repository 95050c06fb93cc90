//! L17. A sleep is dropped, reset or polled by another task while its timer is turned.
//!
//! Property: once a drop has returned, no turn finds the entry; once a reset has returned, the sleep does not complete
//! before its new deadline and is fired at it; the waker of the last pending poll is woken; every entry and every waker is
//! freed exactly once.
//!
//! Threads: the owner and one or two that turn the timer (a worker and its neighbour). Under loom a turn makes one step
//! of the wheel, and several entries share the tick, so that turns stop half-way. Bound: 2 preemptions.
//!
//! Planted fault: a turn that stops half-way says that everything at its tick has fired, so that a dropped sleep leaves
//! its entry behind.

#![cfg(ramus_loom)]

use loom::thread;
use ramus_timer::{Clock, Sleep, Timer};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

const TICK: Duration = Duration::from_nanos(1 << 17);

/// A waker that counts. It lends no ordering: its counter is not loom's.
#[derive(Default)]
struct Count(AtomicUsize);

impl Count {
    fn wakes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn poll(sleep: &mut Sleep, count: &Arc<Count>) -> Poll<()> {
    let waker = Waker::from(Arc::clone(count));
    Pin::new(sleep).poll(&mut Context::from_waker(&waker))
}

/// A thread that fires what is due.
fn turner(timer: &Timer) -> thread::JoinHandle<usize> {
    let timer = timer.clone();
    thread::spawn(move || timer.fire())
}

#[test]
fn drop_vs_fire() {
    loom_tests::check("timer_fire_cancel_reset/drop", 200, || {
        let (clock, hand) = Clock::manual();
        let timer = Timer::new(clock);
        let deadline = timer.now() + TICK;
        let (first, second) = (Arc::new(Count::default()), Arc::new(Count::default()));
        // Around the one that is dropped: whatever the order within a tick, a turn can stop half-way before it.
        let mut companions = [timer.sleep_until(deadline), timer.sleep_until(deadline)];
        assert!(poll(&mut companions[0], &first).is_pending());
        let mut sleep = timer.sleep_until(deadline);
        assert!(poll(&mut sleep, &second).is_pending());
        assert!(poll(&mut companions[1], &first).is_pending());
        hand.set(deadline);

        let turners = [turner(&timer), turner(&timer)];
        drop(sleep);
        // A turner may have collected its waker already, but no turn from here on finds its entry.
        let mut wakes = Vec::new();
        while timer.turn(deadline, &mut wakes) {}
        let mut fired = wakes.len();
        // No loom operation in between: nobody else wakes it meanwhile.
        let before = second.wakes();
        wakes.into_iter().for_each(Waker::wake);
        assert_eq!(second.wakes(), before, "fired after its drop returned");
        fired += turners.into_iter().map(|turner| turner.join().expect("a turner only fires")).sum::<usize>();
        assert!(timer.is_empty());
        assert_eq!(first.wakes(), 2, "each companion fires exactly once");
        assert_eq!(fired, 2 + second.wakes());
        assert!(second.wakes() <= 1);
        assert!(companions.iter_mut().all(|companion| poll(companion, &first).is_ready()));
        assert_eq!((Arc::strong_count(&first), Arc::strong_count(&second)), (1, 1), "a waker is left");
    });
}

#[test]
fn reset_vs_fire() {
    loom_tests::check("timer_fire_cancel_reset/reset", 150, || {
        let (clock, hand) = Clock::manual();
        let timer = Timer::new(clock);
        let start = timer.now();
        let count = Arc::new(Count::default());
        let mut sleep = timer.sleep_until(start + TICK);
        assert!(poll(&mut sleep, &count).is_pending());
        hand.set(start + TICK * 5);

        let turners = [turner(&timer), turner(&timer)];
        Pin::new(&mut sleep).reset(start + TICK * 9);
        assert!(poll(&mut sleep, &count).is_pending(), "before its new deadline");
        let early: usize = turners.into_iter().map(|turner| turner.join().expect("a turner only fires")).sum();
        assert!(early <= 1, "the old deadline fires at most once");
        assert_eq!(timer.len(), 1);
        assert!(poll(&mut sleep, &count).is_pending(), "before its new deadline");

        hand.set(start + TICK * 9);
        assert_eq!(timer.fire(), 1, "the new deadline fires");
        assert_eq!(count.wakes(), early + 1);
        assert!(poll(&mut sleep, &count).is_ready());
        drop(sleep);
        assert!(timer.is_empty());
        assert_eq!(Arc::strong_count(&count), 1, "a waker is left");
    });
}

#[test]
fn another_task_vs_fire() {
    loom_tests::check("timer_fire_cancel_reset/waker", 15, || {
        let (clock, hand) = Clock::manual();
        let timer = Timer::new(clock);
        let deadline = timer.now() + TICK;
        let (first, second) = (Arc::new(Count::default()), Arc::new(Count::default()));
        let mut sleep = timer.sleep_until(deadline);
        assert!(poll(&mut sleep, &first).is_pending());
        hand.set(deadline);

        let turner = turner(&timer);
        let pending = poll(&mut sleep, &second).is_pending();
        assert_eq!(turner.join().expect("the turner only fires"), 1);
        assert_eq!(second.wakes() == 1, pending, "the last pending poll's waker is the one that is woken");
        assert_eq!(first.wakes() + second.wakes(), 1);
        assert!(poll(&mut sleep, &second).is_ready());
        drop(sleep);
        assert!(timer.is_empty());
        assert_eq!((Arc::strong_count(&first), Arc::strong_count(&second)), (1, 1), "a waker is left");
    });
}
