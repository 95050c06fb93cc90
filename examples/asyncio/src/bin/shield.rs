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
use std::time::Duration;

use ramus::sync::Event;
use ramus::{BoxError, Scope, scope, shield, yield_now};

#[ramus::main]
async fn main() -> Result<(), BoxError> {
    scope(|outer: Scope| async move {
        let [begun, cancelled, over] = [(); 3].map(|()| Arc::new(Event::new()));
        let (begin, cancel, end, log) = (Arc::clone(&begun), Arc::clone(&cancelled), Arc::clone(&over), outer.clone());
        let request = outer.spawn(async move {
            // Its own life, in the scope it is given to.
            drop(log.spawn(async move {
                end.wait().await;
                println!("written to the log, in the outer scope");
            }));
            shield(Duration::from_secs(1), async {
                begin.set();
                cancel.wait().await;
                println!("committed");
            })
            .await;
            yield_now().await;
            println!("not reached: the next await after the shield observes the cancel");
        });
        begun.wait().await;
        request.cancel("the client has gone");
        cancelled.set();
        if request.await.is_err() {
            println!("the request was cut after its shield");
        }
        over.set();
        Ok(())
    })
    .await?;
    Ok(())
}
