//! Unix domain connections.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::{self, SocketAddr};
use std::path::Path;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};

use crate::context;
use crate::io::methods::{descriptor_traits, reading_methods, stream_methods, writing_methods};
use crate::io::source::{Side, Source, more};
use crate::io::split::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};
use crate::io::stream::Duplex;
use crate::io::whole::{ReadExact, WriteAll};
use crate::readiness::WaiterId;
use crate::sync::Arc;

/// Pauses of `connect` while the listener's backlog is full; the system has no event for its end.
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_millis(50);

/// A Unix domain connection.
///
/// # Examples
///
/// ```
/// use ramus::net::UnixStream;
///
/// # fn main() -> std::io::Result<()> {
/// ramus::Runtime::new()?.block_on(async {
///     let (mut here, mut there) = UnixStream::pair()?;
///     here.write_all(b"ping").await?;
///     let mut buf = [0; 4];
///     there.read_exact(&mut buf).await?;
///     assert_eq!(&buf, b"ping");
///     Ok(())
/// })
/// # }
/// ```
#[derive(Debug)]
pub struct UnixStream {
    source: Source<net::UnixStream>,
}

impl Duplex for UnixStream {
    type Io = net::UnixStream;

    #[inline]
    fn source(&self) -> &Source<net::UnixStream> {
        &self.source
    }
}

impl UnixStream {
    /// Connects to the listener at `path`. While its backlog is full this waits and tries again.
    ///
    /// ```
    /// # async fn example() -> std::io::Result<()> {
    /// let stream = ramus::net::UnixStream::connect("/run/service.sock").await?;
    /// # drop(stream);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// What the system says, such as that nobody listens there.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it either completes or has no effect.
    pub async fn connect(path: impl AsRef<Path>) -> io::Result<Self> {
        let addr = SockAddr::unix(path)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        let mut pause = SHORTEST;
        loop {
            match socket.connect(&addr) {
                Ok(()) => {
                    return Ok(Self { source: Source::new(OwnedFd::from(socket).into()) });
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    context::timer()?.sleep(pause).await;
                    pause = (pause * 2).min(LONGEST);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Two connected streams.
    ///
    /// ```
    /// use ramus::net::UnixStream;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let runtime = ramus::Runtime::new()?;
    /// # runtime.block_on(async {
    /// let (mut a, mut b) = UnixStream::pair()?;
    /// a.write_all(b"hello").await?;
    /// let mut buffer = [0; 5];
    /// b.read_exact(&mut buffer).await?;
    /// assert_eq!(&buffer, b"hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// What the system says, such as that there are no descriptors left.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (one, other) = net::UnixStream::pair()?;
        Ok((Self::from_std(one)?, Self::from_std(other)?))
    }

    /// Takes over a connection that is in non-blocking mode already.
    pub(super) fn accepted(stream: net::UnixStream) -> Self {
        Self { source: Source::new(stream) }
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
    /// What the system says.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.source.get().peer_addr()
    }

    reading_methods!(Self);
    writing_methods!(Self);
    stream_methods!(net::UnixStream);
}

descriptor_traits!(UnixStream, net::UnixStream);

impl From<UnixStream> for OwnedFd {
    fn from(stream: UnixStream) -> Self {
        stream.into_std().into()
    }
}
