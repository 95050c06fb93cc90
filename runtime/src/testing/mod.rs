//! Tests of concurrent code that fail every time or never: simulations with a seed and virtual time, a matrix of cancels,
//! and checks for what is left behind.
//!
//! # Simulations
//!
//! A [`Simulation`] is a runtime without threads. Whoever blocks on it polls its tasks, as workers that are only simulated:
//! each has its queue, those without work steal. Which worker goes on next, which task it takes, from whom it steals, in
//! which order timers of one instant fire, when a blocking job begins and ends: all of that is drawn from a seed. So one test
//! sees many orders, and a run that fails is replayed exactly.
//!
//! ```
//! use ramus::testing::Simulation;
//! use std::collections::HashSet;
//!
//! let order = |seed| {
//!     Simulation::builder().seed(seed).workers(3).build().block_on(async {
//!         let (sent, received) = std::sync::mpsc::channel();
//!         let tasks: Vec<_> = (0..3)
//!             .map(|number| {
//!                 let sent = sent.clone();
//!                 ramus::spawn(async move { sent.send(number).unwrap() })
//!             })
//!             .collect();
//!         for task in tasks {
//!             task.await.unwrap();
//!         }
//!         drop(sent);
//!         received.iter().collect::<Vec<i32>>()
//!     })
//! };
//! assert_eq!(order(7), order(7));
//! let orders: HashSet<_> = (0..100).map(order).collect();
//! assert_eq!(orders.len(), 6);
//! ```
//!
//! With the feature `macros`, `#[ramus::test(start_paused)]`, `#[ramus::test(seed = 7, workers = 4)]` and
//! `#[ramus::test(seeds = 100)]` run a test like this. If it fails it prints the seed; with `RAMUS_SEED` set to that, the run
//! is the same one again.
//!
//! The code under test uses the interface that it always uses: `spawn`, `scope`, `sleep`, `timeout`, `interval`,
//! `spawn_blocking`, `Handle::current`, sockets, and so on. What it has to know:
//!
//! * **Time is virtual.** It stands still while anybody can go on, and then jumps to the next timer, rounded up to a tick of
//!   131 µs. Code asks [`ramus::time::now`](crate::time::now), not `Instant::now`. Code that waits for the time in a loop
//!   around `yield_now` waits for ever.
//! * **Blocking jobs run on the same thread**, one at a time, each at a step that is drawn. They must not wait for a task or
//!   for another job.
//! * **Other threads** may use handles and wakers of the simulation. What they do happens at another step in each run, so such
//!   a run is not replayed, and a simulation does not wait for them.
//! * **Sockets** are real ones. Before the time moves they are looked at once without waiting; only if there is no timer to
//!   wait for does the thread block until one is ready.
//! * **A first poll is never eager**: what asks for one is polled from a queue.
//! * **If nothing can happen any more** and the test is not over, it fails, and the report ([`Stuck`]) names every task that
//!   is left, where it was spawned and whom it waits for.
//!
//! # What is left behind
//!
//! [`assert_quiescent`] at the end of a test, in a simulation or in a real runtime, fails if there is a task, a timer or a
//! socket left. [`Leaks`] tells what it is.
//!
//! # Every suspension is a place to be cancelled
//!
//! Code that is correct when it runs to its end may be wrong when it is dropped in the middle, and every `.await` is such a
//! middle. [`cancel_matrix`] tries all of them. Here a relay takes an item from one queue and then waits before it puts it
//! into the next; cancelled in between, it loses the item:
//!
//! ```
//! use std::sync::{Arc, Mutex};
//! use std::time::Duration;
//!
//! use ramus::testing::{Disturbance, Matrix};
//!
//! #[derive(Default)]
//! struct Queues {
//!     from: Vec<u32>,
//!     to: Vec<u32>,
//! }
//!
//! async fn relay(queues: Arc<Mutex<Queues>>) {
//!     ramus::sleep(Duration::from_millis(1)).await;
//!     let item = queues.lock().unwrap().from.pop();
//!     ramus::sleep(Duration::from_millis(1)).await; // as a send that waits for room does
//!     queues.lock().unwrap().to.extend(item);
//! }
//!
//! let queues = Mutex::new(Arc::default());
//! let tried = Matrix::new().run(
//!     || {
//!         let fresh = Arc::new(Mutex::new(Queues { from: vec![1], to: vec![] }));
//!         *queues.lock().unwrap() = Arc::clone(&fresh);
//!         relay(fresh)
//!     },
//!     |_point| {
//!         let run = queues.lock().unwrap().clone();
//!         let queues = run.lock().unwrap();
//!         if queues.from.len() + queues.to.len() == 1 { Ok(()) } else { Err("an item was lost") }
//!     },
//! );
//! let error = tried.unwrap_err();
//! println!("{error}");
//! // At the second await, whether it is cancelled, dropped or panics; the first one is harmless.
//! let broken: Vec<_> = error.broken().iter().map(|(point, _)| (point.disturbance, point.index)).collect();
//! assert_eq!(broken, [(Disturbance::Cancel, 2), (Disturbance::Drop, 2), (Disturbance::Panic, 2)]);
//! ```
//!
//! The text names the place of the `.await`, taken from the stack at the moment when what it waits for took its waker:
//!
//! ```text
//! 3 of 7 points broke the invariant (seed 0; replay with RAMUS_SEED=0):
//!   cancelled at suspension 2 (src/relay.rs:14:43): an item was lost
//!   dropped at suspension 2 (src/relay.rs:14:43): an item was lost
//!   panicked at suspension 2 (src/relay.rs:14:43): an item was lost
//! ```
//!
//! The cure is to wait for the room first and to move the item in one step then. A [`shield`](crate::shield()) around both
//! steps is one against a cancel only: it cannot hold back a drop or a panic.

mod draw;
mod joins;
mod leaks;
mod machine;
mod matrix;
mod probe;
mod seeds;
mod simulation;
mod site;
mod stuck;
mod trace;

pub use leaks::{Leaks, assert_quiescent};
pub use matrix::{Disturbance, Matrix, MatrixError, MatrixReport, Point, Verdict, cancel_matrix};
#[doc(hidden)]
pub use seeds::{TestOutput, run_test};
pub use simulation::{Builder, Simulation};
pub use site::Site;
pub use stuck::{Blocked, Stuck};
pub use trace::{Event, Step};
