//! Work that blocks its thread, and threads outside of the runtime.
//!
//! | for | there is |
//! |---|---|
//! | a job on a thread where it may block | [`spawn_blocking`] |
//! | a job that asks whether it is still wanted | [`spawn_blocking_with`], [`BlockingScope`] |
//! | a job with a name, or one that a cancelled scope may abandon | [`Builder`] |
//! | a job as a future, to be spawned in any way | [`unblock`] |
//! | a future in a scope, run by a thread outside or by a job | [`block_on_in`], [`try_block_on_in`] |
//! | a scope opened by such a thread, with children that borrow from it | [`scope()`], [`try_scope`], [`Scope`] |
//!
//! Code in tasks opens scopes with [`ramus::scope`](crate::scope()); its children own what they use.
//!
//! # How it works
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
//! | running | the closure can see it ([`BlockingScope::check`]); the task, its handle and its scope wait for its end |
//! | running, and may be abandoned | the same for a grace; then its place ends, the task is dropped, the closure runs on |
//!
//! A shield ends early where one around it has used up its budget, and code may drop the future that waits. So the job
//! itself is a member of the scope too: it holds a [`Membership`] from the moment it is queued until its closure, and all
//! that the closure owned, is gone.
//!
//! Modules: `jobs` is the protocol of queue and threads, `threads` starts them, `slot` carries the result back, `job` is
//! what a job sees of its scope, `unattended` lists what nobody waits for.
//!
//! For threads outside of the runtime: `block_on` runs a future in a scope, `lend` opens a scope whose children may borrow
//! ([`scope()`]); `borrow` is what makes that sound.

#[allow(unreachable_pub, reason = "the models reach it")]
pub(crate) mod jobs;

mod block_on;
mod borrow;
mod builder;
mod job;
mod lend;
#[allow(unreachable_pub, reason = "the models reach it")]
pub(crate) mod slot;
mod threads;
mod unattended;

#[cfg(all(test, not(ramus_loom)))]
mod tests;

use std::fmt;
use std::future::Future;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, Waker, ready};
use std::time::Duration;

use ramus_scope::{Membership, Reason, Report, Shield, shield_unbounded};

pub use self::block_on::{block_on_in, try_block_on_in};
pub use self::builder::Builder;
pub use self::job::BlockingScope;
use self::jobs::Place;
pub use self::lend::{Scope, ScopedJoinHandle, scope, try_scope};
use self::slot::{Leave, Outcome, Slot, Unwanted};
pub(crate) use self::threads::{Pool, Settings};
pub(crate) use self::threads::{Threads, Work};
use self::unattended::{Abandon, Unattended, UnattendedJobs};
use crate::handle::Handle;
use crate::scope::ScopeHandle;
use crate::sync::Arc;
use crate::task::{JoinHandle, contain::contain};
use crate::time::{Sleep, sleep};
use crate::{context, leaf, tree};

/// Runs `work` on a thread where it may block, as a member of the current scope.
///
/// The threads are made when they are needed, up to a limit
/// ([`Builder::max_blocking_threads`](crate::Builder::max_blocking_threads)), and end after some seconds without
/// work. Beyond the limit jobs wait in a queue, first come, first served. A job that waits for another job keeps its thread,
/// so a limit below the depth of such waits is a deadlock.
///
/// The scope waits for the job like for any task; a panic in it fails the scope. When the scope is cancelled, or the
/// handle is asked to cancel, a job that has not begun is dropped without running. One that runs cannot be stopped from
/// outside: its handle and its scope wait until it returns, and what it returns is the handle's value. A job that runs for
/// long should ask whether it is still wanted: see [`BlockingScope`], which [`spawn_blocking_with`] and
/// [`ScopeHandle::spawn_blocking`](crate::ScopeHandle::spawn_blocking) hand to it and [`BlockingScope::current`] finds. A
/// job that may be left alone is spawned by a [`Builder`].
///
/// In a job the current scope is that of the job: what it spawns are its siblings.
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
    Builder::new().spawn(move |_| work())
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
    F: FnOnce(&BlockingScope) -> T + Send + 'static,
    T: Send + 'static,
{
    Builder::new().spawn(work)
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
    F: FnOnce(&BlockingScope) -> T + Send + 'static,
    T: Send + 'static,
{
    Blocking { stage: Stage::New(work), is_own: false, abandon: None }
}

/// The future of a task that is nothing but a blocking job.
fn own<F, T>(work: F, abandon: Option<Abandon>) -> Blocking<F, T>
where
    F: FnOnce(&BlockingScope) -> T + Send + 'static,
    T: Send + 'static,
{
    Blocking { stage: Stage::New(work), is_own: true, abandon }
}

/// Work on a blocking thread, as a future. Made by [`unblock`].
#[must_use = "futures do nothing unless they are polled"]
pub struct Blocking<F, T> {
    stage: Stage<F, T>,
    /// It is all of a task.
    is_own: bool,
    abandon: Option<Abandon>,
}

enum Stage<F, T> {
    New(F),
    Sent {
        sent: Arc<Sent<T>>,
        wait: Pin<Box<Shield<Wait<T>>>>,
    },
    /// It was cut before the work began, or abandoned; what is around it drops it.
    Removed,
    Done,
}

/// A job that was handed to the pool, seen from its task.
struct Sent<T> {
    slot: Arc<Slot<T, Membership>>,
    threads: std::sync::Arc<Threads>,
    place: Option<Place>,
    /// It may be abandoned.
    abandon: Option<Abandon>,
    /// What it is listed as when nobody waits for it.
    job: Unattended,
}

/// The leaf inside of the shield.
struct Wait<T> {
    sent: Arc<Sent<T>>,
    /// Until a job that was cut is abandoned.
    grace: Option<Pin<Box<Sleep>>>,
}

/// `None`: it was abandoned.
type Waited<T> = Option<Outcome<T, Membership>>;

impl<T> Future for Wait<T> {
    type Output = Waited<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Waited<T>> {
        let charge = ready!(leaf::poll_enter(cx));
        if let Poll::Ready(outcome) = self.sent.slot.poll(cx.waker()) {
            charge.made_progress();
            return Poll::Ready(Some(outcome));
        }
        drop(charge);
        let Some(grace) = self.sent.grace().filter(|_| self.sent.slot.is_cut()) else {
            return Poll::Pending;
        };
        if !grace.is_zero() {
            ready!(self.grace.get_or_insert_with(|| Box::pin(sleep(grace))).as_mut().poll(cx));
        }
        if self.sent.give_up() {
            return Poll::Ready(None);
        }
        // It has ended meanwhile.
        self.sent.slot.poll(cx.waker()).map(Some)
    }
}

impl<F, T> Unpin for Blocking<F, T> {}

impl<F, T> Future for Blocking<F, T>
where
    F: FnOnce(&BlockingScope) -> T + Send + 'static,
    T: Send + 'static,
{
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<T> {
        if let Stage::New(_) = self.stage {
            // Inert in a cut frame: nothing is sent.
            drop(ready!(leaf::poll_enter(cx)));
            if let Stage::New(work) = mem::replace(&mut self.stage, Stage::Done) {
                let sent = Arc::new(send(work, cx.waker(), self.is_own, self.abandon));
                let wait = Box::pin(shield_unbounded(Wait { sent: Arc::clone(&sent), grace: None }));
                self.stage = Stage::Sent { sent, wait };
                // The frames around this one are registered for a cancel when this poll ends, so one that comes during
                // it wakes nobody. The next poll sees it.
                cx.waker().wake_by_ref();
            }
        }
        let outcome = match &mut self.stage {
            Stage::Sent { sent, wait } => {
                if let Some(reason) = ramus_scope::cut_reason() {
                    sent.cut(reason);
                }
                ready!(wait.as_mut().poll(cx))
            }
            Stage::Removed => return Poll::Pending,
            Stage::New(_) | Stage::Done => panic!("work on a blocking thread was polled after it had ended"),
        };
        self.stage = Stage::Done;
        match outcome {
            Some(Outcome::Value(value)) => Poll::Ready(value),
            Some(Outcome::Panicked(payload, membership)) => {
                drop(membership);
                resume_unwind(payload)
            }
            Some(Outcome::Refused(why)) => panic!("a blocking job did not run: {why}"),
            Some(Outcome::Removed) => {
                if self.is_own {
                    ramus_scope::never_started();
                }
                self.stage = Stage::Removed;
                Poll::Pending
            }
            None => {
                self.stage = Stage::Removed;
                Poll::Pending
            }
        }
    }
}

impl<T> Sent<T> {
    /// The task was cut: work that has not begun is removed, work that has can see it.
    fn cut(&self, reason: Reason) {
        let removed = self.place.and_then(|place| self.threads.remove(place));
        match removed {
            Some(job) => self.discard(job),
            None => self.slot.cut(reason),
        }
    }

    /// Drops a job that was taken out of the queue, so nobody else has answered.
    fn discard(&self, job: Box<dyn Work>) {
        // Answered first, in case a destructor in the closure panics; the place lasts until the closure is gone.
        let place = self.slot.put(Outcome::Removed);
        drop(job);
        drop(place);
    }

    /// How long after a cut the job is abandoned, if it may be.
    fn grace(&self) -> Option<Duration> {
        self.abandon.map(|abandon| abandon.grace)
    }

    /// Abandons a job that may be. False: it may not, or it has ended.
    fn give_up(&self) -> bool {
        if self.abandon.is_none() {
            return false;
        }
        let list = self.threads.unattended();
        // Listed first, so that the job finds its number when it ends.
        let number = list.insert(self.job.as_abandoned());
        if !self.slot.abandon(number) {
            list.remove(number);
            return false;
        }
        Report::job_abandoned(self.job.name.as_deref(), self.job.site).send();
        true
    }
}

fn send<F, T>(work: F, waker: &Waker, is_own: bool, abandon: Option<Abandon>) -> Sent<T>
where
    F: FnOnce(&BlockingScope) -> T + Send + 'static,
    T: Send + 'static,
{
    let (handle, tenant) = match context::current().and_then(|handle| Ok((handle, handle.tenant()?))) {
        Ok(found) => found,
        Err(error) => panic!("{error}"),
    };
    let threads = tenant.blocking().threads();
    let slot = Arc::new(Slot::new(waker.clone(), ramus_scope::admit_current()));
    let scope = ScopeHandle::current().unwrap_or_else(|| tenant.root().clone());
    let job = BlockingScope::new(scope, is_own, Arc::clone(&slot));
    let list = std::sync::Arc::clone(threads.unattended());
    let place = threads.submit(Box::new(Queued { work, job, slot: Arc::clone(&slot), handle, list }));
    Sent { slot, threads, place, abandon, job: Unattended::of(tree::current()) }
}

impl<T> Drop for Sent<T> {
    fn drop(&mut self) {
        if let Some(job) = self.place.and_then(|place| self.threads.remove(place)) {
            self.discard(job);
        }
        // Nobody will be there to abandon it later.
        if self.give_up() {
            return;
        }
        let list = self.threads.unattended();
        let number = self.slot.is_awaited().then(|| list.insert(self.job.clone()));
        let left = self.slot.leave(number);
        if let (Leave::Ended(_) | Leave::Over, Some(number)) = (&left, number) {
            list.remove(number);
        }
        if let Leave::Ended(Outcome::Panicked(payload, Some(membership))) = left {
            // The task was cut while the panic was on its way to it: the scope hears of it from the job.
            drop(membership.panicked(payload));
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
    job: BlockingScope,
    slot: Arc<Slot<T, Membership>>,
    handle: Handle,
    list: std::sync::Arc<UnattendedJobs>,
}

impl<F, T> Work for Queued<F, T>
where
    F: FnOnce(&BlockingScope) -> T + Send + 'static,
    T: Send + 'static,
{
    fn run(self: Box<Self>) {
        let Queued { work, job, slot, handle, list } = *self;
        let ended =
            context::run_job(handle, &job, || catch_unwind(AssertUnwindSafe(|| job.scope().run(|| work(&job)))));
        drop(job);
        let outcome = match ended {
            Ok(value) => Outcome::Value(value),
            Err(payload) => Outcome::Panicked(payload, None),
        };
        match slot.put(outcome) {
            Ok(membership) => drop(membership),
            Err(unwanted) => unwanted.dispose(&list),
        }
    }

    fn refuse(self: Box<Self>, why: &str) {
        let Queued { work, slot, .. } = *self;
        // Nobody waits if the task was cut.
        let membership = slot.put(Outcome::Refused(why.to_owned()));
        drop(work);
        drop(membership);
    }
}

impl<T> Unwanted<T, Membership> {
    /// Drops it on the job's thread.
    fn dispose(self, list: &UnattendedJobs) {
        let Unwanted { outcome, place, number } = self;
        match outcome {
            Outcome::Panicked(payload, Some(membership)) => drop(membership.panicked(payload)),
            unwanted => {
                // Dropped before the scope can end; its destructor may panic like the work itself.
                match (catch_unwind(AssertUnwindSafe(|| drop(unwanted))), place) {
                    (Err(payload), Some(membership)) => drop(membership.panicked(payload)),
                    (Err(payload), None) => drop(contain(|| drop(payload))),
                    (Ok(()), membership) => drop(membership),
                }
            }
        }
        if let Some(number) = number {
            list.remove(number);
        }
    }
}
