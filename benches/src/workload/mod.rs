//! The workloads, each once for all peers. Each returns the time that counts and does nothing else in it.

mod cancel;
mod scope;
mod spawn;
mod timer;
mod wake;

use std::time::Duration;

pub use cancel::{CancelParked, CancelTree};
pub use scope::{Groups, HotGroup, Requests};
pub use spawn::{Chain, Fib, Outside, SpawnBare, SpawnJoin, SpawnYieldJoin};
pub use timer::{RegisterSleeps, Timeouts};
pub use wake::{PingPong, Yields};

use crate::Peer;

/// Something to be timed on a peer.
pub trait Workload {
    /// The name in tables.
    fn name(&self) -> &'static str;

    /// How many operations one run does; the time of a run is shared out among them.
    fn operations(&self) -> usize;

    /// Runs it once.
    fn time<P: Peer>(&self, peer: P) -> Duration;
}
