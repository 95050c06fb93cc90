//! What single operations of ramus cost, in counts that do not depend on the machine.
//!
//! `cargo xtask budgets` runs this binary and holds what it prints against `benches/budgets.toml`. Built with
//! `--cfg ramus_count` it counts what the synchronisation costs, and allocations; built normally it is what callgrind runs,
//! and the load on the HTTP server.
//!
//! ```text
//! budgets list                       each scenario, and how its threads meet
//! budgets count [NAME...]            counting builds: the costs of these or all scenarios, per operation
//! budgets sites NAME                 counting builds: where one scenario makes its read-modify-writes
//! budgets run NAME ROUNDS            one scenario, for callgrind
//! budgets load ADDR CONNS REQUESTS   GET / over kept connections, REQUESTS on each
//! ```

#![forbid(unsafe_code)]

mod alone;
#[cfg(ramus_count)]
mod books;
mod load;
#[cfg(ramus_count)]
mod measure;
mod scenario;
mod together;

use std::process::ExitCode;

use scenario::{Kind, Scenario};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match args.as_slice() {
        ["list"] => {
            for scenario in scenario::ALL {
                let kind = match scenario.kind {
                    Kind::Alone => "alone",
                    Kind::Timed => "timed",
                    Kind::Together => "together",
                    Kind::Raced => "raced",
                };
                println!("{} {kind}", scenario.name);
            }
            Ok(())
        }
        #[cfg(ramus_count)]
        ["count"] => {
            measure::count(scenario::ALL.iter());
            Ok(())
        }
        #[cfg(ramus_count)]
        ["count", names @ ..] => {
            names.iter().map(|name| named(name)).collect::<Result<Vec<_>, _>>().map(measure::count)
        }
        #[cfg(ramus_count)]
        ["sites", name] => named(name).map(measure::sites),
        ["run", name, rounds] => run(name, rounds),
        ["load", addr, connections, requests] => load::run(addr, connections, requests),
        _ => Err(format!("cannot do `{}` in this build", args.join(" "))),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("budgets: {message}");
            ExitCode::FAILURE
        }
    }
}

fn named(name: &str) -> Result<&'static Scenario, String> {
    scenario::ALL.iter().find(|scenario| scenario.name == name).ok_or_else(|| format!("no scenario `{name}`"))
}

fn run(name: &str, rounds: &str) -> Result<(), String> {
    let scenario = named(name)?;
    let rounds = rounds.parse().map_err(|_| format!("`{rounds}` is no number of rounds"))?;
    let runtime = scenario.runtime();
    (scenario.run)(&runtime, rounds);
    Ok(())
}
