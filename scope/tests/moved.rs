//! Scopes and shields that move to another place (D29).
#![allow(missing_docs)]

mod common;

use std::future::pending;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use common::strays::{Answer, Boxed, LONG, Slot, go_to, inner, is_over, leaked, ms, poll_once, start_in_a_task};
use common::{Alive, Log, Sim};
use futures_util::future::poll_fn;
use futures_util::stream::{FuturesUnordered, StreamExt};
use ramus_scope::{ReasonKind, Root, shield, shield_unbounded};

#[test]
fn d29_moved_out_of_a_finished_task_and_polled_later_it_leaves_its_adopter() {
    let sim = Sim::new();
    let root = Root::new(sim.clone(), "root");
    let at = Slot::new();
    let (first, slot) = start_in_a_task(root.handle(), inner(&at, Sim::sleep(10), Sim::sleep(20)));
    sim.settle();
    assert!(first.try_take().is_some());
    assert_eq!((root.handle().live(), leaked(&root)), (1, 1), "in transit");
    let future = slot.take();
    let second = root.handle().spawn(future);
    sim.settle();
    assert_eq!((root.handle().live(), leaked(&root)), (1, 0), "the second task alone");
    go_to(&sim, 20);
    assert_eq!(second.try_take().unwrap().unwrap().unwrap(), 7, "whole");
    assert!(is_over(&root));
}

#[test]
fn d29_moved_to_a_task_of_another_scope_it_belongs_there() {
    let sim = Sim::new();
    let (first_root, second_root) = (Root::new(sim.clone(), "first"), Root::new(sim.clone(), "second"));
    let at = Slot::new();
    let (first, slot) = start_in_a_task(first_root.handle(), inner(&at, Sim::sleep(LONG), pending()));
    sim.settle();
    assert!(first.try_take().is_some());
    let second = second_root.handle().spawn(slot.take());
    sim.settle();
    let inner = at.take();
    assert!(is_over(&first_root), "nothing of it is left there");
    second_root.handle().set_deadline(sim.instant(30)).unwrap();
    assert_eq!(inner.deadline(), Some(sim.instant(30)));
    // What happens at the old place does not concern it any more.
    first_root.handle().cancel("there");
    sim.settle();
    assert!(!inner.is_cancelled() && !inner.is_stopping());
    second_root.handle().stop(ms(100));
    assert!(inner.is_stopping());
    second_root.handle().cancel("here");
    assert!(inner.is_cancelled());
    sim.settle();
    assert!(second.try_take().unwrap().is_err());
    assert!(is_over(&second_root));
}

#[test]
fn d29_a_scope_that_moved_and_is_dropped_half_way_is_adopted_where_it_is() {
    let sim = Sim::new();
    let (first_root, second_root) = (Root::new(sim.clone(), "first"), Root::new(sim.clone(), "second"));
    let child = shield(ms(50), Sim::sleep(20));
    let (_first, slot) = start_in_a_task(first_root.handle(), inner(&Slot::new(), child, pending()));
    sim.settle();
    drop(second_root.handle().spawn(async move {
        let mut future = slot.take();
        poll_once(&mut future).await;
        drop(future);
    }));
    sim.settle();
    assert!(is_over(&first_root));
    assert_eq!(second_root.handle().live(), 1, "its child is shielded");
    go_to(&sim, 20);
    assert!(is_over(&second_root));
}

#[test]
fn d29_moved_out_of_a_shield_it_is_not_protected_by_that_any_more() {
    let sim = Sim::new();
    let (first_root, second_root) = (Root::new(sim.clone(), "first"), Root::new(sim.clone(), "second"));
    let (at, kept) = (Slot::new(), Slot::new());
    let (handle, out) = (at.clone(), kept.clone());
    // Its task is shielded, so the move comes while the scope around is cancelled and the task goes on.
    let first = first_root.handle().spawn(shield_unbounded(async move {
        let mut future = inner(&handle, Sim::sleep(LONG), pending());
        poll_once(&mut future).await;
        out.put(future);
        Sim::sleep(LONG).await;
    }));
    sim.settle();
    first_root.handle().cancel("now");
    let inner = at.take();
    assert!(!inner.is_cancelled(), "it is shielded there");
    let second = second_root.handle().spawn(kept.take());
    sim.settle();
    assert!(!inner.is_cancelled(), "and was when it moved");
    second_root.handle().cancel("here");
    assert!(inner.is_cancelled(), "no shield is around it here");
    sim.settle();
    assert!(second.try_take().unwrap().is_err());
    assert!(first.try_take().is_none());
    // Its shield lets it end, so that nothing is left behind.
    while sim.advance() {
        sim.settle();
    }
    assert!(first.try_take().is_some());
}

#[test]
fn d29_cancelled_in_transit_it_answers_so_without_running_on() {
    for drained in [true, false] {
        let sim = Sim::new();
        let (first_root, second_root) = (Root::new(sim.clone(), "first"), Root::new(sim.clone(), "second"));
        let alive = Alive::default();
        let guard = alive.guard();
        let at = Slot::new();
        let child = async move {
            if !drained {
                shield(ms(50), Sim::sleep(20)).await;
            }
        };
        let body = async move {
            let _guard = guard;
            poll_fn::<(), _>({
                let mut polls = 0;
                move |_| {
                    polls += 1;
                    assert_eq!(polls, 1, "not polled after it was given up");
                    Poll::Pending
                }
            })
            .await;
        };
        let (_first, slot) = start_in_a_task(first_root.handle(), inner(&at, child, body));
        sim.settle();
        first_root.handle().cancel("now");
        sim.settle();
        assert_eq!(is_over(&first_root), drained, "ended as soon as its children have");
        assert_eq!(alive.count(), 1, "its body is where it is");
        let second = second_root.handle().spawn(slot.take());
        sim.settle();
        assert_eq!(alive.count(), 0, "dropped at the first poll");
        if !drained {
            assert!(second.try_take().is_none(), "it waits for the child as well");
            go_to(&sim, 20);
        }
        let error = second.try_take().unwrap().unwrap().unwrap_err();
        assert_eq!(error.reason().map(|reason| reason.kind()), Some(ReasonKind::Parent));
        assert!(is_over(&first_root) && is_over(&second_root));
    }
}

#[test]
fn d28_d29_dropped_unpolled_in_transit_it_leaves_the_adopter() {
    for cancelled in [false, true] {
        let sim = Sim::new();
        let root = Root::new(sim.clone(), "root");
        let child = shield(ms(50), Sim::sleep(20));
        let (_first, slot) = start_in_a_task(root.handle(), inner(&Slot::new(), child, pending()));
        sim.settle();
        if cancelled {
            root.handle().cancel("now");
        }
        drop(slot.take());
        sim.settle();
        assert_eq!((root.handle().live(), leaked(&root)), (1, 0), "its child is shielded");
        go_to(&sim, 20);
        assert!(is_over(&root));
        assert_eq!(sim.alarms(), 0);
    }
}

#[test]
fn d29_a_scope_that_is_polled_inside_itself_ends_there() {
    for shielded in [false, true] {
        let sim = Sim::new();
        let root = Root::new(sim.clone(), "root");
        let (own, at, answer) = (Slot::<Boxed<Answer>>::new(), Slot::new(), Log::default());
        let (kept, log) = (own.clone(), answer.clone());
        let child = async move {
            Sim::sleep(1).await;
            let itself = kept.take();
            let polled = async move { log.add(itself.await.unwrap_err().to_string()) };
            if shielded { shield_unbounded(polled).await } else { polled.await }
        };
        let (first, slot) = start_in_a_task(root.handle(), inner(&at, child, pending()));
        sim.settle();
        assert!(first.try_take().is_some());
        own.put(slot.take());
        go_to(&sim, 1);
        assert!(is_over(&root), "neither hangs nor loops");
        assert!(at.take().reason().unwrap().to_string().contains("polled inside itself"));
        assert_eq!(answer.take().len(), usize::from(shielded), "code that the cancel cuts does not see it");
    }
}

#[test]
fn d29_a_listing_of_a_scope_inside_its_own_subtree_ends() {
    let sim = Sim::new();
    let root = Root::new(sim.clone(), "root");
    let (own, rows) = (Slot::<Boxed<Answer>>::new(), Slot::new());
    let (kept, out, handle) = (own.clone(), rows.clone(), root.handle().clone());
    let child = async move {
        Sim::sleep(1).await;
        let mut itself = kept.take();
        shield_unbounded(async move {
            let _ = poll_fn(|cx| Poll::Ready(itself.as_mut().poll(cx).is_ready())).await;
            out.put(handle.tree().len());
        })
        .await;
    };
    let (_first, slot) = start_in_a_task(root.handle(), inner(&Slot::new(), child, pending()));
    sim.settle();
    own.put(slot.take());
    go_to(&sim, 1);
    assert!(rows.take() < 10);
    assert!(is_over(&root));
}

#[test]
fn d29_a_shield_that_comes_back_with_a_scope_protects_it_again() {
    let sim = Sim::new();
    let root = Root::new(sim.clone(), "root");
    let at = Slot::new();
    let protected = Box::pin(shield(ms(50), inner(&at, Sim::sleep(10), Sim::sleep(20))));
    let (_first, slot) = start_in_a_task(root.handle(), protected);
    sim.settle();
    let second = root.handle().spawn(slot.take());
    sim.settle();
    let inner = at.take();
    root.handle().cancel("now");
    assert!(!inner.is_cancelled(), "the shield is around it");
    go_to(&sim, 20);
    assert_eq!(second.try_take().unwrap().unwrap().unwrap(), 7, "whole");
    assert!(is_over(&root));
}

#[test]
fn d09_d29_a_moved_shield_does_not_start_its_budget_again() {
    // Armed at 0; moved at 6 to a place that is cut, or to one that is not.
    for cut in [true, false] {
        let sim = Sim::new();
        let (first_root, second_root) = (Root::new(sim.clone(), "first"), Root::new(sim.clone(), "second"));
        let alive = Alive::default();
        let (guard, slot) = (alive.guard(), Slot::new());
        let out = slot.clone();
        let first = first_root.handle().spawn(async move {
            let mut kept = Box::pin(shield(ms(10), async move {
                let _guard = guard;
                Sim::sleep(LONG).await;
            }));
            poll_once(&mut kept).await;
            // The task stays in a shield of its own while the other one is elsewhere.
            shield_unbounded(async move {
                Sim::sleep(6).await;
                out.put(kept);
                Sim::sleep(1).await;
            })
            .await;
        });
        sim.settle();
        first_root.handle().cancel("armed");
        go_to(&sim, 6);
        let kept = slot.take();
        let second = second_root.handle().spawn(async move {
            kept.await;
        });
        sim.settle();
        if cut {
            second_root.handle().cancel("there too");
            sim.settle();
        }
        go_to(&sim, 10);
        sim.settle();
        if !cut {
            // Spent, so it protects nothing where it is.
            assert_eq!(alive.count(), 1, "nothing is cut there");
            second_root.handle().cancel("later");
            sim.settle();
        }
        assert_eq!((sim.now(), alive.count()), (10, 0), "the budget of the first cancel (cut: {cut})");
        assert!(second.try_take().unwrap().is_err());
        assert!(first.try_take().is_some());
    }
}

#[test]
fn d29_what_is_inside_a_moved_scope_follows_when_it_is_polled() {
    let sim = Sim::new();
    let root = Root::new(sim.clone(), "root");
    let alive = Alive::default();
    let watch = alive.clone();
    let (handles, at) = (Arc::new(Mutex::new(Vec::new())), Slot::new());
    let inside = Arc::clone(&handles);
    let body = async move {
        // A combinator that polls only what was woken: the move alone reaches nothing in it.
        let mut all = FuturesUnordered::new();
        for i in 1..=3 {
            let (at, guard) = (Slot::new(), alive.guard());
            let child = async move {
                let _guard = guard;
                Sim::sleep(10 * i).await;
            };
            all.push(inner(&at, child, async {}));
            inside.lock().unwrap().push(at);
        }
        while all.next().await.is_some() {}
    };
    let (_first, slot) = start_in_a_task(root.handle(), inner(&at, async {}, body));
    sim.settle();
    let second = root.handle().spawn(slot.take());
    go_to(&sim, 10);
    assert_eq!(watch.count(), 2);
    let outer = at.take();
    let handles: Vec<_> = handles.lock().unwrap().iter().map(Slot::take).collect();
    assert!(!handles[2].is_cancelled());
    assert!(outer.cancel("where it is"));
    assert!(handles[2].is_cancelled());
    sim.settle();
    assert_eq!(watch.count(), 0, "the cancel reaches those that were not polled since the move");
    assert!(second.try_take().unwrap().unwrap().is_err());
    assert!(is_over(&root));
}

#[test]
fn d29_polled_outside_any_scope_it_stays_a_member_of_the_one_it_came_from() {
    let sim = Sim::new();
    let root = Root::new(sim.clone(), "root");
    let at = Slot::new();
    let (_first, slot) = start_in_a_task(root.handle(), inner(&at, Sim::sleep(10), Sim::sleep(LONG)));
    sim.settle();
    let future = slot.take();
    let out = Slot::new();
    let answer = out.clone();
    let clock = sim.clone();
    let watch = root.handle().clone();
    sim.run(async move {
        let mut future = future;
        poll_once(&mut future).await;
        assert_eq!(watch.live(), 1, "the tree has not lost it");
        Sim::sleep(5).await;
        watch.cancel("the end");
        out.put(future.await);
        assert_eq!(clock.now(), 5);
    });
    assert!(answer.take().unwrap_err().is_cancelled());
    assert!(is_over(&root));
}
