//! The command line, parsed without side effects.

use crate::bench_server;
use crate::budgets;
use crate::compare;
use crate::loom::Bounds;
use crate::steps::{STEPS, Step};

pub(crate) const HELP: &str = "\
The repository's own commands.

  cargo xtask test                      every check that a change has to pass
  cargo xtask test --only STEP[,STEP]   some of them
  cargo xtask test --list               the names of the steps
  cargo xtask asan [FILTER]             the tests under AddressSanitizer and LeakSanitizer
  cargo xtask budgets                   what single operations cost, against benches/budgets.toml
        [--lower]                       write the budgets that can be lowered
        [--explain OPERATION]           where one of them spends it
  cargo xtask contract                  write the tests of each rule into docs/contract.md
  cargo xtask loom                      the loom models
        [--model NAME]                  one of them (the stem of a file in loom-tests/tests)
        [--preemptions N]               explore up to N preemptions (2 unless given)
  cargo xtask compare                   every workload on ramus and on its peers; writes docs/bench and the README's table
        [--only W1,W7a]                 some of them (then nothing is written)
        [--rounds N]                    rounds (9; slow workloads run in a third of them)
        [--quick]                       short cases, 3 rounds, fewer peers: under 3 minutes
        [--no-write]                    only print
        [--list]                        the names of the workloads
  cargo xtask bench-server              the HTTP server beside the same routes on tokio, under wrk
        [--seconds N]                   length of one run (60)
        [--connections A,B]             numbers of connections (64,512)
        [--rounds N]                    runs of each server, in turns (3)
        [--workers N]                   worker threads of each (one per core)
        [--h2]                          HTTP/2, under h2load
  cargo xtask help                      this text
";

/// What was asked for.
#[derive(Debug, PartialEq)]
pub(crate) enum Command {
    Help,
    List,
    /// The steps to run, in the order of [`STEPS`].
    Test {
        only: Vec<&'static Step>,
    },
    Asan {
        filter: Option<String>,
    },
    Budgets(budgets::Task),
    Contract,
    Loom(Bounds),
    Compare(compare::Options),
    BenchServer(bench_server::Options),
}

/// Reads the command line; the error is one line for the user.
pub(crate) fn parse(args: impl Iterator<Item = String>) -> Result<Command, String> {
    let args: Vec<String> = args.collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        [] | ["help" | "--help" | "-h"] => Ok(Command::Help),
        ["test"] => Ok(Command::Test { only: STEPS.iter().collect() }),
        ["test", "--list"] => Ok(Command::List),
        ["test", "--only", names] => Ok(Command::Test { only: named_steps(names)? }),
        ["test", "--only"] => Err("--only needs the name of a step (see `cargo xtask test --list`)".into()),
        ["test", other, ..] => Err(unknown("test", other)),
        ["asan"] => Ok(Command::Asan { filter: None }),
        ["asan", filter] if !filter.starts_with('-') => Ok(Command::Asan { filter: Some((*filter).into()) }),
        ["asan", other, ..] => Err(unknown("asan", other)),
        ["budgets", rest @ ..] => Ok(Command::Budgets(budgets::task(rest)?)),
        ["contract"] => Ok(Command::Contract),
        ["contract", other, ..] => Err(unknown("contract", other)),
        ["loom", rest @ ..] => Ok(Command::Loom(bounds(rest)?)),
        ["compare", rest @ ..] => Ok(Command::Compare(compare::options(rest)?)),
        ["bench-server", rest @ ..] => Ok(Command::BenchServer(bench_server::options(rest)?)),
        [other, ..] => Err(format!("unknown command `{other}` (see `cargo xtask help`)")),
    }
}

fn named_steps(names: &str) -> Result<Vec<&'static Step>, String> {
    let wanted: Vec<&str> = names.split(',').collect();
    if let Some(stranger) = wanted.iter().find(|name| STEPS.iter().all(|step| step.name != **name)) {
        return Err(format!("unknown step `{stranger}` (see `cargo xtask test --list`)"));
    }
    Ok(STEPS.iter().filter(|step| wanted.contains(&step.name)).collect())
}

fn bounds(mut args: &[&str]) -> Result<Bounds, String> {
    let mut bounds = Bounds::default();
    loop {
        match args {
            [] => return Ok(bounds),
            ["--model", name, rest @ ..] => {
                bounds.model = Some((*name).into());
                args = rest;
            }
            ["--preemptions", number, rest @ ..] => {
                let parsed = number.parse().map_err(|_| format!("--preemptions needs a number, not `{number}`"))?;
                bounds.preemptions = Some(parsed);
                args = rest;
            }
            [option @ ("--model" | "--preemptions")] => {
                return Err(format!("{option} needs a value"));
            }
            [other, ..] => return Err(unknown("loom", other)),
        }
    }
}

fn unknown(command: &str, arg: &str) -> String {
    format!("unknown argument `{arg}` for `{command}` (see `cargo xtask help`)")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, String> {
        parse(line.split_whitespace().map(String::from))
    }

    #[test]
    fn steps_are_taken_in_their_own_order() {
        let Ok(Command::Test { only }) = parsed("test --only doc,fmt") else { panic!("not understood") };
        assert_eq!(only.iter().map(|step| step.name).collect::<Vec<_>>(), ["fmt", "doc"]);
    }

    #[test]
    fn bounds_of_a_model() {
        let bounds = Bounds { model: Some("parker".into()), preemptions: Some(3) };
        assert_eq!(parsed("loom --preemptions 3 --model parker"), Ok(Command::Loom(bounds)));
    }

    #[test]
    fn bad_lines_are_refused_by_name() {
        for (line, named) in [
            ("tset", "`tset`"),
            ("test --fast", "`--fast`"),
            ("test --only", "--only"),
            ("test --only fmt,lint", "`lint`"),
            ("test --only fmt extra", "`--only`"),
            ("asan --all", "`--all`"),
            ("asan one two", "`one`"),
            ("budgets --raise", "`--raise`"),
            ("contract all", "`all`"),
            ("loom --model", "--model"),
            ("loom --preemptions many", "`many`"),
            ("loom parker", "`parker`"),
            ("compare --slow", "`--slow`"),
        ] {
            let message = parsed(line).expect_err(line);
            assert!(message.contains(named) && !message.contains('\n'), "{line}: {message}");
        }
    }
}
