//! `sleep(d)` and `sleep(0)`: a sleep is never early; `sleep(0)` is `yield_now()`.
//!
//! ```python
//! await asyncio.sleep(0.01)
//! await asyncio.sleep(0)                       # lets the others run
//! ```
//!
//! Prints:
//!
//! ```text
//! slept for at least 10 ms: true
//! ping pong ping pong
//! ```

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ramus::{BoxError, Builder, sleep, yield_now};

async fn say(what: &'static str, said: Arc<Mutex<Vec<&'static str>>>) {
    for _ in 0..2 {
        if let Ok(mut said) = said.lock() {
            said.push(what);
        }
        yield_now().await;
    }
}

fn main() -> Result<(), BoxError> {
    // One worker, so that there is one order.
    let runtime = Builder::new_multi_thread().worker_threads(1).build()?;
    let said = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&said);
    let task = runtime.spawn(async move {
        let begun = Instant::now();
        sleep(Duration::from_millis(10)).await;
        println!("slept for at least 10 ms: {}", begun.elapsed() >= Duration::from_millis(10));
        let (ping, pong) = (ramus::spawn(say("ping", Arc::clone(&said))), ramus::spawn(say("pong", said)));
        ping.await?;
        pong.await
    });
    runtime.block_on(task)??;
    if let Ok(heard) = heard.lock() {
        println!("{}", heard.join(" "));
    }
    Ok(())
}
