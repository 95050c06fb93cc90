//! Signals of the process, awaited.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! #[ramus::main]
//! async fn main() -> std::io::Result<()> {
//!     // Made before the first wait, so no signal is missed between the two waits.
//!     let mut interrupts = ramus::signal::Signals::new(ramus::signal::SignalKind::INTERRUPT)?;
//!     interrupts.recv().await?;
//!     eprintln!("stopping; once more stops at once");
//!     let _ = ramus::timeout(Duration::from_secs(10), interrupts.recv()).await;
//!     Ok(())
//! }
//! ```
//!
//! # How it works
//!
//! Each listener owns a pair of connected sockets. What runs in the signal handler does nothing but send a byte into one
//! of them, which is allowed there; the other one is read like any socket of this runtime. So a listener is cancelled
//! like a socket, is served by whichever worker is free, and holds what arrived while nobody waited.
//!
//! The first listener for a signal replaces its default action in the whole process, for good: with no listener left,
//! the signal does nothing at all. Standard signals that arrive faster than the system delivers them are merged by the
//! system.

use std::fmt;
use std::future::Future;
use std::io;
use std::os::raw::c_int;
use std::os::unix::net::UnixStream as StdUnixStream;

use signal_hook::SigId;
use signal_hook::consts::{
    FORBIDDEN, SIGALRM, SIGCHLD, SIGHUP, SIGINT, SIGPIPE, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH,
};
use signal_hook::low_level;

use crate::net::UnixStream;

/// Which signal.
///
/// ```
/// use ramus::signal::SignalKind;
///
/// assert_eq!(SignalKind::from_raw(2), SignalKind::INTERRUPT);
/// ```
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct SignalKind(c_int);

impl SignalKind {
    /// `SIGALRM`.
    pub const ALARM: SignalKind = SignalKind(SIGALRM);
    /// `SIGCHLD`: a child process ended or stopped.
    pub const CHILD: SignalKind = SignalKind(SIGCHLD);
    /// `SIGHUP`: the terminal went away; by custom, "read the configuration again".
    pub const HANGUP: SignalKind = SignalKind(SIGHUP);
    /// `SIGINT`: Ctrl-C.
    pub const INTERRUPT: SignalKind = SignalKind(SIGINT);
    /// `SIGPIPE`.
    pub const PIPE: SignalKind = SignalKind(SIGPIPE);
    /// `SIGQUIT`.
    pub const QUIT: SignalKind = SignalKind(SIGQUIT);
    /// `SIGTERM`: the polite request to end.
    pub const TERMINATE: SignalKind = SignalKind(SIGTERM);
    /// `SIGUSR1`.
    pub const USER1: SignalKind = SignalKind(SIGUSR1);
    /// `SIGUSR2`.
    pub const USER2: SignalKind = SignalKind(SIGUSR2);
    /// `SIGWINCH`: the terminal has a new size.
    pub const WINDOW: SignalKind = SignalKind(SIGWINCH);

    /// The signal with this number on this system.
    ///
    /// ```
    /// assert_eq!(ramus::signal::SignalKind::from_raw(2), ramus::signal::SignalKind::INTERRUPT);
    /// ```
    pub const fn from_raw(number: i32) -> SignalKind {
        SignalKind(number)
    }

    /// Its number on this system.
    pub const fn as_raw(self) -> i32 {
        self.0
    }
}

impl fmt::Debug for SignalKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match low_level::signal_name(self.0) {
            Some(name) => out.write_str(name),
            None => write!(out, "signal {}", self.0),
        }
    }
}

/// Listens to one signal from the moment it is made until it is dropped.
///
/// Any number of them may listen to the same signal; each gets every delivery.
///
/// ```no_run
/// # async fn run() -> std::io::Result<()> {
/// use ramus::signal::{SignalKind, Signals};
///
/// let mut hangups = Signals::new(SignalKind::HANGUP)?;
/// loop {
///     hangups.recv().await?;
///     println!("reading the configuration again");
/// }
/// # }
/// ```
pub struct Signals {
    kind: SignalKind,
    arrived: UnixStream,
    registration: SigId,
}

impl Signals {
    /// Begins to listen. Needs no runtime; [`Signals::recv`] does.
    ///
    /// ```
    /// use ramus::signal::{SignalKind, Signals};
    ///
    /// # async fn example() -> std::io::Result<()> {
    /// let mut hangups = Signals::new(SignalKind::HANGUP)?;
    /// loop {
    ///     hangups.recv().await?;
    ///     println!("reading the configuration again");
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] for a signal that cannot be handled (`SIGKILL`, `SIGSTOP`) or that says that the
    /// process is broken (`SIGSEGV`, `SIGFPE`, `SIGILL`); and what the system says: a number that is no signal, no
    /// descriptors left.
    pub fn new(kind: SignalKind) -> io::Result<Signals> {
        if FORBIDDEN.contains(&kind.0) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{kind:?} cannot be waited for")));
        }
        let (arrived, announced) = StdUnixStream::pair()?;
        let arrived = UnixStream::from_std(arrived)?;
        let registration = low_level::pipe::register(kind.0, announced)?;
        Ok(Signals { kind, arrived, registration })
    }

    /// Waits for the next delivery. One that came since the listener was made, or since the last `recv`, is taken at
    /// once.
    ///
    /// ```
    /// # async fn example() -> std::io::Result<()> {
    /// use ramus::signal::{SignalKind, Signals};
    ///
    /// Signals::new(SignalKind::USER1)?.recv().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// If it is polled outside of a runtime, or in one that was shut down.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it either completes or has no effect. A delivery is taken when this resolves, or not at all.
    pub async fn recv(&mut self) -> io::Result<()> {
        let mut one = [0];
        match self.arrived.read(&mut one).await? {
            // The other end is closed by the drop of this listener only.
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        // After this the handler sends nothing more, and the fields may go.
        low_level::unregister(self.registration);
    }
}

impl fmt::Debug for Signals {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Signals").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// Waits for Ctrl-C (`SIGINT`) once.
///
/// It listens from the call of this function, not from the first poll: a signal that arrives in between is not lost.
/// Two waits made one after the other both listen, so a signal resolves both; to wait for a second signal, use one
/// [`Signals`] twice.
///
/// ```no_run
/// # async fn serve() {}
/// # async fn run() -> std::io::Result<()> {
/// let stop = ramus::signal::ctrl_c();
/// serve().await;
/// stop.await
/// # }
/// ```
///
/// # Errors
///
/// The future resolves with those of [`Signals::new`] and [`Signals::recv`].
///
/// # Cancel safety
///
/// Cancel safe: it only observes, and a cut or dropped wait has no effect. It ends the listening.
pub fn ctrl_c() -> impl Future<Output = io::Result<()>> + Send + 'static {
    once(SignalKind::INTERRUPT)
}

/// Waits for `SIGTERM` once: what service managers send to end a process. In all else as [`ctrl_c`].
///
/// ```no_run
/// # async fn run() -> std::io::Result<()> {
/// ramus::signal::terminate().await?;
/// println!("asked to end");
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// As [`ctrl_c`].
///
/// # Cancel safety
///
/// Cancel safe: it only observes, and a cut or dropped wait has no effect. It ends the listening.
pub fn terminate() -> impl Future<Output = io::Result<()>> + Send + 'static {
    once(SignalKind::TERMINATE)
}

fn once(kind: SignalKind) -> impl Future<Output = io::Result<()>> + Send + 'static {
    // Registered here, outside of the future.
    let signals = Signals::new(kind);
    async move { signals?.recv().await }
}
