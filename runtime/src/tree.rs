//! The tree of scopes and tasks as rows and as text: what the scope crate knows of the shape, joined with what the cells
//! know of the tasks.

use std::fmt;
use std::panic::Location;
use std::time::Duration;

use ramus_scope::{TreeKind, TreeRow};

use crate::context;
use crate::task::{self, Id, State, TaskInfo};
use crate::tenant::{self, Tenant};

/// One line of the tree.
///
/// ```
/// let runtime = ramus::Runtime::new()?;
/// for entry in runtime.tree().entries() {
///     println!("{:1$}{2} {3}", "", 2 * entry.depth, entry.kind, entry.state);
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TreeEntry {
    /// How deep it stands below the root scope, which has depth 0.
    pub depth: usize,
    /// `scope`, `shield`, `catch`, `timeout`, `finalizer`, `task` or `job`.
    pub kind: &'static str,
    /// Its name, if it was given one.
    pub name: Option<String>,
    /// Where in the source it was opened or spawned.
    pub site: Option<&'static Location<'static>>,
    /// What it was doing.
    pub state: &'static str,
    /// The number of the task.
    pub id: Option<Id>,
    /// How long ago it was spawned, in whole milliseconds.
    pub age: Option<Duration>,
}

impl fmt::Display for TreeEntry {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.kind)?;
        if let Some(name) = &self.name {
            write!(out, " {name:?}")?;
        }
        if let Some(id) = self.id {
            write!(out, " #{id}")?;
        }
        write!(out, " {}", self.state)?;
        if let Some(age) = self.age {
            write!(out, ", {age:?} old")?;
        }
        if let Some(site) = self.site {
            write!(out, " ({site})")?;
        }
        Ok(())
    }
}

/// The tree at one moment. Its `Display` is indented text.
///
/// ```
/// let runtime = ramus::Builder::new_multi_thread().name("demo").build()?;
/// let tree = runtime.tree();
/// assert_eq!(tree.entries()[0].kind, "scope");
/// assert_eq!(tree.entries()[0].name.as_deref(), Some("demo"));
/// println!("{tree}");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct TreeSnapshot {
    entries: Vec<TreeEntry>,
}

impl TreeSnapshot {
    pub(crate) fn of(tenant: &Tenant) -> Self {
        let now_ms = tenant.now_ms();
        let mut entries: Vec<TreeEntry> = tenant.root().tree().into_iter().map(|row| entry(row, now_ms)).collect();
        entries.extend(tenant.blocking().unattended(now_ms));
        Self { entries }
    }

    /// The rows: parents before what is below them.
    pub fn entries(&self) -> &[TreeEntry] {
        &self.entries
    }
}

fn entry(row: TreeRow, now_ms: u64) -> TreeEntry {
    let task = row.waker.as_ref().and_then(|waker| task::inspect(waker, now_ms));
    let (kind, state) = match row.kind {
        TreeKind::Scope => ("scope", row.state),
        TreeKind::Shield => ("shield", row.state),
        TreeKind::Catch => ("catch", row.state),
        TreeKind::Timeout => ("timeout", row.state),
        TreeKind::Finalizer => ("finalizer", row.state),
        // No task of ours: the future of a `block_on`, which is polled by the thread that waits for it.
        TreeKind::Task if task.is_none() => ("block_on", row.state),
        TreeKind::Task if task.as_ref().is_some_and(TaskInfo::is_job) => ("job", row.state),
        TreeKind::Task => ("task", task.as_ref().map_or(row.state, |task| task.state().as_str())),
        TreeKind::Job => ("job", row.state),
        _ => ("other", row.state),
    };
    let of_task = task.as_ref().filter(|_| matches!(kind, "task" | "job"));
    TreeEntry {
        depth: row.depth,
        kind,
        name: row.name.or_else(|| of_task.and_then(name_of)),
        site: row.site.or_else(|| of_task.map(TaskInfo::location)),
        state,
        id: of_task.map(TaskInfo::id),
        age: of_task.map(TaskInfo::age),
    }
}

/// The tasks that were suspended before a shutdown cancelled them. A cancel empties the lists of the scopes, so a task
/// that does not react is known from here only.
pub(crate) struct Suspects(Vec<TreeRow>);

impl Suspects {
    pub(crate) fn of(tenant: &Tenant) -> Self {
        let mut rows = tenant.root().tree();
        rows.retain(|row| row.kind == TreeKind::Task && row.waker.is_some());
        Self(rows)
    }

    /// Those that have not ended, and what the tree shows now.
    pub(crate) fn stragglers(self, tenant: &Tenant) -> Vec<Straggler> {
        let now_ms = tenant.now_ms();
        let mut left = entries_left(tenant);
        for row in self.0 {
            let suspect = entry(row, now_ms);
            let known = suspect.id.is_some() && left.iter().any(|entry| entry.id == suspect.id);
            if !known && suspect.state != State::Done.as_str() {
                left.push(suspect);
            }
        }
        left.into_iter().map(Straggler).collect()
    }
}

fn entries_left(tenant: &Tenant) -> Vec<TreeEntry> {
    let mut left = TreeSnapshot::of(tenant).entries;
    left.retain(|entry| matches!(entry.kind, "task" | "job" | "block_on"));
    left
}

/// The tasks and jobs that have not ended, as far as the tree shows them.
pub(crate) fn left(tenant: &Tenant) -> Vec<Straggler> {
    entries_left(tenant).into_iter().map(Straggler).collect()
}

/// The jobs that run on although their scopes have ended: nobody waits for them.
pub(crate) fn unattended(tenant: &Tenant) -> Vec<Straggler> {
    let now_ms = tenant.now_ms();
    tenant.blocking().unattended(now_ms).into_iter().map(Straggler).collect()
}

fn name_of(task: &TaskInfo) -> Option<String> {
    task.name().map(str::to_owned)
}

impl fmt::Display for TreeSnapshot {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for entry in &self.entries {
            writeln!(out, "{:indent$}{entry}", "", indent = 2 * entry.depth)?;
        }
        Ok(())
    }
}

/// A task or job that had not ended when the limit of a shutdown was over.
#[derive(Clone, Debug)]
pub struct Straggler(TreeEntry);

impl Straggler {
    /// What is known of it.
    pub fn entry(&self) -> &TreeEntry {
        &self.0
    }
}

impl fmt::Display for Straggler {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// The task that is being polled on this thread; none outside of tasks, also in the future given to `block_on`.
///
/// ```
/// let runtime = ramus::Runtime::new()?;
/// let state = runtime.block_on(async {
///     ramus::spawn(async { ramus::task::current().unwrap().state() }).await.unwrap()
/// });
/// assert_eq!(state, ramus::task::State::Running);
/// assert!(ramus::task::current().is_none());
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn current() -> Option<TaskInfo> {
    context::polled_task(tenant::milliseconds(tenant::epoch(), context::now()))
}

/// The tasks of the calling thread's runtime that have suspended at least once and not ended, and jobs' tasks; in the
/// order of the tree. Empty outside of a runtime.
///
/// ```
/// let runtime = ramus::Runtime::new()?;
/// let guard = runtime.enter();
/// assert!(ramus::task::all().is_empty());
/// # drop(guard);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn all() -> Vec<TreeEntry> {
    let Ok(tenant) = context::current().and_then(|handle| handle.tenant()) else {
        return Vec::new();
    };
    let tree = TreeSnapshot::of(&tenant);
    tree.entries.into_iter().filter(|entry| matches!(entry.kind, "task" | "job")).collect()
}
