//! Readiness of one direction: a newer edge is never cleared, and no waiter sleeps while the direction is ready.
//!
//! Threads: a driver that announces what arrived; one or two operations that take the readiness, "call the kernel" and
//! wait. The kernel is a counter read and written without any ordering, so that what an operation sees of it comes from
//! the readiness alone. A lost edge leaves an operation parked for ever, which loom reports as a deadlock.
//! Bound: 2 preemptions. Planted fault: a waiter looks at the word before it sets its bit, not by the same operation.

#![cfg(ramus_loom)]

use std::sync::Arc as StdArc;
use std::task::{Wake, Waker};

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread::{self, Thread};
use ramus::model::readiness::{Direction, Wait, WaiterId};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: StdArc<Self>) {
        self.0.unpark();
    }
}

fn own_waker() -> Waker {
    Waker::from(StdArc::new(Unpark(thread::current())))
}

struct Socket {
    direction: Direction,
    bytes: AtomicUsize,
}

impl Socket {
    fn new() -> Arc<Self> {
        let socket = Self { direction: Direction::new(), bytes: AtomicUsize::new(0) };
        Arc::new(socket)
    }

    /// The driver: a byte arrives and the event is announced.
    fn arrive(&self) {
        self.bytes.fetch_add(1, Ordering::Relaxed);
        let mut wakes = Vec::new();
        self.direction.set(false, &mut wakes);
        wakes.into_iter().for_each(Waker::wake);
    }

    /// The kernel's answer to a read of at most `most` bytes; 0: would block.
    fn kernel_read(&self, most: usize) -> usize {
        if self.bytes.load(Ordering::Relaxed) == 0 {
            return 0;
        }
        let mut bytes = 0;
        let _ = self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |present| {
            bytes = present.min(most);
            Some(present - bytes)
        });
        bytes
    }

    /// An operation: reads at most `most` bytes and waits until there is one.
    fn read(&self, most: usize) -> usize {
        let waker = own_waker();
        let mut id = WaiterId::unnamed();
        let bytes = loop {
            if self.direction.take() {
                match self.kernel_read(most) {
                    0 => {}
                    bytes => {
                        // Fewer than wanted proves that the kernel is empty.
                        if bytes == most {
                            if let Some(waiters) = self.direction.put_back() {
                                waiters.wake();
                            }
                        }
                        break bytes;
                    }
                }
                continue;
            }
            match self.direction.wait(&mut id, &waker) {
                Wait::Again => {}
                Wait::Registered => thread::park(),
                Wait::Shut => panic!("nobody shuts"),
            }
        };
        self.direction.forget(&id);
        bytes
    }
}

#[test]
fn an_edge_during_the_call_is_kept() {
    loom_tests::check("readiness/edge", 100, || {
        let socket = Socket::new();
        let driver = thread::spawn({
            let socket = socket.clone();
            move || {
                socket.arrive();
                socket.arrive();
            }
        });
        let mut bytes = 0;
        while bytes < 2 {
            bytes += socket.read(3);
        }
        driver.join().unwrap();
        assert_eq!(socket.direction.waiters(), 0);
    });
}

#[test]
fn two_operations_of_one_direction_both_end() {
    loom_tests::check("readiness/two", 5_000, || {
        let socket = Socket::new();
        let driver = thread::spawn({
            let socket = socket.clone();
            move || {
                socket.arrive();
                socket.arrive();
            }
        });
        let other = thread::spawn({
            let socket = socket.clone();
            move || socket.read(1)
        });
        assert_eq!(socket.read(1), 1);
        assert_eq!(other.join().unwrap(), 1);
        driver.join().unwrap();
        assert_eq!(socket.direction.waiters(), 0);
    });
}

#[test]
fn who_waits_again_with_the_same_waker_is_woken() {
    loom_tests::check("readiness/again", 10, || {
        let socket = Socket::new();
        assert!(socket.direction.take());
        let driver = thread::spawn({
            let socket = socket.clone();
            move || {
                socket.arrive();
                socket.arrive();
            }
        });
        let waker = own_waker();
        let mut id = WaiterId::unnamed();
        let mut bytes = 0;
        while bytes < 2 {
            if socket.direction.take() {
                bytes += socket.kernel_read(3);
                continue;
            }
            // As a task that is polled for another reason while it waits.
            let _first = socket.direction.wait(&mut id, &waker);
            if let Wait::Registered = socket.direction.wait(&mut id, &waker) {
                thread::park();
            }
        }
        socket.direction.forget(&id);
        driver.join().unwrap();
        assert_eq!(socket.direction.waiters(), 0);
    });
}

#[test]
fn a_dropped_waiter_takes_no_event_from_another() {
    loom_tests::check("readiness/dropped", 300, || {
        let socket = Socket::new();
        assert!(socket.direction.take());
        let driver = thread::spawn({
            let socket = socket.clone();
            move || socket.arrive()
        });
        let dropped = thread::spawn({
            let socket = socket.clone();
            move || {
                let mut id = WaiterId::unnamed();
                let _given_up = socket.direction.wait(&mut id, Waker::noop());
                socket.direction.forget(&id);
            }
        });
        assert_eq!(socket.read(1), 1);
        driver.join().unwrap();
        dropped.join().unwrap();
        assert_eq!(socket.direction.waiters(), 0);
    });
}

#[test]
fn a_shut_down_reaches_every_waiter() {
    loom_tests::check("readiness/shut", 5, || {
        let socket = Socket::new();
        assert!(socket.direction.take());
        let driver = thread::spawn({
            let socket = socket.clone();
            move || {
                let mut wakes = Vec::new();
                socket.direction.shut(&mut wakes);
                wakes.into_iter().for_each(Waker::wake);
            }
        });
        let waker = own_waker();
        let mut id = WaiterId::unnamed();
        loop {
            match socket.direction.wait(&mut id, &waker) {
                Wait::Shut => break,
                Wait::Registered => thread::park(),
                Wait::Again => panic!("nothing arrives"),
            }
        }
        driver.join().unwrap();
        assert_eq!(socket.direction.waiters(), 0);
    });
}
