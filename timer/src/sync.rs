//! The one door to concurrency: normally `parking_lot` and core atomics, under loom its doubles, and the first two with
//! their operations counted under `--cfg ramus_count`, for the budgets.

pub(crate) use backend::*;

#[cfg(ramus_count)]
#[path = "../../benches/budgets/facade.rs"]
pub(crate) mod counting;

#[cfg(not(ramus_loom))]
mod backend {
    #[cfg(ramus_count)]
    use super::counting::{self as locks, atomic};
    #[cfg(not(ramus_count))]
    use {core::sync::atomic, parking_lot as locks};

    pub(crate) use atomic::{AtomicU64, Ordering};
    pub(crate) use locks::{Condvar, Mutex};
    pub(crate) use std::sync::Arc;

    /// Steps of the wheel that one turn makes under the lock: entries fired and entries moved down a level.
    pub(crate) const BATCH: usize = 256;
}

#[cfg(ramus_loom)]
mod backend {
    pub(crate) use loom::sync::Arc;
    pub(crate) use loom::sync::atomic::{AtomicU64, Ordering};

    /// Small enough that a model with two entries sees a turn that stops half-way.
    pub(crate) const BATCH: usize = 1;

    /// loom's mutex with the interface of `parking_lot`'s.
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
            self.0.lock().expect("a model's thread panicked under the lock")
        }
    }
}
