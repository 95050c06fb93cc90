//! What tasks share, as users see it in [`ramus::sync`](crate::sync): an event, and the types of other crates.

mod event;

pub use event::{Event, WaitEvent};

#[cfg(feature = "sync")]
pub use {async_channel as channel, async_lock as lock, futures_channel::oneshot};
