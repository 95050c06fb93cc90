//! `loop.call_later`, `Future.set_result`, `add_done_callback`: a spawned `sleep`, a `oneshot` channel, and a task that awaits
//! the handle. What a callback does belongs to a scope, like all else: it is waited for, and its panic is not lost.
//!
//! ```python
//! loop = asyncio.get_running_loop()
//! future = loop.create_future()
//! future.add_done_callback(lambda future: print("called with", future.result()))
//! loop.call_later(0.01, future.set_result, 3)
//! print(await future)
//! timer = loop.call_later(3600, print, "never")
//! timer.cancel()
//! ```
//!
//! Prints:
//!
//! ```text
//! the future has 3
//! called with 4
//! the timer was cancelled: true
//! nobody will ever answer: true
//! ```

use std::time::Duration;

use ramus::sync::oneshot;
use ramus::{BoxError, Scope, scope, sleep};

#[ramus::main]
async fn main() -> Result<(), BoxError> {
    scope(|s: Scope| async move {
        // call_later, set_result
        let (promise, future) = oneshot::channel();
        drop(s.spawn(async move {
            sleep(Duration::from_millis(10)).await;
            // `Err` hands the value back where nobody waits any more.
            promise.send(3).is_ok()
        }));
        println!("the future has {}", future.await?);

        // add_done_callback
        let task = s.spawn(async { 4 });
        let callback = s.spawn(async move {
            if let Ok(value) = task.await {
                println!("called with {value}");
            }
        });
        callback.await?;

        // A timer that is cancelled
        let timer = s.spawn(async {
            sleep(Duration::from_secs(3600)).await;
            println!("never");
        });
        println!("the timer was cancelled: {}", timer.cancel("not needed"));

        // A promise that is dropped is an error for who waits, where a forgotten Future hangs.
        let (promise, future) = oneshot::channel::<u32>();
        drop(promise);
        println!("nobody will ever answer: {}", future.await.is_err());
        Ok(())
    })
    .await?;
    Ok(())
}
