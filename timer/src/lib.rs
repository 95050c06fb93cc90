//! A hierarchical timing wheel with sleeps, time-outs and intervals, for any async executor.
//!
//! The wheel follows Varghese and Lauck, *Hashed and Hierarchical Timing Wheels: Data Structures for the Efficient
//! Implementation of a Timer Facility* (SOSP 1987): registering, resetting and dropping a timer take constant time,
//! however many there are. A tick is 131 µs (2^17 ns). Nothing fires early; nothing fires later than a tick plus what
//! the host needs to wake up; a deadline may lie any time ahead.
//!
//! # How to use it
//!
//! 1. Make a [`Timer`]; it is a handle, so clone it to wherever futures are made.
//! 2. Let something *host* it. That may be an executor's own loop (below) or a thread: [`Drive::run`].
//! 3. Make futures of it: [`Timer::sleep`], [`Timer::timeout`], [`Timer::interval`]. They need nothing of the executor
//!    but its [`Waker`](std::task::Waker).
//! 4. [`Timer::close`] it at the end.
//!
//! On a thread of its own, under the smallest executor there is:
//!
//! ```
//! use ramus_timer::Drive;
//! use std::pin::pin;
//! use std::sync::Arc;
//! use std::task::{Context, Poll, Wake, Waker};
//! use std::thread::{self, Thread};
//! use std::time::{Duration, Instant};
//!
//! struct Unpark(Thread);
//!
//! impl Wake for Unpark {
//!     fn wake(self: Arc<Self>) {
//!         self.0.unpark();
//!     }
//! }
//!
//! fn block_on<F: Future>(future: F) -> F::Output {
//!     let mut future = pin!(future);
//!     let waker = Waker::from(Arc::new(Unpark(thread::current())));
//!     let mut cx = Context::from_waker(&waker);
//!     loop {
//!         if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
//!             return output;
//!         }
//!         thread::park();
//!     }
//! }
//!
//! let drive = Drive::new();
//! let timer = drive.timer().clone();
//! let host = thread::spawn(move || drive.run());
//!
//! let start = Instant::now();
//! block_on(async {
//!     timer.sleep(Duration::from_millis(10)).await;
//!     let nothing = std::future::pending::<()>();
//!     assert!(timer.timeout(Duration::from_millis(10), nothing).await.is_err());
//! });
//! assert!(start.elapsed() >= Duration::from_millis(20));
//!
//! let mut wakes = Vec::new();
//! timer.close(&mut wakes);
//! wakes.into_iter().for_each(Waker::wake);
//! host.join().expect("the host ends with its timer");
//! ```
//!
//! An event loop hosts the timer itself: fire what is due, park, block for that long, unpark. With a manual clock the
//! same loop runs a test without waiting:
//!
//! ```
//! use ramus_timer::{Clock, Timer};
//! use std::pin::pin;
//! use std::task::{Context, Poll, Waker};
//! use std::time::Duration;
//!
//! let (clock, hand) = Clock::manual();
//! // An event loop would interrupt its own blocking here:
//! let timer = Timer::with_notify(clock, || ());
//!
//! let mut week = pin!(timer.sleep(Duration::from_secs(7 * 24 * 3600)));
//! let mut cx = Context::from_waker(Waker::noop());
//! while week.as_mut().poll(&mut cx) == Poll::Pending {
//!     timer.fire(); // wakes what is due, under no lock
//!     if let Some(deadline) = timer.park() {
//!         hand.set(deadline); // here an event loop blocks until `deadline`
//!     }
//!     timer.unpark();
//! }
//! assert!(timer.is_empty());
//! ```

#![forbid(unsafe_code)]

mod alarm;
mod clock;
mod dial;
#[cfg(not(ramus_loom))]
mod drive;
mod interval;
mod sleep;
mod slots;
mod sync;
mod ticket;
mod timeout;
mod timer;
mod wheel;

pub use alarm::Alarm;
pub use clock::{Clock, ManualClock, later};
#[cfg(not(ramus_loom))]
pub use drive::Drive;
pub use interval::{Interval, MissedTickBehavior};
pub use sleep::Sleep;
pub use timeout::{Elapsed, Timeout};
pub use timer::Timer;

/// Who is told of every atomic operation; no part of the interface.
#[cfg(ramus_count)]
#[doc(hidden)]
pub use sync::counting::listen;
