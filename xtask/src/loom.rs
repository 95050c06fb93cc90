//! The loom models of `loom-tests/tests`, one file per protocol.

use std::path::PathBuf;

use crate::Outcome;
use crate::cargo::{self, Cargo, LOOM_FLAGS, LOOM_PROFILE};

/// What to explore: every model with two preemptions unless said otherwise.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Bounds {
    pub(crate) model: Option<String>,
    pub(crate) preemptions: Option<usize>,
}

/// The target folder of loom builds.
pub(crate) fn target() -> PathBuf {
    cargo::target().join("loom")
}

/// The names of the models, sorted.
pub(crate) fn models() -> Result<Vec<String>, String> {
    let dir = cargo::root().join("loom-tests/tests");
    let unreadable = |error: std::io::Error| format!("{}: {error}", dir.display());
    let mut models = Vec::new();
    for entry in std::fs::read_dir(&dir).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            models.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
        }
    }
    models.sort();
    Ok(models)
}

pub(crate) fn run(bounds: &Bounds) -> Outcome {
    let mut cargo = Cargo::new("test -p loom-tests --profile").arg(LOOM_PROFILE).flags(LOOM_FLAGS, &target());
    cargo = match &bounds.model {
        Some(model) if !models()?.contains(model) => {
            return Err(format!("no model `{model}`; there are: {}", models()?.join(", ")));
        }
        Some(model) => cargo.arg("--test").arg(model),
        None => cargo.arg("--tests"),
    };
    if let Some(preemptions) = bounds.preemptions {
        cargo = cargo.env("LOOM_MAX_PREEMPTIONS", &preemptions.to_string());
    }
    // The models print how many executions they explored.
    cargo.arg("--").arg("--nocapture").run()
}
