//! The writing half of hyper's and tokio's I/O traits: two traits with the same methods, so one implementation of both.

macro_rules! poll_write {
    ($trait:ident, [$($generics:tt)*] $type:ty, shut: |$this:ident| $shut:expr) => {
        impl<$($generics)*> $trait for $type {
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

pub(crate) use poll_write;
