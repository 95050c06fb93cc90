//! Running jobs that no task waits for any more: the tree shows them and a shutdown names them, until they end.
//!
//! The task of a job was dropped, and the scope still waits for the job. Or the job was abandoned, because whoever spawned
//! it chose so: then it is a member of nothing, its scope may have ended, and what it returns or throws is dropped on its
//! thread.

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

/// One of them, as it is listed.
#[derive(Clone, Debug)]
pub(crate) struct Unattended {
    pub(crate) name: Option<String>,
    pub(crate) site: Option<&'static Location<'static>>,
    pub(crate) id: Option<Id>,
    state: &'static str,
}

impl Unattended {
    /// The job of `task`.
    pub(crate) fn of(task: Option<TaskInfo>) -> Self {
        Self {
            name: task.as_ref().and_then(|task| task.name().map(str::to_owned)),
            site: task.as_ref().map(TaskInfo::location),
            id: task.as_ref().map(TaskInfo::id),
            state: "running, nobody waits for it",
        }
    }

    pub(crate) fn as_abandoned(&self) -> Self {
        Self { state: "abandoned", ..self.clone() }
    }

    /// Its line in the tree.
    fn entry(&self, now_ms: u64) -> TreeEntry {
        TreeEntry {
            depth: 1,
            kind: "job",
            name: self.name.clone(),
            site: self.site,
            state: self.state,
            id: self.id,
            age: self.id.map(|id| id.age(now_ms)),
        }
    }
}

#[derive(Default)]
struct Listed {
    jobs: BTreeMap<u64, Unattended>,
    next: u64,
}

/// Those of one runtime.
pub(crate) struct UnattendedJobs {
    listed: Mutex<Listed>,
}

impl UnattendedJobs {
    pub(crate) fn new() -> Self {
        Self { listed: Mutex::new(Listed::default()) }
    }

    /// Lists a job, under a number.
    pub(crate) fn insert(&self, job: Unattended) -> u64 {
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
