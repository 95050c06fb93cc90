//! A server in a process of its own.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use super::{PEERS, strange};
use crate::process::cpu_seconds;

/// It ends with this value, and with this process.
pub struct Server {
    process: Child,
    address: SocketAddr,
}

impl Server {
    /// Starts this program again as a server, and waits until it listens.
    ///
    /// # Errors
    ///
    /// A line that says why it did not start.
    pub fn start(service: &str, peer: &str) -> Result<Server, String> {
        if !PEERS.contains(&peer) {
            return Err(strange(peer));
        }
        let failed = |error: std::io::Error| format!("the server did not start: {error}");
        let mut command = Command::new(std::env::current_exe().map_err(failed)?);
        command.args(["serve", service, peer]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().map_err(failed)?;
        let mut line = String::new();
        let out = process.stdout.take().expect("its output is a pipe");
        let read = BufReader::new(out).read_line(&mut line).map_err(failed);
        // From here on it is ended.
        let mut server = Server { process, address: ([127, 0, 0, 1], 0).into() };
        read?;
        server.address = line.trim().parse().map_err(|_| format!("the server said `{}`", line.trim()))?;
        Ok(server)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The number of its process.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Seconds of user and system time so far.
    ///
    /// # Errors
    ///
    /// A line that says why it is not known.
    pub fn cpu_seconds(&self) -> Result<f64, String> {
        cpu_seconds(self.pid())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It ends anyway when its standard input goes.
        let _killed = self.process.kill();
        let _ended = self.process.wait();
    }
}
