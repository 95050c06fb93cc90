//! `futures_io::{AsyncRead, AsyncWrite}` on streams, on references to streams, and on halves.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::Shutdown;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use ::futures_io::{AsyncRead, AsyncWrite};

use crate::io::split::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};
use crate::io::stream::Duplex;
use crate::net::{TcpStream, UnixStream};
use crate::readiness::WaiterId;

macro_rules! read {
    ([$($generics:tt)*] $type:ty) => {
        impl<$($generics)*> AsyncRead for $type {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut TaskContext<'_>,
                buf: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                self.source().poll_recv(cx, &mut WaiterId::slot(), buf)
            }

            fn poll_read_vectored(
                self: Pin<&mut Self>,
                cx: &mut TaskContext<'_>,
                bufs: &mut [IoSliceMut<'_>],
            ) -> Poll<io::Result<usize>> {
                self.source().poll_recv_vectored(cx, &mut WaiterId::slot(), bufs)
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

            /// A socket holds nothing back.
            fn poll_flush(self: Pin<&mut Self>, _cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }

            /// Shuts the writing direction down; the socket is closed when it is dropped.
            fn poll_close(self: Pin<&mut Self>, _cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
                let $this = self.get_mut();
                Poll::Ready($shut)
            }
        }
    };
}

read!([] TcpStream);
read!([] UnixStream);
read!([] & TcpStream);
read!([] & UnixStream);
read!([S: Duplex] ReadHalf<'_, S>);
read!([S: Duplex] OwnedReadHalf<S>);

write!([] TcpStream, shut: |stream| stream.source().shut(Shutdown::Write));
write!([] UnixStream, shut: |stream| stream.source().shut(Shutdown::Write));
write!([] &TcpStream, shut: |stream| stream.source().shut(Shutdown::Write));
write!([] &UnixStream, shut: |stream| stream.source().shut(Shutdown::Write));
write!([S: Duplex] WriteHalf<'_, S>, shut: |half| half.shutdown());
write!([S: Duplex] OwnedWriteHalf<S>, shut: |half| half.shutdown());
