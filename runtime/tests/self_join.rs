//! Joining oneself or an ancestor: an error that says so, not a hang (D39).
#![allow(missing_docs)]

mod common;

use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use common::{runtime, watchdog};
use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, StreamExt};
use ramus::combine::{When, wait};
use ramus::{JoinError, JoinHandle, Scope, scope, shield, yield_now};

/// Where a handle is left for the task that it is of.
struct Left<T>(Arc<Mutex<Option<JoinHandle<T>>>>);

impl<T> Clone for Left<T> {
    fn clone(&self) -> Self {
        Left(Arc::clone(&self.0))
    }
}

impl<T> Left<T> {
    fn new() -> Self {
        Left(Arc::default())
    }

    fn put(&self, handle: JoinHandle<T>) {
        *self.0.lock().unwrap() = Some(handle);
    }

    /// Yields until the handle is there.
    async fn take(&self) -> JoinHandle<T> {
        loop {
            if let Some(handle) = self.0.lock().unwrap().take() {
                return handle;
            }
            yield_now().await;
        }
    }
}

fn is_told(error: &JoinError) -> bool {
    let text = error.to_string();
    error.is_self_join() && !error.is_cancelled() && text.contains("would wait for itself")
}

#[test]
fn d39_a_task_that_awaits_itself_is_told_so_and_its_handle_is_good_elsewhere() {
    let _watchdog = watchdog();
    let answer = runtime(2).block_on(async {
        let (left, back) = (Left::new(), Left::new());
        let (own, out) = (left.clone(), back.clone());
        left.put(ramus::spawn(async move {
            let mut handle = own.take().await;
            let id = handle.id();
            let error = (&mut handle).await.unwrap_err();
            assert!(is_told(&error) && error.to_string().starts_with(&format!("task {id} ")), "{error}");
            out.put(handle);
            5
        }));
        back.take().await.await
    });
    assert_eq!(answer.unwrap(), 5, "the error has not taken the result");
}

#[test]
fn d39_through_combinators_that_bring_their_own_wakers() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    for unordered in [false, true] {
        let told = runtime.block_on(async {
            let (left, back) = (Left::new(), Left::new());
            let (own, out) = (left.clone(), back.clone());
            left.put(ramus::spawn(async move {
                let handle = own.take().await;
                let error = if unordered {
                    FuturesUnordered::from_iter([handle]).next().await.unwrap().unwrap_err()
                } else {
                    join_all([handle]).await.remove(0).unwrap_err()
                };
                out.put(ramus::spawn(async move { is_told(&error) }));
            }));
            back.take().await.await
        });
        assert!(told.unwrap());
    }
}

#[test]
fn d39_through_a_shared_handle_and_a_wait() {
    let _watchdog = watchdog();
    let runtime = runtime(2);
    for shared in [false, true] {
        let told = runtime.block_on(async {
            let (left, back) = (Left::new(), Left::new());
            let (own, out) = (left.clone(), back.clone());
            left.put(ramus::spawn(async move {
                let handle = own.take().await;
                let told = if shared {
                    is_told(&handle.shared().await.unwrap_err())
                } else {
                    let mut handles = vec![handle];
                    let done = wait(&mut handles, When::All, None).await;
                    is_told(&done.into_iter().next().unwrap().await.unwrap_err())
                };
                out.put(ramus::spawn(async move { told }));
            }));
            back.take().await.await
        });
        assert!(told.unwrap(), "shared: {shared}");
    }
}

#[test]
fn d39_an_ancestor_through_scopes() {
    let _watchdog = watchdog();
    for depth in [1, 2, 5] {
        let told = runtime(2).block_on(async {
            let left = Left::new();
            let (own, result) = (left.clone(), Arc::new(Mutex::new(None)));
            let out = Arc::clone(&result);
            // The handle is of no use outside any more, so the scope says when the task has ended.
            scope(|s: Scope| async move {
                left.put(s.spawn(descend(depth, own, out)));
                Ok(())
            })
            .await
            .unwrap();
            result.lock().unwrap().take()
        });
        assert_eq!(told, Some(true), "{depth} scopes below");
    }
}

/// Opens `depth` scopes, one inside a task of the other, and awaits `own` in the innermost.
fn descend(depth: u32, own: Left<()>, out: Arc<Mutex<Option<bool>>>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        if depth == 0 {
            let error = own.take().await.await.unwrap_err();
            *out.lock().unwrap() = Some(is_told(&error));
            return;
        }
        scope(|s: Scope| async move {
            drop(s.spawn(descend(depth - 1, own, out)));
            Ok(())
        })
        .await
        .unwrap();
    })
}

#[test]
fn d39_the_body_of_a_scope_of_the_task_is_inside_it() {
    let _watchdog = watchdog();
    runtime(2).block_on(async {
        let (left, back) = (Left::new(), Left::new());
        let (own, out) = (left.clone(), back.clone());
        left.put(ramus::spawn(async move {
            let told = scope(|s: Scope| async move {
                drop(s.spawn(async {}));
                Ok(is_told(&own.take().await.await.unwrap_err()))
            })
            .await
            .unwrap();
            out.put(ramus::spawn(async move { told }));
        }));
        assert!(back.take().await.await.unwrap());
    });
}

#[test]
fn d39_other_joins_work_as_ever() {
    let _watchdog = watchdog();
    runtime(2).block_on(async {
        // A sibling that has scopes of its own, a child, a cousin, and all of them in the future of `block_on` itself.
        let busy = || async {
            scope(|s: Scope| async move {
                let child = s.spawn(async {
                    yield_now().await;
                    1
                });
                Ok(child.await?)
            })
            .await
            .unwrap()
        };
        let sibling = ramus::spawn(busy());
        let sum = ramus::spawn(async move {
            let cousin = scope(|s: Scope| async move {
                let child = s.spawn(async move { sibling.await.unwrap() + 1 });
                Ok(child.await?)
            });
            cousin.await.unwrap() + 1
        });
        assert_eq!(sum.await.unwrap(), 3);
        let handles: Vec<_> = (0..4).map(|_| ramus::spawn(busy())).collect();
        assert_eq!(join_all(handles).await.into_iter().map(Result::unwrap).sum::<i32>(), 4);
    });
}

#[test]
fn d28_d39_a_task_does_not_wait_for_what_it_dropped_half_way() {
    let _watchdog = watchdog();
    runtime(2).block_on(async {
        let (left, back) = (Left::new(), Left::new());
        let (own, out) = (left.clone(), back.clone());
        let is_shielded = Arc::new(AtomicBool::new(false));
        let started = Arc::clone(&is_shielded);
        let is_dropped = Arc::new(AtomicBool::new(false));
        let dropped = Arc::clone(&is_dropped);
        left.put(ramus::spawn(async move {
            let mut inner = Box::pin(scope(|s: Scope| async move {
                let (own, out) = (own, out);
                drop(s.spawn(shield(Duration::from_secs(60), async move {
                    started.store(true, Ordering::Release);
                    while !is_dropped.load(Ordering::Acquire) {
                        yield_now().await;
                    }
                    let joined = own.take().await.await;
                    out.put(ramus::Handle::current().spawn(async move { joined.is_ok() }));
                })));
                pending::<()>().await;
                Ok(())
            }));
            poll_fn(|cx| {
                assert!(inner.as_mut().poll(cx).is_pending());
                Poll::Ready(())
            })
            .await;
            while !is_shielded.load(Ordering::Acquire) {
                yield_now().await;
            }
            drop(inner);
            dropped.store(true, Ordering::Release);
        }));
        assert!(back.take().await.await.unwrap());
    });
}
