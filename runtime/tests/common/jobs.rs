//! What the tests of blocking jobs share.
#![allow(dead_code, reason = "each test file uses its part")]

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use ramus::blocking::BlockingScope;
use ramus::{Builder, Runtime, Scope, ScopeHandle};

/// A runtime whose pool has one thread for jobs.
pub(crate) fn narrow() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).max_blocking_threads(1).build().unwrap()
}

/// A scope that stays open until it is cancelled, as a task: its handle.
pub(crate) fn open_scope(runtime: &Runtime) -> (ScopeHandle, ramus::JoinHandle<bool>) {
    let (send, receive) = mpsc::channel();
    let task = runtime.spawn(async move {
        let ended = ramus::scope(|s: Scope<io::Error>| async move {
            send.send((*s).clone()).unwrap();
            pending::<()>().await;
        })
        .await;
        ended.unwrap_err().is_cancelled()
    });
    (receive.recv().unwrap(), task)
}

/// Counts its drops.
pub(crate) struct Dropped(pub(crate) Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Spins until the job is cancelled.
pub(crate) fn until_cancelled(job: &BlockingScope) {
    while !job.is_cancelled() {
        std::thread::yield_now();
    }
}
