//! `contextvars`: values of a scope, found by their type by everything in the scope and below it. A `ContextVar` is set at
//! any time, and copied when a task is made; a scope's value is set when the scope is opened and does not change.
//!
//! ```python
//! request_id = contextvars.ContextVar("request_id", default="nobody's")
//!
//! def log(text):
//!     print(f"[{request_id.get()}] {text}")
//!
//! request_id.set("7")
//! await asyncio.create_task(child())           # sees 7
//! ```
//!
//! Prints:
//!
//! ```text
//! [nobody's] outside
//! [7] in a child
//! [7.1] in a scope further in
//! [7] back in the body
//! [nobody's] outside again
//! ```

use ramus::{BoxError, Scope, ScopeValue, scope_value};

struct RequestId(&'static str);
impl ScopeValue for RequestId {}

fn log(text: &str) {
    let id = scope_value::<RequestId>().map_or("nobody's", |id| id.0);
    println!("[{id}] {text}");
}

#[ramus::main]
async fn main() -> Result<(), BoxError> {
    log("outside");
    Scope::builder()
        .value(RequestId("7"))
        .open(|s: Scope| async move {
            s.spawn(async { log("in a child") }).await?;
            Scope::builder()
                .value(RequestId("7.1"))
                .open(|_: Scope| async {
                    log("in a scope further in");
                    Ok(())
                })
                .await?;
            log("back in the body");
            Ok(())
        })
        .await?;
    log("outside again");
    Ok(())
}
