//! The repository's own commands, run as `cargo xtask COMMAND`; `cargo xtask help` lists them.
//!
//! `test` is what a change has to pass. Its steps stand in [`steps`]; everything that a step prints goes straight to the
//! terminal, and the first failure ends the run with a summary.

#![forbid(unsafe_code)]

mod args;
mod asan;
mod bench_server;
mod budgets;
mod cargo;
mod compare;
mod contract;
mod copy;
mod faults;
mod load;
mod loom;
mod mutants;
mod semantic;
mod steps;

use std::process::ExitCode;

use args::Command;

/// A failed step, said in one line.
type Outcome = Result<(), String>;

fn main() -> ExitCode {
    let command = match args::parse(std::env::args().skip(1)) {
        Ok(command) => command,
        Err(message) => {
            eprintln!("xtask: {message}");
            return ExitCode::from(2);
        }
    };
    let outcome = match command {
        Command::Help => {
            print!("{}", args::HELP);
            Ok(())
        }
        Command::List => {
            steps::list();
            Ok(())
        }
        Command::Test { only } => steps::run(&only),
        Command::Asan { filter } => asan::run(filter.as_deref()),
        Command::Budgets(task) => budgets::run(&task),
        Command::Contract => contract::run(false),
        Command::Loom(bounds) => loom::run(&bounds),
        Command::Compare(options) => compare::run(&options),
        Command::BenchServer(options) => bench_server::run(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}
