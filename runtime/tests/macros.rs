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
