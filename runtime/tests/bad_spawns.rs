//! Spawning where nothing can be spawned any more: every way to do it, into a scope that is cancelled, that has ended, whose
//! runtime is gone, and into one of another runtime. What is refused is dropped unpolled, at once, and the text says why.
#![allow(missing_docs)]

mod common;
#[path = "common/jobs.rs"]
mod jobs;

use std::future::pending;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use common::{runtime, watchdog};
use jobs::Dropped;
use ramus::{Ready, Runtime, Scope, blocking, scope, task};

/// What each way to spawn answers: where there is a handle its error, else the refusal.
struct Ways {
    handles: Vec<(&'static str, String)>,
    refusals: Vec<(&'static str, String)>,
}

/// Spawns into `s` in every way there is. All that is spawned counts its drop, and must not run.
async fn spawn_in_all_ways(s: &Scope<io::Error>, dropped: &Arc<AtomicUsize>) -> Ways {
    let guard = || Dropped(Arc::clone(dropped));
    let work = || {
        let guard = guard();
        async move {
            let _guard = guard;
            panic!("it was polled")
        }
    };
    let try_work = || {
        let guard = guard();
        async move {
            let _guard = guard;
            panic!("it was polled");
            #[allow(unreachable_code, reason = "for its type")]
            Ok::<(), io::Error>(())
        }
    };
    let job = || {
        let guard = guard();
        move |_: &blocking::BlockingScope| {
            let _guard = guard;
            panic!("it was run")
        }
    };
    let mut handles = Vec::new();
    for (way, handle) in [
        ("spawn", s.spawn(work())),
        ("spawn_eager", s.spawn_eager(work())),
        ("start_guaranteed", s.start_guaranteed(work())),
        ("spawn_try", s.spawn_try(try_work())),
        ("spawn_blocking", s.spawn_blocking(job())),
        ("task::Builder", task::Builder::new().name("late").spawn_in(s, work())),
        ("task::Builder, eager", task::Builder::new().eager().spawn_in(s, work())),
        ("blocking::Builder", blocking::Builder::new().name("late").spawn_in(s, job())),
        ("abandonable", blocking::Builder::new().abandon_on_cancel(Duration::ZERO).spawn_in(s, job())),
    ] {
        let error: ramus::JoinError = handle.await.unwrap_err();
        assert!(error.is_cancelled() && error.never_started(), "{way}: {error}");
        handles.push((way, error.to_string()));
    }
    let mut refusals = vec![
        ("offer", s.offer(work()).err().unwrap().to_string()),
        ("member", s.member(work()).err().unwrap().to_string()),
        ("member_in_line", s.member_in_line(work()).err().unwrap().to_string()),
    ];
    refusals.push(("spawn_when_free", s.spawn_when_free(work()).await.err().unwrap().to_string()));
    refusals.push(("spawn_try_when_free", s.spawn_try_when_free(try_work()).await.err().unwrap().to_string()));
    Ways { handles, refusals }
}

const WAYS: usize = 14;

/// `start` calls nobody, and answers with an error of its own.
async fn start_in(s: &Scope<io::Error>, expected: &str) {
    let child = |_: Ready<()>| -> std::future::Ready<io::Result<()>> { panic!("it was made") };
    let refused = s.start(child).await.unwrap_err();
    assert!(refused.is_refused() && !refused.is_failed() && !refused.is_not_ready());
    assert_eq!(refused.to_string(), expected);
    assert!(refused.into_error().is_none());
}

/// `defer` hands the finalizer back.
#[track_caller]
fn never_finalized(s: &Scope<io::Error>, expected: &str) {
    let now = s.defer(async { panic!("it was run") });
    assert_eq!(now.unwrap_err().to_string(), expected);
    let within = s.defer_within(Duration::ZERO, async { panic!("it was run") });
    assert_eq!(within.unwrap_err().to_string(), expected);
}

impl Ways {
    #[track_caller]
    fn say(&self, handle: &str, refusal: &str) {
        for (way, text) in &self.handles {
            assert_eq!(text, handle, "{way}");
        }
        for (way, text) in &self.refusals {
            assert_eq!(text, refusal, "{way}");
        }
    }
}

/// A scope that is open in a task of `runtime`, typed, with the task.
fn open(runtime: &Runtime) -> (Scope<io::Error>, ramus::JoinHandle<bool>) {
    let (send, receive) = mpsc::channel();
    let task = runtime.spawn(async move {
        let ended = scope(|s: Scope<io::Error>| async move {
            send.send(s).unwrap();
            pending::<()>().await;
        });
        ended.await.is_err_and(|error| error.is_cancelled())
    });
    (receive.recv().unwrap(), task)
}

#[test]
fn d26_a_cancelled_scope_refuses_in_every_way_and_says_why() {
    let _dog = watchdog();
    let dropped = Arc::new(AtomicUsize::new(0));
    let runtime = runtime(2);
    let (s, task) = open(&runtime);
    // Something is left that holds it open while it refuses.
    let (release, gate) = mpsc::channel::<()>();
    let running = Arc::new(AtomicUsize::new(0));
    let runs = Arc::clone(&running);
    drop(s.spawn_blocking(move |_| {
        runs.fetch_add(1, Ordering::SeqCst);
        let _ = gate.recv();
    }));
    common::wait_until(|| running.load(Ordering::SeqCst) == 1);
    assert!(s.cancel("the user left"));
    let ways = runtime.block_on(spawn_in_all_ways(&s, &dropped));
    ways.say(
        "the task was cancelled: the user left",
        "the scope admits nothing any more: it was cancelled: the user left",
    );
    assert_eq!(dropped.load(Ordering::SeqCst), WAYS);
    let outside = blocking::block_on_in(&s, async { panic!("it was polled") });
    assert_eq!(outside.unwrap_err().to_string(), "the task was cancelled: the user left");
    runtime.block_on(start_in(&s, "the scope starts nothing any more: it was cancelled: the user left"));
    // What is to run at its end is still taken, and does run.
    let finalized = Arc::new(AtomicUsize::new(0));
    let runs = Arc::clone(&finalized);
    s.defer(async move {
        runs.fetch_add(1, Ordering::SeqCst);
    })
    .unwrap();
    drop(release);
    assert!(runtime.block_on(task).unwrap());
    assert_eq!(finalized.load(Ordering::SeqCst), 1);
}

#[test]
fn d26_d30_a_scope_that_has_ended_refuses_in_every_way_and_says_so() {
    let _dog = watchdog();
    let dropped = Arc::new(AtomicUsize::new(0));
    let runtime = runtime(2);
    let s = runtime.block_on(scope(|s: Scope<io::Error>| async move { Ok(s) })).unwrap();
    let ways = runtime.block_on(spawn_in_all_ways(&s, &dropped));
    ways.say("the task was cancelled: the scope has ended", "the scope admits nothing any more: it has ended");
    assert_eq!(dropped.load(Ordering::SeqCst), WAYS);
    let outside = blocking::block_on_in(&s, async { panic!("it was polled") });
    assert_eq!(outside.unwrap_err().to_string(), "the task was cancelled: the scope has ended");
    runtime.block_on(start_in(&s, "the scope starts nothing any more: it has ended"));
    never_finalized(&s, "the scope admits nothing any more: it has ended");
}

/// A scope of another runtime is as good as one's own while that runtime lives: what is spawned runs there.
#[test]
fn d26_d32_a_scope_of_another_runtime_takes_what_is_spawned_until_that_is_gone() {
    let _dog = watchdog();
    let dropped = Arc::new(AtomicUsize::new(0));
    let (here, there) = (runtime(1), runtime(1));
    let (s, task) = open(&there);
    let inside = s.clone();
    here.block_on(async move {
        let home = ramus::Handle::current();
        let foreign = inside.spawn(async { ramus::Handle::current() });
        assert_ne!(foreign.await.unwrap(), home, "it runs where its scope is");
        let job = inside.spawn_blocking(|job| job.scope().host().workers());
        assert_eq!(job.await.unwrap(), 1);
        assert!(inside.spawn_when_free(async {}).await.unwrap().await.is_ok());
        assert!(inside.offer(async {}).unwrap().await.is_ok());
    });
    drop(there);
    assert!(here.block_on(task).is_err_and(|error| error.is_cancelled()));
    let ways = here.block_on(spawn_in_all_ways(&s, &dropped));
    ways.say("the task was cancelled: shutdown", "the scope admits nothing any more: it was cancelled: shutdown");
    assert_eq!(dropped.load(Ordering::SeqCst), WAYS);
    here.block_on(start_in(&s, "the scope starts nothing any more: it was cancelled: shutdown"));
    never_finalized(&s, "the scope admits nothing any more: it was cancelled: shutdown");
    let outside = blocking::try_block_on_in(&s, async { panic!("it was polled") });
    assert_eq!(outside.unwrap_err().to_string(), "the ramus runtime was shut down");
}
