//! Random programs of scopes on 1, 2, 4 and 8 workers, each held against the reference semantics: what was seen must be
//! among what the rules allow when every statement of every task may come before or after any other, and when clocks
//! strike whenever they like.
//!
//! `RAMUS_PROGRAMS` sets how many programs run on each number of workers, `RAMUS_SEED` the first one, `RAMUS_LEAKS` how many scopes a
//! program may leak (one if it is not set).
#![allow(missing_docs)]

mod common;
#[path = "../../scope/tests/reference/mod.rs"]
mod reference;

use std::future::Future;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use ramus::{Handle, JoinHandle, Runtime};
use reference::Outcome;
use reference::program::{Program, programs};
use reference::rules::Run;
use reference::run::{Rig, run};
use reference::search::{Verdict, search};

impl Rig for Handle {
    fn sleep(time: u16) -> impl Future<Output = ()> + Send + 'static {
        ramus::sleep(Self::time(time))
    }

    fn pause() -> impl Future<Output = ()> + Send {
        ramus::yield_now()
    }

    async fn foreign() {
        let mut polled = false;
        std::future::poll_fn(|cx| {
            if std::mem::replace(&mut polled, true) {
                return std::task::Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            std::task::Poll::Pending
        })
        .await
    }

    fn cancel(handle: &JoinHandle<()>) {
        handle.cancel("the program");
    }

    /// No run is like another: nothing is said of the time.
    fn now(&self) -> u64 {
        0
    }

    fn instant(&self, time: u16) -> Instant {
        Instant::now() + Self::time(time)
    }

    fn patience() -> impl Future<Output = ()> + Send {
        ramus::sleep(PATIENCE)
    }

    fn time(time: u16) -> Duration {
        Duration::from_millis(u64::from(time))
    }
}

/// How long a program with a leaked scope may take before it is cancelled. Too short changes nothing: the rules allow it.
const PATIENCE: Duration = Duration::from_millis(300);
/// How many orders of one program are looked at.
const LIMIT: usize = 3_000;
/// Programs that run at a time.
const BATCH: usize = 200;

fn judge(program: &Program, outcome: &Outcome, complaints: &[String]) -> Result<bool, TestCaseError> {
    prop_assert!(complaints.is_empty(), "{complaints:#?}\nseen: {outcome:?}");
    match search(&Run { program, outcome, parallel: true, fine: false }, LIMIT) {
        Verdict::Allowed => Ok(true),
        Verdict::Unknown => Ok(false),
        Verdict::Forbidden(said) => Err(TestCaseError::fail(format!(
            "the rules do not allow it; they say, for one: {said:?}\nseen: {outcome:?}"
        ))),
    }
}

/// Runs them at the same time.
fn run_all(runtime: &Runtime, programs: &[Program]) -> Vec<(Outcome, Vec<String>)> {
    let runs: Vec<_> = programs.iter().map(|program| runtime.spawn(run(runtime.handle(), program.clone()))).collect();
    runtime.block_on(async {
        let mut outcomes = Vec::new();
        for run in runs {
            outcomes.push(run.await.unwrap());
        }
        outcomes
    })
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |number| number.parse().expect(name))
}

fn programs_on(workers: usize) {
    // Overruns and unseen errors are part of the programs.
    ramus::set_report_hook(|_| {});
    let (cases, seed) = (number("RAMUS_PROGRAMS", 400) as usize, number("RAMUS_SEED", 1));
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config { failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let runtime = common::runtime(workers);
    let began = Instant::now();
    let (mut ran, mut unknown) = (0, 0);
    while ran < cases {
        let _watchdog = common::watchdog();
        let count = BATCH.min(cases - ran);
        let trees: Vec<_> = (0..count).map(|_| programs(5, 4).new_tree(&mut runner).unwrap()).collect();
        let drawn: Vec<_> = trees.iter().map(ValueTree::current).collect();
        for ((tree, program), (outcome, complaints)) in trees.into_iter().zip(&drawn).zip(run_all(&runtime, &drawn)) {
            match judge(program, &outcome, &complaints) {
                Ok(decided) => unknown += usize::from(!decided),
                Err(failure) => {
                    // A smaller program that fails, within some attempts, is easier to read.
                    let smaller = runner.run_one(tree, |program| {
                        let again = vec![program; 40];
                        run_all(&runtime, &again)
                            .iter()
                            .try_for_each(|(outcome, complaints)| judge(&again[0], outcome, complaints).map(drop))
                    });
                    panic!("{workers} workers, seed {seed}: {failure}\n{program:?}\nsmaller: {smaller:?}");
                }
            }
        }
        ran += count;
    }
    println!("{workers} workers: {ran} programs, seed {seed}, {unknown} not decided, {:.1?}", began.elapsed());
    assert!(unknown * 100 <= cases, "{unknown} of {cases} programs were not decided");
}

#[test]
fn programs_on_one_worker() {
    programs_on(1);
}

#[test]
fn programs_on_two_workers() {
    programs_on(2);
}

#[test]
fn programs_on_four_workers() {
    programs_on(4);
}

#[test]
fn programs_on_eight_workers() {
    programs_on(8);
}
