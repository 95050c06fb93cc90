//! `except CancelledError: clean up; raise`: code sees the cancel as a value, cleans up, and goes on with the cancel. A
//! clean-up that has to wait does so in a shield.
//!
//! ```python
//! async def worker():
//!     try:
//!         await asyncio.sleep(3600)
//!     except asyncio.CancelledError:
//!         print("cleaning up")
//!         await release()                      # a second cancel may cut it short
//!         raise
//! ```
//!
//! Prints:
//!
//! ```text
//! cancelled: enough
//! cleaning up
//! released
//! the task was cancelled: enough
//! ```

use std::sync::Arc;
use std::time::Duration;

use ramus::sync::Event;
use ramus::{BoxError, run_until_cancelled, shield, sleep};

async fn release() {
    sleep(Duration::from_millis(5)).await;
    println!("released");
}

async fn worker(begun: Arc<Event>) -> u32 {
    let work = async {
        begun.set();
        sleep(Duration::from_secs(3600)).await;
    };
    match run_until_cancelled(work).await {
        Ok(()) => 42,
        Err(cancelled) => {
            println!("{cancelled}");
            println!("cleaning up");
            // At most a second after the cancel, whoever cancels again meanwhile.
            shield(Duration::from_secs(1), release()).await;
            // "raise": of whatever type the code needs, since it never returns.
            cancelled.resume().await
        }
    }
}

#[ramus::main]
async fn main() -> Result<(), BoxError> {
    let begun = Arc::new(Event::new());
    let task = ramus::spawn(worker(Arc::clone(&begun)));
    // Let it begin: cancelled before its first poll it would never run, and there would be nothing to clean up.
    begun.wait().await;
    task.cancel("enough");
    if let Err(error) = task.await {
        println!("{error}");
    }
    Ok(())
}
