//! Handles of tasks: shared ones, cancellers, and what stays true of all of them.

mod common;

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::{runtime, watchdog};
use ramus::sync::Event;
use ramus::{BoxError, Scope, join_all, scope, timeout, yield_now};

fn in_scope<F, Fut>(workers: usize, body: F)
where
    F: FnOnce(Scope) -> Fut,
    Fut: Future<Output = Result<(), BoxError>> + Send,
{
    let _dog = watchdog();
    let runtime = runtime(workers);
    runtime.block_on(scope(body)).unwrap();
}

#[test]
fn a_shared_handle_is_awaited_by_many_and_many_times() {
    in_scope(2, |s: Scope| async move {
        let open = Arc::new(Event::new());
        let opened = Arc::clone(&open);
        let mut task = s
            .spawn(async move {
                opened.wait().await;
                "a result that cannot be cloned".to_owned()
            })
            .shared();
        let joiners: Vec<_> = (0..100)
            .map(|_| {
                let task = task.clone();
                s.spawn(async move { task.await.unwrap().len() })
            })
            .collect();
        yield_now().await;
        assert!(task.try_result().is_none() && !task.is_finished());
        open.set();
        for length in join_all(joiners).await {
            assert_eq!(length?, 30);
        }
        for _ in 0..3 {
            assert!((&mut task).await.is_ok());
        }
        let late = task.clone();
        assert!(Arc::ptr_eq(&late.await?, &task.try_result().unwrap()?), "one result for all");
        Ok(())
    });
}

#[test]
fn a_shared_handle_that_nobody_awaited_has_its_result() {
    in_scope(1, |s: Scope| async move {
        let task = s.spawn(async { 7 }).shared();
        while !task.is_finished() {
            yield_now().await;
        }
        for _ in 0..2 {
            assert_eq!(*task.try_result().expect("it is not taken away")?, 7);
        }
        assert_eq!(*task.await?, 7);
        Ok(())
    });
}

#[test]
fn d38_a_joiner_that_is_cancelled_or_cut_takes_nothing_from_the_others() {
    in_scope(2, |s: Scope| async move {
        let open = Arc::new(Event::new());
        let opened = Arc::clone(&open);
        let task = s.spawn(async move { opened.wait().await }).shared();
        // The first joiner is the one whose waker the task gets.
        let mut first = task.clone();
        assert!(timeout(Duration::from_millis(1), &mut first).await.is_err());
        let second = s.spawn(task.clone());
        let third = s.spawn(task.clone());
        while s.live() < 3 {
            yield_now().await;
        }
        assert!(second.cancel("alone"));
        assert!(second.await.unwrap_err().is_cancelled());
        drop(first);
        assert!(!task.is_cancelled() && !task.is_finished());
        open.set();
        assert!(third.await?.is_ok());
        assert!(task.await.is_ok());
        Ok(())
    });
}

#[test]
fn d38_d47_dropping_all_shared_handles_leaves_the_task() {
    let done = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&done);
    in_scope(2, |s: Scope| async move {
        let task = s.spawn(async move {
            yield_now().await;
            done.store(true, Ordering::SeqCst);
        });
        let shared = task.shared();
        drop((shared.clone(), shared));
        Ok(())
    });
    assert!(seen.load(Ordering::SeqCst));
}

#[test]
fn d04_d05_a_canceller_cancels_once_and_keeps_no_future() {
    in_scope(2, |s: Scope| async move {
        let alive = Arc::new(());
        let held = Arc::clone(&alive);
        let task = s.spawn(async move {
            let _held = held;
            pending::<()>().await;
        });
        let canceller = task.cancel_handle();
        assert!(!canceller.is_cancelled() && !canceller.is_finished());
        assert_eq!(canceller.id(), task.id());
        let other = canceller.clone();
        let outside = std::thread::spawn(move || other.cancel("from a thread outside"));
        assert!(outside.join().unwrap());
        assert!(!canceller.cancel("again"));
        let error = task.await.unwrap_err();
        assert_eq!(error.reason().unwrap().message(), Some("from a thread outside"));
        assert!(canceller.is_finished() && canceller.is_cancelled());
        assert!(!canceller.cancel("finished"));
        assert_eq!(Arc::strong_count(&alive), 1);
        let finished = s.spawn(async { 1 });
        let canceller = finished.cancel_handle();
        assert_eq!(finished.await?, 1);
        assert!(!canceller.cancel("too late") && !canceller.is_cancelled());
        // Without a handle the task is finished all the same.
        let canceller = s.spawn(async {}).cancel_handle();
        while !canceller.is_finished() {
            yield_now().await;
        }
        assert!(!canceller.cancel("too late"));
        Ok(())
    });
}

#[test]
fn d32_shared_handles_cancel_with_a_reason() {
    in_scope(2, |s: Scope| async move {
        let task = s.spawn(pending::<()>()).shared();
        assert!(task.clone().cancel("enough"));
        assert!(task.is_cancelled() && !task.cancel_handle().cancel("again"));
        assert_eq!(task.await.unwrap_err().reason().unwrap().message(), Some("enough"));
        Ok(())
    });
}

#[test]
fn an_event_lets_all_go_on() {
    in_scope(2, |s: Scope| async move {
        let event = Arc::new(Event::new());
        let waiting: Vec<_> = (0..1000)
            .map(|_| {
                let event = Arc::clone(&event);
                s.spawn(async move { event.wait().await })
            })
            .collect();
        yield_now().await;
        event.set();
        for waiter in join_all(waiting).await {
            waiter?;
        }
        Ok(())
    });
}

#[test]
fn a_canceller_and_a_shared_handle_say_finished_when_the_result_is_there() {
    let runtime = common::runtime(2);
    for number in 0..5_000 {
        let mut task = runtime.spawn(async move { number });
        let canceller = task.cancel_handle();
        while !canceller.is_finished() {
            std::hint::spin_loop();
        }
        assert_eq!(task.try_result().unwrap().unwrap(), number);
        let shared = runtime.spawn(async move { number }).shared();
        while !shared.is_finished() {
            std::hint::spin_loop();
        }
        assert_eq!(*shared.try_result().unwrap().unwrap(), number);
    }
    // Without a handle nobody takes the result, and the task ends all the same.
    let canceller = runtime.spawn(async {}).cancel_handle();
    while !canceller.is_finished() {
        std::thread::yield_now();
    }
}

#[test]
fn d05_a_cancel_through_any_handle_says_where_it_was_called() {
    in_scope(2, |s: Scope| async move {
        let (alone, cloned, shared) =
            (s.spawn(pending::<()>()), s.spawn(pending::<()>()), s.spawn(pending::<()>()).shared());
        let line = line!() + 1;
        let cut = [alone.cancel("here"), cloned.cancel_handle().cancel("here"), shared.cancel("here")];
        assert_eq!(cut, [true; 3]);
        let shared = shared.await.unwrap_err();
        for error in [&alone.await.unwrap_err(), &cloned.await.unwrap_err(), &*shared] {
            let site = error.reason().unwrap().site().unwrap();
            assert_eq!((site.file(), site.line()), (file!(), line), "{error:#}");
        }
        Ok(())
    });
}
