//! Blocking jobs see the cancel of their scope.

mod common;
#[path = "common/jobs.rs"]
mod jobs;

use std::future::pending;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use common::{runtime, wait_until, watchdog};
use jobs::{Dropped, narrow, open_scope, until_cancelled};
use ramus::blocking::{self, BlockingScope, spawn_blocking_with, unblock};
use ramus::{ReasonKind, Scope, spawn_blocking};

/// Long enough for any machine.
const LONG: Duration = Duration::from_secs(600);

#[test]
fn d41_a_started_job_sees_the_cancel_when_it_has_returned() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let (s, ended) = open_scope(&runtime);
    let (begun, wait_begun) = mpsc::channel();
    let (cancelled, wait_cancelled) = mpsc::channel();
    let (answer, wait_answer) = mpsc::channel();
    let job = s.spawn_blocking(move |job| {
        assert!(job.check().is_ok() && job.reason().is_none());
        begun.send(()).unwrap();
        wait_cancelled.recv().unwrap();
        let error = job.check().unwrap_err();
        answer.send((job.is_cancelled(), error.to_string(), io::Error::from(error).to_string())).unwrap();
        "as far as it came"
    });
    wait_begun.recv().unwrap();
    // The only worker is held, so the job's task cannot be polled.
    let release = Arc::new(AtomicBool::new(false));
    let (held, wait_held) = mpsc::channel();
    let seen = Arc::clone(&release);
    let holder = runtime.spawn(async move {
        held.send(()).unwrap();
        while !seen.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
    });
    wait_held.recv().unwrap();
    assert!(s.cancel("enough"));
    cancelled.send(()).unwrap();
    let (is_cancelled, as_cancelled, as_io) = wait_answer.recv().unwrap();
    assert!(is_cancelled);
    assert_eq!((as_cancelled.as_str(), as_io.as_str()), ("cancelled: enough", "cancelled: enough"));
    release.store(true, Ordering::SeqCst);
    // D14: what it produced all the same is its handle's.
    assert_eq!(runtime.block_on(job).unwrap(), "as far as it came");
    assert!(runtime.block_on(ended).unwrap());
    runtime.block_on(holder).unwrap();
}

#[test]
fn d41_a_job_that_has_not_started_is_removed_and_says_so() {
    let _watchdog = watchdog();
    let runtime = narrow();
    let (open, gate) = mpsc::channel::<()>();
    let (begun, wait) = mpsc::channel();
    let blocker = runtime.handle().spawn_blocking(move || {
        begun.send(()).unwrap();
        let _ = gate.recv();
    });
    wait.recv().unwrap();
    let (s, ended) = open_scope(&runtime);
    let drops = Arc::new(AtomicUsize::new(0));
    let mut jobs = Vec::new();
    for _ in 0..20 {
        let owned = Dropped(Arc::clone(&drops));
        jobs.push(s.spawn_blocking(move |_| drop(owned)));
    }
    // Queued, not only spawned: their tasks wait for the pool.
    wait_until(|| runtime.tree().entries().iter().filter(|entry| entry.kind == "job").count() == 21);
    s.cancel("enough");
    assert!(runtime.block_on(ended).unwrap());
    assert_eq!(drops.load(Ordering::SeqCst), 20, "the scope ended before its closures were dropped");
    for job in jobs {
        let error = runtime.block_on(job).unwrap_err();
        assert!(error.is_cancelled() && error.never_started(), "{error}");
    }
    drop(open);
    runtime.block_on(blocker).unwrap();
}

#[test]
fn d41_a_job_cancelled_alone_sees_its_reason() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let (begun, wait) = mpsc::channel();
    let job = {
        let _entered = runtime.enter();
        spawn_blocking_with(move |job| {
            begun.send(()).unwrap();
            until_cancelled(job);
            assert!(!job.scope().is_cancelled());
            job.reason().unwrap()
        })
    };
    wait.recv().unwrap();
    assert!(job.cancel("found elsewhere"));
    assert_eq!(runtime.block_on(job).unwrap().message(), Some("found elsewhere"));
}

#[test]
fn d41_work_inside_of_a_timeout_sees_its_end() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    for attempt in 1.. {
        let (ended, wait) = mpsc::channel();
        let elapsed = runtime.block_on(runtime.spawn(ramus::timeout(
            Duration::from_millis(attempt),
            unblock(move |job| {
                until_cancelled(job);
                ended.send(job.reason().unwrap().kind()).unwrap();
            }),
        )));
        // A job that had not begun when the time was up was removed: the next one gets more.
        let Ok(seen) = wait.recv() else { continue };
        assert_eq!(seen, ReasonKind::Deadline);
        // What it returned came in time: a value that is produced wins.
        assert!(elapsed.unwrap().is_ok());
        break;
    }
}

#[test]
fn a_job_asks_for_deadline_and_stop() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let (s, ended) = open_scope(&runtime);
    let at = Instant::now() + LONG;
    s.set_deadline(at).unwrap();
    let (begun, wait) = mpsc::channel();
    let job = s.spawn_blocking(move |job| {
        assert_eq!(job.deadline(), Some(at));
        assert!(!job.is_stopping());
        begun.send(()).unwrap();
        while !job.is_stopping() {
            std::thread::yield_now();
        }
        assert!(job.check().is_ok(), "a soft stop cuts nothing");
        assert!(format!("{job:?}").contains("BlockingScope"));
    });
    wait.recv().unwrap();
    s.stop(LONG);
    runtime.block_on(job).unwrap();
    s.cancel("done");
    assert!(runtime.block_on(ended).unwrap());
}

#[test]
fn the_current_job_is_known_to_what_it_calls() {
    fn deep_down() -> Result<(), io::Error> {
        BlockingScope::current().expect("a job").check()?;
        Ok(())
    }

    let _watchdog = watchdog();
    let runtime = runtime(2);
    let (s, ended) = open_scope(&runtime);
    let (begun, wait) = mpsc::channel();
    let job = s.spawn_blocking(move |_| {
        deep_down().unwrap();
        begun.send(()).unwrap();
        loop {
            if let Err(error) = deep_down() {
                return error.to_string();
            }
        }
    });
    wait.recv().unwrap();
    s.cancel("enough");
    assert_eq!(runtime.block_on(job).unwrap(), "cancelled: enough");
    assert!(runtime.block_on(ended).unwrap());
    // The thread does not remember it.
    let plain = runtime.handle().spawn_blocking(|| BlockingScope::current().unwrap().is_cancelled());
    assert!(!runtime.block_on(plain).unwrap());
    assert!(BlockingScope::current().is_none());
}

#[test]
fn what_a_job_spawns_are_its_siblings() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let (s, ended) = open_scope(&runtime);
    let drops = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&drops);
    let job = s.spawn_blocking(move |_| {
        let (task, named, blocking) = (Dropped(counted.clone()), Dropped(counted.clone()), Dropped(counted));
        drop(ramus::spawn(async move {
            let _owned = task;
            pending::<()>().await;
        }));
        drop(ramus::task::Builder::new().name("sibling").spawn(async move {
            let _owned = named;
            pending::<()>().await;
        }));
        drop(spawn_blocking(move || {
            let _owned = blocking;
            until_cancelled(&BlockingScope::current().unwrap());
        }));
    });
    runtime.block_on(job).unwrap();
    s.cancel("enough");
    assert!(runtime.block_on(ended).unwrap());
    assert_eq!(drops.load(Ordering::SeqCst), 3, "a child of the job outlived the job's scope");
}

#[test]
fn a_job_that_never_checks_keeps_its_scope_and_is_named() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let (s, ended) = open_scope(&runtime);
    let (open, gate) = mpsc::channel::<()>();
    let (begun, wait) = mpsc::channel();
    let job = blocking::Builder::new().name("deaf").spawn_in(&s, move |_| {
        begun.send(()).unwrap();
        let _ = gate.recv();
    });
    wait.recv().unwrap();
    s.cancel("enough");
    let is_named = || {
        let tree = runtime.tree();
        tree.entries().iter().any(|entry| entry.kind == "job" && entry.name.as_deref() == Some("deaf"))
    };
    wait_until(is_named);
    assert!(!ended.is_finished() && !job.is_finished());
    drop(open);
    runtime.block_on(job).unwrap();
    assert!(runtime.block_on(ended).unwrap());
    assert!(!is_named());
}

#[test]
fn d26_a_job_spawned_where_nothing_is_admitted() {
    let _watchdog = watchdog();
    let (first, second) = (runtime(2), runtime(1));
    let (s, ended) = open_scope(&first);
    // From the thread of another runtime it runs where its scope is.
    let far = s.clone();
    let host = second.block_on(async move { far.spawn_blocking(|_| ramus::Handle::current()).await.unwrap() });
    assert_eq!(host, first.handle());
    let refused = |when: &str| {
        let drops = Arc::new(AtomicUsize::new(0));
        let owned = Dropped(Arc::clone(&drops));
        let mut job = s.spawn_blocking(move |_| drop(owned));
        assert_eq!(drops.load(Ordering::SeqCst), 1, "{when}");
        let error = job.try_result().unwrap().unwrap_err();
        assert!(error.is_cancelled() && error.never_started(), "{when}: {error}");
    };
    s.cancel("enough");
    refused("cancelled");
    assert!(first.block_on(ended).unwrap());
    refused("ended");
    let handle = first.handle();
    drop(first);
    refused("the runtime is gone");
    assert!(handle.spawn_blocking(|| ()).try_result().unwrap().unwrap_err().never_started());
}

#[test]
fn a_job_that_panics_with_a_hostile_payload_fails_its_scope() {
    struct Hostile;

    impl Drop for Hostile {
        fn drop(&mut self) {
            panic!("the payload");
        }
    }

    let _watchdog = watchdog();
    let runtime = runtime(2);
    let panic = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async {
            let _ = ramus::scope(|s: Scope<io::Error>| async move {
                let error = s.spawn_blocking(|_| panic_any(Hostile)).await.map(|(): ()| ()).unwrap_err();
                assert!(error.is_panic());
                Ok(())
            })
            .await;
        });
    }));
    let payload = panic.unwrap_err();
    assert!(payload.is::<Hostile>());
    std::mem::forget(payload);
}

#[test]
fn a_runtime_dropped_inside_of_its_own_job_does_not_wait_for_itself() {
    let _watchdog = watchdog();
    let runtime = Arc::new(runtime(2));
    let handle = runtime.handle();
    let (last, wait_last) = mpsc::channel::<()>();
    let (ended, wait) = mpsc::channel();
    let owned = Arc::clone(&runtime);
    drop(handle.spawn_blocking(move || {
        wait_last.recv().unwrap();
        drop(owned);
        let job = BlockingScope::current().unwrap();
        until_cancelled(&job);
        ended.send(job.check().unwrap_err().reason().kind()).unwrap();
    }));
    drop(runtime);
    last.send(()).unwrap();
    assert_eq!(wait.recv().unwrap(), ReasonKind::Shutdown);
}

#[test]
fn d41_a_queued_job_whose_closure_panics_when_it_is_dropped_has_ended() {
    struct Bang;
    impl Drop for Bang {
        fn drop(&mut self) {
            panic_any("in a destructor");
        }
    }
    let _watchdog = watchdog();
    let runtime = narrow();
    let (release, held) = mpsc::channel::<()>();
    let busy = runtime.handle().spawn_blocking(move || held.recv().unwrap());
    let bang = Bang;
    let queued = runtime.handle().spawn_blocking(move || drop(bang));
    // Polled, so queued, behind the other one.
    let jobs = || runtime.tree().entries().iter().filter(|entry| entry.kind == "job").count();
    wait_until(|| jobs() == 2);
    assert!(queued.cancel("enough"));
    let error = runtime.block_on(queued).unwrap_err();
    assert!(error.is_panic(), "{error}");
    assert_eq!(jobs(), 1);
    release.send(()).unwrap();
    runtime.block_on(busy).unwrap();
    assert!(runtime.shutdown_timeout(Duration::from_secs(60)).is_clean());
}
