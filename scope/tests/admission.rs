//! Who is admitted to a scope that drains, is cancelled or has ended.
#![allow(missing_docs)]

mod common;

use std::io;
use std::sync::{Arc, Mutex};

use common::{Log, Sim};
use ramus_scope::{Root, Scope, ScopeHandle, scope};

async fn never() -> io::Result<()> {
    panic!("polled")
}

#[test]
fn d26_a_draining_scope_admits_from_anywhere_while_somebody_is_left() {
    let sim = Sim::new();
    let root = Root::new(sim.clone(), "root");
    let handle: Arc<Mutex<Option<Scope<Sim, io::Error>>>> = Arc::default();
    let out = Arc::clone(&handle);
    let ended = root.handle().spawn(async move {
        scope(|s: Scope<Sim, io::Error>| async move {
            s.spawn(Sim::sleep(10));
            *out.lock().unwrap() = Some(s);
            Ok(())
        })
        .await
    });
    sim.settle();
    let draining = handle.lock().unwrap().take().unwrap();
    // From outside of any task: by `spawn`, `offer` and `spawn_try`, from a foreign scope as well.
    let spawned = draining.spawn(async { 1 });
    let offered = draining.offer(async { 2 }).unwrap();
    let foreign = draining.clone();
    let tried = sim.run(async move {
        scope(|_other: Scope<Sim, io::Error>| async move {
            let tried = foreign.spawn_try(async { Ok::<_, io::Error>(3) });
            Ok(tried.await.unwrap())
        })
        .await
        .unwrap()
    });
    sim.settle();
    assert_eq!(spawned.try_take().unwrap().unwrap(), 1);
    assert_eq!(offered.try_take().unwrap().unwrap(), 2);
    assert_eq!(tried, 3);
    assert!(ended.try_take().is_none());
    while sim.advance() {
        sim.settle();
    }
    assert!(ended.try_take().unwrap().unwrap().is_ok());
    // Now it is closed.
    let late = draining.spawn_try(never());
    sim.settle();
    let error = late.try_take().unwrap().unwrap_err();
    assert!(error.is_cancelled() && error.never_started());
    assert!(draining.offer(async {}).err().unwrap().reason().is_none());
}

#[test]
fn d26_spawns_into_a_cancelled_scope_of_others() {
    let sim = Sim::new();
    let root = Root::new(sim.clone(), "root");
    let handle: Arc<Mutex<Option<Scope<Sim, io::Error>>>> = Arc::default();
    let out = Arc::clone(&handle);
    drop(root.handle().spawn(async move {
        let _ = scope(|s: Scope<Sim, io::Error>| async move {
            *out.lock().unwrap() = Some(s.clone());
            Sim::sleep(1_000).await;
            Ok(())
        })
        .await;
    }));
    sim.settle();
    let cancelled = handle.lock().unwrap().take().unwrap();
    assert!(cancelled.cancel("gone"));
    let untyped: ScopeHandle<Sim> = (*cancelled).clone();
    for refused in [
        cancelled.spawn(async { panic!("polled") }),
        cancelled.spawn_eager(async { panic!("polled") }),
        cancelled.spawn_try(never()),
        untyped.spawn(async { panic!("polled") }),
    ] {
        sim.settle();
        let error = refused.try_take().unwrap().unwrap_err();
        assert!(error.is_cancelled() && error.never_started());
        assert_eq!(error.reason().unwrap().message(), Some("gone"));
    }
    let refused = untyped.member_in_line(async {}).err().unwrap();
    assert_eq!(refused.reason().unwrap().message(), Some("gone"));
}

#[test]
fn d47_dropping_a_handle_does_not_detach() {
    let sim = Sim::new();
    let log = Log::default();
    let seen = log.clone();
    sim.run(async move {
        let l = log.clone();
        scope(|s: Scope<Sim, io::Error>| async move {
            drop(s.spawn(async move {
                Sim::sleep(5).await;
                l.add("child");
            }));
            Ok(())
        })
        .await
        .unwrap();
        log.add("scope");
    });
    assert_eq!(seen.take(), ["child", "scope"]);
}

#[test]
fn d47_an_error_of_spawn_lives_in_its_handle_and_one_of_spawn_try_fails_the_scope() {
    let sim = Sim::new();
    sim.run(async {
        scope(|s: Scope<Sim, io::Error>| async move {
            let handle = s.spawn(async { Err::<(), _>(io::Error::other("kept")) });
            assert_eq!(handle.await.unwrap().unwrap_err().to_string(), "kept");
            drop(s.spawn(async { Err::<(), _>(io::Error::other("lost with its handle")) }));
            Ok(())
        })
        .await
        .unwrap();
        let error = scope(|s: Scope<Sim, io::Error>| async move {
            drop(s.spawn_try(async { Err::<(), _>(io::Error::other("of the scope")) }));
            Ok(())
        })
        .await
        .unwrap_err();
        assert_eq!(error.errors()[0].to_string(), "of the scope");
    });
}
