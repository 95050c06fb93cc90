//! Stops: soft at once, hard after a grace, a kill after that.
//!
//! Several stops compose without anybody knowing what time it is: each that counts has an alarm of its own, the earliest one
//! fires first, and those that come later find the scope cancelled, or killed, already. A stop counts unless an earlier one
//! was as short, so a later stop with a longer grace changes nothing (D5).

use std::panic::Location;
use std::sync::Weak;
use std::task::{Wake, Waker};
use std::time::Duration;

use crate::host::AnyAlarm;
use crate::reason::{Reason, ReasonKind};
use crate::sync::Arc;
use crate::tree::Node;
use crate::walk;

/// What a stop turns into.
#[derive(Clone, Copy)]
enum Stage {
    Cancel,
    Kill,
}

/// The alarms of one stage.
#[derive(Default)]
struct Alarms {
    shortest: Option<Duration>,
    set: Vec<AnyAlarm>,
}

/// The stops of a scope that have not taken effect yet.
#[derive(Default)]
pub(crate) struct Stops {
    cancel: Alarms,
    kill: Alarms,
}

impl Stops {
    fn of(&mut self, stage: Stage) -> &mut Alarms {
        match stage {
            Stage::Cancel => &mut self.cancel,
            Stage::Kill => &mut self.kill,
        }
    }
}

impl Node {
    /// Soft stop now, hard cancel after `grace`, kill `kill_after` later. `false`: the scope has ended, or all of it has
    /// happened.
    pub(crate) fn stop(
        self: &Arc<Node>,
        grace: Duration,
        kill_after: Option<Duration>,
        site: &'static Location<'static>,
    ) -> bool {
        if self.has_ended(&self.links.lock()) {
            return false;
        }
        let state = self.state.load();
        let kill_after = kill_after.filter(|_| !state.is_killed());
        if state.is_cancelled() && kill_after.is_none() {
            return false;
        }
        walk::stop(self);
        if !state.is_cancelled() {
            self.turn_after(Stage::Cancel, grace, site);
        }
        if let Some(kill_after) = kill_after {
            self.turn_after(Stage::Kill, grace.saturating_add(kill_after), site);
        }
        true
    }

    fn turn_after(self: &Arc<Node>, stage: Stage, after: Duration, site: &'static Location<'static>) {
        if after.is_zero() {
            return self.turn(stage, site);
        }
        {
            let mut links = self.links.lock();
            if self.has_ended(&links) {
                return;
            }
            let shortest = &mut links.stops.get_or_insert_default().of(stage).shortest;
            if shortest.is_some_and(|shortest| shortest <= after) {
                return;
            }
            *shortest = Some(after);
        }
        let Some(host) = self.host() else { return };
        let alarm = host.wake_after(after, Waker::from(Arc::new(Turn { node: Arc::downgrade(self), stage, site })));
        let mut links = self.links.lock();
        let surplus = match &mut links.stops {
            Some(stops) => {
                stops.of(stage).set.push(alarm);
                None
            }
            // The scope has ended meanwhile.
            None => Some(alarm),
        };
        drop(links);
        drop(surplus);
    }

    fn turn(self: &Arc<Node>, stage: Stage, site: &'static Location<'static>) {
        let reason = || Reason::from(ReasonKind::Shutdown).at(site, Some(self));
        let state = self.state.load();
        match stage {
            Stage::Cancel if !state.is_cancelled() => walk::cancel(self, reason()),
            Stage::Kill if !state.is_killed() => walk::kill(self, reason()),
            Stage::Cancel | Stage::Kill => false,
        };
    }
}

/// The alarm of a stop.
struct Turn {
    node: Weak<Node>,
    stage: Stage,
    site: &'static Location<'static>,
}

impl Wake for Turn {
    fn wake(self: Arc<Self>) {
        if let Some(node) = self.node.upgrade() {
            node.turn(self.stage, self.site);
        }
    }
}
