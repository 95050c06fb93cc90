//! Awaiting a task twice: a `JoinHandle` hands its result over, once. `shared()` makes a handle that many may await, many
//! times; they share the value.
//!
//! ```python
//! task = asyncio.create_task(price())
//! print(await task, await task)                # 120 120
//! coroutine = price()
//! await coroutine
//! await coroutine                              # RuntimeError: cannot reuse already awaited coroutine
//! ```
//!
//! Prints:
//!
//! ```text
//! 120 120
//! another task sees 120
//! for both: the task was cancelled: nobody buys
//! for both: the task was cancelled: nobody buys
//! ```

use std::future::pending;

use ramus::{BoxError, spawn};

#[ramus::main]
async fn main() -> Result<(), BoxError> {
    let mut price = spawn(async { 120 }).shared();
    let same = price.clone();
    println!("{} {}", (&mut price).await?, price.await?);
    let other = spawn(async move { same.await.map(|price| format!("another task sees {price}")) });
    println!("{}", other.await??);

    let unsold = spawn(pending::<u32>()).shared();
    unsold.cancel("nobody buys");
    for reader in [unsold.clone(), unsold] {
        if let Err(error) = reader.await {
            println!("for both: {error}");
        }
    }
    Ok(())
}
