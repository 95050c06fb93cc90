//! `gather`, `gather(return_exceptions=True)`: `try_join_all` and `join_all`. After an error `gather` raises and leaves the
//! others running; `try_join_all` cancels them and returns when they have ended. Both run their futures inside the calling
//! task, so that they may borrow; what is to run in parallel is spawned into a scope.
//!
//! ```python
//! print(await asyncio.gather(price("apples"), price("pears")))     # [120, 180]
//! await asyncio.gather(price("plums"), slow())                     # raises; slow() runs on
//! print(await asyncio.gather(price("apples"), price("plums"), return_exceptions=True))
//! ```
//!
//! Prints:
//!
//! ```text
//! [120, 180]
//! the slow one has cleaned up
//! no plums
//! [Ok(120), Err("no plums")]
//! in parallel: 300
//! ```

use std::time::Duration;

use ramus::{BoxError, Scope, join_all, run_until_cancelled, scope, sleep, try_join_all, yield_now};

async fn price(of: &str) -> Result<u32, String> {
    yield_now().await;
    match of {
        "apples" => Ok(120),
        "pears" => Ok(180),
        _ => Err(format!("no {of}")),
    }
}

/// Fails after a step, or sleeps for an hour.
async fn buy(of: &str) -> Result<u32, String> {
    if of != "gold" {
        return price(of).await;
    }
    match run_until_cancelled(sleep(Duration::from_secs(3600))).await {
        Ok(()) => Ok(1_000_000),
        Err(cancelled) => {
            println!("the slow one has cleaned up");
            cancelled.resume().await
        }
    }
}

#[ramus::main]
async fn main() -> Result<(), BoxError> {
    println!("{:?}", try_join_all([price("apples"), price("pears")]).await?);
    if let Err(error) = try_join_all([buy("gold"), buy("plums")]).await {
        println!("{error}");
    }
    println!("{:?}", join_all([price("apples"), price("plums")]).await);

    let sum = scope(|s: Scope| async move {
        let prices = ["apples", "pears"].map(|of| s.spawn_try(price(of)));
        Ok(try_join_all(prices).await?.iter().sum::<u32>())
    });
    println!("in parallel: {}", sum.await?);
    Ok(())
}
