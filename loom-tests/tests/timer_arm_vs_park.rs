//! L16. A host parks while others register.
//!
//! Property: whatever is registered or reset to before the deadline that the parked host waits for, the host hears of: it
//! either sees the entry's deadline when it parks or is notified. A missed notice blocks the host for good, which loom
//! reports as a deadlock.
//!
//! Threads: the host, one that registers an alarm, one that resets a registered sleep. Bound: 2 preemptions.
//!
//! Planted fault: the host reads the next deadline in one critical section and publishes it in another.

#![cfg(ramus_loom)]

use loom::sync::{Arc, Notify};
use loom::thread;
use ramus_timer::{Clock, Timer};
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Duration;

const TICK: Duration = Duration::from_nanos(1 << 17);

#[test]
fn timer_arm_vs_park() {
    loom_tests::check("timer_arm_vs_park", 150, || {
        let bell = Arc::new(Notify::new());
        let rope = Arc::clone(&bell);
        let timer = Timer::with_notify(Clock::manual().0, move || rope.notify());
        let start = timer.now();
        let mut sleep = timer.sleep_until(start + TICK * 50);
        let mut cx = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut sleep).poll(&mut cx).is_pending());

        let inserter = {
            let timer = timer.clone();
            thread::spawn(move || timer.alarm(start + TICK * 10, Waker::noop().clone()))
        };
        let resetter = thread::spawn(move || {
            Pin::new(&mut sleep).reset(start + TICK * 5);
            sleep
        });

        // The clock stands: the host waits for the reset, not for time. The deadlines lie on the lowest level, so the
        // wheel names them exactly.
        let mut seen = Vec::new();
        loop {
            let until = timer.park().expect("the sleep is registered all the time");
            seen.push(until);
            if until == start + TICK * 5 {
                // The alarm may still be missing; it is later, so nothing need be told about it.
                break;
            }
            bell.wait();
            timer.unpark();
        }
        assert!(seen.is_sorted_by(|before, after| before >= after), "the deadline only ever comes nearer");
        let alarm = inserter.join().expect("the inserter only registers");
        let sleep = resetter.join().expect("the resetter only resets");
        assert_eq!(timer.len(), 2);
        drop((alarm, sleep));
        assert!(timer.is_empty());
    });
}
