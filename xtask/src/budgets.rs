//! `cargo xtask budgets`: what single operations cost, in counts that do not depend on the machine, held against
//! `benches/budgets.toml`.
//!
//! Synchronisation and allocations are counted in a build with `--cfg ramus_count`, instructions and locked instructions by
//! callgrind in a release build, system calls by strace under a load on the example server. `docs/testing.md` says how to
//! read a failure.

mod callgrind;
mod objects;
mod planted;
mod server;
mod table;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use crate::Outcome;
use crate::cargo::{self, Cargo, LOOM_PROFILE};
use table::{Kind, Measured, Table};

/// The flag that has the crates' `sync.rs` count.
const COUNT_FLAGS: &str = "--cfg ramus_count";
/// Where it says that missing tools are a failure.
const REQUIRE: &str = "RAMUS_REQUIRE_TOOLS";

/// What to do.
#[derive(Debug, PartialEq)]
pub(crate) enum Task {
    /// Measure and compare.
    Check,
    /// Measure, and write the budgets that can be lowered.
    Lower,
    /// Say where one operation spends what it costs.
    Explain(String),
}

/// Reads the arguments after `budgets`.
pub(crate) fn task(args: &[&str]) -> Result<Task, String> {
    match args {
        [] => Ok(Task::Check),
        ["--lower"] => Ok(Task::Lower),
        ["--explain", operation] => Ok(Task::Explain((*operation).into())),
        ["--explain"] => Err("--explain needs the name of an operation of benches/budgets.toml".into()),
        [other, ..] => Err(format!("unknown argument `{other}` for `budgets` (see `cargo xtask help`)")),
    }
}

/// The step of `cargo xtask test`: no budget is exceeded, and an atomic operation too many would be noticed.
pub(crate) fn step() -> Outcome {
    run(&Task::Check)?;
    planted::run()
}

pub(crate) fn run(task: &Task) -> Outcome {
    let path = cargo::root().join(table::FILE);
    if let Task::Explain(operation) = task {
        return explain(operation);
    }
    let mut budgets = Table::read(&path)?;
    let compiler = compiler()?;
    let counting = counting(cargo::root(), &cargo::target().join("count"))?;
    // The other build takes as long as the counting, which needs one processor.
    let (measured, binary) = thread::scope(|scope| {
        let measured = scope.spawn(|| measure(&counting));
        let binary = release();
        (measured.join().unwrap_or_else(|_| Err("a thread panicked".into())), binary)
    });
    let (mut measured, binary) = (measured?, binary?);
    instructions(&mut measured, &binary)?;
    if tool("strace", "the budget of system calls")? {
        measured.insert("request".into(), (Kind::Server, server::measure()?));
    }

    if *task == Task::Lower {
        budgets.lower(&measured, &compiler);
        budgets.write(&path)?;
    }
    let verdict = budgets.compare(&measured, &compiler);
    print!("{}", verdict.report);
    if verdict.lowerable > 0 {
        println!("{} budgets can be lowered: `cargo xtask budgets --lower`", verdict.lowerable);
    }
    for exceeded in &verdict.exceeded {
        println!("OVER BUDGET: {exceeded}");
    }
    match verdict.exceeded.len() {
        0 => Ok(()),
        count => Err(format!(
            "{count} over budget; `cargo xtask budgets --explain OPERATION` says where it is spent, docs/testing.md how to read it"
        )),
    }
}

/// What synchronisation and allocations cost in each scenario.
fn measure(binary: &Path) -> Result<Measured, String> {
    let kinds: BTreeMap<String, Kind> = output(binary, &["list"])?
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(name, kind)| Some((name.to_owned(), Kind::named(kind)?)))
        .collect();
    let mut measured: Measured = BTreeMap::new();
    for (name, metric, count) in counts(&output(binary, &["count"])?)? {
        let kind = *kinds.get(&name).ok_or_else(|| format!("`{name}` was counted and is not listed"))?;
        measured.entry(name).or_insert_with(|| (kind, BTreeMap::new())).1.insert(metric, count);
    }
    Ok(measured)
}

/// Builds the counting binary of the workspace at `root`.
fn counting(root: &Path, target: &Path) -> Result<PathBuf, String> {
    Cargo::new("build -p budgets --profile").arg(LOOM_PROFILE).flags(COUNT_FLAGS, target).at(root).run()?;
    Ok(target.join(LOOM_PROFILE).join("budgets"))
}

/// The lines `NAME METRIC COUNT` of what the counting binary prints.
fn counts(printed: &str) -> Result<Vec<(String, String, f64)>, String> {
    printed
        .lines()
        .map(|line| {
            let mut words = line.split(' ');
            let row = (words.next(), words.next(), words.next().and_then(|count| count.parse().ok()));
            match row {
                (Some(name), Some(metric), Some(count)) => Ok((name.to_owned(), metric.to_owned(), count)),
                _ => Err(format!("`{line}` is no count")),
            }
        })
        .collect()
}

/// Adds what callgrind counts to each scenario of one worker.
fn instructions(measured: &mut Measured, binary: &Path) -> Outcome {
    if !tool("valgrind", "the budgets of instructions and of locked instructions")? {
        return Ok(());
    }
    let one_worker = [Kind::Alone, Kind::Timed];
    let mut jobs: Vec<_> = measured.iter_mut().filter(|(_, (kind, _))| one_worker.contains(kind)).collect();
    // A run uses one processor, so two at a time.
    let half = jobs.len() / 2;
    let second = jobs.split_off(half);
    thread::scope(|scope| {
        let halves = [jobs, second].map(|jobs| {
            scope.spawn(move || {
                for (name, (_, costs)) in jobs {
                    let profile = callgrind::profile(binary, name)?;
                    costs.insert("instructions".into(), profile.instructions());
                    if let Some(locked) = profile.locked()? {
                        costs.insert("locked".into(), locked);
                    }
                }
                Ok(())
            })
        });
        halves.into_iter().try_for_each(|half| half.join().unwrap_or_else(|_| Err("a thread panicked".into())))
    })
}

/// Builds the binary for callgrind, and the server: together, so that they share what they depend on.
fn release() -> Result<PathBuf, String> {
    Cargo::new("build --release -p budgets -p server").run()?;
    Ok(cargo::target().join("release/budgets"))
}

fn explain(operation: &str) -> Outcome {
    let binary = counting(cargo::root(), &cargo::target().join("count"))?;
    println!("\nread-modify-writes of the crates' own atomics and locks, per operation:");
    print!("{}", output(&binary, &["sites", operation])?);
    if tool("valgrind", "where the instructions go")? {
        print!("{}", callgrind::profile(&release()?, operation)?.explain()?);
    }
    Ok(())
}

/// Whether a tool is there. Where tools are required its absence is an error.
fn tool(name: &str, what: &str) -> Result<bool, String> {
    found(name, what, std::env::var_os(REQUIRE).is_some_and(|value| !value.is_empty()))
}

fn found(name: &str, what: &str, is_required: bool) -> Result<bool, String> {
    let called = Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if called.is_ok_and(|status| status.success()) {
        return Ok(true);
    }
    let said = format!("{name} does not run (on Debian: `apt-get install {name}`)");
    if is_required {
        return Err(format!("{said}, and {REQUIRE} says that it must"));
    }
    println!("SKIPPED: {what}: {said}");
    Ok(false)
}

/// What `rustc --version` prints.
fn compiler() -> Result<String, String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("--version").current_dir(cargo::root()).output();
    let output = output.map_err(|error| format!("rustc does not run: {error}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Runs `binary` and returns what it prints.
fn output(binary: &Path, args: &[&str]) -> Result<String, String> {
    let line = format!("{} {}", binary.display(), args.join(" "));
    println!("$ {line}");
    let output = Command::new(binary).args(args).stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| format!("`{line}` did not start: {error}"))?;
    if !output.status.success() {
        return Err(format!("`{line}` failed ({})", output.status));
    }
    String::from_utf8(output.stdout).map_err(|error| format!("`{line}` wrote {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_read() {
        assert_eq!(task(&[]), Ok(Task::Check));
        assert_eq!(task(&["--explain", "spawn"]), Ok(Task::Explain("spawn".into())));
        for (args, named) in [(&["--raise"][..], "`--raise`"), (&["--explain"], "--explain")] {
            let message = task(args).expect_err(named);
            assert!(message.contains(named), "{message}");
        }
    }

    #[test]
    fn a_missing_tool_is_skipped_unless_it_is_required() {
        assert_eq!(found("cargo", "nothing", true), Ok(true));
        assert_eq!(found("no-such-tool", "nothing", false), Ok(false));
        let message = found("no-such-tool", "nothing", true).expect_err("it is required");
        assert!(message.contains("apt-get install no-such-tool") && message.contains(REQUIRE), "{message}");
    }

    #[test]
    fn counts_are_read() {
        let read = counts("spawn rmw 1.250\nspawn owned 0.000\n").unwrap();
        assert_eq!(read[0], ("spawn".into(), "rmw".into(), 1.25));
        counts("spawn rmw\n").expect_err("a line without a count");
    }
}
