//! What lives long, in virtual time: supervised children, background scopes.

#![cfg(feature = "test-util")]

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ramus::testing::{Simulation, assert_quiescent};
use ramus::time::now;
use ramus::{BoxError, Supervisor, sleep};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_supervisor_pauses_in_virtual_time() {
    Simulation::new(1).block_on(async {
        let runs = Arc::new(AtomicU32::new(0));
        let start = now();
        let child = Arc::clone(&runs);
        let supervised = Supervisor::new().backoff(SECOND * 60, SECOND * 3600).intensity(5, SECOND * 86_400);
        let flaky = supervised.transient("flaky", move || {
            let run = child.fetch_add(1, Ordering::Relaxed);
            async move { if run < 4 { Err(BoxError::from("again")) } else { Ok(()) } }
        });
        flaky.run().await.unwrap();
        let minutes = (now() - start).as_secs() / 60;
        assert_eq!((runs.load(Ordering::Relaxed), minutes), (5, 1 + 2 + 4 + 8));
        assert_quiescent();
    });
}

#[test]
fn background_work_ends_with_the_simulation() {
    let mut simulation = Simulation::builder().seed(3).workers(2).build();
    let mut audit = simulation.block_on(async {
        let audit = ramus::background("audit");
        let task = audit.spawn(async {
            ramus::shield(SECOND * 5, sleep(SECOND * 2)).await;
            pending::<()>().await;
        });
        sleep(SECOND).await;
        Some(task)
    });
    assert!(simulation.shutdown(Duration::ZERO).is_clean());
    assert!(audit.take().unwrap().try_result().unwrap().unwrap_err().is_cancelled());
}
