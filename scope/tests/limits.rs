//! Task limits: who runs, who waits, who gets the slot.
#![allow(missing_docs)]

mod common;

use std::future::Future;
use std::io;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use common::{Alive, Log, Sim};
use ramus_scope::{Builder, Host, Root, Scope, scope, shield_unbounded};

const LONG: u64 = 1_000_000;
const ONE: NonZeroUsize = NonZeroUsize::new(1).unwrap();
const TWO: NonZeroUsize = NonZeroUsize::new(2).unwrap();

fn limited(most: NonZeroUsize) -> Builder {
    Builder::new().task_limit(most)
}

/// Counts who runs, and the most that ever did.
#[derive(Clone, Default)]
struct Running(Arc<(AtomicUsize, AtomicUsize)>);

impl Running {
    async fn work(self, ms: u64) {
        let now = self.0.0.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.1.fetch_max(now, Ordering::SeqCst);
        Sim::sleep(ms).await;
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }

    fn most(&self) -> usize {
        self.0.1.load(Ordering::SeqCst)
    }
}

#[test]
fn at_most_so_many_children_run_at_once() {
    let sim = Sim::new();
    let running = Running::default();
    let seen = running.clone();
    sim.run(async move {
        limited(TWO)
            .open(|s: Scope<Sim, io::Error>| async move {
                assert_eq!(s.task_limit(), Some(TWO));
                for _ in 0..3 {
                    s.spawn(running.clone().work(10));
                    let tried = running.clone();
                    s.spawn_try(async move {
                        tried.work(10).await;
                        Ok::<(), io::Error>(())
                    });
                    s.spawn_eager(running.clone().work(10));
                    drop(ramus_scope::spawn_current(&Sim::current().unwrap(), running.clone().work(10)));
                }
                assert_eq!(s.live(), 12, "those that wait are members");
                Ok(())
            })
            .await
            .unwrap();
    });
    assert_eq!((seen.most(), sim.now()), (2, 60));
}

#[test]
fn slots_go_to_who_came_first() {
    let sim = Sim::new();
    let log = Log::default();
    let seen = log.clone();
    sim.run(async move {
        limited(ONE)
            .open(|s: Scope<Sim, io::Error>| async move {
                for n in 0..5 {
                    let log = log.clone();
                    s.spawn(async move {
                        log.add(format!("{n}"));
                        Sim::sleep(1).await;
                    });
                }
                let l = log.clone();
                s.spawn_when_free(async move { l.add("5") }).await.unwrap();
                s.spawn(async move { log.add("6") });
                Ok(())
            })
            .await
            .unwrap();
    });
    assert_eq!(seen.take(), ["0", "1", "2", "3", "4", "5", "6"]);
}

#[test]
fn a_slot_is_free_only_after_the_drop() {
    struct Last(Log);
    impl Drop for Last {
        fn drop(&mut self) {
            self.0.add("dropped");
        }
    }
    let sim = Sim::new();
    let log = Log::default();
    let seen = log.clone();
    sim.run(async move {
        limited(ONE)
            .open(|s: Scope<Sim, io::Error>| async move {
                let (first, second) = (Last(log.clone()), log.clone());
                let handle = s.spawn(async move {
                    let _first = first;
                    Sim::sleep(LONG).await;
                });
                s.spawn(async move { second.add("second") });
                Sim::sleep(1).await;
                handle.cancel("enough");
                Ok(())
            })
            .await
            .unwrap();
    });
    assert_eq!(seen.take(), ["dropped", "second"]);
}

#[test]
fn a_child_that_panics_gives_its_slot_on() {
    let sim = Sim::new();
    let second = sim.run(async move {
        limited(ONE)
            .isolate()
            .open(|s: Scope<Sim, io::Error>| async move {
                let first = s.spawn(async { panic!("first") });
                let second = s.spawn(async { 2 });
                assert!(first.await.unwrap_err().is_panic());
                Ok(second.await.unwrap())
            })
            .await
            .unwrap()
    });
    assert_eq!(second, 2);
}

#[test]
fn d03_cancelled_in_the_line_it_is_dropped_unpolled() {
    let sim = Sim::new();
    let alive = Alive::default();
    let guard = alive.guard();
    let out = Arc::new(Mutex::new(None));
    let waiting = Arc::clone(&out);
    let error = sim.run(async move {
        limited(ONE)
            .open(|s: Scope<Sim, io::Error>| async move {
                s.spawn(Sim::sleep(LONG));
                let handle = s.spawn(async move {
                    let _guard = guard;
                    panic!("polled");
                });
                *out.lock().unwrap() = Some(handle);
                Sim::sleep(1).await;
                s.cancel("enough");
                Sim::sleep(LONG).await;
                Ok(())
            })
            .await
            .unwrap_err()
    });
    assert_eq!((error.reason().unwrap().message(), alive.count(), sim.now()), (Some("enough"), 0, 1));
    let handle = waiting.lock().unwrap().take().unwrap();
    let error = handle.try_take().unwrap().unwrap_err();
    assert!(error.is_cancelled() && error.never_started());
}

#[test]
fn d03_cancelled_alone_in_the_line() {
    let sim = Sim::new();
    sim.run(async {
        limited(ONE)
            .open(|s: Scope<Sim, io::Error>| async move {
                s.spawn(Sim::sleep(10));
                let second = s.spawn(async { panic!("polled") });
                let third = s.spawn(async { 3 });
                Sim::sleep(1).await;
                second.cancel("not that one");
                let error = second.await.unwrap_err();
                assert!(error.never_started());
                assert_eq!(error.reason().unwrap().message(), Some("not that one"));
                assert_eq!(third.await.unwrap(), 3, "its place in the line went to nobody, the slot to the next");
                Ok(())
            })
            .await
            .unwrap();
    });
    assert_eq!(sim.now(), 10);
}

#[test]
fn a_child_that_has_started_says_so() {
    let sim = Sim::new();
    sim.run(async {
        limited(ONE)
            .open(|s: Scope<Sim, io::Error>| async move {
                s.spawn(Sim::sleep(1));
                let second = s.spawn(Sim::sleep(LONG));
                Sim::sleep(2).await;
                second.cancel("now");
                assert!(!second.await.unwrap_err().never_started());
                Ok(())
            })
            .await
            .unwrap();
    });
}

#[test]
fn d26_a_full_scope_hands_an_offer_back() {
    let sim = Sim::new();
    sim.run(async {
        limited(ONE)
            .open(|s: Scope<Sim, io::Error>| async move {
                let first = s.offer(Sim::sleep(5)).unwrap();
                let refused = s.offer(async { 7 }).err().unwrap();
                assert!(refused.is_full() && refused.reason().is_none());
                assert_eq!(refused.to_string(), "the scope runs as many tasks as its limit allows");
                assert_eq!(refused.into_inner().await, 7, "unpolled");
                assert_eq!(s.live(), 1, "it is no member");
                first.await.unwrap();
                s.offer(async {}).unwrap().await.unwrap();
                s.cancel("closed");
                let refused = s.offer(async {}).err().unwrap();
                assert!(!refused.is_full(), "cancelled comes before full");
                assert_eq!(refused.reason().unwrap().message(), Some("closed"));
                Ok(())
            })
            .await
            .unwrap();
    });
}

#[test]
fn spawn_when_free_waits_for_a_slot() {
    let sim = Sim::new();
    let clock = sim.clone();
    let error = sim.run(async move {
        limited(TWO)
            .open(|s: Scope<Sim, io::Error>| async move {
                for n in 0..6_u64 {
                    s.spawn_when_free(Sim::sleep(10)).await.unwrap();
                    assert_eq!(clock.now(), 10 * (n / 2));
                }
                let failed = s.spawn_try_when_free(async { Err::<(), _>(io::Error::other("last")) }).await.unwrap();
                assert!(failed.await.unwrap_err().is_failed());
                Sim::sleep(LONG).await;
                Ok(())
            })
            .await
            .unwrap_err()
    });
    assert_eq!(error.errors()[0].to_string(), "last");
}

#[test]
fn without_a_limit_nothing_waits() {
    let sim = Sim::new();
    sim.run(async {
        scope(|s: Scope<Sim, io::Error>| async move {
            assert_eq!(s.task_limit(), None);
            for _ in 0..100 {
                s.spawn_when_free(Sim::sleep(10)).await.unwrap();
                s.spawn_try_when_free(nap(10)).await.unwrap();
            }
            Ok(())
        })
        .await
        .unwrap();
    });
    assert_eq!(sim.now(), 10);
}

/// A scope of one slot with a child that holds it until the root's owner cancels it, and its handle.
fn full_scope(sim: &Sim, root: &Root<Sim>) -> Scope<Sim, io::Error> {
    let out = Arc::new(Mutex::new(None));
    let handle = Arc::clone(&out);
    root.handle().spawn(async move {
        let _ = limited(ONE)
            .open(|s: Scope<Sim, io::Error>| async move {
                s.spawn(Sim::sleep(LONG));
                *out.lock().unwrap() = Some(s.clone());
                Ok(())
            })
            .await;
    });
    sim.settle();
    handle.lock().unwrap().take().unwrap()
}

fn is_pending(future: &mut (impl Future + Unpin)) -> bool {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop())).is_pending()
}

async fn nap(ms: u64) -> io::Result<()> {
    Sim::sleep(ms).await;
    Ok(())
}

struct Flag(AtomicUsize);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn d26_waiting_from_outside_ends_with_the_scope() {
    let sim = Sim::new();
    let root = Root::new(sim.clone(), "root");
    let (cancelled, ending) = (full_scope(&sim, &root), full_scope(&sim, &root));
    let flag = Arc::new(Flag(AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&flag));
    let mut cx = Context::from_waker(&waker);
    let mut first = std::pin::pin!(cancelled.spawn_when_free(async { 1 }));
    let mut second = std::pin::pin!(ending.spawn_when_free(async { 2 }));
    assert!(first.as_mut().poll(&mut cx).is_pending() && second.as_mut().poll(&mut cx).is_pending());
    cancelled.cancel("enough");
    assert_eq!(flag.0.load(Ordering::SeqCst), 1);
    let Poll::Ready(Err(refused)) = first.as_mut().poll(&mut cx) else { panic!("it waits for ever") };
    assert_eq!(refused.reason().unwrap().message(), Some("enough"));
    assert!(!refused.is_full());
    // The other one ends in peace: its child's slot comes to nobody who could use it.
    sim.settle();
    while sim.advance() {
        sim.settle();
    }
    assert_eq!(flag.0.load(Ordering::SeqCst), 2);
    let Poll::Ready(Err(refused)) = second.as_mut().poll(&mut cx) else { panic!("admitted to an ended scope") };
    assert!(refused.reason().is_none() && !refused.is_full());
}

#[test]
fn d40_a_slot_handed_to_who_leaves_is_handed_on() {
    let sim = Sim::new();
    let alive = Alive::default();
    let seen = alive.clone();
    sim.run(async move {
        limited(ONE)
            .open(|s: Scope<Sim, io::Error>| async move {
                let first = s.spawn(Sim::sleep(5));
                let guard = alive.guard();
                let mut handed = Box::pin(s.spawn_when_free(async move { drop(guard) }));
                let guard = alive.guard();
                let mut left = Box::pin(s.spawn_when_free(async move { drop(guard) }));
                assert!(is_pending(&mut handed) && is_pending(&mut left));
                let last = s.spawn(async { 4 });
                drop(left);
                assert_eq!(alive.count(), 1, "dropped unpolled where it waited");
                first.await.unwrap();
                // The slot has come to the first in the line, who does not look any more.
                assert!(s.offer(async {}).err().unwrap().is_full());
                drop(handed);
                assert_eq!(last.await.unwrap(), 4);
                s.offer(async {}).unwrap().await.unwrap();
                Ok(())
            })
            .await
            .unwrap();
    });
    assert_eq!(seen.count(), 0);
}

#[test]
fn rule3_in_a_cut_frame_the_wait_has_no_effect() {
    let sim = Sim::new();
    let alive = Alive::default();
    let seen = alive.clone();
    sim.run(async move {
        limited(ONE)
            .open(|s: Scope<Sim, io::Error>| async move {
                let inner = s.clone();
                let guard = alive.guard();
                s.spawn(Sim::sleep(3));
                scope(|cut: Scope<Sim, io::Error>| async move {
                    cut.spawn(shield_unbounded(Sim::sleep(10)));
                    let mut wait = Box::pin(inner.spawn_when_free(async move { drop(guard) }));
                    assert!(is_pending(&mut wait));
                    cut.cancel("cut");
                    // The slot is free by now, and the frame is cut.
                    shield_unbounded(Sim::sleep(5)).await;
                    assert!(is_pending(&mut wait), "inert");
                    drop(wait.await.unwrap());
                    Err::<(), _>(io::Error::other("a leaf in a cut frame was ready"))
                })
                .await
                .map_err(|error| assert!(error.is_cancelled(), "{error}"))
                .unwrap_err();
                assert_eq!(alive.count(), 0);
                s.offer(async {}).unwrap().await.unwrap();
                Ok(())
            })
            .await
            .unwrap();
    });
    assert_eq!(seen.count(), 0);
}

#[test]
fn a_draining_scope_works_its_line_off() {
    let sim = Sim::new();
    let log = Log::default();
    let seen = log.clone();
    sim.run(async move {
        limited(ONE)
            .open(|s: Scope<Sim, io::Error>| async move {
                for n in 0..3 {
                    let log = log.clone();
                    s.spawn(async move {
                        Sim::sleep(10).await;
                        log.add(format!("{n}"));
                    });
                }
                Ok(())
            })
            .await
            .unwrap();
    });
    assert_eq!((seen.take().len(), sim.now()), (3, 30));
}

#[test]
fn many_in_the_line_leave_it_when_cancelled() {
    let sim = Sim::new();
    let polled = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&polled);
    let error = sim.run(async move {
        limited(ONE)
            .open(|s: Scope<Sim, io::Error>| async move {
                s.spawn(Sim::sleep(LONG));
                for _ in 0..100_000 {
                    let polled = Arc::clone(&polled);
                    s.spawn(async move {
                        polled.fetch_add(1, Ordering::SeqCst);
                    });
                }
                Sim::sleep(1).await;
                s.cancel("enough");
                Sim::sleep(LONG).await;
                Ok(())
            })
            .await
            .unwrap_err()
    });
    assert!(error.is_cancelled());
    assert_eq!((seen.load(Ordering::SeqCst), sim.now()), (0, 1));
}
