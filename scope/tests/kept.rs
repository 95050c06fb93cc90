//! Boundaries that code keeps and does not poll any more: in a frame that is cut they hold nothing once they were woken.
#![allow(missing_docs)]

mod common;

use std::future::{pending, poll_fn};
use std::io;
use std::task::Poll;
use std::time::Duration;

use common::{Alive, Sim};
use ramus_scope::{Root, Scope, run_until_cancelled, scope, shield};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
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
