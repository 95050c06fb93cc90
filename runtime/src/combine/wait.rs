//! `wait`: until some of many tasks have finished.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::Stream;
use futures_util::stream::FuturesUnordered;

use crate::leaf;
use crate::task::JoinHandle;
use crate::time::Deadline;

/// What [`wait`] waits for.
///
/// ```
/// use ramus::When;
///
/// assert_ne!(When::All, When::FirstCompleted);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum When {
    /// All tasks have finished.
    All,
    /// One task has finished, however it ended.
    FirstCompleted,
    /// One task has ended without a value (it panicked, was cancelled, or failed its scope through `spawn_try`), or all
    /// have finished. A task whose *value* is an `Err` has not failed: its value is nobody's business but yours.
    FirstError,
}

/// Waits until some of the tasks have finished, takes the handles of all that have out of `handles` and returns them, in the
/// order in which they finished; those that had finished before the call come first, in the order of the list.
///
/// The handles that are returned resolve at once; `try_result` works too. The others stay in `handles`, in their order, and
/// their tasks go on in their scope: waiting is only observing.
///
/// `limit` counts from the first poll. When it has passed, what has finished by then is returned, maybe nothing; that is not
/// an error. With a limit of zero it looks only once. An empty list is answered at once.
///
/// # Panics
///
/// The future panics when it has to wait for a limit outside a runtime.
///
/// # Cancel safety
///
/// Cancel safe: it either completes or has no effect. Dropped half-way, it leaves all handles in `handles`, with their
/// results.
///
/// ```
/// use std::time::Duration;
/// use ramus::{BoxError, Scope, When, sleep, wait};
///
/// # fn main() -> Result<(), BoxError> {
/// ramus::Runtime::new()?.block_on(ramus::scope(|s: Scope| async move {
///     let mut tasks = vec![s.spawn(sleep(Duration::from_secs(3600))), s.spawn(sleep(Duration::from_millis(1)))];
///     let slow = tasks[0].id();
///
///     let done = wait(&mut tasks, When::FirstCompleted, Some(Duration::from_secs(10))).await;
///     assert_eq!(done.len(), 1);
///     assert_eq!(tasks[0].id(), slow);
///
///     // Nothing more in a millisecond: the list stays as it is.
///     assert!(wait(&mut tasks, When::All, Some(Duration::from_millis(1))).await.is_empty());
///     tasks[0].cancel("enough");
///     assert!(wait(&mut tasks, When::FirstError, None).await.remove(0).await.is_err());
///     Ok(())
/// }))?;
/// # Ok(())
/// # }
/// ```
pub async fn wait<T>(handles: &mut Vec<JoinHandle<T>>, when: When, limit: Option<Duration>) -> Vec<JoinHandle<T>> {
    let mut finished = Vec::new();
    {
        let mut watches: FuturesUnordered<_> =
            handles.iter_mut().enumerate().map(|(index, handle)| Watch { handle, index, is_set: false }).collect();
        let mut limit = limit.map(Deadline::After);
        poll_fn(|cx| {
            // Asked here for all of them: a watch that stood still would lose its wake.
            if ramus_scope::is_cut() {
                return Poll::Pending;
            }
            while let Poll::Ready(next) = Pin::new(&mut watches).poll_next(cx) {
                let Some((index, failed)) = next else { return Poll::Ready(()) };
                finished.push(index);
                match when {
                    When::FirstCompleted => return Poll::Ready(()),
                    When::FirstError if failed => return Poll::Ready(()),
                    When::FirstError | When::All => {}
                }
            }
            match &mut limit {
                Some(limit) => Pin::new(limit).poll(cx).map(drop),
                None => Poll::Pending,
            }
        })
        .await;
    }
    take(handles, &finished)
}

/// Takes those at `finished` out, then those that have finished meanwhile.
fn take<T>(handles: &mut Vec<JoinHandle<T>>, finished: &[usize]) -> Vec<JoinHandle<T>> {
    let mut all: Vec<_> = handles.drain(..).map(Some).collect();
    let mut taken: Vec<_> = finished.iter().filter_map(|&index| all[index].take()).collect();
    let (late, rest): (Vec<_>, Vec<_>) = all.into_iter().flatten().partition(JoinHandle::is_finished);
    taken.extend(late);
    *handles = rest;
    taken
}

/// Waits for one task, and leaves its result where it is.
struct Watch<'a, T> {
    handle: &'a mut JoinHandle<T>,
    index: usize,
    /// It has left a waker behind.
    is_set: bool,
}

impl<T> Future for Watch<'_, T> {
    /// Its place in the list, and whether the task ended without a value.
    type Output = (usize, bool);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let charge = ready!(leaf::poll_charge(cx));
        let finished = self.handle.poll_finished(cx);
        self.is_set = finished.is_pending();
        ready!(finished);
        charge.made_progress();
        Poll::Ready((self.index, self.handle.has_failed()))
    }
}

impl<T> Drop for Watch<'_, T> {
    fn drop(&mut self) {
        if self.is_set {
            self.handle.forget_waker();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::Arc;
    use std::task::{Context, Wake, Waker};

    use super::{Watch, When, wait};
    use crate::{JoinHandle, Runtime};

    struct Counted;

    impl Wake for Counted {
        fn wake(self: Arc<Self>) {}
    }

    #[test]
    fn d40_a_dropped_wait_leaves_no_waker_behind() {
        let runtime = Runtime::new().unwrap();
        let mut handles: Vec<JoinHandle<()>> = vec![runtime.handle().spawn(std::future::pending())];
        let waker = Arc::new(Counted);
        let user = Waker::from(Arc::clone(&waker));
        {
            let mut watch = pin!(Watch { handle: &mut handles[0], index: 0, is_set: false });
            assert!(watch.as_mut().poll(&mut Context::from_waker(&user)).is_pending());
            assert_eq!(Arc::strong_count(&waker), 3);
        }
        assert_eq!(Arc::strong_count(&waker), 2);
        {
            let mut waiting = pin!(wait(&mut handles, When::All, None));
            assert!(waiting.as_mut().poll(&mut Context::from_waker(&user)).is_pending());
            assert!(Arc::strong_count(&waker) > 2);
        }
        assert_eq!((Arc::strong_count(&waker), handles.len()), (2, 1));
        assert!(handles[0].cancel("the end"));
    }
}
