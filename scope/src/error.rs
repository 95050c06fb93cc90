//! What a scope, a task and a boundary answer when they did not end with a value.
//!
//! The errors are opaque structs with predicates: a new cause is not a breaking change.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::io;

use crate::catch::Cancelled;
use crate::reason::{Reason, ReasonKind};
use crate::sync::Mutex;

/// The error type of a scope whose children fail with errors of several types.
pub type BoxError = Box<dyn Error + Send + Sync + 'static>;

/// Why a scope did not end with its body's value.
///
/// It holds *every* error that the body and the children produced, the first one first. It is only "cancelled" when
/// nothing failed.
///
/// ```
/// # fn look(error: ramus_scope::ScopeError<std::io::Error>) {
/// if error.is_elapsed() {
///     eprintln!("too slow");
/// } else if let Some(first) = error.errors().first() {
///     eprintln!("failed: {first}");
/// }
/// # }
/// ```
pub struct ScopeError<E = BoxError> {
    errors: Vec<E>,
    reason: Option<Reason>,
}

impl<E> ScopeError<E> {
    /// `errors` of a failed scope, or none and the `reason` of a cancelled one.
    pub(crate) fn new(errors: Vec<E>, reason: Option<Reason>) -> ScopeError<E> {
        ScopeError { errors, reason }
    }

    /// All errors, in the order in which they came. Empty if the scope was only cancelled.
    ///
    /// ```
    /// # fn look(error: ramus_scope::ScopeError<std::io::Error>) {
    /// for error in error.errors() {
    ///     eprintln!("{error}");
    /// }
    /// # }
    /// ```
    pub fn errors(&self) -> &[E] {
        &self.errors
    }

    /// All errors, by value.
    ///
    /// ```
    /// # fn look(error: ramus_scope::ScopeError<std::io::Error>) {
    /// let all: Vec<std::io::Error> = error.into_errors();
    /// # drop(all);
    /// # }
    /// ```
    pub fn into_errors(self) -> Vec<E> {
        self.errors
    }

    /// The first error, unless the scope was only cancelled.
    ///
    /// ```
    /// # fn look(error: ramus_scope::ScopeError<std::io::Error>) {
    /// let first: Option<std::io::Error> = error.into_first();
    /// # drop(first);
    /// # }
    /// ```
    pub fn into_first(self) -> Option<E> {
        self.errors.into_iter().next()
    }

    /// Why the scope was cancelled, if it was; a failing child cancels its siblings with
    /// [`ReasonKind::SiblingFailed`].
    pub fn reason(&self) -> Option<&Reason> {
        self.reason.as_ref()
    }

    /// Nothing failed: the scope was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.errors.is_empty()
    }

    /// Nothing failed: the scope's own deadline passed.
    ///
    /// ```
    /// # fn look(error: ramus_scope::ScopeError<std::io::Error>) {
    /// if error.is_elapsed() {
    ///     eprintln!("too slow");
    /// }
    /// # }
    /// ```
    pub fn is_elapsed(&self) -> bool {
        self.is_cancelled() && self.reason.as_ref().is_some_and(|r| r.kind() == ReasonKind::Deadline)
    }

    /// Something failed, and the scope was cancelled for another reason as well.
    ///
    /// ```
    /// # fn look(error: ramus_scope::ScopeError<std::io::Error>) {
    /// if error.was_also_cancelled() {
    ///     eprintln!("failed while it was being cancelled anyway");
    /// }
    /// # }
    /// ```
    pub fn was_also_cancelled(&self) -> bool {
        let failure = |r: &Reason| matches!(r.kind(), ReasonKind::SiblingFailed | ReasonKind::BodyFailed);
        !self.errors.is_empty() && self.reason.as_ref().is_some_and(|r| !failure(r))
    }
}

impl<E: fmt::Display> fmt::Display for ScopeError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.errors.as_slice(), &self.reason) {
            ([], Some(reason)) => {
                f.write_str("the scope was ")?;
                reason.fmt(f)
            }
            ([], None) => f.write_str("the scope was cancelled"),
            ([one], _) => one.fmt(f),
            ([first, rest @ ..], _) => write!(f, "{first} (and {} more)", rest.len()),
        }
    }
}

impl<E: fmt::Debug> fmt::Debug for ScopeError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopeError").field("errors", &self.errors).field("reason", &self.reason).finish()
    }
}

impl<E: fmt::Display + fmt::Debug> Error for ScopeError<E> {}

fn cancelled_io(reason: Option<&Reason>) -> io::Error {
    match reason {
        Some(reason) if reason.kind() == ReasonKind::Deadline => {
            io::Error::new(io::ErrorKind::TimedOut, reason.to_string())
        }
        Some(reason) => io::Error::other(reason.to_string()),
        None => io::Error::other("cancelled"),
    }
}

impl From<ScopeError<io::Error>> for io::Error {
    /// The first error; a passed deadline is [`io::ErrorKind::TimedOut`].
    fn from(error: ScopeError<io::Error>) -> io::Error {
        let reason = error.reason.clone();
        error.into_first().unwrap_or_else(|| cancelled_io(reason.as_ref()))
    }
}

impl From<ScopeError<BoxError>> for io::Error {
    fn from(error: ScopeError<BoxError>) -> io::Error {
        let reason = error.reason.clone();
        error.into_first().map_or_else(|| cancelled_io(reason.as_ref()), io::Error::other)
    }
}

impl<E> From<Cancelled> for ScopeError<E> {
    /// Nothing failed; it was cancelled.
    fn from(cancelled: Cancelled) -> ScopeError<E> {
        ScopeError::new(Vec::new(), Some(cancelled.reason().clone()))
    }
}

impl From<Cancelled> for io::Error {
    /// A passed deadline is [`io::ErrorKind::TimedOut`].
    fn from(cancelled: Cancelled) -> io::Error {
        cancelled_io(Some(cancelled.reason()))
    }
}

/// Why a task did not end with a value.
///
/// ```
/// # fn look(error: ramus_scope::JoinError) {
/// if error.is_cancelled() && error.never_started() {
///     eprintln!("the task was cancelled before its first poll");
/// }
/// # }
/// ```
pub struct JoinError(Cause);

enum Cause {
    Cancelled {
        /// Known where somebody may look at it.
        reason: Option<Reason>,
        started: bool,
    },
    // The rare ones are boxed: every task moves its output a few times, whose size this decides.
    Panic(Box<Panicked>),
    Failed,
    SelfJoin(Box<Circle>),
}

/// A task that would wait for itself.
struct Circle {
    task: String,
}

struct Panicked {
    message: String,
    /// In a lock so that the error is `Sync`; it is only taken by value.
    payload: Mutex<Option<Box<dyn Any + Send>>>,
}

impl JoinError {
    /// A task that was cancelled for `reason`; `started`: it was polled before. For hosts, which may have to end a task
    /// without its membership being polled.
    ///
    /// ```
    /// use ramus_scope::JoinError;
    ///
    /// let error = JoinError::cancelled("not needed".into(), false);
    /// assert!(error.is_cancelled() && error.never_started());
    /// ```
    pub fn cancelled(reason: Reason, started: bool) -> JoinError {
        JoinError(Cause::Cancelled { reason: Some(reason), started })
    }

    /// A task that was cancelled, and that nobody asks why.
    pub(crate) fn unobserved(started: bool) -> JoinError {
        JoinError(Cause::Cancelled { reason: None, started })
    }

    /// A panic whose payload went to the scope.
    pub(crate) fn panicked(message: String) -> JoinError {
        JoinError(Cause::Panic(Box::new(Panicked { message, payload: Mutex::new(None) })))
    }

    /// A panic whose payload stays with the handle.
    pub(crate) fn isolated(message: String, payload: Box<dyn Any + Send>) -> JoinError {
        JoinError(Cause::Panic(Box::new(Panicked { message, payload: Mutex::new(Some(payload)) })))
    }

    pub(crate) fn failed() -> JoinError {
        JoinError(Cause::Failed)
    }

    /// `task` was to be awaited by itself, or from inside a scope that it has open
    /// ([`TaskCancel::is_around`](crate::TaskCancel::is_around)). For hosts.
    ///
    /// ```
    /// let error = ramus_scope::JoinError::self_join(7);
    /// assert!(error.is_self_join());
    /// assert!(error.to_string().starts_with("task 7 would wait for itself"));
    /// ```
    pub fn self_join(task: impl fmt::Display) -> JoinError {
        JoinError(Cause::SelfJoin(Box::new(Circle { task: task.to_string() })))
    }

    /// The task has not ended: it would have waited for itself, because its handle was awaited by the task or from inside a
    /// scope that it waits for.
    ///
    /// ```
    /// # fn look(error: ramus_scope::JoinError) {
    /// if error.is_self_join() {
    ///     eprintln!("a bug: {error}");
    /// }
    /// # }
    /// ```
    pub fn is_self_join(&self) -> bool {
        matches!(self.0, Cause::SelfJoin(_))
    }

    /// The task was cancelled: by its scope, or alone by its handle.
    pub fn is_cancelled(&self) -> bool {
        matches!(self.0, Cause::Cancelled { .. })
    }

    /// The task panicked.
    ///
    /// ```
    /// # fn look(error: ramus_scope::JoinError) {
    /// if error.is_panic() {
    ///     eprintln!("a bug: {error}");
    /// }
    /// # }
    /// ```
    pub fn is_panic(&self) -> bool {
        matches!(self.0, Cause::Panic(_))
    }

    /// The task returned an error that went to its scope (`spawn_try`).
    ///
    /// ```
    /// # fn look(error: ramus_scope::JoinError) {
    /// if error.is_failed() {
    ///     eprintln!("its scope answers with the error");
    /// }
    /// # }
    /// ```
    pub fn is_failed(&self) -> bool {
        matches!(self.0, Cause::Failed)
    }

    /// Why the task was cancelled, if it was.
    pub fn reason(&self) -> Option<&Reason> {
        match &self.0 {
            Cause::Cancelled { reason, .. } => reason.as_ref(),
            Cause::Panic(_) | Cause::Failed | Cause::SelfJoin(_) => None,
        }
    }

    /// The task was cancelled before its first poll: none of its code ran.
    ///
    /// ```
    /// # fn look(error: ramus_scope::JoinError) {
    /// if error.never_started() {
    ///     eprintln!("safe to try again: none of its code ran");
    /// }
    /// # }
    /// ```
    pub fn never_started(&self) -> bool {
        matches!(self.0, Cause::Cancelled { started: false, .. })
    }

    /// The payload of the panic. In a fail-fast scope the payload itself is resumed from the scope's `.await`; what is
    /// returned here is then its message.
    ///
    /// ```
    /// # fn look(error: ramus_scope::JoinError) {
    /// if let Ok(payload) = error.into_panic() {
    ///     std::panic::resume_unwind(payload);
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The error itself, if the task did not panic.
    pub fn into_panic(self) -> Result<Box<dyn Any + Send>, JoinError> {
        match self.0 {
            Cause::Panic(panicked) => {
                let Panicked { message, payload } = *panicked;
                let payload = payload.lock().take();
                Ok(payload.unwrap_or_else(|| Box::new(message)))
            }
            cause => Err(JoinError(cause)),
        }
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Cause::Cancelled { reason: Some(reason), .. } => {
                f.write_str("the task was ")?;
                reason.fmt(f)
            }
            Cause::Cancelled { reason: None, .. } => f.write_str("the task was cancelled"),
            Cause::Panic(panicked) => write!(f, "the task panicked: {}", panicked.message),
            Cause::Failed => f.write_str("the task failed; its error went to its scope"),
            Cause::SelfJoin(circle) => write!(
                f,
                "task {} would wait for itself: its JoinHandle was awaited by the task itself or from inside a scope that \
                 it waits for; await it outside of the task, or leave it to the scope, which waits for it anyway",
                circle.task
            ),
        }
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinError({self})")
    }
}

impl Error for JoinError {}

impl From<JoinError> for io::Error {
    fn from(error: JoinError) -> io::Error {
        io::Error::other(error)
    }
}

/// The text of a panic payload, as far as it is text.
pub(crate) fn panic_message(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&'static str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "a payload that is not text".to_owned()
    }
}

/// A future that was refused by a closed, cancelled or full scope: nothing of it was polled, and here it is back.
///
/// ```
/// # fn look<F>(refused: ramus_scope::Refused<F>) -> F {
/// eprintln!("{refused}");
/// refused.into_inner()
/// # }
/// ```
pub struct Refused<F> {
    future: F,
    reason: Option<Reason>,
    is_full: bool,
}

impl<F> Refused<F> {
    /// By a scope that was cancelled for `reason`, or has ended in peace.
    pub(crate) fn new(future: F, reason: Option<Reason>) -> Refused<F> {
        Refused { future, reason, is_full: false }
    }

    /// By a scope that has as many running children as its limit allows.
    pub(crate) fn full(future: F) -> Refused<F> {
        Refused { future, reason: None, is_full: true }
    }

    /// The same refusal of what was wrapped.
    pub(crate) fn map<G>(self, unwrap: impl FnOnce(F) -> G) -> Refused<G> {
        Refused { future: unwrap(self.future), reason: self.reason, is_full: self.is_full }
    }

    /// The scope has as many running children as its task limit allows: a later try may succeed.
    ///
    /// ```
    /// # fn look<F>(refused: ramus_scope::Refused<F>) {
    /// if refused.is_full() {
    ///     eprintln!("too busy, come back later");
    /// }
    /// # }
    /// ```
    pub fn is_full(&self) -> bool {
        self.is_full
    }

    /// The future, unpolled.
    pub fn into_inner(self) -> F {
        self.future
    }

    /// Why the scope was cancelled; `None` if it had ended in peace, or is only full.
    pub fn reason(&self) -> Option<&Reason> {
        self.reason.as_ref()
    }
}

impl<F> fmt::Display for Refused<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            None if self.is_full => f.write_str("the scope runs as many tasks as its limit allows"),
            Some(reason) => write!(f, "the scope admits nothing any more: it was {reason}"),
            None => f.write_str("the scope admits nothing any more: it has ended"),
        }
    }
}

impl<F> fmt::Debug for Refused<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Refused({self})")
    }
}

impl<F> Error for Refused<F> {}
