//! Byte streams: what TCP and Unix streams, their halves and the trait implementations have in common.

use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut, Read as _, Write as _};
use std::net::{self, Shutdown};
use std::os::fd::AsFd;
use std::os::unix;
use std::task::{Context as TaskContext, Poll};

use super::source::{Left, Side, Source, more, moved};
use crate::readiness::WaiterId;

/// The calls of a non-blocking byte stream of the standard library.
pub trait ByteStream: AsFd {
    /// A read of fewer bytes than asked for proves that the kernel's buffer is empty.
    const SHORT_READ_EMPTIES: bool;

    fn recv(&self, buf: &mut [u8]) -> io::Result<usize>;
    fn recv_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize>;
    fn send(&self, buf: &[u8]) -> io::Result<usize>;
    fn send_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize>;
    fn shut(&self, how: Shutdown) -> io::Result<()>;
}

macro_rules! byte_stream {
    ($type:ty, short_read_empties: $short:expr) => {
        impl ByteStream for $type {
            const SHORT_READ_EMPTIES: bool = $short;

            #[inline]
            fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
                (&*self).read(buf)
            }

            #[inline]
            fn recv_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
                (&*self).read_vectored(bufs)
            }

            #[inline]
            fn send(&self, buf: &[u8]) -> io::Result<usize> {
                (&*self).write(buf)
            }

            #[inline]
            fn send_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
                (&*self).write_vectored(bufs)
            }

            fn shut(&self, how: Shutdown) -> io::Result<()> {
                self.shutdown(how)
            }
        }
    };
}

// Urgent data ends a TCP read early too. What is behind it is then read at the next arrival or at the end of the
// stream: no service of ours sends or expects urgent data, and a peer that does delays its own connection only.
byte_stream!(net::TcpStream, short_read_empties: true);
// A Unix read also ends where the sender's credentials or passed descriptors change, with more behind it.
byte_stream!(unix::net::UnixStream, short_read_empties: false);

/// A stream type of this crate.
pub trait Duplex {
    /// The stream of the standard library in it.
    type Io: ByteStream;

    /// The descriptor and its readiness.
    fn source(&self) -> &Source<Self::Io>;
}

impl<T: ByteStream> Source<T> {
    #[inline]
    fn received(result: io::Result<usize>, wanted: usize) -> io::Result<(usize, Left)> {
        if T::SHORT_READ_EMPTIES { moved(result, wanted) } else { more(result) }
    }

    /// An empty buffer is filled at once: 0 bytes then say nothing about the end of the stream.
    #[inline]
    pub(crate) fn poll_recv(
        &self,
        cx: &mut TaskContext<'_>,
        id: &mut WaiterId,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let wanted = buf.len();
        self.poll_recv_with(cx, id, wanted, |io| io.recv(buf))
    }

    /// The read is `recv`, which asks for `wanted` bytes; not 0.
    #[inline]
    pub(crate) fn poll_recv_with(
        &self,
        cx: &mut TaskContext<'_>,
        id: &mut WaiterId,
        wanted: usize,
        mut recv: impl FnMut(&T) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        self.poll(cx, Side::Read, id, |io| Self::received(recv(io), wanted))
    }

    pub(crate) fn poll_recv_vectored(
        &self,
        cx: &mut TaskContext<'_>,
        id: &mut WaiterId,
        bufs: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        let wanted = bufs.iter().map(|buf| buf.len()).sum();
        if wanted == 0 {
            return Poll::Ready(Ok(0));
        }
        self.poll(cx, Side::Read, id, |io| Self::received(io.recv_vectored(bufs), wanted))
    }

    #[inline]
    pub(crate) fn poll_send(&self, cx: &mut TaskContext<'_>, id: &mut WaiterId, buf: &[u8]) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.poll(cx, Side::Write, id, |io| moved(io.send(buf), buf.len()))
    }

    #[inline]
    pub(crate) fn poll_send_vectored(
        &self,
        cx: &mut TaskContext<'_>,
        id: &mut WaiterId,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wanted = bufs.iter().map(|buf| buf.len()).sum();
        if wanted == 0 {
            return Poll::Ready(Ok(0));
        }
        // More slices than the system takes at once make a short write that fills nothing.
        self.poll(cx, Side::Write, id, |io| {
            let result = io.send_vectored(bufs);
            if bufs.len() > MOST_SLICES { more(result) } else { moved(result, wanted) }
        })
    }

    pub(crate) async fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        let mut waiter = self.waiter(Side::Read);
        poll_fn(|cx| self.poll_recv(cx, &mut waiter.id, buf)).await
    }

    pub(crate) async fn recv_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let mut waiter = self.waiter(Side::Read);
        poll_fn(|cx| self.poll_recv_vectored(cx, &mut waiter.id, bufs)).await
    }

    pub(crate) async fn send(&self, buf: &[u8]) -> io::Result<usize> {
        let mut waiter = self.waiter(Side::Write);
        poll_fn(|cx| self.poll_send(cx, &mut waiter.id, buf)).await
    }

    pub(crate) async fn send_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut waiter = self.waiter(Side::Write);
        poll_fn(|cx| self.poll_send_vectored(cx, &mut waiter.id, bufs)).await
    }

    pub(crate) fn try_recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        self.attempt(Side::Read, |io| Self::received(io.recv(buf), buf.len()))
    }

    pub(crate) fn try_send(&self, buf: &[u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        self.attempt(Side::Write, |io| moved(io.send(buf), buf.len()))
    }

    /// A peer that has gone already has no direction left to be shut: that is no error.
    pub(crate) fn shut(&self, how: Shutdown) -> io::Result<()> {
        match self.get().shut(how) {
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            result => result,
        }
    }
}

/// Slices that every supported system takes in one vectored call (`IOV_MAX` is 1024, or 16 on the oldest).
const MOST_SLICES: usize = 16;
