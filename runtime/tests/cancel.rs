//! Cancelling large trees on the real scheduler: everything is dropped when the scope returns, what is shielded ends first.
#![allow(missing_docs)]

mod common;

use std::future::{Future, pending};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::{runtime, watchdog};
use ramus::{Scope, scope, shield, sleep, yield_now};

/// Counts what is alive.
#[derive(Clone, Default)]
struct Alive(Arc<AtomicUsize>);

struct Guard(Arc<AtomicUsize>);

impl Alive {
    fn guard(&self) -> Guard {
        self.0.fetch_add(1, Ordering::SeqCst);
        Guard(Arc::clone(&self.0))
    }

    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    /// Yields until `count` are alive.
    async fn reach(&self, count: usize) {
        while self.count() != count {
            yield_now().await;
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[test]
fn d32_a_hundred_thousand_parked_children_and_a_shielded_one() {
    const CHILDREN: usize = 100_000;
    let _watchdog = watchdog();
    let runtime = runtime(2);
    let handle = runtime.handle();
    let alive = Alive::default();
    let watch = alive.clone();
    let finished = Arc::new(AtomicUsize::new(0));
    let end = Arc::clone(&finished);
    let (release, released) = futures_channel();
    let result = runtime.block_on(async move {
        ramus::spawn(async move {
            Scope::builder()
                .name("crowd")
                .open(|s: Scope<io::Error>| async move {
                    for _ in 0..CHILDREN {
                        let guard = alive.guard();
                        drop(s.spawn(async move {
                            pending::<()>().await;
                            drop(guard);
                        }));
                    }
                    let guard = alive.guard();
                    drop(s.spawn(async move {
                        let _guard = guard;
                        shield(Duration::from_secs(60), async {
                            released.await;
                            end.fetch_add(1, Ordering::SeqCst);
                        })
                        .await;
                        pending::<()>().await;
                        end.fetch_add(1, Ordering::SeqCst);
                    }));
                    // Until all of them are suspended.
                    while handle.tree().to_string().matches("suspended").count() < CHILDREN {
                        sleep(Duration::from_millis(1)).await;
                    }
                    let watcher = ScopeWatch { handle, alive: alive.clone() };
                    std::thread::spawn(move || watcher.see_the_shielded_child_then(release));
                    s.cancel("all of them");
                    yield_now().await;
                    Ok(())
                })
                .await
        })
        .await
    });
    assert!(result.unwrap().unwrap_err().is_cancelled());
    assert_eq!(watch.count(), 0, "dropped, not only marked");
    assert_eq!(finished.load(Ordering::SeqCst), 1, "the shielded code ran to its end, the code after it did not");
}

/// Looks at the tree while the cancel waits for the shielded child.
struct ScopeWatch {
    handle: ramus::Handle,
    alive: Alive,
}

impl ScopeWatch {
    fn see_the_shielded_child_then(self, release: impl FnOnce()) {
        while self.alive.count() != 1 {
            std::thread::yield_now();
        }
        let tree = self.handle.tree().to_string();
        assert!(tree.contains("crowd") && tree.contains("shield"), "{tree}");
        release();
    }
}

/// A latch: the release, and the future that waits for it.
fn futures_channel() -> (impl FnOnce() + Send + 'static, impl Future<Output = ()> + Send + 'static) {
    let (sender, receiver) = futures_util::future::abortable(pending::<()>());
    let handle = receiver;
    (move || handle.abort(), async move {
        let _ = sender.await;
    })
}

#[test]
fn a_tree_of_depth_6_and_fan_out_8() {
    fn grow(alive: Alive, depth: u32) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            let _guard = alive.guard();
            if depth == 0 {
                return pending().await;
            }
            let _ = scope(|s: Scope<io::Error>| async move {
                for _ in 0..8 {
                    drop(s.spawn(grow(alive.clone(), depth - 1)));
                }
                Ok(())
            })
            .await;
            unreachable!("code after a scope that was cut from outside does not run");
        })
    }
    let _watchdog = watchdog();
    let runtime = runtime(2);
    for _ in 0..3 {
        let alive = Alive::default();
        let watch = alive.clone();
        let result = runtime.block_on(scope(|s: Scope<io::Error>| async move {
            drop(s.spawn(grow(alive.clone(), 6)));
            alive.reach((8_usize.pow(7) - 1) / 7).await;
            s.cancel("all");
            yield_now().await;
            Ok(())
        }));
        assert!(result.unwrap_err().is_cancelled());
        assert_eq!(watch.count(), 0);
    }
}
