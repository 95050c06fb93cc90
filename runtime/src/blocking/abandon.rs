//! Jobs that their scope does not wait for any more, because whoever spawned them chose so.
//!
//! An abandoned job is a member of nothing: its handle has resolved, its scope may have ended, and what it returns or throws
//! is dropped on its thread. What is left of it is an entry in this list, until it ends: so the tree shows it and a shutdown
//! names it.

use std::collections::BTreeMap;
use std::panic::Location;
use std::time::Duration;

use crate::sync::Mutex;
use crate::task::{Id, TaskInfo};
use crate::tree::TreeEntry;

/// What somebody chose for a job that has begun when it is cut.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Abandon {
    /// How long after the cut the job may still end by itself.
    pub(crate) grace: Duration,
}

/// One of them.
#[derive(Clone, Debug)]
pub(crate) struct Abandoned {
    pub(crate) name: Option<String>,
    pub(crate) site: Option<&'static Location<'static>>,
    pub(crate) id: Option<Id>,
}

impl Abandoned {
    /// The job of `task`.
    pub(crate) fn of(task: Option<TaskInfo>) -> Self {
        Self {
            name: task.as_ref().and_then(|task| task.name().map(str::to_owned)),
            site: task.as_ref().map(TaskInfo::location),
            id: task.as_ref().map(TaskInfo::id),
        }
    }

    /// Its line in the tree.
    fn entry(&self, now_ms: u64) -> TreeEntry {
        TreeEntry {
            depth: 1,
            kind: "job",
            name: self.name.clone(),
            site: self.site,
            state: "abandoned",
            id: self.id,
            age: self.id.map(|id| id.age(now_ms)),
        }
    }
}

#[derive(Default)]
struct Listed {
    jobs: BTreeMap<u64, Abandoned>,
    next: u64,
}

/// The abandoned jobs of one runtime.
pub(crate) struct AbandonedJobs {
    listed: Mutex<Listed>,
}

impl AbandonedJobs {
    pub(crate) fn new() -> Self {
        Self { listed: Mutex::new(Listed::default()) }
    }

    /// Lists a job, under a number.
    pub(crate) fn insert(&self, job: Abandoned) -> u64 {
        let mut listed = self.listed.lock();
        let number = listed.next;
        listed.next += 1;
        listed.jobs.insert(number, job);
        number
    }

    /// It has ended, or it was not abandoned after all.
    pub(crate) fn remove(&self, number: u64) {
        let ended = self.listed.lock().jobs.remove(&number);
        drop(ended);
    }

    /// Their lines in the tree.
    pub(crate) fn entries(&self, now_ms: u64) -> Vec<TreeEntry> {
        self.listed.lock().jobs.values().map(|job| job.entry(now_ms)).collect()
    }
}

/// Says that a job runs on without its scope.
pub(crate) fn report_abandoned(job: &Abandoned) {
    let name = job.name.as_deref().map(|name| format!(" {name:?}")).unwrap_or_default();
    let site = job.site.map(|site| format!(" ({site})")).unwrap_or_default();
    eprintln!("ramus: a blocking job was abandoned by its cancelled scope and runs on:{name}{site}");
}
