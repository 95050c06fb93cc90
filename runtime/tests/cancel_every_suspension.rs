//! Every future of the crate that waits for several things or holds something, cancelled, dropped and made to panic at each
//! of its suspensions: nothing stays behind. Those that wait for one thing are in `cancel_safety.rs`.
#![allow(missing_docs)]
#![cfg(feature = "test-util")]

use std::future::pending;
use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ramus::sync::Event;
use ramus::testing::{Disturbance, Matrix};
use ramus::{
    BoxError, JoinHandle, OrStopping, Ready, Scope, Supervisor, When, as_completed, join_all, race, race_all,
    run_until_cancelled, scope, shield, sleep, timeout, try_join_all, wait, yield_now,
};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// What was made in a run, and what of it is left.
#[derive(Clone, Default)]
struct Count(Arc<(AtomicUsize, AtomicUsize)>);

struct Item(Count);

impl Count {
    fn item(&self) -> Item {
        self.0.0.fetch_add(1, Ordering::SeqCst);
        self.0.1.fetch_add(1, Ordering::SeqCst);
        Item(self.clone())
    }

    /// A task that ends after `after`, with an item.
    fn task(&self, after: u64) -> JoinHandle<Item> {
        let item = self.item();
        ramus::spawn(async move {
            sleep(ms(after)).await;
            item
        })
    }
}

impl Drop for Item {
    fn drop(&mut self) {
        self.0.0.1.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Runs the matrix over `make` with a few seeds. After each run no item is left, no task, no timer; an undisturbed one comes
/// to its end.
#[track_caller]
fn every_suspension<F>(at_least: usize, make: impl Fn(Count) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    for (seed, workers) in [(0, 1), (1, 2), (2, 4)] {
        let current = std::cell::RefCell::new(Count::default());
        let tried = Matrix::new().seed(seed).workers(workers).run(
            || {
                *current.borrow_mut() = Count::default();
                make(current.borrow().clone())
            },
            |point| {
                let count = current.borrow();
                let (made, left) = (count.0.0.load(Ordering::SeqCst), count.0.1.load(Ordering::SeqCst));
                match (left, made) {
                    (0, 0) if point.disturbance == Disturbance::None => Err("nothing was made".to_owned()),
                    (0, _) => Ok(()),
                    _ => Err(format!("{left} of {made} items are left")),
                }
            },
        );
        let report = tried.unwrap_or_else(|error| panic!("{error}"));
        assert!(report.suspensions() >= at_least, "{} suspensions", report.suspensions());
    }
}

#[test]
fn d38_d40_waits_for_many_tasks() {
    every_suspension(1, |count| async move {
        let mut handles = vec![count.task(1), count.task(2), count.task(3)];
        assert_eq!(wait(&mut handles, When::FirstCompleted, Some(ms(10))).await.len(), 1);
        assert_eq!(wait(&mut handles, When::FirstError, Some(ms(1))).await.len() + handles.len(), 2);
        drop(wait(&mut handles, When::All, None).await);
    });
    every_suspension(2, |count| async move {
        let mut each = as_completed([count.task(1), count.task(2), count.task(3)]);
        while each.next().await.is_some() {}
    });
    every_suspension(1, |count| async move {
        let (shared, same) = (count.task(2).shared(), count.task(1).shared());
        drop(futures_util::join!(shared.clone(), same.clone(), shared, same));
    });
}

#[test]
fn rule4_d40_combinators_of_futures() {
    every_suspension(2, |count| async move {
        let inside = |after| {
            let item = count.item();
            async move {
                shield(ms(5), sleep(ms(after))).await;
                drop(item);
                Ok::<_, io::Error>(after)
            }
        };
        assert_eq!(join_all([inside(1), inside(2)]).await.len(), 2);
        assert_eq!(try_join_all([inside(1), inside(2)]).await.unwrap(), [1, 2]);
        assert!(race((inside(1), inside(2))).await.is_ok());
        assert!(race_all([inside(1), inside(2)]).await.is_some());
        let _ = timeout(ms(1), inside(2)).await;
        let _ = run_until_cancelled(inside(1)).await;
    });
}

#[test]
fn rule4_d28_d30_scopes_their_bodies_their_exits_and_their_finalizers() {
    every_suspension(3, |count| async move {
        let inner = count.clone();
        let answer = scope(|s: Scope<io::Error>| async move {
            let (last, callback) = (inner.item(), inner.item());
            s.defer(async move {
                sleep(ms(2)).await;
                drop(last);
            })
            .unwrap();
            s.on_cancel(move |_| drop(callback)).detach();
            for after in [1, 5] {
                let item = inner.item();
                drop(s.spawn(async move {
                    shield(ms(3), sleep(ms(after))).await;
                    drop(item);
                }));
            }
            let nested = inner.item();
            scope(|t: Scope<io::Error>| async move {
                drop(t.spawn(sleep(ms(2))));
                yield_now().await;
                drop(nested);
                Ok(())
            })
            .await?;
            let _ = timeout(ms(1), s.cancelled()).await;
            Ok(7)
        });
        assert_eq!(answer.await.unwrap(), 7);
    });
}

#[test]
fn d42_a_start_before_and_after_it_is_ready() {
    every_suspension(2, |count| async move {
        let answer = scope(|s: Scope<BoxError>| async move {
            let item = count.item();
            let started = s
                .start(|ready: Ready<Item>| async move {
                    sleep(ms(1)).await;
                    shield(ms(5), sleep(ms(1))).await;
                    ready.ready(item)?;
                    sleep(ms(1)).await;
                    Ok::<_, BoxError>(())
                })
                .await?;
            yield_now().await;
            drop(started);
            Ok(())
        });
        // A child that is shielded may be too late to be ready: an error, which its scope delivers.
        if let Err(error) = answer.await {
            assert!(error.was_also_cancelled() && error.to_string().contains("starts nothing any more"), "{error}");
        }
    });
}

#[test]
fn d40_a_slot_is_never_lost() {
    every_suspension(3, |count| async move {
        let limited = Scope::builder().task_limit(NonZeroUsize::MIN);
        let answer = limited.open(|s: Scope<io::Error>| async move {
            for _ in 0..4 {
                let item = count.item();
                let work = async move {
                    sleep(ms(1)).await;
                    drop(item);
                };
                drop(s.spawn_when_free(work).await.map_err(|refused| io::Error::other(refused.to_string()))?);
            }
            Ok(())
        });
        answer.await.unwrap();
    });
}

#[test]
fn d40_events_stops_and_blocking_jobs() {
    every_suspension(1, |count| async move {
        let event = Arc::new(Event::new());
        let (sets, item) = (Arc::clone(&event), count.item());
        drop(ramus::spawn(async move {
            sleep(ms(1)).await;
            sets.set();
            drop(item);
        }));
        event.wait().await;
    });
    every_suspension(1, |count| async move {
        let item = count.item();
        let _ = scope(|s: Scope<io::Error>| async move {
            let handle = s.clone();
            drop(s.spawn(async move {
                sleep(ms(1)).await;
                handle.stop(ms(100));
                drop(item);
            }));
            let _ = pending::<io::Result<()>>().or_stopping(&s).await;
            s.stopping().await;
            Ok(())
        })
        .await;
    });
    every_suspension(1, |count| async move {
        let item = count.item();
        drop(ramus::spawn_blocking(move || item).await);
        let item = count.item();
        drop(ramus::blocking::unblock(move |_| item).await);
    });
}

#[test]
fn d40_a_supervisor_in_all_of_its_pauses() {
    every_suspension(2, |count| async move {
        let runs = Arc::new(AtomicUsize::new(0));
        let supervised =
            Supervisor::new().backoff(ms(1), ms(4)).intensity(5, ms(1_000)).transient("child", move || {
                let (item, run) = (count.item(), runs.fetch_add(1, Ordering::SeqCst));
                async move {
                    shield(ms(2), sleep(ms(1))).await;
                    drop(item);
                    if run < 2 { Err("again") } else { Ok(()) }
                }
            });
        supervised.run().await.unwrap();
    });
}
