//! What code that computes for long calls now and then, so that it can be cancelled and its neighbours run.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::leaf;

/// A place where code that never waits can be cancelled. It suspends only if the code was cancelled, or if the task has
/// used up the budget of its poll; else it costs a few nanoseconds.
///
/// [`yield_now`](crate::yield_now) always lets the others run; this does so once in 128 calls.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let runtime = ramus::Runtime::new()?;
/// let sum = runtime.block_on(async {
///     let mut sum = 0_u64;
///     for i in 0..10_000 {
///         sum += i;
///         ramus::checkpoint().await;
///     }
///     sum
/// });
/// assert_eq!(sum, 49_995_000);
/// # Ok(())
/// # }
/// ```
///
/// # Cancel safety
///
/// Cancel safe: it either completes or has no effect. It is a cancellation point:
/// in a cut frame the code is dropped here.
pub fn checkpoint() -> Checkpoint {
    Checkpoint { _made_here: () }
}

/// The future of [`checkpoint`].
#[derive(Debug)]
#[must_use = "futures do nothing unless they are polled"]
pub struct Checkpoint {
    _made_here: (),
}

impl Future for Checkpoint {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        ready!(leaf::poll_enter(cx)).made_progress();
        Poll::Ready(())
    }
}

/// True if the code that is being polled was cancelled: it will be dropped at its next suspension.
///
/// For loops that compute and want to end early by themselves; [`checkpoint`] suspends there instead. It asks about the
/// innermost scope, shield or time-out around the caller, so it is false in a [shield](crate::shield) that still protects. Outside
/// of tasks it is false. It takes no lock.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let runtime = ramus::Runtime::new()?;
/// runtime.block_on(async {
///     let ended = ramus::scope(|s: ramus::Scope| async move {
///         assert!(!ramus::is_cancelled());
///         s.cancel("enough");
///         // Not suspended since, so this code still runs.
///         assert!(ramus::is_cancelled());
///         // And is dropped here.
///         ramus::checkpoint().await;
///         Ok(())
///     })
///     .await;
///     assert!(ended.unwrap_err().is_cancelled());
/// });
/// # Ok(())
/// # }
/// ```
pub fn is_cancelled() -> bool {
    ramus_scope::is_cut()
}
