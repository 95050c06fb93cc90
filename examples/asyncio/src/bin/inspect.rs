//! `done()`, `result()`, `exception()`, `cancelled()`: `is_finished()`, `try_result()` and `JoinError`. An error that a task
//! returns is a value like any other; a `JoinError` says that there is no value, and why.
//!
//! ```python
//! task = asyncio.create_task(work())
//! print(task.done())                           # False
//! task.result()                                # raises InvalidStateError
//! await task
//! print(task.result(), task.exception())       # 7 None
//! endless.cancel("enough")
//! print(endless.cancelled())                   # False: not before it has ended
//! ```
//!
//! Prints:
//!
//! ```text
//! done: false, result: None
//! done: true, result: Some(Ok(7))
//! taken, so: None
//! a failure is a value: Ok(Err("no"))
//! asked to end: true
//! cancelled: true, because: Some("enough")
//! ```

use std::future::pending;
use std::sync::Arc;

use ramus::sync::Event;
use ramus::{BoxError, spawn, yield_now};

#[ramus::main]
async fn main() -> Result<(), BoxError> {
    let gate = Arc::new(Event::new());
    let opened = Arc::clone(&gate);
    let mut task = spawn(async move {
        opened.wait().await;
        7
    });
    println!("done: {}, result: {:?}", task.is_finished(), task.try_result());
    gate.set();
    while !task.is_finished() {
        yield_now().await;
    }
    println!("done: {}, result: {:?}", task.is_finished(), task.try_result());
    // The result moves out, once: `shared()` is for many readers.
    println!("taken, so: {:?}", task.try_result());

    let failing = spawn(async { Err::<(), _>("no") });
    println!("a failure is a value: {:?}", failing.await);

    let endless = spawn(pending::<()>());
    endless.cancel("enough");
    // The request, at once. How the task ended is in its result.
    println!("asked to end: {}", endless.is_cancelled());
    if let Err(error) = endless.await {
        let message = error.reason().and_then(|reason| reason.message());
        println!("cancelled: {}, because: {message:?}", error.is_cancelled());
    }
    Ok(())
}
