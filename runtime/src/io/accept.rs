//! Accepting: which failures of `accept` are the listener's own, and what to do about the others.
//!
//! Most failures of an `accept` concern one connection that was lost before anybody saw it, or a shortage that passes. A
//! server must not end because of them, so `accept` of this crate never returns them:
//!
//! * a connection that failed before it was accepted, a refusal by a packet filter, an error of the network under the
//!   new connection: tried again at once, and with a pause after [`AT_ONCE`] in a row;
//! * no descriptor, no memory or no buffers (`EMFILE`, `ENFILE`, `ENOMEM`, `ENOBUFS`): tried again after a pause of
//!   10 ms, doubled up to 100 ms. The connection stays in the backlog meanwhile. Nothing is printed; the pauses are
//!   counted in the driver's counters.

use std::future::Future;
use std::io;
use std::mem;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, ready};
use std::time::Duration;

use futures_core::Stream;
use ramus_timer::Sleep;

use crate::context;
use crate::driver::Driver;
use crate::sync::{Arc, Mutex};

/// Failures in a row that are tried again without a pause.
const AT_ONCE: u32 = 16;

const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_millis(100);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Failure {
    /// Of one connection.
    Connection,
    /// Of the process or the system, for a while.
    Shortage,
    /// Of the listener.
    Listener,
}

impl Failure {
    fn of(error: &io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOBUFS) => Self::Shortage,
            Some(
                libc::ECONNABORTED
                | libc::ECONNRESET
                | libc::EPERM
                | libc::EPROTO
                | libc::ENOPROTOOPT
                | libc::ENETDOWN
                | libc::ENETUNREACH
                | libc::EHOSTDOWN
                | libc::EHOSTUNREACH
                | libc::ETIMEDOUT,
            ) => Self::Connection,
            _ => Self::Listener,
        }
    }
}

/// The state between two tries.
#[derive(Debug, Default)]
pub(crate) struct Pause {
    sleep: Option<Pin<Box<Sleep>>>,
    failures: u32,
}

impl Pause {
    /// Polls `accept`, and pauses where the [module](self) says so.
    pub(crate) fn poll<R>(
        &mut self,
        cx: &mut TaskContext<'_>,
        driver: impl Fn() -> io::Result<Arc<Driver>>,
        mut accept: impl FnMut(&mut TaskContext<'_>) -> Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        loop {
            if let Some(sleep) = &mut self.sleep {
                ready!(sleep.as_mut().poll(cx));
                self.sleep = None;
            }
            let error = match ready!(accept(cx)) {
                Ok(accepted) => {
                    self.failures = 0;
                    return Poll::Ready(Ok(accepted));
                }
                Err(error) => error,
            };
            let failure = Failure::of(&error);
            if failure == Failure::Listener {
                return Poll::Ready(Err(error));
            }
            self.failures = self.failures.saturating_add(1);
            if let Some(length) = length(failure, self.failures) {
                if failure == Failure::Shortage {
                    driver()?.count_accept_pause();
                }
                self.sleep = Some(Box::pin(context::timer()?.sleep(length)));
            }
        }
    }
}

/// The pause after the given number of failures in a row.
fn length(failure: Failure, failures: u32) -> Option<Duration> {
    let pauses = match failure {
        Failure::Shortage => failures,
        _ => failures.checked_sub(AT_ONCE)?,
    };
    Some((SHORTEST * (1 << pauses.saturating_sub(1).min(4))).min(LONGEST))
}

/// A [`Pause`] for the `poll_accept` of a listener, which has no future to keep it in.
#[derive(Debug)]
pub(crate) struct PauseSlot(Mutex<Pause>);

impl PauseSlot {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Pause::default()))
    }

    /// Runs `poll` with the pause, which is not locked meanwhile: a timer clones the waker.
    pub(crate) fn with<R>(&self, poll: impl FnOnce(&mut Pause) -> R) -> R {
        let mut pause = mem::take(&mut *self.0.lock());
        let result = poll(&mut pause);
        let replaced = mem::replace(&mut *self.0.lock(), pause);
        drop(replaced);
        result
    }
}

/// A listener of this crate.
pub trait Listener {
    /// What it accepts.
    type Accepted;

    /// One connection.
    fn poll_next_accepted(&self, cx: &mut TaskContext<'_>) -> Poll<io::Result<Self::Accepted>>;
}

/// The connections of a listener as an endless stream: made by `incoming`.
#[derive(Debug)]
#[must_use = "a stream does nothing unless it is polled"]
pub struct Incoming<'a, L> {
    listener: &'a L,
}

impl<'a, L: Listener> Incoming<'a, L> {
    pub(crate) fn new(listener: &'a L) -> Self {
        Self { listener }
    }
}

impl<L: Listener> Stream for Incoming<'_, L> {
    type Item = io::Result<L::Accepted>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        self.listener.poll_next_accepted(cx).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::time::Duration;

    use super::{AT_ONCE, Failure, length};

    #[test]
    fn failures_are_told_apart() {
        let of = |errno| Failure::of(&io::Error::from_raw_os_error(errno));
        for errno in [libc::EMFILE, libc::ENFILE, libc::ENOMEM, libc::ENOBUFS] {
            assert_eq!(of(errno), Failure::Shortage, "{errno}");
        }
        for errno in [libc::ECONNABORTED, libc::EPERM, libc::EPROTO, libc::ENETDOWN, libc::EHOSTUNREACH] {
            assert_eq!(of(errno), Failure::Connection, "{errno}");
        }
        for errno in [libc::EBADF, libc::EINVAL, libc::ENOTSOCK, libc::EOPNOTSUPP, libc::EFAULT] {
            assert_eq!(of(errno), Failure::Listener, "{errno}");
        }
        assert_eq!(Failure::of(&io::Error::other("x")), Failure::Listener);
    }

    #[test]
    fn pauses_grow_from_10_to_100_ms() {
        let millis = |failure, failures| length(failure, failures).map(|pause: Duration| pause.as_millis());
        let shortage: Vec<_> = (1..=6).map(|n| millis(Failure::Shortage, n)).collect();
        assert_eq!(shortage, [Some(10), Some(20), Some(40), Some(80), Some(100), Some(100)]);
        assert_eq!(millis(Failure::Shortage, u32::MAX), Some(100));
        assert_eq!(millis(Failure::Connection, AT_ONCE - 1), None);
        assert_eq!(millis(Failure::Connection, AT_ONCE), Some(10));
        assert_eq!(millis(Failure::Connection, u32::MAX), Some(100));
    }
}
