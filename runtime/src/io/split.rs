//! The halves of a stream: borrowed ones cost nothing, owned ones share it.
//!
//! Each half uses only its own direction of the readiness, so two tasks never take each other's place.

use std::error::Error;
use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::Shutdown;
use std::task::{Context as TaskContext, Poll};

use super::methods::{reading_methods, writing_methods};
use super::source::{Side, Source};
use super::stream::Duplex;
use super::tcp::TcpStream;
use super::whole::{ReadExact, WriteAll};
use crate::readiness::WaiterId;
use crate::sync::Arc;

/// The reading half of a stream, borrowed: made by `split`.
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
/// // Both halves borrow the stream: for two futures of one task.
/// let (mut read, mut write) = stream.split();
/// let mut buffer = [0; 5];
/// read.read_exact(&mut buffer).await?;
/// write.write_all(&buffer).await?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })
/// # }
/// ```
#[derive(Debug)]
pub struct ReadHalf<'a, S: Duplex = TcpStream> {
    stream: &'a S,
}

/// The writing half of a stream, borrowed: made by `split`.
#[derive(Debug)]
pub struct WriteHalf<'a, S: Duplex = TcpStream> {
    stream: &'a S,
}

/// The reading half of a stream, owned: made by `into_split`.
///
/// ```
/// use ramus::net::{TcpListener, TcpStream};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let runtime = ramus::Runtime::new()?;
/// # runtime.block_on(async {
/// # let listener = TcpListener::bind("127.0.0.1:0").await?;
/// # let mut client = TcpStream::connect(listener.local_addr()?).await?;
/// # let (stream, _) = listener.accept().await?;
/// // Each half may go to a task of its own.
/// let (mut read, mut write) = stream.into_split();
/// let echo = ramus::spawn(async move {
///     let mut buffer = [0; 64];
///     let n = read.read(&mut buffer).await?;
///     write.write_all(&buffer[..n]).await?;
///     std::io::Result::Ok(read.reunite(write).is_ok())
/// });
/// client.write_all(b"hello").await?;
/// let mut answer = [0; 5];
/// client.read_exact(&mut answer).await?;
/// assert_eq!(&answer, b"hello");
/// assert!(echo.await??);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })
/// # }
/// ```
#[derive(Debug)]
pub struct OwnedReadHalf<S: Duplex = TcpStream> {
    stream: Arc<S>,
}

/// The writing half of a stream, owned: made by `into_split`. Dropping it shuts the writing direction down.
#[derive(Debug)]
pub struct OwnedWriteHalf<S: Duplex = TcpStream> {
    stream: Arc<S>,
    shut_on_drop: bool,
}

impl<'a, S: Duplex> ReadHalf<'a, S> {
    pub(crate) fn new(stream: &'a S) -> Self {
        Self { stream }
    }

    pub(crate) fn source(&self) -> &Source<S::Io> {
        self.stream.source()
    }

    reading_methods!(S);
}

impl<'a, S: Duplex> WriteHalf<'a, S> {
    pub(crate) fn new(stream: &'a S) -> Self {
        Self { stream }
    }

    pub(crate) fn source(&self) -> &Source<S::Io> {
        self.stream.source()
    }

    /// Shuts the writing direction down: the peer reads the end of the stream.
    ///
    /// # Errors
    ///
    /// What the system says; a peer that has gone is no error.
    pub fn shutdown(&mut self) -> io::Result<()> {
        self.source().shut(Shutdown::Write)
    }

    writing_methods!(S);
}

impl<S: Duplex> OwnedReadHalf<S> {
    pub(crate) fn new(stream: Arc<S>) -> Self {
        Self { stream }
    }

    pub(crate) fn source(&self) -> &Source<S::Io> {
        self.stream.source()
    }

    /// Puts the two halves of one stream together again.
    ///
    /// # Errors
    ///
    /// The halves are of different streams; the error gives them back.
    pub fn reunite(self, write: OwnedWriteHalf<S>) -> Result<S, ReuniteError<S>> {
        if !Arc::ptr_eq(&self.stream, &write.stream) {
            return Err(ReuniteError { read: self, write });
        }
        let stream = Arc::clone(&self.stream);
        write.forget();
        drop(self);
        Ok(Arc::try_unwrap(stream).ok().expect("a stream has two owners, its halves, and both have just been dropped"))
    }

    /// The whole stream, to look at its addresses and options.
    pub fn as_stream(&self) -> &S {
        &self.stream
    }

    reading_methods!(S);
}

impl<S: Duplex> Drop for OwnedReadHalf<S> {
    fn drop(&mut self) {
        self.source().forget_slot(Side::Read);
    }
}

impl<S: Duplex> OwnedWriteHalf<S> {
    pub(crate) fn new(stream: Arc<S>) -> Self {
        Self { stream, shut_on_drop: true }
    }

    pub(crate) fn source(&self) -> &Source<S::Io> {
        self.stream.source()
    }

    /// Shuts the writing direction down: the peer reads the end of the stream.
    ///
    /// # Errors
    ///
    /// What the system says; a peer that has gone is no error.
    pub fn shutdown(&mut self) -> io::Result<()> {
        self.shut_on_drop = false;
        self.source().shut(Shutdown::Write)
    }

    /// Drops this half without shutting the writing direction down.
    pub fn forget(mut self) {
        self.shut_on_drop = false;
    }

    /// Puts the two halves of one stream together again.
    ///
    /// # Errors
    ///
    /// The halves are of different streams; the error gives them back.
    pub fn reunite(self, read: OwnedReadHalf<S>) -> Result<S, ReuniteError<S>> {
        read.reunite(self)
    }

    /// The whole stream, to look at its addresses and options.
    pub fn as_stream(&self) -> &S {
        &self.stream
    }

    writing_methods!(S);
}

impl<S: Duplex> Drop for OwnedWriteHalf<S> {
    fn drop(&mut self) {
        self.source().forget_slot(Side::Write);
        if self.shut_on_drop {
            // A half that goes away has nobody to tell about an error.
            let _ = self.source().shut(Shutdown::Write);
        }
    }
}

impl OwnedReadHalf<TcpStream> {
    /// As [`read`](Self::read), but what was read stays to be read again.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it either completes or has no effect.
    pub async fn peek(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.stream.peek(buf).await
    }
}

impl ReadHalf<'_, TcpStream> {
    /// As [`read`](Self::read), but what was read stays to be read again.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it either completes or has no effect.
    pub async fn peek(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.stream.peek(buf).await
    }
}

/// Two halves that were to be put together are of different streams.
#[derive(Debug)]
pub struct ReuniteError<S: Duplex = TcpStream> {
    read: OwnedReadHalf<S>,
    write: OwnedWriteHalf<S>,
}

impl<S: Duplex> ReuniteError<S> {
    /// Gives both halves back.
    pub fn into_halves(self) -> (OwnedReadHalf<S>, OwnedWriteHalf<S>) {
        (self.read, self.write)
    }
}

impl<S: Duplex> fmt::Display for ReuniteError<S> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("the two halves are of different streams")
    }
}

impl<S: Duplex + fmt::Debug> Error for ReuniteError<S> {}
