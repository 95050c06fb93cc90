//! The load: one thread, many connections, one message under way on each.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::Server;

/// How the end of a reply is found.
#[derive(Clone, Copy, Debug)]
pub enum Reply {
    /// It is what was sent.
    Same,
    /// It is an HTTP/1.1 response with status 200; all have the same length.
    Http,
}

/// What to send, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Load<'a> {
    /// How many at once.
    pub connections: usize,
    /// Sent again as soon as the reply to the last one is there.
    pub request: &'a [u8],
    /// What comes back.
    pub reply: Reply,
    /// Load before anything is measured.
    pub warm_up: Duration,
    /// What is measured.
    pub time: Duration,
}

/// What came out.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// User and system time of the server for each message.
    pub cpu_us: f64,
    /// From a message to the end of its reply, the median.
    pub p50_us: f64,
    /// The 99th percentile.
    pub p99_us: f64,
    /// Messages in a second.
    pub per_second: f64,
}

/// Without any reply for so long the server has failed.
const STALLED: Duration = Duration::from_secs(5);

impl Load<'_> {
    /// Puts the load on a server.
    ///
    /// # Errors
    ///
    /// A line that says what failed.
    pub fn drive(&self, server: &Server) -> Result<Figures, String> {
        let failed = |error: io::Error| format!("load on the server: {error}");
        let mut poll = Poll::new().map_err(failed)?;
        let mut clients = (0..self.connections)
            .map(|token| Client::connect(server.address(), &poll, Token(token)))
            .collect::<io::Result<Vec<_>>>()
            .map_err(failed)?;
        for client in &mut clients {
            client.send(self.request).map_err(failed)?;
        }
        self.rounds(self.warm_up, &mut poll, &mut clients).map_err(failed)?;
        let cpu = server.cpu_seconds()?;
        let begun = Instant::now();
        let mut latencies = self.rounds(self.time, &mut poll, &mut clients).map_err(failed)?;
        let took = begun.elapsed();
        let cpu = server.cpu_seconds()? - cpu;
        if latencies.is_empty() {
            return Err("the server answered nothing".into());
        }
        latencies.sort_unstable();
        let messages = latencies.len();
        Ok(Figures {
            cpu_us: cpu * 1e6 / messages as f64,
            p50_us: latencies[messages / 2] as f64 / 1e3,
            p99_us: latencies[messages * 99 / 100] as f64 / 1e3,
            per_second: messages as f64 / took.as_secs_f64(),
        })
    }

    /// Messages and replies for `time`; the nanoseconds of each.
    fn rounds(&self, time: Duration, poll: &mut Poll, clients: &mut [Client]) -> io::Result<Vec<u64>> {
        let mut latencies = Vec::new();
        let mut events = Events::with_capacity(1024);
        let end = Instant::now() + time;
        let mut now = Instant::now();
        while now < end {
            match poll.poll(&mut events, Some(STALLED)) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                polled => polled?,
            }
            if events.is_empty() {
                return Err(io::Error::new(ErrorKind::TimedOut, "no reply for 5 s"));
            }
            for event in &events {
                let client = &mut clients[event.token().0];
                if client.receive(self)? {
                    now = Instant::now();
                    latencies.push((now - client.sent).as_nanos() as u64);
                    client.send(self.request)?;
                }
            }
        }
        Ok(latencies)
    }
}

struct Client {
    stream: TcpStream,
    sent: Instant,
    /// Bytes of the reply so far.
    received: usize,
    /// The length of a reply, once it is known.
    length: Option<usize>,
    buffer: Box<[u8]>,
}

impl Client {
    fn connect(address: SocketAddr, poll: &Poll, token: Token) -> io::Result<Client> {
        let stream = std::net::TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        poll.registry().register(&mut stream, token, Interest::READABLE)?;
        let buffer = vec![0; 16 * 1024].into();
        Ok(Client { stream, sent: Instant::now(), received: 0, length: None, buffer })
    }

    fn send(&mut self, request: &[u8]) -> io::Result<()> {
        self.sent = Instant::now();
        self.received = 0;
        // Nothing else is in the socket's buffer, so a message fits.
        if self.stream.write(request)? == request.len() {
            Ok(())
        } else {
            Err(io::Error::new(ErrorKind::WriteZero, "a message does not fit"))
        }
    }

    /// Takes what is there; says whether the reply is complete.
    fn receive(&mut self, load: &Load<'_>) -> io::Result<bool> {
        loop {
            let room = &mut self.buffer[self.received..];
            let whole = room.len();
            let read = match self.stream.read(room) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.received += read;
            if self.is_complete(load)? {
                return Ok(true);
            }
            // The kernel says again when there is more.
            if read < whole {
                return Ok(false);
            }
        }
    }

    fn is_complete(&mut self, load: &Load<'_>) -> io::Result<bool> {
        let reply = &self.buffer[..self.received];
        if self.length.is_none() {
            self.length = match load.reply {
                Reply::Same => Some(load.request.len()),
                Reply::Http => http_length(reply),
            };
        }
        match self.length {
            Some(length) if self.received == length => {
                let as_expected = match load.reply {
                    Reply::Same => reply == load.request,
                    Reply::Http => reply.starts_with(b"HTTP/1.1 200 "),
                };
                if as_expected { Ok(true) } else { Err(io::Error::new(ErrorKind::InvalidData, "a wrong reply")) }
            }
            Some(length) if self.received > length => Err(io::Error::new(ErrorKind::InvalidData, "too long a reply")),
            _ => Ok(false),
        }
    }
}

/// The length of the response that begins with these bytes, if its head is complete.
fn http_length(reply: &[u8]) -> Option<usize> {
    const END: &[u8] = b"\r\n\r\n";
    let head = reply.windows(END.len()).position(|window| window == END)? + END.len();
    let text = std::str::from_utf8(&reply[..head]).ok()?.to_ascii_lowercase();
    let body = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok())?;
    Some(head + body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_a_response_is_read_from_its_head() {
        let reply = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel";
        assert_eq!(http_length(reply), Some(reply.len() + 2));
        assert_eq!(http_length(&reply[..30]), None);
        assert_eq!(http_length(b"HTTP/1.1 204 No Content\r\n\r\n"), None);
    }
}
