//! `block_on`, `enter` and their errors.

mod common;

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use common::{runtime, watchdog};

#[test]
fn a_nested_block_on_is_an_error() {
    let _dog = watchdog();
    let runtime = runtime(1);
    let handle = runtime.handle();
    let inside = runtime.block_on(async move { handle.try_block_on(async {}) });
    assert!(inside.unwrap_err().is_nested());
    let on_worker = runtime.block_on(async move { ramus::spawn(async move { handle.try_block_on(async {}) }).await });
    let error = on_worker.unwrap().unwrap_err();
    assert!(error.is_nested());
    assert!(error.to_string().contains("block_on"), "{error}");
    let panicked = runtime.block_on(async move { ramus::spawn(async move { handle.block_on(async {}) }).await });
    assert!(panicked.unwrap_err().is_panic());
}

#[test]
fn outside_of_a_runtime_everything_says_so() {
    assert!(ramus::Handle::try_current().unwrap_err().is_outside());
    let spawned = std::panic::catch_unwind(|| drop(ramus::spawn(async {})));
    let payload = spawned.unwrap_err();
    let text = payload.downcast_ref::<String>().unwrap();
    assert!(text.contains("no ramus runtime on this thread"), "{text}");
}

#[test]
fn guards_nest() {
    let (one, two) = (runtime(1), runtime(1));
    let (first, second) = (one.handle(), two.handle());
    let outer = first.enter();
    let inner = second.enter();
    assert_eq!(ramus::Handle::current(), two.handle());
    drop(inner);
    assert_eq!(ramus::Handle::current(), one.handle());
    drop(outer);
    assert!(ramus::Handle::try_current().is_err());
}

#[test]
fn a_future_that_parks_and_unparks_its_thread_loses_no_wake() {
    let _dog = watchdog();
    let runtime = runtime(1);
    let (sender, receiver) = std::sync::mpsc::channel::<Waker>();
    let waking = std::thread::spawn(move || {
        for waker in receiver {
            waker.wake();
        }
    });
    let mut rounds = 0;
    runtime.block_on(std::future::poll_fn(|cx| {
        rounds += 1;
        // Plays with the token of its thread, which must not be what block_on waits for.
        std::thread::current().unpark();
        std::thread::park();
        sender.send(cx.waker().clone()).unwrap();
        if rounds > 1_000 { Poll::Ready(()) } else { Poll::Pending }
    }));
    drop(sender);
    waking.join().unwrap();
}

#[test]
fn a_handle_on_any_executor() {
    let _dog = watchdog();
    let runtime = runtime(1);
    let mut task = Box::pin(runtime.spawn(async { 5 }));
    let mut cx = Context::from_waker(Waker::noop());
    let value = loop {
        if let Poll::Ready(value) = task.as_mut().poll(&mut cx) {
            break value;
        }
        std::thread::yield_now();
    };
    assert_eq!(value.unwrap(), 5);
}

#[test]
fn wakes_from_destructors_of_thread_locals_arrive() {
    struct WakesInDrop(Option<Waker>);
    impl Drop for WakesInDrop {
        fn drop(&mut self) {
            if let Some(waker) = self.0.take() {
                waker.wake();
            }
        }
    }
    std::thread_local! { static LATE: std::cell::RefCell<WakesInDrop> = const { std::cell::RefCell::new(WakesInDrop(None)) }; }
    let _dog = watchdog();
    let runtime = runtime(1);
    let woken = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let mut polled = false;
    let (sender, receiver) = std::sync::mpsc::channel::<Waker>();
    let task = runtime.spawn(std::future::poll_fn(move |cx| {
        if std::mem::replace(&mut polled, true) {
            return Poll::Ready(());
        }
        sender.send(cx.waker().clone()).unwrap();
        Poll::Pending
    }));
    let waker = receiver.recv().unwrap();
    let flag = Arc::clone(&woken);
    std::thread::spawn(move || {
        LATE.with(|late| late.borrow_mut().0 = Some(waker));
        flag.store(true, std::sync::atomic::Ordering::SeqCst);
    })
    .join()
    .unwrap();
    runtime.block_on(task).unwrap();
}

/// Nothing would end such a scope with the runtime: it is refused in words, not left to hang.
#[test]
fn a_scope_polled_by_a_foreign_executor_says_where_it_belongs() {
    let runtime = runtime(1);
    let _entered = runtime.enter();
    let mut scope = Box::pin(ramus::scope(|_s: ramus::Scope| async { Ok(()) }));
    let polled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _ = scope.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    }));
    let payload = polled.unwrap_err();
    let text = payload.downcast_ref::<&str>().unwrap();
    assert!(text.contains("block_on"), "{text}");
    assert!(ramus::ScopeHandle::current().is_none());
}

/// Nobody fills the budget of a thread that the runtime does not poll on: it fills itself by a suspension.
#[test]
fn d46_a_budget_lasts_on_another_executor() {
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let _dog = watchdog();
    let runtime = runtime(1);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut all = pin!(async {
        let event = ramus::sync::Event::new();
        event.set();
        for _ in 0..500 {
            runtime.spawn(async {}).await.unwrap();
            event.wait().await;
        }
    });
    while all.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
        std::thread::park();
    }
}
