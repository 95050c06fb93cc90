//! Plants the faults of `scope/tests/semantic-faults.toml`, one at a time, in a copy of the tree, and requires the random
//! programs to fail with each. They must pass in the copy as it is.

use std::fs;
use std::path::Path;
use std::time::Instant;

use serde::Deserialize;

use crate::Outcome;
use crate::cargo::{self, Cargo};
use crate::faults::Fault;
use crate::{copy, faults, mutants};

const TABLE: &str = "scope/tests/semantic-faults.toml";

/// A change to one file that breaks a rule.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    what: String,
    file: String,
    find: String,
    replace: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(rename = "fault")]
    rows: Vec<Row>,
}

pub(crate) fn run() -> Outcome {
    let Table { rows } =
        toml::from_str(&mutants::read(&cargo::root().join(TABLE))?).map_err(|error| format!("{TABLE}: {error}"))?;
    let work = cargo::target().join("semantic-faults");
    let tree = work.join("tree");
    let failed = |error: std::io::Error| format!("{}: {error}", work.display());

    if tree.exists() {
        fs::remove_dir_all(&tree).map_err(failed)?;
    }
    copy::tree(&copy::files(cargo::root()).map_err(failed)?, cargo::root(), &tree).map_err(failed)?;

    let log = work.join("programs.log");
    if find(&tree, &log)?.is_ok() {
        return Err(format!("the programs fail without a fault; output in {}", log.display()));
    }
    let mut missed = 0;
    for row in &rows {
        let began = Instant::now();
        let file = tree.join(&row.file);
        let whole = mutants::read(&file)?;
        let fault = Fault::new(&row.what, &row.file, &row.find, &row.replace);
        fs::write(&file, faults::plant(&whole, &[&fault])?).map_err(failed)?;
        let verdict = find(&tree, &log)?;
        fs::write(&file, whole).map_err(failed)?;
        let took = began.elapsed().as_secs_f64();
        match verdict {
            Ok(()) => println!("{}: found ({took:.1} s)", row.what),
            Err(why) => {
                missed += 1;
                println!("{}: NOT FOUND ({why}; {took:.1} s)", row.what);
            }
        }
    }
    println!("{} passed, {missed} failed", rows.len() - missed);
    if missed == 0 { Ok(()) } else { Err(format!("{missed} faults in the rules were not found")) }
}

/// Builds and runs the programs of the workspace at `tree`. The inner error says why a fault does not count as found.
fn find(tree: &Path, log: &Path) -> Result<Result<(), String>, String> {
    let messages =
        Cargo::new("test -q -p ramus-scope --test programs --no-run --message-format=json-render-diagnostics")
            // What a fault leaves unused is no news.
            .flags("-A warnings", &tree.with_file_name("target"))
            .at(tree)
            .output()?;
    let binary = messages.lines().filter_map(mutants::binary).find(|(name, _)| name == "programs");
    match binary {
        Some((_, binary)) => mutants::judge(&binary, log),
        None => Err("no test binary was built".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_can_be_planted() {
        let table = fs::read_to_string(cargo::root().join(TABLE)).unwrap();
        let Table { rows } = toml::from_str(&table).unwrap();
        assert!(rows.len() >= 10, "{} faults", rows.len());
        for row in rows {
            let text = fs::read_to_string(cargo::root().join(&row.file)).unwrap();
            let fault = Fault::new(&row.what, &row.file, &row.find, &row.replace);
            faults::plant(&text, &[&fault]).expect(&row.what);
        }
    }
}
