//! `write_all` and `read_exact`: futures that know how far they have come.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, ready};

use super::source::{Side, Source, Waiter};
use super::stream::Duplex;
use super::tcp::TcpStream;

/// The future of `write_all`. Polled by reference, it tells how far it came when something else ended the wait.
///
/// ```
/// use std::pin::pin;
/// use std::time::Duration;
/// use ramus::net::{TcpListener, TcpStream};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let runtime = ramus::Runtime::new()?;
/// # runtime.block_on(async {
/// # let listener = TcpListener::bind("127.0.0.1:0").await?;
/// # let mut client = TcpStream::connect(listener.local_addr()?).await?;
/// # let (_peer, _) = listener.accept().await?;
/// let bytes = vec![0; 64 << 20]; // the peer does not read
/// let mut write = pin!(client.write_all(&bytes));
/// if ramus::timeout(Duration::from_millis(20), &mut write).await.is_err() {
///     println!("{} bytes are on their way, the others are not", write.written());
///     assert!(write.written() > 0);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })
/// # }
/// ```
#[must_use = "futures do nothing unless they are polled"]
pub struct WriteAll<'a, S: Duplex = TcpStream> {
    source: &'a Source<S::Io>,
    buf: &'a [u8],
    written: usize,
    waiter: Waiter<'a>,
}

impl<'a, S: Duplex> WriteAll<'a, S> {
    pub(super) fn new(source: &'a Source<S::Io>, buf: &'a [u8]) -> Self {
        Self { source, buf, written: 0, waiter: source.waiter(Side::Write) }
    }

    /// Bytes that the system has taken so far.
    pub fn written(&self) -> usize {
        self.written
    }
}

impl<S: Duplex> Future for WriteAll<'_, S> {
    type Output = Result<(), WriteAllError>;

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        while this.written < this.buf.len() {
            let rest = &this.buf[this.written..];
            let error = match ready!(this.source.poll_send(cx, &mut this.waiter.id, rest)) {
                Ok(0) => io::ErrorKind::WriteZero.into(),
                Ok(bytes) => {
                    this.written += bytes;
                    continue;
                }
                Err(error) => error,
            };
            return Poll::Ready(Err(WriteAllError { written: this.written, error }));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: Duplex> fmt::Debug for WriteAll<'_, S> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("WriteAll").field("written", &self.written).field("of", &self.buf.len()).finish()
    }
}

// Nothing points into it.
impl<S: Duplex> Unpin for WriteAll<'_, S> {}

/// The future of `read_exact`. Polled by reference, it tells how far it came when something else ended the wait.
///
/// ```
/// use std::pin::pin;
/// use std::time::Duration;
/// use ramus::net::{TcpListener, TcpStream};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let runtime = ramus::Runtime::new()?;
/// # runtime.block_on(async {
/// # let listener = TcpListener::bind("127.0.0.1:0").await?;
/// # let mut client = TcpStream::connect(listener.local_addr()?).await?;
/// # let (mut peer, _) = listener.accept().await?;
/// client.write_all(b"half").await?;
/// let mut frame = [0; 8];
/// let filled = {
///     let mut read = pin!(peer.read_exact(&mut frame));
///     let late = ramus::timeout(Duration::from_millis(20), &mut read).await;
///     assert!(late.is_err());
///     read.filled()
/// };
/// // What came is not lost: go on, or hand it to somebody else.
/// assert_eq!(&frame[..filled], b"half");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })
/// # }
/// ```
#[must_use = "futures do nothing unless they are polled"]
pub struct ReadExact<'a, S: Duplex = TcpStream> {
    source: &'a Source<S::Io>,
    buf: &'a mut [u8],
    filled: usize,
    waiter: Waiter<'a>,
}

impl<'a, S: Duplex> ReadExact<'a, S> {
    pub(super) fn new(source: &'a Source<S::Io>, buf: &'a mut [u8]) -> Self {
        Self { source, buf, filled: 0, waiter: source.waiter(Side::Read) }
    }

    /// Bytes at the front of the buffer that were read so far.
    pub fn filled(&self) -> usize {
        self.filled
    }
}

impl<S: Duplex> Future for ReadExact<'_, S> {
    type Output = io::Result<()>;

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.filled < this.buf.len() {
            let rest = &mut this.buf[this.filled..];
            match ready!(this.source.poll_recv(cx, &mut this.waiter.id, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                bytes => this.filled += bytes,
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: Duplex> fmt::Debug for ReadExact<'_, S> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("ReadExact").field("filled", &self.filled).field("of", &self.buf.len()).finish()
    }
}

// Nothing points into it.
impl<S: Duplex> Unpin for ReadExact<'_, S> {}

/// The error of `write_all`: what went wrong, and how many bytes had been written before.
///
/// Turns into an [`io::Error`] with `?`.
///
/// ```
/// use ramus::net::{TcpListener, TcpStream};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let runtime = ramus::Runtime::new()?;
/// # runtime.block_on(async {
/// # let listener = TcpListener::bind("127.0.0.1:0").await?;
/// # let mut client = TcpStream::connect(listener.local_addr()?).await?;
/// # let (_stream, _) = listener.accept().await?;
/// if let Err(error) = client.write_all(b"hello").await {
///     eprintln!("{error}, after {} bytes", error.written());
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })
/// # }
/// ```
#[derive(Debug)]
pub struct WriteAllError {
    written: usize,
    error: io::Error,
}

impl WriteAllError {
    /// Bytes that the system took before the error.
    pub fn written(&self) -> usize {
        self.written
    }

    /// What went wrong.
    pub fn error(&self) -> &io::Error {
        &self.error
    }
}

impl fmt::Display for WriteAllError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "after {} bytes: {}", self.written, self.error)
    }
}

impl Error for WriteAllError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}

impl From<WriteAllError> for io::Error {
    fn from(error: WriteAllError) -> Self {
        error.error
    }
}
