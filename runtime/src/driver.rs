//! The driver: what talks to the operating system about readiness. Polls no future and wakes nobody.
//!
//! One per worker: an epoll instance (mio's `Poll`), the event that ends a blocking turn, and the table of sources
//! registered here. The owner blocks in [`Driver::turn`]; a neighbour that finds the owner busy serves the same driver
//! with [`Driver::try_turn`], which never blocks.
//!
//! # Tokens
//!
//! A token is the index of the source in the table and a 32-bit generation, which is different for each registration.
//! An event whose token does not match the table is ignored: a place that was freed and used again, even between two
//! events of one batch, is never reached by an event of its former source.
//!
//! # Locks
//!
//! `turner` (held by who polls, for the whole turn), then `sources`, then the list of waiters of one direction. Wakers
//! are moved out to the caller; nothing is woken or dropped under them.
//!
//! # Unpark
//!
//! An unpark is for the owner. The system reports it once, and to whoever polls next; if that is a neighbour, it leaves
//! the note `owed` for the owner's next turn, which then does not block. So an unpark is never lost.

use std::io;
use std::os::fd::RawFd;
use std::task::Waker;
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Registry, Token};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use slab::Slab;

use crate::readiness::Readiness;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Arc, Mutex};

/// Events taken from the system at once.
const BATCH: usize = 512;

/// Full batches that one turn takes before it returns to running tasks.
const BATCHES: usize = 4;

/// A turn blocks no longer than this: longer time-outs have been truncated to "for ever" or "not at all" on the way to
/// the system before.
const LONGEST_TURN: Duration = Duration::from_secs(3600);

/// The token of the unpark event. Its index part is above every index of the table.
const UNPARK: Token = Token(usize::MAX);

const _: () = assert!(usize::BITS == 64, "a token holds an index and a generation of 32 bits each");

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Driver {
    turner: Mutex<Turner>,
    sources: Mutex<Sources>,
    registry: Registry,
    unpark: mio::Waker,
    accept_pauses: AtomicU64,
}

#[derive(Debug)]
struct Turner {
    poll: Poll,
    events: Events,
    /// A neighbour received an unpark that was meant for the owner.
    owed: bool,
    /// Turns of the owner that failed since the last one that did not.
    failures: u32,
}

/// A turn of the owner that the system refused.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: io::Error,
    /// The number of failed turns in a row, with this one.
    pub(crate) in_a_row: u32,
}

#[derive(Debug)]
struct Sources {
    table: Slab<Entry>,
    generation: u32,
    closed: bool,
}

#[derive(Debug)]
struct Entry {
    generation: u32,
    readiness: Arc<Readiness>,
}

/// What a driver holds at the moment.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct DriverCounts {
    /// Registered sources.
    pub(crate) sources: usize,
    /// Wakers of operations that wait for one of them.
    pub(crate) waiters: usize,
    /// Times an `accept` paused for want of descriptors or memory, since the start.
    pub(crate) accept_pauses: u64,
}

impl Driver {
    /// Opens the descriptors of a driver; they are closed again if one of them cannot be had.
    pub(crate) fn new() -> io::Result<Arc<Self>> {
        let poll = Poll::new()?;
        let unpark = mio::Waker::new(poll.registry(), UNPARK)?;
        let registry = poll.registry().try_clone()?;
        Ok(Arc::new(Self {
            turner: Mutex::new(Turner { poll, events: Events::with_capacity(BATCH), owed: false, failures: 0 }),
            sources: Mutex::new(Sources { table: Slab::new(), generation: 0, closed: false }),
            registry,
            unpark,
            accept_pauses: AtomicU64::new(0),
        }))
    }

    /// Blocks until a source is ready, [`unpark`](Self::unpark) is called, `timeout` (at most an hour) is nearly over, by
    /// less than a millisecond, or a signal handler ran. One of less than a millisecond is waited for to its end. The wakers of what is ready are appended to `wakes`.
    ///
    /// # Errors
    ///
    /// What the system says about waiting, except an interruption.
    pub(crate) fn turn(&self, timeout: Option<Duration>, wakes: &mut Vec<Waker>) -> Result<(), Failure> {
        let mut turner = self.turner.lock();
        let timeout = if turner.owed { Duration::ZERO } else { timeout.unwrap_or(LONGEST_TURN).min(LONGEST_TURN) };
        turner.owed = false;
        let harvested = self.wait_finely(timeout).and_then(|left| match left {
            Some(timeout) => self.harvest(&mut turner, timeout, wakes),
            None => Ok(false),
        });
        match harvested {
            Ok(_unparked) => {
                turner.failures = 0;
                Ok(())
            }
            Err(error) => {
                turner.failures = turner.failures.saturating_add(1);
                Err(Failure { error, in_a_row: turner.failures })
            }
        }
    }

    /// Waits if `timeout` ends within the next millisecond, which is as fine as a blocking [`harvest`](Self::harvest)
    /// counts, and says how long that may block now; `None` if nothing came. A longer time-out loses what it has beside whole milliseconds: the
    /// owner comes back early, and waits for the rest here.
    fn wait_finely(&self, timeout: Duration) -> io::Result<Option<Duration>> {
        let millis = Duration::from_millis(u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX));
        if millis > Duration::ZERO || timeout.is_zero() {
            return Ok(Some(millis));
        }
        let rest = Timespec { tv_sec: 0, tv_nsec: timeout.subsec_nanos().into() };
        // An epoll instance is readable while it has events.
        match poll(&mut [PollFd::new(&self.registry, PollFlags::IN)], Some(&rest)) {
            Ok(0) | Err(Errno::INTR) => Ok(None),
            Ok(_) => Ok(Some(Duration::ZERO)),
            Err(error) => Err(error.into()),
        }
    }

    /// Serves the driver for its owner without blocking. False: somebody is in a turn, or it failed.
    pub(crate) fn try_turn(&self, wakes: &mut Vec<Waker>) -> bool {
        let Some(mut turner) = self.turner.try_lock() else {
            return false;
        };
        match self.harvest(&mut turner, Duration::ZERO, wakes) {
            Ok(unparked) => {
                turner.owed |= unparked;
                true
            }
            Err(_) => false,
        }
    }

    /// Polls until a batch is not full; true: an unpark was among the events.
    fn harvest(&self, turner: &mut Turner, mut timeout: Duration, wakes: &mut Vec<Waker>) -> io::Result<bool> {
        let mut unparked = false;
        for _ in 0..BATCHES {
            match turner.poll.poll(&mut turner.events, Some(timeout)) {
                Ok(()) => {}
                // The caller computes its time-out anew.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => break,
                Err(error) => return Err(error),
            }
            let (events, unpark) = self.dispatch(&turner.events, wakes);
            unparked |= unpark;
            if events < BATCH {
                break;
            }
            timeout = Duration::ZERO;
        }
        Ok(unparked)
    }

    /// Number of events, and whether one of them was the unpark.
    fn dispatch(&self, events: &Events, wakes: &mut Vec<Waker>) -> (usize, bool) {
        if events.is_empty() {
            return (0, false);
        }
        let mut number = 0;
        let mut unparked = false;
        let sources = self.sources.lock();
        for event in events {
            number += 1;
            if event.token() == UNPARK {
                unparked = true;
                continue;
            }
            let Some(readiness) = sources.find(event.token()) else {
                continue;
            };
            // A hang-up and an error concern both directions: whoever waits is to find out by its own call.
            let failed = event.is_error();
            let read_closed = event.is_read_closed() || failed;
            let write_closed = event.is_write_closed() || failed;
            if event.is_readable() || read_closed {
                readiness.read.set(read_closed, wakes);
            }
            if event.is_writable() || write_closed {
                readiness.write.set(write_closed, wakes);
            }
        }
        (number, unparked)
    }

    /// Ends the owner's blocking turn, or prevents its next one from blocking.
    pub(crate) fn unpark(&self) {
        // The only possible failure is a full counter, and that one is readable already.
        let _ = self.unpark.wake();
    }

    /// Every source registered here gets an error from now on, later registrations fail.
    pub(crate) fn close(&self, wakes: &mut Vec<Waker>) {
        let mut sources = self.sources.lock();
        sources.closed = true;
        let table = std::mem::take(&mut sources.table);
        drop(sources);
        for (_, entry) in table {
            entry.readiness.shut(wakes);
        }
    }

    /// Registers the descriptor for both directions. The system reports its present state as the first event.
    ///
    /// # Errors
    ///
    /// The driver is closed, or the system refuses; then nothing is left registered.
    pub(crate) fn register(&self, fd: RawFd, readiness: &Arc<Readiness>) -> io::Result<Token> {
        let token = self.sources.lock().insert(readiness)?;
        match self.registry.register(&mut SourceFd(&fd), token, Interest::READABLE | Interest::WRITABLE) {
            Ok(()) => Ok(token),
            Err(error) => {
                let removed = self.sources.lock().remove(token);
                drop(removed);
                Err(error)
            }
        }
    }

    /// Takes back [`register`](Self::register). To be called before the descriptor is closed.
    pub(crate) fn deregister(&self, fd: RawFd, token: Token) {
        // Fails only for a descriptor that somebody closed behind our back; it is out of the epoll instance then.
        let _ = self.registry.deregister(&mut SourceFd(&fd));
        let removed = self.sources.lock().remove(token);
        drop(removed);
    }

    /// Counts an `accept` that pauses for want of descriptors or memory.
    pub(crate) fn count_accept_pause(&self) {
        // Ordering: Relaxed [driver:C1]; a statistic.
        self.accept_pauses.fetch_add(1, Ordering::Relaxed);
    }

    /// What is registered now.
    pub(crate) fn counts(&self) -> DriverCounts {
        let sources = self.sources.lock();
        DriverCounts {
            sources: sources.table.len(),
            waiters: sources.table.iter().map(|(_, entry)| entry.readiness.waiters()).sum(),
            // Ordering: Relaxed [driver:C2]; a statistic.
            accept_pauses: self.accept_pauses.load(Ordering::Relaxed),
        }
    }
}

impl Sources {
    fn insert(&mut self, readiness: &Arc<Readiness>) -> io::Result<Token> {
        if self.closed {
            return Err(shut_down());
        }
        // After 2^32 registrations a generation comes again; the stale event would have to be as old as that.
        self.generation = self.generation.wrapping_add(1);
        let index = self.table.insert(Entry { generation: self.generation, readiness: Arc::clone(readiness) });
        debug_assert!(index < u32::MAX as usize, "more sources than descriptors can exist");
        Ok(Token(index | (self.generation as usize) << 32))
    }

    fn index(&self, token: Token) -> Option<usize> {
        let index = token.0 & u32::MAX as usize;
        let entry = self.table.get(index)?;
        (entry.generation as usize == token.0 >> 32).then_some(index)
    }

    fn find(&self, token: Token) -> Option<&Readiness> {
        Some(&self.table[self.index(token)?].readiness)
    }

    fn remove(&mut self, token: Token) -> Option<Entry> {
        let index = self.index(token)?;
        Some(self.table.remove(index))
    }
}

/// The error of a source whose driver is closed.
pub(crate) fn shut_down() -> io::Error {
    io::Error::other("the runtime this socket was registered with has shut down")
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write as _};
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;
    use std::task::Waker;
    use std::time::{Duration, Instant};

    use mio::Token;

    use super::{Driver, DriverCounts};
    use crate::readiness::{Readiness, Wait, WaiterId};

    fn pair() -> (UnixStream, UnixStream) {
        let pair = UnixStream::pair().unwrap();
        pair.0.set_nonblocking(true).unwrap();
        pair
    }

    #[test]
    fn an_unpark_before_the_turn_is_not_lost() {
        let driver = Driver::new().unwrap();
        driver.unpark();
        let start = Instant::now();
        driver.turn(None, &mut Vec::new()).unwrap();
        assert!(start.elapsed() < Duration::from_secs(60));
    }

    #[test]
    fn an_unpark_received_by_a_neighbour_is_owed_to_the_owner() {
        let driver = Driver::new().unwrap();
        driver.unpark();
        assert!(driver.try_turn(&mut Vec::new()));
        let start = Instant::now();
        driver.turn(None, &mut Vec::new()).unwrap();
        assert!(start.elapsed() < Duration::from_secs(60));
        // The debt is paid: the next turn waits for its time-out.
        let start = Instant::now();
        driver.turn(Some(Duration::from_millis(20)), &mut Vec::new()).unwrap();
        assert!(start.elapsed() >= Duration::from_millis(20));
    }

    #[test]
    fn less_than_a_millisecond_is_waited_for_and_not_rounded() {
        let driver = Driver::new().unwrap();
        let wait = Duration::from_micros(150);
        let shortest = (0..20).map(|_| {
            let start = Instant::now();
            driver.turn(Some(wait), &mut Vec::new()).unwrap();
            start.elapsed()
        });
        let shortest = shortest.min().unwrap();
        assert!(wait <= shortest && shortest < Duration::from_millis(1), "{shortest:?}");
        // The rest is left to the next turn.
        let start = Instant::now();
        driver.turn(Some(Duration::from_micros(2900)), &mut Vec::new()).unwrap();
        assert!(start.elapsed() >= Duration::from_millis(2));
    }

    #[test]
    fn an_unpark_ends_a_wait_of_less_than_a_millisecond() {
        let driver = Driver::new().unwrap();
        driver.unpark();
        driver.turn(Some(Duration::from_micros(999)), &mut Vec::new()).unwrap();
        // Taken: nothing is left for a look that does not wait.
        let mut turner = driver.turner.lock();
        assert!(!driver.harvest(&mut turner, Duration::ZERO, &mut Vec::new()).unwrap());
    }

    #[test]
    fn the_longest_duration_is_a_time_out_like_any_other() {
        let driver = Driver::new().unwrap();
        driver.unpark();
        driver.turn(Some(Duration::MAX), &mut Vec::new()).unwrap();
    }

    #[test]
    fn registering_reports_the_present_state() {
        let driver = Driver::new().unwrap();
        let (ours, mut theirs) = pair();
        theirs.write_all(b"x").unwrap();
        let readiness = Arc::new(Readiness::new());
        assert!(readiness.read.take());
        let mut id = WaiterId::unnamed();
        assert_eq!(readiness.read.wait(&mut id, Waker::noop()), Wait::Registered);
        let token = driver.register(ours.as_raw_fd(), &readiness).unwrap();
        assert_eq!(driver.counts(), DriverCounts { sources: 1, waiters: 1, accept_pauses: 0 });
        let mut wakes = Vec::new();
        driver.turn(None, &mut wakes).unwrap();
        assert_eq!(wakes.len(), 1);
        assert!(readiness.read.is_ready());
        assert!(!readiness.read.is_closed());
        driver.deregister(ours.as_raw_fd(), token);
        assert_eq!(driver.counts(), DriverCounts::default());
    }

    #[test]
    fn a_stale_token_reaches_nobody() {
        let driver = Driver::new().unwrap();
        let old = Arc::new(Readiness::new());
        let new = Arc::new(Readiness::new());
        let mut sources = driver.sources.lock();
        let stale = sources.insert(&old).unwrap();
        drop(sources.remove(stale));
        let fresh = sources.insert(&new).unwrap();
        assert_eq!(stale.0 & 0xffff_ffff, fresh.0 & 0xffff_ffff, "the place is used again");
        assert!(sources.find(stale).is_none());
        assert!(sources.remove(stale).is_none());
        assert!(sources.find(Token(usize::MAX - 1)).is_none());
        assert!(std::ptr::eq(sources.find(fresh).unwrap(), &*new));
    }

    #[test]
    fn a_refused_registration_leaves_nothing() {
        let driver = Driver::new().unwrap();
        // An ordinary file cannot be polled: EPERM.
        let file = std::fs::File::open("/proc/self/exe").unwrap();
        let error = driver.register(file.as_raw_fd(), &Arc::new(Readiness::new())).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(driver.counts(), DriverCounts::default());
    }

    #[test]
    fn closing_wakes_the_waiters_and_refuses_the_late() {
        let driver = Driver::new().unwrap();
        let (ours, _theirs) = pair();
        let readiness = Arc::new(Readiness::new());
        assert!(readiness.read.take());
        let mut id = WaiterId::unnamed();
        assert_eq!(readiness.read.wait(&mut id, Waker::noop()), Wait::Registered);
        driver.register(ours.as_raw_fd(), &readiness).unwrap();
        let mut wakes = Vec::new();
        driver.close(&mut wakes);
        assert_eq!(wakes.len(), 1);
        assert_eq!(readiness.read.wait(&mut id, Waker::noop()), Wait::Shut);
        let error = driver.register(ours.as_raw_fd(), &readiness).unwrap_err();
        assert!(error.to_string().contains("has shut down"), "{error}");
    }

    #[test]
    fn more_ready_sources_than_one_batch_are_all_reported() {
        let driver = Driver::new().unwrap();
        let number = super::BATCH + super::BATCH / 2;
        let mut held = Vec::new();
        for _ in 0..number {
            // One end is enough: its other end is closed, so it is readable at once.
            let Ok((ours, theirs)) = UnixStream::pair() else {
                break;
            };
            drop(theirs);
            let readiness = Arc::new(Readiness::new());
            assert!(readiness.read.take());
            driver.register(ours.as_raw_fd(), &readiness).unwrap();
            held.push((ours, readiness));
        }
        // A small limit of descriptors makes this test a smaller one.
        assert!(held.len() > 100);
        driver.turn(None, &mut Vec::new()).unwrap();
        assert!(held.iter().all(|(_, readiness)| readiness.read.is_ready() && readiness.read.is_closed()));
    }
}
