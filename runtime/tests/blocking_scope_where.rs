//! Where a scope for threads outside of the workers may be opened, and what a shutdown makes of it.

mod common;

use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::task::Waker;
use std::time::Duration;

use common::{runtime, watchdog};
use ramus::{ReasonKind, blocking};

/// Counts its drops in something that it borrows.
struct Borrows<'a>(&'a AtomicUsize);

impl Drop for Borrows<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn count(dropped: &AtomicUsize) -> usize {
    dropped.load(Ordering::SeqCst)
}

fn unreached() {
    panic!("the closure ran");
}

#[test]
fn it_is_refused_where_tasks_run() {
    let _watchdog = watchdog();
    let (runtime, other) = (runtime(2), runtime(1));
    let handle = other.handle();
    let refused = move || {
        let error = blocking::try_scope(&handle, |_| unreached()).map(drop).unwrap_err();
        assert!(error.is_nested());
        assert!(error.to_string().contains("blocking::scope"), "{error}");
    };
    // On a worker of another runtime, in a block_on, and in a scope that a foreign executor polls.
    runtime.block_on(runtime.spawn(async move { refused() })).unwrap();
    runtime.block_on(async move { refused() });
    let _entered = runtime.enter();
    let mut member = Box::pin(runtime.handle().root().unwrap().member(async move { refused() }).unwrap().into_future());
    let mut cx = std::task::Context::from_waker(Waker::noop());
    assert!(member.as_mut().poll(&mut cx).is_ready());
    // In itself, and after all that it works.
    let sum = blocking::scope(&runtime.handle(), |s| {
        refused();
        Ok(s.spawn(async { 1 }).join()?)
    });
    assert_eq!(sum.unwrap(), 1);
}

#[test]
fn join_is_refused_on_a_worker() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let panic = catch_unwind(AssertUnwindSafe(|| {
        blocking::scope(&runtime.handle(), |s| {
            let first = s.spawn(async { 1 });
            s.spawn(async move { first.join() });
        })
    }));
    let payload = panic.unwrap_err();
    assert!(payload.downcast_ref::<&str>().unwrap().contains("await the handle"));
}

#[test]
fn a_blocking_job_may_open_one() {
    let _watchdog = watchdog();
    let runtime = runtime(1);
    let handle = runtime.handle();
    let sum = runtime.block_on(handle.spawn_blocking(move || {
        let numbers = [1, 2, 3];
        blocking::scope(&handle, |s| {
            let (first, rest) = (&numbers[..1], &numbers[1..]);
            let first = s.spawn(async move { first.iter().sum::<i32>() });
            let rest = s.spawn_blocking(move |_| rest.iter().sum::<i32>());
            Ok(first.join()? + rest.join()?)
        })
        .unwrap()
    }));
    assert_eq!(sum.unwrap(), 6);
}

#[test]
fn d48_a_shutdown_ends_it() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let handle = runtime.handle();
    let (begun, wait) = mpsc::channel();
    let outside = std::thread::spawn(move || {
        let dropped = AtomicUsize::new(0);
        let (dropped, begun) = (&dropped, &begun);
        let error = blocking::scope(&handle, |s| {
            let borrows = Borrows(dropped);
            let child = s.spawn(async move {
                let _borrows = borrows;
                begun.send(()).unwrap();
                pending::<()>().await;
            });
            // The closure is in the middle of something when the shutdown comes.
            assert!(child.join().unwrap_err().is_cancelled());
        })
        .unwrap_err();
        assert!(error.is_cancelled());
        let origin = error.reason().unwrap().origin().kind();
        assert_eq!(origin, ReasonKind::Shutdown);
        assert_eq!(count(dropped), 1);
    });
    wait.recv().unwrap();
    let report = runtime.shutdown_timeout(Duration::from_secs(60));
    assert!(report.is_clean(), "{report}");
    outside.join().unwrap();
}

#[test]
fn a_handle_that_outlives_its_runtime_is_refused() {
    let runtime = runtime(1);
    let handle = runtime.handle();
    drop(runtime);
    let error = blocking::try_scope(&handle, |_| unreached()).map(drop).unwrap_err();
    assert!(error.is_shut_down(), "{error}");
}

#[test]
fn a_runtime_that_is_dropped_by_its_own_closure_ends_the_scope() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let local = 1;
    let handle = runtime.handle();
    let error = blocking::scope(&handle, |s| {
        s.spawn(async {
            let _borrows = &local;
            pending::<()>().await;
        });
        drop(runtime);
    })
    .unwrap_err();
    assert!(error.is_cancelled());
}
