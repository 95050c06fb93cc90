//! `Queue`: `sync::channel`, with many senders and many receivers. It is closed when all senders are gone: the workers end
//! by themselves when they have emptied it, so there is no `task_done()`, no `join()`, and nothing to cancel. (Python 3.13
//! has `Queue.shutdown` for it.)
//!
//! ```python
//! queue = asyncio.Queue(maxsize=2)
//! workers = [asyncio.create_task(worker(queue)) for _ in range(3)]
//! for job in range(1, 11):
//!     await queue.put(job)
//! await queue.join()
//! for worker in workers:                       # they wait in queue.get() for ever
//!     worker.cancel()
//! ```
//!
//! Prints:
//!
//! ```text
//! the third does not fit: true
//! 12 jobs, sum 58
//! ```

use ramus::sync::channel;
use ramus::{BoxError, Scope, scope};

#[ramus::main]
async fn main() -> Result<(), BoxError> {
    let done = scope(|s: Scope| async move {
        let (sender, queue) = channel::bounded(2);
        // put_nowait
        sender.try_send(1)?;
        sender.try_send(2)?;
        println!("the third does not fit: {}", sender.try_send(3).is_err_and(|error| error.is_full()));

        let workers = [(); 3].map(|()| {
            let queue = queue.clone();
            s.spawn(async move {
                let mut done = Vec::new();
                while let Ok(job) = queue.recv().await {
                    done.push(job);
                }
                done
            })
        });
        for job in 1..=10 {
            // Waits for a place.
            sender.send(job).await?;
        }
        drop(sender);
        let mut done: Vec<u32> = Vec::new();
        for worker in workers {
            done.extend(worker.await?);
        }
        Ok(done)
    })
    .await?;
    println!("{} jobs, sum {}", done.len(), done.iter().sum::<u32>());
    Ok(())
}
