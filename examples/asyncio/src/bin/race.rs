//! The first of several, and an end of the others: in asyncio `wait(FIRST_COMPLETED)`, a loop of `cancel()`, and another wait
//! that nobody should forget. `race` does all of it: the losers have ended when it returns.
//!
//! ```python
//! done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
//! for task in pending:
//!     task.cancel()
//! await asyncio.gather(*pending, return_exceptions=True)
//! ```
//!
//! Prints:
//!
//! ```text
//! the slow mirror hangs up
//! the winner is the quick mirror
//! the first of many: Some(1)
//! ```

use std::time::Duration;

use ramus::{BoxError, race, race_all, run_until_cancelled, shield, sleep};

const HOUR: Duration = Duration::from_secs(3600);

async fn quick_mirror() -> &'static str {
    sleep(Duration::from_millis(5)).await;
    "the quick mirror"
}

async fn slow_mirror() -> &'static str {
    match run_until_cancelled(sleep(HOUR)).await {
        Ok(()) => "the slow mirror",
        Err(cancelled) => {
            shield(Duration::from_secs(1), sleep(Duration::from_millis(5))).await;
            println!("the slow mirror hangs up");
            cancelled.resume().await
        }
    }
}

#[ramus::main]
async fn main() -> Result<(), BoxError> {
    let winner = race((slow_mirror(), quick_mirror())).await;
    println!("the winner is {winner}");

    let many = [HOUR, Duration::ZERO, HOUR].into_iter().enumerate().map(|(number, nap)| async move {
        sleep(nap).await;
        number
    });
    println!("the first of many: {:?}", race_all(many).await);
    Ok(())
}
