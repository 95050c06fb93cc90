//! `cargo run --release -p server -- --help`

use std::process::ExitCode;

fn main() -> ExitCode {
    server::main(std::env::args_os().skip(1))
}
