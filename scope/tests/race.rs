//! `race`, `race_all`: who wins, what becomes of the others, and what is left behind.
#![allow(missing_docs)]

#[path = "common/arms.rs"]
mod arms;
mod common;

use std::future::{Future, pending, poll_fn, ready};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use arms::{LONG, Work, draining, ms};
use common::{Alive, Log, Sim};
use futures_util::FutureExt;
use futures_util::future::join;
use ramus_scope::{CutOn, Root, Scope, join_all, race, race_all, run_until_cancelled, scope, shield, try_join_all};

#[test]
fn spot5_rule4_a_race_returns_after_its_losers_have_drained() {
    let sim = Sim::new();
    let alive = Alive::default();
    let (watch, inside) = (alive.clone(), alive.clone());
    let won = sim.run_task(async move {
        let won = race((draining(&alive, 20), async {
            Sim::sleep(5).await;
            7
        }))
        .await;
        assert_eq!(inside.count(), 0, "before any code after it runs");
        won
    });
    assert_eq!(won.unwrap(), 7);
    assert_eq!((sim.now(), sim.alarms(), watch.count()), (20, 0, 0));
}

#[test]
fn spot5_rule4_a_race_of_many_returns_after_its_losers_have_drained() {
    let sim = Sim::new();
    let alive = Alive::default();
    let watch = alive.clone();
    let won = sim.run_task(async move {
        let mut arms: Vec<Work<u32>> = Vec::new();
        for ends in 1..=100 {
            arms.push(Box::pin(draining(&alive, 10 + ends)));
        }
        arms.push(Box::pin(async {
            Sim::sleep(5).await;
            7
        }));
        for _ in 0..100 {
            let guard = alive.guard();
            arms.push(Box::pin(async move {
                Sim::sleep(LONG).await;
                drop(guard);
                9
            }));
        }
        let won = race_all(arms).await;
        assert_eq!(alive.count(), 0, "before any code after it runs");
        won
    });
    assert_eq!(won.unwrap(), Some(7));
    assert_eq!((sim.now(), sim.alarms(), watch.count()), (110, 0, 0));
}

#[test]
fn d28_spot5_a_race_needs_no_adoption() {
    let sim = Sim::new();
    let root = Root::new(sim.clone(), "root");
    let handle = root.handle().clone();
    let alive = Alive::default();
    let joined = root.handle().spawn(async move {
        race((draining(&alive, 20), Sim::sleep(5).map(|()| 1))).await;
        handle.live()
    });
    assert_eq!(sim.run(joined).unwrap(), 1, "this task alone");
    root.close();
}

#[test]
fn spot5_a_value_of_a_loser_is_dropped() {
    let sim = Sim::new();
    let alive = Alive::default();
    let watch = alive.clone();
    let late = alive.clone();
    let won = sim.run_task(race((
        async move {
            shield(ms(50), Sim::sleep(20)).await;
            (late.guard(), "late")
        },
        async move {
            Sim::sleep(5).await;
            (alive.guard(), "first")
        },
    )));
    let (guard, won) = won.unwrap();
    assert_eq!((won, watch.count(), sim.now()), ("first", 1, 20));
    drop(guard);
}

#[test]
fn d13_ready_arms_win_in_their_order_and_later_ones_are_never_polled() {
    let sim = Sim::new();
    let polled = Arc::new(AtomicUsize::new(0));
    let count = |polled: &Arc<AtomicUsize>| {
        let polled = Arc::clone(polled);
        poll_fn(move |_| {
            polled.fetch_add(1, Ordering::SeqCst);
            Poll::Ready("later")
        })
    };
    let (tuple, list) = (count(&polled), count(&polled));
    let won = sim.run(async move {
        let tuple = race((pending(), ready("first"), tuple)).await;
        let arms: Vec<Work<&'static str>> = vec![Box::pin(pending()), Box::pin(ready("first")), Box::pin(list)];
        (tuple, race_all(arms).await)
    });
    assert_eq!(won, ("first", Some("first")));
    assert_eq!(polled.load(Ordering::SeqCst), 0);
}

#[test]
fn an_empty_race_has_no_winner() {
    let sim = Sim::new();
    assert_eq!(sim.run(async { race_all(Vec::<Work<u8>>::new()).await }), None);
    assert_eq!(sim.run(async { join_all(Vec::<Work<u8>>::new()).await }), []);
    assert_eq!(sim.run(async { try_join_all(Vec::<Work<Result<u8, u8>>>::new()).await }), Ok(vec![]));
}

#[test]
fn eight_arms_of_eight_types() {
    let sim = Sim::new();
    let won = sim.run(async {
        race((
            pending(),
            Sim::sleep(9).map(|()| 1),
            async { pending().await },
            Box::pin(pending()) as Work<u32>,
            Sim::sleep(3).map(|()| 4),
            Sim::sleep(8).map(|()| 5),
            pending(),
            async {
                Sim::sleep(4).await;
                7
            },
        ))
        .await
    });
    assert_eq!((won, sim.now(), sim.alarms()), (4, 3, 0));
}

#[test]
fn spot5_rule4_the_reason_of_a_loss_says_so() {
    let sim = Sim::new();
    let log = Log::default();
    let seen = log.clone();
    let line = line!() + 4;
    let (first, second) = (log.clone(), log);
    let raced = sim.run_task(async move {
        // The code of the loser runs on to its next suspension.
        race((
            async {
                let caught = run_until_cancelled(Sim::sleep(LONG)).await.unwrap_err();
                let reason = caught.reason();
                first.add(format!("{reason}, {:?}", reason.site().map(|site| site.line())));
                caught.resume().await
            },
            Sim::sleep(5),
        ))
        .await;
        let failing: [Work<Result<(), u8>>; 2] = [
            Box::pin(async move {
                let caught = run_until_cancelled(Sim::sleep(LONG)).await.unwrap_err();
                second.add(caught.reason().to_string());
                caught.resume().await
            }),
            Box::pin(Sim::sleep(5).map(|()| Err(1))),
        ];
        try_join_all(failing).await
    });
    assert_eq!(raced.unwrap(), Err(1));
    let site = format!("cancelled: lost the race, Some({line})");
    assert_eq!(seen.take(), [site.as_str(), "cancelled: sibling failed"]);
}

#[test]
fn rule4_a_race_holds_nothing_against_a_cancel_from_outside() {
    let sim = Sim::new();
    let (alive, log) = (Alive::default(), Log::default());
    let (watch, seen) = (alive.clone(), log.clone());
    sim.run(async move {
        let _ = scope(|s: Scope<Sim, io::Error>| async move {
            let (guard, held) = (alive.guard(), log.clone());
            s.spawn(async move {
                race((pending(), Sim::sleep(LONG))).await;
                drop(guard);
                log.add("ran on");
            });
            s.spawn(async move {
                let shielded = shield(ms(50), Sim::sleep(20)).map(|()| 1);
                let won = race((Sim::sleep(LONG).map(|()| 2), shielded)).await;
                // The shield was open, so what it produced counts.
                held.add(format!("held: {won}"));
                Sim::sleep(1).await;
                held.add("ran on");
            });
            Sim::sleep(1).await;
            s.cancel("all");
            Ok(())
        })
        .await;
    });
    assert_eq!((sim.now(), sim.alarms(), watch.count()), (20, 0, 0));
    assert_eq!(seen.take(), ["held: 1"]);
}

#[test]
fn d15_d17_spot5_a_timeout_in_a_race_in_a_timeout() {
    let sim = Sim::new();
    let alive = Alive::default();
    let watch = alive.clone();
    let result = sim.run_task(async move {
        let inner = CutOn::new(draining(&alive, 30), Sim::sleep(20)).map(|inner| inner.map_err(|()| "inner"));
        let raced = race((inner, pending()));
        CutOn::new(raced, Sim::sleep(5)).await
    });
    // The outer one expires at 5 and waits for the drain; no timeout inside converts it.
    assert!(result.unwrap().is_err());
    assert_eq!((sim.now(), sim.alarms(), watch.count()), (30, 0, 0));
}

#[test]
fn rule2_spot3_a_lost_arm_whose_shield_is_spent_is_not_polled_again() {
    let sim = Sim::new();
    let (log, clock) = (Log::default(), sim.clone());
    let seen = log.clone();
    let raced = sim.run_task(async move {
        let foreign = poll_fn(move |_| {
            log.add(clock.now().to_string());
            Poll::<()>::Pending
        });
        race((join(shield(ms(5), Sim::sleep(LONG)), foreign).map(drop), Sim::sleep(3))).await;
    });
    raced.unwrap();
    assert_eq!((sim.now(), sim.alarms()), (8, 0));
    assert!(seen.take().iter().all(|at| at != "8"), "dropped before the poll");
}

#[test]
fn d17_an_expired_timeout_in_a_cut_frame_answers_nothing() {
    let sim = Sim::new();
    let (alive, log) = (Alive::default(), Log::default());
    let (watch, seen) = (alive.clone(), log.clone());
    sim.run(async move {
        let _ = scope(|s: Scope<Sim, io::Error>| async move {
            s.spawn(async move {
                let _ = CutOn::new(draining(&alive, 20), Sim::sleep(5)).await;
                log.add("ran on in a cancelled scope");
            });
            Sim::sleep(10).await;
            s.cancel("from outside, while the time-out drains");
            Ok(())
        })
        .await;
    });
    assert_eq!((sim.now(), sim.alarms(), watch.count()), (20, 0, 0));
    assert!(seen.take().is_empty());
}

fn panics<T>(run: impl FnOnce() -> T) -> String {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let caught = catch_unwind(AssertUnwindSafe(run));
    std::panic::set_hook(hook);
    match caught {
        Ok(_) => panic!("no panic"),
        Err(payload) => (*payload.downcast_ref::<&str>().expect("a message")).to_owned(),
    }
}

/// Runs `work` in a task; the message of its panic, the time and what is left alive.
fn panicking<F>(work: impl FnOnce(Alive) -> F) -> (String, u64, usize)
where
    F: Future<Output = ()> + Send + 'static,
{
    let sim = Sim::new();
    let alive = Alive::default();
    let work = work(alive.clone());
    let message = panics(|| {
        sim.run(async move {
            scope(|s: Scope<Sim, io::Error>| async move {
                s.spawn(work);
                Ok(())
            })
            .await
        })
    });
    assert_eq!(sim.alarms(), 0);
    (message, sim.now(), alive.count())
}

struct Bomb(&'static str);

impl Drop for Bomb {
    fn drop(&mut self) {
        // One panic at a time: another one while unwinding aborts.
        if !std::thread::panicking() {
            panic!("{}", self.0);
        }
    }
}

async fn fails_at<T>(at: u64, what: &'static str) -> T {
    Sim::sleep(at).await;
    std::panic::panic_any(what)
}

async fn fails_draining<T>(ends: u64, what: &'static str) -> T {
    let _ = shield(ms(LONG), Sim::sleep(ends)).await;
    std::panic::panic_any(what)
}

#[test]
fn d22_a_panic_of_an_arm_goes_on_when_the_others_are_gone() {
    let tuple = panicking(|alive| async move {
        race((draining(&alive, 20), fails_at(5, "arm"))).await;
    });
    assert_eq!(tuple, ("arm".to_owned(), 20, 0));
    let list = panicking(|alive| async move {
        let arms: Vec<Work<u32>> = vec![Box::pin(draining(&alive, 20)), Box::pin(fails_at(5, "arm"))];
        join_all(arms).await;
    });
    assert_eq!(list, ("arm".to_owned(), 20, 0));
}

#[test]
fn d22_a_panic_of_a_loser_goes_on_when_the_rest_is_gone() {
    let tuple = panicking(|alive| async move {
        let value = alive.guard();
        let winner = async move {
            Sim::sleep(5).await;
            drop(value);
            1
        };
        race((fails_draining(10, "loser"), fails_draining(15, "second"), draining(&alive, 20), winner)).await;
    });
    assert_eq!(tuple, ("loser".to_owned(), 20, 0));
    let list = panicking(|alive| async move {
        let arms: Vec<Work<Result<u32, ()>>> = vec![
            Box::pin(draining(&alive, 20).map(Ok)),
            Box::pin(fails_draining(10, "loser")),
            Box::pin(Sim::sleep(5).map(|()| Err(()))),
        ];
        let _ = try_join_all(arms).await;
    });
    assert_eq!(list, ("loser".to_owned(), 20, 0));
}

#[test]
fn d23_a_panic_in_a_destructor_of_a_loser_goes_on_when_the_rest_is_gone() {
    let sim = Sim::new();
    let alive = Alive::default();
    let work = {
        let alive = alive.clone();
        async move {
            let arms: Vec<Work<u32>> = vec![
                Box::pin(async {
                    let _bomb = Bomb("bomb");
                    pending().await
                }),
                Box::pin(draining(&alive, 20)),
                Box::pin(Sim::sleep(5).map(|()| 1)),
            ];
            race_all(arms).await
        }
    };
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let root = Root::new(sim.clone(), "root");
    let error = sim.run(root.handle().spawn(work)).unwrap_err();
    std::panic::set_hook(hook);
    assert!(error.to_string().contains("bomb"), "{error}");
    assert_eq!((sim.now(), sim.alarms(), alive.count()), (20, 0, 0));
    drop(root);
}

#[test]
fn d29_a_race_that_moved_to_another_task_drains_there() {
    let sim = Sim::new();
    let alive = Alive::default();
    let watch = alive.clone();
    sim.run(async move {
        scope(|s: Scope<Sim, io::Error>| async move {
            let send = Place::default();
            let receive = Arc::clone(&send);
            let first = s.spawn(async move {
                let mut raced = Box::pin(race((
                    Sim::sleep(5).map(|()| 1),
                    draining(&alive, 20),
                    run_until_cancelled(Sim::sleep(LONG)).map(|caught| if caught.is_err() { 2 } else { 3 }),
                )));
                poll_fn(|cx| {
                    assert!(raced.poll_unpin(cx).is_pending());
                    Poll::Ready(())
                })
                .await;
                send.lock().unwrap().replace(raced as Work<u32>);
            });
            let second = s.spawn(async move {
                Sim::sleep(1).await;
                let raced = receive.lock().unwrap().take().expect("handed over");
                raced.await
            });
            first.await.unwrap();
            assert_eq!(second.await.unwrap(), 1);
            Ok(())
        })
        .await
        .unwrap();
    });
    assert_eq!((sim.now(), sim.alarms(), watch.count()), (20, 0, 0));
}

type Place = Arc<std::sync::Mutex<Option<Work<u32>>>>;
