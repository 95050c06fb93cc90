//! An HTTP server on ramus, as a user would start one.
//!
//! | module | job |
//! |---|---|
//! | [`args`] | the command line |
//! | `serve` | the accept loop, the graceful stop, the signals |
//! | `connection` | one connection: HTTP/1.1 or HTTP/2 in a scope of its own, cut when the client is too slow |
//! | `request` | one request: a task, a scope and a deadline; cancelled when its client goes away |
//! | [`routes`] | what is answered; [`routes::portable`] needs no runtime |
//! | `metrics` | counters of the server, and the text of `/metrics` |

pub mod args;
mod connection;
mod first;
mod metrics;
mod request;
pub mod routes;
mod serve;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use args::{Command, HELP, Settings};
use ramus::Runtime;
use ramus::net::TcpListener;

/// Something did not end although it was cancelled.
const STRAGGLERS: u8 = 1;
/// The arguments make no sense, or the address or the threads are not to be had.
const UNUSABLE: u8 = 2;
/// How long whatever outlived the server's scope may take to end once the runtime shuts down.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(1);

/// Runs the server until a signal ends it; `args` are the arguments after the program's name.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    match args::parse(args) {
        Ok(Command::Help) => match io::stdout().write_all(HELP.as_bytes()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        Ok(Command::Serve(settings)) => match start(settings) {
            Ok(exit) => exit,
            Err(error) => unusable(&error),
        },
        Err(error) => unusable(&format_args!("{error} (--help lists the options)")),
    }
}

fn unusable(error: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("server: {error}");
    ExitCode::from(UNUSABLE)
}

fn start(settings: Settings) -> Result<ExitCode, String> {
    let mut builder = ramus::Builder::new_multi_thread();
    if let Some(workers) = settings.workers {
        builder = builder.worker_threads(workers);
    }
    let runtime = builder.build().map_err(|error| format!("cannot start the workers: {error}"))?;
    let listen = settings.listen;
    let listener = runtime.block_on(TcpListener::bind(listen)).map_err(|error| {
        format!("cannot listen on {listen}: {error}; another address: --listen ADDR, where port 0 takes a free one")
    })?;
    runtime
        .block_on(serve::until_stopped(listener, Arc::new(settings)))
        .map_err(|error| format!("cannot serve on {listen}: {error}"))?;
    Ok(finish(runtime))
}

/// Ends the runtime and names what does not end.
fn finish(runtime: Runtime) -> ExitCode {
    let report = runtime.shutdown_timeout(SHUTDOWN_LIMIT);
    if report.is_clean() {
        return ExitCode::SUCCESS;
    }
    for straggler in report.stragglers() {
        eprintln!("server: did not end: {straggler}");
    }
    ExitCode::from(STRAGGLERS)
}
