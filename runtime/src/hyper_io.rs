//! `hyper::rt::{Read, Write}` on streams and their halves, and `hyper::rt::Executor`: hyper runs on this crate without
//! wrappers.

use std::cell::Cell;
use std::future::Future;
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, ready};

use ::hyper::rt::{Executor, Read, ReadBufCursor, Write};

use crate::io::source::Source;
use crate::io::split::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};
use crate::io::stream::{ByteStream, Duplex};
use crate::net::{TcpStream, UnixStream};
use crate::poll_write::poll_write;
use crate::readiness::WaiterId;
use crate::sync::tls;

/// Bytes that one read moves at most.
const CHUNK: usize = 64 * 1024;

tls! {
    /// The buffer of this thread's reads; taken while one is under way.
    static BUFFER: Cell<Option<Box<[u8]>>> = Cell::new(None);
}

/// Runs hyper's futures as tasks of the scope that is current where hyper spawns them.
///
/// So the tasks of an HTTP/2 connection belong to the scope in which the connection is served, and are cancelled with
/// it.
///
/// # Examples
///
/// ```
/// use hyper::rt::Executor;
///
/// # fn main() -> std::io::Result<()> {
/// ramus::Runtime::new()?.block_on(async {
///     ramus::hyper::RamusExecutor.execute(async { println!("a task") });
///     Ok(())
/// })
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct RamusExecutor;

impl<F> Executor<F> for RamusExecutor
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    #[track_caller]
    fn execute(&self, future: F) {
        drop(crate::spawn(future));
    }
}

/// Reads into a buffer of the thread and copies: what hyper lends may be uninitialised, and this crate has no unsafe code
/// here.
fn poll_read<T: ByteStream>(
    source: &Source<T>,
    cx: &mut TaskContext<'_>,
    mut buf: ReadBufCursor<'_>,
) -> Poll<io::Result<()>> {
    let wanted = buf.remaining().min(CHUNK);
    if wanted == 0 {
        return Poll::Ready(Ok(()));
    }
    ready!(source.poll_recv_with(cx, &mut WaiterId::slot(), wanted, |io| {
        let mut chunk = BUFFER.with(Cell::take).unwrap_or_else(|| vec![0; CHUNK].into_boxed_slice());
        let received = io.recv(&mut chunk[..wanted]);
        if let Ok(bytes) = received {
            buf.put_slice(&chunk[..bytes]);
        }
        BUFFER.with(|buffer| buffer.set(Some(chunk)));
        received
    }))?;
    Poll::Ready(Ok(()))
}

macro_rules! read {
    ([$($generics:tt)*] $type:ty) => {
        impl<$($generics)*> Read for $type {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut TaskContext<'_>,
                buf: ReadBufCursor<'_>,
            ) -> Poll<io::Result<()>> {
                poll_read(self.source(), cx, buf)
            }
        }
    };
}

read!([] TcpStream);
read!([] UnixStream);
read!([S: Duplex] ReadHalf<'_, S>);
read!([S: Duplex] OwnedReadHalf<S>);

poll_write!(Write, [] TcpStream, shut: |stream| stream.source().shut(Shutdown::Write));
poll_write!(Write, [] UnixStream, shut: |stream| stream.source().shut(Shutdown::Write));
poll_write!(Write, [S: Duplex] WriteHalf<'_, S>, shut: |half| half.shutdown());
poll_write!(Write, [S: Duplex] OwnedWriteHalf<S>, shut: |half| half.shutdown());
