//! `cargo xtask bench-server`: drives `examples/server` and the same routes on tokio with a load generator, in turns,
//! and prints what each costs.
//!
//! The figure that counts is the server's CPU time per request: the client shares the machine with the server, so
//! requests per second say as much about the client.

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::Outcome;
use crate::cargo::{self, Cargo};
use crate::load::{self, Load, Report};

/// The rivals: the name in the table, the package, the binary.
const RIVALS: [(&str, &str, &str); 2] = [("ramus", "server", "server"), ("tokio", "benches", "server_tokio")];
/// Kernel ticks per second in `/proc/PID/stat`: fixed at 100 on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;
/// Load before each measurement, so that connections, caches and the clock of the processor have settled.
const WARM_UP: Duration = Duration::from_secs(1);

/// What to run.
#[derive(Debug, PartialEq)]
pub(crate) struct Options {
    seconds: u32,
    connections: Vec<u32>,
    rounds: usize,
    workers: Option<u32>,
    h2: bool,
}

/// Reads the arguments after `bench-server`.
pub(crate) fn options(args: &[&str]) -> Result<Options, String> {
    let mut options = Options { seconds: 60, connections: vec![64, 512], rounds: 3, workers: None, h2: false };
    let mut args = args.iter();
    while let Some(option) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{option} needs a value"));
        match *option {
            "--seconds" => options.seconds = number(option, value()?)?,
            "--rounds" => options.rounds = number(option, value()?)? as usize,
            "--workers" => options.workers = Some(number(option, value()?)?),
            "--connections" => {
                options.connections = value()?.split(',').map(|text| number(option, text)).collect::<Result<_, _>>()?;
            }
            "--h2" => options.h2 = true,
            other => return Err(format!("unknown argument `{other}` for `bench-server` (see `cargo xtask help`)")),
        }
    }
    Ok(options)
}

fn number(option: &str, text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err(format!("{option} needs a number above zero, not `{text}`")),
        Ok(number) => Ok(number),
    }
}

/// Builds both servers, measures them in turns, and prints the table. Fails when a request failed.
pub(crate) fn run(options: &Options) -> Outcome {
    let tool = if options.h2 { load::H2LOAD } else { load::WRK };
    tool.check()?;
    for (_, package, binary) in RIVALS {
        Cargo::new(&format!("build --release -p {package} --bin {binary}")).run()?;
    }
    let mut failed = false;
    for &connections in &options.connections {
        let load = Load { tool, connections, time: Duration::from_secs(options.seconds.into()) };
        let mut runs = [Vec::new(), Vec::new()];
        for round in 1..=options.rounds {
            for (rival, runs) in RIVALS.iter().zip(&mut runs) {
                println!("{connections} connections, round {round} of {}: {}", options.rounds, rival.0);
                runs.push(measure(rival.2, options.workers, &load)?);
            }
        }
        failed |= runs.iter().flatten().any(|run| run.report.failed != 0);
        print_table(&load, &runs);
    }
    if failed { Err("requests failed; the table says how many".into()) } else { Ok(()) }
}

/// One run of one server.
struct Run {
    report: Report,
    /// User and system time of the server per request, in microseconds.
    cpu: f64,
}

fn measure(binary: &str, workers: Option<u32>, load: &Load) -> Result<Run, String> {
    let server = Server::start(binary, workers)?;
    Load { time: WARM_UP, ..*load }.drive(&server.url)?;
    let before = server.cpu_seconds()?;
    let report = load.drive(&server.url)?;
    let spent = server.cpu_seconds()? - before;
    if report.requests == 0 {
        return Err(format!("{binary} answered no request"));
    }
    let cpu = spent * 1e6 / report.requests as f64;
    Ok(Run { report, cpu })
}

/// A server under test; ends with its owner.
struct Server {
    process: Child,
    url: String,
}

impl Server {
    /// Starts it on a free port and waits until it says where it listens.
    fn start(binary: &str, workers: Option<u32>) -> Result<Server, String> {
        let path = cargo::target().join("release").join(binary);
        let mut command = Command::new(&path);
        command.args(["--listen", "127.0.0.1:0"]).stdout(Stdio::piped());
        if let Some(workers) = workers {
            command.args(["--workers", &workers.to_string()]);
        }
        let process = command.spawn().map_err(|error| format!("`{}` did not start: {error}", path.display()))?;
        let mut server = Server { process, url: String::new() };
        let out = server.process.stdout.take().expect("its output is a pipe");
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line).map_err(|error| format!("{binary}: {error}"))?;
        let url = line.trim().strip_prefix("listening on ").ok_or_else(|| format!("{binary} did not start"))?;
        server.url = format!("{url}/");
        Ok(server)
    }

    /// User and system time so far.
    fn cpu_seconds(&self) -> Result<f64, String> {
        let path = format!("/proc/{}/stat", self.process.id());
        let stat = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
        // The name of the program, in brackets, may hold spaces; `utime` and `stime` are fields 14 and 15.
        let ticks = stat.rsplit_once(") ").and_then(|(_, fields)| {
            let mut fields = fields.split(' ').skip(11);
            let user: f64 = fields.next()?.parse().ok()?;
            let system: f64 = fields.next()?.parse().ok()?;
            Some(user + system)
        });
        ticks.map(|ticks| ticks / TICKS_PER_SECOND).ok_or_else(|| format!("{path} cannot be understood"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let gone = |error: &std::io::Error| error.kind() == ErrorKind::InvalidInput;
        if let Err(error) = self.process.kill() {
            if !gone(&error) {
                eprintln!("xtask: the server did not end: {error}");
            }
        }
        if let Err(error) = self.process.wait() {
            eprintln!("xtask: the server did not end: {error}");
        }
    }
}

fn print_table(load: &Load, runs: &[Vec<Run>; 2]) {
    println!("\n{load}, {} rounds, medians", runs[0].len());
    let [mid, far] = load.tool.latencies;
    println!("{:>8} {:>12} {:>14} {mid:>10} {far:>10} {:>8}", "", "requests/s", "CPU µs/request", "failed");
    for ((name, ..), runs) in RIVALS.iter().zip(runs) {
        println!(
            "{name:>8} {:>12.0} {:>14.2} {:>7.2} ms {:>7.2} ms {:>8}",
            median(runs, |run| run.report.per_second),
            median(runs, |run| run.cpu),
            median(runs, |run| run.report.latencies[0]),
            median(runs, |run| run.report.latencies[1]),
            runs.iter().map(|run| run.report.failed).sum::<u64>(),
        );
    }
    let ratio = |of: fn(&Run) -> f64| median(&runs[0], of) / median(&runs[1], of);
    println!(
        "{:>8} {:>12.3} {:>14.3} {:>10.3} {:>10.3}\n",
        "ratio",
        ratio(|run| run.report.per_second),
        ratio(|run| run.cpu),
        ratio(|run| run.report.latencies[0]),
        ratio(|run| run.report.latencies[1]),
    );
    for ((name, ..), runs) in RIVALS.iter().zip(runs) {
        let cpus: Vec<String> = runs.iter().map(|run| format!("{:.2}", run.cpu)).collect();
        println!("{name:>8} CPU µs/request of each round: {}", cpus.join(" "));
    }
    println!();
}

fn median(runs: &[Run], of: impl Fn(&Run) -> f64) -> f64 {
    let mut values: Vec<f64> = runs.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Options, String> {
        options(&line.split_whitespace().collect::<Vec<_>>())
    }

    #[test]
    fn options_are_read() {
        let wanted = Options { seconds: 5, connections: vec![8, 16], rounds: 2, workers: Some(2), h2: true };
        assert_eq!(parsed("--seconds 5 --connections 8,16 --rounds 2 --workers 2 --h2"), Ok(wanted));
    }

    #[test]
    fn bad_options_are_refused_by_name() {
        for (line, named) in [
            ("--seconds", "--seconds"),
            ("--seconds 0", "`0`"),
            ("--rounds many", "`many`"),
            ("--connections 64,", "``"),
            ("--h3", "`--h3`"),
        ] {
            let message = parsed(line).expect_err(line);
            assert!(message.contains(named), "{line}: {message}");
        }
    }

    #[test]
    fn a_median_lies_in_the_middle() {
        let run = |cpu| Run { report: Report { per_second: 1.0, requests: 1, latencies: [1.0; 2], failed: 0 }, cpu };
        assert_eq!(median(&[run(3.0), run(1.0), run(2.0)], |run| run.cpu), 2.0);
        assert_eq!(median(&[run(4.0), run(1.0)], |run| run.cpu), 2.5);
    }
}
