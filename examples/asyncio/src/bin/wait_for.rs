//! `wait_for`, `timeout`, `timeout_at`, `reschedule`: `timeout`, `timeout_at`, and the deadline of a scope, which can be moved
//! while the scope runs. As with `wait_for`, what was running has ended before the time-out returns. A time-out is an
//! ordinary error for its owner; code inside cannot take it for a cancel from further out.
//!
//! ```python
//! try:
//!     await asyncio.wait_for(work(), timeout=0.01)
//! except TimeoutError:
//!     print("too slow")
//! async with asyncio.timeout(3600) as limit:
//!     limit.reschedule(asyncio.get_running_loop().time() + 0.01)
//!     await asyncio.sleep(3600)                # TimeoutError at the end of the block
//! ```
//!
//! Prints:
//!
//! ```text
//! it cleans up
//! too slow: true
//! in time: Ok("done")
//! at: true
//! the scope is over its deadline: true
//! moved in time: finished
//! moved closer: true
//! ```

use std::time::{Duration, Instant};

use ramus::{BoxError, Scope, run_until_cancelled, shield, sleep, timeout, timeout_at};

const HOUR: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(10);

async fn work() {
    if let Err(cancelled) = run_until_cancelled(sleep(HOUR)).await {
        shield(Duration::from_secs(1), sleep(Duration::from_millis(5))).await;
        println!("it cleans up");
        cancelled.resume().await
    }
}

#[ramus::main]
async fn main() -> Result<(), BoxError> {
    println!("too slow: {}", timeout(SHORT, work()).await.is_err());
    println!("in time: {:?}", timeout(HOUR, async { "done" }).await);
    println!("at: {}", timeout_at(Instant::now() + SHORT, sleep(HOUR)).await.is_err());

    // A time limit for all that a scope does, its children too.
    let limited = Scope::builder().deadline(Instant::now() + SHORT).open(|s: Scope| async move {
        drop(s.spawn(sleep(HOUR)));
        Ok(())
    });
    println!("the scope is over its deadline: {}", limited.await.is_err_and(|error| error.is_elapsed()));

    // `reschedule`, from any thread and any task that has the handle: later ...
    let later = Scope::builder().deadline(Instant::now() + SHORT).open(|s: Scope| async move {
        s.set_deadline(Instant::now() + HOUR)?;
        sleep(3 * SHORT).await;
        Ok("finished")
    });
    println!("moved in time: {}", later.await?);
    // ... or sooner.
    let sooner = Scope::builder().deadline(Instant::now() + HOUR).open(|s: Scope| async move {
        s.set_deadline(Instant::now() + SHORT)?;
        sleep(HOUR).await;
        Ok(())
    });
    println!("moved closer: {}", sooner.await.is_err_and(|error| error.is_elapsed()));
    Ok(())
}
