//! What the tests of the scheduler share.
#![allow(dead_code, reason = "each test file uses its part")]

use std::sync::mpsc;
use std::time::Duration;

/// Aborts the process, with the stacks a debugger can see, if the test that holds it takes two minutes.
pub(crate) struct Watchdog(Option<mpsc::Sender<()>>);

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.0.take();
    }
}

/// Starts a watchdog for the calling test.
pub(crate) fn watchdog() -> Watchdog {
    let (alive, ended) = mpsc::channel::<()>();
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    std::thread::spawn(move || {
        if ended.recv_timeout(Duration::from_secs(120)) == Err(mpsc::RecvTimeoutError::Timeout) {
            eprintln!("{test} hangs");
            std::process::abort();
        }
    });
    Watchdog(Some(alive))
}

/// A runtime with `workers` workers.
pub(crate) fn runtime(workers: usize) -> ramus::Runtime {
    ramus::Builder::new_multi_thread().worker_threads(workers).build().unwrap()
}

/// Waits, outside of a runtime, until `reached` is true.
pub(crate) fn wait_until(mut reached: impl FnMut() -> bool) {
    while !reached() {
        std::thread::sleep(Duration::from_millis(1));
    }
}
