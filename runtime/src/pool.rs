//! What the workers of one runtime share, and what others reach them by.
//!
//! A pool lives for ever and is recycled: a finished runtime puts it on a list, and the next runtime with as many workers
//! takes it, one generation later. So tasks, wakers and handles point to it without counting, and a waker used after the
//! end of its runtime finds memory that is still a pool. A pool whose runtime left stragglers behind is not recycled.
//!
//! What belongs to one generation only is the [`Tenant`] (root scope, names, blocking pool) and each worker's [`Seat`]
//! (driver and timer). Whoever holds a member of the tenant's root scope keeps the generation from ending.

use std::task::Waker;
use std::time::Instant;

use crossbeam_utils::CachePadded;
use ramus_timer::{Clock, Timer};

use crate::batches::Batches;
use crate::context;
use crate::driver::Driver;
use crate::flagged::Flagged;
use crate::metrics::{Counters, Metrics, SharedCount, WorkerMetrics};
use crate::park::{Bell, ParkWord};
use crate::queue::{Inbox, LocalQueue, Stealer, Thief};
use crate::sleep::Sleep;
use crate::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use crate::sync::{Arc, Condvar, Mutex, global};
use crate::task::{Runnable, Schedule, Slot};
use crate::tenant::Tenant;

global! {
    /// Pools without a runtime.
    static FREE: Mutex<Vec<&'static Pool>> = Mutex::new(Vec::new());
}

/// What a worker blocks in and what it fires: made anew for each generation.
#[derive(Clone)]
pub(crate) struct Seat {
    pub(crate) driver: Arc<Driver>,
    pub(crate) timer: Timer,
}

impl Bell for Arc<Driver> {
    fn ring(&self) {
        self.unpark();
    }
}

/// What others reach one worker by.
pub(crate) struct Remote {
    /// The thieves' end of its queue.
    pub(crate) stealer: Stealer<Runnable>,
    /// The runnable that it will poll next; the sentinel takes it when the worker is stuck.
    pub(crate) next: Slot,
    /// Wakers of cancelled tasks that it polls one after the other; the sentinel wakes them when the worker is stuck.
    cut: Mutex<Option<Arc<Vec<Waker>>>>,
    pub(crate) park: ParkWord,
    pub(crate) counters: Counters,
    seat: Mutex<Option<Seat>>,
    /// The owner's end of the queue while no thread owns it.
    home: Mutex<Option<LocalQueue<Runnable>>>,
}

impl Remote {
    fn new() -> Self {
        let queue = LocalQueue::new_fifo();
        Self {
            stealer: queue.stealer(),
            next: Slot::new(),
            cut: Mutex::new(None),
            park: ParkWord::new(),
            counters: Counters::new(),
            seat: Mutex::new(None),
            home: Mutex::new(Some(queue)),
        }
    }

    /// The driver and timer of the current generation; none once it has ended.
    pub(crate) fn seat(&self) -> Option<Seat> {
        self.seat.lock().clone()
    }

    /// Shows what the worker is about to poll, or with `None` nothing any more; answers with what was shown.
    pub(crate) fn show_cut(&self, cut: Option<Arc<Vec<Waker>>>) -> Option<Arc<Vec<Waker>>> {
        std::mem::replace(&mut *self.cut.lock(), cut)
    }

    /// Takes the owner's end: a worker starts.
    pub(crate) fn leave_home(&self) -> Option<LocalQueue<Runnable>> {
        self.home.lock().take()
    }

    /// Gives the owner's end back: its thread ends.
    pub(crate) fn come_home(&self, queue: LocalQueue<Runnable>) {
        *self.home.lock() = Some(queue);
    }

    fn is_home(&self) -> bool {
        self.home.lock().is_some()
    }
}

/// How far a runtime has come. Only forward within a generation.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Phase {
    /// Tasks are admitted.
    Open,
    /// The root scope is closed and cancelled; workers poll until it is drained.
    Closing,
    /// No task is left; workers leave.
    Leaving,
    /// The last worker has closed the drivers and timers.
    Gone,
}

impl Phase {
    const ALL: [Phase; 4] = [Phase::Open, Phase::Closing, Phase::Leaving, Phase::Gone];
}

/// The workers that have not left yet, and whether the runtime that started them still waits.
struct Living {
    workers: usize,
    /// The pool goes back to the list as soon as the last worker has left, because nobody waits for it.
    unattended: bool,
}

/// What the workers of one runtime share.
pub(crate) struct Pool {
    remotes: Box<[CachePadded<Remote>]>,
    /// What time it is in its runtimes. Moved by hand, it is the clock of a simulation: one thread runs all workers.
    clock: Clock,
    inbox: Inbox<Runnable>,
    /// Tasks that a cancel has reached, as far as they would have to queue (D49).
    cancelled: Flagged<Inbox<Runnable>>,
    /// Those that a cancel has reached many at a time, and that nobody has woken yet.
    cut: Flagged<Batches<Waker>>,
    sleep: Sleep,
    phase: AtomicU8,
    generation: AtomicU64,
    tenant: Mutex<Option<Arc<Tenant>>>,
    living: Mutex<Living>,
    all_left: Condvar,
    outside_pushes: SharedCount,
    outside_spawns: SharedCount,
    outside_ends: SharedCount,
    contained: SharedCount,
}

impl Pool {
    /// A pool for `workers` workers: a recycled one, else a new one.
    pub(crate) fn take(workers: usize) -> &'static Pool {
        let recycled = {
            let mut free = FREE.lock();
            let fits =
                |pool: &&Pool| pool.remotes.len() == workers && pool.remotes.iter().all(|remote| remote.is_home());
            free.iter().position(fits).map(|index| free.swap_remove(index))
        };
        recycled.unwrap_or_else(|| Box::leak(Box::new(Pool::new(workers, Clock::monotonic()))))
    }

    /// A pool of `workers` workers that live by `clock`.
    pub(crate) fn new(workers: usize, clock: Clock) -> Self {
        Self {
            clock,
            remotes: (0..workers).map(|_| CachePadded::new(Remote::new())).collect(),
            inbox: Inbox::new(),
            cancelled: Flagged::new(Inbox::new()),
            cut: Flagged::new(Batches::new()),
            sleep: Sleep::new(workers),
            phase: AtomicU8::new(Phase::Gone as u8),
            generation: AtomicU64::new(0),
            tenant: Mutex::new(None),
            living: Mutex::new(Living { workers: 0, unattended: false }),
            all_left: Condvar::new(),
            outside_pushes: SharedCount::new(),
            outside_spawns: SharedCount::new(),
            outside_ends: SharedCount::new(),
            contained: SharedCount::new(),
        }
    }

    /// The generation that the next [`Pool::open`] starts. The caller took the pool, so nobody else opens it.
    pub(crate) fn next_generation(&self) -> u64 {
        // Ordering: [pool:G1] Relaxed: the free list's lock ordered the last change before this.
        self.generation.load(Ordering::Relaxed) + 1
    }

    /// A generation begins. Returns false if the pool has another number of workers than `seats`.
    pub(crate) fn open(&self, tenant: Arc<Tenant>, seats: Vec<Seat>) {
        debug_assert_eq!(seats.len(), self.seats());
        for (remote, seat) in self.remotes.iter().zip(seats) {
            remote.counters.reset();
            *remote.seat.lock() = Some(seat);
        }
        for count in [&self.outside_pushes, &self.outside_spawns, &self.outside_ends, &self.contained] {
            count.reset();
        }
        let mut current = self.tenant.lock();
        // Ordering: [pool:G2] Relaxed, under the tenant's lock, which every reader that acts on it takes.
        self.generation.store(tenant.generation(), Ordering::Relaxed);
        self.set_phase(Phase::Open);
        *current = Some(tenant);
    }

    /// The tenant, if `generation` is the current one.
    pub(crate) fn tenant(&self, generation: u64) -> Option<Arc<Tenant>> {
        let tenant = self.tenant.lock();
        tenant.as_ref().filter(|tenant| tenant.generation() == generation).cloned()
    }

    /// The tenant's seat at `worker` (counted modulo the seats), if `generation` is the current one.
    pub(crate) fn seat(&self, generation: u64, worker: usize) -> Option<Seat> {
        // The tenant's lock is held so that the generation cannot change in between.
        let tenant = self.tenant.lock();
        tenant.as_ref().filter(|tenant| tenant.generation() == generation)?;
        self.remotes[worker % self.seats()].seat()
    }

    /// What time it is in its runtimes.
    #[inline]
    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The one who blocks on it runs it, and nobody else can.
    pub(crate) fn is_simulated(&self) -> bool {
        self.clock.is_manual()
    }

    /// How many workers have a driver and a timer: all, but the first one alone where one thread runs them.
    fn seats(&self) -> usize {
        if self.is_simulated() { 1 } else { self.remotes.len() }
    }

    pub(crate) fn workers(&self) -> usize {
        self.remotes.len()
    }

    pub(crate) fn remote(&self, worker: usize) -> &Remote {
        &self.remotes[worker]
    }

    pub(crate) fn inbox(&self) -> &Inbox<Runnable> {
        &self.inbox
    }

    pub(crate) fn sleep(&self) -> &Sleep {
        &self.sleep
    }

    pub(crate) fn phase(&self) -> Phase {
        // Ordering: [pool:P1] Acquire, partners P2 and P3: what was done before the step is visible after it.
        Phase::ALL[usize::from(self.phase.load(Ordering::Acquire)).min(Phase::ALL.len() - 1)]
    }

    fn set_phase(&self, phase: Phase) {
        // Ordering: [pool:P2] Release, partner P1.
        self.phase.store(phase as u8, Ordering::Release);
    }

    /// Goes on to `phase` unless it was reached, and tells every worker.
    pub(crate) fn advance(&self, phase: Phase) {
        // Ordering: [pool:P3] AcqRel: Release, partner P1; Acquire, so that a later step builds on an earlier one.
        self.phase.fetch_max(phase as u8, Ordering::AcqRel);
        self.unpark_all();
    }

    /// True if a queue other than that of `me` holds something. After a fence this is the last look of a worker.
    pub(crate) fn is_work_elsewhere(&self, me: usize) -> bool {
        !self.inbox.is_dry()
            || !self.cancelled.queue().is_dry()
            || !self.cut.queue().is_dry()
            || self.remotes.iter().enumerate().any(|(index, remote)| index != me && !remote.stealer.is_dry())
    }

    /// Wakes an idle worker, unless one searches already. Called after a push.
    pub(crate) fn notify(&self) -> bool {
        match self.sleep.claim() {
            Some(worker) => {
                self.unpark(worker);
                true
            }
            None => false,
        }
    }

    /// Ends the current or the next block of `worker`.
    pub(crate) fn unpark(&self, worker: usize) {
        let remote = &self.remotes[worker];
        remote.park.unpark(|| remote.seat().map(|seat| seat.driver));
    }

    pub(crate) fn unpark_all(&self) {
        for worker in 0..self.remotes.len() {
            self.unpark(worker);
        }
    }

    /// Takes a runnable from a thread that is no worker of this pool.
    pub(crate) fn push_outside(&self, runnable: Runnable) {
        self.outside_pushes.increment();
        self.inbox.push(runnable);
        self.notify();
    }

    /// Takes the runnable of a cancelled task, which goes before the others.
    pub(crate) fn push_cancelled(&self, runnable: Runnable) {
        self.cancelled.push(runnable);
        self.notify();
    }

    /// Takes the wakers of cancelled tasks.
    pub(crate) fn push_cut(&self, wakers: Vec<Waker>) {
        if !wakers.is_empty() {
            self.cut.push(wakers);
            self.notify();
        }
    }

    /// May there be a cancelled task to run?
    #[inline]
    pub(crate) fn any_cancelled(&self) -> bool {
        self.cancelled.any() | self.cut.any()
    }

    /// The next runnable of a cancelled task that was woken alone.
    pub(crate) fn take_cancelled(&self) -> Option<Runnable> {
        self.cancelled.take()
    }

    /// Moves wakers of cancelled tasks, at most `most`, into `into`; the first one last.
    pub(crate) fn take_cut(&self, most: usize, into: &mut Vec<Waker>) {
        self.cut.take_with(|cut| cut.take(most, into));
    }

    /// Counts a spawn.
    pub(crate) fn count_spawn(&'static self) {
        self.count(|counters| counters.spawned.add(1), &self.outside_spawns);
    }

    fn count(&'static self, own: impl FnOnce(&Counters), outside: &SharedCount) {
        context::with_local(|local| match local.filter(|local| local.is_of(self)) {
            Some(local) => own(local.counters()),
            None => outside.increment(),
        });
    }

    /// `workers` threads are about to start.
    pub(crate) fn expect(&self, workers: usize) {
        *self.living.lock() = Living { workers, unattended: false };
    }

    /// One worker leaves, or was never started. The last one closes the drivers and timers and tells who waits.
    pub(crate) fn leave(&'static self) {
        let last = {
            let mut living = self.living.lock();
            living.workers -= 1;
            living.workers == 0
        };
        if !last {
            return;
        }
        let mut wakes = Vec::new();
        for remote in &self.remotes {
            let seat = remote.seat.lock().take();
            if let Some(seat) = seat {
                seat.driver.close(&mut wakes);
                seat.timer.close(&mut wakes);
            }
        }
        context::wake_all(&mut wakes);
        // Dropped outside of the lock: it is the last owner of the root scope.
        let tenant = self.tenant.lock().take();
        drop(tenant);
        let unattended = {
            let living = self.living.lock();
            self.set_phase(Phase::Gone);
            self.all_left.notify_all();
            living.unattended
        };
        if unattended {
            self.recycle();
        }
    }

    /// Waits until the last worker has left; true if it has.
    pub(crate) fn wait_left(&self, deadline: Option<Instant>) -> bool {
        let mut living = self.living.lock();
        while self.phase() != Phase::Gone {
            match deadline {
                None => living = self.all_left.wait(living),
                Some(deadline) => {
                    let (back, timed_out) = self.all_left.wait_until(living, deadline);
                    living = back;
                    if timed_out {
                        return self.phase() == Phase::Gone;
                    }
                }
            }
        }
        true
    }

    /// Nobody will wait for the workers: the last of them recycles the pool. If they have left already, this does.
    pub(crate) fn leave_unattended(&'static self) {
        let gone = {
            let mut living = self.living.lock();
            living.unattended = true;
            self.phase() == Phase::Gone
        };
        if gone {
            self.recycle();
        }
    }

    /// Puts the pool on the list. All workers have left, and whoever started them knows or never asks.
    pub(crate) fn recycle(&'static self) {
        // A runnable left here would run in somebody else's runtime. None can be: its task would be a member of the root
        // scope, which was drained. What is still found is dropped, which cancels it.
        while let Some(stray) = self.remotes.iter().find_map(|remote| remote.next.take()) {
            drop(stray);
        }
        let mut tasks_ended = Vec::new();
        while !self.cut.queue().is_dry() {
            self.take_cut(usize::MAX, &mut tasks_ended);
        }
        drop(tasks_ended);
        FREE.lock().push(self);
    }

    /// A snapshot of the counters.
    pub(crate) fn metrics(&self) -> Metrics {
        let mut metrics = Metrics {
            inbox_depth: self.inbox.len(),
            inbox_pushes: self.outside_pushes.get(),
            idle_workers: self.sleep.counts().0,
            tasks_spawned: self.outside_spawns.get(),
            tasks_finished: self.outside_ends.get(),
            ..Metrics::default()
        };
        for remote in &self.remotes {
            let counters = &remote.counters;
            metrics.tasks_spawned += counters.spawned.get();
            metrics.tasks_finished += counters.finished.get();
            if let Some(seat) = remote.seat() {
                let counts = seat.driver.counts();
                metrics.timers += seat.timer.len();
                metrics.sources += counts.sources;
                metrics.waiting_operations += counts.waiters;
                metrics.accept_pauses += counts.accept_pauses;
            }
            metrics.workers.push(WorkerMetrics {
                polls: counters.polls.get(),
                steals: counters.steals.get(),
                parks: counters.parks.get(),
                turns: counters.turns.get(),
                wakes_sent: counters.wakes_sent.get(),
                wakes_received: counters.wakes_received.get(),
                rescues: counters.rescues.get(),
                queue_depth: remote.stealer.len(),
            });
        }
        metrics
    }
}

impl Schedule for Pool {
    fn schedule(&'static self, runnable: Runnable) {
        context::schedule(self, runnable);
    }

    fn contained(&'static self) {
        self.contained.increment();
    }
}
