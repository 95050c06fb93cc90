//! A waker around another one that tells when it is cloned or woken: whoever waits has to do one of the two.
//!
//! The standard library's [`Wake`](std::task::Wake) has no say in a clone, so this is a table of its own.

use std::sync::Arc;
use std::task::{RawWaker, RawWakerVTable, Waker};

struct Tap {
    behind: Waker,
    heard: Box<dyn Fn() + Send + Sync>,
}

static TABLE: RawWakerVTable = RawWakerVTable::new(clone_raw, wake_raw, wake_by_ref_raw, drop_raw);

/// A waker that wakes `behind`, and calls `heard` first; it also calls it when it is cloned. `heard` must not panic.
#[allow(dead_code, reason = "only the module of the feature `test-util` asks for it")]
pub fn tap(behind: Waker, heard: impl Fn() + Send + Sync + 'static) -> Waker {
    let tap = Arc::new(Tap { behind, heard: Box::new(heard) });
    // SAFETY: the data is a counted reference, given up by `wake` and `drop`, doubled by `clone`, borrowed by
    // `wake_by_ref`; what is behind it is `Send` and `Sync`.
    unsafe { Waker::from_raw(RawWaker::new(Arc::into_raw(tap).cast(), &TABLE)) }
}

/// # Safety
///
/// `data` is that of a waker made by [`tap`], whose reference lasts for as long as the answer is used.
unsafe fn borrow<'a>(data: *const ()) -> &'a Tap {
    // SAFETY: by the caller; it was made by `Arc::into_raw`.
    unsafe { &*data.cast::<Tap>() }
}

/// # Safety
///
/// As `RawWakerVTable::new` says for `clone`.
unsafe fn clone_raw(data: *const ()) -> RawWaker {
    // SAFETY: the waker that is cloned holds a reference.
    (unsafe { borrow(data) }.heard)();
    // SAFETY: as above; the new reference is the new waker's.
    unsafe { Arc::increment_strong_count(data.cast::<Tap>()) };
    RawWaker::new(data, &TABLE)
}

/// # Safety
///
/// As `RawWakerVTable::new` says for `wake`.
unsafe fn wake_raw(data: *const ()) {
    // SAFETY: the waker gives its reference up here.
    let tap = unsafe { Arc::from_raw(data.cast::<Tap>()) };
    (tap.heard)();
    tap.behind.wake_by_ref();
}

/// # Safety
///
/// As `RawWakerVTable::new` says for `wake_by_ref`.
unsafe fn wake_by_ref_raw(data: *const ()) {
    // SAFETY: the waker holds a reference.
    let tap = unsafe { borrow(data) };
    (tap.heard)();
    tap.behind.wake_by_ref();
}

/// # Safety
///
/// As `RawWakerVTable::new` says for `drop`.
unsafe fn drop_raw(data: *const ()) {
    // SAFETY: the waker gives its reference up here.
    drop(unsafe { Arc::from_raw(data.cast::<Tap>()) });
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};

    use super::tap;

    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn clones_and_wakes_are_heard_and_nothing_leaks() {
        let wakes = Arc::new(Wakes(AtomicUsize::new(0)));
        let heard = Arc::new(AtomicUsize::new(0));
        let ear = Arc::clone(&heard);
        let tapped = tap(Waker::from(Arc::clone(&wakes)), move || {
            ear.fetch_add(1, Ordering::Relaxed);
        });
        let seen = || (heard.load(Ordering::Relaxed), wakes.0.load(Ordering::Relaxed));
        let copy = tapped.clone();
        assert!(copy.will_wake(&tapped));
        assert_eq!(seen(), (1, 0));
        tapped.wake_by_ref();
        assert_eq!(seen(), (2, 1));
        copy.wake();
        assert_eq!(seen(), (3, 2));
        drop(tapped);
        assert_eq!(seen(), (3, 2));
        assert_eq!((Arc::strong_count(&wakes), Arc::strong_count(&heard)), (1, 1));
    }
}
