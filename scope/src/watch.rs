//! `stop_on`: a future that stops the scope when it is ready. The scope's own future polls it; it is no member, so it does
//! not keep the scope open.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// A signal that a scope watches, and the grace of the stop that it starts.
pub(crate) struct Watcher {
    pub(crate) signal: Pin<Box<dyn Future<Output = ()> + Send>>,
    pub(crate) grace: Duration,
}

/// Polls `watchers`; keeps those that are pending and returns the graces of the others.
pub(crate) fn poll(watchers: &mut Vec<Watcher>, cx: &mut Context<'_>) -> Vec<Duration> {
    let mut ready = Vec::new();
    watchers.retain_mut(|watcher| match watcher.signal.as_mut().poll(cx) {
        Poll::Ready(()) => {
            ready.push(watcher.grace);
            false
        }
        Poll::Pending => true,
    });
    ready
}
