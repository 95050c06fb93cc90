//! What is said of a simulation in which nothing will ever happen again.

use std::collections::HashMap;
use std::fmt;
use std::panic::Location;
use std::time::Duration;

use super::machine::Machine;
use crate::task::Id;
use crate::tree::TreeEntry;

/// Nothing can run, no timer is pending and no socket waits, yet the future given to `block_on` is not ready: every task
/// waits for another one, or for something that nobody will do.
///
/// Or somebody goes on and on at one instant: see [`Builder::most_turns`](super::Builder::most_turns).
///
/// Its text names every task that is left, where it was spawned, in which scope it is, whose handle it waits for, and the
/// circles of tasks that wait for each other.
///
/// ```
/// use ramus::testing::Simulation;
///
/// let stuck = Simulation::new(1).try_block_on(async { ramus::spawn(std::future::pending::<()>()).await }).unwrap_err();
/// assert_eq!(stuck.tasks().len(), 1);
/// assert!(stuck.to_string().contains("block_on waits for task 1"));
/// ```
#[derive(Clone, Debug)]
pub struct Stuck {
    // Boxed, because an error is moved about more often than it is read.
    report: Box<Report>,
}

#[derive(Clone, Debug)]
struct Report {
    seed: u64,
    at: Duration,
    /// So many turns at one instant, if that is what is wrong.
    spun: Option<u64>,
    main: Blocked,
    tasks: Vec<Blocked>,
    cycles: Vec<Vec<usize>>,
}

/// A task that waits in a [`Stuck`] simulation, or the future given to `block_on`.
///
/// ```
/// use ramus::testing::Simulation;
///
/// let stuck = Simulation::new(0).try_block_on(async { ramus::spawn(std::future::pending::<()>()).await }).unwrap_err();
/// let task = &stuck.tasks()[0];
/// assert_eq!((task.number(), task.state()), (1, "suspended"));
/// assert_eq!(stuck.block_on().waits_for(), [1]);
/// ```
#[derive(Clone, Debug)]
pub struct Blocked {
    kind: &'static str,
    number: usize,
    id: Option<Id>,
    name: Option<String>,
    site: Option<&'static Location<'static>>,
    scope: String,
    state: &'static str,
    joins: Vec<usize>,
}

impl Blocked {
    /// The number of the task in this simulation: from 1, in the order in which tasks were spawned; 0 for the future given
    /// to `block_on`. Unlike an id it is the same whenever the seed is.
    pub fn number(&self) -> usize {
        self.number
    }

    /// The id of the task; none for the future given to `block_on`.
    pub fn id(&self) -> Option<Id> {
        self.id
    }

    /// Its name, if it was given one.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Where it was spawned.
    pub fn site(&self) -> Option<&'static Location<'static>> {
        self.site
    }

    /// The scopes that it is in, from the root on.
    pub fn scope(&self) -> &str {
        &self.scope
    }

    /// What it was doing: one word, mostly `suspended`.
    pub fn state(&self) -> &'static str {
        self.state
    }

    /// The numbers of the tasks whose handles it waits for.
    pub fn waits_for(&self) -> &[usize] {
        &self.joins
    }
}

impl Stuck {
    pub(super) fn new(machine: &Machine, seed: u64, site: &'static Location<'static>, entries: &[TreeEntry]) -> Self {
        let number = |id: &Id| machine.number(*id).unwrap_or_default();
        let numbers = |ids: Vec<Id>| ids.iter().map(number).collect::<Vec<_>>();
        let mut scopes: Vec<(usize, String)> = Vec::new();
        let mut tasks = Vec::new();
        for entry in entries {
            while scopes.last().is_some_and(|(depth, _)| *depth >= entry.depth) {
                scopes.pop();
            }
            match entry.kind {
                "scope" => scopes.push((entry.depth, describe_scope(entry))),
                "task" | "job" => tasks.push(Blocked {
                    kind: entry.kind,
                    number: entry.id.as_ref().map_or(0, number),
                    id: entry.id,
                    name: entry.name.clone(),
                    site: entry.site,
                    scope: scopes.iter().map(|(_, scope)| scope.as_str()).collect::<Vec<_>>().join(" > "),
                    state: entry.state,
                    joins: entry.id.map_or_else(Vec::new, |id| numbers(machine.joins().of(Some(id)))),
                }),
                _ => {}
            }
        }
        tasks.sort_by_key(|task| task.number);
        let main = Blocked {
            kind: "block_on",
            number: 0,
            id: None,
            name: None,
            site: Some(site),
            scope: entries.first().map(describe_scope).unwrap_or_default(),
            state: "suspended",
            joins: numbers(machine.joins().of(None)),
        };
        let cycles = machine.joins().cycles().into_iter().map(numbers).collect();
        Self {
            report: Box::new(Report {
                seed,
                at: machine.elapsed(),
                spun: machine.spins().then(|| machine.turns()),
                main,
                tasks,
                cycles,
            }),
        }
    }

    /// The tasks that are left, in the order in which they were spawned.
    pub fn tasks(&self) -> &[Blocked] {
        &self.report.tasks
    }

    /// The future given to `block_on`.
    pub fn block_on(&self) -> &Blocked {
        &self.report.main
    }

    /// The numbers of tasks that wait for each other: each for the next one, the last one for the first.
    pub fn cycles(&self) -> &[Vec<usize>] {
        &self.report.cycles
    }

    /// True if somebody went on and on while the time stood still, instead of everybody waiting.
    pub fn spins(&self) -> bool {
        self.report.spun.is_some()
    }

    /// The seed of the simulation.
    pub fn seed(&self) -> u64 {
        self.report.seed
    }
}

/// How a task is called in a sentence.
fn label(sites: &HashMap<usize, &'static Location<'static>>, number: usize) -> String {
    match sites.get(&number) {
        Some(site) => format!("task {number} ({site})"),
        None => format!("task {number}"),
    }
}

fn describe_scope(entry: &TreeEntry) -> String {
    match (&entry.name, entry.site) {
        (Some(name), _) => format!("{name:?}"),
        (None, Some(site)) => format!("scope ({site})"),
        (None, None) => String::from("scope"),
    }
}

impl fmt::Display for Stuck {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sites = self.report.tasks.iter().filter_map(|task| Some((task.number, task.site?))).collect();
        write!(out, "the simulation is stuck after {:?} (seed {}): ", self.report.at, self.report.seed)?;
        match self.report.spun {
            None => writeln!(out, "nothing can run, no timer is pending, no socket waits")?,
            Some(turns) => writeln!(out, "{turns} turns at one instant, for which the time stands still")?,
        }
        for blocked in std::iter::once(&self.report.main).chain(&self.report.tasks) {
            match blocked.number {
                0 => write!(out, "  {}", blocked.kind)?,
                number => write!(out, "  {} {number}", blocked.kind)?,
            }
            if let Some(name) = &blocked.name {
                write!(out, " {name:?}")?;
            }
            if !blocked.joins.is_empty() {
                let joins: Vec<_> = blocked.joins.iter().map(|number| label(&sites, *number)).collect();
                write!(out, " waits for {};", joins.join(" and "))?;
            }
            write!(out, " {} in {}", blocked.state, blocked.scope)?;
            match blocked.site {
                Some(site) => writeln!(out, " ({site})")?,
                None => writeln!(out)?,
            }
        }
        for cycle in &self.report.cycles {
            let first = cycle.first().copied().unwrap_or_default();
            write!(out, "  {} waits for ", label(&sites, first))?;
            for number in &cycle[1..] {
                write!(out, "{}, which waits for ", label(&sites, *number))?;
            }
            writeln!(out, "{}: none of them will ever end", label(&sites, first))?;
        }
        Ok(())
    }
}

impl std::error::Error for Stuck {}
