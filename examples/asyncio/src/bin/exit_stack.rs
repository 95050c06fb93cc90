//! `AsyncExitStack`: `s.defer(…)`. What was deferred runs when everything in the scope has ended, last in, first out, also
//! after an error, a panic or a cancel. No cancel from outside cuts it short; a budget does.
//!
//! ```python
//! async with contextlib.AsyncExitStack() as stack:
//!     for name in ["database", "cache"]:
//!         stack.push_async_callback(close, name)
//!     raise ValueError("something went wrong")
//! ```
//!
//! Prints:
//!
//! ```text
//! database is open
//! cache is open
//! the child has ended
//! closing cache
//! closing database
//! something went wrong
//! closing the door, though the scope was cancelled
//! cancelled: true
//! ```

use std::time::Duration;

use ramus::{BoxError, Scope, run_until_cancelled, scope, sleep};

async fn close(name: &'static str) {
    sleep(Duration::from_millis(5)).await;
    println!("closing {name}");
}

#[ramus::main]
async fn main() -> Result<(), BoxError> {
    let failed = scope(|s: Scope| async move {
        for name in ["database", "cache"] {
            println!("{name} is open");
            s.defer(close(name))?;
        }
        // It uses both, and both are there until it has ended.
        drop(s.start_guaranteed(async {
            if let Err(cancelled) = run_until_cancelled(sleep(Duration::from_secs(3600))).await {
                println!("the child has ended");
                cancelled.resume().await
            }
        }));
        Err::<(), _>(BoxError::from("something went wrong"))
    });
    if let Err(error) = failed.await {
        println!("{error}");
    }

    let cancelled = scope(|s: Scope| async move {
        s.defer(close("the door, though the scope was cancelled"))?;
        s.cancel("enough");
        sleep(Duration::from_secs(3600)).await;
        Ok(())
    });
    println!("cancelled: {}", cancelled.await.is_err_and(|error| error.is_cancelled()));
    Ok(())
}
