//! The servers of W9 and W10, and the load on them.

mod epoll;
mod load;
mod ramus;
mod server;
mod smol;
mod tokio;
#[cfg(feature = "thread-per-core")]
mod uring;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::Duration;

use http_body_util::Full;
use hyper::Response;
use hyper::body::Bytes;
use socket2::{Domain, Socket, Type};

pub use load::{Figures, Load, Reply};
pub use server::Server;

use crate::{AsyncExecutor, Peer, Smol, Tokio, TokioGroup, WORKERS};

/// The peers that serve. `epoll` is no runtime: a loop per thread with the least work that does the job.
pub const PEERS: &[&str] = &[
    "ramus",
    "tokio",
    #[cfg(tokio_unstable)]
    "tokio-alt",
    "async-executor",
    "smol",
    "epoll",
    #[cfg(feature = "thread-per-core")]
    "monoio",
    #[cfg(feature = "thread-per-core")]
    "compio",
];

const SERVICES: [&str; 4] = ["echo", "hello", "suspend", "timeout"];

/// The longest message that is echoed in one piece.
const BUFFER: usize = 16 * 1024;
/// On requests of W10.
const TIMEOUT: Duration = Duration::from_secs(30);
const HELLO: &[u8] = b"Hello, World!";

/// What a server does.
#[derive(Clone, Copy, Debug)]
enum Service {
    /// Sends back what it receives.
    Echo,
    /// Answers HTTP/1.1 requests with a short text.
    Http(Handler),
}

/// What happens before the answer.
#[derive(Clone, Copy, Debug)]
enum Handler {
    /// Nothing.
    Plain,
    /// The handler suspends once.
    Suspend,
    /// It suspends once, under a time-out.
    Timeout,
}

impl Handler {
    async fn handle<P: Peer>(self, peer: P) -> Response<Full<Bytes>> {
        match self {
            Handler::Plain => {}
            Handler::Suspend => peer.yield_now().await,
            Handler::Timeout => assert!(peer.timeout(TIMEOUT, peer.yield_now()).await, "a yield does not take 30 s"),
        }
        hello()
    }
}

fn hello() -> Response<Full<Bytes>> {
    Response::new(Full::new(Bytes::from_static(HELLO)))
}

/// Serves on a free port, which is printed, until the standard input is closed: then the process ends.
///
/// # Errors
///
/// A line that says what is not known, or what failed.
pub fn serve(service: &str, peer: &str) -> Result<(), String> {
    let what = match service {
        "echo" => Service::Echo,
        "hello" => Service::Http(Handler::Plain),
        "suspend" => Service::Http(Handler::Suspend),
        "timeout" => Service::Http(Handler::Timeout),
        other => return Err(format!("unknown service `{other}`; there are {}", SERVICES.join(", "))),
    };
    if !PEERS.contains(&peer) {
        return Err(strange(peer));
    }
    let listener = listen().map_err(|error| format!("no port to listen on: {error}"))?;
    thread::spawn(|| {
        // Whatever comes is as good as the end.
        let _read = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    let served = match peer {
        "ramus" => ramus::serve(what, listener),
        "tokio" => tokio::serve(Tokio::start(WORKERS, TokioGroup::Handles), what, listener),
        #[cfg(tokio_unstable)]
        "tokio-alt" => tokio::serve(Tokio::start_alt_timer(WORKERS, TokioGroup::Handles), what, listener),
        "async-executor" => smol::serve(AsyncExecutor::start(WORKERS), what, listener),
        "smol" => smol::serve(Smol::<async_executor::Executor<'static>>::start(WORKERS), what, listener),
        "epoll" => epoll::serve(what, listener),
        #[cfg(feature = "thread-per-core")]
        "monoio" => uring::monoio(what, listener),
        #[cfg(feature = "thread-per-core")]
        "compio" => uring::compio(what, listener),
        other => return Err(strange(other)),
    };
    served.map_err(|error| format!("{peer}: {error}"))
}

fn strange(peer: &str) -> String {
    format!("unknown peer `{peer}` for a server; there are {}", PEERS.join(", "))
}

/// On a free port, which is printed.
fn listen() -> std::io::Result<TcpListener> {
    let listener = listen_on(([127, 0, 0, 1], 0).into())?;
    println!("{}", listener.local_addr()?);
    std::io::stdout().flush()?;
    Ok(listener)
}

/// Non-blocking, and with room for all connections at once: one that finds none is made to wait for a second. Several may
/// listen on the same port; the kernel shares the connections out among them.
fn listen_on(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    socket.listen(4096)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}
