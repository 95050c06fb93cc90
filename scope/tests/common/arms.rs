//! Arms of races and joins.
#![allow(dead_code, missing_docs, unreachable_pub)]

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use futures_util::FutureExt;
use ramus_scope::{Scope, scope, shield};

use crate::common::{Alive, Sim};

pub type Work<T> = Pin<Box<dyn Future<Output = T> + Send>>;

pub const LONG: u64 = 1_000_000;

pub fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A scope with a shielded child that ends at `ends`; it answers when it is cancelled from outside with nothing.
pub fn draining(alive: &Alive, ends: u64) -> impl Future<Output = u32> + Send + 'static {
    let guard = alive.guard();
    scope(move |s: Scope<Sim, io::Error>| async move {
        s.spawn(shield(ms(LONG), async move {
            Sim::sleep(ends).await;
            drop(guard);
        }));
        Sim::sleep(LONG).await;
        Ok(0)
    })
    .map(Result::unwrap)
}
