//! Several futures or tasks at once, with structured results.
//!
//! Two families. [`race`], [`race_all`], [`join_all`] and [`try_join_all`] *run futures* inside the calling task and may
//! borrow from it; what they do not need any more they cut and drain before they return. [`wait`], [`as_completed`] and
//! [`SharedJoinHandle`] *observe tasks*: joining is observation only, so whatever becomes of them, the tasks go on in their
//! scope, which cancels and joins them. Nothing of either family leaks when it is dropped half-way.
//!
//! ```
//! use std::time::Duration;
//! use ramus::{BoxError, JoinHandle, Scope, When, race, sleep, wait};
//!
//! async fn answer(after: u64) -> u64 {
//!     sleep(Duration::from_millis(after)).await;
//!     after
//! }
//!
//! # fn main() -> Result<(), BoxError> {
//! ramus::Runtime::new()?.block_on(async {
//!     // Two futures, one winner. The loser is gone when the race returns.
//!     assert_eq!(race((answer(1), answer(3_600_000))).await, 1);
//!
//!     ramus::scope(|s: Scope| async move {
//!         let mut tasks: Vec<JoinHandle<u64>> = [1, 2, 3_600_000].map(|after| s.spawn(answer(after))).into();
//!         // The finished ones come out of the list, the others stay in it.
//!         while tasks.len() > 1 {
//!             for task in wait(&mut tasks, When::FirstCompleted, None).await {
//!                 println!("{}", task.await?);
//!             }
//!         }
//!         tasks[0].cancel("two answers are enough");
//!         Ok(())
//!     })
//!     .await
//! })?;
//! # Ok(())
//! # }
//! ```
//!
//! | asyncio | tokio | ramus | where it differs |
//! |---|---|---|---|
//! | `gather(return_exceptions=True)` | `join!`, `futures::join_all` | [`join_all`] | – |
//! | `gather` | `try_join!`, `futures::try_join_all` | [`try_join_all`] | asyncio leaves the others running after an error; here they have drained before it returns |
//! | – | `select!` | [`race`], [`race_all`] | `select!` drops the losers in the middle; here scopes and shields in them drain first |
//! | `wait(…, FIRST_COMPLETED, timeout)` | `JoinSet::join_next` | [`wait`] with [`When`] and a limit | a list of handles; the finished ones are taken out of it |
//! | `as_completed` | `JoinSet`, `FuturesUnordered` | [`as_completed`] | dropping it neither cancels nor leaks a task |
//! | awaiting a task twice | `Shared` of futures | [`JoinHandle::shared`] | – |
//! | `task.cancel()` | `AbortHandle` | [`JoinHandle::cancel_handle`] | with a reason |
//! | `wait_for`, `timeout`, `timeout_at` | `time::timeout`, `timeout_at` | [`timeout`], [`timeout_at`] | what is inside drains before it returns |
//!
//! [`JoinHandle::shared`]: crate::JoinHandle::shared
//! [`JoinHandle::cancel_handle`]: crate::JoinHandle::cancel_handle
//! [`timeout`]: crate::timeout
//! [`timeout_at`]: crate::timeout_at

mod as_completed;
mod shared;
mod wait;

pub use ramus_scope::{JoinAll, Race, RaceAll, Racing, TryJoinAll, join_all, race, race_all, try_join_all};

pub use as_completed::{AsCompleted, as_completed};
pub use shared::SharedJoinHandle;
pub use wait::{When, wait};
