//! The machine that a simulation runs on: workers without threads, and a clock that is moved by hand.
//!
//! ```text
//!        ┌─ somebody can go on: draw who ─ block_on ─ a worker: its own work, or it steals ─ a blocking job
//!   next ┤
//!        └─ nobody: flush completions ─ look at the sockets ─ move the clock to the next timer ─ wait for sockets ─ stuck
//! ```
//!
//! The thread that runs this is no worker of the pool, so every spawn and every wake ends in the pool's inbox. After each
//! step the machine gives what is there to the worker that was polling, as a real worker keeps what it wakes; what nobody
//! woke on a worker goes to one that is drawn. Cancelled tasks go first, at every second poll of a worker at most, as ever.

use std::collections::{HashMap, VecDeque};
use std::mem;
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use ramus_timer::ManualClock;

use super::draw::Draw;
use super::joins::Joins;
use super::simulation::Builder;
use super::trace::{Event, Step};
use crate::blocking::{Threads, Work};
use crate::context;
use crate::pool::{Pool, Seat};
use crate::queue::{LocalQueue, Owner, Thief};
use crate::sleep::Park;
use crate::sync::{Arc, Mutex};
use crate::task::contain::contain;
use crate::task::{Id, Ran, Runnable};

/// Polls through the next slot before its runnable goes behind the others: as on a real worker.
const NEXT_RUN: u32 = 16;
/// Most tasks that one theft takes, as on a real worker.
const THEFT: usize = 32;
/// A worker takes another than its first task once in so many polls: real queues are filled in any order by wakes from
/// other threads.
const OUT_OF_TURN: usize = 4;
/// Completions are told to their scopes once in so many steps, and whenever nobody can go on.
const FLUSH: usize = 4;

/// Whose turn it is.
#[derive(Clone, Copy)]
pub(crate) enum Turn {
    Main,
    Worker(usize),
    Job,
}

/// Says that the future of `block_on` is to be polled; rings where the thread may wait for sockets.
struct MainWake {
    woken: Mutex<bool>,
    pool: &'static Pool,
}

impl MainWake {
    fn set(&self) {
        *self.woken.lock() = true;
        self.pool.unpark(0);
    }

    fn is_set(&self) -> bool {
        *self.woken.lock()
    }

    fn take(&self) -> bool {
        mem::take(&mut *self.woken.lock())
    }
}

impl Wake for MainWake {
    fn wake(self: std::sync::Arc<Self>) {
        self.set();
    }

    fn wake_by_ref(self: &std::sync::Arc<Self>) {
        self.set();
    }
}

#[derive(Default)]
struct Worker {
    next: Option<Runnable>,
    next_run: u32,
    queue: VecDeque<Runnable>,
    /// The last poll was a cancelled task's, which had precedence.
    gave_way: bool,
}

impl Worker {
    fn has_work(&self) -> bool {
        self.next.is_some() || !self.queue.is_empty()
    }
}

pub(crate) struct Machine {
    pool: &'static Pool,
    seat: Seat,
    hand: ManualClock,
    start: Instant,
    draw: Draw,
    workers: Vec<Worker>,
    main: std::sync::Arc<MainWake>,
    threads: Arc<Threads>,
    /// Jobs that a thread would have begun, so that nobody can take them back.
    begun: Vec<Box<dyn Work>>,
    /// Tasks that a cancel has reached.
    cancelled: VecDeque<Runnable>,
    /// What the inbox is emptied into.
    tray: LocalQueue<Runnable>,
    /// Turns since the time moved or a socket was ready, and how many there may be.
    turns: u64,
    most_turns: u64,
    numbers: HashMap<Id, usize>,
    joins: Joins,
    wakes: Vec<Waker>,
    trace: Option<Vec<Step>>,
}

impl Machine {
    pub(crate) fn new(
        pool: &'static Pool,
        seat: Seat,
        hand: ManualClock,
        threads: Arc<Threads>,
        settings: &Builder,
    ) -> Self {
        Self {
            pool,
            start: pool.clock().now(),
            seat,
            hand,
            draw: Draw::new(settings.seed),
            workers: (0..pool.workers()).map(|_| Worker::default()).collect(),
            main: std::sync::Arc::new(MainWake { woken: Mutex::new(false), pool }),
            threads,
            begun: Vec::new(),
            cancelled: VecDeque::new(),
            tray: LocalQueue::new_fifo(),
            turns: 0,
            most_turns: settings.most_turns,
            numbers: HashMap::new(),
            joins: Joins::default(),
            wakes: Vec::new(),
            trace: settings.trace.then(Vec::new),
        }
    }

    /// The virtual time since the beginning.
    pub(crate) fn elapsed(&self) -> Duration {
        self.pool.clock().now() - self.start
    }

    pub(crate) fn trace(&self) -> &[Step] {
        self.trace.as_deref().unwrap_or_default()
    }

    /// The number of a task: from 1, in the order in which tasks were spawned.
    pub(crate) fn number(&self, id: Id) -> Option<usize> {
        self.numbers.get(&id).copied()
    }

    pub(crate) fn joins(&self) -> &Joins {
        &self.joins
    }

    /// A waker for the future of a `block_on` that begins, which is polled first.
    pub(crate) fn begin_main(&self) -> Waker {
        *self.main.woken.lock() = true;
        Waker::from(std::sync::Arc::clone(&self.main))
    }

    // ---- Whose turn it is ----------------------------------------------------------------------------------------

    /// Draws who goes on; moves the time if nobody can. None: nothing will ever happen by itself, or it spins. `with_main`:
    /// the future of a `block_on` takes part.
    pub(crate) fn next(&mut self, with_main: bool) -> Option<Turn> {
        loop {
            if self.spins() {
                return None;
            }
            if let Some(turn) = self.ready(with_main) {
                return Some(turn);
            }
            ramus_scope::completions::flush();
            if self.can_go_on(with_main) || self.look_at_sockets() || self.move_time() {
                continue;
            }
            if self.seat.driver.counts().waiters == 0 {
                return None;
            }
            self.wait_for_sockets();
        }
    }

    /// Draws who goes on without moving the time.
    pub(crate) fn ready(&mut self, with_main: bool) -> Option<Turn> {
        self.sort_inbox(None);
        let workers = if self.has_work() { self.workers.len() } else { 0 };
        let main = usize::from(with_main && self.main.is_set());
        let jobs = usize::from(!self.begun.is_empty() || self.threads.jobs.counts().0 > 0);
        match workers + main + jobs {
            0 => None,
            all => {
                self.turns += 1;
                Some(match self.draw.below(all) {
                    drawn if drawn < workers => Turn::Worker(drawn),
                    drawn if drawn < workers + main => Turn::Main,
                    _ => Turn::Job,
                })
            }
        }
    }

    /// Somebody goes on and on while the time stands still.
    pub(crate) fn spins(&self) -> bool {
        self.turns > self.most_turns
    }

    pub(crate) fn turns(&self) -> u64 {
        self.turns
    }

    /// Turns are counted anew.
    pub(crate) fn forgive_turns(&mut self) {
        self.turns = 0;
    }

    fn has_work(&self) -> bool {
        !self.cancelled.is_empty() || self.workers.iter().any(Worker::has_work)
    }

    /// The workers' own queues are empty here, so all that may be there is elsewhere.
    fn can_go_on(&self, with_main: bool) -> bool {
        self.pool.is_work_elsewhere(0) || (with_main && self.main.is_set())
    }

    fn look_at_sockets(&mut self) -> bool {
        self.seat.driver.try_turn(&mut self.wakes);
        let wakes = self.wake();
        self.note_ready(wakes);
        wakes > 0
    }

    fn note_ready(&mut self, wakes: usize) {
        if wakes > 0 {
            self.turns = 0;
            self.note(Event::Ready { wakes });
        }
    }

    /// Moves the clock to the next timer. False: there is none.
    fn move_time(&mut self) -> bool {
        let Some(next) = self.seat.timer.next_deadline() else {
            return false;
        };
        self.hand.set(next.max(self.pool.clock().now()));
        self.turns = 0;
        while self.seat.timer.turn(next, &mut self.wakes) {}
        let due = self.wake();
        if due > 0 {
            self.note(Event::Time { due });
        }
        true
    }

    /// Blocks until a socket is ready, or another thread wakes something.
    fn wait_for_sockets(&mut self) {
        let sleep = self.pool.sleep();
        let look = || self.pool.is_work_elsewhere(0) || self.main.is_set();
        let token = match sleep.park_unless(0, look) {
            Park::Work(token) => token,
            Park::Commit => {
                let park = &self.pool.remote(0).park;
                if park.prepare() {
                    if let Err(failure) = self.seat.driver.turn(None, &mut self.wakes) {
                        panic!("waiting for sockets failed: {}", failure.error);
                    }
                    park.finish();
                }
                sleep.end_idle(0)
            }
        };
        if let Some(token) = token {
            sleep.end_search(token);
        }
        let wakes = self.wake();
        self.note_ready(wakes);
    }

    /// Wakes what was collected, in an order that is drawn.
    fn wake(&mut self) -> usize {
        let mut wakes = mem::take(&mut self.wakes);
        let number = wakes.len();
        self.draw.shuffle(&mut wakes);
        context::wake_all(&mut wakes);
        self.wakes = wakes;
        number
    }

    // ---- Going on ------------------------------------------------------------------------------------------------

    /// The future of `block_on` is about to be polled.
    pub(crate) fn begin_main_turn(&mut self) {
        self.main.take();
        self.note(Event::Main);
        context::refill_budget();
        self.joins.begin(None);
    }

    /// It was polled.
    pub(crate) fn end_main_turn(&mut self, waker: &Waker) {
        self.joins.end(None, |joiner| joiner.will_wake(waker));
        self.sort_inbox(None);
    }

    /// A worker polls one task. If it has none it steals.
    pub(crate) fn work(&mut self, me: usize) {
        let Some(runnable) = self.take_cancelled(me).or_else(|| self.take(me)) else { return };
        let id = runnable.id();
        self.note(Event::Poll { worker: me, task: self.numbers.get(&id).copied().unwrap_or_default() });
        let counters = &self.pool.remote(me).counters;
        counters.polls.add(1);
        self.joins.begin(Some(id));
        let ran = context::poll_task(runnable);
        self.joins.end(Some(id), |joiner| crate::task::inspect(joiner, 0).is_some_and(|task| task.id() == id));
        self.sort_inbox(Some(me));
        match ran {
            // It woke itself, so it goes behind the others.
            Ran::Again(runnable) => self.workers[me].queue.push_back(runnable),
            Ran::Pending => {}
            Ran::Done => {
                counters.finished.add(1);
                self.joins.ended(id);
            }
        }
        if self.draw.one_in(FLUSH) {
            ramus_scope::completions::flush();
        }
    }

    /// A cancelled task goes before the others, but not twice in a row if there are others.
    fn take_cancelled(&mut self, me: usize) -> Option<Runnable> {
        let worker = &mut self.workers[me];
        let leaves_it = worker.gave_way && worker.has_work();
        worker.gave_way = !self.cancelled.is_empty() && !leaves_it;
        if !worker.gave_way {
            return None;
        }
        worker.next_run = 0;
        context::refill_budget();
        self.cancelled.pop_front()
    }

    fn take(&mut self, me: usize) -> Option<Runnable> {
        if !self.workers[me].has_work() && !self.steal(me) {
            return None;
        }
        let worker = &mut self.workers[me];
        let out_of_turn = self.draw.one_in(OUT_OF_TURN);
        if let Some(runnable) = worker.next.take() {
            if !out_of_turn && worker.next_run < NEXT_RUN && !context::is_budget_spent() {
                worker.next_run += 1;
                return Some(runnable);
            }
            worker.queue.push_back(runnable);
        }
        worker.next_run = 0;
        context::refill_budget();
        let place = if out_of_turn { self.draw.below(worker.queue.len().max(1)) } else { 0 };
        worker.queue.remove(place)
    }

    /// Takes half of what another worker has; its next slot, if it has nothing else.
    fn steal(&mut self, me: usize) -> bool {
        let victims: Vec<usize> = (0..self.workers.len()).filter(|&index| self.workers[index].has_work()).collect();
        let Some(&victim) = victims.get(self.draw.below(victims.len().max(1))) else {
            return false;
        };
        let from = &mut self.workers[victim];
        let half = from.queue.len().div_ceil(2).min(THEFT);
        let mut taken: VecDeque<Runnable> = from.queue.drain(..half).collect();
        if taken.is_empty() {
            taken.extend(from.next.take());
        }
        self.note(Event::Steal { worker: me, victim, tasks: taken.len() });
        self.pool.remote(me).counters.steals.add(1);
        self.workers[me].queue.append(&mut taken);
        true
    }

    /// A thread for blocking jobs begins a job, or ends one that it has begun.
    pub(crate) fn run_job(&mut self) {
        let queued = self.threads.jobs.counts().0;
        if self.draw.below(queued + self.begun.len()) < queued {
            // One is there, so this does not wait.
            self.begun.extend(self.threads.jobs.next(false, Duration::ZERO));
            return;
        }
        let job = self.begun.swap_remove(self.draw.below(self.begun.len()));
        self.note(Event::Job);
        // A job keeps its panic for its task. What still arrives here was thrown by a waker or a destructor.
        contain(|| job.run());
        self.sort_inbox(None);
    }

    /// Gives what was spawned and woken to workers: to the one that did it, else to one that is drawn.
    fn sort_inbox(&mut self, by: Option<usize>) {
        while let Some(runnable) = self.pool.take_cancelled() {
            self.enlist(&runnable);
            self.cancelled.push_back(runnable);
        }
        loop {
            let first = match self.tray.take() {
                Some(runnable) => runnable,
                None => match self.pool.inbox().steal_into(&self.tray) {
                    Some(runnable) => runnable,
                    None => return,
                },
            };
            self.enlist(&first);
            let index = by.unwrap_or_else(|| self.draw.below(self.workers.len()));
            let worker = &mut self.workers[index];
            if by.is_some() && worker.next.is_none() && worker.next_run < NEXT_RUN {
                worker.next = Some(first);
            } else {
                worker.queue.push_back(first);
            }
        }
    }

    /// Gives a task that was not seen before its number.
    fn enlist(&mut self, runnable: &Runnable) {
        let fresh = self.numbers.len() + 1;
        self.numbers.entry(runnable.id()).or_insert(fresh);
    }

    fn note(&mut self, event: Event) {
        let at = self.elapsed();
        if let Some(trace) = &mut self.trace {
            trace.push(Step { at, event });
        }
    }
}
