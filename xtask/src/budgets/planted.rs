//! Plants the faults of `benches/budgets/faults.toml` in a copy of the tree, all at once, and requires the budgets to be
//! exceeded there: a cost too many does not go unnoticed.

use std::fs;

use serde::Deserialize;

use super::table::{FILE, Table};
use super::{counting, counts, output};
use crate::Outcome;
use crate::cargo;
use crate::faults::{self, Fault};
use crate::{copy, mutants};

const TABLE: &str = "benches/budgets/faults.toml";

/// A change to one file that makes an operation dearer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    operation: String,
    metric: String,
    file: String,
    find: String,
    replace: String,
}

impl Row {
    fn fault(&self) -> Fault {
        Fault::new(&self.operation, &self.file, &self.find, &self.replace)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rows {
    #[serde(rename = "fault")]
    rows: Vec<Row>,
}

fn rows() -> Result<Vec<Row>, String> {
    let text = mutants::read(&cargo::root().join(TABLE))?;
    let Rows { rows } = toml::from_str(&text).map_err(|error| format!("{TABLE}: {error}"))?;
    Ok(rows)
}

pub(super) fn run() -> Outcome {
    let rows = rows()?;
    let faults: Vec<Fault> = rows.iter().map(Row::fault).collect();
    let work = cargo::target().join("dear");
    let tree = work.join("tree");
    let failed = |error: std::io::Error| format!("{}: {error}", work.display());

    if tree.exists() {
        fs::remove_dir_all(&tree).map_err(failed)?;
    }
    copy::tree(&copy::files(cargo::root()).map_err(failed)?, cargo::root(), &tree).map_err(failed)?;
    for (file, faults) in faults::by_file(&faults) {
        let planted = faults::plant(&mutants::read(&tree.join(file))?, &faults)?;
        fs::write(tree.join(file), planted).map_err(failed)?;
    }
    // The dependencies are the same: take them from the build without faults.
    let target = work.join("target");
    let honest = cargo::target().join("count");
    if !target.exists() && honest.exists() {
        copy::build(&honest, &target).map_err(failed)?;
    }
    let binary = counting(&tree, &target)?;
    let mut args = vec!["count"];
    args.extend(rows.iter().map(|row| row.operation.as_str()));
    let counted = counts(&output(&binary, &args)?)?;

    let budgets = Table::read(&cargo::root().join(FILE))?;
    let mut missed = 0;
    for Row { operation, metric, .. } in &rows {
        let counted = counted.iter().find(|(name, of, _)| name == operation && of == metric);
        match (counted, budgets.excess(operation, metric, counted.map(|(.., cost)| *cost))) {
            (Some((.., cost)), true) => println!("{operation}, {metric} {cost:.2}: found"),
            _ => {
                missed += 1;
                println!("{operation}, {metric}: NOT FOUND");
            }
        }
    }
    println!("{} passed, {missed} failed", rows.len() - missed);
    if missed == 0 { Ok(()) } else { Err(format!("{missed} planted costs were not noticed")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_can_be_planted() {
        let rows = rows().unwrap();
        assert!(!rows.is_empty());
        for row in rows {
            let text = mutants::read(&cargo::root().join(&row.file)).unwrap();
            faults::plant(&text, &[&row.fault()]).expect(&row.operation);
        }
    }
}
