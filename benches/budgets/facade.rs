//! The counting backend of `sync.rs` in `timer`, `scope` and `runtime`, chosen by the private `--cfg ramus_count`: the
//! atomics of `core` and the locks of `parking_lot`, which tell a listener what they are about to do.
//!
//! Each of the three crates includes this file as a module of its own; the books are kept by the `budgets` crate. A change is
//! one read-modify-write: a `fetch_…`, a `swap`, each attempt of a compare-exchange, a fence (at address 0), a lock, an
//! unlock. What `Arc`, `crossbeam-deque` and the standard library do inside is not seen here.

#![allow(dead_code, reason = "each crate uses another part of it")]
#![allow(unreachable_pub, reason = "each crate shows another part of it")]

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::panic::Location;
use std::sync::OnceLock;
use std::time::Instant;

/// Hears of one operation: the address that it is made on, and the line of the program that makes it.
pub type Listener = fn(usize, &'static Location<'static>);

static LISTENERS: OnceLock<[Listener; 3]> = OnceLock::new();

/// From now on every load, every store and every change (read-modify-write) is told to these. Only the first call counts.
pub fn listen(load: Listener, store: Listener, change: Listener) {
    let _ = LISTENERS.set([load, store, change]);
}

fn tell<T: ?Sized>(kind: usize, place: *const T, site: &'static Location<'static>) {
    if let Some(listeners) = LISTENERS.get() {
        listeners[kind](place.cast::<()>() as usize, site);
    }
}

const LOAD: usize = 0;
const STORE: usize = 1;
const CHANGE: usize = 2;

/// What the crates use of `core::sync::atomic`.
pub mod atomic {
    use std::panic::Location;

    use super::{CHANGE, LOAD, STORE, tell};
    pub use core::sync::atomic::Ordering;

    macro_rules! atomic {
        ($name:ident $(<$T:ident>)?, $value:ty, { $($method:ident)* }) => {
            #[derive(Debug)]
            #[repr(transparent)]
            pub struct $name$(<$T>)?(core::sync::atomic::$name$(<$T>)?);

            impl$(<$T>)? $name$(<$T>)? {
                pub const fn new(value: $value) -> Self {
                    Self(core::sync::atomic::$name::new(value))
                }

                pub fn get_mut(&mut self) -> &mut $value {
                    self.0.get_mut()
                }

                pub fn into_inner(self) -> $value {
                    self.0.into_inner()
                }

                #[track_caller]
                pub fn load(&self, order: Ordering) -> $value {
                    tell(LOAD, self, Location::caller());
                    self.0.load(order)
                }

                #[track_caller]
                pub fn store(&self, value: $value, order: Ordering) {
                    tell(STORE, self, Location::caller());
                    self.0.store(value, order);
                }

                #[track_caller]
                pub fn compare_exchange(
                    &self,
                    old: $value,
                    new: $value,
                    done: Ordering,
                    failed: Ordering,
                ) -> Result<$value, $value> {
                    tell(CHANGE, self, Location::caller());
                    self.0.compare_exchange(old, new, done, failed)
                }

                #[track_caller]
                pub fn compare_exchange_weak(
                    &self,
                    old: $value,
                    new: $value,
                    done: Ordering,
                    failed: Ordering,
                ) -> Result<$value, $value> {
                    tell(CHANGE, self, Location::caller());
                    self.0.compare_exchange_weak(old, new, done, failed)
                }

                #[track_caller]
                pub fn fetch_update(
                    &self,
                    done: Ordering,
                    failed: Ordering,
                    mut new: impl FnMut($value) -> Option<$value>,
                ) -> Result<$value, $value> {
                    let mut old = self.load(failed);
                    while let Some(next) = new(old) {
                        match self.compare_exchange_weak(old, next, done, failed) {
                            Ok(old) => return Ok(old),
                            Err(now) => old = now,
                        }
                    }
                    Err(old)
                }

                $(
                    #[track_caller]
                    pub fn $method(&self, value: $value, order: Ordering) -> $value {
                        tell(CHANGE, self, Location::caller());
                        self.0.$method(value, order)
                    }
                )*
            }
        };
    }

    impl Default for AtomicBool {
        fn default() -> Self {
            Self::new(false)
        }
    }

    atomic!(AtomicBool, bool, { swap fetch_or fetch_and });
    atomic!(AtomicU8, u8, { swap fetch_or fetch_and fetch_max });
    atomic!(AtomicU32, u32, { swap fetch_add fetch_sub fetch_or fetch_and });
    atomic!(AtomicU64, u64, { swap fetch_add fetch_sub fetch_or fetch_and fetch_max });
    atomic!(AtomicI64, i64, { swap fetch_add fetch_sub });
    atomic!(AtomicUsize, usize, { swap fetch_add fetch_sub });
    atomic!(AtomicPtr<T>, *mut T, { swap });

    #[track_caller]
    pub fn fence(order: Ordering) {
        tell(CHANGE, core::ptr::null::<()>(), Location::caller());
        core::sync::atomic::fence(order);
    }
}

/// `parking_lot`'s mutex: locking and unlocking it is a change each.
#[derive(Debug, Default)]
pub struct Mutex<T: ?Sized>(parking_lot::Mutex<T>);

impl<T> Mutex<T> {
    pub const fn new(value: T) -> Self {
        Self(parking_lot::Mutex::new(value))
    }

    pub fn into_inner(self) -> T {
        self.0.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    pub fn get_mut(&mut self) -> &mut T {
        self.0.get_mut()
    }

    #[track_caller]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        let site = Location::caller();
        tell(CHANGE, self, site);
        MutexGuard { guard: self.0.lock(), mutex: self, site }
    }

    #[track_caller]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        let site = Location::caller();
        tell(CHANGE, self, site);
        self.0.try_lock().map(|guard| MutexGuard { guard, mutex: self, site })
    }
}

/// A locked mutex.
pub struct MutexGuard<'a, T: ?Sized> {
    guard: parking_lot::MutexGuard<'a, T>,
    mutex: &'a Mutex<T>,
    site: &'static Location<'static>,
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.guard.fmt(f)
    }
}

impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        tell(CHANGE, self.mutex, self.site);
    }
}

/// `parking_lot`'s condition variable: a wait unlocks and locks.
#[derive(Debug, Default)]
pub struct Condvar(parking_lot::Condvar);

impl Condvar {
    pub const fn new() -> Self {
        Self(parking_lot::Condvar::new())
    }

    pub fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        tell(CHANGE, guard.mutex, guard.site);
        self.0.wait(&mut guard.guard);
        tell(CHANGE, guard.mutex, guard.site);
    }

    pub fn wait_until<T>(&self, guard: &mut MutexGuard<'_, T>, deadline: Instant) -> parking_lot::WaitTimeoutResult {
        tell(CHANGE, guard.mutex, guard.site);
        let result = self.0.wait_until(&mut guard.guard, deadline);
        tell(CHANGE, guard.mutex, guard.site);
        result
    }

    #[track_caller]
    pub fn notify_one(&self) -> bool {
        tell(LOAD, self, Location::caller());
        self.0.notify_one()
    }

    #[track_caller]
    pub fn notify_all(&self) -> usize {
        tell(LOAD, self, Location::caller());
        self.0.notify_all()
    }
}
