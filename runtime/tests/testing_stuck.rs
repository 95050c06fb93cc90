//! Simulations in which nothing can happen any more.

#![cfg(feature = "test-util")]

use std::future::pending;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use ramus::testing::Simulation;
use ramus::time::{now, sleep, timeout};
use ramus::{Scope, scope};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn quiescence_names_the_tasks_and_the_circle() {
    let mut simulation = Simulation::builder().seed(9).workers(2).build();
    let stuck = simulation
        .try_block_on(async {
            let slot: Arc<OnceLock<Mutex<Option<ramus::JoinHandle<()>>>>> = Arc::default();
            let seen = Arc::clone(&slot);
            let first = ramus::task::Builder::new().name("first").spawn(async move {
                ramus::yield_now().await;
                let other = loop {
                    match seen.get().and_then(|slot| slot.lock().unwrap().take()) {
                        Some(other) => break other,
                        None => ramus::yield_now().await,
                    }
                };
                let _ = other.await;
            });
            let second = ramus::spawn(async move {
                let _ = first.await;
            });
            slot.get_or_init(Mutex::default).lock().unwrap().replace(second);
            scope(|s: Scope| async move {
                let _task = s.spawn(pending::<()>());
                Ok(())
            })
            .await
            .unwrap();
        })
        .unwrap_err();
    let text = stuck.to_string();
    assert_eq!(stuck.tasks().len(), 3, "{text}");
    assert_eq!(stuck.tasks()[0].name(), Some("first"));
    assert_eq!(stuck.tasks()[0].waits_for(), [2]);
    assert_eq!(stuck.tasks()[1].waits_for(), [1]);
    assert_eq!(stuck.tasks()[2].waits_for(), [0; 0]);
    assert_eq!(stuck.cycles(), [[1, 2]], "{text}");
    assert!(stuck.tasks()[2].scope().starts_with("\"simulation\" > scope (runtime/tests/testing_stuck.rs:"), "{text}");
    assert!(stuck.tasks().iter().all(|task| task.state() == "suspended" && task.id().is_some()));
    for part in
        ["seed 9", "task 1 \"first\" waits for task 2 (", ", which waits for task 1 (", "none of them will ever end"]
    {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
    assert!(simulation.shutdown(Duration::ZERO).is_clean());
}

#[test]
fn a_wait_that_is_over_is_no_edge() {
    let stuck = Simulation::new(1)
        .try_block_on(async {
            let mut other = ramus::spawn(pending::<()>());
            assert!(timeout(SECOND, &mut other).await.is_err());
            sleep(SECOND).await;
            pending::<()>().await;
        })
        .unwrap_err();
    assert_eq!(stuck.block_on().waits_for(), [0; 0], "{stuck}");
    assert!(stuck.cycles().is_empty());
}

#[test]
fn a_stuck_simulation_goes_on_with_another_future() {
    let mut simulation = Simulation::new(1);
    let (sender, receiver) = futures_util::future::abortable(pending::<()>());
    let task = simulation.handle().spawn(sender);
    assert!(simulation.try_block_on(pending::<()>()).is_err());
    receiver.abort();
    assert!(simulation.block_on(task).unwrap().is_err());
}

#[test]
fn a_loop_that_waits_for_the_time_is_told_so() {
    let mut simulation = Simulation::builder().workers(2).most_turns(5000).build();
    let stuck = simulation
        .try_block_on(async {
            let deadline = now() + SECOND;
            let spinner = ramus::task::Builder::new().name("spinner").spawn(async move {
                while now() < deadline {
                    ramus::yield_now().await;
                }
            });
            // A timer is pending, but its turn never comes.
            sleep(SECOND).await;
            spinner.await.unwrap();
        })
        .unwrap_err();
    assert!(stuck.spins(), "{stuck}");
    let text = stuck.to_string();
    assert!(text.contains("5001 turns at one instant") && text.contains("task 1 \"spinner\" queued"), "{text}");
    assert!(simulation.shutdown(Duration::ZERO).is_clean());
}

#[test]
fn many_turns_are_no_loop_as_long_as_the_time_moves() {
    let mut simulation = Simulation::builder().most_turns(300).build();
    simulation.block_on(async {
        for _ in 0..20 {
            for _ in 0..100 {
                ramus::yield_now().await;
            }
            sleep(Duration::from_millis(1)).await;
        }
    });
}

#[test]
fn a_wait_through_a_combinator_is_known_until_its_task_ends() {
    use futures_util::StreamExt;
    use futures_util::stream::FuturesUnordered;

    let stuck = Simulation::new(4)
        .try_block_on(async {
            let mut all: FuturesUnordered<_> = [
                ramus::spawn(async { sleep(SECOND).await }),
                ramus::spawn(async { pending().await }),
                ramus::spawn(async { sleep(SECOND * 2).await }),
            ]
            .into_iter()
            .collect();
            // It polls only those that were woken.
            while all.next().await.is_some() {}
        })
        .unwrap_err();
    assert_eq!(stuck.block_on().waits_for(), [2], "{stuck}");
}

#[test]
fn a_loop_that_no_cancel_ends_is_a_straggler() {
    let mut simulation = Simulation::builder().most_turns(2000).build();
    simulation.block_on(async {
        let spinner = ramus::task::Builder::new().name("spinner");
        drop(spinner.spawn(ramus_scope::shield_unbounded(async {
            loop {
                ramus::yield_now().await;
            }
        })));
        for _ in 0..10 {
            ramus::yield_now().await;
        }
    });
    let report = simulation.shutdown(Duration::ZERO);
    assert!(!report.is_clean());
    assert!(report.to_string().contains("task \"spinner\""), "{report}");
}

#[test]
fn after_a_loop_the_simulation_can_be_used_again() {
    let mut simulation = Simulation::builder().most_turns(100).build();
    let spin = async {
        loop {
            ramus::yield_now().await;
        }
    };
    let stuck = simulation.try_block_on::<std::pin::Pin<Box<dyn Future<Output = ()>>>>(Box::pin(spin));
    assert!(stuck.unwrap_err().spins());
    simulation.block_on(sleep(SECOND));
}
