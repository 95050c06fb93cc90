//! Waiting for something as long as the scope is not asked to stop: the head of an accept loop.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use ramus_scope::WaitStopping;

use crate::scope::ScopeHandle;

/// [`until_stopping`](OrStopping::until_stopping) on every future, and [`or_stopping`](OrStopping::or_stopping) on every
/// future of a `Result`.
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
///             // Joined by the scope, cancelled with it. With `spawn_try` the error of one client would end the server.
///             s.spawn(async move {
///                 if let Err(error) = serve(stream).await {
///                     eprintln!("a client: {error}");
///                 }
///             });
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
pub trait OrStopping: Future + Sized {
    /// Waits for this future or for the scope's [`stopping`](crate::ScopeHandle::stopping), whichever is first: `Some` of
    /// the future's value, or `None` as soon as the scope is asked to stop.
    ///
    /// A scope that is stopping already is found before the future is polled, so a loop over something that is always
    /// ready ends too.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use ramus::{OrStopping, Scope, sleep};
    /// # let runtime = ramus::Runtime::new()?;
    /// # runtime.block_on(async {
    /// ramus::scope(|s: Scope| async move {
    ///     s.stop(Duration::from_secs(10));
    ///     // What it does every hour is over.
    ///     assert!(sleep(Duration::from_secs(3600)).until_stopping(&s).await.is_none());
    ///     Ok(())
    /// })
    /// .await
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Cancel safe to drop, but what was under way inside is lost with it: the future is dropped where it waits when the
    /// scope is asked to stop.
    fn until_stopping(self, scope: &ScopeHandle) -> UntilStopping<'_, Self> {
        UntilStopping { future: self, scope, stopping: scope.stopping() }
    }

    /// As [`until_stopping`](OrStopping::until_stopping), with the error outside of the option: for `?`.
    ///
    /// # Errors
    ///
    /// Those of the future.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe to drop, but what was under way inside is lost with it: the future is dropped where it waits when the
    /// scope is asked to stop.
    fn or_stopping<T, E>(self, scope: &ScopeHandle) -> TryUntilStopping<'_, Self>
    where
        Self: Future<Output = Result<T, E>>,
    {
        TryUntilStopping { inner: self.until_stopping(scope) }
    }
}

impl<F: Future> OrStopping for F {}

pin_project! {
    /// The future of [`OrStopping::until_stopping`].
    #[must_use = "futures do nothing unless they are polled"]
    pub struct UntilStopping<'a, F> {
        #[pin]
        future: F,
        scope: &'a ScopeHandle,
        #[pin]
        stopping: WaitStopping,
    }
}

impl<F: Future> Future for UntilStopping<'_, F> {
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        // Inert in a cut frame, as every leaf is; the future inside may still have something to drain.
        if !ramus_scope::is_cut() && this.scope.is_stopping() {
            return Poll::Ready(None);
        }
        if let Poll::Ready(value) = this.future.poll(cx) {
            return Poll::Ready(Some(value));
        }
        this.stopping.poll(cx).map(|()| None)
    }
}

impl<F> fmt::Debug for UntilStopping<'_, F> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("UntilStopping").finish_non_exhaustive()
    }
}

pin_project! {
    /// The future of [`OrStopping::or_stopping`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless they are polled"]
    pub struct TryUntilStopping<'a, F> {
        #[pin]
        inner: UntilStopping<'a, F>,
    }
}

impl<F, T, E> Future for TryUntilStopping<'_, F>
where
    F: Future<Output = Result<T, E>>,
{
    type Output = Result<Option<T>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().inner.poll(cx).map(Option::transpose)
    }
}
