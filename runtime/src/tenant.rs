//! What belongs to one generation of a pool: the root scope and everything with a name.

use std::sync::Arc as StdArc;
use std::task::{Context as TaskContext, Wake, Waker};
use std::time::Instant;

use ramus_scope::Root;

use crate::background::Backgrounds;
use crate::blocking;
use crate::context;
use crate::handle::Handle;
use crate::pool::{Phase, Pool};
use crate::scope::ScopeHandle;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Mutex, global};
use crate::task::Id;

global! {
    /// When this process began to count milliseconds.
    static EPOCH: Mutex<Option<Instant>> = Mutex::new(None);
}

global! {
    /// Serial numbers of tasks that were given out.
    static SERIALS: AtomicU64 = AtomicU64::new(0);
}

/// The instant that task ids count from.
pub(crate) fn epoch() -> Instant {
    *EPOCH.lock().get_or_insert_with(Instant::now)
}

/// Milliseconds from `epoch` to `now`.
pub(crate) fn milliseconds(epoch: Instant, now: Instant) -> u64 {
    u64::try_from(now.saturating_duration_since(epoch).as_millis()).unwrap_or(u64::MAX)
}

/// The first of `many` fresh serial numbers.
pub(crate) fn serials(many: u64) -> u64 {
    // Ordering: [tenant:N1] Relaxed: only the numbers must differ.
    SERIALS.fetch_add(many, Ordering::Relaxed)
}

/// A task id for a spawn from a thread that is no worker.
pub(crate) fn outside_id() -> Id {
    Id::new(milliseconds(epoch(), context::now()), serials(1))
}

/// One runtime, from its start to its end.
pub(crate) struct Tenant {
    generation: u64,
    name: String,
    root: Root<Handle>,
    backgrounds: Backgrounds,
    blocking: blocking::Pool,
    drained: Waker,
}

/// The last member of the root scope ended: a worker finds out that it may leave.
struct Drained(&'static Pool);

impl Wake for Drained {
    fn wake(self: StdArc<Self>) {
        self.0.unpark_all();
    }
}

impl Tenant {
    #[track_caller]
    pub(crate) fn new(pool: &'static Pool, name: String, blocking: blocking::Pool) -> Self {
        let generation = pool.next_generation();
        let root = Root::outermost(Handle::new(pool, generation), name.clone());
        Self {
            generation,
            name,
            root,
            backgrounds: Backgrounds::new(),
            blocking,
            drained: Waker::from(StdArc::new(Drained(pool))),
        }
    }

    /// The time that the ages of its tasks are counted to.
    pub(crate) fn now_ms(&self) -> u64 {
        milliseconds(epoch(), self.root().host().pool().clock().now())
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn handle(&self, pool: &'static Pool) -> Handle {
        Handle::new(pool, self.generation)
    }

    pub(crate) fn root(&self) -> &ScopeHandle {
        self.root.handle()
    }

    /// The threads for blocking jobs.
    pub(crate) fn blocking(&self) -> &blocking::Pool {
        &self.blocking
    }

    /// The named scopes below the root.
    pub(crate) fn backgrounds(&self) -> &Backgrounds {
        &self.backgrounds
    }

    /// No member is admitted any more once the last one has ended.
    pub(crate) fn close(&self) {
        self.backgrounds.close();
        self.root.close();
    }

    /// While closing: lets the workers leave if no member is left, else sees to it that they look again.
    pub(crate) fn check_drained(&self, pool: &'static Pool) {
        let mut cx = TaskContext::from_waker(&self.drained);
        if self.root.poll_drained(&mut cx).is_ready() {
            pool.advance(Phase::Leaving);
        }
    }
}
