//! A waker whose clone, wake and drop are a test's, and one that counts.
#![allow(dead_code, reason = "each test file uses its part")]

pub(crate) mod rows;

use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{RawWaker, RawWakerVTable, Wake, Waker};

/// What the crate does with a waker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Clone,
    Wake,
    Drop,
}

thread_local! {
    /// What a waker does may make others call it: it does it once at a time.
    static BUSY: Cell<bool> = const { Cell::new(false) };
}

/// Calls a closure wherever its wakers are cloned, woken and dropped.
pub(crate) struct Hostile {
    act: Box<dyn Fn(Call) + Send + Sync>,
    wakes: AtomicUsize,
}

static TABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop_waker);

impl Hostile {
    pub(crate) fn new(act: impl Fn(Call) + Send + Sync + 'static) -> Arc<Hostile> {
        Arc::new(Hostile { act: Box::new(act), wakes: AtomicUsize::new(0) })
    }

    /// A waker of the test itself, whose end is no call.
    pub(crate) fn waker(self: &Arc<Hostile>) -> ManuallyDrop<Waker> {
        // SAFETY: the functions of the table keep the contract. This waker owns no reference and is never dropped; `self`
        // outlives it in every test.
        ManuallyDrop::new(unsafe { Waker::from_raw(RawWaker::new(Arc::as_ptr(self).cast(), &TABLE)) })
    }

    pub(crate) fn wakes(&self) -> usize {
        self.wakes.load(Ordering::SeqCst)
    }

    fn call(&self, call: Call) {
        if call == Call::Wake {
            self.wakes.fetch_add(1, Ordering::SeqCst);
        }
        if BUSY.get() || std::thread::panicking() {
            return;
        }
        /// Also when the act panics.
        struct Done;
        impl Drop for Done {
            fn drop(&mut self) {
                BUSY.set(false);
            }
        }
        BUSY.set(true);
        let _done = Done;
        (self.act)(call);
    }
}

/// The waker's own, without its reference.
fn borrowed(data: *const ()) -> ManuallyDrop<Arc<Hostile>> {
    // SAFETY: `data` is of an `Arc<Hostile>` that lives, and its count is not changed here.
    ManuallyDrop::new(unsafe { Arc::from_raw(data.cast()) })
}

fn clone(data: *const ()) -> RawWaker {
    let hostile = borrowed(data);
    hostile.call(Call::Clone);
    RawWaker::new(Arc::into_raw(Arc::clone(&hostile)).cast(), &TABLE)
}

fn wake_by_ref(data: *const ()) {
    borrowed(data).call(Call::Wake);
}

fn wake(data: *const ()) {
    let hostile = ManuallyDrop::into_inner(borrowed(data));
    hostile.call(Call::Wake);
}

fn drop_waker(data: *const ()) {
    let hostile = ManuallyDrop::into_inner(borrowed(data));
    hostile.call(Call::Drop);
}

/// Counts its wakes.
#[derive(Default)]
pub(crate) struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Count {
    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}
