//! Running a workload on several peers in turn under criterion.

use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, SamplingMode, Throughput};

use crate::workload::Workload;
use crate::{AsyncExecutor, Peer, Ramus, Tokio, TokioGroup, WORKERS};

/// One of the peers.
#[derive(Clone, Copy)]
pub enum AnyPeer {
    /// ramus.
    Ramus(Ramus),
    /// tokio.
    Tokio(Tokio),
    /// async-executor.
    AsyncExecutor(AsyncExecutor),
}

impl AnyPeer {
    /// The name in tables.
    pub fn name(&self) -> &'static str {
        match self {
            AnyPeer::Ramus(peer) => peer.name(),
            AnyPeer::Tokio(peer) => peer.name(),
            AnyPeer::AsyncExecutor(peer) => peer.name(),
        }
    }

    /// Runs a workload once.
    pub fn time(&self, workload: &impl Workload) -> Duration {
        match self {
            AnyPeer::Ramus(peer) => workload.time(*peer),
            AnyPeer::Tokio(peer) => workload.time(*peer),
            AnyPeer::AsyncExecutor(peer) => workload.time(*peer),
        }
    }
}

/// ramus, tokio (groups are `JoinSet`s) and async-executor, started.
pub fn peers() -> Vec<AnyPeer> {
    vec![
        AnyPeer::Ramus(Ramus::start(WORKERS)),
        AnyPeer::Tokio(Tokio::start(WORKERS, TokioGroup::JoinSet)),
        AnyPeer::AsyncExecutor(AsyncExecutor::start(WORKERS)),
    ]
}

/// The peers of [`peers`], with all forms of group that tokio has.
pub fn tokio_groups() -> Vec<AnyPeer> {
    let tokio = Tokio::start(WORKERS, TokioGroup::JoinSet);
    vec![
        AnyPeer::Ramus(Ramus::start(WORKERS)),
        AnyPeer::Tokio(tokio),
        AnyPeer::Tokio(tokio.with_group(TokioGroup::Handles)),
        AnyPeer::Tokio(tokio.with_group(TokioGroup::Tracker)),
        AnyPeer::AsyncExecutor(AsyncExecutor::start(WORKERS)),
    ]
}

/// Adds a group of benchmarks: the workload on each of the peers.
pub fn compare(criterion: &mut Criterion, workload: &impl Workload, peers: &[AnyPeer]) {
    let mut group: BenchmarkGroup<'_, WallTime> = criterion.benchmark_group(workload.name());
    group.throughput(Throughput::Elements(workload.operations() as u64));
    // A run takes milliseconds: few samples of few runs, each sample of the same length.
    group.sample_size(20).sampling_mode(SamplingMode::Flat);
    for peer in peers {
        group.bench_function(peer.name(), |bencher| {
            bencher.iter_custom(|runs| (0..runs).map(|_| peer.time(workload)).sum());
        });
    }
    group.finish();
}
