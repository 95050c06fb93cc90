//! Running a future in a scope from a thread outside of the runtime.

use std::future::Future;

use ramus_scope::{JoinError, Reason};

use crate::context;
use crate::error::{EnterError, EnterErrorKind};
use crate::runtime;
use crate::scope::ScopeHandle;

/// Runs `future` on the calling thread until it is ready, as a member of `scope`: cancelled with it, and waited for by it.
///
/// [`Handle::block_on`](crate::Handle::block_on) does this in the root scope. Meant for threads outside of the runtime and
/// for blocking jobs.
///
/// ```
/// use ramus::{Scope, blocking};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let runtime = ramus::Runtime::new()?;
/// let sum = runtime.block_on(async {
///     ramus::scope(|s: Scope| async move {
///         let job = s.spawn_blocking(|job| blocking::block_on_in(job.scope(), async { 40 + 2 }));
///         Ok(job.await??)
///     })
///     .await
/// })?;
/// assert_eq!(sum, 42);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// As a task's handle: if `future` was cancelled with the scope, or panicked, which fails the scope. If the scope is
/// cancelled or has ended, `future` is dropped unpolled.
///
/// # Panics
///
/// With the text of the error where [`try_block_on_in`] returns one.
#[track_caller]
pub fn block_on_in<F: Future>(scope: &ScopeHandle, future: F) -> Result<F::Output, JoinError> {
    match try_block_on_in(scope, future) {
        Ok(answer) => answer,
        Err(error) => panic!("{error}"),
    }
}

/// As [`block_on_in`], with an error for what the caller or a shutdown can cause.
///
/// ```
/// let runtime = ramus::Runtime::new()?;
/// let root = runtime.handle().root().unwrap();
/// let scope = root.clone();
/// runtime.block_on(async move {
///     assert!(ramus::blocking::try_block_on_in(&scope, async {}).unwrap_err().is_nested());
/// });
/// drop(runtime);
/// assert!(ramus::blocking::try_block_on_in(&root, async {}).unwrap_err().is_shut_down());
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
///
/// On a worker and inside a `block_on`, since blocking the thread would stop the tasks that are to wake it; and if the
/// runtime of `scope` is gone, or a simulation. The inner result is that of [`block_on_in`].
#[track_caller]
pub fn try_block_on_in<F: Future>(scope: &ScopeHandle, future: F) -> Result<Result<F::Output, JoinError>, EnterError> {
    if context::is_busy() || ramus_scope::is_polling() {
        return Err(EnterError::new(EnterErrorKind::Nested));
    }
    let handle = *scope.host();
    if handle.pool().is_simulated() {
        return Err(EnterError::new(EnterErrorKind::Simulated));
    }
    drop(handle.tenant()?);
    match scope.member(future) {
        Ok(member) => Ok(runtime::drive(handle, member)),
        Err(refused) => {
            let reason = refused.reason().cloned().unwrap_or_else(|| Reason::from("the scope has ended"));
            drop(refused);
            Ok(Err(JoinError::cancelled(reason, false)))
        }
    }
}
