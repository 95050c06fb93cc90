//! The cases of `cargo xtask compare`: a workload on a peer, in a process of its own.

mod idle;
mod lateness;
mod memory;
mod micro;
mod network;
mod samples;
mod wake;

pub use samples::{Samples, Scale};

use crate::workload::{
    CancelParked, CancelTree, Chain, Fib, Groups, HotGroup, Outside, PingPong, RegisterSleeps, Requests, SpawnBare,
    SpawnJoin, SpawnYieldJoin, Timeouts, Yields,
};
use crate::{AsyncExecutor, Peer, Ramus, Smol, Tokio, TokioGroup, Tree};
use lateness::Lateness;
use memory::Parked;
use micro::{Added, Extra, Micro, Scaling};
use network::Network;
use wake::WakeFromOutside;

/// Something that can be measured on every peer.
trait Case {
    /// Measures it on the peer that `start` starts with a number of workers.
    fn run<P: Peer>(&self, start: impl Fn(usize) -> P, scale: Scale) -> Result<Samples, String>;
}

/// A workload's name, and how it is run on the peer of a name.
type Entry = (&'static str, fn(&str, Scale) -> Result<Samples, String>);

const TREE: Tree = Tree { depth: 6, fan_out: 8 };

const CASES: &[Entry] = &[
    ("W1", |peer, scale| on(peer, scale, &Micro(SpawnJoin { tasks: 100_000 }))),
    ("W2", |peer, scale| on(peer, scale, &Micro(Yields { tasks: 200, yields: 1000 }))),
    ("W3", |peer, scale| on(peer, scale, &Micro(PingPong { pairs: 1000 }))),
    ("W4", |peer, scale| on(peer, scale, &Micro(Chain { hops: 1000 }))),
    ("W4b", |peer, scale| on(peer, scale, &Micro(Outside { tasks: 100_000 }))),
    ("W5", |peer, scale| on(peer, scale, &Micro(Fib { n: 25 }))),
    ("W6a-1", |peer, scale| on(peer, scale, &Micro(sleeps(1, scale)))),
    ("W6a-2", |peer, scale| on(peer, scale, &Micro(sleeps(2, scale)))),
    ("W6b", |peer, scale| {
        let rounds = scale.pick(500_000, 100_000);
        let plain = Yields { tasks: 2, yields: rounds };
        on(peer, scale, &Extra { whole: Timeouts { rounds }, plain })
    }),
    ("W6c", |peer, scale| on(peer, scale, &Lateness { timers: 100_000 })),
    ("W7a", |peer, scale| on(peer, scale, &Micro(CancelParked { tasks: 100_000 }))),
    ("W7b", |peer, scale| on(peer, scale, &Micro(CancelTree(TREE)))),
    ("W7c", |peer, scale| {
        let tasks = 100_000;
        on(peer, scale, &Added { whole: SpawnYieldJoin { tasks }, bare: SpawnBare { tasks } })
    }),
    ("W8", |peer, scale| on(peer, scale, &Parked { tasks: 1_000_000 })),
    ("W9-64x64", |peer, scale| Network::echo(64, 64).run(peer, scale)),
    ("W9-64x4k", |peer, scale| Network::echo(64, 4096).run(peer, scale)),
    ("W9-512x64", |peer, scale| Network::echo(512, 64).run(peer, scale)),
    ("W9-512x4k", |peer, scale| Network::echo(512, 4096).run(peer, scale)),
    ("W10-hello", |peer, scale| Network::http("hello").run(peer, scale)),
    ("W10-suspend", |peer, scale| Network::http("suspend").run(peer, scale)),
    ("W10-timeout", |peer, scale| Network::http("timeout").run(peer, scale)),
    ("W11-idle", |peer, _scale| idle::run(peer)),
    ("W11-wake", |peer, scale| on(peer, scale, &WakeFromOutside { wakes: scale.pick(1000, 300) })),
    ("W12-empty", |peer, scale| on(peer, scale, &Micro(Groups { groups: 10_000, tasks: 0 }))),
    ("W12-2", |peer, scale| on(peer, scale, &Micro(Groups { groups: 10_000, tasks: 2 }))),
    ("W12-8", |peer, scale| on(peer, scale, &Micro(Groups { groups: 10_000, tasks: 8 }))),
    ("W12-request", |peer, scale| on(peer, scale, &Micro(Requests { rounds: 20_000 }))),
    ("W13", |peer, scale| on(peer, scale, &Scaling(HotGroup { each: 50_000 }))),
];

/// Measures a workload on a peer.
///
/// # Errors
///
/// A line that says what is not known, or what failed.
pub fn run(workload: &str, peer: &str, scale: Scale) -> Result<Samples, String> {
    let Some((_, run)) = CASES.iter().find(|(name, _)| *name == workload) else {
        return Err(format!("unknown workload `{workload}`; there are {}", workloads().join(", ")));
    };
    run(peer, scale)
}

/// The names of all workloads.
pub fn workloads() -> Vec<&'static str> {
    CASES.iter().map(|(name, _)| *name).collect()
}

fn sleeps(tasks: usize, scale: Scale) -> RegisterSleeps {
    RegisterSleeps { tasks, sleeps: scale.pick(1_000_000, 200_000) / tasks }
}

/// The peers that run what is not a server.
const PEERS: &[&str] = &[
    "ramus",
    "tokio",
    "tokio-joinset",
    "tokio-tracker",
    #[cfg(tokio_unstable)]
    "tokio-alt",
    "async-executor",
    "smol",
];

fn on(peer: &str, scale: Scale, case: &impl Case) -> Result<Samples, String> {
    match peer {
        "ramus" => case.run(Ramus::start, scale),
        "tokio" => case.run(|workers| Tokio::start(workers, TokioGroup::Handles), scale),
        "tokio-joinset" => case.run(|workers| Tokio::start(workers, TokioGroup::JoinSet), scale),
        "tokio-tracker" => case.run(|workers| Tokio::start(workers, TokioGroup::Tracker), scale),
        #[cfg(tokio_unstable)]
        "tokio-alt" => case.run(|workers| Tokio::start_alt_timer(workers, TokioGroup::Handles), scale),
        "async-executor" => case.run(AsyncExecutor::start, scale),
        "smol" => case.run(Smol::<async_executor::Executor<'static>>::start, scale),
        other => Err(format!("unknown peer `{other}` for this workload; there are {}", PEERS.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_are_refused_with_the_names_that_are_known() {
        let message = run("W99", "ramus", Scale::Quick).expect_err("there is none");
        assert!(message.contains("`W99`") && message.contains("W6a-1"), "{message}");
        let message = run("W1", "epoll", Scale::Quick).expect_err("a loop has no tasks");
        assert!(message.contains("`epoll`") && message.contains("async-executor"), "{message}");
        let message = run("W10-hello", "rocket", Scale::Quick).expect_err("there is none");
        assert!(message.contains("`rocket`") && message.contains("epoll"), "{message}");
    }

    #[test]
    fn the_table_of_the_comparison_names_what_there_is() {
        #[derive(Debug)]
        struct Row {
            id: String,
            peers: Vec<String>,
        }
        let text = include_str!("../../compare.toml");
        let table: toml::Table = text.parse().expect("it is TOML");
        let rows = table["workload"].as_array().expect("a list").iter().map(|row| Row {
            id: row["id"].as_str().expect("a name").into(),
            peers: row["peers"]
                .as_array()
                .expect("a list")
                .iter()
                .map(|p| p.as_str().expect("a name").into())
                .collect(),
        });
        let rows: Vec<Row> = rows.collect();
        let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
        assert_eq!(ids, workloads());
        for row in &rows {
            let server = row.id.starts_with("W9") || row.id.starts_with("W10") || row.id == "W11-idle";
            let known = if server { crate::net::PEERS } else { PEERS };
            // These need a build of their own.
            let extra = ["tokio-alt", "monoio", "compio"];
            for peer in row.peers.iter().filter(|peer| !extra.contains(&peer.as_str())) {
                assert!(known.contains(&peer.as_str()), "{}: {peer}", row.id);
            }
        }
    }
}
