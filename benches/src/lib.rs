//! One source for every workload, run on ramus and on its rivals: a workload sees a [`Peer`] and nothing else of the
//! runtime below it. Every peer has [`WORKERS`] workers, and every time is taken on a worker.
//!
//! Each peer joins and cancels groups of tasks the way its users do: ramus in a scope, tokio in one of three forms
//! ([`TokioGroup`]), async-executor and smol through their handles.
//!
//! `cargo bench -p benches` runs some of the workloads under criterion, all peers in one process. `cargo xtask compare` runs
//! all of them, each in a process of its own (`case`, the binary of this package); `compare.toml` says which.

pub mod case;
mod compare;
pub mod net;
pub mod peer;
pub mod process;
pub mod workload;

pub use compare::{AnyPeer, compare, peers, tokio_groups};
pub use peer::{AsyncExecutor, Peer, Ramus, Smol, Tokio, TokioGroup, Tree};

/// Worker threads of each peer.
pub const WORKERS: usize = 2;
