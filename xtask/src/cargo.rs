//! How cargo is called: from the root of the workspace, with a target folder per kind of build.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use crate::Outcome;

/// The flag that turns the crates' `sync.rs` to loom.
pub(crate) const LOOM_FLAGS: &str = "--cfg ramus_loom";
/// Optimised, and cheap to build.
pub(crate) const LOOM_PROFILE: &str = "loom";

/// The root of the workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the workspace")
}

/// The target folder of ordinary builds.
pub(crate) fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}

/// A call of cargo, in the workspace that this binary was built from unless [`Cargo::at`] names another.
pub(crate) struct Cargo {
    command: Command,
}

impl Cargo {
    /// `cargo` with the arguments in `line`, which are separated by spaces.
    pub(crate) fn new(line: &str) -> Cargo {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.args(line.split_whitespace()).current_dir(root());
        Cargo { command }
    }

    pub(crate) fn arg(mut self, arg: &str) -> Cargo {
        self.command.arg(arg);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Cargo {
        self.command.env(name, value);
        self
    }

    /// Builds with these flags in a target folder of their own, so that ordinary builds stay fresh.
    pub(crate) fn flags(mut self, flags: &str, target: &Path) -> Cargo {
        self.command.env_remove("CARGO_ENCODED_RUSTFLAGS");
        self.command.env("RUSTFLAGS", flags).env("CARGO_TARGET_DIR", target);
        self
    }

    pub(crate) fn at(mut self, dir: &Path) -> Cargo {
        self.command.current_dir(dir);
        self
    }

    /// Runs it with the terminal as its output.
    pub(crate) fn run(mut self) -> Outcome {
        let line = self.line();
        println!("$ {line}");
        let status = self.command.status().map_err(|error| format!("`{line}` did not start: {error}"))?;
        check(&line, status)
    }

    /// Runs it and returns what it wrote to its standard output.
    pub(crate) fn output(mut self) -> Result<String, String> {
        let line = self.line();
        println!("$ {line}");
        self.command.stderr(std::process::Stdio::inherit());
        let output = self.command.output().map_err(|error| format!("`{line}` did not start: {error}"))?;
        check(&line, output.status)?;
        String::from_utf8(output.stdout).map_err(|error| format!("`{line}` wrote {error}"))
    }

    fn line(&self) -> String {
        let mut line = String::from("cargo");
        for arg in self.command.get_args() {
            line.push(' ');
            line.push_str(&arg.to_string_lossy());
        }
        line
    }
}

fn check(line: &str, status: ExitStatus) -> Outcome {
    if status.success() { Ok(()) } else { Err(format!("`{line}` failed ({status})")) }
}
