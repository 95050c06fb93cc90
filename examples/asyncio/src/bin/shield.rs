//! `shield(aw)`: what is inside goes on when the code around it is cancelled. In asyncio the caller is cut at once and the
//! inner task goes on unobserved; here the caller waits for it, up to a budget. Work that is to outlive the caller is
//! spawned into a scope further out.
//!
//! ```python
//! async def request():
//!     await asyncio.shield(commit())           # cut here: who waits for commit() now?
//! ```
//!
//! Prints:
//!
//! ```text
//! committed
//! the request was cut after its shield
//! written to the log, in the outer scope
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ramus::{BoxError, Scope, scope, shield, sleep, yield_now};

#[ramus::main]
async fn main() -> Result<(), BoxError> {
    scope(|outer: Scope| async move {
        let begun = Arc::new(AtomicBool::new(false));
        let (begin, log) = (Arc::clone(&begun), outer.clone());
        let request = outer.spawn(async move {
            // Its own life, in the scope it is given to.
            drop(log.spawn(async {
                sleep(Duration::from_millis(60)).await;
                println!("written to the log, in the outer scope");
            }));
            shield(Duration::from_secs(1), async {
                begin.store(true, Ordering::SeqCst);
                sleep(Duration::from_millis(10)).await;
                println!("committed");
            })
            .await;
            yield_now().await;
            println!("not reached: the next await after the shield observes the cancel");
        });
        while !begun.load(Ordering::SeqCst) {
            yield_now().await;
        }
        request.cancel("the client has gone");
        if request.await.is_err() {
            println!("the request was cut after its shield");
        }
        Ok(())
    })
    .await?;
    Ok(())
}
