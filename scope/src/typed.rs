//! The handle that knows the error type of its scope, and the children whose errors fail it.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::ops::Deref;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::error::BoxError;
use crate::error::Refused;
use crate::handle::ScopeHandle;
use crate::host::Host;
use crate::limit::SpawnWhenFree;
use crate::member;
use crate::reason::ReasonKind;
use crate::scope::Builder;
use crate::sync::Arc;
use crate::tree::{Node, Policy};
use crate::walk;

/// A handle of a scope whose children fail with errors of type `E`.
///
/// It derefs to [`ScopeHandle`]. Annotate the closure's parameter: `|s: Scope<io::Error>|`.
///
/// ```
/// use std::io;
/// use ramus_scope::{Host, ScopeError, scope};
/// # use ramus_scope::Scope;
///
/// async fn both<H: Host>() -> Result<(), ScopeError<io::Error>> {
///     scope(|s: Scope<H, io::Error>| async move {
///         let _first = s.spawn_try(async { Ok::<(), io::Error>(()) });
///         let _second = s.spawn_try(async { Err::<(), _>(io::Error::other("no")) });
///         Ok(())
///     })
///     .await
/// }
/// ```
pub struct Scope<H, E = BoxError> {
    handle: ScopeHandle<H>,
    _error: PhantomData<fn(E)>,
}

impl<H: Clone, E> Clone for Scope<H, E> {
    fn clone(&self) -> Self {
        Scope { handle: self.handle.clone(), _error: PhantomData }
    }
}

impl<H> Scope<H> {
    /// A builder of a scope with a name, a deadline or another policy.
    ///
    /// ```
    /// use ramus_scope::{Host, Scope, ScopeError};
    ///
    /// async fn named<H: Host>() -> Result<u32, ScopeError> {
    ///     Scope::<H>::builder().name("request").open(|_s: Scope<H>| async { Ok(42) }).await
    /// }
    /// ```
    pub fn builder() -> Builder {
        Builder::new()
    }
}

impl<H: Host, E: Send + 'static> Scope<H, E> {
    pub(crate) fn new(node: Arc<Node>, host: H) -> Scope<H, E> {
        Scope { handle: ScopeHandle::new(node, host), _error: PhantomData }
    }

    /// Spawns a child whose error fails the scope: it is collected, and the siblings are cancelled (unless the scope
    /// isolates failures). The handle answers with the value.
    ///
    /// ```
    /// use ramus_scope::{BoxError, Host, Scope};
    ///
    /// fn start<H: Host>(s: &Scope<H>) {
    ///     let _handle = s.spawn_try(async { Err::<(), BoxError>("the scope fails with this".into()) });
    /// }
    /// ```
    #[track_caller]
    pub fn spawn_try<F, T, X>(&self, future: F) -> H::JoinHandle<T>
    where
        F: Future<Output = Result<T, X>> + Send + 'static,
        T: Send + 'static,
        X: Into<E> + Send + 'static,
    {
        self.handle.spawn(self.child(future))
    }

    #[track_caller]
    fn child<F>(&self, future: F) -> Child<F, E> {
        Child::new(future, self.node(), Location::caller())
    }

    /// Waits until the scope has a free slot, then spawns `future` as [`spawn_try`](Scope::spawn_try) does. See
    /// [`spawn_when_free`](ScopeHandle::spawn_when_free).
    ///
    /// ```
    /// use std::io;
    /// use ramus_scope::{Host, Scope};
    ///
    /// async fn upload_all<H: Host>(s: &Scope<H, io::Error>, files: Vec<String>) {
    ///     for file in files {
    ///         let Ok(_handle) = s.spawn_try_when_free(upload(file)).await else { break };
    ///     }
    /// }
    /// # async fn upload(_: String) -> io::Result<()> { Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Refused`] with the future, unpolled, if the scope is cancelled, also while this waits, or has ended.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it either completes or has no effect. Cut or dropped while it waits, the future is dropped unpolled and
    /// no slot is lost.
    #[track_caller]
    pub fn spawn_try_when_free<F, T, X>(&self, future: F) -> SpawnTryWhenFree<'_, H, F, E>
    where
        F: Future<Output = Result<T, X>> + Send + 'static,
        T: Send + 'static,
        X: Into<E> + Send + 'static,
    {
        SpawnTryWhenFree { spawn: self.handle.spawn_when_free(self.child(future)) }
    }
}

impl<H, E> Deref for Scope<H, E> {
    type Target = ScopeHandle<H>;

    fn deref(&self) -> &ScopeHandle<H> {
        &self.handle
    }
}

impl<H, E> fmt::Debug for Scope<H, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.handle.fmt(f)
    }
}

/// The future of [`Scope::spawn_try_when_free`].
#[must_use = "nothing is spawned unless it is awaited"]
pub struct SpawnTryWhenFree<'a, H, F, E> {
    spawn: SpawnWhenFree<'a, H, Child<F, E>>,
}

impl<H, F, T, X, E> Future for SpawnTryWhenFree<'_, H, F, E>
where
    H: Host,
    E: Send + 'static,
    F: Future<Output = Result<T, X>> + Send + 'static,
    T: Send + 'static,
    X: Into<E> + Send + 'static,
{
    type Output = Result<H::JoinHandle<T>, Refused<F>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let spawned = Pin::new(&mut self.spawn).poll(cx);
        spawned.map_err(|refused| refused.map(|child| child.future))
    }
}

pin_project! {
    /// A child of `spawn_try`: its error goes to the scope.
    pub(crate) struct Child<F, E> {
        #[pin]
        future: F,
        scope: Arc<Node>,
        site: &'static Location<'static>,
        _error: PhantomData<fn() -> E>,
    }
}

impl<F, E> Child<F, E> {
    pub(crate) fn new(future: F, scope: &Arc<Node>, site: &'static Location<'static>) -> Child<F, E> {
        Child { future, scope: Arc::clone(scope), site, _error: PhantomData }
    }
}

/// A child of `scope`, spawned at `site`, has failed with `error`.
pub(crate) fn fail_scope<E: Send + 'static>(scope: &Arc<Node>, error: E, site: &'static Location<'static>) {
    scope.fail(error);
    if scope.policy == Policy::FailFast {
        walk::cancel_for(scope, ReasonKind::SiblingFailed, site);
    }
}

impl<F, T, X, E> Future for Child<F, E>
where
    F: Future<Output = Result<T, X>>,
    X: Into<E>,
    E: Send + 'static,
{
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let this = self.project();
        match this.future.poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(value)) => Poll::Ready(value),
            Poll::Ready(Err(error)) => {
                fail_scope::<E>(this.scope, error.into(), this.site);
                // There is no value to answer with: the member ends as failed at this suspension.
                member::fail_task();
                Poll::Pending
            }
        }
    }
}
