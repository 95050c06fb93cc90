//! Where the figures come from.

use std::fs;
use std::process::Command;
use std::thread;

use serde::{Deserialize, Serialize};

use crate::cargo;

/// The machine, the compiler, and the versions of the peers.
#[derive(Debug, Serialize)]
pub(super) struct Machine {
    pub(super) processor: String,
    pub(super) cores: usize,
    pub(super) kernel: String,
    pub(super) compiler: String,
    pub(super) commit: String,
    pub(super) versions: Vec<String>,
}

/// The crates whose versions matter.
const PEERS: [&str; 7] = ["tokio", "tokio-util", "async-executor", "async-io", "compio", "hyper", "monoio"];

#[derive(Deserialize)]
struct Lock {
    package: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
}

impl Machine {
    pub(super) fn here() -> Machine {
        let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let processor = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Machine {
            processor: processor.map_or_else(|| "an unknown processor".into(), |(_, name)| name.trim().into()),
            cores: thread::available_parallelism().map_or(1, usize::from),
            kernel: format!("{} {}", std::env::consts::OS, kernel.trim()).trim().into(),
            compiler: said("rustc", &["--version"]),
            commit: said("git", &["describe", "--always", "--dirty", "--exclude=*"]),
            versions: versions(&fs::read_to_string(cargo::root().join("Cargo.lock")).unwrap_or_default()),
        }
    }

    #[cfg(test)]
    pub(super) fn example() -> Machine {
        Machine {
            processor: "A <fast> processor".into(),
            cores: 2,
            kernel: "linux 6.18".into(),
            compiler: "rustc 1.95.0".into(),
            commit: "0123abc".into(),
            versions: vec!["tokio 1.54.1".into()],
        }
    }
}

/// What a program says in one line; that it is unknown if there is no such program.
fn said(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).current_dir(cargo::root()).output();
    match output {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).trim().into(),
        _ => "unknown".into(),
    }
}

fn versions(lock: &str) -> Vec<String> {
    let Ok(lock) = toml::from_str::<Lock>(lock) else { return Vec::new() };
    let peers = lock.package.into_iter().filter(|package| PEERS.contains(&package.name.as_str()));
    peers.map(|package| format!("{} {}", package.name, package.version)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_those_of_the_lock_file() {
        let lock =
            "[[package]]\nname = \"tokio\"\nversion = \"1.2.3\"\n[[package]]\nname = \"rand\"\nversion = \"1.0.0\"\n";
        assert_eq!(versions(lock), ["tokio 1.2.3"]);
        assert_eq!(versions("no lock file"), Vec::<String>::new());
    }

    #[test]
    fn a_program_that_is_missing_leaves_a_gap() {
        assert_eq!(said("/nowhere/git", &[]), "unknown");
        assert!(said("rustc", &["--version"]).starts_with("rustc "));
    }
}
