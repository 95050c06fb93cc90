//! A deterministic executor for the tests: one thread, a queue, a virtual clock that moves to the next alarm when nothing
//! is ready.
#![allow(dead_code, missing_docs, unreachable_pub)]

pub mod steps;
pub mod strays;

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use ramus_scope::{Host, JoinError, Member, Root, TaskCancel};

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

struct Cell {
    work: Mutex<Option<Work>>,
    queued: AtomicBool,
    sim: Arc<State>,
}

impl Wake for Cell {
    fn wake(self: Arc<Self>) {
        if !self.queued.swap(true, Ordering::SeqCst) {
            self.sim.queue.lock().unwrap().push_back(Arc::clone(&self));
        }
    }
}

struct State {
    queue: Mutex<VecDeque<Arc<Cell>>>,
    alarms: Mutex<BTreeMap<(u64, u64), Waker>>,
    now: AtomicU64,
    serial: AtomicU64,
    /// What the next choice among the ready tasks is drawn from; 0: first come, first served.
    drawn: AtomicU64,
    start: Instant,
}

/// The executor; also the host.
#[derive(Clone)]
pub struct Sim(Arc<State>);

thread_local! {
    static CURRENT: RefCell<Option<Sim>> = const { RefCell::new(None) };
}

pub struct Alarm(Sim, (u64, u64));

impl Drop for Alarm {
    fn drop(&mut self) {
        let waker = self.0.0.alarms.lock().unwrap().remove(&self.1);
        drop(waker);
    }
}

/// The result of a task, and who waits for it.
type Slot<T> = (Option<Result<T, JoinError>>, Option<Waker>);

pub struct Join<T> {
    slot: Arc<Mutex<Slot<T>>>,
    pub cancel: Arc<TaskCancel>,
    cell: Arc<Cell>,
}

impl<T> Join<T> {
    pub fn cancel(&self, reason: &'static str) -> bool {
        let first = self.cancel.cancel(reason);
        Arc::clone(&self.cell).wake();
        first
    }

    pub fn try_take(&self) -> Option<Result<T, JoinError>> {
        self.slot.lock().unwrap().0.take()
    }
}

impl<T> Future for Join<T> {
    type Output = Result<T, JoinError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if ramus_scope::is_cut() {
            return Poll::Pending;
        }
        let mut slot = self.slot.lock().unwrap();
        match slot.0.take() {
            Some(result) => Poll::Ready(result),
            None => {
                slot.1 = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Host for Sim {
    type JoinHandle<T: Send + 'static> = Join<T>;
    type Alarm = Alarm;

    fn current() -> Option<Sim> {
        CURRENT.with(|current| current.borrow().clone())
    }

    fn spawn<F>(&self, member: Member<F>) -> Join<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let future = member.into_future();
        let cancel = Arc::clone(future.task_cancel());
        let slot = Arc::new(Mutex::new((None, None::<Waker>)));
        let out = Arc::clone(&slot);
        let cell = self.raw_spawn(async move {
            let result = future.await;
            let waker = {
                let mut slot = out.lock().unwrap();
                slot.0 = Some(result);
                slot.1.take()
            };
            if let Some(waker) = waker {
                waker.wake();
            }
        });
        Join { slot, cancel, cell }
    }

    fn wake_after(&self, after: Duration, waker: Waker) -> Alarm {
        let at = self.0.now.load(Ordering::SeqCst).saturating_add(after.as_millis() as u64);
        let key = (at, self.0.serial.fetch_add(1, Ordering::SeqCst));
        self.0.alarms.lock().unwrap().insert(key, waker);
        Alarm(self.clone(), key)
    }

    fn wake_at(&self, at: Instant, waker: Waker) -> Alarm {
        self.wake_after(at.saturating_duration_since(self.instant(0)), waker)
    }
}

impl Sim {
    pub fn new() -> Sim {
        Sim(Arc::new(State {
            queue: Mutex::default(),
            alarms: Mutex::default(),
            now: AtomicU64::new(0),
            serial: AtomicU64::new(0),
            drawn: AtomicU64::new(0),
            start: Instant::now(),
        }))
    }

    fn raw_spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> Arc<Cell> {
        let cell = Arc::new(Cell {
            work: Mutex::new(Some(Box::pin(work))),
            queued: AtomicBool::new(false),
            sim: Arc::clone(&self.0),
        });
        Arc::clone(&cell).wake();
        cell
    }

    /// The virtual time, in milliseconds.
    pub fn now(&self) -> u64 {
        self.0.now.load(Ordering::SeqCst)
    }

    /// The instant that is `ms` from now in virtual time.
    pub fn instant(&self, ms: u64) -> Instant {
        self.0.start + Duration::from_millis(self.now() + ms)
    }

    /// Chooses among the ready tasks by chance.
    pub fn seeded(seed: u64) -> Sim {
        let sim = Sim::new();
        sim.0.drawn.store(seed | 1, Ordering::SeqCst);
        sim
    }

    fn next(&self) -> Option<Arc<Cell>> {
        let mut queue = self.0.queue.lock().unwrap();
        let mut drawn = self.0.drawn.load(Ordering::SeqCst);
        if drawn == 0 || queue.is_empty() {
            return queue.pop_front();
        }
        // xorshift64 (Marsaglia 2003).
        drawn ^= drawn << 13;
        drawn ^= drawn >> 7;
        drawn ^= drawn << 17;
        self.0.drawn.store(drawn, Ordering::SeqCst);
        let at = drawn as usize % queue.len();
        queue.swap_remove_back(at)
    }

    /// Polls one task. `false`: nothing is ready.
    pub fn step(&self) -> bool {
        let Some(cell) = self.next() else { return false };
        cell.queued.store(false, Ordering::SeqCst);
        let Some(mut work) = cell.work.lock().unwrap().take() else { return true };
        let previous = CURRENT.with(|current| current.replace(Some(self.clone())));
        let waker = Waker::from(Arc::clone(&cell));
        let polled = work.as_mut().poll(&mut Context::from_waker(&waker));
        CURRENT.with(|current| current.replace(previous));
        if polled.is_pending() {
            *cell.work.lock().unwrap() = Some(work);
        }
        true
    }

    /// Polls until nothing is ready.
    pub fn settle(&self) {
        while self.step() {}
    }

    /// Moves the clock to the next alarm and fires it. `false`: there is none.
    pub fn advance(&self) -> bool {
        let Some((key, waker)) = self.0.alarms.lock().unwrap().pop_first() else { return false };
        self.0.now.fetch_max(key.0, Ordering::SeqCst);
        waker.wake();
        true
    }

    pub fn alarms(&self) -> usize {
        self.0.alarms.lock().unwrap().len()
    }

    /// Runs `future` as a task of its own, outside any scope; panics if nothing can make it go on.
    pub fn run<T: Send + 'static>(&self, future: impl Future<Output = T> + Send + 'static) -> T {
        let slot = Arc::new(Mutex::new(None));
        let out = Arc::clone(&slot);
        let _cell = self.raw_spawn(async move {
            let value = future.await;
            *out.lock().unwrap() = Some(value);
        });
        loop {
            self.settle();
            if let Some(value) = slot.lock().unwrap().take() {
                return value;
            }
            assert!(self.advance(), "nothing can make the test go on: a hang");
        }
    }

    /// Runs `future` as a member of a root scope.
    pub fn run_task<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, JoinError> {
        let root = Root::new(self.clone(), "root");
        let join = root.handle().spawn(future);
        let result = self.run(join);
        root.close();
        result
    }

    pub fn sleep(ms: u64) -> Sleep {
        Sleep { ms, alarm: None, fired: Arc::new(Fired::default()) }
    }
}

#[derive(Default)]
struct Fired {
    done: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Wake for Fired {
    fn wake(self: Arc<Self>) {
        self.done.store(true, Ordering::SeqCst);
        let waker = self.waker.lock().unwrap().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// A leaf of ours: inert in a cut frame.
pub struct Sleep {
    ms: u64,
    alarm: Option<Alarm>,
    fired: Arc<Fired>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if ramus_scope::is_cut() {
            return Poll::Pending;
        }
        if self.fired.done.load(Ordering::SeqCst) {
            return Poll::Ready(());
        }
        *self.fired.waker.lock().unwrap() = Some(cx.waker().clone());
        if self.alarm.is_none() {
            let host = Sim::current().expect("a sleep outside the simulation");
            let waker = Waker::from(Arc::clone(&self.fired));
            self.alarm = Some(host.wake_after(Duration::from_millis(self.ms), waker));
        }
        Poll::Pending
    }
}

/// A future of another crate: pending once, then ready, cut or not.
#[derive(Default)]
pub struct Foreign(bool);

impl Future for Foreign {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.0 {
            return Poll::Ready(());
        }
        self.0 = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Counts what is alive.
#[derive(Clone, Default)]
pub struct Alive(Arc<AtomicUsize>);

pub struct Guard(Arc<AtomicUsize>);

impl Alive {
    pub fn guard(&self) -> Guard {
        self.0.fetch_add(1, Ordering::SeqCst);
        Guard(Arc::clone(&self.0))
    }

    pub fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A trace of what happened.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub fn add(&self, entry: impl Into<String>) {
        self.0.lock().unwrap().push(entry.into());
    }

    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}
