//! `as_completed(…, timeout)`: the results in the order in which the tasks finish. In asyncio a time-out leaves the others
//! running, with nobody to wait for them; here they stay in their scope, which cancels or joins them.
//!
//! ```python
//! for next in asyncio.as_completed(tasks, timeout=0.01):
//!     print(await next)                        # TimeoutError, in the end; the task runs on
//! ```
//!
//! Prints:
//!
//! ```text
//! three
//! one
//! two
//! no more in time, 1 to come
//! four was cancelled: true
//! ```

use std::sync::Arc;
use std::time::Duration;

use ramus::sync::Event;
use ramus::{BoxError, Scope, as_completed, scope, timeout};

#[ramus::main]
async fn main() -> Result<(), BoxError> {
    scope(|s: Scope| async move {
        let names = ["one", "two", "three", "four"];
        let gates = names.map(|_| Arc::new(Event::new()));
        let tasks = names.into_iter().zip(&gates).map(|(name, gate)| {
            let gate = Arc::clone(gate);
            s.spawn(async move {
                gate.wait().await;
                name
            })
        });
        let mut results = as_completed(tasks);
        // They finish in this order; nobody opens the last gate.
        for gate in [2, 0, 1] {
            gates[gate].set();
            if let Some(name) = results.next().await {
                println!("{}", name?);
            }
        }
        if timeout(Duration::from_millis(10), results.next()).await.is_err() {
            println!("no more in time, {} to come", results.len());
        }
        for late in results.into_handles() {
            late.cancel("too late");
            println!("four was cancelled: {}", late.await.is_err_and(|error| error.is_cancelled()));
        }
        Ok(())
    })
    .await?;
    Ok(())
}
