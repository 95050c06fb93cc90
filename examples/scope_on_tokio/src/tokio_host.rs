//! Tokio as the host of scopes: all that `ramus-scope` needs to know of an executor.
//!
//! Copy this file into your program.

use std::future::Future;
use std::task::Waker;
use std::time::{Duration, Instant};

use ramus_scope::{Host, JoinError, Member};
use tokio::runtime::Handle;
use tokio::task::{AbortHandle, JoinHandle};

/// Scopes of this program: what is opened by `ramus_scope::scope` with this as its host runs on tokio's threads.
#[derive(Clone)]
pub(crate) struct Tokio(Handle);

/// An armed waker: a task that sleeps. Dropping it disarms it.
pub(crate) struct Alarm(AbortHandle);

impl Drop for Alarm {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Host for Tokio {
    // tokio's own error (aborted from outside) around the scope's (cancelled, panicked, failed): hence `await??`.
    type JoinHandle<T: Send + 'static> = JoinHandle<Result<T, JoinError>>;
    type Alarm = Alarm;

    fn current() -> Option<Tokio> {
        Handle::try_current().ok().map(Tokio)
    }

    #[track_caller]
    fn spawn<F>(&self, member: Member<F>) -> Self::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        // The member ends with its task, however that ends: a task that tokio drops unpolled counts as ended too.
        self.0.spawn(member.into_future())
    }

    fn wake_after(&self, after: Duration, waker: Waker) -> Alarm {
        // Through the handle, since a scope may be cancelled or stopped from a thread that is not tokio's.
        let sleeper = self.0.spawn(async move {
            tokio::time::sleep(after).await;
            waker.wake();
        });
        Alarm(sleeper.abort_handle())
    }

    fn wake_at(&self, at: Instant, waker: Waker) -> Alarm {
        self.wake_after(at.saturating_duration_since(Instant::now()), waker)
    }
}
