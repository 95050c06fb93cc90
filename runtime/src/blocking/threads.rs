//! The threads of the blocking pool: started when a job needs one, ended when idle.

use std::fmt;
use std::io;
// Shared with threads of the system, which no model has: the counter itself needs no model.
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::jobs::{Jobs, Place, Push};
use super::unattended::UnattendedJobs;
use crate::task::contain::contain;
use crate::tree::TreeEntry;

/// A job in the queue. One that is taken out of it by its own task is dropped.
pub(crate) trait Work: Send {
    /// Runs it on this thread.
    fn run(self: Box<Self>);

    /// It will not run.
    fn refuse(self: Box<Self>, why: &str);
}

/// How many threads there may be, and how long they wait for work.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Threads at most.
    pub(crate) max_threads: usize,
    /// How long an idle thread stays.
    pub(crate) keep_alive: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { max_threads: 512, keep_alive: Duration::from_secs(10) }
    }
}

impl Settings {
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] for a pool that could never run a job.
    pub(crate) fn check(&self) -> io::Result<()> {
        if self.max_threads == 0 {
            let text = "max_blocking_threads(0): blocking jobs need at least one thread";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        Ok(())
    }
}

/// The blocking pool of one runtime. It has no thread before its first job.
///
/// When it is dropped its idle threads end, and the others after their job.
#[derive(Debug)]
pub(crate) struct Pool {
    threads: Arc<Threads>,
}

impl Pool {
    pub(crate) fn new(settings: Settings, stack_size: Option<usize>) -> Pool {
        let jobs = Jobs::new(settings.max_threads);
        let unattended = Arc::new(UnattendedJobs::new());
        Pool { threads: Arc::new(Threads { jobs, keep_alive: settings.keep_alive, stack_size, unattended }) }
    }

    pub(crate) fn threads(&self) -> Arc<Threads> {
        Arc::clone(&self.threads)
    }

    /// The lines of the unattended jobs in the tree.
    pub(crate) fn unattended(&self, now_ms: u64) -> Vec<TreeEntry> {
        self.threads.unattended.entries(now_ms)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        refuse(self.threads.jobs.close(), "the runtime was shut down before it began");
    }
}

/// What the pool, its threads and the tasks that wait for jobs share.
pub(crate) struct Threads {
    pub(crate) jobs: Jobs<Box<dyn Work>>,
    keep_alive: Duration,
    stack_size: Option<usize>,
    unattended: Arc<UnattendedJobs>,
}

impl Threads {
    /// The jobs that run on without their scope.
    pub(crate) fn unattended(&self) -> &Arc<UnattendedJobs> {
        &self.unattended
    }

    /// Queues `job` and starts a thread if one is needed. `None`: the job was refused, which it has been told.
    ///
    /// If a thread is needed and the system refuses it, the job waits for the threads that exist; without any, it is
    /// refused.
    pub(crate) fn submit(self: &Arc<Self>, job: Box<dyn Work>) -> Option<Place> {
        match self.jobs.push(job) {
            Push::Queued(place) => Some(place),
            Push::Start(place) => {
                if let Err(error) = self.start() {
                    refuse(self.jobs.not_started(), &format!("no thread could be started for it: {error}"));
                }
                Some(place)
            }
            Push::Closed(job) => {
                refuse(vec![job], "the runtime was shut down");
                None
            }
        }
    }

    /// Takes a job back that has not started.
    pub(crate) fn remove(&self, place: Place) -> Option<Box<dyn Work>> {
        self.jobs.remove(place)
    }

    /// Queued jobs, threads, and those of them that wait or start.
    #[cfg(test)]
    pub(crate) fn counts(&self) -> (usize, usize, usize) {
        self.jobs.counts()
    }

    fn start(self: &Arc<Self>) -> io::Result<()> {
        let mut thread = thread::Builder::new().name("ramus-blocking".into());
        if let Some(bytes) = self.stack_size {
            thread = thread.stack_size(bytes);
        }
        let threads = Arc::clone(self);
        thread.spawn(move || threads.work()).map(drop)
    }

    fn work(&self) {
        let mut new = true;
        while let Some(job) = self.jobs.next(new, self.keep_alive) {
            new = false;
            // A job keeps its panic for its task. What still arrives here was thrown by a waker or a destructor; the
            // panic hook has reported it, and the thread lives on for the others.
            contain(|| job.run());
        }
    }
}

fn refuse(jobs: Vec<Box<dyn Work>>, why: &str) {
    for job in jobs {
        // The destructor of what a job captured must not cost the others their answer.
        contain(|| job.refuse(why));
    }
}

impl fmt::Debug for Threads {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (queued, live, coming) = self.jobs.counts();
        let mut out = out.debug_struct("Threads");
        out.field("queued", &queued).field("live", &live).field("coming", &coming).finish()
    }
}
