//! Lending: futures and closures that borrow run where `'static` is asked for, because a function call waits for their end.
//! A home of this crate's `unsafe`.
//!
//! A task needs a `'static` future: it may be leaked, and whoever holds a waker keeps its memory. A *function call* cannot be
//! leaked; that is how `std::thread::scope` lends to threads (and why a guard with a destructor would not do: rust-lang/rust
//! issue 24292). [`joined`] is such a call:
//!
//! 1. [`Lender::lend`] and [`Lender::lend_call`] give out a [`Lent`] or a [`LentCall`] that says `'static` and holds
//!    borrowed data. Each holds a [`Part`] as its last field.
//! 2. Borrowed data is in the box of its `Lent` or `LentCall` and nowhere else: what those give out (`O`) is `'static`, and
//!    what the code in them hands on was checked with the true lifetimes, where it was compiled.
//! 3. A part is given back only when that box has been dropped, whole: fields are dropped in the order of their
//!    declaration, also when a destructor unwinds; a call is over, on return and on unwinding, before the part beside it is
//!    dropped. So a suspended task whose cell lives on because of a waker has given its part back, if and only if its future
//!    is gone.
//! 4. `joined` returns or unwinds only when all parts are given back ([`Wait`]'s destructor; the value is on its stack and
//!    nobody else sees it). If waiting itself were to unwind, the process is aborted.
//! 5. A new part is taken by whoever has a `&'scope Lender`: the closure given to `joined`, which has returned before the
//!    wait, and code in a lent box, whose own part is not given back yet. So once there is no part there will be none.
//! 6. `'scope` is chosen by `joined`, after the closure was made, and the lender is invariant in it: no lender and nothing
//!    that is bound to it can be kept by the closure's environment, nor returned.
//!
//! A lent box that is leaked, or whose task never ends, makes `joined` wait for ever: it does not dangle.

#![allow(unsafe_code)]

use std::future::Future;
use std::marker::PhantomData;
use std::mem;
use std::pin::Pin;
use std::process;
use std::sync::Arc as StdArc;
use std::task::{Context as TaskContext, Poll};

use crate::sync::{Condvar, Mutex};

/// How many parts are out.
struct Parts {
    out: Mutex<usize>,
    none: Condvar,
}

/// Held as long as there is borrowed data in what it belongs to.
struct Part(StdArc<Parts>);

impl Part {
    fn new(parts: &StdArc<Parts>) -> Self {
        *parts.out.lock() += 1;
        Self(StdArc::clone(parts))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let mut out = self.0.out.lock();
        *out -= 1;
        if *out == 0 {
            self.0.none.notify_all();
        }
    }
}

/// Lends for as long as [`joined`] runs.
pub(super) struct Lender<'scope, 'env: 'scope> {
    parts: StdArc<Parts>,
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

/// Waits in its destructor.
struct Wait<'a>(&'a Parts);

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        /// Ends the process if it is dropped: nobody may see the borrowed data go while a part is out.
        struct Bomb;

        impl Drop for Bomb {
            fn drop(&mut self) {
                process::abort();
            }
        }

        let bomb = Bomb;
        let mut out = self.0.out.lock();
        while *out > 0 {
            out = self.0.none.wait(out);
        }
        drop(out);
        mem::forget(bomb);
    }
}

/// Runs `run`, and returns when everything that its lender lent has been dropped.
pub(super) fn joined<'env, F, R>(run: F) -> R
where
    F: for<'scope> FnOnce(&'scope Lender<'scope, 'env>) -> R,
{
    let parts = StdArc::new(Parts { out: Mutex::new(0), none: Condvar::new() });
    let lender = Lender { parts: StdArc::clone(&parts), scope: PhantomData, env: PhantomData };
    let wait = Wait(&parts);
    let answer = run(&lender);
    drop(wait);
    answer
}

/// A future that borrows, and does not say so.
pub(super) struct Lent<O> {
    future: Pin<Box<dyn Future<Output = O> + Send>>,
    _part: Part,
}

/// A closure that borrows, and does not say so.
pub(super) struct LentCall<A, O> {
    call: Box<dyn FnOnce(&A) -> O + Send>,
    part: Part,
}

impl<'scope> Lender<'scope, '_> {
    /// `future` without its lifetime.
    pub(super) fn lend<F>(&'scope self, future: F) -> Lent<F::Output>
    where
        F: Future + Send + 'scope,
        F::Output: 'static,
    {
        let part = Part::new(&self.parts);
        let future: Pin<Box<dyn Future<Output = F::Output> + Send + 'scope>> = Box::pin(future);
        // SAFETY: the types differ in the lifetime alone. What is borrowed for `'scope` is used only until the box is
        // dropped, then the part is given back (3), and `joined`, whose end is the earliest end of `'scope`, waits for
        // that (4).
        let future = unsafe {
            mem::transmute::<
                Pin<Box<dyn Future<Output = F::Output> + Send + 'scope>>,
                Pin<Box<dyn Future<Output = F::Output> + Send + 'static>>,
            >(future)
        };
        Lent { future, _part: part }
    }

    /// `call` without its lifetime.
    pub(super) fn lend_call<A, O, F>(&'scope self, call: F) -> LentCall<A, O>
    where
        F: FnOnce(&A) -> O + Send + 'scope,
        A: 'static,
        O: 'static,
    {
        let part = Part::new(&self.parts);
        let call: Box<dyn FnOnce(&A) -> O + Send + 'scope> = Box::new(call);
        // SAFETY: as in `lend`.
        let call = unsafe {
            mem::transmute::<Box<dyn FnOnce(&A) -> O + Send + 'scope>, Box<dyn FnOnce(&A) -> O + Send + 'static>>(call)
        };
        LentCall { call, part }
    }
}

impl<O> Future for Lent<O> {
    type Output = O;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<O> {
        self.future.as_mut().poll(cx)
    }
}

impl<A, O> LentCall<A, O> {
    /// Calls it. What it owned is gone before its part is given back.
    pub(super) fn call(self, with: &A) -> O {
        let LentCall { part, call } = self;
        let answer = call(with);
        drop(part);
        answer
    }
}
