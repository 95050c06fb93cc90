//! Plants all faults in a copy of the tree, builds it once, and requires each model to fail there.
//!
//! A model counts as having found its fault when it ends by a panic, its own or loom's. Passing, running into the time
//! limit, a crash without a panic, and failing only the floor on explored executions do not count.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::cargo::{self, Cargo, LOOM_FLAGS, LOOM_PROFILE};
use crate::{copy, faults, loom};

/// How long a model may take to find its fault.
const LIMIT: Duration = Duration::from_secs(120);
/// What the harness says when a model explored too little.
const FLOOR: &str = "the model does not explore what it claims";

pub(crate) fn run() -> Outcome {
    let table = read(&cargo::root().join("loom-tests/faults.toml"))?;
    let faults = faults::read(&table, &loom::models()?)?;
    let work = cargo::target().join("mutants");
    let tree = work.join("tree");
    let failed = |error: std::io::Error| format!("{}: {error}", work.display());

    if tree.exists() {
        fs::remove_dir_all(&tree).map_err(failed)?;
    }
    copy::tree(&copy::files(cargo::root()).map_err(failed)?, cargo::root(), &tree).map_err(failed)?;
    for (file, faults) in faults::by_file(&faults) {
        let planted = faults::plant(&read(&tree.join(file))?, &faults)?;
        fs::write(tree.join(file), planted).map_err(failed)?;
    }

    // The dependencies are the same: take them from the build of the models, where there is one.
    let target = work.join("target");
    if !target.exists() && loom::target().exists() {
        copy::build(&loom::target(), &target).map_err(failed)?;
    }
    let built = build(&tree, &target)?;

    let mut missed = 0;
    for fault in &faults {
        let began = Instant::now();
        let verdict = match built.iter().find(|(name, _)| *name == fault.model) {
            Some((name, binary)) => judge(binary, &work.join(format!("{name}.log")))?,
            None => Err("no test binary was built".into()),
        };
        let took = began.elapsed().as_secs_f64();
        match verdict {
            Ok(()) => println!("fault {}: found ({took:.1} s)", fault.model),
            Err(why) => {
                missed += 1;
                println!("fault {}: NOT FOUND ({why}; {took:.1} s)", fault.model);
            }
        }
    }
    println!("{} passed, {missed} failed", faults.len() - missed);
    if missed == 0 {
        Ok(())
    } else {
        Err(format!("{missed} planted faults were not found; output in {}", work.display()))
    }
}

pub(crate) fn read(file: &Path) -> Result<String, String> {
    fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))
}

/// Builds the models of the workspace at `tree`: the name and the binary of each.
fn build(tree: &Path, target: &Path) -> Result<Vec<(String, PathBuf)>, String> {
    let messages = Cargo::new("test -p loom-tests --tests --no-run --message-format=json-render-diagnostics --profile")
        .arg(LOOM_PROFILE)
        .flags(LOOM_FLAGS, target)
        .at(tree)
        .output()?;
    Ok(messages.lines().filter_map(binary).collect())
}

/// The test binary that one line of cargo's messages names, if it names one.
pub(crate) fn binary(message: &str) -> Option<(String, PathBuf)> {
    let message: serde_json::Value = serde_json::from_str(message).ok()?;
    let name = message.pointer("/target/name")?.as_str()?;
    let binary = message.get("executable")?.as_str()?;
    Some((name.into(), binary.into()))
}

/// Runs a model to its end or to the limit. The inner error says why the fault does not count as found.
pub(crate) fn judge(binary: &Path, log: &Path) -> Result<Result<(), String>, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", binary.display());
    let output = File::create(log).map_err(failed)?;
    let mut model = Command::new(binary)
        // A panic inside a panic aborts the binary: what was captured would be lost.
        .arg("--nocapture")
        // That it fails is what counts: random programs are not made smaller.
        .env("PROPTEST_MAX_SHRINK_ITERS", "0")
        .stdin(Stdio::null())
        .stdout(output.try_clone().map_err(failed)?)
        .stderr(output)
        .spawn()
        .map_err(failed)?;
    let deadline = Instant::now() + LIMIT;
    let status = loop {
        if let Some(status) = model.try_wait().map_err(failed)? {
            break status;
        }
        if Instant::now() >= deadline {
            model.kill().map_err(failed)?;
            model.wait().map_err(failed)?;
            return Ok(Err(format!("no verdict in {} s", LIMIT.as_secs())));
        }
        thread::sleep(Duration::from_millis(20));
    };
    Ok(verdict(status, &String::from_utf8_lossy(&fs::read(log).map_err(failed)?)))
}

/// Whether a model that ended like this found its fault.
fn verdict(status: ExitStatus, output: &str) -> Result<(), String> {
    /// What an abort ends with: a panic while another one unwinds.
    const SIGABRT: i32 = 6;
    if status.success() {
        return Err("the model passes".into());
    }
    let panicked = output.lines().filter(|line| line.contains("panicked at")).count();
    let floors = output.lines().filter(|line| line.contains(FLOOR)).count();
    if (status.code() != Some(101) && status.signal() != Some(SIGABRT)) || panicked == 0 {
        return Err(format!("it crashed without a panic, {status}"));
    }
    if panicked <= floors {
        return Err("only the number of executions fell below the floor".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_panic_counts() {
        let exit = |code: i32| ExitStatus::from_raw(code << 8);
        let panic = "thread 'main' panicked at model.rs:1:1:\nlost a wake\n";
        let floor = format!("thread 'main' panicked at lib.rs:1:1:\nm: 1 executions, the floor is 9: {FLOOR}\n");
        assert_eq!(verdict(exit(101), panic), Ok(()));
        assert_eq!(verdict(ExitStatus::from_raw(6), panic), Ok(()));
        assert_eq!(verdict(exit(101), &[panic, floor.as_str()].concat()), Ok(()));
        verdict(exit(0), panic).expect_err("a success");
        verdict(exit(101), &floor).expect_err("the floor alone");
        verdict(exit(1), panic).expect_err("another exit code");
        verdict(ExitStatus::from_raw(11), "").expect_err("a crash");
    }

    #[test]
    fn test_binaries_are_read_from_the_messages() {
        let named =
            r#"{"reason":"compiler-artifact","target":{"name":"parker","kind":["test"]},"executable":"/t/parker-1"}"#;
        assert_eq!(binary(named), Some(("parker".into(), "/t/parker-1".into())));
        assert_eq!(binary(&named.replace("\"/t/parker-1\"", "null")), None);
        assert_eq!(binary(r#"{"reason":"build-finished","success":true}"#), None);
    }
}
