//! `while True: try … except Exception: await sleep(backoff)`: a `Supervisor`. It restarts children that fail or panic, with
//! growing pauses, and gives up when that happens too often: then it says which child, and why.
//!
//! ```python
//! async def supervise(child):
//!     while True:
//!         try:
//!             return await child()
//!         except Exception as error:           # for how long? and who restarts its children?
//!             await asyncio.sleep(backoff())
//! ```
//!
//! Prints:
//!
//! ```text
//! attempt 1
//! attempt 2
//! attempt 3: imported
//! it has given up on Some("broken")
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ramus::{BoxError, Supervisor};

#[ramus::main]
async fn main() -> Result<(), BoxError> {
    let attempts = Arc::new(AtomicU32::new(0));
    let import = move || {
        let attempt = attempts.fetch_add(1, Ordering::SeqCst) + 1;
        async move {
            if attempt < 3 {
                println!("attempt {attempt}");
                return Err("not there yet");
            }
            println!("attempt {attempt}: imported");
            Ok(())
        }
    };
    let patient = Supervisor::new().backoff(Duration::from_millis(1), Duration::from_millis(4));
    patient.transient("import", import).run().await?;

    let strict = Supervisor::new().intensity(0, Duration::from_secs(1));
    if let Err(error) = strict.child("broken", || async { Err("always") }).run().await {
        println!("it has given up on {:?}", error.child());
    }
    Ok(())
}
