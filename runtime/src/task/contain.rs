//! User code that runs where nobody can take its panic: destructors of outputs and wakers, wakers of joiners.

use std::any::Any;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `code`; true if it panicked. The panic hook has reported the panic, the payload is dropped.
///
/// What `code` leaves behind in a half-changed state must not be looked at by the caller: it is used only for values
/// that are going away.
#[inline]
pub(crate) fn contain(code: impl FnOnce()) -> bool {
    match catch_unwind(AssertUnwindSafe(code)) {
        Ok(()) => false,
        Err(payload) => {
            drop_payload(payload);
            true
        }
    }
}

/// A payload is a value of the user's, and its destructor may panic as well, with another payload. A chain of them need
/// have no end, so the last of a few is given up unseen.
#[cold]
fn drop_payload(mut payload: Box<dyn Any + Send>) {
    const CHAIN: usize = 8;
    for _ in 0..CHAIN {
        match catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            Ok(()) => return,
            Err(next) => payload = next,
        }
    }
    mem::forget(payload);
}
