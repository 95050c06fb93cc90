//! Scopes that nobody polls after the code around them has ended (D29).
#![allow(missing_docs)]

mod common;

use std::future::pending;
use std::io;
use std::mem;

use common::strays::{Answer, Boxed, LEAKED, LONG, Slot, go_to, inner, is_over, leaked, ms, poll_once};
use common::{Alive, Sim};
use futures_util::FutureExt;
use ramus_scope::{CutOn, Root, Scope, TreeKind, run_until_cancelled, scope, shield, shield_unbounded};

#[test]
fn d29_a_scope_leaked_in_a_body_keeps_the_scope_open_until_that_is_cancelled() {
    let sim = Sim::new();
    let root = Root::new(sim.clone(), "root");
    let alive = Alive::default();
    let (guard, at, outer) = (alive.guard(), Slot::new(), Slot::new());
    let handle = outer.clone();
    let join = root.handle().spawn(scope(move |s: Scope<Sim, io::Error>| async move {
        handle.put((*s).clone());
        let mut inner = inner(
            &at,
            async move {
                let _guard = guard;
                Sim::sleep(LONG).await;
            },
            pending(),
        );
        poll_once(&mut inner).await;
        mem::forget(inner);
        Ok(1)
    }));
    sim.settle();
    let outer = outer.take();
    assert!(join.try_take().is_none(), "it waits");
    assert_eq!((outer.live(), outer.is_cancelled()), (1, false), "an uncancelled member");
    let tree = outer.tree();
    let row = tree.iter().find(|row| row.name.as_deref() == Some("inner")).expect("listed");
    assert_eq!((row.kind, row.depth, row.state, row.live), (TreeKind::Scope, 1, LEAKED, 1), "{tree:?}");
    assert_eq!(alive.count(), 1, "its child goes on");
    assert!(outer.cancel("enough"));
    sim.settle();
    assert_eq!(alive.count(), 0);
    let error = join.try_take().unwrap().unwrap().unwrap_err();
    assert!(error.is_cancelled(), "the cancel cut the member");
    assert!(is_over(&root));
    assert_eq!(sim.alarms(), 0);
}

#[test]
fn d29_a_scope_leaked_in_a_task_keeps_the_tasks_scope_open() {
    let sim = Sim::new();
    let root = Root::new(sim.clone(), "root");
    let at = Slot::new();
    let handle = at.clone();
    let join = root.handle().spawn(async move {
        let mut inner = inner(&handle, Sim::sleep(10), pending());
        poll_once(&mut inner).await;
        mem::forget(inner);
        3
    });
    go_to(&sim, 10);
    assert_eq!(join.try_take().unwrap().unwrap(), 3, "a join of the task does not wait for it");
    assert_eq!((root.handle().live(), leaked(&root)), (1, 1), "its children have ended, it has not");
    root.close();
    // Cancelled by its own handle: it counts as ended as soon as its children have.
    assert!(at.take().cancel("stuck"));
    assert!(is_over(&root));
    assert_eq!((leaked(&root), root.handle().is_cancelled()), (0, false));
}

#[test]
fn d29_a_leaked_scope_with_children_ends_with_the_last_of_them() {
    for by_handle in [false, true] {
        let sim = Sim::new();
        let root = Root::new(sim.clone(), "root");
        let alive = Alive::default();
        let (guard, at) = (alive.guard(), Slot::new());
        let handle = at.clone();
        drop(root.handle().spawn(async move {
            let child = shield(ms(50), async move {
                Sim::sleep(20).await;
                drop(guard);
            });
            let mut inner = inner(&handle, child, pending());
            poll_once(&mut inner).await;
            mem::forget(inner);
        }));
        sim.settle();
        let handle = at.take();
        assert!(if by_handle { handle.cancel("now") } else { root.handle().cancel("now") });
        sim.settle();
        assert_eq!((alive.count(), root.handle().live()), (1, 1), "its child is shielded");
        assert!(handle.admit().is_err(), "cancelled");
        go_to(&sim, 20);
        assert_eq!((alive.count(), is_over(&root)), (0, true));
    }
}

#[test]
fn d29_a_scope_leaked_while_it_drains_ends_by_itself() {
    let sim = Sim::new();
    let root = Root::new(sim.clone(), "root");
    let at = Slot::new();
    drop(root.handle().spawn(async move {
        let mut inner = inner(&at, Sim::sleep(10), async {});
        poll_once(&mut inner).await;
        mem::forget(inner);
    }));
    sim.settle();
    assert_eq!((root.handle().live(), leaked(&root)), (1, 1));
    go_to(&sim, 10);
    assert!(is_over(&root), "its body had ended already");
}

#[test]
fn d29_the_panic_of_a_leaked_scopes_child_is_its_adopters() {
    let sim = Sim::new();
    let root = Root::new(sim.clone(), "root");
    let join = root.handle().spawn(
        std::panic::AssertUnwindSafe(scope(|_: Scope<Sim, io::Error>| async move {
            let child = async {
                Sim::sleep(5).await;
                panic!("in a leaked scope");
            };
            let mut inner = inner(&Slot::new(), child, pending());
            poll_once(&mut inner).await;
            mem::forget(inner);
            Ok(())
        }))
        .catch_unwind(),
    );
    go_to(&sim, 5);
    let payload = join.try_take().unwrap().unwrap().unwrap_err();
    assert_eq!(payload.downcast_ref::<&str>(), Some(&"in a leaked scope"));
    assert!(is_over(&root));
}

#[test]
fn d29_moved_out_as_the_value_of_a_scope() {
    let sim = Sim::new();
    let root = Root::new(sim.clone(), "root");
    let at = Slot::new();
    let handle = at.clone();
    let join = root.handle().spawn(async move {
        scope(|_: Scope<Sim, io::Error>| async move {
            let mut future = inner(&handle, Sim::sleep(5), Sim::sleep(10));
            poll_once(&mut future).await;
            Ok(future)
        })
        .await
        .map(|_| ())
    });
    go_to(&sim, 10);
    // Nobody can poll it before the scope has answered, and the scope waits for it.
    assert!(join.try_take().is_none());
    assert_eq!(leaked(&root), 1);
    at.take().cancel("stuck");
    sim.settle();
    assert!(join.try_take().unwrap().unwrap().is_ok(), "it was cancelled alone");
    assert!(is_over(&root));
}

#[test]
fn d29_scopes_in_a_leaked_scope_are_its_own() {
    let sim = Sim::new();
    let root = Root::new(sim.clone(), "root");
    let alive = Alive::default();
    let mut chain: Boxed<Answer> = inner(&Slot::new(), Sim::sleep(LONG), pending());
    for depth in 0..200 {
        let (inside, guard) = (chain, alive.guard());
        let body = async move {
            // Every other one is protected by a shield, which protects nothing once nobody polls it.
            let _ = if depth % 2 == 0 { shield_unbounded(inside).await } else { inside.await };
        };
        let child = async move {
            let _guard = guard;
            Sim::sleep(LONG).await;
        };
        chain = inner(&Slot::new(), child, body);
    }
    drop(root.handle().spawn(async move {
        poll_once(&mut chain).await;
        mem::forget(chain);
    }));
    sim.settle();
    assert_eq!((alive.count(), root.handle().live()), (200, 1));
    root.handle().cancel("now");
    sim.settle();
    assert_eq!((alive.count(), is_over(&root)), (0, true));
}

#[test]
fn d29_a_deep_chain_of_adoptions_drains() {
    // Each scope takes in the one before it and leaks it there: 5,000 of them, each an adopted member of the next.
    let sim = Sim::new();
    let root = Root::new(sim.clone(), "root");
    let alive = Alive::default();
    let watch = alive.clone();
    let join = root.handle().spawn(async move {
        let mut last: Boxed<Answer> = inner(&Slot::new(), async {}, pending());
        poll_once(&mut last).await;
        for _ in 0..5_000 {
            let (mut before, guard) = (last, alive.guard());
            let child = async move {
                let _guard = guard;
                Sim::sleep(LONG).await;
            };
            last = inner(&Slot::new(), child, async move {
                poll_once(&mut before).await;
                mem::forget(before);
                pending::<()>().await;
            });
            poll_once(&mut last).await;
        }
        mem::forget(last);
    });
    sim.settle();
    assert!(join.try_take().unwrap().is_ok());
    assert_eq!((root.handle().live(), watch.count()), (1, 5_000));
    root.handle().cancel("now");
    sim.settle();
    assert_eq!((watch.count(), is_over(&root)), (0, true));
}

#[test]
fn d29_a_leaked_boundary_with_a_scope_in_it() {
    for kind in 0..3 {
        let sim = Sim::new();
        let root = Root::new(sim.clone(), "root");
        let at = Slot::new();
        let handle = at.clone();
        drop(root.handle().spawn(async move {
            let inside = inner(&handle, Sim::sleep(LONG), pending());
            let mut boundary: Boxed<()> = match kind {
                0 => Box::pin(shield_unbounded(inside).map(drop)),
                1 => Box::pin(run_until_cancelled(inside).map(drop)),
                _ => Box::pin(CutOn::new(inside, pending::<()>()).map(drop)),
            };
            poll_once(&mut boundary).await;
            mem::forget(boundary);
        }));
        sim.settle();
        let inner = at.take();
        assert_eq!((root.handle().live(), leaked(&root), inner.is_cancelled()), (1, 1, false));
        root.handle().cancel("now");
        assert!(inner.is_cancelled());
        sim.settle();
        assert!(is_over(&root), "a leaked shield does not protect for ever");
    }
}

#[test]
fn d29_a_task_that_is_dropped_unfinished_leaves_what_it_leaked() {
    let sim = Sim::new();
    let root = Root::new(sim.clone(), "root");
    let at = Slot::new();
    let handle = at.clone();
    let member = root.handle().member(async move {
        let mut inner = inner(&handle, Sim::sleep(LONG), pending());
        poll_once(&mut inner).await;
        mem::forget(inner);
        pending::<()>().await;
    });
    let mut task = Box::pin(member.ok().unwrap().into_future());
    sim.run(async move {
        poll_once(&mut task).await;
        drop(task);
    });
    sim.settle();
    assert_eq!((root.handle().live(), leaked(&root)), (1, 1));
    at.take().cancel("stuck");
    sim.settle();
    assert!(is_over(&root));
}
