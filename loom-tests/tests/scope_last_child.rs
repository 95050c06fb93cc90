//! L20: the last child against the scope's waiter.
//!
//! Property: the waiter wakes exactly when the count is zero, whoever of the two children is the last, and the node is freed
//! once.
//! Threads: two children, the waiter (main). Bound: 2 preemptions.
//! Planted fault: a completion reads and writes the count instead of one subtraction.
//! Covers: D27.
#![cfg(ramus_loom)]

mod scope_bench;

use loom::future::block_on;
use loom::thread;
use ramus_scope::Root;
use scope_bench::Bench;

#[test]
fn the_waiter_wakes() {
    loom_tests::check("scope_last_child", 50, || {
        let root = Root::new(Bench, "root");
        let children: Vec<_> = (0..2)
            .map(|_| {
                let membership = root.handle().admit().unwrap();
                thread::spawn(move || drop(membership))
            })
            .collect();
        root.close();
        block_on(std::future::poll_fn(|cx| root.poll_drained(cx)));
        assert_eq!(root.handle().live(), 0);
        drop(root);
        for child in children {
            child.join().unwrap();
        }
    });
}
