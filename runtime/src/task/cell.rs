//! The block that a task lives in, and the one home of this crate's `unsafe` (with its submodules and the allocator's
//! seam, `slab`).
//!
//! One allocation holds the [`Header`], the name and the stage: first the future (with its membership around it), then
//! its output, then nothing. The header does not depend on the future's type; everything that does goes through the
//! [`VTable`], so a runnable, a waker and a handle are one pointer each.
//!
//! | phase | stage | owner of the stage | run word | life word |
//! |---|---|---|---|---|
//! | queued, running | future | the [`Runnable`] | awake | the task's reference is the runnable's |
//! | suspended | future | nobody: whoever wakes it gets the runnable | idle | the task's reference is its own |
//! | finished, handle alive | output | the handle | done | `COMPLETE` |
//! | finished, handle gone | empty | – | done | only wakers are left |
//!
//! Rules, referred to by the `SAFETY` comments:
//! 1. Whoever holds a counted reference may share the header, except for the joiner's slot.
//! 2. The stage is touched only by its owner of the table above. Ownership moves with the runnable, and at completion as
//!    the life word says ([`Completion`]).
//! 3. The joiner's slot is touched only by its owner in the life word's table.
//! 4. The future is pinned: it is never moved out of the cell, and dropped in place, at completion, whoever still
//!    points to the cell. So a waker kept for ever keeps a few hundred bytes, not the future.
//! 5. The block is freed by whoever gave up the last reference, when stage and slot are empty.
//!
//! Schedulers are pointed to without counting; they live for ever, and a wake of a finished task does not reach them.

#![allow(unsafe_code)]
#![allow(unreachable_pub, reason = "models reach these types through a module of their own")]

mod grip;
mod runnable;
mod slot;
pub(crate) mod tap;
mod ticket;
mod waker;

use std::alloc::Layout;
use std::borrow::Cow;
use std::future::Future;
use std::marker::PhantomData;
use std::mem;
use std::panic::Location;
use std::pin::Pin;
use std::process;
use std::ptr::{self, NonNull};
use std::task::{Context as TaskContext, Poll, Waker};

use ramus_scope::{JoinError, Member, ReasonKind, TaskCancel};

use super::contain::contain;
use super::info::{Id, RUNNING, State, TaskInfo};
use super::state::{Completion, LetGo, LifeWord, RunWord, Wake};
use super::{JoinHandle, Schedule};
use crate::sync::atomic::AtomicU64;
use crate::sync::atomic::Ordering::Relaxed;
use crate::sync::{LeakProbe, UnsafeCell, cells};

pub(crate) use grip::Grip;
pub use runnable::{Polled, Ran, Runnable};
pub use slot::Slot;
pub(crate) use ticket::Ticket;
pub use waker::inspect;
pub(crate) use waker::{claim, is_of};

/// What a cell shows without the type of its future. Its first 64 bytes are all that a wake or a poll needs.
#[repr(C)]
pub(crate) struct Header {
    run: RunWord,
    life: LifeWord,
    vtable: &'static VTable,
    scheduler: NonNull<()>,
    /// The id, and whether the task is being polled.
    stamp: AtomicU64,
    pub(super) cancel: TaskCancel,
    site: &'static Location<'static>,
    /// The waker of whoever awaits the handle.
    joiner: UnsafeCell<Option<Waker>>,
    /// Nothing, unless under a model: finds cells that were never freed.
    probe: LeakProbe,
}

/// What depends on the types of a cell.
struct VTable {
    /// Polls the future. For the holder of the runnable, which is gone if the answer is `Step::Done`.
    run: unsafe fn(NonNull<Header>) -> Step,
    /// Drops the future unfinished and completes the task. For the holder of the runnable, which is gone.
    abandon: unsafe fn(NonNull<Header>),
    /// Calls [`Schedule::schedule`].
    schedule: unsafe fn(NonNull<Header>, Runnable),
    /// Calls [`Schedule::contained`].
    contained: unsafe fn(NonNull<Header>),
    /// Moves the output into an `Option<Result<T, JoinError>>`. For the owner of the output.
    take: unsafe fn(NonNull<Header>, NonNull<()>),
    /// Where the `Result<T, JoinError>` is, if it is still there. For the owner of the output.
    look: unsafe fn(NonNull<Header>) -> Option<NonNull<()>>,
    /// Drops the output, if it is still there. For the owner of the output.
    discard: unsafe fn(NonNull<Header>),
    /// The name. For whoever holds a reference; what is returned lives as long as that.
    name: unsafe fn(NonNull<Header>) -> Option<NonNull<str>>,
    /// The task is a blocking job.
    is_job: bool,
    /// Frees the block. For whoever gave up the last reference.
    free: unsafe fn(NonNull<Header>),
}

/// What a poll came to.
enum Step {
    Pending,
    Done,
}

/// The block itself.
#[repr(C)]
struct Block<S: 'static, F: Future, N> {
    header: Header,
    name: N,
    stage: UnsafeCell<Stage<F>>,
    scheduler: PhantomData<&'static S>,
}

/// The part of a cell that changes hands.
enum Stage<F: Future> {
    Future(Member<F>),
    Output(Result<F::Output, JoinError>),
    Empty,
}

/// The name of a task: nothing, which takes no room in the cell, or a text.
pub trait Name: Send + Sync + 'static {
    /// It is that of a blocking job.
    const IS_JOB: bool = false;

    /// The text.
    fn text(&self) -> Option<&str>;
}

impl Name for () {
    fn text(&self) -> Option<&str> {
        None
    }
}

impl Name for Cow<'static, str> {
    fn text(&self) -> Option<&str> {
        Some(self)
    }
}

impl Name for std::sync::Arc<str> {
    fn text(&self) -> Option<&str> {
        Some(self)
    }
}

/// Makes a task of `member`: the runnable, which the caller schedules, and its handle.
///
/// The future is written straight into its cell, after that has been allocated.
#[inline]
pub fn cell<S, F, N>(
    scheduler: &'static S,
    member: Member<F>,
    name: N,
    site: &'static Location<'static>,
    id: Id,
) -> (Runnable, JoinHandle<F::Output>)
where
    S: Schedule,
    F: Future + Send + 'static,
    F::Output: Send + 'static,
    N: Name,
{
    let layout = Layout::new::<Block<S, F, N>>();
    let block = cells::alloc(layout).cast::<Block<S, F, N>>();
    // SAFETY: the block is ours, of this layout, and uninitialised; each field is written once.
    unsafe {
        (&raw mut (*block.as_ptr()).header).write(Header {
            run: RunWord::spawned(),
            life: LifeWord::spawned(),
            vtable: Block::<S, F, N>::VTABLE,
            scheduler: NonNull::from(scheduler).cast(),
            stamp: AtomicU64::new(id.stamp()),
            cancel: TaskCancel::new(),
            site,
            joiner: UnsafeCell::new(None),
            probe: LeakProbe::new(),
        });
        (&raw mut (*block.as_ptr()).name).write(name);
        (&raw mut (*block.as_ptr()).stage).write(UnsafeCell::new(Stage::Future(member)));
    }
    let header = block.cast::<Header>();
    // SAFETY: the life word starts with two references: the task's, which the runnable carries, and the handle's. The
    // output of this cell is `F::Output`, and everything in it is `Send`.
    unsafe { (Runnable(header), JoinHandle::new(Ticket::new(header))) }
}

impl<S, F, N> Block<S, F, N>
where
    S: Schedule,
    F: Future + Send + 'static,
    F::Output: Send + 'static,
    N: Name,
{
    const VTABLE: &'static VTable = &VTable {
        run: Self::run,
        abandon: Self::abandon,
        schedule: Self::schedule,
        contained: Self::contained,
        take: Self::take,
        look: Self::look,
        discard: Self::discard,
        name: Self::name,
        is_job: N::IS_JOB,
        free: Self::free,
    };

    /// # Safety
    ///
    /// `header` is the header of a live `Block<S, F, N>`, for as long as the answer is used.
    unsafe fn stage<'a>(header: NonNull<Header>) -> &'a UnsafeCell<Stage<F>> {
        // SAFETY: by the caller. The pointer came from the whole block's.
        unsafe { &(*header.cast::<Self>().as_ptr()).stage }
    }

    /// # Safety
    ///
    /// `header` is the header of a live `Block<S, F, N>`.
    unsafe fn scheduler(header: NonNull<Header>) -> &'static S {
        // SAFETY: the block is alive, and the pointer in it was made from a `&'static S`.
        unsafe { header.as_ref().scheduler.cast::<S>().as_ref() }
    }

    /// # Safety
    ///
    /// As `VTable::run`.
    unsafe fn run(cell: NonNull<Header>) -> Step {
        // SAFETY: the caller holds the runnable, and with it the task's reference (rule 1); the borrow ends before the
        // reference is given up.
        let header = unsafe { cell.as_ref() };
        let waker = waker::borrowed(cell);
        let mut context = TaskContext::from_waker(&waker);
        // SAFETY: the runnable owns the stage (rule 2).
        let stage = unsafe { Self::stage(cell) };
        let polled = stage.with_mut(|stage| {
            // SAFETY: exclusive, by rule 2; nobody else makes a reference to it.
            let Stage::Future(member) = (unsafe { &mut *stage }) else {
                unreachable!("a finished task has no runnable");
            };
            // SAFETY: never moved until it is dropped in place (rule 4).
            let mut member = unsafe { Pin::new_unchecked(member) };
            match member.as_mut().poll_for(&mut context, &header.cancel, !header.life.is_detached()) {
                Poll::Ready(output) => Some((output, member.take_place())),
                Poll::Pending => None,
            }
        });
        let Some((output, place)) = polled else {
            return Step::Pending;
        };
        // SAFETY: this is the header of a live block.
        let scheduler = unsafe { Self::scheduler(cell) };
        // SAFETY: the runnable owns the stage, and gives it up here.
        unsafe {
            if header.life.is_detached() { Self::finish_unseen(cell, output) } else { Self::finish(cell, output) }
        };
        // Only now, so that whoever sees the scope end finds every handle of its tasks finished.
        if contain(|| drop(place)) {
            scheduler.contained();
        }
        Step::Done
    }

    /// Replaces the future by `output` and completes the task.
    ///
    /// # Safety
    ///
    /// For the holder of the runnable, which is gone afterwards.
    unsafe fn finish(cell: NonNull<Header>, output: Result<F::Output, JoinError>) {
        // SAFETY: the caller holds the task's reference.
        let scheduler = unsafe { Self::scheduler(cell) };
        // SAFETY: the runnable owns the stage (rule 2).
        let panicked = unsafe { Self::stage(cell) }.with_mut(|stage| {
            // SAFETY: exclusive; dropped in place and never used again (rule 4), also if a destructor in it panics:
            // what was in the stage is overwritten without being looked at.
            let panicked = contain(|| unsafe { ptr::drop_in_place(stage) });
            // SAFETY: as above; what was there has been dropped.
            unsafe { stage.write(Stage::Output(output)) };
            panicked
        });
        if panicked {
            scheduler.contained();
        }
        let completion = {
            // SAFETY: the caller holds the task's reference; the borrow ends with the statement that gives it up.
            let header = unsafe { cell.as_ref() };
            header.run.finish();
            header.life.complete()
        };
        match completion {
            // The handle owns everything, and may have freed the cell by now.
            Completion::Handed => {}
            Completion::Detached => {
                // SAFETY: nobody else is left to own the output (the life word's table).
                unsafe { Self::discard(cell) };
                // SAFETY: the task's reference, given up for good.
                unsafe { let_go_probably_last(cell) };
            }
            Completion::HandedWithWaker => {
                // SAFETY: the slot is the completer's (rule 3), the task's reference still held.
                let joiner = unsafe { cell.as_ref() }.joiner.with_mut(|slot| unsafe { (*slot).take() });
                // SAFETY: the task's reference, given up for good, before foreign code is called.
                unsafe { let_go(cell) };
                if contain(|| joiner.into_iter().for_each(Waker::wake)) {
                    scheduler.contained();
                }
            }
        }
    }

    /// As [`finish`](Self::finish), where nobody is left to take the output: it does not go through the stage.
    ///
    /// # Safety
    ///
    /// As `finish`; the handle was dropped, the member has answered, and its place was taken.
    unsafe fn finish_unseen(cell: NonNull<Header>, output: Result<F::Output, JoinError>) {
        // SAFETY: the runnable owns the stage (rule 2), exclusively. What is in it is overwritten without a drop: the member
        // has answered, so its future was dropped, and its place was taken out.
        unsafe { Self::stage(cell) }.with_mut(|stage| unsafe { stage.write(Stage::Empty) });
        // SAFETY: the caller holds the task's reference.
        unsafe { cell.as_ref() }.run.finish();
        if contain(|| drop(output)) {
            // SAFETY: as above.
            unsafe { Self::contained(cell) };
        }
        // SAFETY: the task's reference, given up for good.
        unsafe { let_go_probably_last(cell) };
    }

    /// # Safety
    ///
    /// As `VTable::abandon`.
    unsafe fn abandon(cell: NonNull<Header>) {
        // SAFETY: by the caller. `finish` drops the future.
        unsafe { Self::finish(cell, Err(JoinError::cancelled(ReasonKind::Dropped.into(), true))) };
    }

    /// # Safety
    ///
    /// As `VTable::schedule`.
    unsafe fn schedule(cell: NonNull<Header>, runnable: Runnable) {
        // SAFETY: by the caller.
        unsafe { Self::scheduler(cell) }.schedule(runnable);
    }

    /// # Safety
    ///
    /// As `VTable::contained`.
    unsafe fn contained(cell: NonNull<Header>) {
        // SAFETY: by the caller.
        unsafe { Self::scheduler(cell) }.contained();
    }

    /// # Safety
    ///
    /// As `VTable::take`: `into` is an initialised `Option<Result<F::Output, JoinError>>`.
    unsafe fn take(cell: NonNull<Header>, into: NonNull<()>) {
        // SAFETY: the caller owns the output (rule 2).
        unsafe { Self::stage(cell) }.with_mut(|stage| {
            // SAFETY: exclusive, as above. No future is moved: it was dropped before the output was written.
            let taken = match mem::replace(unsafe { &mut *stage }, Stage::Empty) {
                Stage::Output(output) => Some(output),
                Stage::Future(_) | Stage::Empty => None,
            };
            // SAFETY: by the caller.
            unsafe { *into.cast::<Option<Result<F::Output, JoinError>>>().as_ptr() = taken };
        });
    }

    /// # Safety
    ///
    /// As `VTable::look`.
    unsafe fn look(cell: NonNull<Header>) -> Option<NonNull<()>> {
        // SAFETY: the caller owns the output (rule 2).
        unsafe { Self::stage(cell) }.with_mut(|stage| match unsafe { &mut *stage } {
            Stage::Output(output) => Some(NonNull::from(output).cast()),
            Stage::Future(_) | Stage::Empty => None,
        })
    }

    /// # Safety
    ///
    /// As `VTable::discard`.
    unsafe fn discard(cell: NonNull<Header>) {
        let mut output: Option<Result<F::Output, JoinError>> = None;
        // SAFETY: by the caller; `output` is of the type that belongs to this block.
        unsafe { Self::take(cell, NonNull::from(&mut output).cast()) };
        if contain(|| drop(output)) {
            // SAFETY: the caller still holds a reference.
            unsafe { Self::contained(cell) };
        }
    }

    /// # Safety
    ///
    /// As `VTable::name`.
    unsafe fn name(cell: NonNull<Header>) -> Option<NonNull<str>> {
        // SAFETY: the block is alive, its name written once before it was shared.
        unsafe { &(*cell.cast::<Self>().as_ptr()).name }.text().map(NonNull::from)
    }

    /// # Safety
    ///
    /// As `VTable::free`.
    unsafe fn free(cell: NonNull<Header>) {
        let block = cell.cast::<Self>();
        // SAFETY: nobody else is left, so the block is exclusive; stage and slot are empty (rule 5), what else is in it
        // drops without user code. It was allocated with this layout.
        unsafe {
            (*block.as_ptr()).header.run.retire();
            (*block.as_ptr()).header.life.retire();
            ptr::drop_in_place(block.as_ptr());
            cells::free(block.cast(), Layout::new::<Self>());
        }
    }
}

/// Gives up a reference to the cell.
///
/// # Safety
///
/// The caller has one, and gives it up for good.
unsafe fn let_go(cell: NonNull<Header>) {
    // SAFETY: alive until the reference has been given up.
    if unsafe { cell.as_ref() }.life.release() == LetGo::Last {
        // SAFETY: it was the last one.
        unsafe { (cell.as_ref().vtable.free)(cell) };
    }
}

/// The same for a caller that is probably the last one.
///
/// # Safety
///
/// The caller has a reference, and gives it up for good.
unsafe fn let_go_probably_last(cell: NonNull<Header>) {
    // SAFETY: alive until the reference has been given up.
    if unsafe { cell.as_ref() }.life.release_probably_last() == LetGo::Last {
        // SAFETY: it was the last one.
        unsafe { (cell.as_ref().vtable.free)(cell) };
    }
}

/// Wakes the task.
///
/// # Safety
///
/// The caller holds a reference, and keeps it during the call.
unsafe fn wake(cell: NonNull<Header>) {
    // SAFETY: by the caller (rule 1).
    let header = unsafe { cell.as_ref() };
    match header.run.wake() {
        Wake::Nothing => {}
        // SAFETY: the caller's reference lasts for the call; the task was idle, so its runnable is made here (edge 1).
        Wake::Schedule => unsafe { (header.vtable.schedule)(cell, Runnable(cell)) },
        Wake::Overflow => process::abort(),
    }
}

/// A look at a task.
///
/// # Safety
///
/// The caller holds a reference, and keeps it during the call.
unsafe fn look(cell: NonNull<Header>, now_ms: u64) -> TaskInfo {
    // SAFETY: by the caller (rule 1).
    let header = unsafe { cell.as_ref() };
    // SAFETY: as above; the text lives in the block and is copied here.
    let name = unsafe { (header.vtable.name)(cell).map(|name| name.as_ref().to_owned()) };
    // Ordering: [task:T1] Relaxed: for reports only, orders nothing.
    let stamp = header.stamp.load(Relaxed);
    let run = header.run.look();
    let state = if run.is_done() {
        State::Done
    } else if run.is_idle() {
        State::Suspended
    } else if stamp & RUNNING != 0 {
        State::Running
    } else {
        State::Queued
    };
    let id = Id::from_stamp(stamp);
    TaskInfo { id, name, location: header.site, state, age: id.age(now_ms), is_job: header.vtable.is_job }
}
