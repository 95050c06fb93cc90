//! The command line: what may be set, its defaults, and one clear line when a value makes no sense.

use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use lexopt::{Arg, Parser, ValueExt};

/// What `--help` prints.
pub const HELP: &str = "\
An HTTP server (HTTP/1.1, and HTTP/2 by prior knowledge) on ramus: a scope for the server, a child scope for each
connection, a task and a deadline for each request.

Usage: server [OPTIONS]

Options:
  --listen ADDR            address and port; port 0 takes a free one   [default: 127.0.0.1:8080]
  --workers N              worker threads                              [default: one per core]
  --grace TIME             after SIGTERM or Ctrl-C, how long requests
                           in flight may take to end                   [default: 10s]
  --request-timeout TIME   longest time for a request, and for a
                           client that stops reading or sending        [default: 30s]
  --header-timeout TIME    longest time to send a request's head       [default: 10s]
  --debug-routes           add GET /debug/panic and GET /debug/block/{ms}
  -h, --help               print this text

TIME is a whole number with a unit: 500ms, 10s, 2m, 1h.

Routes:
  GET  /                   a short text
  POST /echo               streams the body back
  GET  /sleep/{ms}         waits, then answers
  GET  /fanout/{n}?fail=k  n children in a scope, the first k of them fail
  GET  /cpu/{ms}           computes, with cancellation points
  GET  /tree               the live scope tree (JSON with `Accept: application/json`)
  GET  /metrics            counters in the Prometheus text format

SIGTERM or Ctrl-C stops gracefully; a second one cancels what is left at once. Exit codes: 0 stopped and everything
ended, 1 something did not end (it is named on stderr), 2 bad arguments or the address cannot be used.
";

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Print [`HELP`].
    Help,
    /// Serve.
    Serve(Settings),
}

/// The settings of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Worker threads; `None` is one per core.
    pub workers: Option<usize>,
    /// Time between the soft stop and the cancel of what is left.
    pub grace: Duration,
    /// Longest time for a request.
    pub request_timeout: Duration,
    /// Longest time for a request's head.
    pub header_timeout: Duration,
    /// Whether the routes for tests exist.
    pub debug_routes: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            workers: None,
            grace: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            header_timeout: Duration::from_secs(10),
            debug_routes: false,
        }
    }
}

/// A command line that cannot be obeyed; shows itself as one line.
#[derive(Debug)]
pub struct BadArgs(String);

impl fmt::Display for BadArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadArgs {}

impl From<lexopt::Error> for BadArgs {
    fn from(error: lexopt::Error) -> BadArgs {
        BadArgs(error.to_string())
    }
}

/// Reads the arguments after the program's name.
///
/// # Errors
///
/// An option that does not exist, a value that is missing or makes no sense.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, BadArgs> {
    let mut settings = Settings::default();
    let mut args = Parser::from_args(args);
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            Arg::Long("listen") => settings.listen = value(&mut args, "--listen", address)?,
            Arg::Long("workers") => settings.workers = Some(value(&mut args, "--workers", count)?),
            Arg::Long("grace") => settings.grace = value(&mut args, "--grace", time)?,
            Arg::Long("request-timeout") => {
                settings.request_timeout = value(&mut args, "--request-timeout", time)?;
            }
            Arg::Long("header-timeout") => {
                settings.header_timeout = value(&mut args, "--header-timeout", time)?;
            }
            Arg::Long("debug-routes") => settings.debug_routes = true,
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Command::Serve(settings))
}

fn value<T>(args: &mut Parser, option: &str, read: fn(&str) -> Result<T, &'static str>) -> Result<T, BadArgs> {
    let text = args.value()?.string()?;
    read(&text).map_err(|wanted| BadArgs(format!("{option} {text:?}: {wanted}")))
}

fn address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| "not an address with a port, such as 127.0.0.1:8080 or [::1]:8080")
}

fn count(text: &str) -> Result<usize, &'static str> {
    match text.parse() {
        Ok(0) => Err("at least one worker is needed"),
        Ok(workers) => Ok(workers),
        Err(_) => Err("not a whole number"),
    }
}

/// A whole number with a unit.
fn time(text: &str) -> Result<Duration, &'static str> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    if number.is_empty() {
        return Err("not a time, such as 500ms, 10s, 2m or 1h");
    }
    let number: u64 = number.parse().map_err(|_| "too long a time")?;
    let seconds = |each: u64| number.checked_mul(each).map(Duration::from_secs);
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => seconds(1),
        "m" => seconds(60),
        "h" => seconds(3600),
        _ => return Err("not a time, such as 500ms, 10s, 2m or 1h"),
    }
    .ok_or("too long a time")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, String> {
        parse(line.split_whitespace().map(OsString::from)).map_err(|e| e.to_string())
    }

    #[test]
    fn nothing_means_the_defaults() {
        assert_eq!(parsed("").unwrap(), Command::Serve(Settings::default()));
    }

    #[test]
    fn every_option_is_read() {
        let line = "--listen [::1]:0 --workers=3 --grace 500ms --request-timeout 2m --header-timeout 1h --debug-routes";
        let wanted = Settings {
            listen: "[::1]:0".parse().unwrap(),
            workers: Some(3),
            grace: Duration::from_millis(500),
            request_timeout: Duration::from_secs(120),
            header_timeout: Duration::from_secs(3600),
            debug_routes: true,
        };
        assert_eq!(parsed(line).unwrap(), Command::Serve(wanted));
    }

    #[test]
    fn zero_and_huge_times_are_times() {
        let Ok(Command::Serve(settings)) = parsed("--grace 0s --request-timeout 18446744073709551615s") else {
            panic!("refused");
        };
        assert_eq!(settings.grace, Duration::ZERO);
        assert_eq!(settings.request_timeout, Duration::from_secs(u64::MAX));
    }

    #[test]
    fn a_bad_value_is_named_in_one_line() {
        for (line, part) in [
            ("--workers 0", "--workers \"0\": at least one"),
            ("--workers many", "--workers \"many\": not a whole number"),
            ("--grace 10", "--grace \"10\": not a time"),
            ("--grace s", "--grace \"s\": not a time"),
            ("--grace -1s", "--grace \"-1s\": not a time"),
            ("--grace 18446744073709551615h", "too long"),
            ("--grace 99999999999999999999s", "too long"),
            ("--listen localhost", "--listen \"localhost\": not an address"),
            ("--listen", "missing argument"),
            ("--colour red", "invalid option '--colour'"),
            ("serve", "unexpected argument"),
        ] {
            let error = parsed(line).expect_err(line);
            assert!(error.contains(part), "{line}: {error}");
            assert!(!error.contains('\n'), "{line}: {error}");
        }
    }
}
