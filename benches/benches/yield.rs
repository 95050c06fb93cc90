//! Yielding among many tasks (W2).

use benches::{compare, peers, workload::Yields};
use criterion::{Criterion, criterion_group, criterion_main};

fn yields(criterion: &mut Criterion) {
    let peers = peers();
    compare(criterion, &Yields { tasks: 200, yields: 1000 }, &peers);
}

criterion_group!(benches, yields);
criterion_main!(benches);
