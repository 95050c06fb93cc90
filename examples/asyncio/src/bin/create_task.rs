//! `create_task`, `ensure_future`, background tasks: a task runs at once and belongs to the scope around it. Nobody has to
//! keep a reference to it, and it is never orphaned.
//!
//! ```python
//! async def main():
//!     task = asyncio.create_task(work("first"))
//!     background = set()                       # or the task may vanish in the middle
//!     other = asyncio.create_task(work("second"))
//!     background.add(other)
//!     print(await task)
//! ```
//!
//! Prints:
//!
//! ```text
//! first is done
//! second is done
//! nothing is left
//! ```

use std::sync::Arc;
use std::time::Duration;

use ramus::sync::Event;
use ramus::{BoxError, Scope, scope, sleep};

async fn work(name: &'static str) -> String {
    sleep(Duration::from_millis(5)).await;
    format!("{name} is done")
}

#[ramus::main]
async fn main() -> Result<(), BoxError> {
    scope(|s: Scope| async move {
        let first = s.spawn(work("first"));
        let first_is_done = Arc::new(Event::new());
        let turn = Arc::clone(&first_is_done);
        // Its handle is dropped at once. The scope still waits for it.
        drop(s.spawn(async move {
            turn.wait().await;
            println!("{}", work("second").await);
        }));
        println!("{}", first.await?);
        first_is_done.set();
        Ok(())
    })
    .await?;
    println!("nothing is left");
    Ok(())
}
