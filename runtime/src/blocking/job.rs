//! What a blocking job can ask about the scope that it is a member of.

use std::fmt;
use std::sync::Arc as StdArc;
use std::time::Instant;

use ramus_scope::{Cancelled, Reason, ReasonKind};

use super::slot::Slot;
use crate::context;
use crate::scope::ScopeHandle;
use crate::sync::Arc;

/// The scope as work on a blocking thread sees it: is the work still wanted?
///
/// A thread cannot be stopped from outside. Work that takes long calls [`check`](BlockingScope::check) now and then, at a
/// place where it can give up.
///
/// ```
/// use std::io;
/// use ramus::blocking::BlockingScope;
///
/// /// Sums until somebody has no use for it any more.
/// fn sum(job: &BlockingScope, numbers: &[u64]) -> io::Result<u64> {
///     let mut sum = 0;
///     for chunk in numbers.chunks(10_000) {
///         job.check()?;
///         sum += chunk.iter().sum::<u64>();
///     }
///     Ok(sum)
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let runtime = ramus::Runtime::new()?;
/// let sum = runtime.block_on(async {
///     ramus::scope(|s: ramus::Scope| async move {
///         Ok(s.spawn_blocking(|job| sum(job, &[1, 2, 3])).await??)
///     })
///     .await
/// })?;
/// assert_eq!(sum, 6);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct BlockingScope {
    scope: ScopeHandle,
    /// The job is a task of its own in `scope`, so what cancels that cancels the job, whether its task knows already or not.
    is_own: bool,
    wait: StdArc<dyn Wait>,
}

/// Whoever waits for the job.
trait Wait: Send + Sync {
    fn is_over(&self) -> bool;
    fn why(&self) -> Option<Reason>;
}

struct OfSlot<T, M>(Arc<Slot<T, M>>);

impl<T: Send, M: Send> Wait for OfSlot<T, M> {
    fn is_over(&self) -> bool {
        self.0.is_unwanted()
    }

    fn why(&self) -> Option<Reason> {
        self.0.unwanted()
    }
}

impl BlockingScope {
    pub(super) fn new<T, M>(scope: ScopeHandle, is_own: bool, slot: Arc<Slot<T, M>>) -> Self
    where
        T: Send + 'static,
        M: Send + 'static,
    {
        Self { scope, is_own, wait: StdArc::new(OfSlot(slot)) }
    }

    /// That of the job on the calling thread. For code that is called by a job and is not handed one.
    ///
    /// ```
    /// use ramus::blocking::BlockingScope;
    ///
    /// assert!(BlockingScope::current().is_none(), "this thread runs no job");
    /// let runtime = ramus::Runtime::new()?;
    /// let job = runtime.handle().spawn_blocking(|| BlockingScope::current().is_some());
    /// assert!(runtime.block_on(job).unwrap());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn current() -> Option<BlockingScope> {
        context::job()
    }

    /// True once the job should end: its scope was cancelled, its handle was asked to cancel, or nobody waits any more.
    ///
    /// A cancel of the scope is seen as soon as [`cancel`](crate::ScopeHandle::cancel) has returned; that of a timeout or
    /// another frame inside a task once that task was polled. Takes a lock that is hardly ever contended.
    ///
    /// ```
    /// fn first_match(job: &ramus::blocking::BlockingScope, lines: &[&str], word: &str) -> Option<usize> {
    ///     lines.iter().take_while(|_| !job.is_cancelled()).position(|line| line.contains(word))
    /// }
    /// # let runtime = ramus::Runtime::new().unwrap();
    /// # let root = runtime.handle().root().unwrap();
    /// # let found = root.spawn_blocking(|job| first_match(job, &["a", "b"], "b"));
    /// # assert_eq!(runtime.block_on(found).unwrap(), Some(1));
    /// ```
    pub fn is_cancelled(&self) -> bool {
        self.is_own && self.scope.is_cancelled() || self.wait.is_over()
    }

    /// As [`is_cancelled`](BlockingScope::is_cancelled), for the operator `?`.
    ///
    /// ```
    /// use std::io::{self, Read};
    ///
    /// fn count(job: &ramus::blocking::BlockingScope, mut file: impl Read) -> io::Result<usize> {
    ///     let (mut bytes, mut buffer) = (0, [0; 4096]);
    ///     loop {
    ///         job.check()?;
    ///         match file.read(&mut buffer)? {
    ///             0 => return Ok(bytes),
    ///             n => bytes += n,
    ///         }
    ///     }
    /// }
    /// # let runtime = ramus::Runtime::new().unwrap();
    /// # let root = runtime.handle().root().unwrap();
    /// # let read = root.spawn_blocking(|job| count(job, &b"abc"[..]));
    /// # assert_eq!(runtime.block_on(read).unwrap().unwrap(), 3);
    /// ```
    ///
    /// # Errors
    ///
    /// [`Cancelled`], with the reason, once the job should end. It converts into an [`io::Error`](std::io::Error).
    pub fn check(&self) -> Result<(), Cancelled> {
        match self.reason() {
            Some(reason) => Err(Cancelled::new(reason)),
            None => Ok(()),
        }
    }

    /// Why the job should end, if it should.
    ///
    /// ```
    /// # fn example(job: &ramus::blocking::BlockingScope) {
    /// if let Some(reason) = job.reason() {
    ///     eprintln!("gave up: {reason}");
    /// }
    /// # }
    /// ```
    pub fn reason(&self) -> Option<Reason> {
        let own = || {
            // The walk of the cancel may not have come here yet.
            let reason = || self.scope.reason().unwrap_or_else(|| ReasonKind::Parent.into());
            (self.is_own && self.scope.is_cancelled()).then(reason)
        };
        self.wait.why().or_else(own)
    }

    /// Is the scope, or one above it, asked to finish soon?
    ///
    /// ```
    /// # fn example(job: &ramus::blocking::BlockingScope) {
    /// while !job.is_stopping() {
    ///     // ... one more piece of work ...
    /// #   break;
    /// }
    /// # }
    /// ```
    pub fn is_stopping(&self) -> bool {
        self.scope.is_stopping()
    }

    /// The effective deadline of the scope: the time that the job has at most.
    ///
    /// ```
    /// # fn example(job: &ramus::blocking::BlockingScope, socket: &std::net::TcpStream) -> std::io::Result<()> {
    /// let left = job.deadline().map(|at| at.saturating_duration_since(std::time::Instant::now()));
    /// socket.set_read_timeout(left.filter(|left| !left.is_zero()))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn deadline(&self) -> Option<Instant> {
        self.scope.deadline()
    }

    /// The scope: to spawn siblings of the job, or to run a future in it ([`block_on_in`](crate::blocking::block_on_in)).
    ///
    /// ```
    /// # fn example(job: &ramus::blocking::BlockingScope) {
    /// let sibling = job.scope().spawn(async { 1 });
    /// # let _ = sibling;
    /// # }
    /// ```
    pub fn scope(&self) -> &ScopeHandle {
        &self.scope
    }
}

impl fmt::Debug for BlockingScope {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = out.debug_struct("BlockingScope");
        out.field("scope", &self.scope).field("reason", &self.reason()).finish()
    }
}
