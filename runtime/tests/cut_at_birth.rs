//! Scopes whose task is cancelled before they were suspended for the first time: they have no place yet where a cancel could
//! find them, and are cut all the same.
#![allow(missing_docs)]

mod common;

use std::future::pending;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use common::{runtime, watchdog};
use ramus::{Scope, ScopeHandle, scope};

#[test]
fn rule4_d32_d34_a_scope_cut_in_its_first_poll_is_cancelled_with_the_reason_and_runs_its_callbacks() {
    let _dog = watchdog();
    let runtime = runtime(2);
    let called = Arc::new(AtomicUsize::new(0));
    let calls = Arc::clone(&called);
    let (send, receive) = mpsc::channel::<ScopeHandle>();
    let (cancelled, is_cancelled) = mpsc::channel::<()>();
    let task = runtime.spawn(async move {
        let _ = scope(|s: Scope<io::Error>| async move {
            s.on_cancel(move |_| {
                calls.fetch_add(1, Ordering::SeqCst);
            })
            .detach();
            send.send((*s).clone()).unwrap();
            // Still in the first poll.
            let _ = is_cancelled.recv();
            pending::<()>().await;
        })
        .await;
    });
    let s = receive.recv().unwrap();
    assert!(task.cancel("alone"));
    drop(cancelled);
    assert!(runtime.block_on(task).unwrap_err().is_cancelled());
    assert_eq!(s.reason().expect("it was cut for a reason").to_string(), "cancelled: alone");
    assert!(s.is_cancelled() && !s.cancel("again"));
    assert_eq!(called.load(Ordering::SeqCst), 1);
}
