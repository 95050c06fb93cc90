//! `run_coroutine_threadsafe`, `call_soon_threadsafe`: the handle of a scope works from any thread. A thread outside runs a
//! future as a member of a scope, and blocks until the result is there.
//!
//! ```python
//! def outside(loop):
//!     future = asyncio.run_coroutine_threadsafe(work(), loop)
//!     print(future.result())                   # blocks this thread
//! threading.Thread(target=outside, args=[asyncio.get_running_loop()]).start()
//! ```
//!
//! Prints:
//!
//! ```text
//! the thread has its answer: 42
//! too late for a scope that has ended: true
//! ```

use std::thread;

use ramus::{BoxError, Scope, block_on_in, scope, spawn_blocking, yield_now};

async fn work() -> u32 {
    yield_now().await;
    42
}

#[ramus::main]
async fn main() -> Result<(), BoxError> {
    let ended = scope(|s: Scope| async move {
        let inside = s.clone();
        // A thread that the runtime knows nothing of.
        let thread = thread::spawn(move || block_on_in(&inside, work()));
        let answer = spawn_blocking(|| thread.join()).await?;
        match answer {
            Ok(answer) => println!("the thread has its answer: {}", answer?),
            Err(_) => println!("the thread panicked"),
        }
        Ok(s)
    })
    .await?;
    // `spawn` gives a handle that is cancelled already, `offer` gives the future back.
    let refused = thread::spawn(move || ended.offer(work()).is_err());
    println!("too late for a scope that has ended: {}", refused.join().unwrap_or(false));
    Ok(())
}
