//! One worker: find work, poll it, search, park.
//!
//! ```text
//!        ┌──────────── next slot (at most 16 in a row) ─ own queue ─ every 32 polls: clock, inbox, driver, timers
//!   poll ┤
//!        └─ dry: inbox ─ steal (with a search token) ─ flush completions ─ yield ─ last look ─ park in the driver
//! ```
//!
//! * **The next slot** holds what a poll wakes first; what it wakes after that is queued. A task that wakes another one and
//!   waits for it costs no queue and finds its data in the cache.
//!   A chain through the slot shares one budget of leaf operations and ends after 16 polls, when its runnable goes behind
//!   the others.
//! * **Every 32 polls**, more often where they are long (every 2 ms then), a worker with work looks at the clock and the
//!   inbox, and at its driver and its timers if the last look at those is 20 µs old: a look is a system call.
//! * **Wake rule by age**: after a push a neighbour is woken if (queue + polls since the queue was last dry) × average poll
//!   is more than 8 µs. A fan-out that runs dry at once wakes nobody, sustained load does, at most once in 8 µs.
//! * **The sentinel** (see [`crate::sleep`]) looks every millisecond at the workers that do not get on: it takes their
//!   next slot and what they have taken of a great cancel, and serves their driver and timers. Their queues it searches
//!   anyway. Where nobody is idle there is none, and workers that get on do the same every 10 ms.
//! * **Completions are flushed before the last look**: a flush may wake a task into this worker's own queue.

mod parking;
mod search;
mod watch;

use std::cell::{Cell, RefCell};
use std::task::Waker;
use std::time::{Duration, Instant};

use ramus_timer::Timer;

use crate::context;
use crate::driver::Driver;
use crate::metrics::Counters;
use crate::pool::{Phase, Pool, Remote, Seat};
use crate::queue::{LocalQueue, Owner, Thief};
use crate::sleep::Searching;
use crate::sync::Arc;
use crate::task::contain::contain;
use crate::task::{Id, Polled, Ran, Runnable};
use crate::tenant::{self, Tenant};

/// Polls through the next slot before its runnable goes behind the others.
const NEXT_RUN: u32 = 16;
/// Most polls between two looks at the clock and the inbox.
const TEND_POLLS: u64 = 32;
/// Longest time, in nanoseconds, between two of them, as far as the last polls tell.
const TEND_TIME: u64 = 2_000_000;
/// Shortest time between two looks at driver and timers in the middle of work.
const TURN_TIME: Duration = Duration::from_micros(20);
/// Work, in nanoseconds, that is worth waking a neighbour for.
const WORTH_A_WAKE: u64 = 8_000;
/// The same for what became ready together. It is more, because most of it is connections, whose state in this crate and in
/// the kernel is in this processor's cache: moved to another one, and back at their next event, they cost more than they
/// gain.
const BATCH_WORTH_A_WAKE: u64 = 50_000;
/// Serial numbers of tasks taken at once.
const SERIALS: u64 = 1024;
/// A queue in which a cancelled task need not overtake anybody.
const SHORT: usize = 8;
/// How often the sentinel looks while others work.
const WATCH: Duration = Duration::from_millis(1);

/// The worker's own half: lives in its thread's context.
pub(crate) struct Local {
    pool: &'static Pool,
    me: usize,
    /// In an option only for its way home.
    queue: Option<LocalQueue<Runnable>>,
    seat: Seat,
    polled: Polled,
    epoch: Instant,
    /// Serial numbers for tasks: the next one, and how many are left.
    serials: Cell<(u64, u64)>,
    /// The next slot was filled by this worker and not taken by it since.
    next_filled: Cell<bool>,
    /// Polls through the slot since the last one through the queue.
    next_run: Cell<u32>,
    /// A batch of wakes is under way: all go to the queue, and the batch asks for a wake itself.
    batching: Cell<bool>,
    /// A task is being polled in the middle of the poll of another one.
    eager: Cell<bool>,
    /// How many polls of cancelled tasks, which had precedence, the others have to make up for.
    gave_way: Cell<usize>,
    /// Room for wakers of cancelled tasks that are polled next.
    cut: Cell<Option<Arc<Vec<Waker>>>>,
    polls: Cell<u64>,
    /// `polls` when the queue was last dry, or when a neighbour was last woken.
    window: Cell<u64>,
    /// `polls` when this worker last had nothing left to do.
    ran_dry: Cell<u64>,
    /// Average nanoseconds of a poll.
    average: Cell<u64>,
    /// The same between the last two looks at the clock.
    mean: Cell<u64>,
    /// `polls` when driver, timers and inbox are looked at next.
    tend_at: Cell<u64>,
    /// The worker's last look at the clock, and `polls` at that time.
    tended: Cell<(Instant, u64)>,
    /// The time of that look, for what is born until the next one.
    born_ms: Cell<u64>,
    /// The last look at driver and timers.
    turned: Cell<Instant>,
    /// The last look at the neighbours in the middle of work.
    watched: Cell<Instant>,
    token: Cell<Option<Searching>>,
    /// A task was polled since the last park.
    working: Cell<bool>,
    /// Time-outs of the sentinel in a row that found everybody idle.
    quiet: Cell<usize>,
    random: Cell<u64>,
    wakes: RefCell<Vec<Waker>>,
    /// What the sentinel saw of each worker last: polls and turns.
    seen: RefCell<Vec<(u64, u64)>>,
}

/// A task is being polled in the middle of the poll of another one until this is dropped, on return and on unwinding.
struct Eager<'a>(&'a Cell<bool>);

impl Drop for Eager<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        if let Some(queue) = self.queue.take() {
            self.pool.remote(self.me).come_home(queue);
        }
    }
}

/// The body of a worker's thread.
pub(crate) fn run(pool: &'static Pool, me: usize, seat: Seat, tenant: &Arc<Tenant>) {
    let Some(queue) = pool.remote(me).leave_home() else {
        unreachable!("a pool is taken only when all its queues are at home")
    };
    let local = Local::new(pool, me, queue, seat);
    assert!(context::install_worker(local), "a worker starts on a thread of its own");
    let entered = context::enter(tenant.handle(pool), false);
    ramus_scope::completions::enable();
    // A panic that gets here is one of the runtime's own, because tasks contain theirs. The panic hook has told of it;
    // the other tasks go on.
    while contain(|| with(|local| local.work(tenant))) {}
    ramus_scope::completions::disable();
    drop(entered);
}

fn with<R>(work: impl FnOnce(&Local) -> R) -> R {
    context::with_local(|local| match local {
        Some(local) => work(local),
        None => unreachable!("called on a worker only"),
    })
}

impl Local {
    fn new(pool: &'static Pool, me: usize, queue: LocalQueue<Runnable>, seat: Seat) -> Self {
        let now = Instant::now();
        let epoch = tenant::epoch();
        Self {
            pool,
            me,
            queue: Some(queue),
            seat,
            polled: Polled::new(),
            epoch,
            born_ms: Cell::new(tenant::milliseconds(epoch, now)),
            serials: Cell::new((0, 0)),
            next_filled: Cell::new(false),
            next_run: Cell::new(0),
            batching: Cell::new(false),
            eager: Cell::new(false),
            gave_way: Cell::new(0),
            cut: Cell::new(None),
            polls: Cell::new(0),
            window: Cell::new(0),
            ran_dry: Cell::new(0),
            average: Cell::new(1_000),
            mean: Cell::new(0),
            tend_at: Cell::new(TEND_POLLS),
            tended: Cell::new((now, 0)),
            turned: Cell::new(now),
            watched: Cell::new(now),
            token: Cell::new(None),
            working: Cell::new(false),
            quiet: Cell::new(0),
            random: Cell::new(0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(me as u64 + 1)),
            wakes: RefCell::new(Vec::new()),
            seen: RefCell::new(vec![(0, 0); pool.workers()]),
        }
    }

    #[inline]
    pub(crate) fn is_of(&self, pool: &'static Pool) -> bool {
        std::ptr::eq(self.pool, pool)
    }

    pub(crate) fn driver(&self) -> &Arc<Driver> {
        &self.seat.driver
    }

    pub(crate) fn timer(&self) -> &Timer {
        &self.seat.timer
    }

    #[inline]
    pub(crate) fn counters(&self) -> &Counters {
        &self.remote().counters
    }

    #[inline]
    fn remote(&self) -> &'static Remote {
        self.pool.remote(self.me)
    }

    #[inline]
    fn queue(&self) -> &LocalQueue<Runnable> {
        match &self.queue {
            Some(queue) => queue,
            None => unreachable!("the queue goes home in the destructor"),
        }
    }

    /// Shows which task is being polled here.
    pub(crate) fn polled(&self) -> &Polled {
        &self.polled
    }

    /// An id for a task spawned here, born at the worker's last look at the clock.
    #[inline]
    pub(crate) fn fresh_id(&self) -> Id {
        let (serial, left) = match self.serials.get() {
            (_, 0) => (tenant::serials(SERIALS), SERIALS),
            some => some,
        };
        self.serials.set((serial + 1, left - 1));
        Id::new(self.born_ms.get(), serial)
    }

    /// When this worker last looked at the clock.
    #[inline]
    pub(crate) fn last_look(&self) -> Instant {
        self.tended.get().0
    }

    // ---- Pushing -------------------------------------------------------------------------------------------------

    /// Takes a runnable that was spawned or woken on this worker.
    #[inline]
    pub(crate) fn push(&self, runnable: Runnable) {
        if self.batching.get() {
            self.queue().put(runnable);
            return;
        }
        if self.next_run.get() < NEXT_RUN && !self.next_filled.replace(true) {
            self.remote().next.fill(runnable);
            return;
        }
        self.queue().put(runnable);
        self.consider_wake();
    }

    /// What is pushed here now is polled soon.
    pub(crate) fn is_short(&self) -> bool {
        self.queue().depth() < SHORT
    }

    /// The wake rule by age.
    #[inline]
    fn consider_wake(&self) {
        if !self.pool.sleep().any_idle() {
            return;
        }
        let backlog = self.queue().depth() as u64;
        let age = backlog + (self.polls.get() - self.window.get());
        if backlog > 0 && age * self.average.get() > WORTH_A_WAKE {
            self.wake_neighbour();
        }
    }

    #[cold]
    fn wake_neighbour(&self) {
        self.window.set(self.polls.get());
        if self.pool.notify() {
            self.counters().wakes_sent.add(1);
        }
    }

    /// Wakes what the driver, the timers or a neighbour's devices made ready.
    fn wake_batch(&self, wakes: &mut Vec<Waker>) {
        if wakes.is_empty() {
            return;
        }
        self.batching.set(true);
        context::wake_all(wakes);
        self.batching.set(false);
        let backlog = self.queue().depth() as u64;
        if backlog * self.average.get() > BATCH_WORTH_A_WAKE && self.pool.sleep().any_idle() {
            self.wake_neighbour();
        }
    }

    // ---- Finding and polling -------------------------------------------------------------------------------------

    fn work(&self, tenant: &Arc<Tenant>) {
        self.batching.set(false);
        self.poll_again();
        loop {
            while let Some(runnable) = self.next() {
                self.poll(runnable);
            }
            if self.pool.any_cancelled() {
                continue;
            }
            self.window.set(self.polls.get());
            if let Some(runnable) = self.take_from_inbox() {
                self.poll(runnable);
                continue;
            }
            match self.pool.phase() {
                Phase::Open => {}
                // The completions kept by this worker may be the last ones.
                Phase::Closing => {
                    ramus_scope::completions::flush();
                    tenant.check_drained(self.pool);
                }
                Phase::Leaving | Phase::Gone => break,
            }
            if let Some(runnable) = self.search() {
                self.poll(runnable);
                continue;
            }
            ramus_scope::completions::flush();
            if !self.is_dry() || self.yield_and_look() {
                continue;
            }
            self.park();
        }
        self.retire();
    }

    fn is_dry(&self) -> bool {
        !self.next_filled.get() && self.queue().depth() == 0
    }

    /// The next runnable of this worker's own, or a cancelled task's.
    #[inline]
    fn next(&self) -> Option<Runnable> {
        if self.pool.any_cancelled() {
            if let Some(runnable) = self.next_cancelled() {
                return Some(runnable);
            }
        }
        if self.polls.get() >= self.tend_at.get() {
            if let Some(runnable) = self.tend() {
                return Some(runnable);
            }
        }
        if self.next_filled.replace(false) {
            if let Some(runnable) = self.remote().next.take() {
                if self.next_run.get() < NEXT_RUN && !context::is_budget_spent() {
                    self.next_run.set(self.next_run.get() + 1);
                    return Some(runnable);
                }
                self.queue().put(runnable);
            }
        }
        self.next_run.set(0);
        context::refill_budget();
        self.queue().take()
    }

    /// Looks at the clock and the inbox, and now and then at driver and timers, in the middle of work.
    #[cold]
    fn tend(&self) -> Option<Runnable> {
        let now = Instant::now();
        self.look_at_clock(now);
        if now - self.turned.get() >= TURN_TIME {
            self.turned.set(now);
            let mut wakes = self.wakes.take();
            self.seat.driver.try_turn(&mut wakes);
            // At most one batch of timers: what is still due waits for the next look.
            self.seat.timer.turn(now, &mut wakes);
            self.counters().turns.add(1);
            self.watch_while_nobody_does(now, &mut wakes);
            self.wake_batch(&mut wakes);
            self.wakes.replace(wakes);
        }
        let runnable = self.take_from_inbox()?;
        self.next_run.set(0);
        context::refill_budget();
        Some(runnable)
    }

    /// Keeps the time of a look at the clock; answers with what the last one kept.
    fn look_at(&self, now: Instant) -> (Instant, u64) {
        self.born_ms.set(tenant::milliseconds(self.epoch, now));
        self.tended.replace((now, self.polls.get()))
    }

    /// Learns from the polls since the last look at the clock how long one takes: the average moves by half of the
    /// difference, counted up to a factor of four, because the system may have taken the processor away meanwhile.
    fn look_at_clock(&self, now: Instant) {
        let (before, polls_before) = self.look_at(now);
        let polls = self.polls.get();
        let took = u64::try_from((now - before).as_nanos()).unwrap_or(u64::MAX);
        let mut every = TEND_POLLS;
        if let Some(mean) = took.checked_div(polls - polls_before) {
            let average = self.average.get();
            let bounded = mean.clamp(average / 4, average.saturating_mul(4));
            self.average.set(((average + bounded) / 2).clamp(1, 1_000_000_000));
            // Where long and short ones take turns, each look comes after one or the other.
            let longer = mean.max(self.mean.replace(mean));
            every = (TEND_TIME / longer.max(1)).clamp(1, TEND_POLLS);
        }
        self.tend_at.set(polls + every);
    }

    fn take_from_inbox(&self) -> Option<Runnable> {
        if self.pool.inbox().is_dry() {
            return None;
        }
        self.pool.inbox().steal_into(self.queue())
    }

    /// Polls a task that was just spawned in the middle of the poll of another one. Gives it back if that one was polled
    /// like this itself, so the stack grows by one poll only, or if it is to be polled again.
    pub(crate) fn poll_eagerly(&self, runnable: Runnable) -> Option<Runnable> {
        if self.eager.replace(true) {
            return Some(runnable);
        }
        self.polls.set(self.polls.get() + 1);
        self.counters().polls.add(1);
        let over = Eager(&self.eager);
        let ran = runnable.run(&self.polled);
        drop(over);
        if let Ran::Done = ran {
            self.counters().finished.add(1);
            return None;
        }
        // It goes on, and what it keeps of its scope's count must not wait for the end of the poll around it.
        ramus_scope::completions::flush();
        match ran {
            Ran::Again(runnable) => Some(runnable),
            Ran::Pending | Ran::Done => None,
        }
    }

    #[inline]
    fn poll(&self, runnable: Runnable) {
        if !self.working.get() {
            self.begin_work();
        }
        let polls = self.polls.get() + 1;
        self.polls.set(polls);
        self.counters().polls.add(1);
        match runnable.run(&self.polled) {
            // It woke itself, so it goes behind the others.
            Ran::Again(runnable) => {
                self.queue().put(runnable);
                self.consider_wake();
            }
            Ran::Pending => {}
            Ran::Done => self.counters().finished.add(1),
        }
    }

    /// From looking to polling: a search is over, and somebody has to watch.
    #[cold]
    fn begin_work(&self) {
        self.working.set(true);
        self.quiet.set(0);
        let mut wanted = false;
        if let Some(token) = self.token.take() {
            self.pool.sleep().end_search(token);
            wanted = self.pool.is_work_elsewhere(self.me) || self.queue().depth() > 0;
        }
        wanted |= self.pool.sleep().begin_work(self.me);
        if wanted && self.pool.notify() {
            self.counters().wakes_sent.add(1);
        }
    }
}
