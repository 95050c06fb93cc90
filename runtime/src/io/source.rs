//! A source: a non-blocking descriptor, its readiness, and where it is registered.
//!
//! Every operation of every socket is one loop, [`Source::poll`]: take the readiness, make the system call, put the
//! readiness back unless the call proved that nothing is left; if there is no readiness, wait for it.
//!
//! A source starts with both directions assumed ready and registered nowhere. It is registered when an operation has
//! to wait for the first time, with the driver of the worker that runs this operation, once and for both directions;
//! the registration reports the present state, so nothing that came before is missed. A connection whose data is there
//! when it is read, and which is closed then, is never registered.

use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::task::{Context as TaskContext, Poll, ready};

use crate::context;
use crate::driver::{self, Driver};
use crate::leaf;
use crate::readiness::{Direction, Readiness, Wait, WaiterId};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Arc, Mutex};

/// A direction of a source.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Side {
    Read,
    Write,
}

/// What a successful system call says about the next one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Left {
    /// The next call may succeed too.
    Maybe,
    /// The next call would block: the kernel's buffer was emptied, or filled, by this one.
    Nothing,
}

/// See the [module](self).
#[derive(Debug)]
pub struct Source<T> {
    // Before the descriptor: it leaves the driver before it is closed.
    registration: Registration,
    io: T,
}

#[derive(Debug)]
struct Registration {
    readiness: Arc<Readiness>,
    /// `home` is filled.
    registered: AtomicBool,
    home: Mutex<Option<Home>>,
}

/// Where a source is registered.
#[derive(Debug)]
struct Home {
    driver: Arc<Driver>,
    token: mio::Token,
    fd: RawFd,
}

impl Drop for Home {
    fn drop(&mut self) {
        self.driver.deregister(self.fd, self.token);
    }
}

impl<T: AsFd> Source<T> {
    /// `io` must be in non-blocking mode.
    pub(crate) fn new(io: T) -> Self {
        Self {
            registration: Registration {
                readiness: Arc::new(Readiness::new()),
                registered: AtomicBool::new(false),
                home: Mutex::new(None),
            },
            io,
        }
    }

    /// A socket that is just connecting: it is writable when an event says so, and not before.
    pub(crate) fn connecting(io: T) -> Self {
        let source = Self::new(io);
        let _assumed = source.direction(Side::Write).take();
        source
    }

    #[inline]
    pub(crate) fn get(&self) -> &T {
        &self.io
    }

    /// Deregisters the descriptor and gives it back, still in non-blocking mode.
    pub(crate) fn into_inner(self) -> T {
        let Self { registration, io } = self;
        drop(registration);
        io
    }

    fn direction(&self, side: Side) -> &Direction {
        self.registration.direction(side)
    }

    /// Runs `call` as soon as the direction is ready.
    ///
    /// This is a leaf: inert in a cut frame, and charged to the budget of the task.
    #[inline]
    pub(crate) fn poll<R>(
        &self,
        cx: &mut TaskContext<'_>,
        side: Side,
        id: &mut WaiterId,
        mut call: impl FnMut(&T) -> io::Result<(R, Left)>,
    ) -> Poll<io::Result<R>> {
        let charge = ready!(leaf::poll_enter(cx));
        loop {
            if !self.direction(side).take() {
                match self.registration.poll_wait(cx, side, id, self.io.as_fd().as_raw_fd()) {
                    Poll::Ready(Ok(())) => continue,
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => return Poll::Pending,
                }
            }
            if let Some(result) = self.call(side, &mut call) {
                charge.made_progress();
                return Poll::Ready(result);
            }
        }
    }

    /// One call with the readiness taken; `None`: it would block. Interruptions are retried.
    #[inline]
    fn call<R>(&self, side: Side, call: &mut impl FnMut(&T) -> io::Result<(R, Left)>) -> Option<io::Result<R>> {
        let taken = Taken { direction: self.direction(side) };
        loop {
            return match call(&self.io) {
                Ok((value, Left::Nothing)) if !taken.direction.is_closed() => {
                    taken.keep();
                    Some(Ok(value))
                }
                Ok((value, _)) => Some(Ok(value)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    taken.keep();
                    None
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Some(Err(error)),
            };
        }
    }

    /// The same as a future, which leaves no waiter behind when it is dropped.
    pub(crate) async fn run<R>(&self, side: Side, mut call: impl FnMut(&T) -> io::Result<(R, Left)>) -> io::Result<R> {
        let mut waiter = self.waiter(side);
        poll_fn(|cx| self.poll(cx, side, &mut waiter.id, &mut call)).await
    }

    /// One call now, whatever is known of the readiness.
    ///
    /// # Errors
    ///
    /// `WouldBlock`, and what the call returns.
    pub(crate) fn attempt<R>(&self, side: Side, mut call: impl FnMut(&T) -> io::Result<(R, Left)>) -> io::Result<R> {
        let _whether_or_not = self.direction(side).take();
        self.call(side, &mut call).unwrap_or_else(|| Err(io::ErrorKind::WouldBlock.into()))
    }

    /// Waits until the direction is ready, and takes nothing.
    pub(crate) fn poll_ready(&self, cx: &mut TaskContext<'_>, side: Side, id: &mut WaiterId) -> Poll<io::Result<()>> {
        let charge = ready!(leaf::poll_enter(cx));
        if !self.direction(side).is_ready() {
            ready!(self.registration.poll_wait(cx, side, id, self.io.as_fd().as_raw_fd()))?;
        }
        charge.made_progress();
        Poll::Ready(Ok(()))
    }

    /// The same as a future.
    pub(crate) async fn ready(&self, side: Side) -> io::Result<()> {
        let mut waiter = self.waiter(side);
        poll_fn(|cx| self.poll_ready(cx, side, &mut waiter.id)).await
    }

    /// A place in the list of waiters, given back when dropped.
    pub(crate) fn waiter(&self, side: Side) -> Waiter<'_> {
        Waiter::new(self.direction(side))
    }

    /// Says that the direction is not ready after all, until the next event.
    pub(crate) fn clear(&self, side: Side) {
        let _stale = self.direction(side).take();
    }

    /// Takes the waker of the last `poll_*` call of this direction back.
    pub(crate) fn forget_slot(&self, side: Side) {
        self.direction(side).forget(&WaiterId::slot());
    }

    /// The driver it is registered with, or would be registered with here.
    pub(crate) fn driver(&self) -> io::Result<Arc<Driver>> {
        match &*self.registration.home.lock() {
            Some(home) => Ok(Arc::clone(&home.driver)),
            None => context::driver(),
        }
    }
}

impl Registration {
    fn direction(&self, side: Side) -> &Direction {
        match side {
            Side::Read => &self.readiness.read,
            Side::Write => &self.readiness.write,
        }
    }

    /// Ready: there is readiness to be taken, or an error. Pending: the waker is in the list.
    fn poll_wait(&self, cx: &mut TaskContext<'_>, side: Side, id: &mut WaiterId, fd: RawFd) -> Poll<io::Result<()>> {
        // Ordering: Acquire [source:R1] pairs with [source:R2]; true: the registration is complete.
        if !self.registered.load(Ordering::Acquire) {
            self.register(fd)?;
        }
        match self.direction(side).wait(id, cx.waker()) {
            Wait::Registered => Poll::Pending,
            Wait::Again => Poll::Ready(Ok(())),
            Wait::Shut => Poll::Ready(Err(driver::shut_down())),
        }
    }

    #[cold]
    fn register(&self, fd: RawFd) -> io::Result<()> {
        let driver = context::driver()?;
        let mut home = self.home.lock();
        if home.is_none() {
            let token = driver.register(fd, &self.readiness)?;
            *home = Some(Home { driver, token, fd });
            // Ordering: Release [source:R2] pairs with [source:R1].
            self.registered.store(true, Ordering::Release);
        }
        Ok(())
    }
}

/// Readiness that was taken; put back when dropped, also by a panic of the call, unless the call kept it.
struct Taken<'a> {
    direction: &'a Direction,
}

impl Taken<'_> {
    #[inline]
    fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for Taken<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(waiters) = self.direction.put_back() {
            waiters.wake();
        }
    }
}

/// A place in the list of a direction for the time of one operation.
pub(crate) struct Waiter<'a> {
    direction: &'a Direction,
    pub(crate) id: WaiterId,
}

impl<'a> Waiter<'a> {
    fn new(direction: &'a Direction) -> Self {
        Self { direction, id: WaiterId::unnamed() }
    }
}

impl Drop for Waiter<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.id.is_named() {
            self.direction.forget(&self.id);
        }
    }
}

/// The result of a call after which more of the same may succeed.
#[inline]
pub(crate) fn more<R>(result: io::Result<R>) -> io::Result<(R, Left)> {
    result.map(|value| (value, Left::Maybe))
}

/// The result of a call that moved some of `wanted` bytes of a stream: fewer bytes than wanted, but not none, say that
/// the kernel's buffer is empty, or full. None is the end of the stream.
#[inline]
pub(crate) fn moved(result: io::Result<usize>, wanted: usize) -> io::Result<(usize, Left)> {
    result.map(|bytes| {
        let left = if bytes > 0 && bytes < wanted { Left::Nothing } else { Left::Maybe };
        (bytes, left)
    })
}
