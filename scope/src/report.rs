//! The report hook: what went wrong without being anybody's result.
//!
//! An error has its scope, a panic its handle. What is left is reported here, as panics are to the panic hook: one hook for
//! the process, which prints one line to the standard error output unless the program sets another.

use std::borrow::Cow;
use std::fmt;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};

use crate::sync::{Arc, Mutex, global};
use crate::tree::drop_quietly;

type Hook = Arc<dyn Fn(&Report) + Send + Sync>;

global! {
    static HOOK: Mutex<Option<Hook>> = Mutex::new(None);
}

/// What a [`Report`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReportKind {
    /// A finalizer ran over its budget and was cut.
    FinalizerOverrun,
    /// A scope whose future was dropped half-way, or that nobody polls any more, has ended with errors. Nobody else answers
    /// with them; a future that is polled again does.
    ErrorsUnseen,
    /// A cancelled scope did not wait for a blocking job, because whoever spawned the job chose so.
    JobAbandoned,
}

/// Something that went wrong and is nobody's result: it changes no outcome, but somebody should know.
///
/// ```
/// ramus_scope::set_report_hook(|report| {
///     eprintln!("{:?} in {}: {report}", report.kind(), report.scope().unwrap_or("a nameless scope"));
/// });
/// # ramus_scope::reset_report_hook();
/// ```
#[derive(Debug, Clone)]
pub struct Report {
    kind: ReportKind,
    what: Cow<'static, str>,
    site: Option<&'static Location<'static>>,
    scope: Option<Cow<'static, str>>,
}

impl Report {
    /// A report of `kind` that says `what` happened, in a few words without a full stop.
    pub(crate) fn new(kind: ReportKind, what: impl Into<Cow<'static, str>>) -> Report {
        Report { kind, what: what.into(), site: None, scope: None }
    }

    /// A blocking job that its host has abandoned. For hosts.
    ///
    /// ```
    /// let report = ramus_scope::Report::job_abandoned(Some("hash"), None);
    /// assert!(report.to_string().contains("abandoned"));
    /// ```
    pub fn job_abandoned(name: Option<&str>, site: Option<&'static Location<'static>>) -> Report {
        let name = name.map(|name| format!(" `{name}`")).unwrap_or_default();
        let what = format!("the blocking job{name} was abandoned by its cancelled scope and runs on");
        Report { site, ..Report::new(ReportKind::JobAbandoned, what) }
    }

    /// Where in the source the thing was made that it is about.
    pub(crate) fn at(self, site: &'static Location<'static>) -> Report {
        Report { site: Some(site), ..self }
    }

    /// The name of the scope that it happened in.
    pub(crate) fn of(self, scope: Option<&Cow<'static, str>>) -> Report {
        Report { scope: scope.cloned(), ..self }
    }

    /// What it is about.
    pub fn kind(&self) -> ReportKind {
        self.kind
    }

    /// Where in the source the thing was made that it is about: the call of `defer`, for a finalizer; that of
    /// the spawn, for a job; where it was opened, for a scope.
    pub fn site(&self) -> Option<&'static Location<'static>> {
        self.site
    }

    /// The name of the scope that it happened in, if it has one.
    pub fn scope(&self) -> Option<&str> {
        self.scope.as_deref()
    }

    /// Gives it to the hook. Not under a lock. A panic of the hook stays here: whoever reports has other duties.
    ///
    /// ```
    /// ramus_scope::Report::job_abandoned(Some("hash"), None).send();
    /// ```
    pub fn send(&self) {
        let hook = HOOK.lock().clone();
        let call = || match &hook {
            Some(hook) => hook(self),
            None => eprintln!("ramus: {self}"),
        };
        if let Err(payload) = catch_unwind(AssertUnwindSafe(call)) {
            drop_quietly(payload);
        }
        drop_quietly(hook);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if let Some(scope) = &self.scope {
            write!(f, ", in scope `{scope}`")?;
        }
        match self.site {
            Some(site) => write!(f, ", at {site}"),
            None => Ok(()),
        }
    }
}

/// Has `hook` called with every [`Report`] of this process, in place of the line on the standard error output.
///
/// It is called on whatever thread finds the thing, under no lock; a panic of it has no effect. It must not block for long.
/// The hook that was set before is dropped.
///
/// ```
/// use std::sync::atomic::{AtomicUsize, Ordering};
///
/// static REPORTS: AtomicUsize = AtomicUsize::new(0);
/// ramus_scope::set_report_hook(|_report| {
///     REPORTS.fetch_add(1, Ordering::Relaxed);
/// });
/// # ramus_scope::reset_report_hook();
/// ```
pub fn set_report_hook(hook: impl Fn(&Report) + Send + Sync + 'static) {
    replace(Some(Arc::new(hook)));
}

/// Has reports printed to the standard error output again, one line each, which begins with `ramus: `.
///
/// ```
/// ramus_scope::reset_report_hook();
/// ```
pub fn reset_report_hook() {
    replace(None);
}

fn replace(hook: Option<Hook>) {
    let older = std::mem::replace(&mut *HOOK.lock(), hook);
    drop(older);
}

#[cfg(all(test, not(ramus_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_one_line() {
        let site = Location::caller();
        let report = Report::new(ReportKind::FinalizerOverrun, "too slow").at(site).of(Some(&"request".into()));
        assert_eq!(report.to_string(), format!("too slow, in scope `request`, at {site}"));
        assert_eq!((report.kind(), report.scope()), (ReportKind::FinalizerOverrun, Some("request")));
        assert_eq!(Report::new(ReportKind::FinalizerOverrun, "too slow").to_string(), "too slow");
    }

    #[test]
    fn the_hook_is_called_under_no_lock_and_its_panic_is_contained() {
        set_report_hook(|report| {
            // Would hang under the lock.
            reset_report_hook();
            panic!("{report}");
        });
        Report::new(ReportKind::FinalizerOverrun, "planted").send();
        Report::new(ReportKind::FinalizerOverrun, "planted, printed").send();
    }
}
