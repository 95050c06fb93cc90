//! Sleeps registered and dropped by one and by two tasks (W6a), and a time-out around something quick (W6b).

use benches::{
    compare, peers,
    workload::{RegisterSleeps, Timeouts},
};
use criterion::{Criterion, criterion_group, criterion_main};

fn timers(criterion: &mut Criterion) {
    let peers = peers();
    for tasks in [1, 2] {
        compare(criterion, &RegisterSleeps { tasks, sleeps: 500_000 }, &peers);
    }
    compare(criterion, &Timeouts { rounds: 100_000 }, &peers);
}

criterion_group!(benches, timers);
criterion_main!(benches);
