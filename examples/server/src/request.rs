//! One request: a task of the connection's scope, with a scope and a deadline of its own.
//!
//! hyper drops the future of an answer when the client has gone (or has reset the stream). That cancels the task, and
//! with it everything that the handler has started.

use std::cell::RefCell;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse, Response};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper::service::Service;
use pin_project_lite::pin_project;
use ramus::time::{Sleep, sleep_until};
use ramus::{JoinHandle, ReasonKind, Scope, ScopeError};
use tower_service::Service as _;

use crate::connection::Connection;
use crate::routes::{self, Failure};

/// Hands the requests of one connection to tasks.
pub(crate) struct Requests {
    connection: Arc<Connection>,
    /// The connection's own: a clone for each request would count references on a line that all workers write.
    router: RefCell<Router>,
}

impl Requests {
    pub(crate) fn new(connection: Arc<Connection>) -> Requests {
        let router = RefCell::new(connection.app.router.clone());
        Requests { connection, router }
    }
}

impl Service<Request<Incoming>> for Requests {
    type Response = Response<Limited>;
    type Error = Infallible;
    type Future = Answer;

    fn call(&self, request: Request<Incoming>) -> Answer {
        let connection = &self.connection;
        let app = &connection.app;
        connection.begin();
        app.metrics.request();
        // A time beyond the clock's range is no deadline.
        let deadline = Instant::now().checked_add(app.settings.request_timeout);
        let mut scope = Scope::builder().name(routes::name_of(request.uri().path()));
        if let Some(deadline) = deadline {
            scope = scope.deadline(deadline);
        }
        // Behind a pointer: as long as it is not pinned, each step on the way into the task would copy it.
        let routed = Box::pin(self.router.borrow_mut().call(request.map(Body::new)));
        let task = connection.scope.spawn_eager(Handling {
            scope: scope.open(|_request: Scope<Infallible>| routed),
            connection: Arc::clone(connection),
        });
        Answer { task, connection: Arc::clone(connection), deadline, answered: false }
    }
}

pin_project! {
    /// The request's task: the router in a scope with a deadline, and an answer also where it has none.
    struct Handling<S> {
        #[pin]
        scope: S,
        connection: Arc<Connection>,
    }
}

impl<S> Future for Handling<S>
where
    S: Future<Output = Result<Response, ScopeError<Infallible>>>,
{
    type Output = Response;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Response> {
        let this = self.project();
        let metrics = &this.connection.app.metrics;
        // A panic has been reported by the panic hook; the future is not polled again.
        let Ok(handled) = catch_unwind(AssertUnwindSafe(|| this.scope.poll(cx))) else {
            metrics.request_panicked();
            let failure = Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "the handler panicked");
            return Poll::Ready(failure.into_response());
        };
        Poll::Ready(match ready!(handled) {
            Ok(response) => response,
            Err(error) if error.is_elapsed() => {
                metrics.request_cancelled(ReasonKind::Deadline);
                Failure::new(StatusCode::GATEWAY_TIMEOUT, "the request took too long").into_response()
            }
            Err(error) => Failure::new(StatusCode::SERVICE_UNAVAILABLE, error).into_response(),
        })
    }
}

/// Waits for a request's task; dropped early, it cancels it.
pub(crate) struct Answer {
    task: JoinHandle<Response>,
    connection: Arc<Connection>,
    deadline: Option<Instant>,
    answered: bool,
}

impl Future for Answer {
    type Output = Result<Response<Limited>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let response = match ready!(Pin::new(&mut self.task).poll(cx)) {
            Ok(response) => response,
            // Cancelled with the server, or a destructor panicked.
            Err(error) => Failure::new(StatusCode::SERVICE_UNAVAILABLE, error).into_response(),
        };
        self.answered = true;
        let deadline = self.deadline;
        Poll::Ready(Ok(response.map(|body| Limited { body, deadline, waiting: None })))
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.connection.end();
        let metrics = &self.connection.app.metrics;
        if !self.answered {
            // The connection is dropped with its client, or because the server cancels it.
            let reason = if ramus::is_cancelled() { ReasonKind::Shutdown } else { ReasonKind::ClientGone };
            if self.task.cancel(reason) {
                metrics.request_cancelled(reason);
            }
        }
        metrics.request_ended();
    }
}

pin_project! {
    /// A body that fails when the request's deadline passes while it waits for more, for example for the rest of what
    /// `/echo` is to send back.
    pub(crate) struct Limited {
        #[pin]
        body: Body,
        deadline: Option<Instant>,
        // Armed when the body first has to wait.
        waiting: Option<Pin<Box<Sleep>>>,
    }
}

impl http_body::Body for Limited {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.project();
        if let Poll::Ready(frame) = this.body.poll_frame(cx) {
            return Poll::Ready(frame);
        }
        let Some(deadline) = *this.deadline else {
            return Poll::Pending;
        };
        let waiting = this.waiting.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        ready!(waiting.as_mut().poll(cx));
        Poll::Ready(Some(Err(axum::Error::new("the request's deadline has passed"))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
