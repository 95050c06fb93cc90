//! What the tests of leaked and moved scopes share: a scope that can be lost, and ways to lose it.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::poll_fn;
use ramus_scope::{Root, Scope, ScopeError, ScopeHandle};

use super::{Join, Sim};

pub const LONG: u64 = 1_000_000;
pub const LEAKED: &str = "leaked: not polled since its frame ended";

pub type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;
pub type Answer = Result<u8, ScopeError<io::Error>>;

pub fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Polls `future` once, which must suspend.
pub async fn poll_once<F: Future + Unpin>(future: &mut F) {
    poll_fn(|cx| {
        assert!(future.poll_unpin(cx).is_pending());
        Poll::Ready(())
    })
    .await;
}

/// A scope named `inner` whose child is `child` and whose body goes on until `body` ends. Its handle goes to `at`.
pub fn inner<C, B>(at: &Slot<ScopeHandle<Sim>>, child: C, body: B) -> Boxed<Answer>
where
    C: Future<Output = ()> + Send + 'static,
    B: Future<Output = ()> + Send + 'static,
{
    let at = at.clone();
    Box::pin(Scope::<Sim>::builder().name("inner").open(|s: Scope<Sim, io::Error>| async move {
        at.put((*s).clone());
        drop(s.spawn(child));
        body.await;
        Ok(7)
    }))
}

/// Hands a value from one task to another.
pub struct Slot<T>(Arc<Mutex<Option<T>>>);

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        Slot(Arc::clone(&self.0))
    }
}

impl<T> Slot<T> {
    pub fn new() -> Self {
        Slot(Arc::default())
    }

    pub fn put(&self, value: T) {
        *self.0.lock().unwrap() = Some(value);
    }

    pub fn take(&self) -> T {
        self.0.lock().unwrap().take().expect("it was put there")
    }
}

pub fn leaked(root: &Root<Sim>) -> usize {
    root.handle().tree().iter().filter(|row| row.state == LEAKED).count()
}

/// Everything of `root` has ended.
pub fn is_over(root: &Root<Sim>) -> bool {
    root.handle().live() == 0
}

/// Advances until `at` on the virtual clock.
pub fn go_to(sim: &Sim, at: u64) {
    sim.settle();
    while sim.now() < at && sim.advance() {
        sim.settle();
    }
    assert_eq!(sim.now(), at);
}

/// A task polls `future` once and hands it on.
pub fn start_in_a_task<F>(s: &ScopeHandle<Sim>, mut future: F) -> (Join<()>, Slot<F>)
where
    F: Future + Unpin + Send + 'static,
{
    let slot = Slot::new();
    let out = slot.clone();
    let task = s.spawn(async move {
        poll_once(&mut future).await;
        out.put(future);
    });
    (task, slot)
}
