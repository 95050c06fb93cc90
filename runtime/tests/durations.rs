//! Durations of nothing and durations beyond the clock: no panic, no overflow, no hang.

mod common;

use std::future::pending;
use std::io;
use std::pin::pin;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use common::{runtime, wait_until, watchdog};
use ramus::{Builder, Scope, interval, scope, shield, sleep, sleep_until, timeout, timeout_at, yield_now};

/// More than any clock counts, more than 64 bits of nanoseconds, more than 64 bits of ticks at any rate.
const HUGE: [Duration; 4] = [
    Duration::MAX,
    Duration::from_secs(i64::MAX as u64),
    Duration::from_nanos(u64::MAX),
    Duration::from_secs(400 * 365 * 86_400),
];

fn is_pending<F: Future>(future: F) -> bool {
    pin!(future).poll(&mut Context::from_waker(Waker::noop())).is_pending()
}

#[test]
fn what_is_too_long_for_the_clock_just_waits() {
    let _dog = watchdog();
    runtime(2).block_on(async {
        for huge in HUGE {
            assert!(is_pending(sleep(huge)));
            assert_eq!(timeout(huge, async { 7 }).await, Ok(7));
            assert_eq!(timeout(huge, yield_now()).await, Ok(()));
            assert!(is_pending(timeout(huge, pending::<()>())));
            assert_eq!(shield(huge, async { 7 }).await, 7);
            let mut ticks = interval(huge);
            ticks.tick().await;
            assert!(is_pending(ticks.tick()));
            ticks.reset();
            assert!(is_pending(ticks.tick()));
            // On a worker, whose own timer takes part in its blocking; cancelled at the end of the scope.
            let cancelled = scope(|s: Scope| async move {
                drop(s.spawn(sleep(huge)));
                s.stop(huge);
                assert!(s.is_stopping() && !s.is_cancelled());
                sleep(Duration::from_millis(1)).await;
                s.cancel("seen");
                Ok(())
            });
            assert!(cancelled.await.unwrap_err().is_cancelled());
        }
    });
}

#[test]
fn nothing_is_over_at_once() {
    let _dog = watchdog();
    runtime(2).block_on(async {
        let long_ago = Instant::now();
        sleep(Duration::ZERO).await;
        sleep_until(long_ago).await;
        assert_eq!(timeout(Duration::ZERO, async { 7 }).await, Ok(7));
        assert!(timeout(Duration::ZERO, pending::<()>()).await.is_err());
        assert!(timeout_at(long_ago, pending::<()>()).await.is_err());
        assert_eq!(timeout_at(long_ago, async { 7 }).await, Ok(7));
        assert_eq!(shield(Duration::ZERO, async { 7 }).await, 7);
        let stopped = scope(|s: Scope| async move {
            drop(s.spawn(pending::<()>()));
            s.stop(Duration::ZERO);
            Ok(())
        });
        assert!(stopped.await.unwrap_err().is_cancelled());
    });
}

#[test]
fn an_interval_of_nothing_says_so() {
    let payload = std::panic::catch_unwind(|| interval(Duration::ZERO)).unwrap_err();
    let text = payload.downcast_ref::<&str>().unwrap();
    assert!(text.contains("period") && text.contains("zero"), "{text}");
}

#[test]
fn a_shutdown_without_limit_ends_with_its_tasks() {
    let _dog = watchdog();
    for huge in HUGE {
        let runtime = runtime(2);
        let root = runtime.handle().root().unwrap();
        let (started, has_started) = mpsc::channel();
        drop(runtime.spawn(async move {
            started.send(()).unwrap();
            root.stopping().await;
        }));
        has_started.recv().unwrap();
        assert!(runtime.shutdown(huge, huge).is_clean());
        drop(Builder::new_multi_thread().worker_threads(1).shutdown_timeout(huge).build().unwrap());
    }
}

#[test]
fn a_shutdown_with_no_time_returns_and_ends_in_the_background() {
    let _dog = watchdog();
    let runtime = runtime(2);
    let handle = runtime.handle();
    drop(runtime.spawn(pending::<()>()));
    let report = runtime.shutdown(Duration::ZERO, Duration::ZERO);
    wait_until(|| handle.root().is_none());
    drop(report);
}

#[test]
fn blocking_threads_stay_for_ever_or_not_at_all() {
    let _dog = watchdog();
    for keep_alive in [Duration::ZERO, Duration::MAX] {
        let runtime = Builder::new_multi_thread().worker_threads(1).blocking_keep_alive(keep_alive).build().unwrap();
        for round in 0..10 {
            assert_eq!(runtime.block_on(ramus::blocking::unblock(move |_| round)), round);
        }
        // An idle thread that would stay for ever ends with the runtime.
        assert!(runtime.shutdown_timeout(Duration::from_secs(60)).is_clean());
    }
}

#[test]
fn a_time_out_around_a_socket_lets_it_go() -> io::Result<()> {
    let _dog = watchdog();
    let runtime = runtime(1);
    runtime.block_on(async {
        let listener = ramus::net::TcpListener::bind("127.0.0.1:0").await?;
        for limit in [Duration::ZERO, Duration::from_millis(1)] {
            assert!(timeout(limit, listener.accept()).await.is_err());
        }
        assert!(is_pending(timeout(Duration::MAX, listener.accept())));
        assert_eq!(ramus::Handle::current().metrics().waiting_operations, 0);
        // The listener is as good as before.
        let peer = std::net::TcpStream::connect(listener.local_addr()?)?;
        let (_stream, from) = timeout(Duration::MAX, listener.accept()).await.unwrap()?;
        assert_eq!(from, peer.local_addr()?);
        assert!(matches!(
            std::future::poll_fn(|cx| Poll::Ready(pin!(listener.accept()).poll(cx))).await,
            Poll::Pending
        ));
        Ok(())
    })
}
