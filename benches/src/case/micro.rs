//! Workloads that are timed from inside, in nanoseconds per operation.

use super::{Case, Samples, Scale};
use crate::workload::Workload;
use crate::{Peer, WORKERS};

fn nanoseconds<P: Peer>(workload: &impl Workload, peer: P) -> f64 {
    workload.time(peer).as_nanos() as f64 / workload.operations() as f64
}

/// A workload as it is.
pub(super) struct Micro<W>(pub(super) W);

impl<W: Workload> Case for Micro<W> {
    fn run<P: Peer>(&self, start: impl Fn(usize) -> P, scale: Scale) -> Result<Samples, String> {
        let peer = start(WORKERS);
        Ok(Samples::collect(scale, |samples| samples.add("ns", nanoseconds(&self.0, peer))))
    }
}

/// What a workload costs more than another one of the same operations.
pub(super) struct Extra<W, V> {
    pub(super) whole: W,
    pub(super) plain: V,
}

impl<W: Workload, V: Workload> Case for Extra<W, V> {
    fn run<P: Peer>(&self, start: impl Fn(usize) -> P, scale: Scale) -> Result<Samples, String> {
        let peer = start(WORKERS);
        Ok(Samples::collect(scale, |samples| {
            let whole = nanoseconds(&self.whole, peer);
            samples.add("ns", whole);
            samples.add("extra_ns", whole - nanoseconds(&self.plain, peer));
        }))
    }
}

/// What a group adds to the same tasks without one.
pub(super) struct Added<W, V> {
    pub(super) whole: W,
    pub(super) bare: V,
}

impl<W: Workload, V: Workload> Case for Added<W, V> {
    fn run<P: Peer>(&self, start: impl Fn(usize) -> P, scale: Scale) -> Result<Samples, String> {
        let peer = start(WORKERS);
        Ok(Samples::collect(scale, |samples| {
            let whole = nanoseconds(&self.whole, peer);
            let bare = nanoseconds(&self.bare, peer);
            samples.add("ns", whole);
            samples.add("bare_ns", bare);
            samples.add("added_ns", whole - bare);
        }))
    }
}

/// The throughput with all workers against that with one.
pub(super) struct Scaling<W>(pub(super) W);

impl<W: Workload> Case for Scaling<W> {
    fn run<P: Peer>(&self, start: impl Fn(usize) -> P, scale: Scale) -> Result<Samples, String> {
        let (one, all) = (start(1), start(WORKERS));
        Ok(Samples::collect(scale, |samples| {
            let alone = nanoseconds(&self.0, one);
            let together = nanoseconds(&self.0, all);
            samples.add("ns", together);
            samples.add("scaling", alone / together);
        }))
    }
}
