//! A chain of tasks, each of which spawns the next (W4).

use benches::{compare, peers, workload::Chain};
use criterion::{Criterion, criterion_group, criterion_main};

fn chain(criterion: &mut Criterion) {
    let peers = peers();
    compare(criterion, &Chain { hops: 1000 }, &peers);
}

criterion_group!(benches, chain);
criterion_main!(benches);
