//! `SharedJoinHandle`: the result of a task for many, and many times.
//!
//! One joiner, [`Common`], stands for all of them: it is the task's, and wakes whoever is in its list. Wakers of others are
//! cloned, called and dropped outside of its locks, and one that panics keeps nobody else waiting.

use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, Wake, Waker, ready};

use ramus_scope::{JoinError, Reason};
use slab::Slab;

use crate::leaf;
use crate::sync::{Arc, Mutex};
use crate::task::contain::contain;
use crate::task::{CancelHandle, Id, JoinHandle};

/// What all who await a task share.
type Outcome<T> = Result<Arc<T>, Arc<JoinError>>;

impl<T> JoinHandle<T> {
    /// A handle that can be cloned, and awaited by many and many times. The result is shared: the value, or the error, in an [`Arc`].
    ///
    /// As with this handle, awaiting is only observing, and dropping all clones loses the result, not the task.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// ramus::Runtime::new()?.block_on(async {
    ///     let mut price = ramus::spawn(async { 120 }).shared();
    ///     let same = price.clone();
    ///     let other = ramus::spawn(async move { *same.await.unwrap() });
    ///     assert_eq!(*(&mut price).await.unwrap(), 120);
    ///     assert_eq!(*price.await.unwrap(), 120);
    ///     assert_eq!(other.await.unwrap(), 120);
    /// });
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// The shared handle panics when it is awaited if [`try_result`](Self::try_result) has taken the result before.
    pub fn shared(self) -> SharedJoinHandle<T> {
        let canceller = self.cancel_handle();
        let common = Common {
            stage: Mutex::new(Stage::Running(self)),
            waiters: std::sync::Arc::new(Waiters(Mutex::new(Waiting::default()))),
        };
        SharedJoinHandle { common: Arc::new(common), canceller, place: None }
    }
}

/// A handle of a task that can be cloned and awaited many times, made by [`JoinHandle::shared`].
///
/// # Cancel safety
///
/// Cancel safe: it only observes, and a cut or dropped wait has no effect.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// ramus::Runtime::new()?.block_on(async {
///     let task = ramus::spawn(std::future::pending::<()>()).shared();
///     assert!(task.try_result().is_none());
///     assert!(task.clone().cancel("enough"));
///     assert!(task.await.is_err_and(|error| error.is_cancelled()));
/// });
/// # Ok(())
/// # }
/// ```
#[must_use = "dropping it does not wait for the task"]
pub struct SharedJoinHandle<T> {
    common: Arc<Common<T>>,
    canceller: CancelHandle,
    /// Where this one waits, once it does.
    place: Option<Place>,
}

impl<T> SharedJoinHandle<T> {
    /// Cancels the task alone, as [`JoinHandle::cancel`].
    ///
    /// ```
    /// # fn stop(task: &ramus::combine::SharedJoinHandle<u32>) {
    /// task.cancel("nobody needs it");
    /// # }
    /// ```
    #[track_caller]
    pub fn cancel(&self, reason: impl Into<Reason>) -> bool {
        self.canceller.cancel(reason)
    }

    /// As [`JoinHandle::cancel_handle`].
    pub fn cancel_handle(&self) -> CancelHandle {
        self.canceller.clone()
    }

    /// True once the task has ended and been dropped: awaiting it does not wait.
    pub fn is_finished(&self) -> bool {
        self.canceller.is_finished()
    }

    /// True if the task was cancelled through a handle of its own, whether or not it has ended since.
    pub fn is_cancelled(&self) -> bool {
        self.canceller.is_cancelled()
    }

    /// The number of the task.
    pub fn id(&self) -> Id {
        self.canceller.id()
    }

    /// The result, if the task has ended. Does not wait, and takes nothing away.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// ramus::Runtime::new()?.block_on(async {
    ///     let mut task = ramus::spawn(async { 7 }).shared();
    ///     assert_eq!(*(&mut task).await.unwrap(), 7);
    ///     assert_eq!(*task.try_result().unwrap().unwrap(), 7);
    /// });
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_result(&self) -> Option<Outcome<T>> {
        if self.is_finished() { self.common.result() } else { None }
    }
}

impl<T> Future for SharedJoinHandle<T> {
    type Output = Outcome<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let charge = ready!(leaf::poll_enter(cx));
        let this = &mut *self;
        let mut known = this.common.result();
        if known.is_none() {
            if this.place.is_none() && this.canceller.waits_for_caller() {
                // Not kept: the handle is good elsewhere.
                charge.made_progress();
                return Poll::Ready(Err(Arc::new(JoinError::self_join(this.id()))));
            }
            this.common.waiters.list(&mut this.place, cx.waker());
            // A task that ended before it was in the list has not woken it.
            known = this.common.result();
        }
        let Some(result) = known else { return Poll::Pending };
        this.common.waiters.leave(&mut this.place);
        charge.made_progress();
        Poll::Ready(result)
    }
}

impl<T> Drop for SharedJoinHandle<T> {
    fn drop(&mut self) {
        self.common.waiters.leave(&mut self.place);
    }
}

impl<T> Clone for SharedJoinHandle<T> {
    fn clone(&self) -> Self {
        SharedJoinHandle { common: Arc::clone(&self.common), canceller: self.canceller.clone(), place: None }
    }
}

impl<T> fmt::Debug for SharedJoinHandle<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("SharedJoinHandle").field("id", &self.id()).field("finished", &self.is_finished()).finish()
    }
}

/// What all clones share.
struct Common<T> {
    stage: Mutex<Stage<T>>,
    waiters: std::sync::Arc<Waiters>,
}

enum Stage<T> {
    Running(JoinHandle<T>),
    Ended(Outcome<T>),
}

impl<T> Common<T> {
    /// The result. `None`: the task runs, and wakes the waiters when it has ended.
    fn result(&self) -> Option<Outcome<T>> {
        let waker = Waker::from(std::sync::Arc::clone(&self.waiters));
        let mut stage = self.stage.lock();
        let handle = match &mut *stage {
            Stage::Ended(result) => return Some(result.clone()),
            Stage::Running(handle) => handle,
        };
        let Poll::Ready(result) = handle.poll_result(&mut Context::from_waker(&waker)) else { return None };
        let result = result.map(Arc::new).map_err(Arc::new);
        let handle = mem::replace(&mut *stage, Stage::Ended(result.clone()));
        drop(stage);
        drop(handle);
        // The task wakes nobody if it ended while its joiner was being changed.
        waker.wake();
        Some(result)
    }
}

/// Who waits, in the time that is counted with it: a wake takes the whole list.
struct Waiters(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    wakes: u64,
    wakers: Slab<Waker>,
}

/// A place in the list, and the count of wakes at that time.
struct Place(u64, usize);

impl Waiters {
    /// Puts `waker` into the list, in place of what the waiter of `place` has put there before.
    fn list(&self, place: &mut Option<Place>, waker: &Waker) {
        let waker = waker.clone();
        let mut waiting = self.0.lock();
        let older = match place {
            Some(Place(wakes, key)) if *wakes == waiting.wakes => Some(mem::replace(&mut waiting.wakers[*key], waker)),
            _ => {
                *place = Some(Place(waiting.wakes, waiting.wakers.insert(waker)));
                None
            }
        };
        drop(waiting);
        drop(older);
    }

    fn leave(&self, place: &mut Option<Place>) {
        let Some(Place(wakes, key)) = place.take() else { return };
        let mut waiting = self.0.lock();
        let waker = if wakes == waiting.wakes { Some(waiting.wakers.remove(key)) } else { None };
        drop(waiting);
        drop(waker);
    }
}

impl Wake for Waiters {
    fn wake(self: std::sync::Arc<Self>) {
        let mut waiting = self.0.lock();
        waiting.wakes += 1;
        let wakers = mem::take(&mut waiting.wakers);
        drop(waiting);
        for (_, waker) in wakers {
            // One that panics must not keep the others waiting; the panic hook has reported it.
            contain(|| waker.wake());
        }
    }
}
