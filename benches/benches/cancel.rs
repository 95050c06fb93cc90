//! Cancelling a group of parked tasks until all of them are dropped (W7a).

use benches::{compare, tokio_groups, workload::CancelParked};
use criterion::{Criterion, criterion_group, criterion_main};

fn cancel(criterion: &mut Criterion) {
    let peers = tokio_groups();
    compare(criterion, &CancelParked { tasks: 100_000 }, &peers);
}

criterion_group!(benches, cancel);
criterion_main!(benches);
