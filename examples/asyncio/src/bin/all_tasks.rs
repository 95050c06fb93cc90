//! `all_tasks()`, `current_task()`, `asyncio pstree`: `task::all()`, `task::current()`, and the tree of a runtime, while it
//! runs.
//!
//! ```python
//! asyncio.current_task().set_name("main")
//! print([task.get_name() for task in asyncio.all_tasks()])
//! ```
//!
//! Prints:
//!
//! ```text
//! I am "reporter"
//! waiting: ["one", "two"]
//! the tree shows the scope: true
//! ```

use std::sync::Arc;

use ramus::sync::Event;
use ramus::{BoxError, Handle, Scope, task};

#[ramus::main]
async fn main() -> Result<(), BoxError> {
    Scope::builder()
        .name("workshop")
        .open(|s: Scope| async move {
            let evening = Arc::new(Event::new());
            for name in ["one", "two"] {
                let evening = Arc::clone(&evening);
                drop(task::Builder::new().name(name).spawn_in(&s, async move { evening.wait().await }));
            }
            let reporter = async {
                let name = task::current().and_then(|task| task.name().map(str::to_owned));
                println!("I am {:?}", name.as_deref().unwrap_or("nobody"));
                // Until both have suspended.
                let mut waiting = Vec::new();
                while waiting.len() < 2 {
                    ramus::yield_now().await;
                    waiting = task::all().iter().filter_map(|task| task.name.clone()).collect();
                    waiting.retain(|name| name != "reporter");
                }
                waiting.sort();
                println!("waiting: {waiting:?}");
                println!("the tree shows the scope: {}", Handle::current().tree().to_string().contains("workshop"));
            };
            task::Builder::new().name("reporter").spawn_in(&s, reporter).await?;
            evening.set();
            Ok(())
        })
        .await?;
    Ok(())
}
