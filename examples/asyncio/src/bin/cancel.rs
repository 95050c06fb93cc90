//! `task.cancel(msg)`: a request with a reason; `false` if the task has ended. The task is dropped at its next await: it
//! cannot swallow the cancel, and cancelling twice is the same as once.
//!
//! ```python
//! task = asyncio.create_task(asyncio.sleep(3600))
//! await asyncio.sleep(0)
//! print(task.cancel("no longer needed"))       # True
//! try:
//!     await task
//! except asyncio.CancelledError as error:
//!     print(error)                             # no longer needed
//! print(task.cancel())                         # False
//! ```
//!
//! Prints:
//!
//! ```text
//! cancelled: true
//! again: false
//! the task was cancelled: no longer needed
//! finished, so: false
//! ```

use std::time::Duration;

use ramus::{BoxError, sleep};

#[ramus::main]
async fn main() -> Result<(), BoxError> {
    let mut task = ramus::spawn(sleep(Duration::from_secs(3600)));
    println!("cancelled: {}", task.cancel("no longer needed"));
    println!("again: {}", task.cancel("the first reason stays"));
    // A joined task's cancel is an error value for who joins, never a cancel of the joiner.
    match (&mut task).await {
        Ok(()) => println!("it slept for an hour"),
        Err(error) => println!("{error}"),
    }
    println!("finished, so: {}", task.cancel("too late"));
    Ok(())
}
