//! `cargo xtask compare`: every workload of `benches/compare.toml` on ramus and on its peers, each case in a process of its
//! own, in interleaved rounds. A run of the whole table writes `docs/bench` and the README.

mod case;
mod catalogue;
mod chart;
mod machine;
mod markdown;
mod options;
mod report;
mod rounds;
mod splice;
mod stats;
mod text;

use std::fs;
use std::path::Path;

pub(crate) use options::{Options, options};

use crate::Outcome;
use crate::cargo::{self, Cargo};
use case::Binaries;
use catalogue::Catalogue;
use machine::Machine;
use report::Report;

/// Where the results are, in the workspace.
const FOLDER: &str = "docs/bench";
const README: &str = "README.md";
/// tokio's alternative timer is in such builds only.
const UNSTABLE_FLAGS: &str = "--cfg tokio_unstable";

pub(crate) fn run(options: &Options) -> Outcome {
    let catalogue = Catalogue::load()?;
    if options.list {
        print!("{}", catalogue.list());
        return Ok(());
    }
    let chosen = catalogue.choose(&options.only)?;
    let mut peers = chosen.iter().flat_map(|workload| &workload.peers);
    let binaries = build(!options.quick && peers.any(|peer| case::needs_extra(peer)))?;
    let measured = rounds::run(&chosen, &binaries, options);
    let report = Report::new(Machine::here(), options, &catalogue, &chosen, &measured);
    print!("{}", text::render(&report));
    if options.writes() {
        write(&report)?;
        println!("written: {FOLDER}/results.json, {FOLDER}/table.md, {FOLDER}/chart.svg, {README}");
    }
    match report.failures() {
        0 => Ok(()),
        failures => Err(format!("cases that failed: {failures}; the table says which")),
    }
}

/// Builds the cases; those of peers that need it once more, in a folder of their own.
fn build(with_extra: bool) -> Result<Binaries, String> {
    const BUILD: &str = "build --release -p benches --bin case";
    Cargo::new(BUILD).run()?;
    let plain = cargo::target().join("release/case");
    let extra = if with_extra {
        let target = cargo::target().join("extra-peers");
        Cargo::new(BUILD).arg("--features=thread-per-core").flags(UNSTABLE_FLAGS, &target).run()?;
        Some(target.join("release/case"))
    } else {
        None
    };
    Ok(Binaries { plain, extra })
}

fn write(report: &Report) -> Outcome {
    let folder = cargo::root().join(FOLDER);
    fs::create_dir_all(&folder).map_err(|error| format!("{FOLDER}: {error}"))?;
    let json = serde_json::to_string_pretty(report).map_err(|error| format!("results.json: {error}"))?;
    save(&folder.join("results.json"), &(json + "\n"))?;
    save(&folder.join("table.md"), &markdown::page(report))?;
    save(&folder.join("chart.svg"), &chart::render(report))?;
    let readme = cargo::root().join(README);
    let before = fs::read_to_string(&readme).map_err(|error| format!("{README}: {error}"))?;
    save(&readme, &splice::between_markers(&before, &markdown::summary(report))?)
}

fn save(path: &Path, text: &str) -> Outcome {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}
