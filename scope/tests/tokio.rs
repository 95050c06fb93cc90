//! The same scopes on tokio's threads: nothing of this crate knows the executor.
#![allow(missing_docs)]

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::{Duration, Instant};

use ramus_scope::{BoxError, Host, JoinError, Member, Scope, ScopeHandle, scope, shield};

#[derive(Clone)]
struct Tokio(tokio::runtime::Handle);

struct Alarm(tokio::task::AbortHandle);

impl Drop for Alarm {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Host for Tokio {
    type JoinHandle<T: Send + 'static> = tokio::task::JoinHandle<Result<T, JoinError>>;
    type Alarm = Alarm;

    fn current() -> Option<Tokio> {
        tokio::runtime::Handle::try_current().ok().map(Tokio)
    }

    fn spawn<F>(&self, member: Member<F>) -> Self::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.0.spawn(member.into_future())
    }

    fn wake_after(&self, after: Duration, waker: Waker) -> Alarm {
        let task = self.0.spawn(async move {
            tokio::time::sleep(after).await;
            waker.wake();
        });
        Alarm(task.abort_handle())
    }

    fn wake_at(&self, at: Instant, waker: Waker) -> Alarm {
        self.wake_after(at.saturating_duration_since(Instant::now()), waker)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_child_cancels_its_siblings() {
    let dropped = Arc::new(AtomicUsize::new(0));
    struct OnDrop(Arc<AtomicUsize>);
    impl Drop for OnDrop {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let count = Arc::clone(&dropped);
    let error = scope(|s: Scope<Tokio>| async move {
        for _ in 0..1000 {
            let guard = OnDrop(Arc::clone(&count));
            drop(s.spawn(async move {
                let _guard = guard;
                std::future::pending::<()>().await;
            }));
        }
        drop(s.spawn_try(async { Err::<(), BoxError>("no".into()) }));
        Ok(())
    })
    .await
    .unwrap_err();
    assert_eq!(error.to_string(), "no");
    assert_eq!(dropped.load(Ordering::SeqCst), 1000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inside_a_spawned_task_with_the_default_error() {
    // The future of a scope is `Send` with a trait object as its error.
    let sum = tokio::spawn(async {
        scope(|s: Scope<Tokio>| async move {
            let a = s.spawn(async { 40 });
            let b = s.spawn(async { 2 });
            Ok(a.await?? + b.await??)
        })
        .await
    });
    assert_eq!(sum.await.unwrap().unwrap(), 42);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadline_and_a_shield() {
    let done = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&done);
    let error = Scope::<Tokio>::builder()
        .deadline(Instant::now())
        .open(|s: Scope<Tokio>| async move {
            drop(s.spawn(async move {
                shield(Duration::from_secs(60), tokio::time::sleep(Duration::from_millis(5))).await;
                seen.fetch_add(1, Ordering::SeqCst);
            }));
            std::future::pending::<()>().await;
            Ok(())
        })
        .await
        .unwrap_err();
    assert!(error.is_elapsed());
    // The child may have been cut before its first poll, but never between.
    assert!(done.load(Ordering::SeqCst) <= 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d32_a_storm_of_scopes_from_all_threads() {
    let tasks: Vec<_> = (0..200)
        .map(|i| {
            tokio::spawn(async move {
                for round in 0..20 {
                    let result = scope(|s: Scope<Tokio>| async move {
                        let handle = s.clone();
                        for _ in 0..5 {
                            let handle = handle.clone();
                            drop(s.spawn(async move {
                                drop(handle.spawn(tokio::task::yield_now()));
                                tokio::task::yield_now().await;
                            }));
                        }
                        if (i + round) % 3 == 0 {
                            s.cancel("round over");
                        }
                        Ok(())
                    })
                    .await;
                    if let Err(error) = result {
                        assert!(error.is_cancelled());
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

/// Opens scopes `depth` deep, three children each, some of them in shields, and hands out the handles.
fn grow(
    depth: usize,
    alive: Arc<AtomicUsize>,
    handles: Arc<Mutex<Vec<ScopeHandle<Tokio>>>>,
) -> futures_util::future::BoxFuture<'static, ()> {
    struct Count(Arc<AtomicUsize>);
    impl Drop for Count {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }
    alive.fetch_add(1, Ordering::SeqCst);
    let guard = Count(Arc::clone(&alive));
    Box::pin(async move {
        let _guard = guard;
        if depth == 0 {
            return std::future::pending().await;
        }
        let _ = scope(|s: Scope<Tokio>| async move {
            handles.lock().unwrap().push((*s).clone());
            loop {
                for _ in 0..3 {
                    drop(s.spawn(grow(depth - 1, Arc::clone(&alive), Arc::clone(&handles))));
                }
                let inner = grow(depth - 1, Arc::clone(&alive), Arc::clone(&handles));
                let _ = tokio::time::timeout(Duration::from_millis(8), shield(Duration::from_millis(1), inner)).await;
                if s.live() > 20 {
                    std::future::pending::<()>().await;
                }
            }
            #[allow(unreachable_code)]
            Ok(())
        })
        .await;
    })
}

#[test]
fn d32_cancels_from_eight_threads_while_the_tree_grows() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    let alive = Arc::new(AtomicUsize::new(0));
    for _ in 0..10 {
        let handles = Arc::default();
        let task = runtime.spawn(grow(3, Arc::clone(&alive), Arc::clone(&handles)));
        let over = Arc::new(AtomicBool::new(false));
        let threads: Vec<_> = (0..8_usize)
            .map(|n| {
                let (handles, over) = (Arc::clone(&handles), Arc::clone(&over));
                std::thread::spawn(move || {
                    for turn in 0_usize.. {
                        let picked = {
                            let handles = handles.lock().unwrap();
                            // The outermost scope comes last, when the storm has lasted a while.
                            let last = handles.len().saturating_sub(1);
                            handles.get(1 + (turn * 7 + n * 13) % last.max(1)).cloned()
                        };
                        if let Some(handle) = picked {
                            match turn % 4 {
                                0 => drop(handle.spawn(std::future::pending::<()>())),
                                1 => drop(handle.tree()),
                                _ => assert!(!handle.cancel("storm") || handle.is_cancelled()),
                            }
                        }
                        if over.load(Ordering::SeqCst) {
                            return;
                        }
                        std::thread::yield_now();
                    }
                })
            })
            .collect();
        std::thread::sleep(Duration::from_millis(30));
        let outermost = handles.lock().unwrap()[0].clone();
        outermost.cancel("the end");
        assert!(outermost.is_cancelled());
        let ended = runtime.block_on(async { tokio::time::timeout(Duration::from_secs(60), task).await });
        over.store(true, Ordering::SeqCst);
        for thread in threads {
            thread.join().unwrap();
        }
        ended.expect("a hang").unwrap();
        assert_eq!((alive.load(Ordering::SeqCst), outermost.live()), (0, 0));
    }
}
