//! What the tests of finalizers share: steps that say what they do, and panics by their message.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;

use super::{Log, Sim};

pub fn message(payload: Box<dyn Any + Send>) -> &'static str {
    payload.downcast_ref::<&'static str>().copied().unwrap()
}

/// Runs `future`, which panics.
pub fn panic_of<T: Send + 'static>(sim: &Sim, future: impl Future<Output = T> + Send + 'static) -> &'static str {
    match sim.run(AssertUnwindSafe(future).catch_unwind()) {
        Ok(_) => panic!("it was to panic"),
        Err(payload) => message(payload),
    }
}

/// Suspends once, and says so before and after.
pub async fn step(log: Log, name: &'static str, time: u64) {
    log.add(format!("{name} begins"));
    Sim::sleep(time).await;
    log.add(format!("{name} ends"));
}
