//! Costs per operation in a counting build: the difference between some rounds and twice as many, so that what comes once
//! does not count, from the least of several runs, so that what the machine does beside does not either.

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

use crate::books::{self, Counts};
use crate::scenario::{ROUND, Scenario};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Runs of which the least counts.
const REPEATS: usize = 3;

/// Prints the costs of each scenario, one a line: its name, a metric, the count per operation.
pub(crate) fn count(scenarios: impl IntoIterator<Item = &'static Scenario>) {
    books::install();
    for scenario in scenarios {
        let runtime = scenario.runtime();
        let run = |rounds| (scenario.run)(&runtime, rounds);
        let rounds = scenario.rounds;
        run(rounds);

        // The books themselves allocate, so they stay closed meanwhile.
        let allocations = |rounds| {
            let before = ALLOCATOR.stats();
            run(rounds);
            let after = ALLOCATOR.stats();
            let all = |stats: stats_alloc::Stats| stats.allocations + stats.reallocations;
            [(all(after) - all(before)) as u64]
        };
        let [allocations] = per_operation(rounds, allocations);

        books::open(true);
        let [rmw, owned, shared] = per_operation(rounds, |rounds| {
            let before = books::counts();
            run(rounds);
            let Counts { rmw, owned, shared } = books::counts();
            [rmw - before.rmw, owned - before.owned, shared - before.shared]
        });
        books::open(false);

        let costs = [("rmw", rmw), ("owned", owned), ("shared", shared), ("allocations", allocations)];
        for (metric, cost) in costs {
            println!("{} {metric} {cost:.3}", scenario.name);
        }
    }
}

/// The cost of one operation in each of the counts that `run` returns for a number of rounds: for `rounds` and for twice
/// as many.
fn per_operation<const N: usize>(rounds: usize, run: impl Fn(usize) -> [u64; N]) -> [f64; N] {
    let least = |rounds| {
        let mut least = [u64::MAX; N];
        for _ in 0..REPEATS {
            for (least, count) in least.iter_mut().zip(run(rounds)) {
                *least = count.min(*least);
            }
        }
        least
    };
    let (once, twice) = (least(rounds), least(2 * rounds));
    let operations = (rounds * ROUND) as f64;
    std::array::from_fn(|i| (twice[i] as f64 - once[i] as f64).max(0.0) / operations)
}

/// Prints where `scenario` makes its read-modify-writes, with the number of each per operation.
pub(crate) fn sites(scenario: &Scenario) {
    books::install();
    let runtime = scenario.runtime();
    let rounds = scenario.rounds;
    (scenario.run)(&runtime, rounds);
    books::open(true);
    let noted = |rounds| {
        books::note_sites();
        (scenario.run)(&runtime, rounds);
        books::take_sites()
    };
    let (once, twice) = (noted(rounds), noted(2 * rounds));
    books::open(false);
    let operations = (rounds * ROUND) as f64;
    let mut rows: Vec<(f64, String)> = twice
        .iter()
        .map(|(site, count)| {
            let more = *count as f64 - once.get(site).copied().unwrap_or(0) as f64;
            (more / operations, site.to_string())
        })
        .filter(|(cost, _)| *cost >= 0.001)
        .collect();
    rows.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    for (cost, site) in rows {
        println!("{cost:8.3}  {site}");
    }
}
