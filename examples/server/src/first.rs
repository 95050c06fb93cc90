//! Waiting for whichever of two futures ends first.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

/// Which of the two ended first, with its output.
pub(crate) enum First<A, B> {
    Left(A),
    Right(B),
}

/// Waits for either; looks at the left one first. The other one is dropped.
pub(crate) async fn first<A: Future, B: Future>(left: A, right: B) -> First<A::Output, B::Output> {
    let mut left = pin!(left);
    let mut right = pin!(right);
    poll_fn(|cx| {
        if let Poll::Ready(output) = left.as_mut().poll(cx) {
            return Poll::Ready(First::Left(output));
        }
        right.as_mut().poll(cx).map(First::Right)
    })
    .await
}
