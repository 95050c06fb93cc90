//! A scope whose future finds itself alone with the node, and does not close it, against a member on another thread.
//!
//! Property: whoever was admitted has ended when the scope has, and what they did is visible then.
//! Threads: one that is admitted, gives its handle up first and its membership last; the scope (main).
//! Bound: 2 preemptions.
//! Planted fault: the only reference is taken for proof that there is no member.
//! Covers: D27.
#![cfg(ramus_loom)]

mod scope_bench;

use loom::cell::UnsafeCell;
use loom::future::block_on;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;
use ramus_scope::{BoxError, Scope, scope};
use scope_bench::Bench;

/// What the member writes, and whoever comes after the scope reads.
struct Work(UnsafeCell<u32>);

// SAFETY: the scope has to order the write before the read; loom reports it if it does not.
unsafe impl Send for Work {}
// SAFETY: as above.
unsafe impl Sync for Work {}

fn round() {
    let (work, admitted) = (Arc::new(Work(UnsafeCell::new(0))), Arc::new(AtomicBool::new(false)));
    let (theirs, told) = (Arc::clone(&work), Arc::clone(&admitted));
    let (mut member, gone) = (None, Arc::new(AtomicBool::new(false)));
    let is_gone = Arc::clone(&gone);
    let spawned = &mut member;
    let ended = block_on(scope(move |s: Scope<Bench, BoxError>| {
        let handle = (*s).clone();
        *spawned = Some(thread::spawn(move || {
            if let Ok(membership) = handle.admit() {
                told.store(true, Ordering::Relaxed);
                gone.swap(true, Ordering::Release);
                drop(handle);
                theirs.0.with_mut(|work| {
                    // SAFETY: the property.
                    unsafe { *work = 7 }
                });
                drop(membership);
            }
        }));
        // References are counted by the standard library's atomics, which the model cannot see: this stands for them.
        async move { Ok(is_gone.swap(true, Ordering::Acquire)) }
    }));
    // If the swap came before theirs, the model does not know that they had gone.
    if ended.is_ok_and(|had_gone| had_gone) {
        assert!(admitted.load(Ordering::Relaxed));
        work.0.with(|work| {
            // SAFETY: the property.
            assert_eq!(unsafe { *work }, 7);
        });
    }
    member.map(|member| member.join().unwrap());
}

#[test]
fn members_have_ended_when_the_scope_has() {
    loom_tests::check("scope_alone", 10, round);
}
