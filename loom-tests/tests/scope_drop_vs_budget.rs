//! The end of a shield, and its move to another place, against the alarm of its budget.
//!
//! Property: an alarm that fires while its shield ends has no effect, and nothing keeps the alarm. One that fires while its
//! shield moves is not lost: afterwards the shield protects nothing where it is.
//! Threads: the clock, the poller (main). Bound: 2 preemptions.
//! Planted fault: an alarm that does not find its shield's row does not look where it has gone.
//! Covers: D8, D9, D29.
#![cfg(ramus_loom)]

mod scope_bench;

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use ramus_scope::{Host, Member, Root, shield};
use scope_bench::{Bench, Task};

thread_local! {
    /// The waker of the last alarm. All threads of a model run on one real thread.
    static ARMED: RefCell<Option<Waker>> = const { RefCell::new(None) };
}

/// A host whose alarms are fired by the model.
#[derive(Clone)]
struct Clock(Arc<AtomicUsize>);

/// Counted while it is kept.
struct Alarm(Arc<AtomicUsize>);

impl Drop for Alarm {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Host for Clock {
    type JoinHandle<T: Send + 'static> = Task<T>;
    type Alarm = Alarm;

    fn current() -> Option<Clock> {
        None
    }

    fn spawn<F>(&self, member: Member<F>) -> Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Bench.spawn(member)
    }

    fn wake_after(&self, _: Duration, waker: Waker) -> Alarm {
        self.0.fetch_add(1, Ordering::Relaxed);
        ARMED.with(|armed| *armed.borrow_mut() = Some(waker));
        Alarm(Arc::clone(&self.0))
    }

    fn wake_at(&self, _: Instant, waker: Waker) -> Alarm {
        self.wake_after(Duration::ZERO, waker)
    }
}

fn armed() -> Waker {
    ARMED.with(|armed| armed.borrow_mut().take()).expect("an alarm was set")
}

fn poll<T>(task: &mut Task<T>) -> Poll<Result<T, ramus_scope::JoinError>> {
    Pin::new(task).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn end_against_expiry() {
    loom_tests::check("scope_drop_vs_budget", 5, || {
        let alarms = Arc::new(AtomicUsize::new(0));
        let root = Root::new(Clock(Arc::clone(&alarms)), "root");
        let mut polls = 0;
        let mut task = root.handle().spawn(shield(
            Duration::from_secs(1),
            poll_fn(move |_| {
                polls += 1;
                if polls == 1 { Poll::Pending } else { Poll::Ready(7) }
            }),
        ));
        assert!(poll(&mut task).is_pending());
        root.handle().cancel("now");
        let alarm = armed();
        let clock = thread::spawn(move || alarm.wake());
        // If the budget was over first, the shield does not protect this poll any more.
        match poll(&mut task) {
            Poll::Ready(Ok(value)) => assert_eq!(value, 7),
            Poll::Ready(Err(error)) => assert!(error.is_cancelled() && !error.never_started()),
            Poll::Pending => panic!("it is cut, or ready"),
        }
        clock.join().unwrap();
        assert_eq!(alarms.load(Ordering::Relaxed), 0, "the alarm goes with the shield");
        root.close();
    });
}

#[test]
fn move_against_expiry() {
    loom_tests::check("scope_drop_vs_budget: move", 10, || {
        let alarms = Arc::new(AtomicUsize::new(0));
        let first_root = Root::new(Clock(Arc::clone(&alarms)), "first");
        let second_root = Root::new(Clock(Arc::clone(&alarms)), "second");
        let kept = std::sync::Arc::new(std::sync::Mutex::new(None));
        let out = std::sync::Arc::clone(&kept);
        let mut first = first_root.handle().spawn(async move {
            let mut inside = Box::pin(shield(Duration::from_secs(1), std::future::pending::<()>()));
            poll_fn(|cx| {
                assert!(inside.as_mut().poll(cx).is_pending());
                Poll::Ready(())
            })
            .await;
            *out.lock().unwrap() = Some(inside);
            std::future::pending::<()>().await;
        });
        assert!(poll(&mut first).is_pending());
        first_root.handle().cancel("now");
        let alarm = armed();
        let mut second = second_root.handle().spawn(kept.lock().unwrap().take().unwrap());
        let clock = thread::spawn(move || alarm.wake());
        assert!(poll(&mut second).is_pending(), "nothing is cancelled there");
        clock.join().unwrap();
        second_root.handle().cancel("there");
        assert!(poll(&mut second).is_ready(), "the budget was over before");
        assert!(poll(&mut first).is_ready());
        assert_eq!(alarms.load(Ordering::Relaxed), 0);
        first_root.close();
        second_root.close();
    });
}
