//! Why something was cancelled.

use std::borrow::Cow;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use crate::path::{NOWHERE, ScopePath};
use crate::tree::Node;

/// The kind of a [`Reason`].
///
/// ```
/// use ramus_scope::{Reason, ReasonKind};
///
/// assert_eq!(Reason::from("enough").kind(), ReasonKind::User);
/// assert_eq!(Reason::from(ReasonKind::Shutdown).kind(), ReasonKind::Shutdown);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReasonKind {
    /// Somebody called `cancel` with a message of their own.
    User,
    /// A deadline of the scope passed.
    Deadline,
    /// A child of the scope failed or panicked.
    SiblingFailed,
    /// The body of the scope failed or panicked.
    BodyFailed,
    /// The cancel came from an enclosing scope.
    Parent,
    /// The runtime, or the program, is shutting down.
    Shutdown,
    /// A shield was cancelled from outside and used up its budget.
    ShieldBudget,
    /// The future of the scope was dropped before it ended.
    Dropped,
    /// The client that asked for the work has gone.
    ClientGone,
}

impl ReasonKind {
    /// The kind as one word in snake case, for labels of metrics and logs.
    ///
    /// ```
    /// assert_eq!(ramus_scope::ReasonKind::ClientGone.as_str(), "client_gone");
    /// ```
    pub fn as_str(self) -> &'static str {
        match self {
            ReasonKind::User => "user",
            ReasonKind::Deadline => "deadline",
            ReasonKind::SiblingFailed => "sibling_failed",
            ReasonKind::BodyFailed => "body_failed",
            ReasonKind::Parent => "parent",
            ReasonKind::Shutdown => "shutdown",
            ReasonKind::ShieldBudget => "shield_budget",
            ReasonKind::Dropped => "dropped",
            ReasonKind::ClientGone => "client_gone",
        }
    }

    /// All kinds, in the order of their declaration.
    ///
    /// ```
    /// assert!(ramus_scope::ReasonKind::ALL.contains(&ramus_scope::ReasonKind::Deadline));
    /// ```
    pub const ALL: [ReasonKind; 9] = [
        ReasonKind::User,
        ReasonKind::Deadline,
        ReasonKind::SiblingFailed,
        ReasonKind::BodyFailed,
        ReasonKind::Parent,
        ReasonKind::Shutdown,
        ReasonKind::ShieldBudget,
        ReasonKind::Dropped,
        ReasonKind::ClientGone,
    ];
}

/// Why a scope or a task was cancelled: the kind, an optional message, the call site and the path of scopes down to the one it
/// started from.
///
/// A string converts into a reason of kind [`ReasonKind::User`], a [`ReasonKind`] into one without a message.
///
/// ```
/// use ramus_scope::{Reason, ReasonKind};
///
/// let reason = Reason::from("lost the race");
/// assert_eq!(reason.kind(), ReasonKind::User);
/// assert_eq!(reason.to_string(), "cancelled: lost the race");
/// assert_eq!(Reason::from(ReasonKind::Shutdown).to_string(), "cancelled: shutdown");
/// ```
///
/// Displayed with `{:#}` it also says where it came from: `cancelled: lost the race at src/race.rs:12 in root/request`.
#[derive(Clone)]
pub struct Reason(Arc<Parts>);

#[derive(Clone)]
struct Parts {
    kind: ReasonKind,
    message: Option<Cow<'static, str>>,
    site: Option<&'static Location<'static>>,
    path: Option<Arc<ScopePath>>,
    origin: Option<Reason>,
}

impl Reason {
    fn build(kind: ReasonKind, message: Option<Cow<'static, str>>) -> Reason {
        Reason(Arc::new(Parts { kind, message, site: None, path: None, origin: None }))
    }

    /// The kind of the reason.
    ///
    /// ```
    /// use ramus_scope::{Reason, ReasonKind};
    ///
    /// assert_eq!(Reason::from(ReasonKind::Deadline).kind(), ReasonKind::Deadline);
    /// ```
    pub fn kind(&self) -> ReasonKind {
        self.0.kind
    }

    /// The message that was given with it.
    ///
    /// ```
    /// assert_eq!(ramus_scope::Reason::from("enough").message(), Some("enough"));
    /// ```
    pub fn message(&self) -> Option<&str> {
        self.0.message.as_deref()
    }

    /// Where in the source the cancel was called. For a cancel that nobody called it is where the thing behind it was set up: the
    /// deadline, the shield or the time-out whose time is up, the child of `spawn_try` that failed, else the scope.
    ///
    /// ```
    /// # fn look(reason: &ramus_scope::Reason) {
    /// if let Some(site) = reason.site() {
    ///     eprintln!("{reason}, at {site}");
    /// }
    /// # }
    /// ```
    pub fn site(&self) -> Option<&'static Location<'static>> {
        self.0.site
    }

    /// The name of the scope the cancel started from, if it has one.
    pub fn scope(&self) -> Option<&str> {
        self.path().scopes().last()?.name()
    }

    /// The scopes from the outermost one to the one the cancel started from.
    ///
    /// ```
    /// # fn look(reason: &ramus_scope::Reason) {
    /// eprintln!("{reason}, in {}", reason.path()); // "cancelled: shutdown, in root/server/request"
    /// # }
    /// ```
    pub fn path(&self) -> &ScopePath {
        self.0.path.as_deref().unwrap_or(&NOWHERE)
    }

    /// The reason that the enclosing scope was cancelled for, if this one came from there ([`ReasonKind::Parent`]); else
    /// this reason.
    ///
    /// ```
    /// # fn look(reason: &ramus_scope::Reason) {
    /// if reason.origin().kind() == ramus_scope::ReasonKind::ClientGone {
    ///     eprintln!("nobody waits for the answer any more");
    /// }
    /// # }
    /// ```
    pub fn origin(&self) -> &Reason {
        self.0.origin.as_ref().unwrap_or(self)
    }

    /// The reason as a scope below sees it.
    pub(crate) fn inherited(&self) -> Reason {
        if self.kind() == ReasonKind::Parent {
            return self.clone();
        }
        let parts = Parts { kind: ReasonKind::Parent, origin: Some(self.clone()), ..(*self.0).clone() };
        Reason(Arc::new(parts))
    }

    /// Fills in where it came from, unless that is known already.
    pub(crate) fn at(mut self, site: &'static Location<'static>, scope: Option<&Node>) -> Reason {
        if self.0.site.is_none() {
            let parts = Arc::make_mut(&mut self.0);
            parts.site = Some(site);
            parts.path = scope.map(|node| Arc::new(ScopePath::to(node)));
        }
        self
    }
}

impl From<ReasonKind> for Reason {
    fn from(kind: ReasonKind) -> Reason {
        Reason::build(kind, None)
    }
}

impl From<&'static str> for Reason {
    fn from(message: &'static str) -> Reason {
        Reason::build(ReasonKind::User, Some(Cow::Borrowed(message)))
    }
}

impl From<String> for Reason {
    fn from(message: String) -> Reason {
        Reason::build(ReasonKind::User, Some(Cow::Owned(message)))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.message {
            Some(message) => write!(f, "cancelled: {message}")?,
            None => write!(f, "cancelled: {}", self.origin().kind().as_str().replace('_', " "))?,
        }
        if !f.alternate() {
            return Ok(());
        }
        if let Some(site) = self.site() {
            write!(f, " at {}:{}", site.file(), site.line())?;
        }
        if !self.path().scopes().is_empty() {
            write!(f, " in {}", self.path())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reason")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("site", &self.0.site.map(ToString::to_string))
            .field("path", &self.path().to_string())
            .finish()
    }
}
