//! Depth and size: walks and drops do not recurse (fault C6), and nothing is left of what has ended (fault C5).
#![allow(missing_docs)]

mod common;

use std::io;

use common::{Alive, Sim};
use ramus_scope::{Root, Scope, scope};

const DEPTH: usize = 1_000_000;

/// Each task opens a scope and spawns the next task into it. Not one future inside another: the chain is the tree's.
fn link(alive: Alive, left: usize) -> futures_util::future::BoxFuture<'static, ()> {
    Box::pin(async move {
        let _guard = alive.guard();
        let _ = scope(|s: Scope<Sim, io::Error>| async move {
            if left > 0 {
                s.spawn(link(alive.clone(), left - 1));
            }
            std::future::pending::<()>().await;
            Ok(())
        })
        .await;
    })
}

fn on_a_small_stack(test: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(128 * 1024).spawn(test).unwrap().join().unwrap();
}

#[test]
fn d33_a_chain_of_a_million_scopes_is_built_cancelled_and_dropped() {
    on_a_small_stack(|| {
        let sim = Sim::new();
        let alive = Alive::default();
        let root = Root::new(sim.clone(), "root");
        drop(root.handle().spawn(link(alive.clone(), DEPTH - 1)));
        sim.settle();
        assert_eq!(alive.count(), DEPTH);
        assert!(root.handle().cancel("all of it"));
        sim.settle();
        assert_eq!(alive.count(), 0);
        root.close();
        assert_eq!(root.handle().live(), 0);
    });
}

#[test]
fn d30_a_hundred_thousand_children_of_one_scope() {
    let sim = Sim::new();
    let alive = Alive::default();
    let watch = alive.clone();
    let error = sim.run(async move {
        scope(|s: Scope<Sim, io::Error>| async move {
            for _ in 0..100_000 {
                let guard = alive.guard();
                s.spawn(async move {
                    std::future::pending::<()>().await;
                    drop(guard);
                });
            }
            Sim::sleep(1).await;
            s.cancel("all");
            Ok(())
        })
        .await
        .unwrap_err()
    });
    assert!(error.is_cancelled());
    assert_eq!(watch.count(), 0, "dropped, not only marked");
}

#[test]
fn a_tree_of_depth_6_and_fan_out_8() {
    fn grow(alive: Alive, depth: usize) -> futures_util::future::BoxFuture<'static, ()> {
        Box::pin(async move {
            let _guard = alive.guard();
            if depth == 0 {
                return std::future::pending().await;
            }
            let _ = scope(|s: Scope<Sim, io::Error>| async move {
                for _ in 0..8 {
                    s.spawn(grow(alive.clone(), depth - 1));
                }
                Ok(())
            })
            .await;
        })
    }
    let sim = Sim::new();
    let alive = Alive::default();
    let root = Root::new(sim.clone(), "root");
    drop(root.handle().spawn(grow(alive.clone(), 6)));
    sim.settle();
    assert_eq!(alive.count(), (8_usize.pow(7) - 1) / 7);
    root.handle().cancel("all");
    sim.settle();
    assert_eq!(alive.count(), 0);
    root.close();
}

#[test]
fn short_scopes_leave_nothing_under_a_long_lived_root() {
    let sim = Sim::new();
    let root = Root::new(sim.clone(), "root");
    for _ in 0..10_000 {
        drop(root.handle().spawn(async {
            scope(|s: Scope<Sim, io::Error>| async move {
                s.spawn(Sim::sleep(1));
                Ok(())
            })
            .await
            .unwrap();
        }));
        sim.settle();
        while sim.advance() {
            sim.settle();
        }
        assert_eq!((root.handle().live(), root.handle().tree().len()), (0, 1));
    }
    root.close();
}
