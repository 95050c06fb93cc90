//! Boundaries that code keeps and does not poll any more: in a frame that is cut they hold nothing once they were woken.
#![allow(missing_docs)]

mod common;

use std::future::{pending, poll_fn};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use common::{Alive, Sim};
use ramus_scope::{Root, Scope, run_until_cancelled, scope, shield, shield_unbounded};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Counts its wakes.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Polls once.
async fn once<F: Future + Unpin>(future: &mut F) {
    let _ = poll_fn(|cx| Poll::Ready(std::pin::Pin::new(&mut *future).poll(cx))).await;
}

/// The cancel comes in the first poll of the boundary, before that has a place where a cancel could find it.
#[test]
fn rule5_spot6_a_boundary_that_a_cancel_met_in_its_first_poll_holds_only_while_it_is_polled() {
    for kind in ["scope", "scope with a child", "shield", "caught scope"] {
        let sim = Sim::new();
        let root = Root::new(sim.clone(), "root");
        let alive = Alive::default();
        let (guard, handle) = (alive.guard(), root.handle().clone());
        let task = root.handle().spawn(async move {
            let _guard = guard;
            let cancels = handle.clone();
            let open = async move {
                match kind {
                    "shield" => {
                        shield(ms(1_000_000), async move {
                            cancels.cancel("meanwhile");
                            pending::<()>().await;
                        })
                        .await;
                    }
                    _ => {
                        let open = scope(|s: Scope<Sim, io::Error>| async move {
                            if kind == "scope with a child" {
                                drop(s.spawn(shield(ms(5), Sim::sleep(1_000))));
                            }
                            cancels.cancel("meanwhile");
                            pending::<()>().await;
                        });
                        let _ = if kind == "caught scope" {
                            run_until_cancelled(open).await.ok()
                        } else {
                            Some(open.await)
                        };
                    }
                }
            };
            let mut kept = Box::pin(open);
            once(&mut kept).await;
            pending::<()>().await;
        });
        sim.settle();
        assert_eq!(alive.count(), 0, "{kind}: the task is held by what it does not poll");
        assert!(sim.run(task).unwrap_err().is_cancelled());
        root.close();
    }
}

/// It is polled once more after the cancel, and then no more: it counts as dropped when it is woken again.
#[test]
fn rule5_spot6_a_boundary_that_is_kept_while_it_drains_holds_until_it_is_woken() {
    for budget in [5, 50] {
        let sim = Sim::new();
        let root = Root::new(sim.clone(), "root");
        let alive = Alive::default();
        let (guard, handle) = (alive.guard(), root.handle().clone());
        let task = root.handle().spawn(async move {
            let _guard = guard;
            let mut kept = Box::pin(scope(|s: Scope<Sim, io::Error>| async move {
                drop(s.spawn(shield(ms(budget), Sim::sleep(20))));
                pending::<()>().await;
            }));
            once(&mut kept).await;
            Sim::sleep(1).await;
            handle.cancel("meanwhile");
            once(&mut kept).await;
            once(&mut kept).await;
            pending::<()>().await;
        });
        assert!(sim.run(task).unwrap_err().is_cancelled());
        assert_eq!(alive.count(), 0, "the task is held by what it does not poll");
        root.close();
    }
}

/// The cancel does not ask what is in the shield, and nobody else will: it goes with the shield around it.
#[test]
fn rule5_spot6_what_is_in_a_kept_shield_holds_no_more_than_the_shield() {
    for kind in ["scope", "shield", "catch"] {
        let sim = Sim::new();
        let root = Root::new(sim.clone(), "root");
        let alive = Alive::default();
        let guard = alive.guard();
        let task = root.handle().spawn(async move {
            let _guard = guard;
            let mut kept = Box::pin(shield_unbounded(async move {
                match kind {
                    "scope" => drop(scope(|_: Scope<Sim, io::Error>| pending::<()>()).await),
                    "shield" => shield_unbounded(pending::<()>()).await,
                    _ => drop(run_until_cancelled(pending::<()>()).await),
                }
            }));
            once(&mut kept).await;
            pending::<()>().await;
        });
        sim.settle();
        root.handle().cancel("now");
        sim.settle();
        assert_eq!(alive.count(), 0, "{kind}: the task is held by what it does not poll");
        assert!(sim.run(task).unwrap_err().is_cancelled());
        root.close();
    }
}

/// The cancel knows the waker of the poll before, and wakes that: the task is polled again all the same.
#[test]
fn rule5_spot6_a_cancel_in_a_poll_with_another_waker_is_not_lost() {
    let sim = Sim::new();
    let root = Root::new(sim, "root");
    let handle = root.handle().clone();
    let member = root.handle().member(async move {
        let mut kept = Box::pin(shield_unbounded(pending::<()>()));
        once(&mut kept).await;
        let mut polls = 0;
        poll_fn(|_| {
            polls += 1;
            if polls == 2 {
                handle.cancel("meanwhile");
            }
            Poll::<()>::Pending
        })
        .await;
    });
    let Ok(member) = member else { panic!("the root admits") };
    let mut task = Box::pin(member.into_future());
    assert!(task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    let newer = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&newer));
    let mut polls = 0;
    while task.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
        polls += 1;
        assert_eq!(newer.0.load(Ordering::Relaxed), polls, "nobody polls it again");
    }
    assert_eq!(polls, 1, "at rest it is woken no more");
    root.close();
}

/// The cancel stopped at a shield that lent it out and is gone.
#[test]
fn rule5_spot6_what_outlives_a_shield_is_kept_no_longer_than_it_is_polled() {
    for is_polled in [false, true] {
        let sim = Sim::new();
        let root = Root::new(sim.clone(), "root");
        let alive = Alive::default();
        let guard = alive.guard();
        let task = root.handle().spawn(async move {
            let _guard = guard;
            let mut lent = Box::pin(scope(|s: Scope<Sim, io::Error>| async move {
                drop(s.spawn(shield(ms(50), Sim::sleep(20))));
                pending::<()>().await;
            }));
            let mut kept = Box::pin(shield_unbounded(&mut lent));
            once(&mut kept).await;
            let mut polls = 0;
            poll_fn(|_| {
                polls += 1;
                // The second poll is that after the cancel.
                if polls == 2 { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            drop(kept);
            if is_polled {
                let _ = lent.await;
            }
            pending::<()>().await;
        });
        sim.settle();
        root.handle().cancel("now");
        sim.settle();
        assert_eq!(alive.count(), usize::from(is_polled), "polled: {is_polled}");
        assert!(sim.run(task).unwrap_err().is_cancelled());
        assert_eq!(alive.count(), 0);
        root.close();
        // The child that is shielded ends too: nothing is left behind.
        while sim.advance() {
            sim.settle();
        }
    }
}
