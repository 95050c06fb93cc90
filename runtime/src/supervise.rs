//! Supervision: children that are started again when they fail.
//!
//! A [`Supervisor`] runs its children in a scope of its own, below the current one. What restarts whom, and when it gives
//! up, follows Erlang/OTP's supervisors
//! (<https://www.erlang.org/doc/system/sup_princ.html>: restart strategy, maximum restart intensity); the pauses between
//! restarts, and the respect for a deadline, do not come from there.
//!
//! ```
//! use std::time::Duration;
//! use ramus::{BoxError, Scope, Supervisor};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let runtime = ramus::Runtime::new()?;
//! # runtime.block_on(async {
//! ramus::scope(|s: Scope| async move {
//!     # let stop = s.clone();
//!     Supervisor::new() // restarts the one child that ended; or `restart_all()`
//!         .intensity(5, Duration::from_secs(10)) // gives up at the sixth restart within 10 s
//!         .backoff(Duration::from_millis(50), Duration::from_secs(5)) // doubles, up to 5 s
//!         .child("cache", move || {
//!             let s = s.clone();
//!             async move {
//!                 s.stopping().await; // ... serves until it is asked to stop ...
//!                 Ok::<(), BoxError>(())
//!             }
//!         })
//!         .transient("import", || async { Ok::<(), BoxError>(()) }) // again only if it failed
//!         # .temporary("stop", move || {
//!         #     stop.stop(Duration::from_secs(1));
//!         #     async { Ok::<(), BoxError>(()) }
//!         # })
//!         .run()
//!         .await?;
//!     Ok(())
//! })
//! .await?;
//! # Ok::<(), ramus::ScopeError>(())
//! # })?;
//! # Ok(())
//! # }
//! ```

mod run;

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use self::run::Supervision;
use crate::scope::{BoxError, Scope, ScopeBuilder, ScopeError};

/// One run of a child.
type Attempt = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;

/// What becomes of a child that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Restart {
    Always,
    OnFailure,
    Never,
}

#[derive(Clone)]
struct Child {
    name: Cow<'static, str>,
    restart: Restart,
    start: Arc<dyn Fn() -> Attempt + Send + Sync>,
    site: &'static Location<'static>,
}

/// Runs children and starts them again when they end. See the [module](crate::supervise) for an example.
///
/// Each run of a child is a task with a scope of its own: what it spawns has ended before it is started again. A child's
/// panic is a failure like an error.
#[derive(Clone)]
#[must_use = "a supervisor does nothing until `run`"]
pub struct Supervisor {
    name: Cow<'static, str>,
    children: Vec<Child>,
    restarts_all: bool,
    most: usize,
    period: Duration,
    first_pause: Duration,
    longest_pause: Duration,
}

impl Default for Supervisor {
    fn default() -> Supervisor {
        Supervisor::new()
    }
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let children = self.children.iter().map(|child| (&child.name, child.restart)).collect::<Vec<_>>();
        out.debug_struct("Supervisor").field("name", &self.name).field("children", &children).finish_non_exhaustive()
    }
}

impl Supervisor {
    /// A supervisor without children that restarts the one that ended, at most 5 times in 10 seconds, after pauses of 50 ms
    /// to 5 s.
    pub fn new() -> Supervisor {
        Supervisor {
            name: Cow::Borrowed("supervisor"),
            children: Vec::new(),
            restarts_all: false,
            most: 5,
            period: Duration::from_secs(10),
            first_pause: Duration::from_millis(50),
            longest_pause: Duration::from_secs(5),
        }
    }

    /// Names its scope in [`Handle::tree`](crate::Handle::tree).
    ///
    /// ```
    /// let services = ramus::Supervisor::new().name("services");
    /// # drop(services);
    /// ```
    pub fn name(mut self, name: impl Into<Cow<'static, str>>) -> Supervisor {
        self.name = name.into();
        self
    }

    /// Where one child has to be restarted, all are: the others are cancelled and have ended before the first is started
    /// again. For children that make no sense without each other. Those that have ended for good stay so; a
    /// [temporary](Supervisor::temporary) one that is cancelled has.
    ///
    /// ```
    /// let pipeline = ramus::Supervisor::new().restart_all();
    /// # drop(pipeline);
    /// ```
    pub fn restart_all(mut self) -> Supervisor {
        self.restarts_all = true;
        self
    }

    /// Gives up where more than `restarts` would be made within `period`, counted over all children. With 0 restarts it gives
    /// up at the first failure, with `usize::MAX` never.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let patient = ramus::Supervisor::new().intensity(100, Duration::from_secs(60));
    /// # drop(patient);
    /// ```
    pub fn intensity(mut self, restarts: usize, period: Duration) -> Supervisor {
        self.most = restarts;
        self.period = period;
        self
    }

    /// The pause before a restart: `first`, and twice as long at each further one of the same child, up to `longest`. A child
    /// that ran for the period of the [intensity](Supervisor::intensity) begins with `first` again.
    ///
    /// The pause never reaches into the effective deadline of the scope: where the next run would begin after it, the
    /// supervisor gives up at once. A `Duration::ZERO` twice is no pause at all.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let gentle = ramus::Supervisor::new().backoff(Duration::from_secs(1), Duration::from_secs(60));
    /// # drop(gentle);
    /// ```
    pub fn backoff(mut self, first: Duration, longest: Duration) -> Supervisor {
        self.first_pause = first.min(longest);
        self.longest_pause = longest;
        self
    }

    /// A child that is meant to run for ever: it is restarted however it ends. (OTP: permanent.)
    ///
    /// `start` is called in the child's own task, for each run.
    ///
    /// ```
    /// use std::io;
    ///
    /// async fn serve() -> io::Result<()> {
    ///     std::future::pending().await
    /// }
    ///
    /// let supervisor = ramus::Supervisor::new().child("server", serve);
    /// # drop(supervisor);
    /// ```
    #[track_caller]
    pub fn child<F, Fut, E>(self, name: impl Into<Cow<'static, str>>, start: F) -> Supervisor
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<BoxError>,
    {
        self.with(name.into(), Restart::Always, start)
    }

    /// A child that is restarted when it failed or panicked; after an `Ok` its work is done.
    ///
    /// ```
    /// use std::io;
    /// use std::sync::atomic::{AtomicU32, Ordering};
    ///
    /// static TRIES: AtomicU32 = AtomicU32::new(0);
    ///
    /// async fn import() -> io::Result<()> {
    ///     if TRIES.fetch_add(1, Ordering::Relaxed) < 2 { Err(io::Error::other("not there yet")) } else { Ok(()) }
    /// }
    ///
    /// let runtime = ramus::Runtime::new()?;
    /// runtime.block_on(ramus::Supervisor::new().transient("import", import).run())?;
    /// assert_eq!(TRIES.load(Ordering::Relaxed), 3);
    /// # Ok::<(), io::Error>(())
    /// ```
    #[track_caller]
    pub fn transient<F, Fut, E>(self, name: impl Into<Cow<'static, str>>, start: F) -> Supervisor
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<BoxError>,
    {
        self.with(name.into(), Restart::OnFailure, start)
    }

    /// A child that runs once. Its failure disturbs nobody, and is the supervisor's error when all have ended.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let runtime = ramus::Runtime::new()?;
    /// let warm_up = || async { Err::<(), _>(std::io::Error::other("cold")) };
    /// let error = runtime.block_on(ramus::Supervisor::new().temporary("warm-up", warm_up).run()).unwrap_err();
    /// assert_eq!(error.child(), Some("warm-up"));
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn temporary<F, Fut, E>(self, name: impl Into<Cow<'static, str>>, start: F) -> Supervisor
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<BoxError>,
    {
        self.with(name.into(), Restart::Never, start)
    }

    #[track_caller]
    fn with<F, Fut, E>(mut self, name: Cow<'static, str>, restart: Restart, start: F) -> Supervisor
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<BoxError>,
    {
        let start = Arc::new(start);
        let start = move || -> Attempt {
            let start = Arc::clone(&start);
            Box::pin(async move { start().await.map_err(Into::into) })
        };
        self.children.push(Child { name, restart, start: Arc::new(start), site: Location::caller() });
        self
    }

    /// Runs the children until all have ended for good, or it gives up.
    ///
    /// Once the scope around is asked to stop, nothing is restarted: the children finish, and it returns. A child that is
    /// never restarted, for this reason or because it is temporary, and failed, is not forgotten: its error is returned when
    /// all have ended.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let runtime = ramus::Runtime::new()?;
    /// let once = || async { Ok::<(), ramus::BoxError>(()) };
    /// runtime.block_on(ramus::Supervisor::new().transient("once", once).run())?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`SupervisorError`]. When it gives up, all children have been cancelled and have ended.
    ///
    /// # Panics
    ///
    /// The future, if it is polled outside of a runtime.
    ///
    /// # Cancel safety
    ///
    /// A boundary: it holds back the drop of the code around it until what is open inside has ended.
    #[track_caller]
    pub fn run(self) -> impl Future<Output = Result<(), SupervisorError>> + Send {
        let scope = ScopeBuilder::new().name(self.name.clone()).isolate();
        let run = scope.open(|s: Scope<SupervisorError>| Supervision::new(self, s).run());
        async move { run.await.map_err(SupervisorError::of) }
    }
}

/// Why a supervisor gave up, or which failure was left when its children had ended.
///
/// ```
/// # fn look(error: ramus::SupervisorError) {
/// if error.is_too_often() {
///     eprintln!("{:?} does not come up: {error}", error.child());
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct SupervisorError {
    cause: Cause,
    child: Option<Cow<'static, str>>,
    restarts: u64,
    error: Option<BoxError>,
}

#[derive(Debug, PartialEq, Eq)]
enum Cause {
    TooOften,
    TooLate,
    Failed,
    Cancelled,
}

impl SupervisorError {
    fn of(error: ScopeError<SupervisorError>) -> SupervisorError {
        let text = error.to_string();
        error.into_first().unwrap_or_else(|| SupervisorError {
            cause: Cause::Cancelled,
            child: None,
            restarts: 0,
            error: Some(text.into()),
        })
    }

    /// The child that ended last; `None` if the supervisor was cancelled.
    pub fn child(&self) -> Option<&str> {
        self.child.as_deref()
    }

    /// How many restarts it had made, of all children, from the beginning.
    pub fn restarts(&self) -> u64 {
        self.restarts
    }

    /// It gave up because of the [intensity](Supervisor::intensity).
    pub fn is_too_often(&self) -> bool {
        self.cause == Cause::TooOften
    }

    /// It gave up because the next run would have begun after the deadline of the scope.
    pub fn is_too_late(&self) -> bool {
        self.cause == Cause::TooLate
    }

    /// A child failed and was not restarted, because it is [temporary](Supervisor::temporary) or the scope was asked to stop.
    pub fn is_failed(&self) -> bool {
        self.cause == Cause::Failed
    }

    /// It was cancelled, with the scope around it or by its own.
    pub fn is_cancelled(&self) -> bool {
        self.cause == Cause::Cancelled
    }

    /// The last error of the child: what it returned, or the [`JoinError`](crate::JoinError) of its panic. `None` if it
    /// returned `Ok` too often.
    ///
    /// ```
    /// # fn look(error: ramus::SupervisorError) {
    /// if let Some(error) = error.into_last() {
    ///     eprintln!("the last of many: {error}");
    /// }
    /// # }
    /// ```
    pub fn into_last(self) -> Option<BoxError> {
        self.error
    }
}

impl fmt::Display for SupervisorError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let restarts = self.restarts;
        match (&self.cause, self.child()) {
            (Cause::Cancelled, _) | (_, None) => out.write_str("the supervisor was cancelled")?,
            (Cause::TooOften, Some(child)) => {
                write!(out, "child {child:?} ended too often, after {restarts} restarts")?
            }
            (Cause::TooLate, Some(child)) => {
                write!(out, "child {child:?} ended, and the deadline leaves no time for restart {}", restarts + 1)?;
            }
            (Cause::Failed, Some(child)) => write!(out, "child {child:?} failed and was not restarted")?,
        }
        match &self.error {
            Some(error) => write!(out, ": {error}"),
            None => out.write_str(": it returned Ok"),
        }
    }
}

impl Error for SupervisorError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.as_ref().map(|error| &**error as &(dyn Error + 'static))
    }
}

impl From<SupervisorError> for io::Error {
    fn from(error: SupervisorError) -> io::Error {
        io::Error::other(error)
    }
}
