//! `wait(…, ALL_COMPLETED / FIRST_COMPLETED / FIRST_EXCEPTION, timeout)`: the finished handles come out of the list, the others
//! stay in it, and their tasks stay in their scope: who forgets them leaks nothing. A passed limit is no error, as in asyncio.
//! `FirstError` means tasks that ended without a value, the cancelled ones too; asyncio does not count those.
//!
//! ```python
//! done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
//! done, pending = await asyncio.wait(pending, timeout=0.01)
//! done, pending = await asyncio.wait(tasks, timeout=5, return_when=asyncio.FIRST_EXCEPTION)
//! for task in pending:
//!     task.cancel()
//! ```
//!
//! Prints:
//!
//! ```text
//! first completed: quick
//! after the limit: 0 done, 2 pending
//! all completed: 2 done, 0 pending
//! first error: 1 done, 2 pending
//! the scope has kept the error: out of apples
//! ```

use std::sync::Arc;
use std::time::Duration;

use ramus::sync::Event;
use ramus::{BoxError, JoinHandle, Scope, When, scope, sleep, wait};

const SHORT: Duration = Duration::from_millis(10);

#[ramus::main]
async fn main() -> Result<(), BoxError> {
    scope(|s: Scope| async move {
        let gate = Arc::new(Event::new());
        let slow = |gate: &Arc<Event>| {
            let gate = Arc::clone(gate);
            s.spawn(async move {
                gate.wait().await;
                "slow"
            })
        };
        let mut tasks = vec![slow(&gate), s.spawn(async { "quick" }), slow(&gate)];
        for task in wait(&mut tasks, When::FirstCompleted, None).await {
            println!("first completed: {}", task.await?);
        }
        let done = wait(&mut tasks, When::All, Some(SHORT)).await;
        println!("after the limit: {} done, {} pending", done.len(), tasks.len());
        gate.set();
        let done = wait(&mut tasks, When::All, None).await;
        println!("all completed: {} done, {} pending", done.len(), tasks.len());
        Ok(())
    })
    .await?;

    // `isolate`: one failure leaves the others alone.
    let failed = Scope::builder().isolate().open(|s: Scope| async move {
        let sleeper = || async {
            sleep(Duration::from_secs(3600)).await;
            Ok::<(), BoxError>(())
        };
        let failing = s.spawn_try(async { Err::<(), _>(BoxError::from("out of apples")) });
        let mut tasks: Vec<JoinHandle<()>> = vec![s.spawn_try(sleeper()), failing, s.spawn_try(sleeper())];
        let done = wait(&mut tasks, When::FirstError, Some(Duration::from_secs(60))).await;
        println!("first error: {} done, {} pending", done.len(), tasks.len());
        for task in tasks {
            task.cancel("not needed any more");
        }
        Ok(())
    });
    if let Err(error) = failed.await {
        println!("the scope has kept the error: {error}");
    }
    Ok(())
}
