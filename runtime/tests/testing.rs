//! Simulations: determinism, replay, virtual time, quiescence.

#![cfg(feature = "test-util")]

use std::collections::HashSet;
use std::future::{pending, poll_fn};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use ramus::testing::{Event, Simulation, Step};
use ramus::time::{interval, now, sleep, timeout};
use ramus::{Scope, scope};

const SECOND: Duration = Duration::from_secs(1);
/// Deadlines are rounded up to ticks of 131 µs.
const TICK: Duration = Duration::from_nanos(1 << 17);

type Log = Arc<Mutex<Vec<u32>>>;

/// A program with everything in it that a seed decides about.
async fn busy(log: Log) {
    scope(|s: Scope| async move {
        for number in 0..12 {
            let log = Arc::clone(&log);
            let _task = s.spawn(async move {
                for round in 0..4 {
                    log.lock().unwrap().push(number);
                    match (number + round) % 3 {
                        0 => ramus::yield_now().await,
                        1 => sleep(SECOND).await,
                        _ => drop(ramus::spawn(async {}).await),
                    }
                }
                if number % 4 == 0 {
                    let _ = ramus::spawn_blocking(move || log.lock().unwrap().push(100 + number)).await;
                }
            });
        }
        Ok(())
    })
    .await
    .unwrap();
}

fn run(seed: u64, workers: usize) -> (Vec<Step>, Vec<u32>) {
    let log = Log::default();
    let mut simulation = Simulation::builder().seed(seed).workers(workers).trace(true).build();
    simulation.block_on(busy(Arc::clone(&log)));
    let trace = simulation.trace().to_vec();
    assert!(simulation.shutdown(Duration::ZERO).is_clean());
    let log = log.lock().unwrap().clone();
    (trace, log)
}

#[test]
fn the_same_seed_replays_every_poll() {
    for workers in [1, 3] {
        for seed in [0, 1, u64::MAX] {
            let first = run(seed, workers);
            assert!(first.0.len() > 60, "{}", first.0.len());
            assert_eq!(first, run(seed, workers), "seed {seed}, {workers} workers");
        }
    }
}

#[test]
fn other_seeds_give_other_orders() {
    for workers in [1, 3] {
        let orders: HashSet<Vec<u32>> = (0..20).map(|seed| run(seed, workers).1).collect();
        assert_eq!(orders.len(), 20, "{workers} workers");
    }
}

#[test]
fn workers_steal_from_whom_the_seed_says() {
    let thefts = |seed| {
        let steps = run(seed, 3).0.into_iter();
        steps.filter(|step| matches!(step.event, Event::Steal { .. })).map(|step| step.event).collect::<Vec<_>>()
    };
    assert!(!thefts(1).is_empty());
    let all: HashSet<String> = (0..10).map(|seed| format!("{:?}", thefts(seed))).collect();
    assert!(all.len() > 5, "{}", all.len());
    assert!(run(1, 1).0.iter().all(|step| !matches!(step.event, Event::Steal { .. })), "alone there is nobody to rob");
}

#[test]
fn every_worker_polls_and_is_counted() {
    let mut simulation = Simulation::builder().seed(5).workers(3).build();
    let handle = simulation.handle();
    simulation.block_on(busy(Log::default()));
    let metrics = handle.metrics();
    assert_eq!((handle.workers(), metrics.workers.len()), (3, 3));
    assert!(metrics.workers.iter().all(|worker| worker.polls > 0), "{metrics:?}");
    assert_eq!(metrics.tasks_spawned, metrics.tasks_finished);
    assert_eq!((metrics.timers, metrics.sources), (0, 0));
}

#[test]
fn time_jumps_from_timer_to_timer() {
    let began = std::time::Instant::now();
    let mut simulation = Simulation::new(0);
    simulation.block_on(async {
        let start = now();
        sleep(SECOND * 86_400 * 365).await;
        let took = now() - start;
        assert!(took >= SECOND * 86_400 * 365 && took < SECOND * 86_400 * 365 + TICK, "{took:?}");
        let start = now();
        for _ in 0..1000 {
            ramus::yield_now().await;
        }
        assert_eq!(now(), start, "time stands still while somebody can go on");
    });
    assert!(simulation.elapsed() >= SECOND * 86_400 * 365);
    assert!(began.elapsed() < SECOND * 60);
}

#[test]
fn timers_fire_in_the_order_of_their_deadlines() {
    for seed in 0..20 {
        let log = Log::default();
        let order = Arc::clone(&log);
        Simulation::builder().seed(seed).workers(3).build().block_on(async {
            scope(|s: Scope| async move {
                for delay in [30, 10, 20, 50, 40] {
                    let order = Arc::clone(&order);
                    let _task = s.spawn(async move {
                        sleep(SECOND * delay).await;
                        order.lock().unwrap().push(delay);
                    });
                }
                Ok(())
            })
            .await
            .unwrap();
        });
        assert_eq!(*log.lock().unwrap(), [10, 20, 30, 40, 50], "seed {seed}");
    }
}

#[test]
fn timers_of_one_instant_fire_in_any_order() {
    let order = |seed| {
        let log = Log::default();
        let order = Arc::clone(&log);
        Simulation::new(seed).block_on(async {
            scope(|s: Scope| async move {
                for number in 0..4 {
                    let order = Arc::clone(&order);
                    let _task = s.spawn(async move {
                        sleep(SECOND).await;
                        order.lock().unwrap().push(number);
                    });
                }
                Ok(())
            })
            .await
            .unwrap();
        });
        log.lock().unwrap().clone()
    };
    let orders: HashSet<Vec<u32>> = (0..200).map(order).collect();
    assert_eq!(orders.len(), 24, "all orders of four");
}

#[test]
fn timeouts_intervals_and_deadlines_live_in_virtual_time() {
    Simulation::new(3).block_on(async {
        let start = now();
        assert!(timeout(SECOND * 5, pending::<()>()).await.is_err());
        assert!(now() - start >= SECOND * 5 && now() - start < SECOND * 6);
        let start = now();
        let mut ticks = interval(SECOND * 60);
        for _ in 0..10 {
            ticks.tick().await;
        }
        assert!(now() - start >= SECOND * 540 && now() - start < SECOND * 541);
        let ended = scope(|s: Scope| async move {
            s.set_deadline(now() + SECOND * 3600).unwrap();
            pending::<()>().await;
            Ok(())
        })
        .await;
        assert!(ended.unwrap_err().is_elapsed());
        assert!(now() - start >= SECOND * 4140);
        let stopped = scope(|s: Scope| async move {
            s.stop(SECOND * 10);
            pending::<()>().await;
            Ok(())
        })
        .await;
        assert!(stopped.unwrap_err().is_cancelled());
    });
}

#[test]
fn a_task_knows_itself_and_the_tree_shows_virtual_ages() {
    let mut simulation = Simulation::new(0);
    simulation.block_on(async {
        let task = ramus::task::Builder::new().name("sleeper").spawn(async {
            let info = ramus::task::current().unwrap();
            sleep(SECOND * 100).await;
            (info.name().map(str::to_owned), ramus::task::current().unwrap().age())
        });
        sleep(SECOND * 50).await;
        let tree = ramus::Handle::current().tree();
        let row = tree.entries().iter().find(|entry| entry.name.as_deref() == Some("sleeper")).unwrap();
        assert_eq!((row.state, row.age.unwrap().as_secs()), ("suspended", 50));
        let (name, age) = task.await.unwrap();
        assert_eq!((name.as_deref(), age.as_secs()), (Some("sleeper"), 100));
        assert!(ramus::task::current().is_none());
    });
}

#[test]
fn blocking_jobs_run_in_an_order_that_is_drawn() {
    let order = |seed| {
        let log = Log::default();
        let order = Arc::clone(&log);
        let thread = std::thread::current().id();
        Simulation::new(seed).block_on(async {
            let jobs: Vec<_> = (0..3)
                .map(|number| {
                    let order = Arc::clone(&order);
                    ramus::spawn_blocking(move || {
                        assert_eq!(std::thread::current().id(), thread);
                        order.lock().unwrap().push(number);
                    })
                })
                .collect();
            for job in jobs {
                job.await.unwrap();
            }
        });
        log.lock().unwrap().clone()
    };
    let orders: HashSet<Vec<u32>> = (0..100).map(order).collect();
    assert_eq!(orders.len(), 6);
}

#[test]
fn a_job_that_panics_or_is_cancelled_answers_its_handle() {
    let mut ran = [false; 2];
    for seed in 0..20 {
        let outcome = Simulation::new(seed).block_on(async {
            let panics = ramus::spawn_blocking(|| panic!("on the simulation's thread"));
            assert!(panics.await.unwrap_err().is_panic());
            let job = ramus::spawn_blocking(|| 3);
            ramus::yield_now().await;
            job.cancel("not needed");
            job.await
        });
        ran[usize::from(outcome.is_ok())] = true;
    }
    assert_eq!(ran, [true; 2], "cancelled before it began in some runs, and in others too late");
}

#[test]
fn sockets_work_and_are_waited_for_in_real_time() {
    use ramus::net::UnixStream;

    let mut simulation = Simulation::builder().seed(2).workers(2).build();
    simulation.block_on(async {
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        let echo = ramus::spawn(async move {
            let mut bytes = [0; 4];
            theirs.read_exact(&mut bytes).await.unwrap();
            theirs.write_all(&bytes).await.unwrap();
        });
        sleep(SECOND).await;
        ours.write_all(b"ping").await.unwrap();
        let mut bytes = [0; 4];
        ours.read_exact(&mut bytes).await.unwrap();
        assert_eq!(&bytes, b"ping");
        echo.await.unwrap();

        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let mut ours = UnixStream::from_std(ours).unwrap();
        let late = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            std::io::Write::write_all(&mut &theirs, b"late").unwrap();
        });
        ours.read_exact(&mut bytes).await.unwrap();
        assert_eq!(&bytes, b"late");
        late.join().unwrap();
    });
}

#[test]
fn another_thread_may_wake_and_spawn_while_a_socket_waits() {
    let (ours, _theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    let mut simulation = Simulation::new(0);
    let handle = simulation.handle();
    simulation.block_on(async move {
        let mut ours = ramus::net::UnixStream::from_std(ours).unwrap();
        let reader = ramus::spawn(async move { ours.read(&mut [0]).await.map(drop) });
        let gate: Arc<Mutex<(bool, Option<Waker>)>> = Arc::default();
        let opened = poll_fn({
            let gate = Arc::clone(&gate);
            move |cx| {
                let mut gate = gate.lock().unwrap();
                gate.1 = Some(cx.waker().clone());
                if gate.0 { Poll::Ready(()) } else { Poll::Pending }
            }
        });
        let thread = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            let waker = {
                let mut gate = gate.lock().unwrap();
                gate.0 = true;
                gate.1.take()
            };
            waker.unwrap().wake();
            handle.spawn(async { 7 })
        });
        opened.await;
        assert_eq!(thread.join().unwrap().await.unwrap(), 7);
        reader.cancel("enough");
        assert!(reader.await.unwrap_err().is_cancelled());
    });
}

#[test]
fn shutdown_gives_grace_in_virtual_time_and_names_what_stays() {
    let mut simulation = Simulation::new(1);
    let handle = simulation.handle();
    let mut task = handle.spawn(async {
        ramus::Handle::current().root().unwrap().stopping().await;
        sleep(SECOND * 30).await;
        "tidied"
    });
    simulation.block_on(sleep(SECOND));
    let report = simulation.shutdown(SECOND * 60);
    assert!(report.is_clean(), "{report}");
    assert_eq!(task.try_result().unwrap().unwrap(), "tidied");
    assert!(handle.root().is_none());

    let mut simulation = Simulation::new(1);
    simulation.block_on(async {
        drop(ramus::spawn(ramus_scope::shield_unbounded(pending::<()>())));
        ramus::yield_now().await;
        ramus::yield_now().await;
    });
    let report = simulation.shutdown(Duration::ZERO);
    assert_eq!(report.killed().len(), 1, "{report}");
}

#[test]
#[should_panic(expected = "inside of a runtime")]
fn a_simulation_inside_of_a_runtime_is_refused() {
    ramus::Runtime::new().unwrap().block_on(async { Simulation::new(1).block_on(async {}) });
}

#[test]
fn only_its_own_block_on_runs_a_simulation() {
    let mut simulation = Simulation::new(1);
    let handle = simulation.handle();
    assert!(handle.try_block_on(async {}).unwrap_err().is_simulated());
    simulation.block_on(async move {
        assert!(handle.try_block_on(async {}).unwrap_err().is_nested());
        let elsewhere = std::thread::spawn(move || handle.try_block_on(async {}).unwrap_err().is_simulated());
        assert!(elsewhere.join().unwrap());
    });
}

#[test]
fn a_pool_is_used_again_and_handles_of_before_are_dead() {
    let mut handles = Vec::new();
    for seed in 0..50 {
        let mut simulation = Simulation::builder().seed(seed).workers(2).build();
        handles.push(simulation.handle());
        simulation.block_on(sleep(SECOND));
    }
    for handle in handles {
        assert!(handle.root().is_none());
        drop(handle.spawn(async {}));
    }
}

/// Not a test: what the replay tests run in a process of its own.
#[test]
#[ignore = "run by other tests, in a process with the variable set"]
fn child_fails_with_one_order() {
    let log = Log::default();
    let mut simulation = Simulation::builder().seed(7).workers(3).build();
    println!("seed {}", simulation.seed());
    simulation.block_on(busy(Arc::clone(&log)));
    println!("order {:?}", log.lock().unwrap());
    simulation.block_on(async { panic!("planted") });
}

fn child(seed: Option<&str>) -> (String, bool) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--ignored", "--exact", "child_fails_with_one_order", "--nocapture"]).env_remove("RAMUS_SEED");
    if let Some(seed) = seed {
        command.env("RAMUS_SEED", seed);
    }
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (text, output.status.success())
}

#[test]
fn a_failing_run_prints_its_seed_and_the_variable_replays_it() {
    let (plain, ok) = child(None);
    assert!(!ok && plain.contains("ramus: failed with seed 7; replay with RAMUS_SEED=7"), "{plain}");
    let order = |text: &str| text.lines().find(|line| line.contains("order [")).map(str::to_owned).unwrap();
    let (other, _) = child(Some("8"));
    assert!(other.contains("failed with seed 8") && order(&other) != order(&plain), "{other}");
    let (again, _) = child(Some("7"));
    assert_eq!(order(&again), order(&plain));
    let (bad, ok) = child(Some("seven"));
    assert!(!ok && bad.contains("RAMUS_SEED must be a number"), "{bad}");
}

#[test]
fn cancelled_tasks_go_first_and_leave_every_second_poll_to_others() {
    let mut simulation = Simulation::builder().trace(true).build();
    simulation.block_on(async {
        let victims: Vec<_> = (0..20).map(|_| ramus::spawn(pending::<()>())).collect();
        sleep(SECOND).await;
        let others: Vec<_> = (0..20).map(|_| ramus::spawn(async {})).collect();
        for victim in &victims {
            victim.cancel("all at once");
        }
        for task in others {
            task.await.unwrap();
        }
    });
    let polls: Vec<usize> = simulation
        .trace()
        .iter()
        .skip_while(|step| step.at < SECOND)
        .filter_map(|step| if let Event::Poll { task, .. } = step.event { Some(task) } else { None })
        .collect();
    // Numbers up to 20 are victims. They come alternately with the others from the first poll on.
    let first: Vec<bool> = polls[..20].iter().map(|task| *task <= 20).collect();
    assert_eq!(first, [true, false].repeat(10), "{polls:?}");
}
