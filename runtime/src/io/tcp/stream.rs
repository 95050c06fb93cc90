//! TCP connections.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{self, Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::io::addr::{ToSocketAddrs, resolve};
use crate::io::methods::{descriptor_traits, reading_methods, stream_methods, writing_methods};
use crate::io::source::{Side, Source, more};
use crate::io::split::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};
use crate::io::stream::Duplex;
use crate::io::whole::{ReadExact, WriteAll};
use crate::readiness::WaiterId;
use crate::sync::Arc;

/// A TCP connection.
///
/// It belongs to no runtime until an operation has to wait for the first time; then it is registered with the runtime of
/// the task that waits, and when that has shut down every operation that would wait fails. Dropping the stream closes
/// it.
///
/// # Examples
///
/// ```
/// use ramus::net::{TcpListener, TcpStream};
///
/// # fn main() -> std::io::Result<()> {
/// ramus::Runtime::new()?.block_on(async {
///     let listener = TcpListener::bind("127.0.0.1:0").await?;
///     let mut client = TcpStream::connect(listener.local_addr()?).await?;
///     let (mut server, _peer) = listener.accept().await?;
///
///     client.write_all(b"ping").await?;
///     let mut buf = [0; 4];
///     server.read_exact(&mut buf).await?;
///     assert_eq!(&buf, b"ping");
///     Ok(())
/// })
/// # }
/// ```
#[derive(Debug)]
pub struct TcpStream {
    source: Source<net::TcpStream>,
}

impl Duplex for TcpStream {
    type Io = net::TcpStream;

    #[inline]
    fn source(&self) -> &Source<net::TcpStream> {
        &self.source
    }
}

impl TcpStream {
    /// Connects to the first of the addresses that answers; they are tried in order.
    ///
    /// ```
    /// use ramus::net::{TcpListener, TcpStream};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let runtime = ramus::Runtime::new()?;
    /// # runtime.block_on(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let address = listener.local_addr()?;
    /// let mut stream = TcpStream::connect(address).await?;
    /// stream.write_all(b"hello").await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The error of the last address tried, or of the resolver.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it either completes or has no effect. A connection under way is closed.
    pub async fn connect(addr: impl ToSocketAddrs) -> io::Result<Self> {
        let mut last = None;
        for &addr in resolve(addr).await?.as_slice() {
            match Self::connect_one(addr).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = Some(error),
            }
        }
        Err(last.expect("resolving gives at least one address"))
    }

    async fn connect_one(addr: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        let source = match socket.connect(&addr.into()) {
            Ok(()) => Source::new(net::TcpStream::from(socket)),
            Err(error) if matches!(error.raw_os_error(), Some(libc::EINPROGRESS | libc::EINTR)) => {
                let source = Source::connecting(net::TcpStream::from(socket));
                finish_connect(&source).await?;
                source
            }
            Err(error) => return Err(error),
        };
        Ok(Self { source })
    }

    /// Takes over a connection that is in non-blocking mode already.
    pub(super) fn accepted(stream: net::TcpStream) -> Self {
        Self { source: Source::new(stream) }
    }

    /// As [`read`](Self::read), but what was read stays to be read again.
    ///
    /// ```
    /// use ramus::net::{TcpListener, TcpStream};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let runtime = ramus::Runtime::new()?;
    /// # runtime.block_on(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let mut client = TcpStream::connect(listener.local_addr()?).await?;
    /// # let (mut stream, _) = listener.accept().await?;
    /// client.write_all(b"hello").await?;
    /// let mut buffer = [0; 1];
    /// assert_eq!(stream.peek(&mut buffer).await?, 1);
    /// // It is still there:
    /// assert_eq!(stream.read(&mut buffer).await?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it either completes or has no effect.
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.source.run(Side::Read, |io| more(io.peek(buf))).await
    }

    /// [`peek`](Self::peek) as a poll function. The waker of the last `poll_*` call that reads counts.
    ///
    /// # Errors
    ///
    /// As [`peek`](Self::peek).
    pub fn poll_peek(&self, cx: &mut TaskContext<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.source.poll(cx, Side::Read, &mut WaiterId::slot(), |io| more(io.peek(buf)))
    }

    /// The own address.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.source.get().local_addr()
    }

    /// The address of the other end.
    ///
    /// # Errors
    ///
    /// What the system says, such as that the connection is gone.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.source.get().peer_addr()
    }

    /// True if small writes are sent at once (`TCP_NODELAY`).
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.source.get().nodelay()
    }

    /// Sends small writes at once instead of collecting them (`TCP_NODELAY`).
    ///
    /// ```
    /// use ramus::net::{TcpListener, TcpStream};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let runtime = ramus::Runtime::new()?;
    /// # runtime.block_on(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let _client = TcpStream::connect(listener.local_addr()?).await?;
    /// # let (stream, _) = listener.accept().await?;
    /// stream.set_nodelay(true)?;
    /// assert!(stream.nodelay()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.source.get().set_nodelay(nodelay)
    }

    /// How long closing keeps trying to send what is left (`SO_LINGER`), in whole seconds.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        SockRef::from(self).linger()
    }

    /// Sets `SO_LINGER`, in whole seconds. Zero makes closing reset the connection; other values make *closing block the
    /// worker*.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        SockRef::from(self).set_linger(linger)
    }

    /// Time to live of the packets sent (`IP_TTL`), in hops.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn ttl(&self) -> io::Result<u32> {
        self.source.get().ttl()
    }

    /// Sets the time to live of the packets sent (`IP_TTL`), in hops.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.source.get().set_ttl(ttl)
    }

    reading_methods!(Self);
    writing_methods!(Self);
    stream_methods!(net::TcpStream);
}

/// Waits until the connection is made or has failed. Being writable alone says neither.
async fn finish_connect(source: &Source<net::TcpStream>) -> io::Result<()> {
    loop {
        source.ready(Side::Write).await?;
        if let Some(error) = source.get().take_error()? {
            return Err(error);
        }
        match source.get().peer_addr() {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotConnected => source.clear(Side::Write),
            Err(error) => return Err(error),
        }
    }
}

descriptor_traits!(TcpStream, net::TcpStream);

impl From<TcpStream> for OwnedFd {
    fn from(stream: TcpStream) -> Self {
        stream.into_std().into()
    }
}
