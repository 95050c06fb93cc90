//! Waiting for something as long as the scope is not asked to stop: the head of an accept loop.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use ramus_scope::WaitStopping;

use crate::scope::ScopeHandle;

/// [`or_stopping`](OrStopping::or_stopping) on every future of a `Result`.
///
/// ```no_run
/// use std::io;
/// use std::time::Duration;
///
/// use ramus::net::{TcpListener, TcpStream};
/// use ramus::{OrStopping, Scope, signal};
///
/// #[ramus::main]
/// async fn main() -> io::Result<()> {
///     ramus::scope(|s: Scope<io::Error>| async move {
///         let listener = TcpListener::bind("127.0.0.1:8080").await?;
///         s.stop_on(signal::ctrl_c(), Duration::from_secs(10));
///         while let Some((stream, _peer)) = listener.accept().or_stopping(&s).await? {
///             s.spawn_try(serve(stream)); // joined by the scope, cancelled with it
///         }
///         Ok(())
///     })
///     .await?;
///     Ok(())
/// }
///
/// async fn serve(mut stream: TcpStream) -> io::Result<()> {
///     stream.write_all(b"hello").await?;
///     Ok(())
/// }
/// ```
pub trait OrStopping<T, E>: Future<Output = Result<T, E>> {
    /// Waits for this future or for the scope's [`stopping`](crate::ScopeHandle::stopping), whichever is first: `Some` of
    /// the future's value, or `None` as soon as the scope is asked to stop.
    ///
    /// A scope that is stopping already is found before the future is polled, so a loop over something that is always
    /// ready ends too.
    ///
    /// # Errors
    ///
    /// Those of the future.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe to drop, but what was under way inside is lost with it: the future is dropped where it waits when the
    /// scope is asked to stop.
    fn or_stopping(self, scope: &ScopeHandle) -> UntilStopping<'_, Self>
    where
        Self: Sized,
    {
        UntilStopping { future: self, scope, stopping: scope.stopping() }
    }
}

impl<F, T, E> OrStopping<T, E> for F where F: Future<Output = Result<T, E>> {}

pin_project! {
    /// The future of [`OrStopping::or_stopping`].
    #[must_use = "futures do nothing unless they are polled"]
    pub struct UntilStopping<'a, F> {
        #[pin]
        future: F,
        scope: &'a ScopeHandle,
        #[pin]
        stopping: WaitStopping,
    }
}

impl<F, T, E> Future for UntilStopping<'_, F>
where
    F: Future<Output = Result<T, E>>,
{
    type Output = Result<Option<T>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        // Inert in a cut frame, as every leaf is; the future inside may still have something to drain.
        if !ramus_scope::is_cut() && this.scope.is_stopping() {
            return Poll::Ready(Ok(None));
        }
        if let Poll::Ready(result) = this.future.poll(cx) {
            return Poll::Ready(result.map(Some));
        }
        this.stopping.poll(cx).map(|()| Ok(None))
    }
}

impl<F> fmt::Debug for UntilStopping<'_, F> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("UntilStopping").finish_non_exhaustive()
    }
}
