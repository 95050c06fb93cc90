//! A loop that computes and asks `current_task().cancelled()`: here `is_cancelled()` tells, and `checkpoint()` is where a
//! cancel takes effect.
//!
//! ```python
//! async def crunch():
//!     while not asyncio.current_task().cancelled():   # always False while the task runs; a frequent mistake
//!         step()
//!         await asyncio.sleep(0)
//! ```
//!
//! Prints:
//!
//! ```text
//! the loop saw the cancel
//! the checkpoint ended the other loop
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ramus::{BoxError, checkpoint, is_cancelled, spawn, yield_now};

#[ramus::main]
async fn main() -> Result<(), BoxError> {
    let begun = Arc::new(AtomicBool::new(false));
    let begin = Arc::clone(&begun);
    let polite = spawn(async move {
        begin.store(true, Ordering::SeqCst);
        while !is_cancelled() {
            std::hint::spin_loop();
        }
        // It has not suspended, so it may still answer: a value wins against a cancel.
        "the loop saw the cancel"
    });
    while !begun.load(Ordering::SeqCst) {
        yield_now().await;
    }
    polite.cancel("enough");
    println!("{}", polite.await?);

    let endless = spawn(async {
        loop {
            // Lets others run when the budget of this poll is used up, and ends here once it is cancelled.
            checkpoint().await;
        }
    });
    endless.cancel("enough");
    if endless.await.is_err_and(|error| error.is_cancelled()) {
        println!("the checkpoint ended the other loop");
    }
    Ok(())
}
