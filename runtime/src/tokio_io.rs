//! `tokio::io::{AsyncRead, AsyncWrite}` on streams and their halves. No runtime of tokio is needed for them.

use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::io::split::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};
use crate::io::stream::Duplex;
use crate::net::{TcpStream, UnixStream};
use crate::poll_write::poll_write;
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

read!([] TcpStream);
read!([] UnixStream);
read!([S: Duplex] ReadHalf<'_, S>);
read!([S: Duplex] OwnedReadHalf<S>);

poll_write!(AsyncWrite, [] TcpStream, shut: |stream| stream.source().shut(Shutdown::Write));
poll_write!(AsyncWrite, [] UnixStream, shut: |stream| stream.source().shut(Shutdown::Write));
poll_write!(AsyncWrite, [S: Duplex] WriteHalf<'_, S>, shut: |half| half.shutdown());
poll_write!(AsyncWrite, [S: Duplex] OwnedWriteHalf<S>, shut: |half| half.shutdown());
