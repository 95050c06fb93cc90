//! What a handle of a scope requests beyond a cancel: a kill, a stop that becomes one, another deadline; and why.

use std::ops::Deref;
use std::panic::Location;
use std::time::{Duration, Instant};

use crate::admit::catch_up;
use crate::deadline::DeadlineError;
use crate::handle::ScopeHandle;
use crate::host::Host;
use crate::reason::Reason;
use crate::walk;

impl<H: Host> ScopeHandle<H> {
    /// Cancels the scope and everything below it, and no shield holds that back: every shield below is used up, bounded or not,
    /// and so are those that are opened later. All futures are dropped at their next suspension.
    ///
    /// The last resort, after [`cancel`](ScopeHandle::cancel): what a shield protects is left half-done. It takes effect after
    /// a cancel too; the first reason stays. `true` if this was the first kill; `false` if the scope was killed before or has
    /// ended. May be called from any thread.
    ///
    /// ```
    /// # fn example<H: ramus_scope::Host>(s: &ramus_scope::ScopeHandle<H>) {
    /// s.cancel("not needed any more");
    /// // ... it is still not over, and somebody has pressed Ctrl-C for the second time:
    /// s.kill("now, please");
    /// # }
    /// ```
    #[track_caller]
    pub fn kill(&self, reason: impl Into<Reason>) -> bool {
        catch_up(self.node());
        let reason = reason.into().at(Location::caller(), Some(self.node()));
        walk::kill(self.node(), reason)
    }

    /// Asks the scope and everything below to finish soon, as [`stop`](ScopeHandle::stop) does; cancels it after `grace`, and
    /// [kills](ScopeHandle::kill) it when `kill_after` has passed since then.
    ///
    /// Of all stops of the scope and of those above it the earliest cancel and the earliest kill take effect. A later stop
    /// with a longer grace changes nothing. `false` if the scope has ended or is killed.
    ///
    /// ```
    /// # fn example<H: ramus_scope::Host>(s: &ramus_scope::ScopeHandle<H>) {
    /// use std::time::Duration;
    ///
    /// // 20 s to finish, 5 s for what is shielded.
    /// s.stop_then_kill(Duration::from_secs(20), Duration::from_secs(5));
    /// # }
    /// ```
    #[track_caller]
    pub fn stop_then_kill(&self, grace: Duration, kill_after: Duration) -> bool {
        catch_up(self.node());
        self.node().stop(grace, Some(kill_after), Location::caller())
    }

    /// Sets, moves or (with `None`) takes away the scope's own deadline, at once and from any thread.
    ///
    /// One that is past already cancels the scope now: what it runs is cut unless it produces its value in the poll that is
    /// under way. Deadlines of scopes above hold as ever.
    ///
    /// ```
    /// # fn example<H: ramus_scope::Host>(s: &ramus_scope::ScopeHandle<H>) {
    /// use std::time::{Duration, Instant};
    ///
    /// if let Err(error) = s.set_deadline(Instant::now() + Duration::from_secs(5)) {
    ///     assert!(error.is_elapsed() || error.is_closed());
    /// }
    /// let _ = s.set_deadline(None);
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`DeadlineError`] if the scope has ended, or if its deadline has passed, which latches.
    #[track_caller]
    pub fn set_deadline(&self, deadline: impl Into<Option<Instant>>) -> Result<(), DeadlineError> {
        catch_up(self.node());
        self.node().set_deadline(deadline.into(), Location::caller())
    }

    /// The reasons of later cancels, a few of them.
    ///
    /// ```
    /// # fn example<H: ramus_scope::Host>(s: &ramus_scope::ScopeHandle<H>) {
    /// let later = s.later_reasons();
    /// for reason in &*later {
    ///     eprintln!("and {reason}");
    /// }
    /// eprintln!("and {} more", later.dropped());
    /// # }
    /// ```
    pub fn later_reasons(&self) -> LaterReasons {
        let links = self.node().links.lock();
        LaterReasons { kept: links.later.clone(), dropped: links.dropped_reasons }
    }
}

/// What a scope was cancelled for after the first time; made by [`ScopeHandle::later_reasons`]. It derefs to the reasons that
/// were kept, the earliest ones.
#[derive(Debug, Clone)]
pub struct LaterReasons {
    kept: Vec<Reason>,
    dropped: u64,
}

impl LaterReasons {
    /// How many more there were, which were not kept.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

impl Deref for LaterReasons {
    type Target = [Reason];

    fn deref(&self) -> &[Reason] {
        &self.kept
    }
}
