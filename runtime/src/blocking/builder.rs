//! Spawning blocking jobs with a name, or with leave to abandon them.

use std::borrow::Cow;
use std::time::Duration;

use ramus_scope::{BlockingHost, Member, ReasonKind};

use super::unattended::Abandon;
use super::{BlockingScope, own};
use crate::handle::Handle;
use crate::scope::ScopeHandle;
use crate::spawn::builder::member;
use crate::spawn::{self, First};
use crate::task::{JoinHandle, Name};

/// Spawns a blocking job with a name, or one that a cancelled scope may abandon.
///
/// ```
/// use std::time::Duration;
/// use ramus::Scope;
/// use ramus::blocking::Builder;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let runtime = ramus::Runtime::new()?;
/// runtime.block_on(async {
///     ramus::scope(|s: Scope| async move {
///         let lookup = Builder::new().name("resolver").abandon_on_cancel(Duration::from_secs(1));
///         let found = lookup.spawn_in(&s, |_job| "192.0.2.1").await?;
///         assert_eq!(found, "192.0.2.1");
///         Ok(())
///     })
///     .await
/// })?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "a builder does nothing until `spawn`"]
pub struct Builder {
    name: Option<Cow<'static, str>>,
    abandon: Option<Abandon>,
}

/// The name of a job's task, which says that it is one.
pub(super) struct JobName(Option<Cow<'static, str>>);

impl Name for JobName {
    const IS_JOB: bool = true;

    fn text(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

impl Builder {
    /// A nameless job that its scope waits for.
    pub fn new() -> Builder {
        Builder::default()
    }

    /// Names the job, for the tree, reports and the list of stragglers.
    pub fn name(mut self, name: impl Into<Cow<'static, str>>) -> Builder {
        self.name = Some(name.into());
        self
    }

    /// Lets the scope go on without the job: if the job has begun when its scope or its handle is cancelled, and has not
    /// ended `grace` after that, then the handle answers "cancelled" and the scope does not wait any longer.
    ///
    /// The job runs on, on its thread, for as long as it likes; nothing can stop it. That is reported, the tree shows it
    /// as abandoned, and a shutdown names it. What it returns is dropped when it ends, and a panic of it goes to the panic
    /// hook only. It can spawn nothing into its scope any more once that has ended. So this is for work that can be left
    /// alone: a look-up, a read, never a write that somebody relies on.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # fn look_up(name: &str) -> Option<u32> { None }
    /// # let runtime = ramus::Runtime::new().unwrap();
    /// # let _entered = runtime.enter();
    /// // The system's resolver may block for minutes.
    /// let address = ramus::blocking::Builder::new()
    ///     .name("resolver")
    ///     .abandon_on_cancel(Duration::from_millis(100))
    ///     .spawn(|_job| look_up("example.com"));
    /// # assert_eq!(runtime.block_on(address).unwrap(), None);
    /// ```
    pub fn abandon_on_cancel(mut self, grace: Duration) -> Builder {
        self.abandon = Some(Abandon { grace });
        self
    }

    /// Spawns the job in the current scope, as [`spawn_blocking_with`](super::spawn_blocking_with) does.
    ///
    /// # Panics
    ///
    /// Outside of a runtime.
    #[track_caller]
    pub fn spawn<F, T>(self, work: F) -> JoinHandle<T>
    where
        F: FnOnce(&BlockingScope) -> T + Send + 'static,
        T: Send + 'static,
    {
        let host = Handle::current();
        match spawn::ambient(&host).or_else(|| host.root()) {
            Some(scope) => self.spawn_in(&scope, work),
            None => self.start(host, Member::refused(ReasonKind::Shutdown.into(), own(work, None))),
        }
    }

    /// Spawns the job in `scope`. If that is cancelled or has ended, the handle answers "cancelled".
    ///
    /// ```
    /// let runtime = ramus::Runtime::new()?;
    /// let root = runtime.handle().root().unwrap();
    /// let job = ramus::blocking::Builder::new().name("sum").spawn_in(&root, |_job| (1..=10).sum::<u32>());
    /// assert_eq!(runtime.block_on(job).unwrap(), 55);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn spawn_in<F, T>(self, scope: &ScopeHandle, work: F) -> JoinHandle<T>
    where
        F: FnOnce(&BlockingScope) -> T + Send + 'static,
        T: Send + 'static,
    {
        let member = member(scope.member(own(work, self.abandon)));
        self.start(*scope.host(), member)
    }

    #[track_caller]
    fn start<F>(self, host: Handle, member: Member<F>) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        spawn::start(host.pool(), member, JobName(self.name), First::Queued)
    }
}

impl BlockingHost for Handle {
    type Job = BlockingScope;

    #[track_caller]
    fn spawn_blocking<F, T>(&self, scope: &ScopeHandle, work: F) -> JoinHandle<T>
    where
        F: FnOnce(&BlockingScope) -> T + Send + 'static,
        T: Send + 'static,
    {
        Builder::new().spawn_in(scope, work)
    }
}
