//! The server as a process, and a client of plain blocking sockets. Every wait is for a state, with a limit far away.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// After this long a state that a test waits for will not come.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// A server under test. It is killed when the test ends before it does.
pub(crate) struct Server {
    process: Child,
    pub(crate) address: SocketAddr,
}

/// What is left of a server that has ended.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stderr: String,
}

impl Server {
    /// Starts it on a free port, with the debug routes.
    pub(crate) fn start(args: &[&str]) -> Server {
        let mut command = Command::new(env!("CARGO_BIN_EXE_server"));
        command.args(args);
        Server::spawn(command)
    }

    /// Starts it from a shell, which sets limits first.
    pub(crate) fn start_after(shell: &str, args: &[&str]) -> Server {
        let mut command = Command::new("sh");
        let script = format!("{shell}; exec \"$0\" \"$@\"");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_server")]).args(args);
        Server::spawn(command)
    }

    fn spawn(mut command: Command) -> Server {
        command.args(["--listen", "127.0.0.1:0", "--workers", "2", "--debug-routes"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().expect("the server starts");
        let mut line = String::new();
        let out = process.stdout.as_mut().expect("its output is a pipe");
        BufReader::new(out).read_line(&mut line).expect("its output is text");
        let address = line.trim().strip_prefix("listening on http://");
        let address = address.unwrap_or_else(|| panic!("not ready: {line:?}"));
        let address = address.parse().expect("an address");
        Server { process, address }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("the server accepts");
        stream.set_read_timeout(Some(LIMIT)).expect("a socket");
        stream
    }

    /// One request on a connection of its own.
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"))
    }

    /// Sends the text on a connection of its own and reads one answer.
    pub(crate) fn send(&self, request: &str) -> Answer {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).expect("it takes the request");
        Answer::read(&mut BufReader::new(stream)).expect("an answer")
    }

    /// The value of a line of `/metrics` without labels.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let page = self.get("/metrics").body;
        let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let value = line.unwrap_or_else(|| panic!("no {name} in:\n{page}"));
        value.parse().expect("a number")
    }

    /// Waits until a metric is as wanted.
    pub(crate) fn wait_for(&self, name: &str, wanted: impl Fn(u64) -> bool) {
        wait_until(&format!("{name} as wanted"), || wanted(self.metric(name)));
    }

    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.process.id());
        let sent = Command::new("sh").args(["-c", &kill]).status();
        assert!(sent.expect("a shell").success());
    }

    /// Waits until the process has ended.
    pub(crate) fn wait(mut self) -> Ended {
        wait_until("the server ends", || self.process.try_wait().expect("a child").is_some());
        let status = self.process.wait().expect("a child");
        let mut stderr = String::new();
        let pipe = self.process.stderr.as_mut().expect("its errors are a pipe");
        pipe.read_to_string(&mut stderr).expect("its errors are text");
        Ended { status, stderr }
    }

    /// The number of open descriptors of the process.
    pub(crate) fn descriptors(&self) -> usize {
        let listed = std::fs::read_dir(format!("/proc/{}/fd", self.process.id()));
        listed.expect("the process runs").count()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Ok(None) = self.process.try_wait() {
            self.process.kill().expect("it runs");
            self.process.wait().expect("a child");
        }
    }
}

pub(crate) fn wait_until(what: &str, mut reached: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !reached() {
        assert!(begun.elapsed() < LIMIT, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// An answer with a body of known length, or one that ends with the connection.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    /// Reads an answer; `None` if the connection ends before its first byte.
    pub(crate) fn read(from: &mut impl BufRead) -> Option<Answer> {
        let mut head = String::new();
        loop {
            let before = head.len();
            if from.read_line(&mut head).ok()? == 0 {
                assert!(head.is_empty(), "cut within the head: {head:?}");
                return None;
            }
            if head[before..].trim().is_empty() {
                break;
            }
        }
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no status in {head:?}"));
        let lower = head.to_ascii_lowercase();
        let mut body = Vec::new();
        let length = lower.lines().find_map(|line| line.strip_prefix("content-length: "));
        if let Some(length) = length {
            body.resize(length.parse().expect("a length"), 0);
            from.read_exact(&mut body).expect("the whole body");
        } else if lower.contains("transfer-encoding: chunked") {
            read_chunks(from, &mut body);
        } else {
            from.read_to_end(&mut body).expect("the whole body");
        }
        let body = String::from_utf8(body).expect("text");
        Some(Answer { status, head: lower, body })
    }

    pub(crate) fn closes(&self) -> bool {
        self.head.contains("connection: close")
    }
}

fn read_chunks(from: &mut impl BufRead, body: &mut Vec<u8>) {
    loop {
        let mut line = String::new();
        from.read_line(&mut line).expect("a chunk");
        let length = usize::from_str_radix(line.trim(), 16).expect("the length of a chunk");
        let at = body.len();
        body.resize(at + length + 2, 0);
        from.read_exact(&mut body[at..]).expect("a whole chunk");
        body.truncate(at + length);
        if length == 0 {
            return;
        }
    }
}

/// Reads until the connection ends; how it ends does not matter.
pub(crate) fn read_to_end(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let begun = Instant::now();
    if let Err(error) = stream.read_to_end(&mut bytes) {
        let reset = error.kind() == std::io::ErrorKind::ConnectionReset;
        assert!(reset, "after {:?}: {error}", begun.elapsed());
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
