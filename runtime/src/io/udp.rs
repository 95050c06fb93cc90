//! UDP sockets.

use std::io;
use std::net::{self, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::task::{Context as TaskContext, Poll};

use crate::io::addr::{ToSocketAddrs, resolve};
use crate::io::methods::descriptor_traits;
use crate::io::source::{Side, Source, more};
use crate::readiness::WaiterId;

/// A UDP socket.
///
/// All operations take `&self`: several tasks may send and receive on one socket.
///
/// # Examples
///
/// ```
/// use ramus::net::UdpSocket;
///
/// # fn main() -> std::io::Result<()> {
/// ramus::Runtime::new()?.block_on(async {
///     let here = UdpSocket::bind("127.0.0.1:0").await?;
///     let there = UdpSocket::bind("127.0.0.1:0").await?;
///     here.send_to(b"ping", there.local_addr()?).await?;
///     let mut buf = [0; 16];
///     let (bytes, from) = there.recv_from(&mut buf).await?;
///     assert_eq!((&buf[..bytes], from), (&b"ping"[..], here.local_addr()?));
///     Ok(())
/// })
/// # }
/// ```
#[derive(Debug)]
pub struct UdpSocket {
    source: Source<net::UdpSocket>,
}

impl UdpSocket {
    /// Binds to the first of the addresses that can be bound. Port 0 lets the system choose one.
    ///
    /// # Errors
    ///
    /// The error of the last address tried, or of the resolver.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it either completes or has no effect.
    pub async fn bind(addr: impl ToSocketAddrs) -> io::Result<Self> {
        let addrs = resolve(addr).await?;
        Self::from_std(net::UdpSocket::bind(addrs.as_slice())?)
    }

    /// Sends to, and receives from, only this address from now on; the first usable one counts.
    ///
    /// ```
    /// use ramus::net::UdpSocket;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let runtime = ramus::Runtime::new()?;
    /// # runtime.block_on(async {
    /// let a = UdpSocket::bind("127.0.0.1:0").await?;
    /// let b = UdpSocket::bind("127.0.0.1:0").await?;
    /// a.connect(b.local_addr()?).await?;
    /// a.send(b"ping").await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// What the system says about the last address tried, or the resolver.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it either completes or has no effect.
    pub async fn connect(&self, addr: impl ToSocketAddrs) -> io::Result<()> {
        let addrs = resolve(addr).await?;
        self.source.get().connect(addrs.as_slice())
    }

    /// Sends a datagram to the connected address. Returns its length.
    ///
    /// # Errors
    ///
    /// What the system says, also about an earlier datagram; the runtime has shut down.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it either completes or has no effect. A dropped send has sent nothing.
    pub async fn send(&self, buf: &[u8]) -> io::Result<usize> {
        self.source.run(Side::Write, |io| more(io.send(buf))).await
    }

    /// Receives a datagram from the connected address. What does not fit into `buf` is lost.
    ///
    /// # Errors
    ///
    /// What the system says, also about a datagram that was sent; the runtime has shut down.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it either completes or has no effect. A dropped receive has taken nothing.
    pub async fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.source.run(Side::Read, |io| more(io.recv(buf))).await
    }

    /// Sends a datagram to the first of the addresses. Returns its length.
    ///
    /// ```
    /// use ramus::net::UdpSocket;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let runtime = ramus::Runtime::new()?;
    /// # runtime.block_on(async {
    /// let a = UdpSocket::bind("127.0.0.1:0").await?;
    /// let b = UdpSocket::bind("127.0.0.1:0").await?;
    /// a.send_to(b"ping", b.local_addr()?).await?;
    /// let mut buffer = [0; 16];
    /// let (n, from) = b.recv_from(&mut buffer).await?;
    /// assert_eq!((&buffer[..n], from), (&b"ping"[..], a.local_addr()?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), or of the resolver.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it either completes or has no effect. A dropped send has sent nothing.
    pub async fn send_to(&self, buf: &[u8], addr: impl ToSocketAddrs) -> io::Result<usize> {
        let addr = resolve(addr).await?.as_slice()[0];
        self.source.run(Side::Write, |io| more(io.send_to(buf, addr))).await
    }

    /// Receives a datagram and says who sent it. What does not fit into `buf` is lost.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it either completes or has no effect. A dropped receive has taken nothing.
    pub async fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.source.run(Side::Read, |io| more(io.recv_from(buf))).await
    }

    /// As [`recv`](Self::recv), but the datagram stays to be received again.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it either completes or has no effect.
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.source.run(Side::Read, |io| more(io.peek(buf))).await
    }

    /// As [`recv_from`](Self::recv_from), but the datagram stays to be received again.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it either completes or has no effect.
    pub async fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.source.run(Side::Read, |io| more(io.peek_from(buf))).await
    }

    /// As [`send`](Self::send), without waiting.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if the system takes nothing now; otherwise as [`send`](Self::send).
    pub fn try_send(&self, buf: &[u8]) -> io::Result<usize> {
        self.source.attempt(Side::Write, |io| more(io.send(buf)))
    }

    /// As [`recv`](Self::recv), without waiting.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if nothing is there now; otherwise as [`recv`](Self::recv).
    pub fn try_recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.source.attempt(Side::Read, |io| more(io.recv(buf)))
    }

    /// As [`send_to`](Self::send_to), without waiting.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if the system takes nothing now; otherwise as [`send`](Self::send).
    pub fn try_send_to(&self, buf: &[u8], addr: SocketAddr) -> io::Result<usize> {
        self.source.attempt(Side::Write, |io| more(io.send_to(buf, addr)))
    }

    /// As [`recv_from`](Self::recv_from), without waiting.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if nothing is there now; otherwise as [`recv`](Self::recv).
    pub fn try_recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.source.attempt(Side::Read, |io| more(io.recv_from(buf)))
    }

    /// [`send`](Self::send) as a poll function. The waker of the last `poll_*` call that sends counts.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn poll_send(&self, cx: &mut TaskContext<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.source.poll(cx, Side::Write, &mut WaiterId::slot(), |io| more(io.send(buf)))
    }

    /// [`recv`](Self::recv) as a poll function. The waker of the last `poll_*` call that receives counts.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn poll_recv(&self, cx: &mut TaskContext<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.source.poll(cx, Side::Read, &mut WaiterId::slot(), |io| more(io.recv(buf)))
    }

    /// [`send_to`](Self::send_to) as a poll function. The waker of the last `poll_*` call that sends counts.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn poll_send_to(&self, cx: &mut TaskContext<'_>, buf: &[u8], addr: SocketAddr) -> Poll<io::Result<usize>> {
        self.source.poll(cx, Side::Write, &mut WaiterId::slot(), |io| more(io.send_to(buf, addr)))
    }

    /// [`recv_from`](Self::recv_from) as a poll function. The waker of the last `poll_*` call that receives counts.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn poll_recv_from(&self, cx: &mut TaskContext<'_>, buf: &mut [u8]) -> Poll<io::Result<(usize, SocketAddr)>> {
        self.source.poll(cx, Side::Read, &mut WaiterId::slot(), |io| more(io.recv_from(buf)))
    }

    /// Waits until a receive may succeed; it may turn out not to.
    ///
    /// # Errors
    ///
    /// The descriptor cannot be registered; the runtime has shut down.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it only observes, and a cut or dropped wait has no effect.
    pub async fn readable(&self) -> io::Result<()> {
        self.source.ready(Side::Read).await
    }

    /// Waits until a send may succeed; it may turn out not to.
    ///
    /// # Errors
    ///
    /// The descriptor cannot be registered; the runtime has shut down.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it only observes, and a cut or dropped wait has no effect.
    pub async fn writable(&self) -> io::Result<()> {
        self.source.ready(Side::Write).await
    }

    /// [`readable`](Self::readable) as a poll function. The waker of the last `poll_*` call that receives counts.
    ///
    /// # Errors
    ///
    /// As [`readable`](Self::readable).
    pub fn poll_recv_ready(&self, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        self.source.poll_ready(cx, Side::Read, &mut WaiterId::slot())
    }

    /// [`writable`](Self::writable) as a poll function. The waker of the last `poll_*` call that sends counts.
    ///
    /// # Errors
    ///
    /// As [`writable`](Self::writable).
    pub fn poll_send_ready(&self, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        self.source.poll_ready(cx, Side::Write, &mut WaiterId::slot())
    }

    /// Runs `call`, which is to make a non-blocking system call on this descriptor that receives.
    ///
    /// If `call` says `WouldBlock`, [`readable`](Self::readable) waits for the next event.
    ///
    /// # Errors
    ///
    /// What `call` returns.
    pub fn try_read_io<R>(&self, mut call: impl FnMut() -> io::Result<R>) -> io::Result<R> {
        self.source.attempt(Side::Read, |_io| more(call()))
    }

    /// Runs `call`, which is to make a non-blocking system call on this descriptor that sends.
    ///
    /// If `call` says `WouldBlock`, [`writable`](Self::writable) waits for the next event.
    ///
    /// # Errors
    ///
    /// What `call` returns.
    pub fn try_write_io<R>(&self, mut call: impl FnMut() -> io::Result<R>) -> io::Result<R> {
        self.source.attempt(Side::Write, |_io| more(call()))
    }

    /// The own address.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.source.get().local_addr()
    }

    /// The address connected to.
    ///
    /// # Errors
    ///
    /// `NotConnected` if there is none.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.source.get().peer_addr()
    }

    /// True if datagrams may be sent to broadcast addresses.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn broadcast(&self) -> io::Result<bool> {
        self.source.get().broadcast()
    }

    /// Allows datagrams to broadcast addresses.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn set_broadcast(&self, on: bool) -> io::Result<()> {
        self.source.get().set_broadcast(on)
    }

    /// Time to live of the packets sent (`IP_TTL`), in hops.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn ttl(&self) -> io::Result<u32> {
        self.source.get().ttl()
    }

    /// Sets the time to live of the packets sent (`IP_TTL`), in hops.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.source.get().set_ttl(ttl)
    }

    /// Joins a multicast group on the interface with the given address.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn join_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.source.get().join_multicast_v4(&group, &interface)
    }

    /// Joins a multicast group on the interface with the given index.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn join_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.source.get().join_multicast_v6(group, interface)
    }

    /// Leaves a multicast group.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn leave_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.source.get().leave_multicast_v4(&group, &interface)
    }

    /// Leaves a multicast group.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn leave_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.source.get().leave_multicast_v6(group, interface)
    }

    /// Takes the pending error of the socket.
    ///
    /// # Errors
    ///
    /// What the system says about asking.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.source.get().take_error()
    }

    /// Takes over a socket of the standard library and sets it to non-blocking mode.
    ///
    /// # Errors
    ///
    /// The mode cannot be set.
    pub fn from_std(socket: net::UdpSocket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self { source: Source::new(socket) })
    }

    /// Leaves the runtime and gives the socket back, still in non-blocking mode.
    pub fn into_std(self) -> net::UdpSocket {
        self.source.into_inner()
    }
}

descriptor_traits!(UdpSocket, net::UdpSocket);
