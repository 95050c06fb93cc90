//! Real time: a timer on its own thread under executors made by hand.

#![cfg(not(ramus_loom))]

#[expect(dead_code, reason = "each test binary uses its part")]
mod common;

use common::block_on;
use ramus_timer::{Drive, Timer};
use std::future::pending;
use std::task::Waker;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

fn hosted() -> (Timer, JoinHandle<()>) {
    let drive = Drive::new();
    (drive.timer().clone(), thread::spawn(move || drive.run()))
}

fn close(timer: &Timer, host: JoinHandle<()>) {
    let mut wakes = Vec::new();
    timer.close(&mut wakes);
    wakes.into_iter().for_each(Waker::wake);
    host.join().expect("the host ends when its timer is closed");
}

// Fault F6: on the real clock too, short sleeps are not early.
#[test]
fn sleeps_are_never_early() {
    let (timer, host) = hosted();
    let tasks: Vec<_> = (0..4)
        .map(|task| {
            let timer = timer.clone();
            thread::spawn(move || {
                for round in 0..50 {
                    let wanted = Duration::from_micros(37 * (task * 50 + round));
                    let start = Instant::now();
                    block_on(timer.sleep(wanted));
                    assert!(start.elapsed() >= wanted);
                }
            })
        })
        .collect();
    tasks.into_iter().for_each(|task| task.join().expect("no sleep is early"));
    assert!(timer.is_empty());
    close(&timer, host);
}

// Fault F3: an insertion that is earlier than what the host waits for is not missed.
#[test]
fn an_earlier_sleep_interrupts_the_host() {
    let (timer, host) = hosted();
    let _far = timer.alarm(timer.now() + Duration::from_secs(3600), Waker::noop().clone());
    for _ in 0..200 {
        block_on(timer.sleep(Duration::from_micros(300)));
    }
    close(&timer, host);
}

#[test]
fn timeouts_and_intervals_run() {
    let (timer, host) = hosted();
    block_on(async {
        assert!(timer.timeout(Duration::from_millis(2), pending::<()>()).await.is_err());
        assert_eq!(timer.timeout(Duration::from_secs(3600), async { 4 }).await, Ok(4));
        let mut interval = timer.interval(Duration::from_millis(1));
        let first = interval.tick().await;
        let second = interval.tick().await;
        assert_eq!(second - first, Duration::from_millis(1));
    });
    close(&timer, host);
}

#[test]
fn closing_ends_a_long_sleep() {
    let (timer, host) = hosted();
    let sleeper = {
        let timer = timer.clone();
        thread::spawn(move || block_on(timer.sleep(Duration::from_secs(3600))))
    };
    while timer.is_empty() {
        thread::yield_now();
    }
    close(&timer, host);
    sleeper.join().expect("the sleep ends");
}
