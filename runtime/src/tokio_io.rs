//! `tokio::io::{AsyncRead, AsyncWrite}` on streams and their halves. No runtime of tokio is needed for them.

use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::io::split::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};
use crate::io::stream::Duplex;
use crate::net::{TcpStream, UnixStream};
use crate::readiness::WaiterId;

/// Bytes of an uninitialised buffer that one read prepares: memory that the read does not fill is cleared in vain.
const PREPARED: usize = 64 * 1024;

macro_rules! read {
    ([$($generics:tt)*] $type:ty) => {
        impl<$($generics)*> AsyncRead for $type {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut TaskContext<'_>,
                buf: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                let wanted = buf.remaining().min(PREPARED);
                let unfilled = buf.initialize_unfilled_to(wanted);
                let bytes = ready!(self.source().poll_recv(cx, &mut WaiterId::slot(), unfilled))?;
                buf.advance(bytes);
                Poll::Ready(Ok(()))
            }
        }
    };
}

macro_rules! write {
    ([$($generics:tt)*] $type:ty, shut: |$this:ident| $shut:expr) => {
        impl<$($generics)*> AsyncWrite for $type {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut TaskContext<'_>,
                buf: &[u8],
            ) -> Poll<io::Result<usize>> {
                self.source().poll_send(cx, &mut WaiterId::slot(), buf)
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut TaskContext<'_>,
                bufs: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                self.source().poll_send_vectored(cx, &mut WaiterId::slot(), bufs)
            }

            fn is_write_vectored(&self) -> bool {
                true
            }

            /// A socket holds nothing back.
            fn poll_flush(self: Pin<&mut Self>, _cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }

            fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
                let $this = self.get_mut();
                Poll::Ready($shut)
            }
        }
    };
}

read!([] TcpStream);
read!([] UnixStream);
read!([S: Duplex] ReadHalf<'_, S>);
read!([S: Duplex] OwnedReadHalf<S>);

write!([] TcpStream, shut: |stream| stream.source().shut(Shutdown::Write));
write!([] UnixStream, shut: |stream| stream.source().shut(Shutdown::Write));
write!([S: Duplex] WriteHalf<'_, S>, shut: |half| half.shutdown());
write!([S: Duplex] OwnedWriteHalf<S>, shut: |half| half.shutdown());
