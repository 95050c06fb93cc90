//! `to_thread`: `spawn_blocking`, a member of its scope. In asyncio a cancelled `to_thread` returns at once and its thread
//! goes on unobserved; here the scope waits for a job that has begun, and the job can ask whether it is still wanted.
//!
//! ```python
//! print(await asyncio.to_thread(hash, "slow"))
//! ```
//!
//! Prints:
//!
//! ```text
//! computed on another thread: 5050
//! the worker went on meanwhile
//! the job has seen the cancel
//! the scope has waited for it
//! ```

use std::sync::Arc;
use std::thread;

use ramus::sync::Event;
use ramus::{BoxError, Scope, blocking, scope, spawn_blocking};

#[ramus::main]
async fn main() -> Result<(), BoxError> {
    let sum = spawn_blocking(|| (1..=100).sum::<u32>());
    println!("computed on another thread: {}", sum.await?);

    let begun = Arc::new(Event::new());
    let begin = Arc::clone(&begun);
    scope(|_s: Scope| async move {
        let search = blocking::spawn_blocking_with(move |job| {
            begin.set();
            while !job.is_cancelled() {
                thread::yield_now();
            }
            println!("the job has seen the cancel");
        });
        begun.wait().await;
        println!("the worker went on meanwhile");
        search.cancel("found elsewhere");
        Ok(())
    })
    .await?;
    println!("the scope has waited for it");
    Ok(())
}
