//! The runs of one test: once for each seed.

use std::future::Future;

use super::draw::seed_from_environment;
use super::simulation::{Simulation, say_seed};

/// What a test may return.
pub trait TestOutput {
    /// True if the test has failed.
    fn is_failure(&self) -> bool;
}

impl TestOutput for () {
    fn is_failure(&self) -> bool {
        false
    }
}

impl<T, E> TestOutput for Result<T, E> {
    fn is_failure(&self) -> bool {
        self.is_err()
    }
}

/// What `#[ramus::test(start_paused)]` becomes: `body` is run in a simulation of `workers` workers with each of `seeds`, or
/// with that of the environment variable `RAMUS_SEED` alone, until one run fails.
///
/// # Panics
///
/// If the body does, if the simulation is stuck, and if there is no seed.
#[track_caller]
pub fn run_test<F>(seeds: impl IntoIterator<Item = u64>, workers: usize, body: impl Fn() -> F) -> F::Output
where
    F: Future,
    F::Output: TestOutput,
{
    let seeds: Vec<u64> = match seed_from_environment() {
        Some(seed) => vec![seed],
        None => seeds.into_iter().collect(),
    };
    let mut seeds = seeds.into_iter().peekable();
    loop {
        let Some(seed) = seeds.next() else { panic!("there is no seed to run this test with") };
        let output = Simulation::builder().seed(seed).workers(workers).build().block_on(body());
        if output.is_failure() {
            say_seed(seed);
            return output;
        }
        if seeds.peek().is_none() {
            return output;
        }
    }
}
