//! A simulation: built, blocked on, shut down.

use std::fmt;
use std::future::Future;
use std::panic::{self, AssertUnwindSafe, Location, catch_unwind};
use std::pin::pin;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use ramus_scope::{ReasonKind, TaskCancel};
use ramus_timer::{Clock, ManualClock, Timer};

use super::draw::seed_from_environment;
use super::machine::{Machine, Turn};
use super::stuck::Stuck;
use super::trace::Step;
use crate::blocking;
use crate::context;
use crate::driver::Driver;
use crate::handle::Handle;
use crate::pool::{Phase, Pool, Seat};
use crate::runtime::ShutdownReport;
use crate::sync::{Arc, Mutex, global};
use crate::tenant::Tenant;
use crate::tree::{Suspects, TreeSnapshot};

global! {
    /// Pools without a simulation, and what moves their clocks. They never become those of a runtime, nor the other way
    /// round.
    static FREE: Mutex<Vec<(&'static Pool, ManualClock)>> = Mutex::new(Vec::new());
}

/// Takes a pool for `workers` simulated workers, its clock set to the present.
fn take_pool(workers: usize) -> (&'static Pool, ManualClock) {
    let recycled = {
        let mut free = FREE.lock();
        free.iter().position(|(pool, _)| pool.workers() == workers).map(|index| free.swap_remove(index))
    };
    match recycled {
        Some((pool, hand)) => {
            hand.set(std::time::Instant::now());
            (pool, hand)
        }
        None => {
            let (clock, hand) = Clock::manual();
            (Box::leak(Box::new(Pool::new(workers, clock))), hand)
        }
    }
}

/// Settings of a [`Simulation`].
///
/// ```
/// use ramus::testing::Simulation;
///
/// let mut simulation = Simulation::builder().seed(7).workers(4).build();
/// assert_eq!(simulation.block_on(async { ramus::Handle::current().workers() }), 4);
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct Builder {
    pub(super) seed: u64,
    workers: usize,
    pub(super) trace: bool,
    pub(super) most_turns: u64,
}

impl Builder {
    /// What all choices are drawn from. Default: 0. The environment variable `RAMUS_SEED` overrides it.
    pub fn seed(mut self, seed: u64) -> Builder {
        self.seed = seed;
        self
    }

    /// How many workers are simulated: each has a queue of its own, and those without work steal. Default: 1.
    pub fn workers(mut self, workers: usize) -> Builder {
        self.workers = workers;
        self
    }

    /// Whether every step is kept for [`Simulation::trace`]. Default: no.
    ///
    /// ```
    /// use ramus::testing::Simulation;
    ///
    /// let mut simulation = Simulation::builder().trace(true).build();
    /// simulation.block_on(async { ramus::spawn(async {}).await }).unwrap();
    /// for step in simulation.trace() {
    ///     println!("{step}");
    /// }
    /// # assert!(simulation.trace().len() >= 3);
    /// ```
    pub fn trace(mut self, trace: bool) -> Builder {
        self.trace = trace;
        self
    }

    /// How many turns there may be at one instant, before the simulation counts as [`Stuck`]: somebody waits for the time in a
    /// loop, and it does not move while he does. Default: one million.
    ///
    /// ```
    /// use ramus::testing::Simulation;
    /// use ramus::time::{Duration, now};
    ///
    /// let mut simulation = Simulation::builder().most_turns(1000).build();
    /// let stuck = simulation.try_block_on(async {
    ///     let deadline = now() + Duration::from_secs(1);
    ///     while now() < deadline {
    ///         ramus::yield_now().await;
    ///     }
    /// });
    /// assert!(stuck.unwrap_err().spins());
    /// ```
    pub fn most_turns(mut self, turns: u64) -> Builder {
        self.most_turns = turns;
        self
    }

    /// Makes the simulation. Nothing runs before [`Simulation::block_on`].
    ///
    /// # Panics
    ///
    /// If there are no workers, if `RAMUS_SEED` is set to what is no number, or if the system refuses the descriptors of
    /// an epoll instance.
    #[track_caller]
    pub fn build(self) -> Simulation {
        assert!(self.workers > 0, "workers(0): a simulation needs at least one worker");
        let settings = Builder { seed: seed_from_environment().unwrap_or(self.seed), ..self };
        let driver = match Driver::new() {
            Ok(driver) => driver,
            Err(error) => panic!("a simulation could not be made: {error}"),
        };
        let (pool, hand) = take_pool(settings.workers);
        // Without threads: the jobs are run by the simulation.
        let no_threads = blocking::Settings { max_threads: 0, ..blocking::Settings::default() };
        let tenant = Arc::new(Tenant::new(pool, String::from("simulation"), blocking::Pool::new(no_threads, None)));
        let seat = Seat { driver, timer: Timer::new(pool.clock().clone()) };
        pool.open(Arc::clone(&tenant), vec![seat.clone()]);
        pool.expect(1);
        let threads = tenant.blocking().threads();
        let machine = Machine::new(pool, seat, hand.clone(), threads, &settings);
        Simulation { seed: settings.seed, handle: tenant.handle(pool), hand, machine, tenant: Some(tenant) }
    }
}

/// A runtime that is run by the thread that blocks on it, in virtual time, with every choice drawn from a seed.
///
/// See the [module](super) for what it is good for.
///
/// ```
/// use ramus::testing::Simulation;
/// use ramus::time::{Duration, now, sleep};
///
/// let mut simulation = Simulation::new(7);
/// simulation.block_on(async {
///     let start = now();
///     sleep(Duration::from_secs(3600)).await; // takes no time
///     assert!(now() - start >= Duration::from_secs(3600));
/// });
/// ```
///
/// Dropping it cancels what is left, as dropping a [`Runtime`](crate::Runtime) does, in virtual time as well.
pub struct Simulation {
    seed: u64,
    handle: Handle,
    hand: ManualClock,
    machine: Machine,
    /// None once it has been shut down.
    tenant: Option<Arc<Tenant>>,
}

/// This thread polls for the simulation until this is dropped.
struct Polling {
    _entered: context::Entered,
}

impl Polling {
    fn begin(handle: Handle) -> Self {
        ramus_scope::completions::enable();
        context::note_joins(true);
        Self { _entered: context::enter(handle, true) }
    }
}

impl Drop for Polling {
    fn drop(&mut self) {
        context::note_joins(false);
        drop(context::take_joins());
        ramus_scope::completions::disable();
    }
}

/// How a future that was blocked on ended.
enum Ended<T> {
    Value(T),
    Panic(Box<dyn std::any::Any + Send>),
    /// The simulation was shut down from inside.
    Refused,
    Stuck(Stuck),
}

impl Simulation {
    /// A simulation with one worker.
    ///
    /// ```
    /// let two = ramus::testing::Simulation::new(3).block_on(async { 1 + 1 });
    /// assert_eq!(two, 2);
    /// ```
    ///
    /// # Panics
    ///
    /// As [`Builder::build`].
    #[track_caller]
    pub fn new(seed: u64) -> Simulation {
        Simulation::builder().seed(seed).build()
    }

    /// A builder with the seed 0 and one worker.
    pub fn builder() -> Builder {
        Builder { seed: 0, workers: 1, trace: false, most_turns: 1_000_000 }
    }

    /// Runs `future`, as a member of the root scope, and whatever it spawns, until it is ready. May be called again: tasks
    /// that are left go on then.
    ///
    /// # Panics
    ///
    /// * A panic of `future` is passed on, after the seed has been printed and everything else was cancelled.
    /// * If nothing will ever happen again and `future` is not ready, with the text of [`Stuck`].
    /// * Inside of a runtime, and after the simulation was shut down.
    #[track_caller]
    pub fn block_on<F: Future>(&mut self, future: F) -> F::Output {
        match self.try_block_on(future) {
            Ok(output) => output,
            Err(stuck) => {
                self.say_and_end();
                panic!("{stuck}");
            }
        }
    }

    /// As [`block_on`](Simulation::block_on), with an error if the simulation is stuck. `future` has been dropped then, and
    /// the tasks are left as they are.
    ///
    /// ```
    /// use ramus::testing::Simulation;
    ///
    /// let stuck = Simulation::new(0).try_block_on(std::future::pending::<()>()).unwrap_err();
    /// println!("{stuck}");
    /// ```
    ///
    /// # Errors
    ///
    /// [`Stuck`], if nothing will ever happen again and `future` is not ready, or the time stands still for too long.
    ///
    /// # Panics
    ///
    /// As [`block_on`](Simulation::block_on), but for that.
    #[track_caller]
    pub fn try_block_on<F: Future>(&mut self, future: F) -> Result<F::Output, Stuck> {
        match self.run(future, Location::caller()) {
            Ended::Value(output) => Ok(output),
            Ended::Stuck(stuck) => Err(stuck),
            Ended::Refused => panic!("the simulation was shut down"),
            Ended::Panic(payload) => {
                self.say_and_end();
                panic::resume_unwind(payload)
            }
        }
    }

    /// A handle on the simulated runtime, for the code under test. What other threads do with it happens, but not at the
    /// same step in every run; and the simulation does not wait for other threads.
    ///
    /// ```
    /// let mut simulation = ramus::testing::Simulation::new(1);
    /// let task = simulation.handle().spawn(async { 1 });
    /// assert_eq!(simulation.block_on(task).unwrap(), 1);
    /// ```
    pub fn handle(&self) -> Handle {
        self.handle
    }

    /// The seed of this run.
    ///
    /// ```
    /// assert_eq!(ramus::testing::Simulation::new(7).seed(), 7);
    /// ```
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The virtual time since the simulation was made.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let mut simulation = ramus::testing::Simulation::new(1);
    /// simulation.block_on(ramus::sleep(Duration::from_secs(60)));
    /// assert!(simulation.elapsed() >= Duration::from_secs(60));
    /// ```
    pub fn elapsed(&self) -> Duration {
        self.machine.elapsed()
    }

    /// The steps so far, if the simulation [keeps](Builder::trace) them. The same program with the same seed and the same
    /// number of workers makes the same steps.
    pub fn trace(&self) -> &[Step] {
        self.machine.trace()
    }

    /// Ends the simulation as [`Runtime::shutdown`](crate::Runtime::shutdown) ends a runtime: `grace` of virtual time for
    /// tasks that listen to `stopping()`, then everything is cancelled and drains. What does not end by that is reported, and killed.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let mut simulation = ramus::testing::Simulation::new(1);
    /// simulation.block_on(async { drop(ramus::spawn(std::future::pending::<()>())) });
    /// assert!(simulation.shutdown(Duration::from_secs(10)).is_clean());
    /// ```
    pub fn shutdown(mut self, grace: Duration) -> ShutdownReport {
        self.end(grace)
    }

    fn run<F: Future>(&mut self, future: F, site: &'static Location<'static>) -> Ended<F::Output> {
        assert!(
            !context::is_busy(),
            "a simulation was blocked on inside of a runtime: call it from a thread of its own"
        );
        let Some(tenant) = &self.tenant else { return Ended::Refused };
        let Ok(member) = tenant.root().member(future) else { return Ended::Refused };
        let _polling = Polling::begin(self.handle);
        let mut member = pin!(member);
        self.machine.forgive_turns();
        let waker = self.machine.begin_main();
        let mut cx = TaskContext::from_waker(&waker);
        let cancel = TaskCancel::new();
        loop {
            match self.machine.next(true) {
                Some(Turn::Worker(worker)) => self.machine.work(worker),
                Some(Turn::Job) => self.machine.run_job(),
                Some(Turn::Main) => {
                    self.machine.begin_main_turn();
                    let polled = member.as_mut().poll_task(&mut cx, &cancel);
                    self.machine.end_main_turn(&waker);
                    match polled {
                        Poll::Pending => {}
                        Poll::Ready(Ok(output)) => return Ended::Value(output),
                        Poll::Ready(Err(error)) => {
                            return error.into_panic().map_or_else(|_| Ended::Refused, Ended::Panic);
                        }
                    }
                }
                None => {
                    let tree = TreeSnapshot::of(tenant);
                    return Ended::Stuck(Stuck::new(&self.machine, self.seed, site, tree.entries()));
                }
            }
        }
    }

    /// The run has failed: says how to replay it, and ends what is left while nothing unwinds yet.
    fn say_and_end(&mut self) {
        say_seed(self.seed);
        let report = self.end(Duration::ZERO);
        if !report.is_clean() {
            eprint!("{report}");
        }
    }

    /// As `Runtime::end`, on this thread.
    fn end(&mut self, grace: Duration) -> ShutdownReport {
        let Some(tenant) = self.tenant.take() else {
            return ShutdownReport::default();
        };
        let pool = self.handle.pool();
        let suspects = Suspects::of(&tenant);
        let polling = Polling::begin(self.handle);
        tenant.close();
        tenant.root().stop(grace);
        if grace.is_zero() {
            tenant.root().cancel(ReasonKind::Shutdown);
        }
        pool.advance(Phase::Closing);
        let mut report = ShutdownReport::default();
        let mut is_empty = self.drain(&tenant);
        if !is_empty {
            let named = suspects.stragglers(&tenant);
            let unnamed = tenant.root().live().saturating_sub(named.len() as u64);
            // They are told of, and need not stay.
            tenant.root().kill(ReasonKind::Shutdown);
            is_empty = self.drain(&tenant);
            let (stragglers, killed) = if is_empty { (Vec::new(), named) } else { (named, Vec::new()) };
            report = ShutdownReport { stragglers, killed, unnamed, timed_out: !is_empty };
        }
        drop(polling);
        if is_empty {
            drop(tenant);
            pool.leave();
            FREE.lock().push((pool, self.hand.clone()));
        }
        report
    }

    /// Goes on until the root scope has ended. False: it never will.
    fn drain(&mut self, tenant: &Arc<Tenant>) -> bool {
        let pool = self.handle.pool();
        self.machine.forgive_turns();
        while !self.machine.spins() {
            // Nobody who can go on is passed over, and the time moves only for those that are still there.
            let turn = match self.machine.ready(false) {
                Some(turn) => Some(turn),
                None => {
                    ramus_scope::completions::flush();
                    tenant.check_drained(pool);
                    if pool.phase() != Phase::Closing {
                        return true;
                    }
                    self.machine.next(false)
                }
            };
            match turn {
                Some(Turn::Worker(worker)) => self.machine.work(worker),
                Some(Turn::Job) => self.machine.run_job(),
                Some(Turn::Main) | None => break,
            }
        }
        false
    }
}

impl Drop for Simulation {
    fn drop(&mut self) {
        let ended = catch_unwind(AssertUnwindSafe(|| self.end(Duration::ZERO)));
        match ended {
            Ok(report) if report.is_clean() => {}
            Ok(report) => eprint!("{report}"),
            Err(payload) if !std::thread::panicking() => panic::resume_unwind(payload),
            Err(_) => {}
        }
    }
}

impl fmt::Debug for Simulation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Simulation")
            .field("seed", &self.seed)
            .field("elapsed", &self.elapsed())
            .finish_non_exhaustive()
    }
}

/// A run with this seed has failed.
pub(super) fn say_seed(seed: u64) {
    eprintln!("ramus: failed with seed {seed}; replay with RAMUS_SEED={seed}");
}
