//! Size and storms on the real scheduler: a million children, a deep chain of scopes, eight threads that cancel whatever
//! they find while it opens, spawns, moves its deadline, registers callbacks and is dropped half-way.
#![allow(missing_docs)]

mod common;

use std::future::pending;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::{runtime, wait_until, watchdog};
use ramus::{Runtime, Scope, ScopeHandle, scope, shield, timeout};

/// Counted while it lives.
struct Alive(Arc<AtomicUsize>);

impl Alive {
    fn new(count: &Arc<AtomicUsize>) -> Alive {
        count.fetch_add(1, Ordering::SeqCst);
        Alive(Arc::clone(count))
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Bytes of memory that the process has in use.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split_whitespace().nth(1).unwrap().parse().unwrap();
    pages * 4096
}

#[test]
fn d30_d32_a_million_children_are_cancelled_and_cost_no_more_than_they_should() {
    const CHILDREN: usize = 1_000_000;
    let _dog = watchdog();
    let runtime = runtime(2);
    let alive = Arc::new(AtomicUsize::new(0));
    let watch = Arc::clone(&alive);
    let before = resident();
    let answer = runtime.block_on(scope(|s: Scope<io::Error>| async move {
        for _ in 0..CHILDREN {
            let alive = Alive::new(&watch);
            drop(s.spawn(async move {
                let _alive = alive;
                pending::<()>().await;
            }));
        }
        while s.live() < CHILDREN as u64 {
            ramus::yield_now().await;
        }
        let used = resident().saturating_sub(before);
        assert!(used < CHILDREN * 1_024, "{} bytes a child", used / CHILDREN);
        assert!(s.cancel("all of them"));
        pending::<()>().await;
    }));
    assert!(answer.unwrap_err().is_cancelled());
    assert_eq!(alive.load(Ordering::SeqCst), 0, "dropped, not only marked");
}

/// Each task opens a scope and spawns the next task into it.
fn link(alive: Arc<AtomicUsize>, left: usize) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        let _alive = Alive::new(&alive);
        let _ = scope(|s: Scope<io::Error>| async move {
            if left > 0 {
                drop(s.spawn(link(alive.clone(), left - 1)));
            }
            pending::<()>().await;
            Ok(())
        })
        .await;
    })
}

fn deep(depth: usize, end: impl FnOnce(Runtime, ramus::JoinHandle<()>)) {
    let alive = Arc::new(AtomicUsize::new(0));
    let runtime = runtime(2);
    let first = runtime.spawn(link(Arc::clone(&alive), depth - 1));
    wait_until(|| alive.load(Ordering::SeqCst) == depth);
    end(runtime, first);
    assert_eq!(alive.load(Ordering::SeqCst), 0);
}

#[test]
fn d32_d33_a_chain_of_a_hundred_thousand_scopes_ends_by_a_cancel_and_by_a_shutdown() {
    let _dog = watchdog();
    deep(100_000, |runtime, first| {
        assert!(first.cancel("from the top"));
        assert!(runtime.block_on(first).unwrap_err().is_cancelled());
    });
    deep(100_000, |runtime, _| assert!(runtime.shutdown_timeout(Duration::from_secs(60)).is_clean()));
}

/// What the threads of the storm find.
#[derive(Default)]
struct Target {
    scopes: Mutex<Vec<ScopeHandle>>,
    shown: AtomicUsize,
    /// How many scopes the threads were the first to cancel.
    cancelled: AtomicUsize,
    over: AtomicBool,
}

impl Target {
    fn show(&self, s: &ScopeHandle) {
        let place = self.shown.fetch_add(1, Ordering::SeqCst) % 64;
        let mut scopes = self.scopes.lock().unwrap();
        let older = match scopes.get_mut(place) {
            Some(shown) => Some(std::mem::replace(shown, s.clone())),
            None => {
                scopes.push(s.clone());
                None
            }
        };
        drop(scopes);
        drop(older);
    }

    fn pick(&self, draw: usize) -> Option<ScopeHandle> {
        let scopes = self.scopes.lock().unwrap();
        scopes.get(draw % scopes.len().max(1)).cloned()
    }
}

/// A scope with children, below which there is another one; what can be done to it meanwhile is done.
fn work(target: Arc<Target>, alive: Arc<AtomicUsize>, depth: usize) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        let _alive = Alive::new(&alive);
        let open = scope(|s: Scope<io::Error>| async move {
            target.show(&s);
            let called = Alive::new(&alive);
            s.on_cancel(move |_| drop(called)).detach();
            for child in 0..3 {
                if depth > 0 {
                    drop(s.spawn(work(Arc::clone(&target), Arc::clone(&alive), depth - 1)));
                }
                let guard = Alive::new(&alive);
                drop(s.spawn(async move {
                    let _guard = guard;
                    shield(Duration::from_micros(200), ramus::yield_now()).await;
                    match child {
                        0 => pending::<()>().await,
                        1 => drop(timeout(Duration::from_micros(300), pending::<()>()).await),
                        _ => ramus::yield_now().await,
                    }
                }));
            }
            ramus::sleep(Duration::from_millis(1)).await;
            s.cancel("its time is over");
            Ok(())
        });
        if depth == 1 {
            // Dropped half-way.
            let mut open = Box::pin(open);
            let _ = std::future::poll_fn(|cx| std::task::Poll::Ready(open.as_mut().poll(cx))).await;
            ramus::yield_now().await;
            drop(open);
        } else {
            let _ = open.await;
        }
    })
}

#[test]
fn d28_d32_d34_eight_threads_cancel_whatever_they_find() {
    let _dog = watchdog();
    let runtime = runtime(4);
    let (target, alive) = (Arc::new(Target::default()), Arc::new(AtomicUsize::new(0)));
    let until = Instant::now() + Duration::from_millis(1_500);
    let threads: Vec<_> = (0..8_usize)
        .map(|number| {
            let target = Arc::clone(&target);
            std::thread::spawn(move || {
                let mut draw = number.wrapping_mul(0x9E37_79B9) | 1;
                while !target.over.load(Ordering::SeqCst) {
                    // xorshift, Marsaglia 2003.
                    draw ^= draw << 13;
                    draw ^= draw >> 7;
                    draw ^= draw << 17;
                    let Some(s) = target.pick(draw >> 8) else { continue };
                    match draw % 8 {
                        0 | 1 => drop(target.cancelled.fetch_add(usize::from(s.cancel("the storm")), Ordering::SeqCst)),
                        2 => drop(s.set_deadline(Instant::now() + Duration::from_micros((draw >> 16) as u64 % 500))),
                        3 => drop(s.set_deadline(None)),
                        4 => drop(s.stop(Duration::from_micros(100))),
                        5 => drop(s.kill("the storm")),
                        6 => drop(s.spawn(async {})),
                        _ => drop(s.on_cancel(|_| {})),
                    }
                    if draw % 64 == 0 {
                        drop(s.tree());
                    }
                }
            })
        })
        .collect();
    let mut rounds = 0;
    while Instant::now() < until || rounds <= 10 || target.cancelled.load(Ordering::SeqCst) <= 100 {
        let works: Vec<_> = (0..8).map(|_| runtime.spawn(work(Arc::clone(&target), Arc::clone(&alive), 2))).collect();
        for done in works {
            let done = runtime.block_on(async { timeout(Duration::from_secs(20), done).await });
            done.unwrap_or_else(|_| panic!("a task does not end:\n{}", runtime.tree())).unwrap();
        }
        rounds += 1;
    }
    target.over.store(true, Ordering::SeqCst);
    for thread in threads {
        thread.join().unwrap();
    }
    target.scopes.lock().unwrap().clear();
    wait_until(|| runtime.handle().root().is_some_and(|root| root.live() == 0));
    assert_eq!(alive.load(Ordering::SeqCst), 0, "everything was dropped");
    assert!(runtime.shutdown_timeout(Duration::from_secs(60)).is_clean());
}
