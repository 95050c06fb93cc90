//! A case: a process that measures one workload on one peer, prints one line and ends.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The peers that need a build of their own: with tokio's unstable parts, and with the runtimes that keep a task on its thread.
const EXTRA: [&str; 3] = ["tokio-alt", "monoio", "compio"];
/// The longest takes a few seconds on an idle machine.
const LIMIT: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// The programs.
pub(super) struct Binaries {
    pub(super) plain: PathBuf,
    /// None: the peers that need it are left out.
    pub(super) extra: Option<PathBuf>,
}

impl Binaries {
    pub(super) fn of(&self, peer: &str) -> Option<&Path> {
        if needs_extra(peer) { self.extra.as_deref() } else { Some(&self.plain) }
    }
}

pub(super) fn needs_extra(peer: &str) -> bool {
    EXTRA.contains(&peer)
}

/// The samples of each measure.
pub(super) type Samples = BTreeMap<String, Vec<f64>>;

/// Runs a case to its end, or to the limit.
pub(super) fn run(binary: &Path, workload: &str, peer: &str, quick: bool) -> Result<Samples, String> {
    let mut command = Command::new(binary);
    command.args([workload, peer]).args(quick.then_some("--quick"));
    read(&within(LIMIT, command)?)
}

/// What a command prints, if it ends well and in time.
fn within(limit: Duration, mut command: Command) -> Result<String, String> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let name = command.get_program().to_string_lossy().into_owned();
    let mut process = command.spawn().map_err(|error| format!("`{name}` did not start: {error}"))?;
    // Read beside it: a process that prints more than a pipe holds would wait for ever.
    let mut out = process.stdout.take().expect("its output is a pipe");
    let mut err = process.stderr.take().expect("its errors are a pipe");
    let reader = move |pipe: &mut dyn Read| {
        let mut text = Vec::new();
        // What was read until a pipe broke is what there is to say.
        let _read = pipe.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    };
    let out = thread::spawn(move || reader(&mut out));
    let err = thread::spawn(move || reader(&mut err));
    let ended = wait(&mut process, limit);
    let out = out.join().map_err(|_| "its output was not read")?;
    let err = err.join().map_err(|_| "its errors were not read")?;
    match ended {
        Err(error) => Err(error),
        Ok(status) if status.success() => Ok(out),
        Ok(status) => match err.lines().map(str::trim).find(|line| !line.is_empty()) {
            Some(line) => Err(line.to_owned()),
            None => Err(format!("it ended with {status}")),
        },
    }
}

/// How it ended; after the limit it is ended by force.
fn wait(process: &mut Child, limit: Duration) -> Result<ExitStatus, String> {
    let begun = Instant::now();
    loop {
        match process.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) if begun.elapsed() < limit => thread::sleep(LOOK_EVERY),
            Ok(None) => {
                let killed = process.kill().and_then(|()| process.wait());
                let kill = killed.map_or_else(|error| format!(", and could not be killed: {error}"), |_| String::new());
                return Err(format!("no end after {} s{kill}", limit.as_secs_f64()));
            }
            Err(error) => return Err(format!("it cannot be waited for: {error}")),
        }
    }
}

/// A line `NAME=SAMPLE,SAMPLE NAME=…`.
fn read(line: &str) -> Result<Samples, String> {
    let not_understood = || format!("it printed `{}`", line.trim());
    let mut samples = Samples::new();
    for part in line.split_whitespace() {
        let (name, values) = part.split_once('=').ok_or_else(not_understood)?;
        let values: Result<Vec<f64>, _> = values.split(',').map(str::parse).collect();
        samples.insert(name.to_owned(), values.map_err(|_| not_understood())?);
    }
    if samples.is_empty() { Err(not_understood()) } else { Ok(samples) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_line_of_samples_is_read() {
        let samples = read("extra_ns=-1.5 ns=12,13.25\n").expect("a line");
        assert_eq!(samples["ns"], [12.0, 13.25]);
        assert_eq!(samples["extra_ns"], [-1.5]);
    }

    #[test]
    fn what_is_no_line_of_samples_is_refused() {
        for line in ["", "\n", "ns", "ns=", "ns=fast", "ns=1,,2"] {
            assert!(read(line).is_err(), "{line}");
        }
    }

    #[test]
    fn a_process_that_hangs_is_ended() {
        let begun = Instant::now();
        let message = within(Duration::from_millis(50), shell("exec sleep 60")).expect_err("it hangs");
        assert!(message.contains("no end after 0.05 s"), "{message}");
        assert!(begun.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn a_process_that_fails_says_why() {
        let failed = within(LIMIT, shell("echo; echo no such thing >&2; exit 1"));
        assert_eq!(failed, Err("no such thing".into()));
        assert_eq!(within(LIMIT, shell("exit 1")), Err("it ended with exit status: 1".into()));
        assert_eq!(within(LIMIT, shell("echo ns=1")), Ok("ns=1\n".into()));
    }

    #[test]
    fn a_program_that_is_missing_is_named() {
        let message = within(LIMIT, Command::new("/nowhere/case")).expect_err("it is not there");
        assert!(message.contains("/nowhere/case"), "{message}");
    }
}
