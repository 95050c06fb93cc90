//! W9, W10: a server in a process of its own, under load from this one.

use std::time::Duration;

use super::{Samples, Scale};
use crate::net::{Load, Reply, Server};

/// A service and the load on it.
pub(super) struct Network {
    service: &'static str,
    connections: usize,
    request: Vec<u8>,
    reply: Reply,
}

impl Network {
    /// W9.
    pub(super) fn echo(connections: usize, bytes: usize) -> Network {
        let request: Vec<u8> = (0..bytes).map(|i| i as u8).collect();
        Network { service: "echo", connections, reply: Reply::Same, request }
    }

    /// W10.
    pub(super) fn http(service: &'static str) -> Network {
        let request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec();
        Network { service, connections: 64, request, reply: Reply::Http }
    }

    pub(super) fn run(&self, peer: &str, scale: Scale) -> Result<Samples, String> {
        let server = Server::start(self.service, peer)?;
        let load = Load {
            connections: self.connections,
            request: &self.request,
            reply: self.reply,
            warm_up: Duration::from_millis(scale.pick(1000, 200)),
            time: Duration::from_millis(scale.pick(4000, 1000)),
        };
        let figures = load.drive(&server)?;
        Ok(Samples::default()
            .with("cpu_us", figures.cpu_us)
            .with("p50_us", figures.p50_us)
            .with("p99_us", figures.p99_us)
            .with("per_second", figures.per_second))
    }
}
