//! Spawn and join in a scope (W1), and with one suspension in each task (W7c).

use benches::{
    compare, tokio_groups,
    workload::{SpawnJoin, SpawnYieldJoin},
};
use criterion::{Criterion, criterion_group, criterion_main};

fn spawn(criterion: &mut Criterion) {
    let peers = tokio_groups();
    compare(criterion, &SpawnJoin { tasks: 100_000 }, &peers);
    compare(criterion, &SpawnYieldJoin { tasks: 100_000 }, &peers);
}

criterion_group!(benches, spawn);
criterion_main!(benches);
