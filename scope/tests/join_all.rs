//! `join_all` and `try_join_all`; and all combinators, ended at each of their suspensions.
#![allow(missing_docs)]

#[path = "common/arms.rs"]
mod arms;
mod common;

use std::future::{pending, poll_fn, ready};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use arms::{LONG, Work, draining, ms};
use common::{Alive, Foreign, Log, Sim};
use futures_util::FutureExt;
use futures_util::future::{join, select};
use ramus_scope::{CutOn, Root, Scope, join_all, race, race_all, scope, shield, shield_unbounded, try_join_all};

#[test]
fn join_all_keeps_the_order_and_every_outcome() {
    let sim = Sim::new();
    let values = sim.run(async {
        join_all([30_u64, 10, 20].map(|at| async move {
            Sim::sleep(at).await;
            if at == 10 { Err(at) } else { Ok(at) }
        }))
        .await
    });
    assert_eq!(values, [Ok(30), Err(10), Ok(20)]);
    assert_eq!(sim.now(), 30);
}

#[test]
fn spot5_rule4_try_join_all_cuts_and_drains_the_others_at_the_first_error() {
    let sim = Sim::new();
    let alive = Alive::default();
    let watch = alive.clone();
    let result = sim.run_task(async move {
        let guard = alive.guard();
        let all: Vec<Work<Result<u32, &str>>> = vec![
            Box::pin(draining(&alive, 20).map(Ok)),
            Box::pin(ready(Ok(1))),
            Box::pin(async move {
                Sim::sleep(LONG).await;
                drop(guard);
                Ok(2)
            }),
            Box::pin(Sim::sleep(5).map(|()| Err("first"))),
            Box::pin(async {
                shield(ms(50), Sim::sleep(8)).await;
                Err("while it drained")
            }),
        ];
        let result = try_join_all(all).await;
        assert_eq!(alive.count(), 0, "before any code after it runs");
        result
    });
    assert_eq!(result.unwrap(), Err("first"));
    assert_eq!((sim.now(), sim.alarms(), watch.count()), (20, 0, 0));
}

#[test]
fn d38_try_join_all_of_handles_cancels_no_task() {
    let sim = Sim::new();
    let log = Log::default();
    let seen = log.clone();
    sim.run(async move {
        scope(|s: Scope<Sim, io::Error>| async move {
            let slow = s.spawn(async move {
                Sim::sleep(20).await;
                log.add("to its end");
            });
            let cancelled = s.spawn(Sim::sleep(LONG));
            Sim::sleep(1).await;
            cancelled.cancel("alone");
            assert!(try_join_all([slow, cancelled]).await.unwrap_err().is_cancelled());
            Ok(())
        })
        .await
        .unwrap();
    });
    assert_eq!((seen.take(), sim.now()), (vec!["to its end".to_owned()], 20));
}

/// Rule 3: what stood still in a cut frame goes on in one that is not cut.
#[test]
fn rule3_spot1_many_arms_that_stood_still_go_on_later() {
    let sim = Sim::new();
    let values = sim.run_task(async {
        let mut all = Box::pin(join_all([Sim::sleep(10), Sim::sleep(15), Sim::sleep(40)].map(|nap| nap.map(|()| 1))));
        // Expires at 5; the shield holds until 20, and meanwhile two of the sleeps are woken in the cut frame.
        let beside = join(shield(ms(50), Sim::sleep(20)), &mut all);
        assert!(CutOn::new(beside, Sim::sleep(5)).await.is_err());
        all.await
    });
    assert_eq!(values.unwrap(), [1, 1, 1]);
    assert_eq!((sim.now(), sim.alarms()), (40, 0));
}

/// A race, a join and a try-join under way, each with a scope, a shield, a plain future and a foreign one.
fn combinator(which: usize, alive: &Alive) -> Work<u32> {
    let arm = |ends| {
        let (guard, inner) = (alive.guard(), draining(alive, ends));
        async move {
            let _guard = guard;
            Foreign::default().await;
            shield_unbounded(Sim::sleep(2)).await;
            race((inner, Sim::sleep(7).map(|()| 1))).await
        }
    };
    let (first, second) = (arm(12), arm(17));
    match which {
        0 => Box::pin(async { race((first, second, Sim::sleep(25).map(|()| 3))).await }),
        1 => Box::pin(async { race_all([first, second]).await.unwrap() }),
        2 => Box::pin(async { join_all([first, second]).await.len() as u32 }),
        _ => Box::pin(async {
            let all: [Work<Result<u32, u32>>; 2] = [Box::pin(first.map(Ok)), Box::pin(second.map(Err))];
            try_join_all(all).await.unwrap_err()
        }),
    }
}

#[derive(Clone, Copy, Debug)]
enum End {
    Cancel,
    Drop,
    Timeout,
}

/// Ends the combinator at its `point`-th suspension; whether there was one.
fn ended_at(which: usize, end: End, point: usize) -> bool {
    let sim = Sim::new();
    let alive = Alive::default();
    let root = Root::new(sim.clone(), "root");
    let reached = Arc::new(AtomicUsize::new(0));
    let mut work = combinator(which, &alive);
    let (polls, handle) = (Arc::clone(&reached), root.handle().clone());
    let task = root.handle().spawn(async move {
        let counted = poll_fn(|cx| {
            let polled = work.poll_unpin(cx).map(|_| ());
            if polled.is_pending() && polls.fetch_add(1, Ordering::SeqCst) == point {
                match end {
                    End::Cancel => assert!(handle.cancel("here")),
                    End::Drop | End::Timeout => return Poll::Ready(true),
                }
            }
            polled.map(|()| false)
        });
        match end {
            End::Timeout => {
                // The signal fires in the poll of the suspension that is meant.
                let mut counted = pin!(counted);
                let fired = AtomicUsize::new(0);
                let inside = poll_fn(|cx| match counted.poll_unpin(cx) {
                    Poll::Ready(true) => {
                        fired.store(1, Ordering::SeqCst);
                        Poll::Pending
                    }
                    Poll::Ready(false) => Poll::Ready(()),
                    Poll::Pending => Poll::Pending,
                });
                let signal =
                    poll_fn(|_| if fired.load(Ordering::SeqCst) == 1 { Poll::Ready(()) } else { Poll::Pending });
                let _ = select(pin!(CutOn::new(inside, signal)), pin!(pending::<()>())).await;
            }
            End::Cancel | End::Drop => drop(counted.await),
        }
        drop(work);
    });
    let _ = sim.run(task);
    root.close();
    sim.settle();
    while root.handle().live() > 0 {
        assert!(sim.advance(), "{which} {end:?} {point}: a leak");
        sim.settle();
    }
    assert_eq!((alive.count(), sim.alarms()), (0, 0), "{which} {end:?} {point}");
    reached.load(Ordering::SeqCst) > point
}

#[test]
fn d40_ended_at_any_suspension_nothing_is_left() {
    for which in 0..4 {
        for end in [End::Cancel, End::Drop, End::Timeout] {
            let points = (0..1000).take_while(|&point| ended_at(which, end, point)).count();
            assert!((5..1000).contains(&points), "{which} {end:?}: {points} suspensions");
        }
    }
}
