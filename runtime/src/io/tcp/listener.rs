//! TCP listeners.

use std::future::poll_fn;
use std::io;
use std::net::{self, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use futures_core::Stream;
use socket2::{Domain, Protocol, Socket, Type};

use super::TcpStream;
use crate::io::accept::{Incoming, Listener, Pause, PauseSlot};
use crate::io::addr::{ToSocketAddrs, resolve};
use crate::io::source::{Side, Source, more};
use crate::readiness::WaiterId;

/// Connections that may wait to be accepted. The system lowers it to its own limit.
const BACKLOG: i32 = 4096;

/// A TCP socket that listens for connections.
///
/// # Examples
///
/// ```no_run
/// use ramus::net::TcpListener;
///
/// # async fn serve() -> std::io::Result<()> {
/// let listener = TcpListener::bind("127.0.0.1:8080").await?;
/// loop {
///     let (mut stream, peer) = listener.accept().await?;
///     let greeting = async move { stream.write_all(format!("hello {peer}\n").as_bytes()).await };
///     drop(ramus::spawn(greeting));
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct TcpListener {
    // mio's listener accepts with the flags for non-blocking and close-on-exec in one call.
    source: Source<mio::net::TcpListener>,
    pause: PauseSlot,
}

impl TcpListener {
    /// Listens on the first of the addresses that can be bound, with `SO_REUSEADDR` and a backlog of 4096 connections
    /// (or the system's limit). Port 0 lets the system choose one.
    ///
    /// ```
    /// use ramus::net::TcpListener;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let runtime = ramus::Runtime::new()?;
    /// # runtime.block_on(async {
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// println!("listening on {}", listener.local_addr()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The error of the last address tried, such as a port in use, or of the resolver.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it either completes or has no effect.
    pub async fn bind(addr: impl ToSocketAddrs) -> io::Result<Self> {
        let mut last = None;
        for &addr in resolve(addr).await?.as_slice() {
            match bind_one(addr) {
                Ok(listener) => return Ok(Self::listening(listener)),
                Err(error) => last = Some(error),
            }
        }
        Err(last.expect("resolving gives at least one address"))
    }

    fn listening(listener: net::TcpListener) -> Self {
        Self { source: Source::new(mio::net::TcpListener::from_std(listener)), pause: PauseSlot::new() }
    }

    /// Waits for a connection.
    ///
    /// A connection that failed before it was accepted is passed over, and a shortage of descriptors or memory makes it
    /// pause and try again: neither ends a server.
    ///
    /// ```
    /// use ramus::net::{TcpListener, TcpStream};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let runtime = ramus::Runtime::new()?;
    /// # runtime.block_on(async {
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let _client = TcpStream::connect(listener.local_addr()?).await?;
    /// let (stream, peer) = listener.accept().await?;
    /// assert_eq!(stream.peer_addr()?, peer);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The listener itself is unusable; the runtime has shut down.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it either completes or has no effect. No connection gets lost.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let mut waiter = self.source.waiter(Side::Read);
        let mut pause = Pause::default();
        poll_fn(|cx| self.poll_accept_with(cx, &mut waiter.id, &mut pause)).await
    }

    /// [`accept`](Self::accept) as a poll function. The waker of the last call counts.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
    pub fn poll_accept(&self, cx: &mut TaskContext<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        self.pause.with(|pause| self.poll_accept_with(cx, &mut WaiterId::slot(), pause))
    }

    fn poll_accept_with(
        &self,
        cx: &mut TaskContext<'_>,
        id: &mut WaiterId,
        pause: &mut Pause,
    ) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        let accept = |cx: &mut TaskContext<'_>| self.source.poll(cx, Side::Read, id, |io| more(io.accept()));
        pause
            .poll(cx, || self.source.driver(), accept)
            .map_ok(|(stream, peer)| (TcpStream::accepted(stream.into()), peer))
    }

    /// The connections as an endless stream of `io::Result<TcpStream>`.
    ///
    /// ```
    /// # async fn serve(_: ramus::net::TcpStream) {}
    /// # async fn example(listener: ramus::net::TcpListener) -> std::io::Result<()> {
    /// use futures_util::StreamExt;
    ///
    /// let mut incoming = std::pin::pin!(listener.incoming());
    /// while let Some(connection) = incoming.next().await {
    ///     ramus::spawn(serve(connection?));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn incoming(&self) -> Incoming<'_, Self> {
        Incoming::new(self)
    }

    /// The address listened on.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.source.get().local_addr()
    }

    /// Time to live of the packets of accepted connections (`IP_TTL`), in hops.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn ttl(&self) -> io::Result<u32> {
        self.source.get().ttl()
    }

    /// Sets the time to live of the packets of accepted connections (`IP_TTL`), in hops.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.source.get().set_ttl(ttl)
    }

    /// Takes the pending error of the socket.
    ///
    /// # Errors
    ///
    /// What the system says about asking.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.source.get().take_error()
    }

    /// Takes over a listener of the standard library and sets it to non-blocking mode.
    ///
    /// ```
    /// use ramus::net::TcpListener;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let runtime = ramus::Runtime::new()?;
    /// # runtime.block_on(async {
    /// let bound = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// let listener = TcpListener::from_std(bound)?;
    /// # drop(listener);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The mode cannot be set.
    pub fn from_std(listener: net::TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self::listening(listener))
    }

    /// Leaves the runtime and gives the listener back, still in non-blocking mode.
    pub fn into_std(self) -> net::TcpListener {
        self.source.into_inner().into()
    }
}

fn bind_one(addr: SocketAddr) -> io::Result<net::TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    // Without it a restarted server could not bind its port for minutes.
    socket.set_reuse_address(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

impl Listener for TcpListener {
    type Accepted = TcpStream;

    fn poll_next_accepted(&self, cx: &mut TaskContext<'_>) -> Poll<io::Result<TcpStream>> {
        self.poll_accept(cx).map_ok(|(stream, _peer)| stream)
    }
}

impl Stream for TcpListener {
    type Item = io::Result<TcpStream>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        self.poll_next_accepted(cx).map(Some)
    }
}

crate::io::methods::descriptor_traits!(TcpListener, net::TcpListener);
