//! System calls and context switches per HTTP request: the example server at saturation, under the load of the `budgets`
//! binary.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::table::Costs;
use crate::Outcome;
use crate::cargo;
use crate::mutants;

const WORKERS: &str = "2";
const CONNECTIONS: u64 = 64;
/// Requests on each connection; the other measurement makes twice as many.
const REQUESTS: u64 = 100;
/// The same without strace, which makes each system call many times slower.
const FREE_REQUESTS: u64 = 500;

pub(super) fn measure() -> Result<Costs, String> {
    let release = cargo::target().join("release");
    let requests = (CONNECTIONS * REQUESTS) as f64;
    let once = traced(&release, REQUESTS)?;
    let twice = traced(&release, 2 * REQUESTS)?;
    let syscalls = (twice as f64 - once as f64) / requests;

    let server = Server::start(Command::new(release.join("server")))?;
    server.load(&release, 10)?;
    let before = switches(server.process.id())?;
    server.load(&release, FREE_REQUESTS)?;
    let switches = (switches(server.process.id())? - before) as f64 / (CONNECTIONS * FREE_REQUESTS) as f64;
    server.stop()?;
    Ok(Costs::from([("syscalls".into(), syscalls), ("context_switches".into(), switches)]))
}

/// The system calls that the server makes in its life under a load.
fn traced(release: &Path, requests: u64) -> Result<u64, String> {
    let summary: PathBuf = cargo::target().join("server.strace");
    let mut strace = Command::new("strace");
    strace.args(["-c", "-f", "-qq", "-o"]).arg(&summary).arg(release.join("server"));
    let server = Server::start(strace)?;
    server.load(release, requests)?;
    server.stop()?;
    let text = mutants::read(&summary)?;
    total(&text).ok_or_else(|| format!("strace wrote no summary:\n{text}"))
}

/// The calls in the last row of the summary of `strace -c`: share, seconds, microseconds a call, calls, perhaps errors.
fn total(summary: &str) -> Option<u64> {
    let row = summary.lines().find(|line| line.trim_end().ends_with(" total"))?;
    row.split_whitespace().nth(3)?.parse().ok()
}

/// Voluntary and involuntary context switches of all threads of a process.
fn switches(process: u32) -> Result<u64, String> {
    let tasks = format!("/proc/{process}/task");
    let mut switches = 0;
    for entry in fs::read_dir(&tasks).map_err(|error| format!("{tasks}: {error}"))? {
        let status = entry.map_err(|error| format!("{tasks}: {error}"))?.path().join("status");
        let status = mutants::read(&status)?;
        let lines = status.lines().filter_map(|line| line.split_once("_ctxt_switches:"));
        switches += lines.filter_map(|(_, count)| count.trim().parse::<u64>().ok()).sum::<u64>();
    }
    Ok(switches)
}

/// The server under test, perhaps below a tracer; it ends with its owner.
struct Server {
    process: Child,
    address: String,
}

impl Server {
    /// Starts it by `command` on a free port, and waits until it says where it listens.
    fn start(mut command: Command) -> Result<Server, String> {
        command.args(["--listen", "127.0.0.1:0", "--workers", WORKERS]).stdout(Stdio::piped());
        let process = command.spawn().map_err(|error| format!("the server did not start: {error}"))?;
        let mut server = Server { process, address: String::new() };
        let out = server.process.stdout.take().expect("its output is a pipe");
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line).map_err(|error| format!("the server: {error}"))?;
        let address = line.trim().strip_prefix("listening on http://");
        server.address =
            address.ok_or("the server did not start; if it was traced, perhaps strace may not")?.to_owned();
        Ok(server)
    }

    fn load(&self, release: &Path, requests: u64) -> Outcome {
        let status = Command::new(release.join("budgets"))
            .args(["load", &self.address, &CONNECTIONS.to_string(), &requests.to_string()])
            .status()
            .map_err(|error| format!("the load did not start: {error}"))?;
        if status.success() { Ok(()) } else { Err(format!("the load failed ({status})")) }
    }

    /// Stops it gracefully, so that a tracer gets its summary.
    fn stop(mut self) -> Outcome {
        signal("-TERM", self.server())?;
        let status = self.process.wait().map_err(|error| format!("the server: {error}"))?;
        if status.success() { Ok(()) } else { Err(format!("the server failed ({status})")) }
    }

    /// The id of the server: of what was started, or of its only child.
    fn server(&self) -> u32 {
        let started = self.process.id();
        let children = fs::read_to_string(format!("/proc/{started}/task/{started}/children"));
        children.ok().and_then(|children| children.trim().parse().ok()).unwrap_or(started)
    }
}

fn signal(signal: &str, process: u32) -> Outcome {
    let status = Command::new("kill").args([signal, &process.to_string()]).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("kill failed ({status})")),
        Err(error) => Err(format!("kill does not run: {error}")),
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Ok(None) = self.process.try_wait() {
            // A tracer that is killed would leave the server behind.
            let _gone = signal("-KILL", self.server());
            let _gone = self.process.kill();
            let _gone = self.process.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_of_strace_is_read() {
        let summary = "% time     seconds  usecs/call     calls    errors syscall\n\
            ------ ----------- ----------- --------- --------- ----------------\n \
            46.40    0.138594       12599        11         1 futex\n\
            ------ ----------- ----------- --------- --------- ----------------\n\
            100.00    0.298666          20     14650        10 total\n";
        assert_eq!(total(summary), Some(14_650));
        assert_eq!(total("strace: no such process\n"), None);
    }

    #[test]
    fn context_switches_are_counted() {
        // Not of this process, whose threads come and go with its tests.
        assert!(switches(std::os::unix::process::parent_id()).unwrap() > 0);
    }
}
