//! One case of `cargo xtask compare`: a workload on a peer, measured once, in this process. It prints one line.
//!
//! `case WORKLOAD PEER [--quick]`, and for its own use `case serve SERVICE PEER`: a server that runs until its standard
//! input is closed, so that none is left behind when a case is killed.

use std::process::ExitCode;

use benches::case::{self, Scale};
use benches::net;

const USAGE: &str = "usage: case WORKLOAD PEER [--quick]";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let ran = match args.as_slice() {
        ["serve", service, peer] => net::serve(service, peer),
        [workload, peer] => case::run(workload, peer, Scale::Full).map(|samples| println!("{samples}")),
        [workload, peer, "--quick"] => case::run(workload, peer, Scale::Quick).map(|samples| println!("{samples}")),
        _ => Err(format!("{USAGE}\nworkloads: {}", case::workloads().join(", "))),
    };
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("case: {message}");
            ExitCode::FAILURE
        }
    }
}
