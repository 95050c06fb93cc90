//! Scopes of every shape, cancelled at any moment, in many simulated orders: all of them drain, and nothing is left.

#![cfg(feature = "test-util")]

use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ramus::testing::{Simulation, Step};
use ramus::{Scope, run_until_cancelled, scope, shield, sleep, timeout, yield_now};

const SECOND: Duration = Duration::from_secs(1);

/// Numbers that decide the shape of the program, apart from those of the scheduler.
struct Shape(u64);

impl Shape {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn split(&mut self) -> Shape {
        Shape(self.0 ^ self.below(u64::MAX).rotate_left(17))
    }
}

/// Counts futures that are alive.
struct Alive(Arc<AtomicUsize>);

impl Alive {
    fn new(count: &Arc<AtomicUsize>) -> Alive {
        count.fetch_add(1, Ordering::Relaxed);
        Alive(Arc::clone(count))
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn node(mut shape: Shape, depth: u32, count: Arc<AtomicUsize>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        let alive = Alive::new(&count);
        let wait = SECOND * shape.below(5) as u32;
        let inner = |shape: &mut Shape| node(shape.split(), depth - 1, Arc::clone(&count));
        match shape.below(if depth == 0 { 4 } else { 11 }) {
            0 => sleep(wait).await,
            1 => yield_now().await,
            2 => drop(ramus::spawn_blocking(|| ()).await),
            3 => pending().await,
            4 => drop(timeout(wait, inner(&mut shape)).await),
            5 => shield(wait, inner(&mut shape)).await,
            6 => drop(run_until_cancelled(inner(&mut shape)).await),
            7 => {
                let (one, other) = (inner(&mut shape), inner(&mut shape));
                // A foreign drop in the middle.
                drop(futures_util::future::select(one, other).await);
            }
            8 => {
                let task = ramus::spawn(inner(&mut shape));
                sleep(wait).await;
                task.cancel("no longer wanted");
                let _ = task.await;
            }
            _ => {
                let tasks: Vec<_> = (0..=shape.below(4)).map(|_| inner(&mut shape)).collect();
                let (cancels, panics) = (shape.below(2) == 0, shape.below(6) == 0);
                let opened = scope(|s: Scope| async move {
                    for task in tasks {
                        let _task = s.spawn(task);
                    }
                    if cancels {
                        sleep(wait).await;
                        s.stop(SECOND);
                    }
                    if panics {
                        let _task = s.spawn(async { std::panic::resume_unwind(Box::new("planted")) });
                    }
                    Ok(())
                });
                drop(opened.await);
            }
        }
        drop(alive);
    })
}

fn run(seed: u64) -> Vec<Step> {
    let count = Arc::new(AtomicUsize::new(0));
    let mut simulation = Simulation::builder().seed(seed).workers(1 + seed as usize % 4).trace(true).build();
    simulation.block_on(async {
        let program = node(Shape(seed), 4, Arc::clone(&count));
        // Some shapes would wait for ever.
        let _ = ramus::spawn(timeout(SECOND * 20, program)).await;
    });
    let trace = simulation.trace().to_vec();
    // What was spawned into the root, or adopted by it, is still there.
    let report = simulation.shutdown(Duration::ZERO);
    assert!(report.is_clean(), "seed {seed}: {report}");
    assert_eq!(count.load(Ordering::Relaxed), 0, "seed {seed}");
    trace
}

#[test]
fn scopes_of_every_shape_drain_in_many_orders() {
    let steps: usize = (0..1500).map(|seed| run(seed).len()).sum();
    assert!(steps > 15_000, "the shapes are trivial: {steps}");
}

#[test]
fn scopes_of_every_shape_are_replayed() {
    for seed in 0..300 {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
}
