// Everything that this crate uses of concurrency, by name: three backends behind one interface.
//
// The normal backend is `parking_lot`, the atomics of `core` and `Arc` of `std`. The second is loom, chosen by the
// private `--cfg ramus_loom`, so that the models explore the same code. The third, `--cfg ramus_count`, is the first one
// with its operations counted, for the budgets. Nothing else in the crate names any of them.
//
// Where the two differ the interface follows the poorer one: a condition variable takes the guard and gives it back,
// a cell is read through closures, thread-locals are declared through [`tls!`].

// What users get under this name is `between`.

pub use crate::between::*;
pub(crate) use backend::*;

/// Where task cells come from. `ramus_plain_alloc` is for sanitizers, which must see every use of a freed cell.
#[cfg(not(any(ramus_loom, ramus_plain_alloc)))]
#[path = "task/slab.rs"]
pub(crate) mod cells;
#[cfg(all(ramus_plain_alloc, not(ramus_loom)))]
#[path = "task/plain.rs"]
pub(crate) mod cells;
#[cfg(ramus_loom)]
#[path = "task/quarantine.rs"]
pub(crate) mod cells;

#[cfg(ramus_count)]
#[path = "../../benches/budgets/facade.rs"]
pub(crate) mod counting;

#[cfg(not(ramus_loom))]
mod backend {
    use std::time::Instant;

    #[cfg(ramus_count)]
    use super::counting as locks;
    #[cfg(ramus_count)]
    pub(crate) use super::counting::atomic;
    #[cfg(not(ramus_count))]
    pub(crate) use core::sync::atomic;
    #[cfg(not(ramus_count))]
    use parking_lot as locks;

    pub(crate) use locks::{Mutex, MutexGuard};
    pub(crate) use std::sync::Arc;

    /// A condition variable that takes the guard and gives it back.
    #[derive(Debug)]
    pub(crate) struct Condvar(locks::Condvar);

    impl Condvar {
        pub(crate) const fn new() -> Self {
            Self(locks::Condvar::new())
        }

        /// Waits for a notification; spurious returns are allowed.
        pub(crate) fn wait<'a, T>(&self, mut guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
            self.0.wait(&mut guard);
            guard
        }

        /// Waits for a notification or until `deadline`; true: the deadline passed.
        pub(crate) fn wait_until<'a, T>(
            &self,
            mut guard: MutexGuard<'a, T>,
            deadline: Instant,
        ) -> (MutexGuard<'a, T>, bool) {
            let timed_out = self.0.wait_until(&mut guard, deadline).timed_out();
            (guard, timed_out)
        }

        pub(crate) fn notify_one(&self) {
            self.0.notify_one();
        }

        pub(crate) fn notify_all(&self) {
            self.0.notify_all();
        }
    }

    /// A cell read and written through raw pointers inside closures.
    #[derive(Debug)]
    pub(crate) struct UnsafeCell<T: ?Sized>(core::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(core::cell::UnsafeCell::new(value))
        }

        #[inline(always)]
        pub(crate) fn with_mut<R>(&self, write: impl FnOnce(*mut T) -> R) -> R {
            write(self.0.get())
        }
    }

    /// Says that nobody uses `word` any more: nothing to do here, a model checks it.
    #[inline(always)]
    pub(crate) fn retire(_word: &mut atomic::AtomicU64) {}

    /// Part of a value that must not be leaked: nothing here, found by models.
    #[derive(Debug)]
    pub(crate) struct LeakProbe(());

    impl LeakProbe {
        pub(crate) const fn new() -> Self {
            Self(())
        }
    }

    /// Declares a thread-local with a constant initial value.
    macro_rules! tls {
        ($(#[$attr:meta])* $vis:vis static $name:ident: $type:ty = $init:expr;) => {
            std::thread_local! { $(#[$attr])* $vis static $name: $type = const { $init }; }
        };
    }
    pub(crate) use tls;

    /// Declares a global of the process.
    macro_rules! global {
        ($(#[$attr:meta])* static $name:ident: $type:ty = $init:expr;) => {
            $(#[$attr])* static $name: $type = $init;
        };
    }
    pub(crate) use global;
}

#[cfg(ramus_loom)]
mod backend {
    use std::time::Instant;

    pub(crate) use loom::sync::atomic;
    pub(crate) use loom::sync::{Arc, MutexGuard};

    /// loom's mutex without poisoning.
    #[derive(Debug)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap()
        }

        pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
            self.0.try_lock().ok()
        }
    }

    /// loom's condition variable.
    #[derive(Debug)]
    pub(crate) struct Condvar(loom::sync::Condvar);

    impl Condvar {
        pub(crate) fn new() -> Self {
            Self(loom::sync::Condvar::new())
        }

        pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
            self.0.wait(guard).unwrap()
        }

        /// Time does not pass in a model: this waits for a notification.
        pub(crate) fn wait_until<'a, T>(
            &self,
            guard: MutexGuard<'a, T>,
            _deadline: Instant,
        ) -> (MutexGuard<'a, T>, bool) {
            (self.wait(guard), false)
        }

        pub(crate) fn notify_one(&self) {
            self.0.notify_one();
        }

        pub(crate) fn notify_all(&self) {
            self.0.notify_all();
        }
    }

    /// loom's cell, which finds unsynchronised access.
    #[derive(Debug)]
    pub(crate) struct UnsafeCell<T>(loom::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::cell::UnsafeCell::new(value))
        }

        pub(crate) fn with_mut<R>(&self, write: impl FnOnce(*mut T) -> R) -> R {
            self.0.with_mut(write)
        }
    }

    /// Says that nobody uses `word` any more: every use must have come before, and none may come later.
    pub(crate) fn retire(word: &mut atomic::AtomicU64) {
        word.with_mut(|_| ());
    }

    /// Part of a value that must not be leaked: the model fails if one is left at its end.
    #[derive(Debug)]
    pub(crate) struct LeakProbe(#[expect(dead_code, reason = "only its drop is of use")] loom::alloc::Track<()>);

    impl LeakProbe {
        pub(crate) fn new() -> Self {
            Self(loom::alloc::Track::new(()))
        }
    }

    /// Declares a thread-local of a model's thread.
    macro_rules! tls {
        ($(#[$attr:meta])* $vis:vis static $name:ident: $type:ty = $init:expr;) => {
            loom::thread_local! { $(#[$attr])* $vis static $name: $type = $init; }
        };
    }
    pub(crate) use tls;

    /// Declares a global of one execution of a model.
    macro_rules! global {
        ($(#[$attr:meta])* static $name:ident: $type:ty = $init:expr;) => {
            loom::lazy_static! { $(#[$attr])* static ref $name: $type = $init; }
        };
    }
    pub(crate) use global;
}
