//! Blocking jobs that a cancelled scope may leave alone.

mod common;
#[path = "common/jobs.rs"]
mod jobs;

use std::panic::panic_any;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use common::{runtime, wait_until, watchdog};
use jobs::{Dropped, narrow, open_scope, until_cancelled};
use ramus::{Runtime, ScopeHandle, blocking};

/// Long enough for any machine.
const LONG: Duration = Duration::from_secs(600);

/// A job that runs until `open` is dropped, and may be abandoned.
fn deaf(s: &ScopeHandle, grace: Duration) -> (ramus::JoinHandle<()>, mpsc::Sender<()>, mpsc::Receiver<&'static str>) {
    let (open, gate) = mpsc::channel::<()>();
    let (tell, told) = mpsc::channel();
    let job = blocking::Builder::new().name("deaf").abandon_on_cancel(grace).spawn_in(s, move |job| {
        tell.send("begun").unwrap();
        let _ = gate.recv();
        assert!(job.is_cancelled() && job.check().is_err());
        tell.send("ended").unwrap();
    });
    assert_eq!(told.recv(), Ok("begun"));
    (job, open, told)
}

fn abandoned(runtime: &Runtime) -> usize {
    runtime.tree().entries().iter().filter(|entry| entry.kind == "job" && entry.state == "abandoned").count()
}

#[test]
fn d41_an_abandoned_job_keeps_nobody() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    for grace in [Duration::ZERO, Duration::from_millis(1)] {
        let (s, ended) = open_scope(&runtime);
        let (job, open, told) = deaf(&s, grace);
        assert_eq!(abandoned(&runtime), 0);
        s.cancel("enough");
        let error = runtime.block_on(job).unwrap_err();
        assert!(error.is_cancelled() && !error.never_started(), "{error}");
        assert_eq!(error.reason().unwrap().message(), Some("enough"));
        assert!(runtime.block_on(ended).unwrap(), "the scope has ended while its job runs on");
        assert_eq!(s.live(), 0);
        assert_eq!(abandoned(&runtime), 1, "{}", runtime.tree());
        drop(open);
        assert_eq!(told.recv(), Ok("ended"));
        wait_until(|| abandoned(&runtime) == 0);
    }
    assert!(runtime.shutdown_timeout(LONG).is_clean());
}

#[test]
fn d41_a_job_cancelled_alone_is_abandoned_too() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let (s, ended) = open_scope(&runtime);
    let (job, open, told) = deaf(&s, Duration::ZERO);
    assert!(job.cancel("not needed"));
    assert_eq!(runtime.block_on(job).unwrap_err().reason().unwrap().message(), Some("not needed"));
    assert!(!s.is_cancelled());
    drop(open);
    assert_eq!(told.recv(), Ok("ended"));
    s.cancel("done");
    assert!(runtime.block_on(ended).unwrap());
}

#[test]
fn d41_a_job_that_ends_within_its_grace_is_not_abandoned() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let (s, ended) = open_scope(&runtime);
    let (begun, wait) = mpsc::channel();
    let job = blocking::Builder::new().abandon_on_cancel(LONG).spawn_in(&s, move |job| {
        begun.send(()).unwrap();
        until_cancelled(job);
        "in time"
    });
    wait.recv().unwrap();
    s.cancel("enough");
    assert_eq!(runtime.block_on(job).unwrap(), "in time");
    assert!(runtime.block_on(ended).unwrap());
    assert_eq!(abandoned(&runtime), 0);
}

#[test]
fn d41_a_queued_job_is_removed_not_abandoned() {
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
    let owned = Dropped(Arc::clone(&drops));
    let job = blocking::Builder::new().abandon_on_cancel(Duration::ZERO).spawn_in(&s, move |_| drop(owned));
    wait_until(|| runtime.tree().entries().iter().filter(|entry| entry.kind == "job").count() == 2);
    s.cancel("enough");
    assert!(runtime.block_on(job).unwrap_err().never_started());
    assert!(runtime.block_on(ended).unwrap());
    assert_eq!((drops.load(Ordering::SeqCst), abandoned(&runtime)), (1, 0));
    drop(open);
    runtime.block_on(blocker).unwrap();
}

#[test]
fn d41_what_an_abandoned_job_ends_with_is_dropped_quietly() {
    /// Panics when it is dropped, after it has said so.
    struct Hostile(mpsc::Sender<()>);

    impl Drop for Hostile {
        fn drop(&mut self) {
            self.0.send(()).unwrap();
            panic!("in a destructor of an abandoned job");
        }
    }

    let _watchdog = watchdog();
    let runtime = narrow();
    for round in 0..3 {
        let (s, ended) = open_scope(&runtime);
        let (open, gate) = mpsc::channel::<()>();
        let (begun, wait) = mpsc::channel();
        let (dropped, wait_dropped) = mpsc::channel();
        let job = blocking::Builder::new().abandon_on_cancel(Duration::ZERO).spawn_in(&s, move |job| {
            begun.send(()).unwrap();
            let _ = gate.recv();
            // Its scope has ended.
            let late = job.scope().spawn(async {});
            assert!(late.is_finished(), "a dead scope took a child");
            let hostile = Hostile(dropped);
            match round {
                0 => hostile,
                1 => panic_any(hostile),
                _ => {
                    drop(hostile);
                    unreachable!("the destructor has panicked");
                }
            }
        });
        wait.recv().unwrap();
        s.cancel("enough");
        assert!(runtime.block_on(job).map(|_| ()).unwrap_err().is_cancelled());
        assert!(runtime.block_on(ended).unwrap());
        drop(open);
        wait_dropped.recv().unwrap();
        wait_until(|| abandoned(&runtime) == 0);
        // The only thread of the pool lives on.
        assert_eq!(runtime.block_on(runtime.handle().spawn_blocking(|| 7)).unwrap(), 7);
    }
}

#[test]
fn d48_a_shutdown_names_an_abandoned_job_and_does_not_wait() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let (s, ended) = open_scope(&runtime);
    let (job, open, told) = deaf(&s, Duration::ZERO);
    s.cancel("enough");
    assert!(runtime.block_on(ended).unwrap());
    drop(job);
    let report = runtime.shutdown_timeout(LONG);
    assert!(!report.is_clean());
    let [straggler] = report.stragglers() else { panic!("{report}") };
    assert_eq!((straggler.entry().kind, straggler.entry().name.as_deref()), ("job", Some("deaf")));
    assert_eq!(straggler.entry().site.unwrap().file(), file!());
    assert!(report.to_string().contains("abandoned"), "{report}");
    // It ends after its runtime is gone.
    drop(open);
    assert_eq!(told.recv(), Ok("ended"));
}

#[test]
fn d48_a_shutdown_abandons_what_may_be() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let root = runtime.handle().root().unwrap();
    let (job, open, told) = deaf(&root, Duration::ZERO);
    let report = runtime.shutdown_timeout(LONG);
    assert_eq!(report.stragglers().len(), 1, "{report}");
    assert!(job.is_finished());
    drop(open);
    assert_eq!(told.recv(), Ok("ended"));
}

/// The job ends while it is being abandoned: whoever was first, each thing happens once.
#[test]
fn d41_ending_and_abandoning_at_once() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let drops = Arc::new(AtomicUsize::new(0));
    for round in 1..=500 {
        let (s, ended) = open_scope(&runtime);
        let owned = Dropped(Arc::clone(&drops));
        let (begun, wait) = mpsc::channel();
        let job = blocking::Builder::new().abandon_on_cancel(Duration::ZERO).spawn_in(&s, move |job| {
            begun.send(()).unwrap();
            until_cancelled(job);
            owned
        });
        wait.recv().unwrap();
        s.cancel("enough");
        assert!(runtime.block_on(ended).unwrap());
        match runtime.block_on(job) {
            Ok(value) => drop(value),
            Err(error) => assert!(error.is_cancelled() && !error.never_started(), "{error}"),
        }
        wait_until(|| drops.load(Ordering::SeqCst) == round && abandoned(&runtime) == 0);
    }
    assert!(runtime.shutdown_timeout(LONG).is_clean());
}
