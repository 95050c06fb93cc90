//! The inherent methods that streams and their halves share, written once. `source()` gives the source of each type.

/// The inherent methods of everything that reads: `source()` gives the [`Source`].
macro_rules! reading_methods {
    ($stream:ty) => {
        /// Reads what is there, at most `buf.len()` bytes, and waits until there is something. 0 is the end of the
        /// stream, unless `buf` is empty.
        ///
        /// # Errors
        ///
        /// What the system says about the connection, such as a reset; the runtime has shut down.
        ///
        /// # Cancel safety
        ///
        /// Cancel safe: it either completes or has no effect. A dropped read has taken nothing.
        pub async fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            self.source().recv(buf).await
        }

        /// Reads until `buf` is full.
        ///
        /// # Errors
        ///
        /// `UnexpectedEof` if the stream ends before; otherwise as [`read`](Self::read). What was read before is in
        /// `buf`, and the future tells how much that is.
        ///
        /// # Cancel safety
        ///
        /// Not atomic: a cut may come after a part, and the error or the value says how far it came. The future's
        /// [`filled`](crate::net::ReadExact::filled) is that number.
        pub fn read_exact<'b>(&'b mut self, buf: &'b mut [u8]) -> ReadExact<'b, $stream> {
            ReadExact::new(self.source(), buf)
        }

        /// As [`read`](Self::read), into several buffers one after the other.
        ///
        /// # Errors
        ///
        /// As [`read`](Self::read).
        ///
        /// # Cancel safety
        ///
        /// Cancel safe: it either completes or has no effect.
        pub async fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
            self.source().recv_vectored(bufs).await
        }

        /// As [`read`](Self::read), without waiting.
        ///
        /// # Errors
        ///
        /// `WouldBlock` if nothing is there now; otherwise as [`read`](Self::read).
        pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
            self.source().try_recv(buf)
        }

        /// Waits until a read may succeed: data, the end of the stream or an error is there.
        ///
        /// May return although nothing is there; a following [`try_read`](Self::try_read) then says `WouldBlock`, and
        /// the next call waits.
        ///
        /// # Errors
        ///
        /// The descriptor cannot be registered; the runtime has shut down.
        ///
        /// # Cancel safety
        ///
        /// Cancel safe: it only observes, and a cut or dropped wait has no effect.
        pub async fn readable(&self) -> io::Result<()> {
            self.source().ready(Side::Read).await
        }

        /// [`readable`](Self::readable) as a poll function. The waker of the last `poll_*` call that reads counts.
        ///
        /// # Errors
        ///
        /// As [`readable`](Self::readable).
        pub fn poll_read_ready(&self, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
            self.source().poll_ready(cx, Side::Read, &mut WaiterId::slot())
        }
    };
}
pub(crate) use reading_methods;

/// The inherent methods of everything that writes: `source()` gives the [`Source`].
macro_rules! writing_methods {
    ($stream:ty) => {
        /// Writes as much of `buf` as the system takes, and waits until it takes something.
        ///
        /// # Errors
        ///
        /// What the system says about the connection, such as a reset; the runtime has shut down.
        ///
        /// # Cancel safety
        ///
        /// Cancel safe: it either completes or has no effect. A dropped write has written nothing.
        pub async fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            self.source().send(buf).await
        }

        /// Writes all of `buf`.
        ///
        /// # Errors
        ///
        /// As [`write`](Self::write), together with the number of bytes written before.
        ///
        /// # Cancel safety
        ///
        /// Not atomic: a cut may come after a part, and the error or the value says how far it came. The future's
        /// [`written`](crate::net::WriteAll::written) is that number.
        pub fn write_all<'b>(&'b mut self, buf: &'b [u8]) -> WriteAll<'b, $stream> {
            WriteAll::new(self.source(), buf)
        }

        /// As [`write`](Self::write), from several buffers one after the other.
        ///
        /// # Errors
        ///
        /// As [`write`](Self::write).
        ///
        /// # Cancel safety
        ///
        /// Cancel safe: it either completes or has no effect.
        pub async fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
            self.source().send_vectored(bufs).await
        }

        /// As [`write`](Self::write), without waiting.
        ///
        /// # Errors
        ///
        /// `WouldBlock` if the system takes nothing now; otherwise as [`write`](Self::write).
        pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
            self.source().try_send(buf)
        }

        /// Waits until a write may succeed, or fail at once.
        ///
        /// May return although the system takes nothing; a following [`try_write`](Self::try_write) then says
        /// `WouldBlock`, and the next call waits.
        ///
        /// # Errors
        ///
        /// The descriptor cannot be registered; the runtime has shut down.
        ///
        /// # Cancel safety
        ///
        /// Cancel safe: it only observes, and a cut or dropped wait has no effect.
        pub async fn writable(&self) -> io::Result<()> {
            self.source().ready(Side::Write).await
        }

        /// [`writable`](Self::writable) as a poll function. The waker of the last `poll_*` call that writes counts.
        ///
        /// # Errors
        ///
        /// As [`writable`](Self::writable).
        pub fn poll_write_ready(&self, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
            self.source().poll_ready(cx, Side::Write, &mut WaiterId::slot())
        }
    };
}
pub(crate) use writing_methods;

/// What every stream type has besides reading and writing.
macro_rules! stream_methods {
    ($std:ty) => {
        /// Runs `call`, which is to make a non-blocking system call on this descriptor that reads.
        ///
        /// If `call` says `WouldBlock`, [`readable`](Self::readable) waits for the next event.
        ///
        /// # Errors
        ///
        /// What `call` returns.
        pub fn try_read_io<R>(&self, mut call: impl FnMut() -> io::Result<R>) -> io::Result<R> {
            self.source().attempt(Side::Read, |_io| more(call()))
        }

        /// Runs `call`, which is to make a non-blocking system call on this descriptor that writes.
        ///
        /// If `call` says `WouldBlock`, [`writable`](Self::writable) waits for the next event.
        ///
        /// # Errors
        ///
        /// What `call` returns.
        pub fn try_write_io<R>(&self, mut call: impl FnMut() -> io::Result<R>) -> io::Result<R> {
            self.source().attempt(Side::Write, |_io| more(call()))
        }

        /// Shuts one direction or both down. Unlike the traits' `shutdown` it does not wait, since a socket holds
        /// nothing back. No error if the peer has gone already.
        ///
        /// # Errors
        ///
        /// What the system says.
        pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
            self.source().shut(how)
        }

        /// Takes the pending error of the socket.
        ///
        /// # Errors
        ///
        /// What the system says about asking.
        pub fn take_error(&self) -> io::Result<Option<io::Error>> {
            self.source().get().take_error()
        }

        /// Splits into two halves that borrow the stream: nothing is allocated.
        pub fn split(&mut self) -> (ReadHalf<'_, Self>, WriteHalf<'_, Self>) {
            (ReadHalf::new(self), WriteHalf::new(self))
        }

        /// Splits into two halves that own the stream together, for two tasks.
        ///
        /// Dropping the writing half shuts the writing direction down.
        pub fn into_split(self) -> (OwnedReadHalf<Self>, OwnedWriteHalf<Self>) {
            let stream = Arc::new(self);
            (OwnedReadHalf::new(Arc::clone(&stream)), OwnedWriteHalf::new(stream))
        }

        /// Takes over a stream of the standard library and sets it to non-blocking mode.
        ///
        /// # Errors
        ///
        /// The mode cannot be set.
        pub fn from_std(stream: $std) -> io::Result<Self> {
            stream.set_nonblocking(true)?;
            Ok(Self { source: Source::new(stream) })
        }

        /// Leaves the runtime and gives the stream back, still in non-blocking mode.
        pub fn into_std(self) -> $std {
            self.source.into_inner()
        }
    };
}
pub(crate) use stream_methods;

/// `AsFd`, `AsRawFd`, and the conversions with the standard library.
macro_rules! descriptor_traits {
    ($type:ty, $std:ty) => {
        impl AsFd for $type {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.source.get().as_fd()
            }
        }

        impl AsRawFd for $type {
            fn as_raw_fd(&self) -> RawFd {
                self.source.get().as_raw_fd()
            }
        }

        impl TryFrom<$std> for $type {
            type Error = io::Error;

            fn try_from(std: $std) -> io::Result<Self> {
                Self::from_std(std)
            }
        }

        impl From<$type> for $std {
            fn from(ours: $type) -> Self {
                ours.into_std()
            }
        }
    };
}
pub(crate) use descriptor_traits;
