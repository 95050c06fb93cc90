//! The workloads on ramus and tokio in turns, for development: nanoseconds per operation, median and minimum.
//!
//! `cargo run --release -p benches --bin quick [ROUNDS] [PART OF A NAME]`

use benches::workload::{
    CancelParked, Chain, PingPong, RegisterSleeps, SpawnJoin, SpawnYieldJoin, Timeouts, Workload, Yields,
};
use benches::{AnyPeer, peers};

const ROUNDS: usize = 15;

fn main() {
    let mut args = std::env::args().skip(1).peekable();
    let rounds = args.next_if(|arg| arg.parse::<usize>().is_ok());
    let bench = Quick {
        peers: peers(),
        rounds: rounds.map_or(ROUNDS, |rounds| rounds.parse().expect("looked at above")).max(1),
        wanted: args.next().unwrap_or_default(),
    };
    println!("{:36} {:>16} {:>10} {:>10} {:>8}", "ns per operation", "", "median", "minimum", "ratio");
    bench.run(&SpawnJoin { tasks: 100_000 });
    bench.run(&SpawnYieldJoin { tasks: 100_000 });
    bench.run(&Yields { tasks: 200, yields: 1000 });
    bench.run(&PingPong { pairs: 1000 });
    bench.run(&Chain { hops: 1000 });
    bench.run(&RegisterSleeps { tasks: 1, sleeps: 200_000 });
    bench.run(&RegisterSleeps { tasks: 2, sleeps: 200_000 });
    bench.run(&Timeouts { rounds: 100_000 });
    bench.run(&CancelParked { tasks: 100_000 });
}

struct Quick {
    peers: Vec<AnyPeer>,
    rounds: usize,
    wanted: String,
}

impl Quick {
    /// Runs a workload on every peer in turns; the ratio is ramus's median to the row's.
    fn run(&self, workload: &impl Workload) {
        if !workload.name().contains(&self.wanted) {
            return;
        }
        let mut times = vec![Vec::new(); self.peers.len()];
        for _ in 0..self.rounds {
            for (peer, times) in self.peers.iter().zip(&mut times) {
                let time = peer.time(workload);
                times.push(time.as_nanos() as f64 / workload.operations() as f64);
            }
        }
        for times in &mut times {
            times.sort_by(f64::total_cmp);
        }
        let ours = times[0][self.rounds / 2];
        for (peer, times) in self.peers.iter().zip(&times) {
            let median = times[self.rounds / 2];
            println!(
                "{:36} {:>16} {median:>10.1} {:>10.1} {:>8.3}",
                workload.name(),
                peer.name(),
                times[0],
                ours / median,
            );
        }
    }
}
