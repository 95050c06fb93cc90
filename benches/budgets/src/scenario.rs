//! What a scenario is, and the list of them.

use ramus::{Builder, Runtime};

use crate::{alone, together};

/// Operations in one round of a scenario.
pub(crate) const ROUND: usize = 64;

/// How many threads take part.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One worker and nobody else: the counts are exact.
    Alone,
    /// The same, waiting for the clock: the slower the machine, the more often the worker looks.
    Timed,
    /// Two threads that take turns: the counts depend a little on who comes first.
    Together,
    /// Two threads that race: the counts depend much on who comes first, and a budget is a bound.
    Raced,
}

/// One operation, done again and again.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    workers: usize,
    /// Rounds that a counting build makes; the other measurement has twice as many.
    #[cfg_attr(not(ramus_count), expect(dead_code, reason = "counting builds read it"))]
    pub(crate) rounds: usize,
    /// Does that many rounds of [`ROUND`] operations.
    pub(crate) run: fn(&Runtime, usize),
}

impl Scenario {
    const fn alone(name: &'static str, run: fn(&Runtime, usize)) -> Scenario {
        Scenario { name, kind: Kind::Alone, workers: 1, rounds: 16, run }
    }

    const fn together(name: &'static str, run: fn(&Runtime, usize)) -> Scenario {
        Scenario { name, kind: Kind::Together, workers: 1, rounds: 2, run }
    }

    const fn raced(name: &'static str, run: fn(&Runtime, usize)) -> Scenario {
        Scenario { name, kind: Kind::Raced, workers: 2, rounds: 4, run }
    }

    const fn timed(name: &'static str, run: fn(&Runtime, usize)) -> Scenario {
        Scenario { name, kind: Kind::Timed, workers: 1, rounds: 2, run }
    }

    /// A runtime of the size that the scenario wants.
    pub(crate) fn runtime(&self) -> Runtime {
        Builder::new_multi_thread().worker_threads(self.workers).build().expect("a runtime starts")
    }
}

/// All of them; `benches/budgets.toml` has a table for each.
pub(crate) const ALL: &[Scenario] = &[
    Scenario::alone("spawn", alone::spawn),
    Scenario::alone("spawn_join", alone::spawn_join),
    Scenario::alone("spawn_eager", alone::spawn_eager),
    Scenario::alone("yield", alone::yield_now),
    Scenario::alone("wake", alone::wake),
    Scenario::alone("timer", alone::timer),
    Scenario::timed("timer_fire", alone::timer_fire),
    Scenario::alone("timeout_ready", alone::timeout_ready),
    Scenario::alone("timeout_pending", alone::timeout_pending),
    Scenario::alone("io_event", alone::io_event),
    Scenario::alone("scope", alone::scope_empty),
    Scenario::alone("scope_of_8", alone::scope_of_8),
    Scenario::alone("scope_deadline", alone::scope_deadline),
    Scenario::alone("cancel", alone::cancel),
    Scenario::together("wake_outside", together::wake_outside),
    Scenario::together("wake_parked", together::wake_parked),
    Scenario::together("spawn_outside", together::spawn_outside),
    Scenario::raced("steal", together::steal),
];
