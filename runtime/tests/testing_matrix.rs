//! `cancel_matrix`, checks for leaks.

#![cfg(feature = "test-util")]

use std::collections::VecDeque;
use std::future::{pending, poll_fn};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use ramus::testing::{Disturbance, Leaks, Matrix, MatrixError, Point, Simulation, assert_quiescent, cancel_matrix};
use ramus::{Scope, scope, sleep, timeout, yield_now};

/// A channel without a bound: a receive takes an item whole or not at all.
#[derive(Clone, Default)]
struct Channel(Arc<Mutex<(VecDeque<u32>, Option<Waker>)>>);

impl Channel {
    fn send(&self, item: u32) {
        let waker = {
            let mut channel = self.0.lock().unwrap();
            channel.0.push_back(item);
            channel.1.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }

    async fn receive(&self) -> u32 {
        poll_fn(|cx| {
            let mut channel = self.0.lock().unwrap();
            match channel.0.pop_front() {
                Some(item) => Poll::Ready(item),
                None => {
                    channel.1 = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// As a bounded channel that makes its senders wait.
    async fn send_slowly(&self, item: u32) {
        sleep(Duration::from_millis(1)).await; // SLOWLY
        self.send(item);
    }

    fn len(&self) -> usize {
        self.0.lock().unwrap().0.len()
    }
}

const ITEMS: usize = 3;

#[derive(Clone, Default)]
struct Relay {
    from: Channel,
    to: Channel,
}

impl Relay {
    /// The channels, and somebody who fills the first one little by little.
    fn fresh(&mut self) -> Relay {
        *self = Relay::default();
        let from = self.from.clone();
        drop(ramus::spawn(async move {
            for item in 0..ITEMS as u32 {
                sleep(Duration::from_millis(5)).await;
                from.send(item);
            }
        }));
        self.clone()
    }

    fn all_are_there(&self) -> Result<(), String> {
        match ITEMS - self.from.len() - self.to.len() {
            0 => Ok(()),
            lost => Err(format!("{lost} items lost")),
        }
    }

    /// Loses the item that it holds when it is dropped at the second await.
    async fn lossy(self) {
        for _ in 0..ITEMS {
            let item = self.from.receive().await;
            self.to.send_slowly(item).await; // HELD
        }
    }

    /// Waits first, and then moves the item in one step.
    async fn whole(self) {
        for _ in 0..ITEMS {
            sleep(Duration::from_millis(1)).await;
            let item = self.from.receive().await;
            self.to.send(item);
        }
    }
}

/// The line of this file that ends with the comment `// MARK`.
fn line_of(mark: &str) -> u32 {
    let text = include_str!("testing_matrix.rs");
    let end = format!(" // {mark}");
    text.lines().position(|line| line.ends_with(&end)).unwrap() as u32 + 1
}

fn sites(error: &MatrixError) -> Vec<(Disturbance, u32)> {
    let site = |point: &Point| point.site.as_ref().unwrap_or_else(|| panic!("{point} has no site")).line();
    error.broken().iter().map(|(point, _)| (point.disturbance, site(point))).collect()
}

fn run<F: Future + Send + 'static>(work: impl Fn(Relay) -> F) -> Result<ramus::testing::MatrixReport, MatrixError> {
    let relay = Mutex::new(Relay::default());
    let make = || work(relay.lock().unwrap().fresh());
    Matrix::new().run(make, |_| relay.lock().unwrap().all_are_there())
}

#[test]
fn a_lost_item_is_found_with_its_place() {
    let error = run(Relay::lossy).unwrap_err();
    let found = sites(&error);
    // Three items, each lost by each of three disturbances: where it is held, and nowhere else.
    assert_eq!(found.len(), ITEMS * 3, "{error}");
    for disturbance in [Disturbance::Cancel, Disturbance::Drop, Disturbance::Panic] {
        assert_eq!(found.iter().filter(|found| found.0 == disturbance).count(), ITEMS);
    }
    assert!(error.broken().iter().all(|(_, why)| why == "1 items lost"), "{error}");
    // It stands at the await inside of `send_slowly`, in the one that holds the item.
    let text = error.to_string();
    let file = "tests/testing_matrix.rs";
    let inner = format!("cancelled at suspension 2 ({file}:{}:", line_of("SLOWLY"));
    let outer = format!(", in {file}:{}:", line_of("HELD"));
    assert!(text.contains(&inner) && text.contains(&outer), "{inner} and {outer} are missing in {text}");
    assert!(found.iter().all(|found| found.1 == line_of("SLOWLY")), "{text}");
}

#[test]
fn code_that_moves_its_items_whole_passes() {
    let report = run(Relay::whole).unwrap();
    assert_eq!(report.suspensions(), 2 * ITEMS);
    assert_eq!(report.points().len(), 1 + 3 * 2 * ITEMS);
    assert_eq!(report.points()[0].to_string(), "undisturbed");
    assert!(report.points().iter().skip(1).all(|point| point.site.is_some()));
}

#[test]
#[should_panic(expected = "cancelled at suspension 1 (tests/testing_matrix.rs:")]
fn the_short_form_panics_with_the_places() {
    let done = Arc::new(Mutex::new(false));
    let seen = Arc::clone(&done);
    cancel_matrix(
        || {
            *done.lock().unwrap() = false;
            let done = Arc::clone(&done);
            async move {
                yield_now().await;
                *done.lock().unwrap() = true;
            }
        },
        |_| assert!(*seen.lock().unwrap(), "it must be done"),
    );
}

#[test]
fn suspensions_are_located_behind_boundaries_and_branches() {
    let located = Matrix::new().run(
        || async {
            scope(|s: Scope| async move {
                sleep(Duration::from_secs(1)).await; // IN_SCOPE
                let _task = s.spawn(sleep(Duration::from_secs(1)));
                Ok(())
            })
            .await
            .unwrap();
            let _ = timeout(Duration::from_secs(9), sleep(Duration::from_secs(1))).await; // TIMEOUT
            ramus::spawn(async {}).await.unwrap(); // JOIN
            yield_now().await; // YIELD
            futures_util::future::select(
                Box::pin(sleep(Duration::from_secs(9))),
                Box::pin(async { yield_now().await }), // BRANCH
            )
            .await;
        },
        |_| (),
    );
    let report = located.unwrap();
    let lines: Vec<u32> = report
        .points()
        .iter()
        .skip(1)
        .step_by(3)
        .map(|point| point.site.as_ref().map_or(0, |site| site.line()))
        .collect();
    let drained = line_of("IN_SCOPE") + 4;
    let expected =
        [line_of("IN_SCOPE"), drained, line_of("TIMEOUT"), line_of("JOIN"), line_of("YIELD"), line_of("BRANCH")];
    assert_eq!(lines.len(), expected.len(), "{lines:?}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!((expected.saturating_sub(2)..=expected).contains(line), "{lines:?} {expected:?}");
    }
}

#[test]
fn a_disturbed_scope_drains_before_the_invariant_is_asked() {
    let alive = Arc::new(Mutex::new(0));
    struct Alive(Arc<Mutex<i32>>);
    impl Drop for Alive {
        fn drop(&mut self) {
            *self.0.lock().unwrap() -= 1;
        }
    }
    let count = Arc::clone(&alive);
    let report = cancel_matrix(
        || {
            let count = Arc::clone(&count);
            async move {
                scope(|s: Scope| async move {
                    for _ in 0..3 {
                        *count.lock().unwrap() += 1;
                        let alive = Alive(Arc::clone(&count));
                        let _task = s.spawn(async move {
                            sleep(Duration::from_secs(1)).await;
                            ramus::shield(Duration::from_secs(5), sleep(Duration::from_secs(1))).await;
                            drop(alive);
                        });
                    }
                    yield_now().await;
                    Ok(())
                })
                .await
                .unwrap();
            }
        },
        |_| match *alive.lock().unwrap() {
            0 => Ok(()),
            left => Err(format!("{left} are alive")),
        },
    );
    assert!(report.suspensions() >= 2);
}

#[test]
fn what_is_left_behind_is_named() {
    // It ends only if its parent tells it to, which a disturbed parent does not.
    let error = Matrix::new()
        .run(
            || async {
                let channel = Channel::default();
                let other = channel.clone();
                let child = ramus::spawn(async move { other.receive().await });
                sleep(Duration::from_secs(1)).await;
                channel.send(1);
                child.await.unwrap();
            },
            |_| (),
        )
        .unwrap_err();
    assert_eq!(error.broken().len(), 3, "{error}");
    let (point, why) = &error.broken()[0];
    assert_eq!((point.disturbance, point.index), (Disturbance::Cancel, 1));
    assert!(why.contains("the simulation is stuck") && why.contains("task 2 suspended in"), "{error}");
}

#[test]
fn a_destructor_that_panics_is_no_panic_of_the_matrix() {
    struct Bomb(bool);
    impl Drop for Bomb {
        fn drop(&mut self) {
            assert!(self.0 || std::thread::panicking(), "dropped before its time");
        }
    }
    let error = Matrix::new()
        .run(
            || async {
                let mut bomb = Bomb(false);
                yield_now().await;
                bomb.0 = true;
            },
            |_| (),
        )
        .unwrap_err();
    let disturbances: Vec<_> = error.broken().iter().map(|(point, _)| point.disturbance).collect();
    assert_eq!(disturbances, [Disturbance::Cancel, Disturbance::Drop], "{error}");
    assert!(error.broken().iter().all(|(_, why)| why == "it panicked: dropped before its time"), "{error}");
}

#[test]
fn a_future_that_differs_from_run_to_run_is_told_so() {
    let mut runs = 0;
    let error = Matrix::new()
        .run(
            || {
                runs += 1;
                let yields = if runs == 1 { 3 } else { 1 };
                async move {
                    for _ in 0..yields {
                        yield_now().await;
                    }
                }
            },
            |_| (),
        )
        .unwrap_err();
    assert_eq!(error.broken().len(), 6);
    assert!(error.to_string().contains("does not do the same in every run"), "{error}");
}

#[test]
fn leaks_are_counted_on_simulations_and_on_real_runtimes() {
    let look = || async {
        assert_quiescent();
        let left = ramus::spawn(sleep(Duration::from_secs(3600)));
        let handle = ramus::Handle::current();
        while handle.metrics().timers == 0 {
            yield_now().await;
        }
        let leaks = Leaks::check(&handle).unwrap_err();
        assert_eq!((leaks.tasks(), leaks.timers(), leaks.sources(), leaks.waiting_operations()), (1, 1, 0, 0));
        assert_eq!(leaks.entries().len(), 1, "{leaks}");
        left.cancel("enough");
        let _ = left.await;
        assert_quiescent();
        // A task is no leak of its own.
        ramus::spawn(async { assert_quiescent() }).await.unwrap();
    };
    Simulation::builder().workers(2).build().block_on(look());
    ramus::Builder::new_multi_thread().worker_threads(2).build().unwrap().block_on(look());
}

#[test]
#[should_panic(expected = "left behind: 1 tasks, 0 timers, 0 sockets, 0 waiting operations")]
fn a_leak_fails_the_test() {
    Simulation::new(0).block_on(async {
        let _left = ramus::spawn(pending::<()>());
        yield_now().await;
        assert_quiescent();
    });
}

#[test]
fn a_socket_that_is_still_open_is_a_leak() {
    Simulation::new(0).block_on(async {
        let (mut ours, theirs) = ramus::net::UnixStream::pair().unwrap();
        let reading = timeout(Duration::from_secs(1), async { ours.read(&mut [0]).await }).await;
        assert!(reading.is_err());
        let leaks = Leaks::check(&ramus::Handle::current()).unwrap_err();
        assert_eq!(leaks.sources(), 1, "{leaks}");
        drop((ours, theirs));
        assert_quiescent();
    });
}

#[cfg(feature = "sync")]
#[test]
fn waits_in_other_crates_are_located_at_the_await() {
    let report = cancel_matrix(
        || async {
            let (sender, receiver) = ramus::sync::channel::bounded(1);
            let _sending = ramus::spawn(async move { sender.send(1).await });
            receiver.recv().await.unwrap(); // CHANNEL
            let mutex = Arc::new(ramus::sync::lock::Mutex::new(()));
            let held = Arc::clone(&mutex);
            let guard = mutex.lock().await;
            let _holder = ramus::spawn(async move {
                sleep(Duration::from_secs(1)).await;
                drop(held);
            });
            let locked = timeout(Duration::from_secs(1), mutex.lock()).await; // LOCK
            assert!(locked.is_err());
            drop(guard);
        },
        |_| (),
    );
    let points = report.points().iter().skip(1).step_by(3);
    let lines: Vec<_> = points.map(|point| point.site.as_ref().map_or(0, |site| site.line())).collect();
    assert_eq!(lines, [line_of("CHANNEL"), line_of("LOCK")]);
}

#[test]
fn what_never_ends_is_told_so() {
    let rounds = |most: u32| {
        move || async move {
            for _ in 0..most {
                sleep(Duration::from_secs(1)).await;
            }
        }
    };
    let matrix = Matrix::new().most_suspensions(20);
    assert_eq!(matrix.run(rounds(20), |_| ()).unwrap().suspensions(), 20);
    let error = matrix.run(rounds(u32::MAX), |_| ()).unwrap_err();
    assert_eq!((error.report().points().len(), error.report().suspensions()), (1, 20));
    assert!(error.to_string().contains("has to end by itself"), "{error}");
    // Also one that never lets the time move.
    let spins = || async {
        loop {
            yield_now().await;
        }
    };
    assert!(Matrix::new().run(spins, |_| ()).unwrap_err().to_string().contains("more than 1000 times"));
}
