//! `TaskGroup` and exception groups: a scope. The first failure cancels the siblings, all are joined, and *all* failures
//! are in the error. Unlike a `TaskGroup`, a scope that is cancelled from outside stays cancelled whatever its children do.
//!
//! ```python
//! try:
//!     async with asyncio.TaskGroup() as group:
//!         group.create_task(fail("first"))
//!         group.create_task(fail_while_cancelled("second"))
//!         group.create_task(asyncio.sleep(3600))
//! except* ValueError as group:
//!     print(group.exceptions)
//! ```
//!
//! Prints:
//!
//! ```text
//! the sleeper was cancelled: true
//! first
//! second, while being cancelled
//! ```

use std::sync::Arc;
use std::time::Duration;

use ramus::sync::Event;
use ramus::{BoxError, Scope, run_until_cancelled, scope, sleep};

#[ramus::main]
async fn main() -> Result<(), BoxError> {
    let result = scope(|s: Scope| async move {
        let sleeper = s.spawn(sleep(Duration::from_secs(3600)));
        let begun = Arc::new(Event::new());
        let begin = Arc::clone(&begun);
        drop(s.spawn_try(async move {
            let work = async {
                begin.set();
                sleep(Duration::from_secs(3600)).await;
            };
            match run_until_cancelled(work).await {
                Ok(()) => Ok(()),
                Err(_) => Err(BoxError::from("second, while being cancelled")),
            }
        }));
        drop(s.spawn_try(async move {
            begun.wait().await;
            Err::<(), _>(BoxError::from("first"))
        }));
        // The body waits for its children, is cut with them, and is told why.
        if let Err(cancelled) = run_until_cancelled(sleep(Duration::from_secs(3600))).await {
            let ended = ramus::shield(Duration::from_secs(1), sleeper).await;
            println!("the sleeper was cancelled: {}", ended.is_err_and(|error| error.is_cancelled()));
            cancelled.resume().await
        }
        Ok(())
    })
    .await;
    if let Err(error) = result {
        for error in error.errors() {
            println!("{error}");
        }
    }
    Ok(())
}
