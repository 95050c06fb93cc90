//! Hostile code where the crate calls out: wakers that panic or come back, destructors that cancel, spawn and panic.
#![allow(missing_docs)]

mod common;

use std::future::Future;
use std::io;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Wake, Waker};
use std::time::{Duration, Instant};

use common::{Alive, Log, Sim};
use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use ramus_scope::{Host, JoinError, Member, Root, Scope, ScopeHandle, run_until_cancelled, scope, shield};

const LONG: u64 = 1_000_000;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Runs the test on a thread of its own: a deadlock is a failure, not a hang.
fn watched(test: impl FnOnce() + Send + 'static) {
    let (done, wait) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        test();
        let _ = done.send(());
    });
    match wait.recv_timeout(Duration::from_secs(60)) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("a deadlock"),
        Ok(()) | Err(mpsc::RecvTimeoutError::Disconnected) => thread.join().unwrap(),
    }
}

/// Calls a closure at every wake, clone and drop, and forwards wakes.
struct Spy {
    inner: Waker,
    seen: Arc<dyn Fn(&'static str) + Send + Sync>,
}

fn spy(spy: Arc<Spy>) -> Waker {
    fn raw(spy: Arc<Spy>) -> RawWaker {
        RawWaker::new(Arc::into_raw(spy).cast(), &VTABLE)
    }
    /// The spy of a waker, without taking its reference.
    fn borrow(data: *const ()) -> std::mem::ManuallyDrop<Arc<Spy>> {
        // SAFETY: `data` came from `Arc::into_raw` in `raw`, and the waker's reference is not given up here.
        std::mem::ManuallyDrop::new(unsafe { Arc::from_raw(data.cast()) })
    }
    fn clone(data: *const ()) -> RawWaker {
        let spy = borrow(data);
        (spy.seen)("clone");
        raw(Arc::clone(&spy))
    }
    fn wake_by_ref(data: *const ()) {
        let spy = borrow(data);
        (spy.seen)("wake");
        spy.inner.wake_by_ref();
    }
    fn wake(data: *const ()) {
        wake_by_ref(data);
        drop_waker(data);
    }
    fn drop_waker(data: *const ()) {
        let spy = std::mem::ManuallyDrop::into_inner(borrow(data));
        (spy.seen)("drop");
    }
    static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop_waker);
    // SAFETY: the functions of the table keep the contract: each waker owns one reference of an `Arc` that is
    // `Send + Sync`; `clone` adds one, `wake` and `drop` give one up.
    unsafe { Waker::from_raw(raw(spy)) }
}

/// Polls `future` with a spy each time.
struct Spied<F> {
    future: Pin<Box<F>>,
    seen: Arc<dyn Fn(&'static str) + Send + Sync>,
}

impl<F: Future> Future for Spied<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let waker = spy(Arc::new(Spy { inner: cx.waker().clone(), seen: Arc::clone(&self.seen) }));
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }
}

struct Call<F: Fn()>(F);

impl<F: Fn() + Send + Sync> Wake for Call<F> {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

#[test]
fn d33_a_waker_that_panics_keeps_nobody_else_asleep() {
    let sim = Sim::new();
    let root = Root::new(sim, "root");
    let woken = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&woken);
    let good = Waker::from(Arc::new(Call(move || {
        count.fetch_add(1, Ordering::SeqCst);
    })));
    let bad = Waker::from(Arc::new(Call(|| panic!("a waker"))));
    let mut waiting: Vec<_> = (0..6).map(|_| Box::pin(root.handle().cancelled())).collect();
    for (i, waiter) in waiting.iter_mut().enumerate() {
        let waker = if i % 2 == 0 { &bad } else { &good };
        assert!(waiter.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
    }
    assert!(root.handle().cancel("now"));
    assert_eq!(woken.load(Ordering::SeqCst), 3);
}

#[test]
fn d33_wakers_that_come_back() {
    watched(|| {
        for event in ["wake", "clone", "drop"] {
            for act in 0..4 {
                come_back(event, act);
            }
        }
    });
}

/// A tree in which every waker, at `event`, does something to the same tree.
fn come_back(event: &'static str, act: usize) {
    let sim = Sim::new();
    let root = Root::new(sim.clone(), "root");
    let shared: Arc<Mutex<Option<ScopeHandle<Sim>>>> = Arc::default();
    let (handle, inner_handle) = (root.handle().clone(), Arc::clone(&shared));
    let left = AtomicUsize::new(200);
    let seen: Arc<dyn Fn(&'static str) + Send + Sync> = Arc::new(move |what| {
        if what != event || left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_err() {
            return;
        }
        let inner = inner_handle.lock().unwrap().clone();
        for scope in inner.iter().chain([&handle]) {
            match act {
                0 => drop(scope.spawn(async {})),
                1 => drop(scope.tree()),
                2 => {
                    scope.stop(ms(1000));
                    drop(scope.admit());
                }
                _ => drop((scope.set_deadline(Instant::now() + ms(LONG)), scope.cancelled())),
            }
        }
    });
    let alive = Alive::default();
    let watch = alive.clone();
    let see = Arc::clone(&seen);
    let task = root.handle().spawn(Spied {
        seen: Arc::clone(&seen),
        future: Box::pin(async move {
            let inside = scope(|s: Scope<Sim, io::Error>| async move {
                *shared.lock().unwrap() = Some((*s).clone());
                let guards: Vec<_> = (0..4).map(|_| alive.guard()).collect();
                for guard in guards {
                    let inner_see = Arc::clone(&see);
                    s.spawn(Spied {
                        seen: Arc::clone(&see),
                        future: Box::pin(async move {
                            let _guard = guard;
                            let all: FuturesUnordered<_> = (1..4).map(|i| shield(ms(20), Sim::sleep(i * 5))).collect();
                            let _: Vec<()> = Spied { seen: inner_see, future: Box::pin(all.collect()) }.await;
                            let _ = run_until_cancelled(Sim::sleep(LONG)).await;
                        }),
                    });
                }
                s.cancelled().await;
                Ok(())
            });
            let _ = Spied { seen, future: Box::pin(inside) }.await;
        }),
    });
    for _ in 0..3 {
        sim.settle();
        sim.advance();
    }
    root.handle().cancel("now");
    assert!(sim.run(task).is_err());
    sim.settle();
    root.close();
    while root.handle().live() > 0 {
        assert!(sim.advance(), "{event} {act}: members are left");
        sim.settle();
    }
    assert_eq!(watch.count(), 0, "{event} {act}");
}

#[test]
fn spot6_a_poll_amid_a_walk_takes_nothing_for_abandoned() {
    let sim = Sim::new();
    let log = Log::default();
    let seen = log.clone();
    let root = Root::new(sim.clone(), "root");
    let task = root.handle().spawn(async move {
        let mut all: FuturesUnordered<_> = [shield(ms(50), async {
            Sim::sleep(10).await;
            log.add("whole");
        })]
        .into_iter()
        .collect();
        all.next().await;
    });
    sim.settle();
    // Woken by the walk after the task and before what is inside the task: as if another thread polled the task then.
    let amid = sim.clone();
    let waker = Waker::from(Arc::new(Call(move || amid.settle())));
    let mut waiting = Box::pin(root.handle().cancelled());
    assert!(waiting.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    root.handle().cancel("now");
    let _ = sim.run(task);
    assert_eq!(seen.take(), ["whole"], "a shield is not dropped half-way");
    assert_eq!(sim.now(), 10);
}

struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

#[test]
fn d33_destructors_that_cancel_and_spawn() {
    watched(|| {
        let sim = Sim::new();
        let result = sim.run(async {
            scope(|s: Scope<Sim, io::Error>| async move {
                for _ in 0..10 {
                    let handle = s.clone();
                    let bomb = OnDrop(move || {
                        handle.cancel("from a destructor");
                        drop(handle.spawn(async { panic!("polled") }));
                        drop(handle.tree());
                        assert!(handle.is_cancelled());
                    });
                    s.spawn(async move {
                        let _bomb = bomb;
                        Sim::sleep(LONG).await;
                    });
                }
                Sim::sleep(1).await;
                s.cancel("now");
                Sim::sleep(1).await;
                Ok(())
            })
            .await
        });
        assert_eq!(result.unwrap_err().reason().unwrap().message(), Some("now"));
    });
}

#[test]
fn d23_panics_of_destructors_while_cancelling_are_the_tasks_panics() {
    let sim = Sim::new();
    let alive = Alive::default();
    let watch = alive.clone();
    let run = async move {
        scope(|s: Scope<Sim, io::Error>| async move {
            for _ in 0..3 {
                let guard = alive.guard();
                s.spawn(async move {
                    let _guard = guard;
                    let _bomb = OnDrop(|| panic!("D23"));
                    Sim::sleep(LONG).await;
                });
            }
            Sim::sleep(1).await;
            s.cancel("now");
            Ok(())
        })
        .await
    };
    let payload = sim.run(AssertUnwindSafe(run).catch_unwind()).map(|_| ()).unwrap_err();
    assert_eq!(*payload.downcast::<&str>().unwrap(), "D23");
    assert_eq!(watch.count(), 0, "all were dropped");
}

#[test]
fn a_panic_of_a_stop_signal_is_the_bodys() {
    let sim = Sim::new();
    let alive = Alive::default();
    let watch = alive.clone();
    let run = async move {
        scope(|s: Scope<Sim, io::Error>| async move {
            let guard = alive.guard();
            s.spawn(async move {
                let _guard = guard;
                shield(ms(50), Sim::sleep(20)).await;
            });
            s.stop_on(
                async {
                    Sim::sleep(1).await;
                    panic!("a signal");
                },
                ms(1),
            );
            Sim::sleep(LONG).await;
            Ok(())
        })
        .await
    };
    assert!(sim.run(AssertUnwindSafe(run).catch_unwind()).is_err());
    assert_eq!((watch.count(), sim.now()), (0, 20), "everything was joined before the panic went on");
}

#[test]
fn d03_a_member_dropped_unpolled_in_a_cancelled_scope_was_cut() {
    let sim = Sim::new();
    let result = sim.run(async {
        scope(|s: Scope<Sim, io::Error>| async move {
            let member = s.member(async {}).unwrap();
            s.cancel("now");
            drop(member);
            Ok(1)
        })
        .await
    });
    assert!(result.unwrap_err().is_cancelled(), "D3");
}

/// A host that runs nothing.
#[derive(Clone)]
struct Idle(#[expect(dead_code, reason = "counted")] Arc<()>);

impl Host for Idle {
    type JoinHandle<T: Send + 'static> = ();
    type Alarm = ();

    fn current() -> Option<Idle> {
        None
    }

    fn spawn<F>(&self, member: Member<F>)
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let _: Option<Result<F::Output, JoinError>> = member.into_future().now_or_never();
    }

    fn wake_after(&self, _: Duration, _: Waker) {}

    fn wake_at(&self, _: Instant, _: Waker) {}
}

#[test]
fn a_root_that_is_dropped_is_closed() {
    let used = Arc::new(());
    let root = Root::new(Idle(Arc::clone(&used)), "root");
    root.handle().spawn(async {});
    drop(root);
    assert_eq!(Arc::strong_count(&used), 1, "its node is freed");
    let root = Root::new(Idle(Arc::clone(&used)), "root");
    root.close();
    root.close();
    assert!(root.poll_drained(&mut Context::from_waker(Waker::noop())).is_ready());
}
