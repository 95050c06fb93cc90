//! Work that blocks its thread: `spawn_blocking` and the pool of threads that it runs on.
//!
//! ```text
//!   spawn_blocking ─ a task of the current scope ─ polls [`Blocking`] ─ threads: queue ─ jobs ─ thread ─ slot ─ wake
//! ```
//!
//! A blocking job is a task that waits for a thread. So its handle, its place in the tree, its panics and its refusals
//! are a task's, and nothing here knows how those work. A task is dropped where it waits when it is cut, and a thread
//! cannot be: so the task waits in a shield without bound, and looks outside of it whether it was cut.
//!
//! | when the scope is cancelled, the job is | then |
//! |---|---|
//! | not submitted: the task was not polled | the task is dropped, the closure with it |
//! | queued | the task takes it out of the queue and is dropped; the closure is dropped unrun |
//! | running | the closure can see it ([`Job::is_cancelled`]); the task, its handle and its scope wait for its end |
//!
//! A shield ends early where one around it has used up its budget, and code may drop the future that waits. So the job
//! itself is a member of the scope too: it holds a [`Membership`] from the moment it is queued until its closure, and all
//! that the closure owned, is gone.
//!
//! Modules: `jobs` is the protocol of queue and threads, `threads` starts them, `slot` carries the result back.

#[allow(unreachable_pub, reason = "the models reach it")]
pub(crate) mod jobs;
mod slot;
mod threads;

#[cfg(all(test, not(ramus_loom)))]
mod tests;

use std::fmt;
use std::future::Future;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, Waker, ready};

use ramus_scope::{Membership, Shield, shield_unbounded};

use self::jobs::Place;
use self::slot::{Outcome, Slot};
pub(crate) use self::threads::{Pool, Settings};
use self::threads::{Threads, Work};
use crate::handle::Handle;
use crate::sync::Arc;
use crate::task::JoinHandle;
use crate::{context, leaf};

/// Runs `work` on a thread where it may block, as a member of the current scope.
///
/// The threads are made when they are needed, up to a limit
/// ([`Builder::max_blocking_threads`](crate::Builder::max_blocking_threads)), and end after some seconds without
/// work. Beyond the limit jobs wait in a queue, first come, first served.
///
/// The scope waits for the job like for any task; a panic in it fails the scope. When the scope is cancelled, or the
/// handle is asked to cancel, a job that has not begun is dropped without running. One that runs cannot be stopped from
/// outside: its handle and its scope wait until it returns, and what it returns is the handle's value. A job that runs for
/// long should ask whether it is still wanted: see [`spawn_blocking_with`].
///
/// If no thread can be started the job waits for those that exist; if there is none at all it fails, as if it had
/// panicked, with a message that names the system's error.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let runtime = ramus::Runtime::new()?;
/// let text = runtime.block_on(async {
///     ramus::spawn_blocking(|| std::fs::read_to_string("Cargo.toml")).await
/// })??;
/// assert!(text.contains("[package]"));
/// # Ok(())
/// # }
/// ```
///
/// # Panics
///
/// Outside of a runtime.
#[track_caller]
pub fn spawn_blocking<F, T>(work: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    crate::spawn::spawn_beside(unblock(move |_: &Job| work()))
}

/// [`spawn_blocking`] for work that asks whether it is still wanted.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let runtime = ramus::Runtime::new()?;
/// let tries = runtime.block_on(async {
///     let search = ramus::blocking::spawn_blocking_with(|job| {
///         let mut tries = 0;
///         while !job.is_cancelled() {
///             tries += 1;
///         }
///         tries
///     });
///     search.cancel("found elsewhere");
///     // Cancelled before it began, or its value.
///     search.await.unwrap_or(0)
/// });
/// println!("{tries} tries for nothing");
/// # Ok(())
/// # }
/// ```
///
/// # Panics
///
/// Outside of a runtime.
#[track_caller]
pub fn spawn_blocking_with<F, T>(work: F) -> JoinHandle<T>
where
    F: FnOnce(&Job) -> T + Send + 'static,
    T: Send + 'static,
{
    crate::spawn::spawn_beside(unblock(work))
}

/// A future that runs `work` on a thread where it may block and resolves with what it returns; for
/// [`ScopeHandle::spawn`](crate::ScopeHandle::spawn) and the like.
///
/// A panic in `work` is resumed from the await.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let runtime = ramus::Runtime::new()?;
/// let sum: u64 = runtime.block_on(ramus::blocking::unblock(|_| (1..=1000).sum()));
/// assert_eq!(sum, 500_500);
/// # Ok(())
/// # }
/// ```
///
/// # Cancel safety
///
/// A boundary: it holds back the drop of the code around it until what is open inside has ended.
/// When it is cut, work that has not begun is removed; work that has begun is waited for, as by a shield without bound.
/// Dropping it removes work that has not begun; work that has begun goes on, the scope that it was begun in waits for it,
/// and its result is dropped.
///
/// # Panics
///
/// The future, if it is polled outside of a runtime, or if no thread could be started for the work.
pub fn unblock<F, T>(work: F) -> Blocking<F, T>
where
    F: FnOnce(&Job) -> T + Send + 'static,
    T: Send + 'static,
{
    Blocking { stage: Stage::New(work) }
}

/// What work on a blocking thread can ask.
///
/// ```
/// use ramus::blocking::Job;
///
/// /// Sums until somebody has no use for it any more.
/// fn sum(job: &Job, numbers: &[u64]) -> u64 {
///     numbers.iter().take_while(|_| !job.is_cancelled()).sum()
/// }
/// ```
pub struct Job {
    is_unwanted: Box<dyn Fn() -> bool + Send>,
}

impl Job {
    /// True once the job should end: its scope was cancelled, its handle was asked to cancel, or nobody waits any more.
    ///
    /// The answer turns true when the job's task has been polled after that, so a little later. Takes a lock that is
    /// hardly ever contended.
    pub fn is_cancelled(&self) -> bool {
        (self.is_unwanted)()
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Job").field("is_cancelled", &self.is_cancelled()).finish()
    }
}

/// Work on a blocking thread, as a future. Made by [`unblock`].
#[must_use = "futures do nothing unless they are polled"]
pub struct Blocking<F, T> {
    stage: Stage<F, T>,
}

enum Stage<F, T> {
    New(F),
    Sent {
        sent: Arc<Sent<T>>,
        wait: Pin<Box<Shield<Wait<T>>>>,
    },
    /// It was cut before the work began; what is around it drops it.
    Removed,
    Done,
}

/// A job that was handed to the pool, seen from its task.
struct Sent<T> {
    slot: Arc<Slot<T, Option<Membership>>>,
    threads: std::sync::Arc<Threads>,
    place: Option<Place>,
}

/// The leaf inside of the shield.
struct Wait<T>(Arc<Sent<T>>);

impl<T> Future for Wait<T> {
    type Output = Outcome<T, Option<Membership>>;

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let charge = ready!(leaf::poll_enter(cx));
        let outcome = ready!(self.0.slot.poll(cx.waker()));
        charge.made_progress();
        Poll::Ready(outcome)
    }
}

impl<F, T> Unpin for Blocking<F, T> {}

impl<F, T> Future for Blocking<F, T>
where
    F: FnOnce(&Job) -> T + Send + 'static,
    T: Send + 'static,
{
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<T> {
        if let Stage::New(_) = self.stage {
            // Inert in a cut frame: nothing is sent.
            drop(ready!(leaf::poll_enter(cx)));
            if let Stage::New(work) = mem::replace(&mut self.stage, Stage::Done) {
                let sent = Arc::new(send(work, cx.waker()));
                let wait = Box::pin(shield_unbounded(Wait(Arc::clone(&sent))));
                self.stage = Stage::Sent { sent, wait };
                // The frames around this one are registered for a cancel when this poll ends, so one that comes during
                // it wakes nobody. The next poll sees it.
                cx.waker().wake_by_ref();
            }
        }
        let outcome = match &mut self.stage {
            Stage::Sent { sent, wait } => {
                if ramus_scope::is_cut() {
                    sent.cut();
                }
                ready!(wait.as_mut().poll(cx))
            }
            Stage::Removed => return Poll::Pending,
            Stage::New(_) | Stage::Done => panic!("work on a blocking thread was polled after it had ended"),
        };
        self.stage = Stage::Done;
        match outcome {
            Outcome::Value(value) => Poll::Ready(value),
            Outcome::Panicked(payload, membership) => {
                drop(membership);
                resume_unwind(payload)
            }
            Outcome::Refused(why) => panic!("a blocking job did not run: {why}"),
            Outcome::Removed => {
                self.stage = Stage::Removed;
                Poll::Pending
            }
        }
    }
}

impl<T> Sent<T> {
    /// The task was cut: work that has not begun is removed, work that has can see it.
    fn cut(&self) {
        let removed = self.place.and_then(|place| self.threads.remove(place));
        match removed {
            Some(job) => {
                drop(job);
                // It was in the queue until now, so nobody else has answered.
                let _ = self.slot.put(Outcome::Removed);
            }
            None => self.slot.cut(),
        }
    }
}

fn send<F, T>(work: F, waker: &Waker) -> Sent<T>
where
    F: FnOnce(&Job) -> T + Send + 'static,
    T: Send + 'static,
{
    let (handle, threads) =
        match context::current().and_then(|handle| Ok((handle, handle.tenant()?.blocking().threads()))) {
            Ok(found) => found,
            Err(error) => panic!("{error}"),
        };
    let slot = Arc::new(Slot::new(waker.clone()));
    let membership = ramus_scope::admit_current();
    let place = threads.submit(Box::new(Queued { work, membership, slot: Arc::clone(&slot), handle }));
    Sent { slot, threads, place }
}

impl<T> Drop for Sent<T> {
    fn drop(&mut self) {
        if let Some(Outcome::Panicked(payload, Some(membership))) = self.slot.leave() {
            // The task was cut while the panic was on its way to it: the scope hears of it from the job.
            drop(membership.panicked(payload));
        }
        if let Some(place) = self.place {
            drop(self.threads.remove(place));
        }
    }
}

impl<F, T> fmt::Debug for Blocking<F, T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self.stage {
            Stage::New(_) => "Blocking(new)",
            Stage::Sent { .. } => "Blocking(sent)",
            Stage::Removed => "Blocking(removed)",
            Stage::Done => "Blocking(done)",
        })
    }
}

/// A job in the queue.
struct Queued<F, T> {
    work: F,
    membership: Option<Membership>,
    slot: Arc<Slot<T, Option<Membership>>>,
    handle: Handle,
}

impl<F, T> Work for Queued<F, T>
where
    F: FnOnce(&Job) -> T + Send + 'static,
    T: Send + 'static,
{
    fn run(self: Box<Self>) {
        let Queued { work, membership, slot, handle } = *self;
        let seen = Arc::clone(&slot);
        let job = Job { is_unwanted: Box::new(move || seen.is_unwanted()) };
        let ended = context::run_job(handle, || {
            catch_unwind(AssertUnwindSafe(|| match &membership {
                Some(membership) => membership.run(|| work(&job)),
                None => work(&job),
            }))
        });
        drop(job);
        match ended {
            Ok(value) => match slot.put(Outcome::Value(value)) {
                Ok(()) => drop(membership),
                Err(unwanted) => {
                    // The value is dropped before the scope can end; its destructor may panic like the work itself.
                    if let (Err(payload), Some(membership)) =
                        (catch_unwind(AssertUnwindSafe(|| drop(unwanted))), membership)
                    {
                        drop(membership.panicked(payload));
                    }
                }
            },
            Err(payload) => {
                if let Err(Outcome::Panicked(payload, Some(membership))) =
                    slot.put(Outcome::Panicked(payload, membership))
                {
                    drop(membership.panicked(payload));
                }
            }
        }
    }

    fn refuse(self: Box<Self>, why: &str) {
        let Queued { work, membership, slot, .. } = *self;
        // Nobody waits if the task was cut.
        let _ = slot.put(Outcome::Refused(why.to_owned()));
        drop(work);
        drop(membership);
    }
}
