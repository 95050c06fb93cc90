//! Shields: budgets, nesting, stops through them, alarms that fire at once.
#![allow(missing_docs)]

mod common;

use std::future::Future;
use std::io;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use common::{Alive, Join, Log, Sim};
use futures_util::future::{join, poll_fn};
use ramus_scope::{CutOn, Host, Member, Scope, scope, shield, shield_unbounded};

const LONG: u64 = 1_000_000;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Runs `child` in a scope that is cancelled at time 1; returns the time at which the scope ended.
fn cancelled_at_1(child: impl Future<Output = ()> + Send + 'static) -> u64 {
    let sim = Sim::new();
    sim.run(async move {
        let _ = scope(|s: Scope<Sim, io::Error>| async move {
            s.spawn(child);
            Sim::sleep(1).await;
            s.cancel("now");
            Ok(())
        })
        .await;
    });
    assert_eq!(sim.alarms(), 0);
    sim.now()
}

#[test]
fn d08_the_smallest_budget_of_nested_shields_counts() {
    let alive = Alive::default();
    let guard = alive.guard();
    let end = cancelled_at_1(shield(
        ms(10),
        shield(ms(100), async move {
            let _guard = guard;
            Sim::sleep(LONG).await;
        }),
    ));
    assert_eq!((end, alive.count()), (11, 0), "D8");
    let end = cancelled_at_1(shield(ms(10), async {
        let _ = ramus_scope::run_until_cancelled(shield_unbounded(Sim::sleep(LONG))).await;
    }));
    assert_eq!(end, 11, "D8: also an unbounded one, below another boundary");
}

#[test]
fn d08_a_shield_opened_inside_a_spent_one_protects_nothing() {
    let end = cancelled_at_1(shield(ms(10), async {
        // Holds until 30, so that the other branch can go on after the budget was spent at 11.
        let holder = async {
            let _ = scope(|s: Scope<Sim, io::Error>| async move {
                s.spawn(shield(ms(100), Sim::sleep(30)));
                Ok(())
            })
            .await;
        };
        let late = async {
            // A future of another crate: ready although the frame is cut.
            poll_fn(|_| if ramus_scope::is_cut() { Poll::Ready(()) } else { Poll::Pending }).await;
            shield(ms(1000), Sim::sleep(LONG)).await;
        };
        join(holder, late).await;
    }));
    assert_eq!(end, 30, "D8");
}

#[test]
fn spot3_a_spent_shield_with_a_scope_inside_drains_it() {
    let log = Log::default();
    let seen = log.clone();
    let end = cancelled_at_1(shield(ms(5), async move {
        let l = log.clone();
        let _ = scope(|inner: Scope<Sim, io::Error>| async move {
            let handle = inner.clone();
            inner.spawn(shield(ms(20), async move {
                Sim::sleep(15).await;
                l.add(format!("{:?}", handle.reason().unwrap().origin().kind()));
            }));
            Sim::sleep(LONG).await;
            Ok(())
        })
        .await;
        log.add("ran on");
    }));
    assert_eq!(seen.take(), ["ShieldBudget"]);
    assert_eq!(end, 15);
}

#[test]
fn d11_a_scope_is_cancelled_by_its_handle_while_its_body_is_shielded() {
    let sim = Sim::new();
    let log = Log::default();
    let seen = log.clone();
    let error = sim.run(async move {
        scope(|s: Scope<Sim, io::Error>| async move {
            let l = log.clone();
            s.spawn(async move {
                Sim::sleep(LONG).await;
                l.add("child");
            });
            let handle = s.clone();
            shield_unbounded(async move {
                Sim::sleep(1).await;
                handle.cancel("D11");
                Sim::sleep(10).await;
                assert_eq!(handle.live(), 0, "the children are cancelled promptly");
                log.add("body");
            })
            .await;
            Ok(())
        })
        .await
        .unwrap_err()
    });
    assert_eq!(error.reason().unwrap().message(), Some("D11"));
    assert_eq!((seen.take(), sim.now()), (vec!["body".to_owned()], 11));
}

#[test]
fn rule7_a_hard_cancel_asks_shielded_scopes_to_finish_soon() {
    let end = cancelled_at_1(shield_unbounded(async {
        scope(|inner: Scope<Sim, io::Error>| async move {
            // A task of its own: the cancel wakes the shielded task anyway, but not what is below it.
            let handle = inner.clone();
            inner.spawn(async move {
                handle.stopping().await;
                assert!(!handle.is_cancelled());
            });
            Ok(())
        })
        .await
        .unwrap();
    }));
    assert_eq!(end, 1);
}

#[test]
fn rule7_a_scope_opened_after_a_stop_is_stopping() {
    let sim = Sim::new();
    sim.run(async {
        scope(|s: Scope<Sim, io::Error>| async move {
            s.spawn(async {
                Sim::sleep(5).await;
                scope(|late: Scope<Sim, io::Error>| async move {
                    late.stopping().await;
                    assert!(late.is_stopping() && !late.is_cancelled());
                    Ok(())
                })
                .await
                .unwrap();
            });
            assert!(s.stop(ms(100)));
            Ok(())
        })
        .await
        .unwrap();
    });
    assert_eq!((sim.now(), sim.alarms()), (5, 0));
}

#[test]
fn the_effective_deadline_ends_at_a_shield() {
    let sim = Sim::new();
    let (early, late) = (sim.instant(50), sim.instant(500));
    sim.run(async move {
        Scope::<Sim>::builder()
            .deadline(early)
            .open(|_: Scope<Sim, io::Error>| async move {
                let inside = move |s: Scope<Sim, io::Error>| async move { Ok(s.deadline()) };
                let open = Scope::<Sim>::builder().deadline(late).open(inside).await.unwrap();
                assert_eq!(open, Some(early));
                let shielded = shield(ms(10), Scope::<Sim>::builder().deadline(late).open(inside)).await.unwrap();
                assert_eq!(shielded, Some(late));
                Ok(())
            })
            .await
            .unwrap();
    });
}

/// A host whose alarms fire at once when their time has come, inside the call that sets them.
#[derive(Clone)]
struct AtOnce(Sim);

impl Host for AtOnce {
    type JoinHandle<T: Send + 'static> = Join<T>;
    type Alarm = Option<common::Alarm>;

    fn current() -> Option<AtOnce> {
        Sim::current().map(AtOnce)
    }

    fn spawn<F>(&self, member: Member<F>) -> Join<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.0.spawn(member)
    }

    fn wake_after(&self, after: Duration, waker: Waker) -> Option<common::Alarm> {
        if after.is_zero() {
            waker.wake();
            return None;
        }
        Some(self.0.wake_after(after, waker))
    }

    fn wake_at(&self, at: Instant, waker: Waker) -> Option<common::Alarm> {
        self.wake_after(at.saturating_duration_since(self.0.instant(0)), waker)
    }
}

#[test]
fn alarms_may_fire_inside_the_call_that_sets_them() {
    let sim = Sim::new();
    let now = sim.instant(0);
    let late = sim.run(async move {
        Scope::<AtOnce>::builder()
            .deadline(now)
            .open(|_: Scope<AtOnce, io::Error>| async {
                Sim::sleep(1).await;
                Ok(())
            })
            .await
    });
    assert!(late.unwrap_err().is_elapsed());
    let moved = sim.run(async move {
        scope(|s: Scope<AtOnce, io::Error>| async move {
            s.spawn(shield(Duration::ZERO, Sim::sleep(LONG)));
            Sim::sleep(1).await;
            s.set_deadline(now).unwrap();
            assert!(s.is_cancelled(), "it has passed");
            assert!(s.set_deadline(None).unwrap_err().is_elapsed());
            Sim::sleep(1).await;
            Ok(())
        })
        .await
    });
    assert!(moved.unwrap_err().is_elapsed());
    assert_eq!((sim.now(), sim.alarms()), (1, 0));
}

#[test]
fn rule2_what_an_expired_timeout_cuts_is_not_polled_again_when_the_budget_of_a_shield_in_it_ends() {
    let sim = Sim::new();
    let log = Log::default();
    let seen = log.clone();
    let answer = sim.run_task(async move {
        let inner = CutOn::new(Box::pin(shield_unbounded(Sim::sleep(20))), Sim::sleep(2));
        let body = shield(ms(10), async move {
            let _ = inner.await;
            log.add("ran on");
        });
        CutOn::new(Box::pin(body), Sim::sleep(1)).await
    });
    assert!(answer.unwrap().is_err());
    assert_eq!((seen.take(), sim.now()), (Vec::new(), 11));
}
