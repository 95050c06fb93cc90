//! An `Event` as a stop signal: every scope has one. `stop(grace)` asks everything below to finish; what has not finished
//! after the grace is cancelled.
//!
//! ```python
//! stop = asyncio.Event()
//! async def worker():
//!     while not stop.is_set():
//!         await step()
//! ...
//! stop.set()
//! done, pending = await asyncio.wait(workers, timeout=10)
//! for task in pending:
//!     task.cancel()
//! ```
//!
//! Prints:
//!
//! ```text
//! the polite one finishes its step
//! the deaf one was cancelled: true
//! ```

use std::time::Duration;

use ramus::{BoxError, OrStopping, Scope, scope, shield, sleep};

#[ramus::main]
async fn main() -> Result<(), BoxError> {
    let _ = scope(|s: Scope| async move {
        let signal = s.clone();
        let polite = s.spawn(async move {
            // `None` once the scope is asked to stop.
            while sleep(Duration::from_secs(3600)).until_stopping(&signal).await.is_some() {}
            println!("the polite one finishes its step");
        });
        let deaf = s.spawn(sleep(Duration::from_secs(3600)));
        s.stop(Duration::from_secs(3600));
        polite.await?;
        // A shorter grace takes the place of a longer one: what is left has ten milliseconds.
        s.stop(Duration::from_millis(10));
        shield(Duration::from_secs(1), async {
            let ended = deaf.await;
            println!("the deaf one was cancelled: {}", ended.is_err_and(|error| error.is_cancelled()));
        })
        .await;
        Ok(())
    })
    .await;
    Ok(())
}
