//! Wakers that are not well-behaved, in every place of the crate that keeps one: the product of what waits (the rows), what
//! is done with its waker (cloned, woken, dropped) and what the waker does then.
//!
//! What must hold in each case: nothing hangs, so no lock is held while the waker runs; others that wait for the same are
//! woken; the one that waits with the hostile waker is woken too, and goes on when it is polled with another; and the
//! runtime works on.

mod common;
mod hostile_support;
#[path = "common/jobs.rs"]
mod jobs;

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use common::runtime;
use hostile_support::rows::{Bench, Entry, ROWS, Waiting};
use hostile_support::{Call, Count, Hostile};
use jobs::open_scope;
use ramus::sync::Event;
use ramus::{Handle, yield_now};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Panic,
    CancelScope,
    SpawnInto,
    DropItsFuture,
    PollItsFuture,
    DropHandle,
    RegisterAnother,
    LookAtTree,
}

const ACTS: [Act; 8] = [
    Act::Panic,
    Act::CancelScope,
    Act::SpawnInto,
    Act::DropItsFuture,
    Act::PollItsFuture,
    Act::DropHandle,
    Act::RegisterAnother,
    Act::LookAtTree,
];

/// What the wakers of a case reach.
struct Reach {
    bench: Bench,
    handle: Mutex<Option<Handle>>,
    next: Mutex<Box<dyn FnMut() -> Option<Waiting> + Send>>,
    future: Mutex<Option<Waiting>>,
    acts: AtomicUsize,
}

impl Reach {
    fn act(&self, act: Act) {
        // Each may cause the next one: no more than this.
        if self.acts.fetch_add(1, Ordering::SeqCst) > 100 {
            return;
        }
        let own = self.bench.own.try_lock().ok().and_then(|own| own.clone());
        let scopes = own.into_iter().chain([self.bench.scope.clone()]);
        match act {
            Act::Panic => panic!("a waker panics on purpose"),
            Act::CancelScope => scopes.for_each(|scope| {
                scope.cancel("from a waker");
            }),
            Act::SpawnInto => scopes.for_each(|scope| drop(scope.spawn(async {}))),
            Act::DropItsFuture => {
                let future = self.future.try_lock().ok().and_then(|mut future| future.take());
                drop(future);
            }
            Act::PollItsFuture => {
                let Ok(mut future) = self.future.try_lock() else { return };
                let done = future.as_mut().is_some_and(|future| {
                    let waker = Waker::from(Arc::new(Count::default()));
                    future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready()
                });
                if done {
                    *future = None;
                }
            }
            Act::DropHandle => drop(self.handle.lock().unwrap().take()),
            Act::RegisterAnother => {
                let another = self.next.try_lock().ok().and_then(|mut next| next());
                if let Some(mut another) = another {
                    let waker = Waker::from(Arc::new(Count::default()));
                    let _ = another.as_mut().poll(&mut Context::from_waker(&waker));
                }
            }
            Act::LookAtTree => drop(self.bench.handle.tree()),
        }
    }
}

/// A waiter that is polled once, with a waker that counts.
fn bystander(next: &mut dyn FnMut() -> Option<Waiting>) -> Option<(Waiting, Arc<Count>, bool)> {
    let mut future = next()?;
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    let ready = future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready();
    Some((future, count, ready))
}

/// The panics of a hostile waker are its own: `None`.
fn caught<T>(code: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(code)).ok()
}

async fn case(reach: Arc<Reach>, fire: Box<dyn FnOnce() + Send>, is_single: bool, call: Call, act: Act) {
    let hostile = || {
        let reach = Arc::downgrade(&reach);
        Hostile::new(move |called| {
            if let Some(reach) = reach.upgrade().filter(|_| called == call) {
                reach.act(act);
            }
        })
    };
    let (first, second) = (hostile(), hostile());
    let before = bystander(&mut **reach.next.lock().unwrap());
    let mut is_whole = before.is_some();
    let victim = reach.next.lock().unwrap()();
    *reach.future.lock().unwrap() = victim;
    is_whole |= reach.future.lock().unwrap().is_some();
    assert!(is_whole, "nothing to wait for");
    let mut after = None;
    if before.is_none() || reach.future.lock().unwrap().is_some() {
        after = bystander(&mut **reach.next.lock().unwrap());
    }
    // One only: it is the hostile one.
    let (mut others, mut panicked) = (Vec::new(), false);
    for other in [before, after].into_iter().flatten() {
        if reach.future.lock().unwrap().is_none() {
            *reach.future.lock().unwrap() = Some(other.0);
        } else {
            others.push(other);
        }
    }
    for hostile in [&first, &second] {
        let waker = hostile.waker();
        let polled = caught(|| {
            let mut future = reach.future.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            let Some(waiting) = future.as_mut() else { return };
            if waiting.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
                *future = None;
            }
        });
        panicked |= polled.is_none();
        reach.future.clear_poison();
    }
    let last_registered = reach.future.lock().unwrap().is_some() && !panicked;
    fire();
    for (mut other, count, ready) in others {
        while !ready && count.get() == 0 {
            yield_now().await;
        }
        if !ready {
            poll_fn(|cx| other.as_mut().poll(cx)).await;
        }
    }
    // The hostile one was polled with another waker in the meantime, or it is woken.
    let polled_elsewhere = matches!(act, Act::PollItsFuture | Act::DropItsFuture);
    while last_registered && !polled_elsewhere && first.wakes() + second.wakes() == 0 {
        yield_now().await;
    }
    let rest = caught(|| reach.future.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take()).flatten();
    let Some(mut rest) = rest else { return };
    if !panicked || is_single {
        poll_fn(|cx| caught(|| rest.as_mut().poll(cx)).unwrap_or(Poll::Pending)).await;
    }
    // Its destructor may find a waker of the hostile kind.
    let _ = caught(|| drop(rest));
}

fn run(row: &Entry, call: Call, act: Act) {
    let &(_, is_single, make) = row;
    let runtime = runtime(2);
    let (scope, keeper) = open_scope(&runtime);
    let bench =
        Bench { handle: runtime.handle(), scope: scope.clone(), own: Arc::default(), gate: Arc::new(Event::new()) };
    let entered = runtime.enter();
    let row = make(&bench);
    drop(entered);
    let reach = Arc::new(Reach {
        handle: Mutex::new(Some(runtime.handle())),
        bench,
        next: Mutex::new(row.next),
        future: Mutex::new(None),
        acts: AtomicUsize::new(0),
    });
    runtime.block_on(case(reach, row.fire, is_single, call, act));
    scope.cancel("the end");
    assert!(runtime.block_on(keeper).unwrap());
    assert_eq!(runtime.block_on(runtime.spawn(async { 1 })).unwrap(), 1);
    assert!(runtime.shutdown_timeout(Duration::from_secs(20)).is_clean());
}

/// Each case on a thread of its own: one that hangs is named.
fn every_row(call: Call, acts: &[Act]) {
    let mut failed = Vec::new();
    for row in ROWS {
        for &act in acts {
            let (done, is_done) = mpsc::channel::<()>();
            let case = std::thread::Builder::new().name(format!("{} x {call:?} x {act:?}", row.0));
            let thread = case
                .spawn(move || {
                    let _done = done;
                    run(row, call, act);
                })
                .unwrap();
            let name = thread.thread().name().unwrap().to_owned();
            match is_done.recv_timeout(Duration::from_secs(30)) {
                Err(mpsc::RecvTimeoutError::Timeout) => failed.push(format!("{name}: hangs")),
                _ => failed.extend(thread.join().err().map(|_| format!("{name}: panics"))),
            }
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn d33_wakers_that_are_hostile_when_they_are_cloned() {
    every_row(Call::Clone, &ACTS);
}

#[test]
fn d33_wakers_that_are_hostile_when_they_are_woken() {
    every_row(Call::Wake, &ACTS);
}

#[test]
fn d33_wakers_that_are_hostile_when_they_are_dropped() {
    every_row(Call::Drop, &ACTS);
}
