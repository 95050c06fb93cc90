//! Scopes on tokio: what a team would write that wants scopes first, and perhaps another runtime later.
//!
//! `cargo run -p scope_on_tokio` prints what happens in three scopes: one that fails, one that is late, and one that is
//! stopped gracefully. `tokio_host.rs` is the whole glue.

mod tokio_host;

use std::time::{Duration, Instant};

use ramus_scope::{BoxError, scope, shield};
use tokio::time::sleep;
use tokio_host::Tokio;

/// A scope of this program. Naming the host once here saves it everywhere else.
type Scope<E = BoxError> = ramus_scope::Scope<Tokio, E>;

/// Says when a child's future is dropped: the only way in which a cancel reaches it.
struct SaysGoodbye(&'static str);

impl Drop for SaysGoodbye {
    fn drop(&mut self) {
        println!("  {} is dropped", self.0);
    }
}

#[tokio::main]
async fn main() {
    failure().await;
    deadline().await;
    graceful_stop().await;
}

/// A failing child cancels its siblings, and the scope answers when all of them are gone.
async fn failure() {
    println!("one child fails:");
    let result = scope(|s: Scope| async move {
        for name in ["first download", "second download"] {
            s.spawn(async move {
                let _goodbye = SaysGoodbye(name);
                sleep(Duration::from_secs(3600)).await;
            });
        }
        s.spawn_try(async {
            sleep(Duration::from_millis(20)).await;
            Err::<(), BoxError>("the disk is full".into())
        });
        Ok(())
    })
    .await;
    // Every error that any child produced is in here; this is the first one.
    println!("  the scope answers: {}\n", result.unwrap_err());
}

/// A scope that is late is cancelled with all that is in it. What must not be cut in the middle stands in a shield.
async fn deadline() {
    println!("a deadline passes while a transaction commits:");
    let result = ramus_scope::Builder::new()
        .name("order")
        .deadline(Instant::now() + Duration::from_millis(20))
        .open(|s: Scope| async move {
            s.spawn(async {
                let _goodbye = SaysGoodbye("the order");
                // Protected for up to a second after the cancel arrives.
                shield(Duration::from_secs(1), async {
                    println!("  commit begins");
                    sleep(Duration::from_millis(60)).await;
                    println!("  commit ends");
                })
                .await;
                sleep(Duration::ZERO).await;
                println!("  never printed: the first await after the shield is where the cancel takes effect");
            });
            Ok(())
        })
        .await;
    let error = result.unwrap_err();
    println!("  the scope answers: {error} (a deadline: {})\n", error.is_elapsed());
}

/// A stop is soft at first: children that listen finish their work. When the grace is over it turns into a cancel.
async fn graceful_stop() {
    println!("a server is asked to stop, with a grace of 100 ms:");
    let result = scope(|s: Scope| async move {
        // In a server: `s.stop_on(tokio::signal::ctrl_c(), grace)`.
        s.stop_on(sleep(Duration::from_millis(20)), Duration::from_millis(100));

        let me = s.clone();
        s.spawn(async move {
            let mut served = 0;
            loop {
                tokio::select! {
                    () = me.stopping() => break,
                    () = sleep(Duration::from_millis(5)) => served += 1,
                }
            }
            println!("  the polite child finishes (it did some work: {})", served > 0);
        });

        s.spawn(async {
            let _goodbye = SaysGoodbye("the stubborn child");
            std::future::pending::<()>().await;
        });
        Ok(())
    })
    .await;
    println!("  the scope answers: {}", result.unwrap_err());
}
