//! W11: a server that nobody calls.

use std::thread;
use std::time::Duration;

use super::Samples;
use crate::net::Server;
use crate::process::context_switches;

const SETTLE: Duration = Duration::from_millis(300);
const IDLE: Duration = Duration::from_secs(5);

pub(super) fn run(peer: &str) -> Result<Samples, String> {
    let server = Server::start("echo", peer)?;
    thread::sleep(SETTLE);
    let before = context_switches(server.pid())?;
    thread::sleep(IDLE);
    Ok(Samples::default().with("switches", context_switches(server.pid())? - before))
}
