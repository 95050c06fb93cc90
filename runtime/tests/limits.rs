//! Task limits on the real scheduler.

mod common;

use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{runtime, watchdog};
use ramus::{Scope, ScopeBuilder};

/// Counted while it lives, with the number that there were when it began.
struct Running(Arc<AtomicUsize>, usize);

impl Running {
    fn begin(running: Arc<AtomicUsize>) -> Running {
        let now = running.fetch_add(1, Ordering::SeqCst) + 1;
        Running(running, now)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[test]
fn a_task_limit_holds_for_every_way_to_spawn_but_blocking_jobs() {
    let _dog = watchdog();
    let runtime = runtime(2);
    let one = NonZeroUsize::MIN;
    runtime.block_on(async {
        ScopeBuilder::new()
            .task_limit(one)
            .open(|s: Scope| async move {
                let running = Arc::new(AtomicUsize::new(0));
                let work = || {
                    let running = Arc::clone(&running);
                    async move {
                        assert_eq!(running.fetch_add(1, Ordering::SeqCst), 0);
                        ramus::yield_now().await;
                        // Not a member of this scope's line: it would wait for the slot of who waits for it.
                        ramus::spawn_blocking(|| ()).await.unwrap();
                        running.fetch_sub(1, Ordering::SeqCst);
                    }
                };
                for _ in 0..20 {
                    drop(s.spawn(work()));
                    drop(s.spawn_eager(work()));
                    drop(ramus::spawn(work()));
                    drop(ramus::task::Builder::new().name("named").spawn(work()));
                    drop(ramus::task::Builder::new().eager().spawn_in(&s, work()));
                    s.spawn_when_free(work()).await?;
                }
                Ok(())
            })
            .await
            .unwrap();
    });
}

#[test]
fn spawn_when_free_keeps_the_spawn_site() {
    let _dog = watchdog();
    let runtime = runtime(1);
    runtime.block_on(async {
        ramus::scope(|s: Scope| async move {
            let site = s.spawn_when_free(async { ramus::task::current().unwrap().location().file() }).await?.await?;
            assert_eq!(site, file!());
            Ok(())
        })
        .await
        .unwrap();
    });
}

#[test]
fn d40_no_slot_is_lost_among_cancels() {
    const MOST: usize = 3;
    let _dog = watchdog();
    let runtime = runtime(4);
    runtime.block_on(async {
        ScopeBuilder::new()
            .task_limit(NonZeroUsize::new(MOST).unwrap())
            .open(|s: Scope| async move {
                let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
                let work = || {
                    let (running, most) = (Arc::clone(&running), Arc::clone(&most));
                    async move {
                        let running = Running::begin(running);
                        most.fetch_max(running.1, Ordering::SeqCst);
                        for _ in 0..3 {
                            ramus::yield_now().await;
                        }
                    }
                };
                for _ in 0..50 {
                    let handles: Vec<_> = (0..40).map(|_| s.spawn(work())).collect();
                    for handle in handles.iter().step_by(2) {
                        handle.cancel("every other one");
                    }
                    // Dropped where it waits, as a time-out would drop it.
                    let mut waiting = Box::pin(s.spawn_when_free(work()));
                    let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(waiting.as_mut().poll(cx))).await;
                    drop((polled, waiting));
                    for (index, handle) in handles.into_iter().enumerate() {
                        let answer = handle.await;
                        assert!(answer.is_ok() || index % 2 == 0);
                    }
                }
                while s.live() > 0 {
                    ramus::yield_now().await;
                }
                assert!(most.load(Ordering::SeqCst) <= MOST);
                let pending: Vec<_> = (0..MOST).map(|_| s.offer(std::future::pending::<()>()).unwrap()).collect();
                assert!(s.offer(async {}).unwrap_err().is_full(), "all slots are back, and no more");
                for handle in pending {
                    handle.cancel("enough");
                }
                Ok(())
            })
            .await
            .unwrap();
    });
}
