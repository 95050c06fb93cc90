//! A scope for threads outside of the workers, whose children may borrow.
//!
//! ```text
//!   scope ─ borrow::joined ─ block_on ─ ramus::scope ─ the closure runs in its body, on the calling thread
//!                │                           └─ children: borrow::Lent in tasks and jobs of ordinary kind
//!                └─ waits until all that was lent is dropped
//! ```
//!
//! So the scope is one of the tree, below the root, with everything that scopes have: a failing child cancels its
//! siblings, a cancel from above reaches all of it, a shutdown ends it. What makes the borrowing sound does not rest on any of
//! that: see `borrow`.
//!
//! An output may borrow as well, and a task cell keeps an output for as long as its handle. So a lent future leaves its
//! output in a packet of its own, shared with a handle that is bound to the scope.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc as StdArc;
use std::task::{Context as TaskContext, Poll, ready};

use ramus_scope::{BoxError, JoinError, Outcome, Reason, ScopeError, run_until_cancelled};

use super::borrow::{self, Lender};
use super::job::BlockingScope;
use crate::context;
use crate::error::{EnterError, EnterErrorKind};
use crate::handle::Handle;
use crate::scope::ScopeHandle;
use crate::sync::Mutex;
use crate::task::JoinHandle;

/// Opens a scope whose children may borrow from the caller, runs `body` in it on this thread, and returns when every child
/// has ended and everything that it held has been dropped.
///
/// This is `std::thread::scope` with tasks: the children run on the workers of `handle`'s runtime, beside each other, and
/// the call blocks. It is for threads outside of the runtime, for the main thread and for blocking jobs. Code inside of tasks
/// uses [`ramus::scope`](crate::scope()), whose children own their data: a future can be leaked, so it cannot lend.
///
/// The scope is one of the tree, below the root: it may be cancelled by `s`, and it ends with the runtime. While `body` runs
/// it cannot be cut, since it is no future; it can ask `s`, and what it joins answers "cancelled". It may block.
///
/// A child that never ends keeps this call from returning, for ever if need be: what it borrows must stay. That includes a
/// job that was left over by a shutdown. In a blocking job the call keeps a thread of the pool: if all of them wait for
/// jobs that are still queued, none ends ([`Builder::max_blocking_threads`](crate::Builder::max_blocking_threads)).
///
/// ```
/// use ramus::blocking;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let runtime = ramus::Runtime::new()?;
/// let text = String::from("to be or not to be");
/// let mut counts = [0; 2];
/// blocking::scope(&runtime.handle(), |s| {
///     let [be, not] = &mut counts;
///     s.spawn(async { *be = text.matches("be").count() });
///     s.spawn_blocking(|_job| *not = text.matches("not").count());
/// })?;
/// assert_eq!(counts, [2, 1]);
/// # Ok(())
/// # }
/// ```
///
/// Nothing of the scope can be kept longer than it lasts, neither its handle,
///
/// ```compile_fail,E0521
/// let runtime = ramus::Runtime::new().unwrap();
/// let mut kept = None;
/// let _ = ramus::blocking::scope(&runtime.handle(), |s| {
///     kept = Some(s);
/// });
/// ```
///
/// nor that of a child,
///
/// ```compile_fail,E0521
/// let runtime = ramus::Runtime::new().unwrap();
/// let mut kept = Vec::new();
/// let _ = ramus::blocking::scope(&runtime.handle(), |s| {
///     kept.push(s.spawn(async {}));
/// });
/// ```
///
/// and a child borrows what lives outside, not inside, of the closure:
///
/// ```compile_fail,E0373
/// let runtime = ramus::Runtime::new().unwrap();
/// let _ = ramus::blocking::scope(&runtime.handle(), |s| {
///     let local = 1;
///     s.spawn(async { println!("{}", &local) });
/// });
/// ```
///
/// What moves to the workers is `Send`,
///
/// ```compile_fail,E0277
/// let runtime = ramus::Runtime::new().unwrap();
/// let cell = std::cell::Cell::new(1);
/// let _ = ramus::blocking::scope(&runtime.handle(), |s| {
///     s.spawn(async { cell.set(2) });
/// });
/// ```
///
/// and what is lent cannot be had back while it is lent, whatever is leaked:
///
/// ```compile_fail,E0505
/// let runtime = ramus::Runtime::new().unwrap();
/// let local = vec![1];
/// let lent = &local;
/// let _ = ramus::blocking::scope(&runtime.handle(), |s| {
///     std::mem::forget(s.spawn(async move { println!("{lent:?}") }));
///     std::mem::forget(s);
///     drop(local);
/// });
/// ```
///
/// # Errors
///
/// As [`ramus::scope`](crate::scope()): the errors of `body` and of the children of [`Scope::spawn_try`]; or that the scope was
/// cancelled, by itself or from above, also by a shutdown.
///
/// # Panics
///
/// If `body` or a child panicked: the first payload goes on here, after everything was joined. Where [`try_scope`] returns an
/// error.
#[track_caller]
pub fn scope<'env, F, O>(handle: &Handle, body: F) -> Result<O::Value, ScopeError>
where
    F: for<'scope> FnOnce(Scope<'scope, 'env>) -> O,
    O: Outcome<BoxError>,
{
    match try_scope(handle, body) {
        Ok(answer) => answer,
        Err(error) => panic!("{error}"),
    }
}

/// As [`scope()`], with an error for what the caller or a shutdown can cause.
///
/// ```
/// let runtime = ramus::Runtime::new()?;
/// let handle = runtime.handle();
/// let error = runtime.block_on(async move { ramus::blocking::try_scope(&handle, |_| ()).unwrap_err() });
/// assert!(error.is_nested());
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
///
/// On a worker of any runtime, inside a `block_on` and wherever a task or a scope is being polled: blocking there would stop
/// what the call waits for. And if the runtime was shut down before `body` began. The inner result is that of [`scope()`].
///
/// # Panics
///
/// If `body` or a child panicked.
#[track_caller]
pub fn try_scope<'env, F, O>(handle: &Handle, body: F) -> Result<Result<O::Value, ScopeError>, EnterError>
where
    F: for<'scope> FnOnce(Scope<'scope, 'env>) -> O,
    O: Outcome<BoxError>,
{
    if context::is_busy() || ramus_scope::is_polling() {
        return Err(EnterError::new(EnterErrorKind::NestedScope));
    }
    let answer = borrow::joined(|lender| {
        // An async closure's body would borrow `lender` for less than its whole life.
        let opened = crate::scope(|tree: crate::Scope| async move { body(Scope { lender, tree }) });
        // A cancel from above is an answer here, once the scope has drained: there is a caller to tell.
        handle.try_block_on(run_until_cancelled(opened))
    })?;
    Ok(answer.unwrap_or_else(|cancelled| Err(cancelled.into())))
}

/// A scope whose children may borrow, as the closure given to [`scope()`] and the children see it.
///
/// It derefs to a [`ScopeHandle`], which has the rest: `cancel`, `stop`, `is_cancelled`, deadlines. What is spawned through a
/// `ScopeHandle` owns its data.
///
/// ```
/// use std::sync::atomic::{AtomicU32, Ordering};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let runtime = ramus::Runtime::new()?;
/// let sum = AtomicU32::new(0);
/// let sum = &sum;
/// ramus::blocking::scope(&runtime.handle(), |s| {
///     let of_child = s.clone();
///     s.spawn(async move {
///         sum.fetch_add(1, Ordering::Relaxed);
///         of_child.spawn(async move { sum.fetch_add(2, Ordering::Relaxed) });
///     });
/// })?;
/// assert_eq!(sum.load(Ordering::Relaxed), 3);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Scope<'scope, 'env: 'scope> {
    lender: &'scope Lender<'scope, 'env>,
    tree: crate::Scope,
}

impl<'scope, 'env> Scope<'scope, 'env> {
    /// Spawns a child that may borrow what lives outside of the scope. A panic in it fails the scope.
    ///
    /// If the scope is cancelled the future is dropped unpolled and the handle answers "cancelled".
    ///
    /// ```
    /// let runtime = ramus::Runtime::new()?;
    /// let mut numbers = [1, 2, 3, 4];
    /// ramus::blocking::scope(&runtime.handle(), |s| {
    ///     for number in &mut numbers {
    ///         s.spawn(async { *number *= 10 });
    ///     }
    /// })?;
    /// assert_eq!(numbers, [10, 20, 30, 40]);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> ScopedJoinHandle<'scope, F::Output>
    where
        F: Future + Send + 'scope,
        F::Output: Send + 'scope,
    {
        let packet = Packet::new();
        let filled = StdArc::clone(&packet);
        let task = self.tree.spawn(self.lender.lend(async move { filled.fill(future.await) }));
        ScopedJoinHandle::new(task, packet)
    }

    /// As [`spawn`](Scope::spawn), for a child whose error fails the scope.
    ///
    /// ```
    /// let runtime = ramus::Runtime::new()?;
    /// let path = String::from("no such file");
    /// let error = ramus::blocking::scope(&runtime.handle(), |s| {
    ///     s.spawn_try(async { std::fs::read(&path).map(drop) });
    /// });
    /// assert_eq!(error.unwrap_err().errors().len(), 1);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn spawn_try<F, T, X>(&self, future: F) -> ScopedJoinHandle<'scope, T>
    where
        F: Future<Output = Result<T, X>> + Send + 'scope,
        T: Send + 'scope,
        X: Into<BoxError> + Send + 'scope,
    {
        let packet = Packet::new();
        let filled = StdArc::clone(&packet);
        let lent = self.lender.lend(async move {
            filled.fill(future.await.map_err(Into::into)?);
            Ok::<(), BoxError>(())
        });
        ScopedJoinHandle::new(self.tree.spawn_try(lent), packet)
    }

    /// Runs `work`, which may borrow, on a thread of the runtime where it may block. See
    /// [`spawn_blocking`](crate::spawn_blocking).
    ///
    /// The call that opened the scope waits for it, however long it takes: it cannot be abandoned.
    ///
    /// ```
    /// let runtime = ramus::Runtime::new()?;
    /// let path = String::from("Cargo.toml");
    /// let bytes = ramus::blocking::scope(&runtime.handle(), |s| {
    ///     let read = s.spawn_blocking(|job| {
    ///         job.check()?;
    ///         std::fs::read(&path)
    ///     });
    ///     Ok(read.join()??)
    /// })?;
    /// assert!(!bytes.is_empty());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn spawn_blocking<F, T>(&self, work: F) -> ScopedJoinHandle<'scope, T>
    where
        F: FnOnce(&BlockingScope) -> T + Send + 'scope,
        T: Send + 'scope,
    {
        let packet = Packet::new();
        let filled = StdArc::clone(&packet);
        let lent = self.lender.lend_call(move |job: &BlockingScope| filled.fill(work(job)));
        ScopedJoinHandle::new(self.tree.spawn_blocking(move |job| lent.call(job)), packet)
    }
}

impl Deref for Scope<'_, '_> {
    type Target = ScopeHandle;

    fn deref(&self) -> &ScopeHandle {
        &self.tree
    }
}

impl fmt::Debug for Scope<'_, '_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tree.fmt(out)
    }
}

/// Where a lent child leaves its output.
struct Packet<T>(Mutex<Option<T>>);

impl<T> Packet<T> {
    fn new() -> StdArc<Self> {
        StdArc::new(Self(Mutex::new(None)))
    }

    fn fill(&self, output: T) {
        *self.0.lock() = Some(output);
    }

    fn take(&self) -> Option<T> {
        self.0.lock().take()
    }
}

/// The result of a child of [`Scope`]: joined by blocking, or awaited in another child.
///
/// An output that is not taken is dropped with the handle, so before the scope ends.
///
/// ```
/// let runtime = ramus::Runtime::new()?;
/// let sum = ramus::blocking::scope(&runtime.handle(), |s| {
///     let first = s.spawn(async { 1 });
///     let both = s.spawn(async { first.await.map(|first| first + 1) });
///     Ok(both.join()??)
/// })?;
/// assert_eq!(sum, 2);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Cancel safety
///
/// Cancel safe: it only observes, and a cut or dropped wait has no effect.
pub struct ScopedJoinHandle<'scope, T> {
    task: JoinHandle<()>,
    packet: StdArc<Packet<T>>,
    scope: PhantomData<&'scope ()>,
}

impl<T> ScopedJoinHandle<'_, T> {
    fn new(task: JoinHandle<()>, packet: StdArc<Packet<T>>) -> Self {
        Self { task, packet, scope: PhantomData }
    }

    /// Blocks until the child has ended. Also in a cancelled scope it waits for the end.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let runtime = ramus::Runtime::new()?;
    /// let words = ["a", "tree", "of", "scopes"];
    /// let longest = ramus::blocking::scope(&runtime.handle(), |s| {
    ///     let longest = s.spawn(async { words.iter().max_by_key(|word| word.len()) });
    ///     Ok(longest.join()?)
    /// })?;
    /// assert_eq!(longest, Some(&"scopes"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// If the child was cancelled, failed or panicked.
    ///
    /// # Panics
    ///
    /// On a worker: await it there.
    #[track_caller]
    pub fn join(mut self) -> Result<T, JoinError> {
        assert!(
            context::with_local(|local| local.is_none()),
            "join() was called on a worker, whose tasks it would keep from running; await the handle instead"
        );
        let result = self.task.wait();
        self.output(result)
    }

    /// Cancels the child alone, as [`JoinHandle::cancel`].
    #[track_caller]
    pub fn cancel(&self, reason: impl Into<Reason>) -> bool {
        self.task.cancel(reason)
    }

    /// True once the child has ended.
    pub fn is_finished(&self) -> bool {
        self.task.is_finished()
    }

    fn output(&self, result: Result<(), JoinError>) -> Result<T, JoinError> {
        match (result, self.packet.take()) {
            (Ok(()), Some(output)) => Ok(output),
            (Ok(()), None) => unreachable!("a child that ended well has left its output"),
            (Err(error), _) => Err(error),
        }
    }
}

impl<T> Future for ScopedJoinHandle<'_, T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let result = ready!(Pin::new(&mut self.task).poll(cx));
        Poll::Ready(self.output(result))
    }
}

impl<T> fmt::Debug for ScopedJoinHandle<'_, T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.task.fmt(out)
    }
}
