//! Random programs: scopes, shields, timeouts, catches, spawns, cancels, deadlines, failures and drops, in any nesting, on
//! the deterministic executor.
//!
//! Whatever the program: it ends; nothing of it is alive when its scope returns; no alarm is left; and what a shield
//! without a bound has begun is never dropped half-way.
#![allow(missing_docs)]

mod common;

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::{Alive, Foreign, Sim};
use futures_util::future::{join_all, select};
use futures_util::stream::{FuturesUnordered, StreamExt};
use proptest::prelude::*;
use ramus_scope::{CutOn, Scope, ScopeHandle, run_until_cancelled, scope, shield, shield_unbounded};

#[derive(Debug, Clone)]
enum Op {
    Sleep(u8),
    Foreign,
    Scope { deadline: Option<u8>, body: Vec<Op> },
    Spawn { level: u8, body: Vec<Op>, cancel_after: Option<u8> },
    Fail { level: u8 },
    Shield { budget: u8, body: Vec<Op> },
    Whole(u8),
    Catch(Vec<Op>),
    Timeout { after: u8, body: Vec<Op> },
    DropAfter { after: u8, body: Vec<Op> },
    Cancel { level: u8 },
    Stop { level: u8, grace: u8 },
    MoveDeadline { level: u8, at: u8 },
    Join(Vec<Op>),
    Unordered(Vec<Op>),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let level = 0..4_u8;
    let leaf = prop_oneof![
        3 => (0..40_u8).prop_map(Op::Sleep),
        1 => Just(Op::Foreign),
        1 => (0..20_u8).prop_map(Op::Whole),
        1 => level.clone().prop_map(|level| Op::Fail { level }),
        2 => level.clone().prop_map(|level| Op::Cancel { level }),
        1 => (level.clone(), 0..20_u8).prop_map(|(level, grace)| Op::Stop { level, grace }),
        1 => (level.clone(), 0..60_u8).prop_map(|(level, at)| Op::MoveDeadline { level, at }),
    ];
    let op = leaf.prop_recursive(5, 60, 5, move |op| {
        let body = || prop::collection::vec(op.clone(), 0..5);
        prop_oneof![
            3 => (prop::option::of(0..50_u8), body()).prop_map(|(deadline, body)| Op::Scope { deadline, body }),
            3 => (0..4_u8, body(), prop::option::of(0..20_u8))
                .prop_map(|(level, body, cancel_after)| Op::Spawn { level, body, cancel_after }),
            2 => (0..30_u8, body()).prop_map(|(budget, body)| Op::Shield { budget, body }),
            1 => body().prop_map(Op::Catch),
            2 => (0..30_u8, body()).prop_map(|(after, body)| Op::Timeout { after, body }),
            1 => (0..30_u8, body()).prop_map(|(after, body)| Op::DropAfter { after, body }),
            1 => body().prop_map(Op::Join),
            1 => body().prop_map(Op::Unordered),
        ]
    });
    prop::collection::vec(op, 1..6)
}

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

#[derive(Clone, Default)]
struct World {
    alive: Alive,
    /// Shields without a bound that were entered and not left.
    inside: Arc<AtomicUsize>,
    scopes: Vec<Scope<Sim, io::Error>>,
}

impl World {
    /// The `level`-th scope outwards.
    fn scope(&self, level: u8) -> Option<&Scope<Sim, io::Error>> {
        self.scopes.iter().rev().nth(usize::from(level))
    }
}

fn ms(ms: u8) -> Duration {
    Duration::from_millis(u64::from(ms))
}

fn run(world: World, sim: Sim, body: Vec<Op>) -> Work {
    let guard = world.alive.guard();
    Box::pin(async move {
        let _guard = guard;
        for op in body {
            one(&world, &sim, op).await;
        }
    })
}

async fn one(world: &World, sim: &Sim, op: Op) {
    let again = |body| run(world.clone(), sim.clone(), body);
    match op {
        Op::Sleep(time) => Sim::sleep(u64::from(time)).await,
        Op::Foreign => Foreign::default().await,
        Op::Scope { deadline, body } => {
            let (outer, at, sim) = (world.clone(), deadline.map(|at| sim.instant(u64::from(at))), sim.clone());
            let builder = Scope::<Sim>::builder();
            let builder = if let Some(at) = at { builder.deadline(at) } else { builder };
            let alive = world.alive.clone();
            let _ = builder
                .open(move |s: Scope<Sim, io::Error>| {
                    let guard = alive.guard();
                    async move {
                        let _guard = guard;
                        let mut world = outer;
                        world.scopes.push(s);
                        run(world, sim, body).await;
                        Ok(())
                    }
                })
                .await;
        }
        Op::Spawn { level, body, cancel_after } => {
            let Some(scope) = world.scope(level) else { return };
            // What is refused is no member: it comes back, and goes here.
            let Ok(handle) = scope.offer(again(body)) else { return };
            if let Some(after) = cancel_after {
                Sim::sleep(u64::from(after)).await;
                handle.cancel("alone");
            }
        }
        Op::Fail { level } => {
            if let Some(scope) = world.scope(level) {
                drop(scope.spawn_try(async { Err::<(), _>(io::Error::other("failed")) }));
            }
        }
        Op::Shield { budget, body } => shield(ms(budget), again(body)).await,
        Op::Whole(time) => {
            let inside = Arc::clone(&world.inside);
            shield_unbounded(async move {
                inside.fetch_add(1, Ordering::SeqCst);
                Sim::sleep(u64::from(time)).await;
                inside.fetch_sub(1, Ordering::SeqCst);
            })
            .await;
        }
        Op::Catch(body) => {
            if let Err(cancelled) = run_until_cancelled(again(body)).await {
                cancelled.resume().await
            }
        }
        Op::Timeout { after, body } => drop(CutOn::new(again(body), Sim::sleep(u64::from(after))).await),
        Op::DropAfter { after, body } => {
            let _ = select(again(body), Box::pin(Sim::sleep(u64::from(after)))).await;
        }
        Op::Cancel { level } => {
            if let Some(scope) = world.scope(level) {
                assert!(!scope.cancel("program") || scope.is_cancelled());
            }
        }
        Op::Stop { level, grace } => {
            if let Some(scope) = world.scope(level) {
                scope.stop(ms(grace));
            }
        }
        Op::MoveDeadline { level, at } => {
            if let Some(scope) = world.scope(level) {
                let _ = scope.set_deadline(sim.instant(u64::from(at)));
            }
        }
        Op::Join(body) => drop(join_all(body.into_iter().map(|op| again(vec![op]))).await),
        Op::Unordered(body) => {
            let mut all: FuturesUnordered<_> = body.into_iter().map(|op| again(vec![op])).collect();
            while all.next().await.is_some() {}
        }
    }
}

/// No drop from outside, under which even a shield is dropped, and no spent shield around.
fn keeps_shields(body: &[Op]) -> bool {
    body.iter().all(|op| match op {
        Op::DropAfter { .. } | Op::Shield { .. } => false,
        Op::Scope { body, .. }
        | Op::Spawn { body, .. }
        | Op::Catch(body)
        | Op::Timeout { body, .. }
        | Op::Join(body)
        | Op::Unordered(body) => keeps_shields(body),
        _ => true,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_program_ends_and_leaves_nothing(body in ops()) {
        let sim = Sim::new();
        let world = World::default();
        let (alive, inside, keeps) = (world.alive.clone(), Arc::clone(&world.inside), keeps_shields(&body));
        let (host, seen) = (sim.clone(), alive.clone());
        let handle: ScopeHandle<Sim> = sim.run(async move {
            let slot = Arc::new(std::sync::Mutex::new(None));
            let kept = Arc::clone(&slot);
            let _ = scope(move |s: Scope<Sim, io::Error>| {
                *kept.lock().unwrap() = Some((*s).clone());
                let mut world = world;
                world.scopes.push(s);
                let work = run(world, host, body);
                async move {
                    work.await;
                    Ok(())
                }
            })
            .await;
            assert_eq!(seen.count(), 0, "dropped when the scope returns");
            slot.lock().unwrap().take().unwrap()
        });
        prop_assert_eq!(handle.live(), 0);
        prop_assert_eq!(handle.tree().len(), 1);
        prop_assert_eq!(alive.count(), 0);
        prop_assert_eq!(sim.alarms(), 0);
        if keeps {
            prop_assert_eq!(inside.load(Ordering::SeqCst), 0, "a shield was dropped half-way");
        }
    }
}
