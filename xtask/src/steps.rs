//! The steps of `cargo xtask test`.

use std::time::{Duration, Instant};

use crate::Outcome;
use crate::cargo::Cargo;
use crate::{budgets, contract as page, loom, mutants, semantic};

/// The crates that users depend on; each must also build with its default features and with none.
const PUBLISHED: [&str; 4] = ["ramus-timer", "ramus-scope", "ramus-macros", "ramus"];

/// One check.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    run: fn() -> Outcome,
}

impl PartialEq for Step {
    fn eq(&self, other: &Step) -> bool {
        self.name == other.name
    }
}

/// All of them, in the order in which they run: cheap ones first.
pub(crate) const STEPS: [Step; 11] = [
    Step { name: "fmt", about: "formatting", run: fmt },
    Step { name: "contract", about: "each rule of docs/contract.md has its tests", run: contract },
    Step { name: "clippy", about: "clippy, warnings are errors", run: clippy },
    Step { name: "features", about: "published crates with default and with no features", run: features },
    Step { name: "unit", about: "unit and integration tests", run: unit },
    Step { name: "doctest", about: "documentation examples", run: doctest },
    Step { name: "doc", about: "documentation builds without warnings", run: doc },
    Step { name: "budgets", about: "no operation costs more than its budget", run: budgets::step },
    Step {
        name: "semantic-faults",
        about: "planted faults in the rules: the random programs find each",
        run: semantic::run,
    },
    Step { name: "loom", about: "loom models", run: models },
    Step { name: "faults", about: "planted faults: each model finds its own", run: mutants::run },
];

pub(crate) fn list() {
    for step in &STEPS {
        println!("{:<15} {}", step.name, step.about);
    }
}

/// Runs `steps` until one fails, then says what ran.
pub(crate) fn run(steps: &[&Step]) -> Outcome {
    let start = Instant::now();
    let mut ran: Vec<(&str, Duration, &str)> = Vec::new();
    let mut outcome = Ok(());
    for step in steps {
        println!("\n=== {}: {}", step.name, step.about);
        let began = Instant::now();
        outcome = (step.run)();
        let verdict = if outcome.is_ok() { "ok" } else { "FAILED" };
        println!("=== {}: {verdict} in {:.1} s", step.name, began.elapsed().as_secs_f64());
        ran.push((step.name, began.elapsed(), verdict));
        if outcome.is_err() {
            break;
        }
    }
    println!("\n=== summary");
    for (name, took, verdict) in &ran {
        println!("{name:<15} {verdict:<7} {:>7.1} s", took.as_secs_f64());
    }
    for step in &steps[ran.len()..] {
        println!("{:<15} not run", step.name);
    }
    let failed = usize::from(outcome.is_err());
    let passed = ran.len() - failed;
    println!("steps: {passed} passed, {failed} failed, {:.1} s", start.elapsed().as_secs_f64());
    outcome
}

fn fmt() -> Outcome {
    Cargo::new("fmt --all --check").run()
}

fn contract() -> Outcome {
    page::run(true)
}

fn clippy() -> Outcome {
    Cargo::new("clippy --workspace --all-targets --all-features -- -D warnings").run()
}

fn features() -> Outcome {
    for package in PUBLISHED {
        Cargo::new("check -p").arg(package).run()?;
        Cargo::new("check --no-default-features -p").arg(package).run()?;
    }
    Ok(())
}

fn unit() -> Outcome {
    Cargo::new("test --workspace --all-features --lib --bins --tests --examples").run()
}

fn doctest() -> Outcome {
    Cargo::new("test --workspace --all-features --doc").run()
}

fn doc() -> Outcome {
    Cargo::new("doc --workspace --all-features --no-deps").env("RUSTDOCFLAGS", "-D warnings").run()
}

fn models() -> Outcome {
    loom::run(&loom::Bounds::default())
}
