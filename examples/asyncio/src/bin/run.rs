//! `asyncio.run(main())`: a runtime is built, the body runs, and what is left is cancelled and waited for.
//!
//! ```python
//! async def main():
//!     print("hello")
//!     await asyncio.sleep(0.01)
//!     print("world")
//!
//! asyncio.run(main())
//! ```
//!
//! Prints:
//!
//! ```text
//! hello
//! world
//! on a runtime of its own: 42
//! ```

use std::time::Duration;

use ramus::{Runtime, sleep};

#[ramus::main]
async fn main() {
    println!("hello");
    sleep(Duration::from_millis(10)).await;
    println!("world");
    // By hand, and from a thread that is no worker: on a worker `block_on` is an error, as `asyncio.run` is inside a loop.
    let by_hand = || {
        let runtime = Runtime::new()?;
        std::io::Result::Ok(runtime.block_on(async { 42 }))
    };
    match std::thread::spawn(by_hand).join() {
        Ok(Ok(answer)) => println!("on a runtime of its own: {answer}"),
        Ok(Err(error)) => eprintln!("{error}"),
        Err(_) => eprintln!("the thread panicked"),
    }
}
