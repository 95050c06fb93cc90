//! User code that panics where nobody expects it, and user code in places where it would wait for itself.

mod common;

use std::future::pending;
use std::panic::panic_any;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use common::{runtime, wait_until, watchdog};
use ramus::net::UnixStream;
use ramus::{Builder, Scope, scope};

/// Panics when it is dropped; as a payload it panics a second time.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("a destructor panics on purpose");
        }
    }
}

/// A waker that panics with a payload whose destructor panics.
struct PanickingWaker(AtomicUsize);

impl Wake for PanickingWaker {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
        panic_any(Bomb);
    }
}

fn hostile() -> (Arc<PanickingWaker>, Waker) {
    let hostile = Arc::new(PanickingWaker(AtomicUsize::new(0)));
    (Arc::clone(&hostile), Waker::from(hostile))
}

fn pair() -> (UnixStream, std::os::unix::net::UnixStream) {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    (UnixStream::try_from(ours).unwrap(), theirs)
}

/// Of the waiters for one event, those behind a waker that panics are woken too, and the worker lives on.
#[test]
fn a_waker_that_panics_costs_nobody_a_wake() {
    let _dog = watchdog();
    let runtime = runtime(1);
    let (ours, mut theirs) = pair();
    let ours = Arc::new(ours);
    let (calls, waker) = hostile();
    // A stream is assumed to be readable until it was found not to be.
    assert_eq!(ours.try_read(&mut [0]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    let entered = runtime.enter();
    let mut first = pin!(ours.readable());
    let mut second = pin!(ours.readable());
    for future in [first.as_mut(), second.as_mut()] {
        assert!(future.poll(&mut Context::from_waker(&waker)).is_pending());
    }
    drop(entered);
    let (waits, is_waiting) = mpsc::channel();
    let stream = Arc::clone(&ours);
    let reader = runtime.spawn(async move {
        let mut readable = pin!(stream.readable());
        std::future::poll_fn(|cx| {
            let answer = readable.as_mut().poll(cx);
            let _ = waits.send(());
            answer
        })
        .await
    });
    is_waiting.recv().unwrap();
    std::io::Write::write_all(&mut theirs, b"x").unwrap();
    runtime.block_on(reader).unwrap().unwrap();
    assert_eq!(calls.0.load(Ordering::SeqCst), 2);
    assert_eq!(runtime.block_on(runtime.spawn(async { 1 })).unwrap(), 1);
}

/// The same for timers: many deadlines of one tick, every second waker panics.
#[test]
fn a_timer_with_a_waker_that_panics_harms_no_other() {
    let _dog = watchdog();
    let runtime = runtime(1);
    let (calls, waker) = hostile();
    let entered = runtime.enter();
    let mut hostile_sleeps: Vec<_> = (0..50).map(|_| Box::pin(ramus::sleep(Duration::from_millis(20)))).collect();
    for sleep in &mut hostile_sleeps {
        assert!(sleep.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    drop(entered);
    let good: Vec<_> = (0..50).map(|_| runtime.spawn(ramus::sleep(Duration::from_millis(20)))).collect();
    for sleep in good {
        runtime.block_on(sleep).unwrap();
    }
    wait_until(|| calls.0.load(Ordering::SeqCst) == 50);
}

#[test]
fn d23_destructors_that_panic_are_reported_and_end_their_task_only() {
    let _dog = watchdog();
    let runtime = runtime(2);
    let (started, has_started) = mpsc::channel();
    let parked = runtime.spawn(async move {
        let _bomb = Bomb;
        started.send(()).unwrap();
        pending::<()>().await;
    });
    has_started.recv().unwrap();
    assert!(parked.cancel("away with it"));
    assert!(runtime.block_on(parked).unwrap_err().is_panic());

    // In a scope it is the panic of a child: it goes on where the scope is awaited, once everything has ended.
    let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        runtime.block_on(scope(|s: Scope| async move {
            let parked = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&parked);
            drop(s.spawn(async move {
                let _bomb = Bomb;
                counted.fetch_add(1, Ordering::SeqCst);
                pending::<()>().await;
            }));
            while parked.load(Ordering::SeqCst) == 0 {
                ramus::yield_now().await;
            }
            s.cancel("away with all of it");
            ramus::yield_now().await;
            Ok(())
        }))
    }));
    let payload = failed.unwrap_err();
    assert_eq!(payload.downcast_ref(), Some(&"a destructor panics on purpose"));
    assert_eq!(runtime.block_on(runtime.spawn(async { 1 })).unwrap(), 1);
}

/// The output of a task that nobody joins, a payload that nobody takes, the future of a refused spawn.
#[test]
fn what_nobody_takes_may_panic_in_its_destructor() {
    let _dog = watchdog();
    let runtime = runtime(2);
    let handle = runtime.handle();
    let finished = handle.metrics().tasks_finished;
    for _ in 0..100 {
        drop(runtime.spawn(async { Bomb }));
        drop(runtime.spawn(async { panic_any(Bomb) }));
    }
    wait_until(|| handle.metrics().tasks_finished >= finished + 200);
    assert_eq!(runtime.block_on(runtime.spawn(async { 1 })).unwrap(), 1);
    assert!(runtime.shutdown_timeout(Duration::from_secs(60)).is_clean());
    let bomb = Bomb;
    let late = handle.spawn(async move {
        let _bomb = bomb;
    });
    assert!(late.is_finished());
}

#[test]
fn a_shutdown_survives_destructors_that_panic() {
    let _dog = watchdog();
    let runtime = runtime(2);
    let parked = Arc::new(AtomicUsize::new(0));
    for _ in 0..200 {
        let parked = Arc::clone(&parked);
        drop(runtime.spawn(async move {
            let _bomb = Bomb;
            parked.fetch_add(1, Ordering::SeqCst);
            pending::<()>().await;
        }));
    }
    wait_until(|| parked.load(Ordering::SeqCst) == 200);
    assert!(runtime.shutdown_timeout(Duration::from_secs(60)).is_clean());
}

/// With one thread for blocking jobs, each of these would cost it.
#[test]
fn blocking_jobs_that_leave_bombs_cost_no_thread() {
    let _dog = watchdog();
    let runtime = Builder::new_multi_thread().worker_threads(1).max_blocking_threads(1).build().unwrap();
    for _ in 0..20 {
        let job = runtime.handle().spawn_blocking(|| panic_any(Bomb));
        let payload: Result<(), _> = runtime.block_on(job);
        std::mem::forget(payload.unwrap_err().into_panic());
        drop(runtime.handle().spawn_blocking(|| panic_any(Bomb)));
        drop(runtime.handle().spawn_blocking(|| Bomb));
    }
    let (calls, waker) = hostile();
    let (open, gate) = mpsc::channel::<()>();
    let entered = runtime.enter();
    let mut foreign = pin!(ramus::blocking::unblock(move |_| gate.recv().unwrap_err()));
    // The waker is called by the poll itself, which asks to be polled again, and by the thread.
    let polled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        foreign.as_mut().poll(&mut Context::from_waker(&waker)).is_pending()
    }));
    std::mem::forget(polled);
    drop(entered);
    drop(open);
    assert_eq!(runtime.block_on(runtime.handle().spawn_blocking(|| 1)).unwrap(), 1);
    assert!(calls.0.load(Ordering::SeqCst) >= 1);
}

#[test]
fn a_runtime_dropped_by_its_own_blocking_job_does_not_wait_for_itself() {
    let _dog = watchdog();
    let runtime = runtime(1);
    let handle = runtime.handle();
    let (took, has_ended) = mpsc::channel();
    drop(handle.spawn_blocking(move || {
        let begun = Instant::now();
        drop(runtime);
        took.send(begun.elapsed()).unwrap();
    }));
    assert!(has_ended.recv().unwrap() < Duration::from_secs(5), "it waited for its own end");
    wait_until(|| handle.root().is_none());
}

/// Another runtime's job is a good place to wait in.
#[test]
fn a_runtime_dropped_by_a_job_of_another_one_has_ended_then() {
    let _dog = watchdog();
    let (outer, inner) = (runtime(1), runtime(1));
    let handle = inner.handle();
    drop(inner.spawn(pending::<()>()));
    let job = outer.handle().spawn_blocking(move || {
        drop(inner);
        handle.root().is_none()
    });
    assert!(outer.block_on(job).unwrap());
}

#[test]
fn large_futures_are_spawned_and_blocked_on() {
    let _dog = watchdog();
    // Debug builds copy a future at each call that it is passed through.
    async fn large() -> usize {
        let filled = [1_u8; 128 * 1024];
        ramus::yield_now().await;
        filled.iter().map(|&byte| usize::from(byte)).sum()
    }
    let runtime = runtime(2);
    let thread = std::thread::Builder::new().stack_size(8 << 20);
    let sums = thread
        .spawn(move || {
            let spawned = runtime.block_on(runtime.spawn(large())).unwrap();
            let nested = runtime.block_on(async { ramus::spawn(large()).await.unwrap() });
            [spawned, nested, runtime.block_on(large())]
        })
        .unwrap();
    assert_eq!(sums.join().unwrap(), [128 * 1024; 3]);
}

#[test]
fn d33_a_wake_in_a_poll_and_from_a_destructor_finds_no_lock_held() {
    struct WakesInDrop(Waker);
    impl Drop for WakesInDrop {
        fn drop(&mut self) {
            self.0.wake_by_ref();
            drop(ramus::Handle::try_current().map(|handle| handle.spawn(async {})));
        }
    }
    let _dog = watchdog();
    let runtime = runtime(2);
    let parked = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..200)
        .map(|_| {
            let parked = Arc::clone(&parked);
            let mut guard = None;
            runtime.spawn(std::future::poll_fn(move |cx| {
                guard.get_or_insert_with(|| WakesInDrop(cx.waker().clone()));
                parked.fetch_add(1, Ordering::SeqCst);
                Poll::<()>::Pending
            }))
        })
        .collect();
    wait_until(|| parked.load(Ordering::SeqCst) >= 200);
    for task in &tasks {
        task.cancel("woken by its own destructor");
    }
    for task in tasks {
        assert!(runtime.block_on(task).unwrap_err().is_cancelled());
    }
}
