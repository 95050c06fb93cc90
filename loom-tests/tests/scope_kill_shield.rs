//! A cancel and then a kill against a task that opens a shield (D5, D8).
//!
//! Property: the task ends, although what is in the shield never does: a shield that the walk of the kill does not meet, because
//! its row was not there, is spent from birth, and one of a task whose entry the cancel took is found through its table.
//! Threads: who cancels and kills, the poller (main). Bound: 2 preemptions.
//! Planted fault: the cancel does not keep the tables of the entries that it takes.
#![cfg(ramus_loom)]

mod scope_bench;

use std::future::pending;

use loom::future::block_on;
use loom::thread;
use ramus_scope::{Root, shield_unbounded};
use scope_bench::Bench;

#[test]
fn no_shield_outlives_a_kill() {
    loom_tests::check("scope_kill_shield", 100, || {
        let root = Root::new(Bench, "root");
        let handle = root.handle().clone();
        let killer = thread::spawn(move || {
            handle.cancel("cancel");
            handle.kill("kill")
        });
        let task = root.handle().spawn(shield_unbounded(pending::<()>()));
        assert!(block_on(task).unwrap_err().is_cancelled());
        assert!(killer.join().unwrap());
        root.close();
        assert_eq!(root.handle().live(), 0);
    });
}
