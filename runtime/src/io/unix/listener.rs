//! Unix domain listeners.

use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::net::{self, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use futures_core::Stream;

use super::UnixStream;
use crate::io::accept::{Incoming, Listener, Pause, PauseSlot};
use crate::io::source::{Side, Source, more};
use crate::readiness::WaiterId;

/// A Unix domain socket that listens for connections.
///
/// As in the standard library the file is not removed when the listener is dropped, and binding to a path that exists
/// fails: remove it first.
///
/// # Examples
///
/// ```
/// use ramus::net::{UnixListener, UnixStream};
///
/// # fn main() -> std::io::Result<()> {
/// # let path = std::env::temp_dir().join(format!("ramus-doc-{}.sock", std::process::id()));
/// ramus::Runtime::new()?.block_on(async {
///     let listener = UnixListener::bind(&path)?;
///     let _client = UnixStream::connect(&path).await?;
///     let (_server, _peer) = listener.accept().await?;
///     std::fs::remove_file(&path)
/// })
/// # }
/// ```
#[derive(Debug)]
pub struct UnixListener {
    // mio's listener accepts with the flags for non-blocking and close-on-exec in one call.
    source: Source<mio::net::UnixListener>,
    pause: PauseSlot,
}

impl UnixListener {
    /// Listens at `path`.
    ///
    /// ```
    /// # async fn example() -> std::io::Result<()> {
    /// let listener = ramus::net::UnixListener::bind("/run/service.sock")?;
    /// let (stream, _peer) = listener.accept().await?;
    /// # drop(stream);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// What the system says, such as that the path exists.
    pub fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::from_std(net::UnixListener::bind(path)?)
    }

    /// Waits for a connection.
    ///
    /// A connection that failed before it was accepted is passed over, and a shortage of descriptors or memory makes it
    /// pause and try again: neither ends a server.
    ///
    /// # Errors
    ///
    /// The listener itself is unusable; the runtime has shut down.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it either completes or has no effect. No connection gets lost.
    pub async fn accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        let mut waiter = self.source.waiter(Side::Read);
        let mut pause = Pause::default();
        poll_fn(|cx| self.poll_accept_with(cx, &mut waiter.id, &mut pause)).await
    }

    /// [`accept`](Self::accept) as a poll function. The waker of the last call counts.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
    pub fn poll_accept(&self, cx: &mut TaskContext<'_>) -> Poll<io::Result<(UnixStream, SocketAddr)>> {
        self.pause.with(|pause| self.poll_accept_with(cx, &mut WaiterId::slot(), pause))
    }

    fn poll_accept_with(
        &self,
        cx: &mut TaskContext<'_>,
        id: &mut WaiterId,
        pause: &mut Pause,
    ) -> Poll<io::Result<(UnixStream, SocketAddr)>> {
        let accept = |cx: &mut TaskContext<'_>| self.source.poll(cx, Side::Read, id, |io| more(io.accept()));
        pause
            .poll(cx, || self.source.driver(), accept)
            .map_ok(|(stream, peer)| (UnixStream::accepted(stream.into()), peer))
    }

    /// The connections as an endless stream of `io::Result<UnixStream>`.
    pub fn incoming(&self) -> Incoming<'_, Self> {
        Incoming::new(self)
    }

    /// The address listened at.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.source.get().local_addr()
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
    /// # Errors
    ///
    /// The mode cannot be set.
    pub fn from_std(listener: net::UnixListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self { source: Source::new(mio::net::UnixListener::from_std(listener)), pause: PauseSlot::new() })
    }

    /// Leaves the runtime and gives the listener back, still in non-blocking mode.
    pub fn into_std(self) -> net::UnixListener {
        self.source.into_inner().into()
    }
}

impl Listener for UnixListener {
    type Accepted = UnixStream;

    fn poll_next_accepted(&self, cx: &mut TaskContext<'_>) -> Poll<io::Result<UnixStream>> {
        self.poll_accept(cx).map_ok(|(stream, _peer)| stream)
    }
}

impl Stream for UnixListener {
    type Item = io::Result<UnixStream>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        self.poll_next_accepted(cx).map(Some)
    }
}

crate::io::methods::descriptor_traits!(UnixListener, net::UnixListener);
