//! All that this crate may use of concurrency, in three backends: the real one, the same with its operations counted
//! (`--cfg ramus_count`, for the budgets), and loom's.

#[cfg(ramus_count)]
#[path = "../../benches/budgets/facade.rs"]
pub(crate) mod counting;

/// Is what has ended kept for what comes next? `ramus_plain_alloc` is for sanitizers.
pub(crate) const RECYCLES: bool = !cfg!(ramus_plain_alloc);

#[cfg(not(ramus_loom))]
mod backend {
    #[cfg(ramus_count)]
    use super::counting::{self as locks, atomic};
    #[cfg(not(ramus_count))]
    use {core::sync::atomic, parking_lot as locks};

    pub(crate) use atomic::{AtomicBool, AtomicI64, AtomicPtr, AtomicU8, AtomicU32, Ordering};
    pub(crate) use locks::Mutex;

    macro_rules! local {
        (static $name:ident: $type:ty = $init:expr) => {
            std::thread_local! { static $name: $type = const { $init } }
        };
    }
    pub(crate) use local;

    /// Declares a global of the process.
    macro_rules! global {
        (static $name:ident: $type:ty = $init:expr;) => {
            static $name: $type = $init;
        };
    }
    pub(crate) use global;
}

#[cfg(ramus_loom)]
mod backend {
    pub(crate) use loom::sync::atomic::{AtomicBool, AtomicI64, AtomicPtr, AtomicU8, AtomicU32, Ordering};

    /// loom's mutex in the shape of `parking_lot`'s: without poisoning.
    #[derive(Debug)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Mutex<T> {
            Mutex(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
        }

        pub(crate) fn get_mut(&mut self) -> &mut T {
            self.0.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner)
        }
    }

    macro_rules! local {
        (static $name:ident: $type:ty = $init:expr) => {
            loom::thread_local! { static $name: $type = $init }
        };
    }
    pub(crate) use local;

    /// Declares a global of one execution of a model.
    macro_rules! global {
        (static $name:ident: $type:ty = $init:expr;) => {
            loom::lazy_static! { static ref $name: $type = $init; }
        };
    }
    pub(crate) use global;
}

pub(crate) use backend::*;
pub(crate) use std::sync::Arc;
