//! The timer under a manual clock: ticks, turns, parking, closing.

#![cfg(not(ramus_loom))]

#[expect(dead_code, reason = "each test binary uses its part")]
mod common;

use common::{Count, poll};
use ramus_timer::{Alarm, Clock, Timer};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, Wake, Waker};
use std::time::Duration;

const TICK: Duration = Duration::from_nanos(1 << 17);
const NANO: Duration = Duration::from_nanos(1);

#[test]
fn handles_are_send_and_sync() {
    fn check<T: Send + Sync + Unpin + 'static>() {}
    check::<Timer>();
    check::<Alarm>();
    check::<Clock>();
    check::<ramus_timer::Sleep>();
    check::<ramus_timer::Interval>();
    check::<ramus_timer::Timeout<std::future::Pending<()>>>();
}

// Fault F6: a deadline rounds up to a tick, the present down; neither early nor later than a tick.
#[test]
fn fires_within_a_tick_and_never_early() {
    for nanos in [1, 2, 999, (1 << 17) - 1, 1 << 17, (1 << 17) + 1, 1_000_000, 123_456_789] {
        let (clock, hand) = Clock::manual();
        let timer = Timer::new(clock);
        let (count, waker) = Count::new();
        let deadline = timer.now() + Duration::from_nanos(nanos);
        let _alarm = timer.alarm(deadline, waker);
        hand.set(deadline - NANO);
        assert_eq!(timer.fire(), 0, "{nanos} ns: early");
        assert!(timer.next_deadline().is_some_and(|next| next > timer.now()), "{nanos} ns: the host would spin");
        hand.set(deadline + TICK);
        assert_eq!(timer.fire(), 1, "{nanos} ns: late");
        assert_eq!(count.wakes(), 1);
    }
}

#[test]
fn a_host_that_follows_the_deadlines_is_on_time() {
    let (clock, hand) = Clock::manual();
    let timer = Timer::new(clock);
    let (count, waker) = Count::new();
    let deadline = timer.now() + Duration::from_secs(86_400);
    let _alarm = timer.alarm(deadline, waker);
    let mut naps = 0;
    while let Some(until) = timer.park() {
        hand.set(until);
        timer.unpark();
        timer.fire();
        naps += 1;
    }
    assert_eq!(count.wakes(), 1);
    assert!(timer.now() >= deadline && timer.now() < deadline + TICK);
    assert!(naps <= 9, "{naps} wake-ups for one deadline");
}

// Fault F2: nothing overflows, and what is beyond the end of time just waits.
#[test]
fn endless_durations_wait() {
    let (clock, hand) = Clock::manual();
    let timer = Timer::new(clock);
    let (count, waker) = Count::new();
    let mut forever = pin!(timer.sleep(Duration::MAX));
    assert_eq!(poll(forever.as_mut(), &waker), Poll::Pending);
    let mut ages = pin!(timer.sleep(Duration::from_secs(u64::MAX / 4)));
    assert_eq!(poll(ages.as_mut(), &waker), Poll::Pending);
    assert_eq!(timer.len(), 2);
    assert!(timer.park().is_some_and(|until| until > timer.now() + Duration::from_secs(1 << 32)));
    timer.unpark();
    hand.advance(Duration::from_secs(500 * 365 * 86_400));
    assert_eq!(timer.fire(), 0);
    hand.advance(Duration::MAX);
    assert_eq!(timer.fire(), 0);
    assert_eq!(count.wakes(), 0);
}

// Fault F5: a deadline that the timer has passed already.
#[test]
fn an_alarm_of_the_past_wakes_at_once() {
    let (clock, hand) = Clock::manual();
    let timer = Timer::new(clock);
    let start = timer.now();
    hand.advance(Duration::from_secs(1));
    assert_eq!(timer.fire(), 0);
    let (count, waker) = Count::new();
    let _alarm = timer.alarm(start, waker.clone());
    assert_eq!(count.wakes(), 1);
    assert!(timer.is_empty());
    // Just passed, but the timer has not been turned since: the next turn fires it.
    hand.advance(Duration::from_secs(1));
    let _alarm = timer.alarm(timer.now() - TICK, waker);
    assert!(timer.next_deadline().is_some_and(|next| next <= timer.now()));
    assert_eq!(timer.fire(), 1);
    assert_eq!(count.wakes(), 2);
}

// Fault F8: a clock that goes back neither fires twice nor stops the timer.
#[test]
fn a_clock_that_goes_back_is_survived() {
    let (clock, hand) = Clock::manual();
    let timer = Timer::new(clock);
    let start = timer.now();
    let (count, waker) = Count::new();
    let _first = timer.alarm(start + Duration::from_secs(10), waker.clone());
    let _second = timer.alarm(start + Duration::from_secs(20), waker.clone());
    hand.set(start + Duration::from_secs(15));
    assert_eq!(timer.fire(), 1);
    hand.set(start);
    assert_eq!(timer.fire(), 0);
    let _third = timer.alarm(start + Duration::from_secs(17), waker);
    hand.set(start + Duration::from_secs(18));
    assert_eq!(timer.fire(), 1);
    hand.set(start + Duration::from_secs(21));
    assert_eq!(timer.fire(), 1);
    assert_eq!(count.wakes(), 3);
}

// Fault F10: equal deadlines are handed out in batches.
#[test]
fn a_turn_is_bounded() {
    const ENTRIES: usize = 100_000;
    let (clock, hand) = Clock::manual();
    let timer = Timer::new(clock);
    let deadline = timer.now() + Duration::from_millis(1);
    let alarms: Vec<Alarm> = (0..ENTRIES).map(|_| timer.alarm(deadline, Waker::noop().clone())).collect();
    hand.advance(Duration::from_millis(2));
    let (mut wakes, mut total) = (Vec::new(), 0);
    loop {
        let more = timer.turn(timer.now(), &mut wakes);
        assert!(wakes.len() <= 256);
        total += wakes.len();
        wakes.clear();
        if !more {
            break;
        }
    }
    assert_eq!(total, ENTRIES);
    drop(alarms);
    assert!(timer.is_empty());
}

/// A timer whose notices are counted.
fn counted() -> (Timer, Arc<AtomicUsize>) {
    let notices = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&notices);
    let timer = Timer::with_notify(Clock::manual().0, move || {
        counter.fetch_add(1, Ordering::SeqCst);
    });
    (timer, notices)
}

// Fault F3: exactly the insertions that the parked host does not cover are told to it.
#[test]
fn a_parked_host_hears_of_earlier_insertions_only() {
    let (timer, notices) = counted();
    let told = || notices.load(Ordering::SeqCst);
    let alarm = |secs| timer.alarm(timer.now() + Duration::from_secs(secs), Waker::noop().clone());
    let _awake = alarm(100);
    assert_eq!(told(), 0, "the host is awake");
    assert!(timer.park().is_some());
    let _later = alarm(200);
    assert_eq!(told(), 0);
    let _earlier = alarm(50);
    assert_eq!(told(), 1);
    let _covered = alarm(60);
    assert_eq!(told(), 1, "the host comes back before that");
    let _still_earlier = alarm(10);
    assert_eq!(told(), 2);
    timer.unpark();
    let _awake = alarm(1);
    assert_eq!(told(), 2);
}

#[test]
fn a_reset_to_an_earlier_deadline_is_told_to_a_parked_host() {
    let (timer, notices) = counted();
    let mut sleep = pin!(timer.sleep(Duration::from_secs(100)));
    assert!(poll(sleep.as_mut(), Waker::noop()).is_pending());
    assert!(timer.park().is_some());
    sleep.as_mut().reset(timer.now() + Duration::from_secs(200));
    assert_eq!(notices.load(Ordering::SeqCst), 0);
    sleep.as_mut().reset(timer.now() + Duration::from_secs(1));
    assert_eq!(notices.load(Ordering::SeqCst), 1);
}

#[test]
fn closing_completes_everything() {
    let (timer, notices) = counted();
    let (count, waker) = Count::new();
    let mut sleep = pin!(timer.sleep(Duration::from_secs(100)));
    assert!(poll(sleep.as_mut(), &waker).is_pending());
    let mut endless = pin!(timer.sleep(Duration::MAX));
    assert!(poll(endless.as_mut(), &waker).is_pending());
    let alarm = timer.alarm(timer.now() + Duration::from_secs(1), waker.clone());
    assert!(timer.park().is_some());

    let mut wakes = Vec::new();
    timer.close(&mut wakes);
    assert_eq!((wakes.len(), notices.load(Ordering::SeqCst)), (3, 1));
    assert!(timer.is_closed() && timer.is_empty());
    assert_eq!(timer.park(), None);
    assert_eq!(poll(sleep.as_mut(), &waker), Poll::Ready(()));
    assert_eq!(poll(endless.as_mut(), &waker), Poll::Ready(()));

    // What comes later completes at once.
    let mut late = pin!(timer.sleep(Duration::from_secs(1)));
    assert_eq!(poll(late.as_mut(), &waker), Poll::Ready(()));
    late.as_mut().reset(timer.now() + Duration::from_secs(5));
    assert_eq!(poll(late.as_mut(), &waker), Poll::Ready(()));
    let _late = timer.alarm(timer.now() + Duration::from_secs(1), waker.clone());
    assert_eq!(count.wakes(), 1);
    assert!(!timer.turn(timer.now(), &mut wakes));
    timer.close(&mut wakes);
    assert_eq!(wakes.len(), 3);
    drop(alarm);
}

/// A waker that uses the timer whenever anything happens to it: under the lock that would be a deadlock.
struct Nosy(Timer);

impl Wake for Nosy {
    fn wake(self: Arc<Self>) {
        assert!(self.0.next_deadline().is_none_or(|next| next > self.0.now()));
    }
}

impl Drop for Nosy {
    fn drop(&mut self) {
        self.0.unpark();
    }
}

// Fault F4: nothing of others runs under the lock.
#[test]
fn wakers_run_and_drop_outside_the_lock() {
    let (clock, hand) = Clock::manual();
    let timer = Timer::new(clock);
    let nosy = || Waker::from(Arc::new(Nosy(timer.clone())));
    let hour = timer.now() + Duration::from_secs(3600);
    let day = timer.now() + Duration::from_secs(86_400);

    drop(timer.alarm(hour, nosy())); // dropped on disarm
    let mut sleep = pin!(timer.sleep_until(hour));
    assert!(poll(sleep.as_mut(), &nosy()).is_pending());
    assert!(poll(sleep.as_mut(), &nosy()).is_pending()); // dropped on replacement
    hand.set(hour + Duration::from_secs(1));
    assert_eq!(timer.fire(), 1); // woken on expiry
    assert!(poll(sleep.as_mut(), &nosy()).is_ready());

    sleep.as_mut().reset(day);
    assert!(poll(sleep.as_mut(), &nosy()).is_pending());
    sleep.as_mut().reset(hour); // woken on a reset to the past
    assert!(timer.is_empty());
    let _past = timer.alarm(hour, nosy()); // woken at once
    let _open = timer.alarm(day, nosy());
    let mut wakes = Vec::new();
    timer.close(&mut wakes);
    wakes.into_iter().for_each(Waker::wake);
}
