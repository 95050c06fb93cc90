//! The deadline of a scope: set, moved, taken away, passed (D12).
//!
//! | state | `at` | `alarm` | `passed` | left by |
//! |---|---|---|---|---|
//! | none | – | – | no | a move |
//! | unarmed | there | – | no | the first suspension, a move |
//! | armed | there | there | no | a move, the alarm |
//! | passed | there | there | yes | never: it latches |
//!
//! The host's alarm may be on its way while the deadline moves. Both take the lock: an alarm that comes second finds another
//! number of moves and has nothing to say; a move that comes second finds the deadline passed.

use std::error::Error;
use std::fmt;
use std::panic::Location;
use std::sync::Weak;
use std::task::{Wake, Waker};
use std::time::Instant;

use crate::host::AnyAlarm;
use crate::reason::{Reason, ReasonKind};
use crate::sync::Arc;
use crate::tree::Node;
use crate::walk;

/// The deadline of a scope and its alarm. That is set when the scope first suspends, so a scope that does not costs no timer.
#[derive(Default)]
pub(crate) struct Deadline {
    at: Option<Instant>,
    alarm: Option<AnyAlarm>,
    moves: u32,
    passed: bool,
}

impl Deadline {
    pub(crate) fn new(at: Option<Instant>) -> Deadline {
        Deadline { at, ..Deadline::default() }
    }

    pub(crate) fn at(&self) -> Option<Instant> {
        self.at
    }

    pub(crate) fn take_alarm(&mut self) -> Option<AnyAlarm> {
        self.alarm.take()
    }
}

/// Why a deadline was not moved.
///
/// ```
/// # fn look(error: ramus_scope::DeadlineError) {
/// if error.is_elapsed() {
///     eprintln!("too late: the scope is being cancelled for it");
/// }
/// # }
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct DeadlineError {
    closed: bool,
}

impl DeadlineError {
    const CLOSED: DeadlineError = DeadlineError { closed: true };
    const ELAPSED: DeadlineError = DeadlineError { closed: false };

    /// The scope has ended.
    ///
    /// ```
    /// # fn look(error: ramus_scope::DeadlineError) {
    /// if error.is_closed() {
    ///     eprintln!("the scope has ended");
    /// }
    /// # }
    /// ```
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// The deadline has passed. That latches: it cannot be moved any more, and the scope is cancelled.
    pub fn is_elapsed(&self) -> bool {
        !self.closed
    }
}

impl fmt::Display for DeadlineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.closed { "the scope has ended" } else { "the deadline has passed" })
    }
}

impl fmt::Debug for DeadlineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeadlineError({self})")
    }
}

impl Error for DeadlineError {}

impl Node {
    /// Sets the alarm of the deadline that the scope was opened with, unless it was moved meanwhile.
    pub(crate) fn arm_deadline(self: &Arc<Node>) {
        let (at, moves) = match &self.links.lock().deadline {
            Deadline { at: Some(at), alarm: None, moves, passed: false } => (*at, *moves),
            Deadline { .. } => return,
        };
        self.arm(at, moves, self.site);
    }

    /// Moves the deadline, or takes it away.
    pub(crate) fn set_deadline(
        self: &Arc<Node>,
        at: Option<Instant>,
        site: &'static Location<'static>,
    ) -> Result<(), DeadlineError> {
        let mut links = self.links.lock();
        // Its finalizers are still to run, unless nobody is left to answer.
        if self.has_ended(&links) || links.drained && links.ownerless {
            return Err(DeadlineError::CLOSED);
        }
        if links.deadline.passed {
            return Err(DeadlineError::ELAPSED);
        }
        let moves = links.deadline.moves.wrapping_add(1);
        let older = std::mem::replace(&mut links.deadline, Deadline { moves, ..Deadline::new(at) });
        drop(links);
        drop(older);
        if let Some(at) = at {
            self.arm(at, moves, site);
        }
        Ok(())
    }

    fn arm(self: &Arc<Node>, at: Instant, moves: u32, site: &'static Location<'static>) {
        let Some(host) = self.host() else { return };
        let expiry = Waker::from(Arc::new(Expiry { node: Arc::downgrade(self), moves, site }));
        let alarm = host.wake_at(at, expiry);
        let mut links = self.links.lock();
        let surplus = if links.ended || links.deadline.moves != moves {
            Some(alarm)
        } else {
            links.deadline.alarm.replace(alarm)
        };
        drop(links);
        drop(surplus);
    }
}

/// The alarm of a deadline.
struct Expiry {
    node: Weak<Node>,
    moves: u32,
    site: &'static Location<'static>,
}

impl Wake for Expiry {
    fn wake(self: Arc<Self>) {
        let Some(node) = self.node.upgrade() else { return };
        let mut links = node.links.lock();
        if links.ended || links.deadline.moves != self.moves {
            return;
        }
        links.deadline.passed = true;
        drop(links);
        walk::cancel(&node, Reason::from(ReasonKind::Deadline).at(self.site, Some(&node)));
    }
}
