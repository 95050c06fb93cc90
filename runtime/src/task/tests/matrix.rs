//! The product of all phases of a task, all that can happen to it, and all of its destructors panicking:
//!
//! * never polled, pending, running (it happens in the middle of a poll), completed, panicked, cancelled;
//! * its waker is woken, woken by reference, dropped; its handle is dropped, cancels, makes another that cancels, is shared;
//!   the scope around it is shut down;
//! * nothing, its output, its future or the payload of its panic panics when it is dropped.
//!
//! After each: the future was dropped once and never polled again, every output was dropped once, the handle has the one
//! right answer, nothing is queued, and the cell is gone.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};
use std::thread::{self, ThreadId};

use ramus_scope::{ReasonKind, ScopeHandle};

use super::super::contain;
use super::super::{JoinHandle, Polled, Ran, Schedule};
use super::{Bench, Open, Queue, bench, poll_once};
use crate::combine::SharedJoinHandle;
use crate::sync::Mutex;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Phase {
    NeverPolled,
    Pending,
    Running,
    Completed,
    Panicked,
    Cancelled,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Event {
    Wake,
    WakeByRef,
    DropWaker,
    DropHandle,
    Cancel,
    CancelByCanceller,
    Share,
    Shutdown,
}

impl Event {
    fn cancels(self) -> bool {
        matches!(self, Event::Cancel | Event::CancelByCanceller | Event::Shutdown)
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Bomb {
    None,
    Output,
    Future,
    Payload,
}

#[derive(Clone, Copy)]
pub(super) enum Act {
    Pending,
    Ready,
    Panic,
}

/// What a task of the matrix did.
#[derive(Default)]
pub(super) struct Log {
    pub(super) polls: AtomicUsize,
    pub(super) futures_dropped: AtomicUsize,
    pub(super) outputs_made: AtomicUsize,
    pub(super) outputs_dropped: AtomicUsize,
    pub(super) dropped_on: Mutex<Option<ThreadId>>,
    pub(super) acts: Mutex<VecDeque<Act>>,
    pub(super) waker: Mutex<Option<Waker>>,
    /// Called in the middle of the next poll.
    pub(super) hook: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

pub(super) struct Subject {
    log: Arc<Log>,
    bomb: Bomb,
}

pub(super) struct Outcome {
    log: Arc<Log>,
    bomb: Bomb,
}

impl Future for Subject {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        self.log.polls.fetch_add(1, SeqCst);
        *self.log.waker.lock() = Some(cx.waker().clone());
        let hook = self.log.hook.lock().take();
        if let Some(hook) = hook {
            hook();
        }
        match self.log.acts.lock().pop_front().unwrap_or(Act::Pending) {
            Act::Pending => Poll::Pending,
            Act::Panic if self.bomb == Bomb::Payload => std::panic::panic_any(Payload),
            Act::Panic => panic!("the body"),
            Act::Ready => {
                self.log.outputs_made.fetch_add(1, SeqCst);
                Poll::Ready(Outcome { log: Arc::clone(&self.log), bomb: self.bomb })
            }
        }
    }
}

/// What a task panics with.
struct Payload;

impl Drop for Payload {
    fn drop(&mut self) {
        panic!("the payload's destructor");
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        self.log.futures_dropped.fetch_add(1, SeqCst);
        *self.log.dropped_on.lock() = Some(thread::current().id());
        if self.bomb == Bomb::Future {
            panic!("the future's destructor");
        }
    }
}

impl Drop for Outcome {
    fn drop(&mut self) {
        self.log.outputs_dropped.fetch_add(1, SeqCst);
        if self.bomb == Bomb::Output {
            panic!("the output's destructor");
        }
    }
}

/// One task of the matrix, with its handle.
pub(super) struct Trial {
    pub(super) queue: &'static Queue,
    pub(super) polled: Polled,
    pub(super) name: Arc<str>,
    pub(super) log: Arc<Log>,
    pub(super) handle: Arc<Mutex<Option<JoinHandle<Outcome>>>>,
    shared: Arc<Mutex<Option<SharedJoinHandle<Outcome>>>>,
    root: Open,
}

impl Trial {
    pub(super) fn new(bomb: Bomb) -> Self {
        let (queue, root) = bench();
        let name: Arc<str> = Arc::from("subject");
        *queue.name.lock() = Some(Arc::clone(&name));
        let log = Arc::new(Log::default());
        let handle = root.handle().spawn(Subject { log: Arc::clone(&log), bomb });
        let handle = Arc::new(Mutex::new(Some(handle)));
        Self { queue, polled: Polled::new(), name, log, handle, shared: Arc::default(), root }
    }

    /// Brings a fresh task into `phase`; `Running` is reached by a hook, so only prepared here.
    pub(super) fn bring_to(&self, phase: Phase) {
        let mut acts = self.log.acts.lock();
        match phase {
            Phase::NeverPolled | Phase::Running => return,
            Phase::Pending | Phase::Cancelled => acts.push_back(Act::Pending),
            Phase::Completed => acts.push_back(Act::Ready),
            Phase::Panicked => acts.push_back(Act::Panic),
        }
        drop(acts);
        assert_eq!(self.queue.drain(&self.polled), 1);
        if phase == Phase::Cancelled {
            let guard = self.handle.lock();
            assert!(guard.as_ref().unwrap().cancel("the trial's own"));
            drop(guard);
            assert_eq!(self.queue.drain(&self.polled), 1);
        }
    }

    fn hand(&self) -> Hand {
        Hand {
            log: Arc::clone(&self.log),
            handle: Arc::clone(&self.handle),
            shared: Arc::clone(&self.shared),
            scope: self.root.handle().clone(),
        }
    }

    fn is_finished(phase: Phase) -> bool {
        matches!(phase, Phase::Completed | Phase::Panicked | Phase::Cancelled)
    }
}

/// What makes events happen.
#[derive(Clone)]
struct Hand {
    log: Arc<Log>,
    handle: Arc<Mutex<Option<JoinHandle<Outcome>>>>,
    shared: Arc<Mutex<Option<SharedJoinHandle<Outcome>>>>,
    scope: ScopeHandle<Bench>,
}

/// Makes `event` happen; false: it cannot, because nobody has a waker yet.
fn happen(event: Event, hand: &Hand, finished: bool) -> bool {
    let Hand { log, handle, shared, scope } = hand;
    match event {
        Event::Wake | Event::DropWaker | Event::WakeByRef => {
            let Some(waker) = log.waker.lock().take() else {
                return false;
            };
            match event {
                Event::Wake => waker.wake(),
                Event::WakeByRef => {
                    waker.wake_by_ref();
                    *log.waker.lock() = Some(waker);
                }
                _ => drop(waker),
            }
        }
        Event::DropHandle => drop(handle.lock().take()),
        Event::Cancel => {
            let guard = handle.lock();
            let handle = guard.as_ref().unwrap();
            assert_eq!(handle.cancel("the event"), !finished);
            assert!(!handle.cancel("again"), "the first reason stays");
        }
        Event::CancelByCanceller => {
            let canceller = handle.lock().as_ref().unwrap().cancel_handle();
            assert_eq!(canceller.is_finished(), finished);
            assert_eq!(canceller.cancel("the event"), !finished);
            assert!(!canceller.clone().cancel("again"), "the first reason stays");
        }
        Event::Share => *shared.lock() = handle.lock().take().map(JoinHandle::shared),
        Event::Shutdown => assert!(scope.cancel(ReasonKind::Shutdown)),
    }
    true
}

fn run_trial(phase: Phase, event: Event, bomb: Bomb) -> bool {
    let case = format!("{phase:?} x {event:?} x {bomb:?}");
    // Each trial is a poll of its own.
    crate::context::refill_budget();
    let trial = Trial::new(bomb);
    let (queue, log) = (trial.queue, Arc::clone(&trial.log));
    trial.bring_to(phase);
    let finished = Trial::is_finished(phase);
    let polls_before = log.polls.load(SeqCst);
    let queued_before = queue.len();
    assert_eq!(queued_before, usize::from(matches!(phase, Phase::NeverPolled | Phase::Running)), "{case}");

    let happened = Arc::new(AtomicBool::new(true));
    if phase == Phase::Running {
        log.acts.lock().push_back(Act::Pending);
        let (hand, happened) = (trial.hand(), Arc::clone(&happened));
        *log.hook.lock() = Some(Box::new(move || {
            happened.store(happen(event, &hand, false), SeqCst);
        }));
        let ran = queue.take().unwrap().run(&trial.polled);
        // A wake or a cancel during the poll: either the poll goes again, or the cut was seen at its end already.
        match (event, ran) {
            (Event::Wake | Event::WakeByRef, Ran::Again(runnable)) => queue.schedule(runnable),
            (event, Ran::Again(runnable)) if event.cancels() => queue.schedule(runnable),
            (event, Ran::Done) if event.cancels() => {}
            (Event::DropHandle | Event::DropWaker | Event::Share, Ran::Pending) => {}
            (_, ran) => panic!("{case}: {ran:?}"),
        }
    } else {
        happened.store(happen(event, &trial.hand(), finished), SeqCst);
        let wakes = matches!(event, Event::Wake | Event::WakeByRef) || event.cancels();
        let queued = queued_before + usize::from(wakes && phase == Phase::Pending);
        assert_eq!(queue.len(), queued, "{case}: at most one runnable, and none of a finished task");
    }
    if finished {
        assert_eq!(log.futures_dropped.load(SeqCst), 1, "{case}: the future is gone, whoever keeps a waker");
    }

    // To the end: whoever is left unfinished completes at its next poll.
    if !finished && log.futures_dropped.load(SeqCst) == 0 {
        log.acts.lock().push_back(Act::Ready);
        let waker = log.waker.lock().clone();
        if let Some(waker) = waker {
            waker.wake_by_ref();
            waker.wake();
        } else if event == Event::DropWaker && phase != Phase::NeverPolled {
            // The only waker is gone: its handle can still reach it.
            assert!(trial.handle.lock().as_ref().unwrap().cancel("the end"));
        }
        queue.drain(&trial.polled);
    }
    assert_eq!(log.futures_dropped.load(SeqCst), 1, "{case}");
    let cancelled_unpolled = phase == Phase::NeverPolled && event.cancels();
    let cut = event.cancels() && matches!(phase, Phase::Pending | Phase::Running);
    let polls = log.polls.load(SeqCst);
    if finished || cancelled_unpolled {
        assert_eq!(polls, polls_before, "{case}: never polled again");
    } else if cut {
        assert_eq!(polls, polls_before.max(1), "{case}: a cut future is dropped, not polled");
    }

    // Whose is the outcome?
    let mut handle = trial.handle.lock().take();
    let made = log.outputs_made.load(SeqCst);
    if let Some(handle) = handle.as_mut() {
        assert!(handle.is_finished(), "{case}");
        match poll_once(handle) {
            Poll::Pending => panic!("{case}: a finished task does not resolve"),
            Poll::Ready(Ok(outcome)) => {
                assert_eq!((made, bomb == Bomb::Future), (1, false), "{case}");
                // Taken: from here on it is the test's, with whatever its destructor does.
                let _ = contain::contain(|| drop(outcome));
            }
            Poll::Ready(Err(error)) => {
                let panicked = phase == Phase::Panicked || (bomb == Bomb::Future);
                assert_eq!(error.is_panic(), panicked, "{case}: {error}");
                assert_eq!(error.is_cancelled(), !panicked, "{case}: {error}");
                if cancelled_unpolled && !panicked {
                    assert!(error.never_started(), "{case}");
                }
                let _ = contain::contain(|| drop(error));
            }
        }
        assert!(handle.try_result().is_none(), "{case}: the result is there once");
    }
    drop(handle);
    let shared = trial.shared.lock().take();
    if let Some(mut shared) = shared {
        let Poll::Ready(first) = Pin::new(&mut shared).poll(&mut Context::from_waker(Waker::noop())) else {
            panic!("{case}: a finished task does not resolve")
        };
        let panicked = phase == Phase::Panicked || bomb == Bomb::Future;
        assert_eq!(
            (first.is_ok(), panicked),
            (made == 1 && !panicked, first.as_ref().is_err_and(|e| e.is_panic())),
            "{case}"
        );
        assert!(
            Pin::new(&mut shared).poll(&mut Context::from_waker(Waker::noop())).is_ready()
                && shared.clone().try_result().is_some(),
            "{case}: as often as one likes"
        );
        // The last one drops the result, with whatever its destructor does.
        drop(shared);
        let _ = contain::contain(|| drop(first));
    }
    assert_eq!(log.outputs_dropped.load(SeqCst), made, "{case}: every output is dropped once");

    // An output that nobody took was dropped by the cell, which caught its panic.
    let hostile = (made == 1 && bomb == Bomb::Output) || (phase == Phase::Panicked && bomb == Bomb::Payload);
    let dropped_by_cell = event == Event::DropHandle && hostile;
    assert_eq!(queue.contained.load(SeqCst), usize::from(dropped_by_cell), "{case}");

    // A late waker finds nothing, and is the last to keep the cell.
    if let Some(waker) = log.waker.lock().take() {
        waker.wake_by_ref();
        assert_eq!(queue.len(), 0, "{case}: woken after its end");
        assert_eq!(Arc::strong_count(&trial.name), 2, "{case}: a waker keeps the cell");
        waker.wake();
    }
    assert_eq!(queue.len(), 0, "{case}");
    assert_eq!(Arc::strong_count(&trial.name), 1, "{case}: the cell was leaked");
    happened.load(SeqCst)
}

#[test]
fn every_phase_meets_every_event() {
    let phases =
        [Phase::NeverPolled, Phase::Pending, Phase::Running, Phase::Completed, Phase::Panicked, Phase::Cancelled];
    let events = [
        Event::Wake,
        Event::WakeByRef,
        Event::DropWaker,
        Event::DropHandle,
        Event::Cancel,
        Event::CancelByCanceller,
        Event::Share,
        Event::Shutdown,
    ];
    let mut happened = 0;
    for phase in phases {
        for event in events {
            for bomb in [Bomb::None, Bomb::Output, Bomb::Future, Bomb::Payload] {
                happened += usize::from(run_trial(phase, event, bomb));
            }
        }
    }
    // All but the three events with a waker in the one phase that has none.
    assert_eq!(happened, (6 * 8 - 3) * 4);
}
