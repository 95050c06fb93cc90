//! What the models of the scope tree share: a host whose tasks are polled by the model's own threads.
#![allow(dead_code, unreachable_pub, reason = "each model uses its part")]

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use ramus_scope::{Host, JoinError, Member, TaskCancel};

/// A host that runs nothing: what is spawned is handed to whoever polls it.
#[derive(Clone)]
pub struct Bench;

/// A spawned member.
pub struct Task<T> {
    poll: Box<dyn FnMut(&mut Context<'_>, &TaskCancel) -> Poll<Result<T, JoinError>> + Send>,
    pub cancel: Arc<TaskCancel>,
}

impl<T> Future for Task<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let cancel = Arc::clone(&self.cancel);
        (self.poll)(cx, &cancel)
    }
}

impl Host for Bench {
    type JoinHandle<T: Send + 'static> = Task<T>;
    type Alarm = ();

    fn current() -> Option<Bench> {
        Some(Bench)
    }

    fn spawn<F>(&self, member: Member<F>) -> Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let mut member = Box::pin(member);
        Task {
            poll: Box::new(move |cx, cancel| {
                let polled = member.as_mut().poll_task(cx, cancel);
                if polled.is_ready() {
                    member.as_mut().end();
                }
                polled
            }),
            cancel: Arc::new(TaskCancel::new()),
        }
    }

    fn wake_after(&self, _: Duration, _: Waker) {}

    fn wake_at(&self, _: Instant, _: Waker) {}
}
