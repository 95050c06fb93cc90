//! The load generators: how they are called, and how what they print is read.

use std::fmt;
use std::process::{Command, Stdio};
use std::time::Duration;

/// A load generator.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tool {
    name: &'static str,
    package: &'static str,
    /// What its two latencies are.
    pub(crate) latencies: [&'static str; 2],
    args: fn(&Load) -> Vec<String>,
    read: fn(&str) -> Option<Report>,
}

/// HTTP/1.1.
pub(crate) const WRK: Tool =
    Tool { name: "wrk", package: "wrk", latencies: ["p50", "p99"], args: wrk_args, read: read_wrk };

/// HTTP/2 by prior knowledge.
pub(crate) const H2LOAD: Tool = Tool {
    name: "h2load",
    package: "nghttp2-client",
    latencies: ["mean", "max"],
    args: h2load_args,
    read: read_h2load,
};

/// Streams at once on each HTTP/2 connection.
const STREAMS: u32 = 8;

impl Tool {
    /// Fails with the way to install it when it is not there.
    pub(crate) fn check(&self) -> Result<(), String> {
        let called = Command::new(self.name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        match called {
            Ok(_) => Ok(()),
            Err(error) => Err(format!(
                "{} does not run ({error}); install it, on Debian with `apt-get install {}`",
                self.name, self.package
            )),
        }
    }
}

/// A load on a server.
pub(crate) struct Load {
    pub(crate) tool: Tool,
    pub(crate) connections: u32,
    pub(crate) time: Duration,
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} connections, {} s", self.tool.name, self.connections, self.time.as_secs())
    }
}

/// What a load generator reports.
#[derive(Debug, PartialEq)]
pub(crate) struct Report {
    pub(crate) per_second: f64,
    pub(crate) requests: u64,
    /// In milliseconds; [`Tool::latencies`] says which.
    pub(crate) latencies: [f64; 2],
    /// Socket errors, time-outs, and answers other than 2xx and 3xx.
    pub(crate) failed: u64,
}

impl Load {
    /// Runs the load to its end.
    pub(crate) fn drive(&self, url: &str) -> Result<Report, String> {
        let name = self.tool.name;
        let mut command = Command::new(name);
        command.args((self.tool.args)(self)).arg(url).stderr(Stdio::inherit());
        let output = command.output().map_err(|error| format!("{name} does not run: {error}"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        match (self.tool.read)(&text) {
            Some(report) if output.status.success() => Ok(report),
            _ => Err(format!("{name} failed ({}); it printed:\n{text}", output.status)),
        }
    }
}

fn wrk_args(load: &Load) -> Vec<String> {
    // One thread: wrk and the server share the cores, and one drives more than a server of two workers can answer.
    let seconds = load.time.as_secs();
    ["-t1".into(), format!("-c{}", load.connections), format!("-d{seconds}"), "--latency".into()].into()
}

fn h2load_args(load: &Load) -> Vec<String> {
    let seconds = load.time.as_secs();
    [format!("-c{}", load.connections), format!("-m{STREAMS}"), "-D".into(), seconds.to_string()].into()
}

fn read_wrk(text: &str) -> Option<Report> {
    let after = |mark: &str| {
        let line = text.lines().map(str::trim).find(|line| line.starts_with(mark))?;
        Some(line.trim_start_matches(mark).trim())
    };
    let requests = text.lines().find_map(|line| line.trim().split_once(" requests in ")?.0.parse().ok())?;
    let broken = after("Socket errors:").map_or(0, |errors| {
        errors.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse::<u64>().ok()).sum()
    });
    let refused = match after("Non-2xx or 3xx responses:") {
        Some(number) => number.parse().ok()?,
        None => 0,
    };
    Some(Report {
        per_second: after("Requests/sec:")?.parse().ok()?,
        requests,
        latencies: [milliseconds(after("50%")?)?, milliseconds(after("99%")?)?],
        failed: broken + refused,
    })
}

fn read_h2load(text: &str) -> Option<Report> {
    let line = |mark: &str| text.lines().find_map(|line| line.strip_prefix(mark));
    let per_second = line("finished in ")?.split(", ").nth(1)?.strip_suffix(" req/s")?.parse().ok()?;
    let counted = |what: &str, line: &str| {
        line.split(", ").find_map(|part| part.trim().strip_suffix(what)?.trim().parse::<u64>().ok())
    };
    let requests = line("requests: ")?;
    let codes = line("status codes: ")?;
    let times: Vec<f64> = line("time for request:")?.split_whitespace().filter_map(milliseconds).collect();
    Some(Report {
        per_second,
        requests: counted("done", requests)?,
        latencies: [*times.get(2)?, *times.get(1)?],
        failed: counted("failed", requests)? + counted("4xx", codes)? + counted("5xx", codes)?,
    })
}

/// A time such as `425.00us`, `8.46ms` or `1.20s`.
fn milliseconds(text: &str) -> Option<f64> {
    let (number, scale) = if let Some(number) = text.strip_suffix("us") {
        (number, 1e-3)
    } else if let Some(number) = text.strip_suffix("ms") {
        (number, 1.0)
    } else {
        (text.strip_suffix('s')?, 1e3)
    };
    Some(number.parse::<f64>().ok()? * scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_of_wrk_is_read() {
        let text = "Running 4s test @ http://127.0.0.1:18081/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   443.82us  263.78us   8.50ms   92.62%
    Req/Sec   116.96k    21.57k  166.57k    65.00%
  Latency Distribution
     50%  425.00us
     75%  469.00us
     90%  593.00us
     99%    1.50ms
  464897 requests in 4.00s, 58.08MB read
  Socket errors: connect 0, read 2, write 0, timeout 1
  Non-2xx or 3xx responses: 4
Requests/sec: 116155.63
Transfer/sec:     14.51MB
";
        let wanted = Report { per_second: 116155.63, requests: 464_897, latencies: [0.425, 1.5], failed: 7 };
        assert_eq!(read_wrk(text), Some(wanted));
    }

    #[test]
    fn the_output_of_h2load_is_read() {
        let text = "finished in 3.00s, 164614.33 req/s, 6.28MB/s
requests: 493843 total, 493907 started, 493843 done, 493840 succeeded, 3 failed, 3 errored, 0 timeout
status codes: 493838 2xx, 0 3xx, 0 4xx, 2 5xx
traffic: 18.84MB (19755048) total, 3.77MB (3951632) headers (space savings 91.66%), 6.59MB (6913802) data
                     min         max         mean         sd        +/- sd
time for request:       14us      8.46ms       347us       263us    94.35%
";
        let Some(report) = read_h2load(text) else { panic!("not understood") };
        assert_eq!((report.requests, report.failed), (493_843, 5));
        assert!((report.latencies[0] - 0.347).abs() < 1e-9 && (report.latencies[1] - 8.46).abs() < 1e-9);
    }

    #[test]
    fn what_is_no_report_is_not_read() {
        assert_eq!(read_wrk("unable to connect to 127.0.0.1:1 Connection refused\n"), None);
        assert_eq!(read_h2load("finished in 3.00s, 0.00 req/s, 0B/s\n"), None);
    }
}
