//! Property: a worker that parks is found by whoever unparks it, also while a neighbour serves the device it blocks in
//! and receives the ring in its place.
//!
//! Threads: the owner, an unparker, a neighbour that serves the device once. Bound: 2 preemptions. The device is a double
//! of the driver: an event that is reported once, to whoever polls, and a note `owed` for the owner. A lost unpark is a
//! deadlock that loom reports.
//!
//! Planted fault: an unpark that finds the owner parked does not ring.
#![cfg(ramus_loom)]

use loom::sync::atomic::{AtomicBool, Ordering};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;
use ramus::model::{Bell, ParkWord};

/// The driver's double.
struct Device {
    /// Who polls holds it for the whole turn.
    turner: Mutex<Turner>,
    rung: Mutex<bool>,
    ring: Condvar,
}

struct Turner {
    owed: bool,
}

impl Device {
    fn new() -> Self {
        Self { turner: Mutex::new(Turner { owed: false }), rung: Mutex::new(false), ring: Condvar::new() }
    }

    /// The owner's turn: blocks until the ring.
    fn turn(&self) {
        let mut turner = self.turner.lock().unwrap();
        if std::mem::take(&mut turner.owed) {
            return;
        }
        let mut rung = self.rung.lock().unwrap();
        while !*rung {
            rung = self.ring.wait(rung).unwrap();
        }
        *rung = false;
    }

    /// A neighbour's turn: never blocks, and may receive the owner's ring.
    fn try_turn(&self) {
        let Ok(mut turner) = self.turner.try_lock() else {
            return;
        };
        turner.owed |= std::mem::take(&mut *self.rung.lock().unwrap());
    }
}

struct Handle(Arc<Device>);

impl Bell for Handle {
    fn ring(&self) {
        *self.0.rung.lock().unwrap() = true;
        self.0.ring.notify_one();
    }
}

struct Worker {
    park: ParkWord,
    device: Arc<Device>,
    work: AtomicBool,
}

impl Worker {
    fn submit(&self) {
        self.work.store(true, Ordering::Relaxed);
        self.park.unpark(|| Some(Handle(Arc::clone(&self.device))));
    }

    fn work(&self) {
        while !self.work.load(Ordering::Relaxed) {
            if self.park.prepare() {
                self.device.turn();
                self.park.finish();
            }
        }
    }
}

#[test]
fn an_unpark_finds_the_owner_wherever_it_is() {
    loom_tests::check("worker_park_vs_unpark", 100, || {
        let device = Arc::new(Device::new());
        let worker = Arc::new(Worker { park: ParkWord::new(), device, work: AtomicBool::new(false) });
        let (submitter, neighbour) = (Arc::clone(&worker), Arc::clone(&worker));
        let submitter = thread::spawn(move || submitter.submit());
        let neighbour = thread::spawn(move || neighbour.device.try_turn());
        worker.work();
        submitter.join().unwrap();
        neighbour.join().unwrap();
    });
}

#[test]
fn an_unpark_before_the_park_counts() {
    loom_tests::check("worker_park_vs_unpark, before", 1, || {
        let device = Arc::new(Device::new());
        let worker = Worker { park: ParkWord::new(), device, work: AtomicBool::new(false) };
        worker.park.unpark(|| Some(Handle(Arc::clone(&worker.device))));
        assert!(!worker.park.prepare(), "the unpark is kept");
        assert!(worker.park.prepare(), "and consumed");
        worker.park.finish();
    });
}
