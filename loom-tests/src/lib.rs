//! The harness of the loom models: each file in `tests/` models one protocol.
//!
//! A model that explores one execution proves nothing, so every model states a floor for the number of executions.
//! Each model also owns a planted fault (`faults.toml`) that it must find; `cargo xtask test` plants them all in a copy
//! of the tree and requires every model to fail there.

#![forbid(unsafe_code)]
#![cfg(ramus_loom)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Explores `model` and checks that at least `floor` executions were explored.
///
/// The preemption bound is 2 unless `LOOM_MAX_PREEMPTIONS` says otherwise, the branch limit 10,000 unless
/// `LOOM_MAX_BRANCHES` does.
///
/// # Panics
///
/// If the model fails in one execution, or fewer than `floor` executions were explored.
pub fn check(name: &str, floor: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(2);
    if std::env::var_os("LOOM_MAX_BRANCHES").is_none() {
        builder.max_branches = 10_000;
    }
    // The harness lends no ordering to the model: its counter is not a loom atomic and is never read inside it.
    let executions = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&executions);
    builder.check(move || {
        counter.fetch_add(1, Ordering::Relaxed);
        model();
    });
    let explored = executions.load(Ordering::Relaxed);
    println!("loom {name}: {explored} executions");
    assert!(
        explored >= floor,
        "{name}: {explored} executions, the floor is {floor}: the model does not explore what it claims"
    );
}
