//! Pairs of tasks that exchange two messages over oneshots (W3).

use benches::{compare, peers, workload::PingPong};
use criterion::{Criterion, criterion_group, criterion_main};

fn ping_pong(criterion: &mut Criterion) {
    let peers = peers();
    compare(criterion, &PingPong { pairs: 1000 }, &peers);
}

criterion_group!(benches, ping_pong);
criterion_main!(benches);
