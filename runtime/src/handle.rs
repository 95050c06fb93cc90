//! A handle on a runtime: copied freely, never keeps the runtime alive.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;

use crate::context::{self, Entered};
use crate::error::{EnterError, EnterErrorKind};
use crate::metrics::Metrics;
use crate::pool::{Pool, Seat};
use crate::runtime;
use crate::scope::ScopeHandle;
use crate::sync::Arc;
use crate::task::JoinHandle;
use crate::tenant::Tenant;
use crate::tree::TreeSnapshot;

/// Reaches a runtime from anywhere. Copying it costs nothing, and it may outlive the runtime: everything asked of it then
/// is answered as "shut down".
///
/// ```
/// let runtime = ramus::Runtime::new()?;
/// let handle = runtime.handle();
/// let sum = std::thread::spawn(move || handle.block_on(async { 40 + 2 })).join().unwrap();
/// assert_eq!(sum, 42);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct Handle {
    pool: &'static Pool,
    generation: u64,
}

impl PartialEq for Handle {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.pool, other.pool) && self.generation == other.generation
    }
}

impl Eq for Handle {}

impl fmt::Debug for Handle {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Handle").field("name", &self.name()).finish_non_exhaustive()
    }
}

impl Handle {
    pub(crate) const fn new(pool: &'static Pool, generation: u64) -> Self {
        Self { pool, generation }
    }

    pub(crate) fn pool(&self) -> &'static Pool {
        self.pool
    }

    pub(crate) fn tenant(&self) -> Result<Arc<Tenant>, EnterError> {
        self.pool.tenant(self.generation).ok_or(EnterError::new(EnterErrorKind::ShutDown))
    }

    pub(crate) fn seat(&self, worker: usize) -> Result<Seat, EnterError> {
        self.pool.seat(self.generation, worker).ok_or(EnterError::new(EnterErrorKind::ShutDown))
    }

    /// The runtime that the calling thread works for or has entered.
    ///
    /// ```
    /// let runtime = ramus::Runtime::new()?;
    /// let inside = runtime.block_on(async { ramus::Handle::current() });
    /// assert_eq!(inside, runtime.handle());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Panics
    ///
    /// Outside of a runtime. [`Handle::try_current`] returns an error there.
    #[track_caller]
    pub fn current() -> Handle {
        match context::current() {
            Ok(handle) => handle,
            Err(error) => panic!("{error}"),
        }
    }

    /// As [`Handle::current`], with an error outside of a runtime.
    ///
    /// ```
    /// assert!(ramus::Handle::try_current().unwrap_err().is_outside());
    /// ```
    ///
    /// # Errors
    ///
    /// If the calling thread neither works for a runtime nor has entered one.
    pub fn try_current() -> Result<Handle, EnterError> {
        context::current()
    }

    /// Spawns `future` as a member of the runtime's root scope.
    ///
    /// After a shutdown has begun the handle resolves as cancelled, and the future is dropped unpolled.
    ///
    /// ```
    /// let runtime = ramus::Runtime::new()?;
    /// let task = runtime.handle().spawn(async { 1 });
    /// assert_eq!(runtime.block_on(task).unwrap(), 1);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        match self.tenant() {
            Ok(tenant) => tenant.root().spawn(future),
            Err(_) => crate::spawn::refused(self.pool, future),
        }
    }

    /// Runs `work` on a thread where it may block, as a member of the runtime's root scope. See
    /// [`spawn_blocking`](crate::spawn_blocking).
    ///
    /// ```
    /// let runtime = ramus::Runtime::new()?;
    /// let job = runtime.handle().spawn_blocking(|| 1);
    /// assert_eq!(runtime.block_on(job).unwrap(), 1);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn spawn_blocking<F, T>(&self, work: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        match self.root() {
            Some(root) => root.spawn_blocking(move |_| work()),
            None => crate::spawn::refused(self.pool, crate::task::unblock(move |_| work())),
        }
    }

    /// Runs `future` on the calling thread until it is ready, as a member of the runtime's root scope. The runtime is
    /// entered meanwhile: `spawn`, timers and sockets work in it.
    ///
    /// ```
    /// let runtime = ramus::Runtime::new()?;
    /// assert_eq!(runtime.handle().block_on(async { 42 }), 42);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Panics
    ///
    /// With the text of the error where [`Handle::try_block_on`] returns one. A panic of `future` is passed on.
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        match self.try_block_on(future) {
            Ok(output) => output,
            Err(error) => panic!("{error}"),
        }
    }

    /// As [`Handle::block_on`], with an error for what the caller or a shutdown can cause.
    ///
    /// ```
    /// let runtime = ramus::Runtime::new()?;
    /// let handle = runtime.handle();
    /// runtime.block_on(async move {
    ///     let error = handle.try_block_on(async {}).unwrap_err();
    ///     assert!(error.is_nested());
    /// });
    /// drop(runtime);
    /// assert!(handle.try_block_on(async {}).unwrap_err().is_shut_down());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// On a worker and inside another `block_on`, since blocking the thread would stop the tasks that are to wake it; and if
    /// the runtime was shut down, before or meanwhile: then `future` has been dropped at a suspension.
    ///
    /// # Panics
    ///
    /// A panic of `future` is passed on.
    #[track_caller]
    pub fn try_block_on<F: Future>(&self, future: F) -> Result<F::Output, EnterError> {
        runtime::block_on(*self, future)
    }

    /// Makes this runtime the calling thread's until the guard is dropped: `spawn`, timers and sockets work there. Scopes
    /// do not: a scope is polled inside [`block_on`](Handle::block_on) or a task, so that it ends with the runtime.
    ///
    /// ```
    /// let runtime = ramus::Runtime::new()?;
    /// let handle = runtime.handle();
    /// let guard = handle.enter();
    /// let task = ramus::spawn(async { 7 });
    /// drop(guard);
    /// assert_eq!(runtime.block_on(task).unwrap(), 7);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use = "the runtime is left when the guard is dropped"]
    pub fn enter(&self) -> EnterGuard<'_> {
        EnterGuard { _entered: context::enter(*self, false), handle: PhantomData }
    }

    /// The name given by [`Builder::name`](crate::Builder::name); empty once the runtime is gone.
    ///
    /// ```
    /// let runtime = ramus::Builder::new_multi_thread().name("crawler").build()?;
    /// assert_eq!(runtime.handle().name(), "crawler");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn name(&self) -> String {
        self.tenant().map(|tenant| tenant.name().to_owned()).unwrap_or_default()
    }

    /// The number of workers.
    ///
    /// ```
    /// let runtime = ramus::Builder::new_multi_thread().worker_threads(2).build()?;
    /// assert_eq!(runtime.handle().workers(), 2);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn workers(&self) -> usize {
        self.pool.workers()
    }

    /// The root scope: every task that is spawned outside of other scopes is a member of it. None once the runtime is
    /// gone.
    ///
    /// ```
    /// let runtime = ramus::Runtime::new()?;
    /// assert!(!runtime.handle().root().unwrap().is_cancelled());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn root(&self) -> Option<ScopeHandle> {
        self.tenant().ok().map(|tenant| tenant.root().clone())
    }

    /// What the scheduler counted since the runtime started; nothing once it is gone.
    ///
    /// ```
    /// let runtime = ramus::Runtime::new()?;
    /// assert_eq!(runtime.handle().metrics().workers.len(), runtime.handle().workers());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn metrics(&self) -> Metrics {
        self.tenant().map(|_tenant| self.pool.metrics()).unwrap_or_default()
    }

    /// The tree of scopes, boundaries, tasks and jobs as it is now; empty once the runtime is gone.
    ///
    /// ```
    /// let runtime = ramus::Builder::new_multi_thread().name("demo").build()?;
    /// assert!(runtime.handle().tree().to_string().contains("demo"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn tree(&self) -> TreeSnapshot {
        self.tenant().map(|tenant| TreeSnapshot::of(&tenant)).unwrap_or_default()
    }
}

/// The calling thread has entered a runtime. Made by [`Handle::enter`]; guards are dropped in reverse order.
#[derive(Debug)]
pub struct EnterGuard<'a> {
    _entered: Entered,
    handle: PhantomData<&'a Handle>,
}
