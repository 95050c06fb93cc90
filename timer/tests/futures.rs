//! `Sleep`, `Timeout` and `Interval` under a manual clock.

#![cfg(not(ramus_loom))]

#[expect(dead_code, reason = "each test binary uses its part")]
mod common;

use common::{Count, poll};
use ramus_timer::{Clock, Elapsed, Interval, ManualClock, MissedTickBehavior, Timer};
use std::cell::Cell;
use std::future::{pending, poll_fn};
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

const SECOND: Duration = Duration::from_secs(1);
/// More than a tick.
const MARGIN: Duration = Duration::from_millis(1);

fn manual() -> (Timer, ManualClock) {
    let (clock, hand) = Clock::manual();
    (Timer::new(clock), hand)
}

#[test]
fn a_sleep_registers_at_its_first_poll_and_completes_once_due() {
    let (timer, hand) = manual();
    let (count, waker) = Count::new();
    let mut sleep = pin!(timer.sleep(SECOND));
    assert!(timer.is_empty());
    assert_eq!(poll(sleep.as_mut(), &waker), Poll::Pending);
    assert_eq!(timer.len(), 1);
    hand.advance(SECOND / 2);
    timer.fire();
    assert_eq!(poll(sleep.as_mut(), &waker), Poll::Pending);
    assert!(!sleep.is_elapsed());
    hand.advance(SECOND);
    assert_eq!(timer.fire(), 1);
    assert_eq!(count.wakes(), 1);
    assert!(sleep.is_elapsed());
    assert_eq!(poll(sleep.as_mut(), &waker), Poll::Ready(()));
    assert_eq!(poll(sleep.as_mut(), &waker), Poll::Ready(()), "it stays complete");
}

// Fault F6: zero completes at once, a nanosecond does not.
#[test]
fn the_shortest_sleeps() {
    let (timer, hand) = manual();
    assert_eq!(poll(pin!(timer.sleep(Duration::ZERO)), Waker::noop()), Poll::Ready(()));
    assert_eq!(poll(pin!(timer.sleep_until(timer.now())), Waker::noop()), Poll::Ready(()));
    let mut sleep = pin!(timer.sleep(Duration::from_nanos(1)));
    assert_eq!(poll(sleep.as_mut(), Waker::noop()), Poll::Pending);
    timer.fire();
    assert_eq!(poll(sleep.as_mut(), Waker::noop()), Poll::Pending);
    hand.advance(MARGIN);
    timer.fire();
    assert_eq!(poll(sleep.as_mut(), Waker::noop()), Poll::Ready(()));
}

#[test]
fn the_task_that_polled_last_is_woken() {
    let (timer, hand) = manual();
    let ((first, first_waker), (second, second_waker)) = (Count::new(), Count::new());
    let mut sleep = pin!(timer.sleep(SECOND));
    assert_eq!(poll(sleep.as_mut(), &first_waker), Poll::Pending);
    assert_eq!(poll(sleep.as_mut(), &second_waker), Poll::Pending);
    assert_eq!(timer.len(), 1);
    hand.advance(SECOND * 2);
    assert_eq!(timer.fire(), 1);
    assert_eq!((first.wakes(), second.wakes()), (0, 1));
}

// Fault F4: what was dropped does not fire.
#[test]
fn a_dropped_sleep_is_forgotten() {
    let (timer, hand) = manual();
    let (count, waker) = Count::new();
    let mut sleep = Box::pin(timer.sleep(SECOND));
    assert_eq!(poll(sleep.as_mut(), &waker), Poll::Pending);
    drop(sleep);
    assert!(timer.is_empty());
    hand.advance(SECOND * 2);
    assert_eq!(timer.fire(), 0);
    assert_eq!(count.wakes(), 0);
}

// Fault F4: a reset moves the entry, and one that has fired registers anew.
#[test]
fn a_sleep_is_reset_in_every_phase() {
    let (timer, hand) = manual();
    let (count, waker) = Count::new();
    let start = timer.now();
    let mut sleep = pin!(timer.sleep(SECOND));
    // Before the first poll.
    sleep.as_mut().reset(start + SECOND * 2);
    assert_eq!(sleep.deadline(), start + SECOND * 2);
    assert_eq!(poll(sleep.as_mut(), &waker), Poll::Pending);
    // Registered: later, then earlier, without a poll in between.
    sleep.as_mut().reset(start + SECOND * 9);
    sleep.as_mut().reset(start + SECOND * 4);
    assert_eq!(timer.len(), 1);
    hand.set(start + SECOND * 3);
    assert_eq!(timer.fire(), 0);
    hand.set(start + SECOND * 5);
    assert_eq!(timer.fire(), 1);
    assert_eq!(count.wakes(), 1);
    // Fired, not polled.
    sleep.as_mut().reset(start + SECOND * 7);
    assert!(!sleep.is_elapsed());
    assert_eq!(poll(sleep.as_mut(), &waker), Poll::Pending);
    hand.set(start + SECOND * 8);
    assert_eq!(timer.fire(), 1);
    assert_eq!(poll(sleep.as_mut(), &waker), Poll::Ready(()));
    // Complete: to the past, then to the future.
    sleep.as_mut().reset(start);
    assert_eq!(poll(sleep.as_mut(), &waker), Poll::Ready(()));
    sleep.as_mut().reset(start + SECOND * 10);
    assert_eq!(poll(sleep.as_mut(), &waker), Poll::Pending);
    // Registered, to the past: its task hears of it.
    sleep.as_mut().reset(start);
    assert_eq!(count.wakes(), 3);
    assert!(timer.is_empty());
    assert_eq!(poll(sleep.as_mut(), &waker), Poll::Ready(()));
}

// Fault F12: a reset on a thread that hosts another timer stays with the sleep's own.
#[test]
fn a_sleep_stays_with_its_timer() {
    let ((timer, hand), (other, _)) = (manual(), manual());
    let mut sleep = Box::pin(timer.sleep(SECOND));
    assert_eq!(poll(sleep.as_mut(), Waker::noop()), Poll::Pending);
    let deadline = timer.now() + SECOND * 3;
    let mut sleep = std::thread::spawn(move || {
        sleep.as_mut().reset(deadline);
        sleep
    })
    .join()
    .expect("the other thread only resets");
    assert_eq!((timer.len(), other.len()), (1, 0));
    hand.set(deadline + MARGIN);
    assert_eq!(timer.fire(), 1);
    assert_eq!(poll(sleep.as_mut(), Waker::noop()), Poll::Ready(()));
}

#[test]
fn a_value_wins_over_a_deadline_of_the_past() {
    let (timer, hand) = manual();
    let start = timer.now();
    hand.advance(SECOND);
    let mut timeout = pin!(timer.timeout_at(start, async { 1 }));
    assert_eq!(poll(timeout.as_mut(), Waker::noop()), Poll::Ready(Ok(1)));
    let mut timeout = pin!(timer.timeout_at(start, pending::<()>()));
    assert_eq!(poll(timeout.as_mut(), Waker::noop()), Poll::Ready(Err(Elapsed::new())));
    assert!(timer.is_empty());
}

#[test]
fn a_timeout_expires_and_a_value_comes_in_time() {
    let (timer, hand) = manual();
    let ready = Cell::new(false);
    let (count, waker) = Count::new();
    let mut kept = pin!(timer.timeout(SECOND, poll_fn(|_| if ready.get() { Poll::Ready(5) } else { Poll::Pending })));
    let mut missed = pin!(timer.timeout(SECOND / 2, pending::<()>()));
    assert!(poll(kept.as_mut(), &waker).is_pending());
    assert!(poll(missed.as_mut(), &waker).is_pending());
    assert_eq!(timer.len(), 2);
    hand.advance(SECOND / 2 + MARGIN);
    assert_eq!(timer.fire(), 1);
    assert_eq!(count.wakes(), 1);
    assert!(poll(kept.as_mut(), &waker).is_pending());
    assert_eq!(poll(missed.as_mut(), &waker), Poll::Ready(Err(Elapsed::new())));
    ready.set(true);
    assert_eq!(poll(kept.as_mut(), &waker), Poll::Ready(Ok(5)));
}

#[test]
fn an_elapsed_is_an_io_error() {
    let error = io::Error::from(Elapsed::new());
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert!(error.get_ref().is_some_and(|inner| inner.is::<Elapsed>()));
}

/// Polls for a tick after a turn; the tick in milliseconds after `start`.
fn tick(interval: &mut Interval, timer: &Timer, start: Instant) -> Option<u128> {
    timer.fire();
    match interval.poll_tick(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(due) => Some((due - start).as_millis()),
        Poll::Pending => None,
    }
}

#[test]
fn an_interval_ticks_at_multiples_of_its_period() {
    let (timer, hand) = manual();
    let start = timer.now();
    let mut interval = timer.interval(SECOND);
    for second in 0..5 {
        assert_eq!(tick(&mut interval, &timer, start), Some(second * 1000));
        assert_eq!(tick(&mut interval, &timer, start), None);
        // A little late each time: that adds up to nothing.
        hand.set(start + SECOND * (second as u32 + 1) + MARGIN);
    }
}

// Fault F14: each policy as its table says.
#[test]
fn missed_ticks_follow_the_policy() {
    let cases = [
        (MissedTickBehavior::Burst, [3000, 4000, 5000]),
        (MissedTickBehavior::Delay, [5500, 6500, 7500]),
        (MissedTickBehavior::Skip, [5000, 6000, 7000]),
    ];
    for (missed, expected) in cases {
        let (timer, hand) = manual();
        let start = timer.now();
        let mut interval = timer.interval_at(start + SECOND * 2, SECOND);
        interval.set_missed_tick_behavior(missed);
        assert_eq!(tick(&mut interval, &timer, start), None);
        hand.set(start + Duration::from_millis(4500));
        assert_eq!(tick(&mut interval, &timer, start), Some(2000));
        for due in expected {
            if due > 4500 {
                assert_eq!(tick(&mut interval, &timer, start), None, "{missed:?}: {due} comes early");
                hand.set(start + Duration::from_millis(due) + MARGIN);
            }
            assert_eq!(tick(&mut interval, &timer, start), Some(u128::from(due)), "{missed:?}");
        }
    }
}

#[test]
fn an_endless_period_ticks_once() {
    let (timer, hand) = manual();
    let start = timer.now();
    let mut interval = timer.interval(Duration::MAX);
    assert_eq!(tick(&mut interval, &timer, start), Some(0));
    hand.advance(Duration::from_secs(1 << 33));
    assert_eq!(tick(&mut interval, &timer, start), None);
}

#[test]
#[should_panic(expected = "must not be zero")]
fn a_period_of_zero_is_refused() {
    let _ = manual().0.interval(Duration::ZERO);
}
