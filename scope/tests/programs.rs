//! Random programs of scopes on the deterministic executor, each held against the reference semantics: what its scopes,
//! tasks and boundaries answered, when, and what was dropped when, must be among what the rules allow.
//!
//! `RAMUS_PROGRAMS` sets how many programs run, `RAMUS_SEED` the first one, `RAMUS_LEAKS` how many scopes a
//! program may leak (one if it is not set). A program that the rules do not allow is made
//! smaller and printed.
#![allow(missing_docs)]

mod common;
mod reference;

use std::future::Future;
use std::time::{Duration, Instant};

use common::{Foreign, Join, Sim};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use reference::program::{Program, programs};
use reference::rules::Run;
use reference::run::Rig;
use reference::search::{Verdict, search};

impl Rig for Sim {
    fn sleep(time: u16) -> impl Future<Output = ()> + Send + 'static {
        Sim::sleep(u64::from(time))
    }

    async fn pause() {
        let mut yielded = false;
        std::future::poll_fn(|cx| {
            use std::task::Poll;
            if ramus_scope::is_cut() {
                return Poll::Pending;
            }
            if std::mem::replace(&mut yielded, true) {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await
    }

    fn foreign() -> impl Future<Output = ()> + Send {
        Foreign::default()
    }

    fn cancel(handle: &Join<()>) {
        handle.cancel("the program");
    }

    fn now(&self) -> u64 {
        Sim::now(self)
    }

    fn instant(&self, time: u16) -> Instant {
        Sim::instant(self, u64::from(time))
    }

    fn patience() -> impl Future<Output = ()> + Send {
        Sim::sleep(reference::run::PATIENCE)
    }

    fn time(time: u16) -> Duration {
        Duration::from_millis(u64::from(time))
    }
}

/// How many orders of one program are looked at.
const LIMIT: usize = 20_000;

fn check(program: Program, seed: u64, unknown: &std::cell::Cell<u32>) -> Result<(), TestCaseError> {
    let sim = Sim::seeded(seed);
    let (outcome, complaints) = sim.run(reference::run::run(sim.clone(), program.clone()));
    prop_assert!(complaints.is_empty(), "{complaints:#?}\nseen: {outcome:?}");
    // A future that was forgotten keeps its alarms.
    prop_assert!(sim.alarms() == 0 || program.leaks(), "alarms are left");
    match search(&Run { program: &program, outcome: &outcome, parallel: false, fine: false }, LIMIT) {
        Verdict::Allowed => {}
        Verdict::Unknown => unknown.set(unknown.get() + 1),
        Verdict::Forbidden(said) => {
            prop_assert!(false, "the rules do not allow it; they say, for one: {said:?}\nseen: {outcome:?}");
        }
    }
    Ok(())
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |number| number.parse().expect(name))
}

#[test]
fn what_programs_do_is_what_the_rules_allow() {
    // Overruns and unseen errors are part of the programs.
    ramus_scope::set_report_hook(|_| {});
    let (cases, seed) = (number("RAMUS_PROGRAMS", 3_000), number("RAMUS_SEED", 1));
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config =
        Config { cases: u32::try_from(cases).expect("fewer programs"), failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let unknown = std::cell::Cell::new(0);
    let began = Instant::now();
    let result = runner.run(&(programs(40, 6), any::<u64>()), |(program, seed)| check(program, seed, &unknown));
    if let Err(failure) = result {
        panic!("seed {seed}: {failure}");
    }
    println!("{cases} programs, seed {seed}, {} not decided, {:.1} s", unknown.get(), began.elapsed().as_secs_f64());
    assert!(u64::from(unknown.get()) * 1_000 <= cases, "{} programs were not decided", unknown.get());
}
