//! Cancelling, dropping and panicking at every suspension of a future.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::draw::seed_from_environment;
use super::leaks::Leaks;
use super::probe::{Plan, Probe, Record, Thrown};
use super::simulation::Simulation;
use super::site::Site;
use crate::scope::Scope;
use crate::sync::{Arc, Mutex};

/// What is done to a future at one of its suspensions.
///
/// ```
/// use ramus::testing::Disturbance;
///
/// assert_eq!(Disturbance::Drop.to_string(), "dropped");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Disturbance {
    /// Nothing: it runs to its end.
    None,
    /// Its task is cancelled through its handle. Boundaries in it hold as ever, so it may go on for a while.
    Cancel,
    /// It is dropped, as by a `select!` that another branch has won: boundaries in it cannot hold.
    Drop,
    /// Its next poll panics, and it is dropped while that unwinds. A `catch_unwind` inside of it does not see the panic.
    Panic,
}

impl Disturbance {
    /// What the matrix tries at each suspension.
    const TRIED: [Disturbance; 3] = [Disturbance::Cancel, Disturbance::Drop, Disturbance::Panic];
}

impl fmt::Display for Disturbance {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Disturbance::None => "undisturbed",
            Disturbance::Cancel => "cancelled",
            Disturbance::Drop => "dropped",
            Disturbance::Panic => "panicked",
        })
    }
}

/// One run of the matrix: what was done, and where.
///
/// ```
/// use ramus::testing::{Disturbance, cancel_matrix};
///
/// cancel_matrix(
///     || ramus::yield_now(),
///     |point| match point.disturbance {
///         Disturbance::None => assert_eq!(point.to_string(), "undisturbed"),
///         _ => assert_eq!(point.index, 1),
///     },
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Point {
    /// What was done.
    pub disturbance: Disturbance,
    /// At which suspension, from 1; 0 in the undisturbed run.
    pub index: usize,
    /// The `.await` at which the future was suspended. None where the stack does not tell: in a program without debug
    /// information, and in futures that wait without taking a waker.
    pub site: Option<Site>,
    /// The `.await`s that wait for that one, from the inside out.
    pub callers: Vec<Site>,
}

impl fmt::Display for Point {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.disturbance.fmt(out)?;
        if self.index > 0 {
            write!(out, " at suspension {}", self.index)?;
        }
        match &self.site {
            Some(site) => write!(out, " ({site}")?,
            None => return Ok(()),
        }
        for caller in &self.callers {
            write!(out, ", in {caller}")?;
        }
        out.write_str(")")
    }
}

/// What a matrix tried.
///
/// ```
/// let report = ramus::testing::cancel_matrix(|| ramus::yield_now(), |_| ());
/// assert_eq!((report.suspensions(), report.points().len(), report.seed()), (1, 4, 0));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatrixReport {
    points: Vec<Point>,
    suspensions: usize,
    seed: u64,
}

impl MatrixReport {
    /// Every point, in the order in which they were tried; the first one is the undisturbed run.
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// How often the undisturbed future was suspended.
    pub fn suspensions(&self) -> usize {
        self.suspensions
    }

    /// The seed of all runs.
    pub fn seed(&self) -> u64 {
        self.seed
    }
}

/// Points at which the code under test did not hold its invariant. The text names each of them with its place.
///
/// ```
/// use ramus::testing::Matrix;
///
/// let error = Matrix::new().run(|| ramus::yield_now(), |_| Err("as planted")).unwrap_err();
/// assert_eq!(error.broken().len(), error.report().points().len());
/// assert_eq!(error.broken()[0].1, "as planted");
/// ```
#[derive(Clone, Debug)]
pub struct MatrixError {
    broken: Vec<(Point, String)>,
    report: MatrixReport,
}

impl MatrixError {
    /// Each broken point, and what was wrong after it.
    pub fn broken(&self) -> &[(Point, String)] {
        &self.broken
    }

    /// What was tried, with the points that held.
    pub fn report(&self) -> &MatrixReport {
        &self.report
    }
}

impl fmt::Display for MatrixError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (broken, tried, seed) = (self.broken.len(), self.report.points.len(), self.report.seed);
        write!(out, "{broken} of {tried} points broke the invariant (seed {seed}; replay with RAMUS_SEED={seed}):")?;
        for (point, why) in &self.broken {
            write!(out, "\n  {point}: {}", why.trim_end().replace('\n', "\n    "))?;
        }
        Ok(())
    }
}

impl std::error::Error for MatrixError {}

/// What an invariant may answer: nothing, if it panics where it is broken, or a `Result`.
///
/// ```
/// use ramus::testing::Verdict;
///
/// assert_eq!(().broken(), None);
/// assert_eq!(Err("lost").broken().as_deref(), Some("lost"));
/// ```
pub trait Verdict {
    /// Why the invariant does not hold, if it does not.
    fn broken(self) -> Option<String>;
}

impl Verdict for () {
    fn broken(self) -> Option<String> {
        None
    }
}

impl<E: fmt::Display> Verdict for Result<(), E> {
    fn broken(self) -> Option<String> {
        self.err().map(|error| error.to_string())
    }
}

/// Runs the future that `make` makes once undisturbed, and once for each of its suspensions and each of *cancel*, *drop*
/// and *panic*: exactly there it is cancelled, dropped or panics. After every run all that is left drains, nothing may be
/// left behind, and `invariant` must hold: that every item is somewhere, that all permits are back, that no lock is held.
///
/// Only the suspensions of this future are tried; what it spawns is tried by a matrix of its own. See [`Matrix`] for the
/// settings, and the [module](super) for an example that finds a bug. It makes simulations, so it is called from an ordinary
/// `#[test]`.
///
/// ```
/// use ramus::testing::cancel_matrix;
///
/// let report = cancel_matrix(
///     || async {
///         ramus::yield_now().await;
///         ramus::sleep(std::time::Duration::from_secs(1)).await;
///     },
///     |_point| (),
/// );
/// assert_eq!(report.suspensions(), 2);
/// assert_eq!(report.points().len(), 1 + 2 * 3);
/// ```
///
/// # Panics
///
/// With the text of [`MatrixError`] if one of the points is broken.
#[track_caller]
pub fn cancel_matrix<M, F, I, V>(make: M, invariant: I) -> MatrixReport
where
    M: FnMut() -> F,
    F: Future + Send + 'static,
    I: FnMut(&Point) -> V,
    V: Verdict,
{
    match Matrix::new().run(make, invariant) {
        Ok(report) => report,
        Err(error) => panic!("{error}"),
    }
}

/// The settings of a [`cancel_matrix`].
///
/// ```
/// use ramus::testing::Matrix;
///
/// let report = Matrix::new().seed(3).workers(2).run(|| async { ramus::yield_now().await }, |_| ());
/// assert_eq!(report.unwrap().suspensions(), 1);
/// ```
#[derive(Clone, Debug)]
#[must_use = "a matrix does nothing until `run`"]
pub struct Matrix {
    seed: u64,
    workers: usize,
    most_suspensions: usize,
}

impl Default for Matrix {
    fn default() -> Self {
        Self::new()
    }
}

impl Matrix {
    /// The seed 0 and one worker.
    pub fn new() -> Matrix {
        Matrix { seed: 0, workers: 1, most_suspensions: 1000 }
    }

    /// The seed of all runs. The environment variable `RAMUS_SEED` overrides it.
    pub fn seed(mut self, seed: u64) -> Matrix {
        self.seed = seed;
        self
    }

    /// The number of simulated workers.
    pub fn workers(mut self, workers: usize) -> Matrix {
        self.workers = workers;
        self
    }

    /// How many suspensions the undisturbed future may have before it counts as endless. Default: 1000. Each costs three runs.
    ///
    /// ```
    /// use std::time::Duration;
    /// use ramus::testing::Matrix;
    ///
    /// let serve = || async {
    ///     loop {
    ///         ramus::sleep(Duration::from_secs(1)).await;
    ///     }
    /// };
    /// let error = Matrix::new().most_suspensions(100).run(serve, |_| ()).unwrap_err();
    /// println!("{error}"); // it has to end by itself: let it take a number of rounds
    /// assert_eq!(error.report().points().len(), 1);
    /// ```
    pub fn most_suspensions(mut self, suspensions: usize) -> Matrix {
        self.most_suspensions = suspensions;
        self
    }

    /// Tries every point. `make` is called inside of a simulation, once a run, and makes the state anew that `invariant`
    /// looks at after the run. The future runs as a task in a scope of its own; what it spawns has to end when its parent
    /// does, or by itself: nobody cancels it.
    ///
    /// Two runs must do the same up to the disturbance: a future that asks for the real time, or draws numbers of its own,
    /// is told so.
    ///
    /// # Errors
    ///
    /// [`MatrixError`] with each point after which
    ///
    /// * `invariant` panicked or returned an error,
    /// * a task, a timer or a socket was left, or something waited for ever, or
    /// * the undisturbed future was suspended [too often](Matrix::most_suspensions): then nothing else is tried, or
    /// * the future panicked by itself, for example in a destructor.
    ///
    /// # Panics
    ///
    /// As [`Builder::build`](super::Builder::build).
    pub fn run<M, F, I, V>(&self, mut make: M, mut invariant: I) -> Result<MatrixReport, MatrixError>
    where
        M: FnMut() -> F,
        F: Future + Send + 'static,
        I: FnMut(&Point) -> V,
        V: Verdict,
    {
        let seed = seed_from_environment().unwrap_or(self.seed);
        let mut broken = Vec::new();
        let mut points = Vec::new();
        let mut look = |point: Point, ran: Result<(), String>| {
            let held = catch_unwind(AssertUnwindSafe(|| invariant(&point).broken()));
            let held = held.unwrap_or_else(|payload| Some(message(&*payload)));
            broken.extend(ran.err().into_iter().chain(held).map(|why| (point.clone(), why)));
            points.push(point);
        };
        let (ran, record) = self.once(&mut make, None);
        look(Point { disturbance: Disturbance::None, index: 0, site: None, callers: Vec::new() }, ran);
        let tried = if record.is_endless { &[] } else { &*record.sites };
        for (index, sites) in (1..).zip(tried) {
            for disturbance in Disturbance::TRIED {
                let (ran, seen) = self.once(&mut make, Some(Plan { disturbance, at: index }));
                let ran = if seen.suspensions < index {
                    Err(String::from("the future did not get here again: it does not do the same in every run"))
                } else {
                    ran
                };
                let callers = sites.iter().skip(1).cloned().collect();
                look(Point { disturbance, index, site: sites.first().cloned(), callers }, ran);
            }
        }
        let report = MatrixReport { points, suspensions: record.sites.len(), seed };
        if broken.is_empty() { Ok(report) } else { Err(MatrixError { broken, report }) }
    }

    /// One run, and what is wrong after it.
    fn once<F>(&self, make: &mut impl FnMut() -> F, plan: Option<Plan>) -> (Result<(), String>, Record)
    where
        F: Future + Send + 'static,
    {
        let record = Arc::new(Mutex::new(Record::default()));
        let mut simulation = Simulation::builder().seed(self.seed).workers(self.workers).build();
        let handle = simulation.handle();
        let told = Arc::clone(&record);
        let most = self.most_suspensions;
        let drained = simulation.try_block_on(async move {
            // A panic stays with the task: what it has spawned goes on as it would after a cancel.
            let opened = ramus_scope::Builder::new().name("matrix").isolate().open(|s: Scope| {
                let future = make();
                async move {
                    let task = s.spawn(Probe::new(future, plan, most, Arc::clone(&told)));
                    told.lock().handle = Some(Arc::new(task));
                    Ok(())
                }
            });
            opened.await
        });
        let left = Leaks::check(&handle);
        let report = simulation.shutdown(Duration::ZERO);
        let mut record = std::mem::take(&mut *record.lock());
        if record.is_endless {
            record.sites.truncate(most);
        }
        let ended = record.handle.take().and_then(Arc::into_inner).and_then(|mut handle| handle.try_result());
        let mut wrong: Vec<String> = Vec::new();
        match drained {
            Err(stuck) => wrong.push(stuck.to_string()),
            Ok(_) => wrong.extend(left.err().map(|leaks| leaks.to_string())),
        }
        if !report.is_clean() {
            wrong.push(report.to_string());
        }
        if record.is_endless {
            wrong.push(format!("it was suspended more than {most} times: what is tried has to end by itself"));
        }
        if let Some(Err(error)) = ended {
            if let Ok(payload) = error.into_panic() {
                if !payload.is::<Thrown>() {
                    wrong.push(format!("it panicked: {}", message(&*payload)));
                }
            }
        }
        let ran = if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) };
        (ran, record)
    }
}

/// The text of a panic.
fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| String::from("a panic without a text"))
}
