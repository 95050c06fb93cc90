//! `#[ramus::main]` and `#[ramus::test]`.

#![cfg(feature = "macros")]

use std::io;

#[ramus::test]
async fn runs_on_two_workers() {
    assert_eq!(ramus::Handle::current().workers(), 2);
    assert_eq!(ramus::spawn(async { 1 }).await.unwrap(), 1);
}

#[ramus::test(worker_threads = 1)]
async fn one_worker() {
    assert_eq!(ramus::Handle::current().workers(), 1);
}

const WORKERS: usize = 3;

#[ramus::test(worker_threads = WORKERS,)]
async fn the_number_is_any_expression() {
    assert_eq!(ramus::Handle::current().workers(), 3);
}

#[ramus::test]
async fn returns_a_result() -> io::Result<()> {
    let answer = ramus::spawn(async { 42 }).await?;
    if answer != 42 {
        return Err(io::Error::other("another answer"));
    }
    Ok(())
}

#[ramus::test]
#[should_panic(expected = "seen by the harness")]
async fn a_panic_fails_the_test() {
    panic!("seen by the harness");
}

/// Not hidden by a name that the attribute uses itself.
fn runtime() -> u8 {
    3
}

#[ramus::test]
async fn names_of_the_body_are_its_own() {
    assert_eq!(runtime(), 3);
}

mod renamed {
    pub(crate) use ramus as runtime;

    #[runtime::test(crate = "runtime")]
    async fn another_path() {
        runtime::yield_now().await;
    }

    #[runtime::test(crate = "crate::renamed::runtime", worker_threads = 1)]
    async fn a_longer_path() {
        assert_eq!(runtime::Handle::current().workers(), 1);
    }
}

/// A function like a program's `main`, with visibility, attributes and a type of its own.
#[must_use]
#[ramus::main(worker_threads = 1)]
pub(crate) async fn main_like() -> Option<u8> {
    let seven = ramus::spawn(async { Some(7) }).await.ok()?;
    ramus::yield_now().await;
    seven
}

#[test]
fn main_builds_a_runtime_of_its_own() {
    assert_eq!(main_like(), Some(7));
    assert_eq!(main_like(), Some(7));
}

#[test]
fn main_inside_a_runtime_is_refused() {
    let runtime = ramus::Runtime::new().unwrap();
    let panic = runtime.block_on(async { std::panic::catch_unwind(main_like) }).unwrap_err();
    let text = panic.downcast_ref::<String>().unwrap();
    assert!(text.contains("block_on"), "{text}");
}

#[cfg(feature = "test-util")]
mod simulated {
    use std::collections::HashSet;
    use std::sync::Mutex;
    use std::time::{Duration, Instant};

    use ramus::{sleep, time};

    #[ramus::test(start_paused)]
    async fn a_day_takes_no_time() {
        assert_eq!(ramus::Handle::current().workers(), 1);
        let (began, start) = (Instant::now(), time::now());
        sleep(Duration::from_secs(86_400)).await;
        assert!(time::now() - start >= Duration::from_secs(86_400));
        assert!(began.elapsed() < Duration::from_secs(3600));
    }

    #[ramus::test(start_paused = true, seed = 7, workers = super::WORKERS)]
    async fn workers_are_any_expression() -> std::io::Result<()> {
        assert_eq!(ramus::Handle::current().workers(), 3);
        ramus::spawn(sleep(Duration::from_secs(60))).await?;
        Ok(())
    }

    #[ramus::test(start_paused = false)]
    async fn or_in_real_time() {
        assert_eq!(ramus::Handle::current().workers(), 2);
    }

    #[ramus::test(seed = 40..60, workers = 2)]
    #[should_panic(expected = "one order of six")]
    async fn a_range_of_seeds_tries_many_orders() {
        let order = std::sync::Arc::new(Mutex::new(Vec::new()));
        let tasks: Vec<_> = (0..3)
            .map(|number| {
                let order = std::sync::Arc::clone(&order);
                ramus::spawn(async move { order.lock().unwrap().push(number) })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_ne!(*order.lock().unwrap(), [2, 0, 1], "one order of six");
    }

    static ORDERS: Mutex<Vec<Vec<u32>>> = Mutex::new(Vec::new());

    #[ramus::test(seeds = 30)]
    async fn each_seed_runs_once() {
        let mut tasks = Vec::new();
        for number in 0..4 {
            tasks.push(ramus::spawn(async move {
                ramus::yield_now().await;
                number
            }));
        }
        let mut order = Vec::new();
        while !tasks.is_empty() {
            if let Some(done) = tasks.iter().position(ramus::JoinHandle::is_finished) {
                order.push(tasks.remove(done).await.unwrap());
            }
            ramus::yield_now().await;
        }
        let mut orders = ORDERS.lock().unwrap();
        orders.push(order);
        if std::env::var_os("RAMUS_SEED").is_none() && orders.len() == 30 {
            assert!(orders.iter().collect::<HashSet<_>>().len() > 3, "{orders:?}");
        }
    }

    #[ramus::test(start_paused)]
    #[should_panic(expected = "block_on suspended in \"simulation\" (runtime/tests/macros.rs:")]
    async fn a_test_that_hangs_fails() {
        std::future::pending::<()>().await;
    }
}
