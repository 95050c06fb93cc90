//! Finalizers of scopes whose future was dropped half-way: they run as a task of the adopter (D28).
#![allow(missing_docs)]

mod common;

use std::future::{Future, pending};
use std::io;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use common::steps::{message, step};
use common::strays::poll_once;
use common::{Alive, Log, Sim};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, poll_fn, select};
use ramus_scope::{Host, Member, ReasonKind, Root, Scope, ScopeError, ScopeHandle, scope, shield};

const LONG: u64 = 1_000_000;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A scope with two finalizers of 5 ms whose body sleeps for `body`, and which has a child of 10 ms.
fn dropped(log: Log, body: u64) -> Pin<Box<dyn Future<Output = Result<(), ScopeError<io::Error>>> + Send>> {
    Box::pin(scope(move |s: Scope<Sim, io::Error>| async move {
        s.defer(step(log.clone(), "first", 5)).unwrap();
        s.defer(step(log.clone(), "second", 5)).unwrap();
        s.spawn(shield(ms(100), step(log, "child", 10)));
        Sim::sleep(body).await;
        Ok(())
    }))
}

const ALL: [&str; 6] = ["child begins", "child ends", "second begins", "second ends", "first begins", "first ends"];

#[test]
fn d28_a_scope_dropped_in_its_body_while_draining_or_while_finalizing_runs_its_finalizers_in_its_adopter() {
    for (phase, body, when) in
        [("body", LONG, 3), ("draining", 1, 5), ("second", 1, 12), ("first", 1, 17), ("over", 1, 20)]
    {
        let sim = Sim::new();
        let log = Log::default();
        let inside = log.clone();
        let outside = log.clone();
        let value = sim.run(async move {
            let value = scope(|_: Scope<Sim, io::Error>| async move {
                let mut inner = dropped(inside.clone(), body);
                let _ = select(&mut inner, Box::pin(Sim::sleep(when))).await;
                drop(inner);
                Ok(1)
            })
            .await;
            outside.add("outer ended");
            value
        });
        assert_eq!(value.unwrap(), 1, "{phase}: what the body dropped does not count as cut");
        let mut all = log.take();
        assert_eq!(all.pop().as_deref(), Some("outer ended"), "{phase}");
        assert_eq!(all, ALL, "{phase}");
        assert_eq!((sim.now(), sim.alarms()), (20, 0), "{phase}");
    }
}

#[test]
fn d28_finalizers_of_a_dropped_scope_run_in_an_adopter_that_is_cancelled() {
    for cancel_first in [false, true] {
        let sim = Sim::new();
        let log = Log::default();
        let seen = log.clone();
        let error = sim.run(scope(move |outer: Scope<Sim, io::Error>| async move {
            let mut inner = dropped(log, LONG);
            poll_once(&mut inner).await;
            Sim::sleep(1).await;
            if cancel_first {
                outer.cancel("the adopter");
                drop(inner);
            } else {
                drop(inner);
                outer.cancel("the adopter");
            }
            Sim::sleep(1).await;
            Ok(())
        }));
        assert!(error.unwrap_err().is_cancelled());
        assert_eq!(seen.take(), ALL);
        assert_eq!((sim.now(), sim.alarms()), (20, 0));
    }
}

#[test]
fn d28_a_scope_that_drains_before_its_drop_in_a_cancelled_adopter_runs_its_finalizers() {
    let sim = Sim::new();
    let log = Log::default();
    let seen = log.clone();
    let error = sim.run(scope(|outer: Scope<Sim, io::Error>| async move {
        let mut inner = Box::pin(scope(|s: Scope<Sim, io::Error>| async move {
            s.defer(step(log, "it", 5)).unwrap();
            Sim::sleep(LONG).await;
            Ok(())
        }));
        poll_once(&mut inner).await;
        outer.cancel("the adopter");
        drop(inner);
        Ok(())
    }));
    // Its first poll is guaranteed, and the finalizer is not the adopter's to cut.
    assert!(error.is_ok(), "nothing of the outer scope was cut");
    assert_eq!((seen.take(), sim.now()), (vec!["it begins".to_owned(), "it ends".to_owned()], 5));
}

#[test]
fn d28_d21_the_panic_of_a_finalizer_of_a_dropped_scope_is_its_adopters() {
    let sim = Sim::new();
    let run = scope(|outer: Scope<Sim, io::Error>| async move {
        let mut inner = Box::pin(scope(|s: Scope<Sim, io::Error>| async move {
            s.defer(async {
                Sim::sleep(2).await;
                panic!("in a finalizer")
            })
            .unwrap();
            Sim::sleep(LONG).await;
            Ok(())
        }));
        poll_once(&mut inner).await;
        drop(inner);
        outer.spawn(Sim::sleep(LONG));
        Ok(())
    });
    let payload = sim.run(AssertUnwindSafe(run).catch_unwind()).unwrap_err();
    assert_eq!((message(payload), sim.now()), ("in a finalizer", 2), "the sibling was cancelled");
}

#[test]
fn d28_a_scope_around_which_there_is_nothing_finalizes_all_the_same() {
    let sim = Sim::new();
    let log = Log::default();
    let inside = log.clone();
    sim.run(async move {
        let mut outermost = dropped(inside, LONG);
        poll_once(&mut outermost).await;
        Sim::sleep(1).await;
        drop(outermost);
    });
    while sim.advance() {
        sim.settle();
    }
    assert_eq!(log.take(), ALL);
    assert_eq!(sim.now(), 20);
}

#[test]
fn d28_members_of_a_dropped_scope_may_defer_until_its_finalizers_have_run() {
    let sim = Sim::new();
    let log = Log::default();
    let seen = log.clone();
    let kept = sim.run(scope(|_: Scope<Sim, io::Error>| async move {
        let slot = Arc::new(Mutex::new(None));
        let out = slot.clone();
        let mut inner = Box::pin(scope(|s: Scope<Sim, io::Error>| async move {
            *out.lock().unwrap() = Some((*s).clone());
            let handle = (*s).clone();
            s.spawn(shield(ms(50), async move {
                Sim::sleep(5).await;
                handle.defer(step(log, "late", 1)).unwrap();
            }));
            Sim::sleep(LONG).await;
            Ok(())
        }));
        poll_once(&mut inner).await;
        Sim::sleep(1).await;
        drop(inner);
        let kept = slot.lock().unwrap().take();
        Ok(kept.unwrap())
    }));
    assert_eq!(seen.take(), ["late begins", "late ends"]);
    let refused = kept.unwrap().defer(async {}).unwrap_err();
    assert_eq!(refused.reason().unwrap().kind(), ReasonKind::Dropped);
}

#[test]
fn d48_finalizers_of_a_root_run_when_it_is_closed_and_drained() {
    let sim = Sim::new();
    let log = Log::default();
    let root = Root::new(sim.clone(), "root");
    root.handle().defer(step(log.clone(), "root's", 5)).unwrap();
    root.handle().defer(async { panic!("printed, and nobody's") }).unwrap();
    drop(root.handle().spawn(step(log.clone(), "task", 5)));
    root.close();
    let waker = Waker::noop();
    let mut cx = Context::from_waker(waker);
    while sim.step() || sim.advance() {
        let over = log.clone().take();
        let ended = over.iter().any(|entry| entry == "root's ends");
        over.into_iter().for_each(|entry| log.add(entry));
        assert!(root.poll_drained(&mut cx).is_pending() || ended, "it waits for its finalizers");
    }
    assert!(root.poll_drained(&mut cx).is_ready());
    assert_eq!(log.take(), ["task begins", "task ends", "root's begins", "root's ends"]);
    assert!(root.handle().defer(async {}).is_err());
}

// Executors that go away.

/// A host that drops what it is to spawn, as an executor does that is shut down.
#[derive(Clone)]
struct Gone;

impl Host for Gone {
    type JoinHandle<T: Send + 'static> = ();
    type Alarm = ();

    fn current() -> Option<Gone> {
        Some(Gone)
    }

    fn spawn<F>(&self, member: Member<F>)
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        drop(member);
    }

    fn wake_after(&self, _: Duration, _: Waker) {}

    fn wake_at(&self, _: Instant, _: Waker) {}
}

#[test]
fn d28_finalizers_are_dropped_with_their_executor_and_nothing_hangs() {
    let alive = Alive::default();
    let root = Root::new(Gone, "root");
    let guard = alive.guard();
    let member = root.handle().member(async move {
        let mut inner = Box::pin(scope(|s: Scope<Gone, io::Error>| async move {
            let handle = (*s).clone();
            s.defer(async move {
                let _guard = guard;
                let _handle = handle;
                pending::<()>().await;
            })
            .unwrap();
            pending::<()>().await;
            Ok(())
        }));
        poll_once(&mut inner).await;
        drop(inner);
    });
    assert!(member.unwrap().into_future().now_or_never().unwrap().is_ok());
    root.close();
    assert!(root.poll_drained(&mut Context::from_waker(Waker::noop())).is_ready());
    assert_eq!(alive.count(), 0);
}

#[test]
fn d28_a_finalizer_dropped_with_its_executor_may_defer_from_its_destructor_without_end() {
    struct Again(ScopeHandle<Gone>);
    impl Drop for Again {
        fn drop(&mut self) {
            let again = Again(self.0.clone());
            if let Err(refused) = self.0.defer(async move {
                let _again = &again;
                pending::<()>().await;
            }) {
                std::mem::forget(refused);
            }
        }
    }
    let root = Root::new(Gone, "root");
    let again = Again(root.handle().clone());
    root.handle()
        .defer(async move {
            let _again = &again;
            pending::<()>().await;
        })
        .unwrap();
    root.close();
    assert!(root.poll_drained(&mut Context::from_waker(Waker::noop())).is_ready());
}

const DEPTH: usize = 100_000;

fn on_a_small_stack(test: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(128 * 1024).spawn(test).unwrap().join().unwrap();
}

/// Each task opens a scope with a finalizer, spawns the next task into it, and drops it half-way when told.
fn link(alive: Alive, log: Log, left: usize, told: Told) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        let told_inside = told.clone();
        let mut inner = Box::pin(scope(|s: Scope<Sim, io::Error>| async move {
            let guard = alive.guard();
            let below = log.clone();
            s.defer(async move {
                drop(guard);
                if !(2..DEPTH - 2).contains(&left) {
                    log.add(left.to_string());
                }
            })
            .unwrap();
            if left > 0 {
                s.spawn(link(alive, below, left - 1, told_inside));
            }
            pending::<()>().await;
            Ok(())
        }));
        let _ = select(&mut inner, told.wait()).await;
    })
}

#[derive(Clone, Default)]
struct Told(Arc<Mutex<(bool, Vec<Waker>)>>);

impl Told {
    fn wait(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let this = self.clone();
        Box::pin(poll_fn(move |cx| {
            let mut state = this.0.lock().unwrap();
            if state.0 {
                return Poll::Ready(());
            }
            state.1.push(cx.waker().clone());
            Poll::Pending
        }))
    }

    fn tell(&self) {
        let wakers = {
            let mut state = self.0.lock().unwrap();
            state.0 = true;
            std::mem::take(&mut state.1)
        };
        wakers.into_iter().for_each(Waker::wake);
    }
}

#[test]
fn d28_d33_a_chain_of_a_hundred_thousand_dropped_scopes_finalizes_from_the_inside_out() {
    on_a_small_stack(|| {
        let sim = Sim::new();
        let (alive, log, told) = (Alive::default(), Log::default(), Told::default());
        let root = Root::new(sim.clone(), "root");
        drop(root.handle().spawn(link(alive.clone(), log.clone(), DEPTH - 1, told.clone())));
        sim.settle();
        assert_eq!(alive.count(), DEPTH);
        told.tell();
        sim.settle();
        assert_eq!(alive.count(), 0);
        assert_eq!(log.take(), ["0", "1", "99998", "99999"]);
        root.close();
        assert_eq!(root.handle().live(), 0);
    });
}

#[test]
fn d28_d33_a_chain_of_dropped_scopes_whose_executor_is_gone_ends_without_recursion() {
    on_a_small_stack(|| {
        let root = Root::new(Gone, "root");
        let alive = Alive::default();
        // A chain by members that are polled by hand: each scope's handle is taken out of its body.
        let mut above = root.handle().clone();
        let mut members = Vec::new();
        for _ in 0..DEPTH {
            let slot = Arc::new(Mutex::new(None));
            let out = slot.clone();
            let guard = alive.guard();
            let member = above.member(async move {
                let mut inner = Box::pin(scope(|s: Scope<Gone, io::Error>| async move {
                    s.defer(async move {
                        let _guard = guard;
                        pending::<()>().await;
                    })
                    .unwrap();
                    *out.lock().unwrap() = Some((*s).clone());
                    pending::<()>().await;
                    Ok(())
                }));
                (&mut inner).await.unwrap();
            });
            let mut member = Box::pin(member.unwrap().into_future());
            assert!(member.poll_unpin(&mut Context::from_waker(Waker::noop())).is_pending());
            members.push(member);
            above = slot.lock().unwrap().take().unwrap();
        }
        drop(above);
        assert_eq!(alive.count(), DEPTH);
        // From the outside in: the innermost one, which goes last, drains all of them.
        for member in members {
            drop(member);
        }
        root.close();
        assert!(root.poll_drained(&mut Context::from_waker(Waker::noop())).is_ready());
        assert_eq!(alive.count(), 0);
    });
}
