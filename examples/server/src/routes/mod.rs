//! What is answered, and the shape of a failure.

mod debug;
mod look;
pub mod portable;
mod work;

use std::fmt::Display;
use std::sync::Arc;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::metrics::Metrics;

/// All routes.
pub(crate) fn router(metrics: Arc<Metrics>, with_debug: bool) -> Router {
    let mut router = portable::router()
        .route("/sleep/{ms}", get(work::sleep))
        .route("/fanout/{n}", get(work::fanout))
        .route("/cpu/{ms}", get(work::cpu))
        .route("/tree", get(look::tree))
        .route("/metrics", get(move || look::metrics(metrics)));
    if with_debug {
        router = router.route("/debug/panic", get(debug::panic)).route("/debug/block/{ms}", get(debug::block));
    }
    router.fallback(async || Failure::new(StatusCode::NOT_FOUND, "no such route")).method_not_allowed_fallback(
        async || Failure::new(StatusCode::METHOD_NOT_ALLOWED, "this route has another method"),
    )
}

/// The name of a request's scope: its route, so that the tree tells requests apart at no cost.
pub(crate) fn name_of(path: &str) -> &'static str {
    let rest = path.get(1..).unwrap_or_default();
    let first = rest.bytes().position(|byte| byte == b'/').map_or(rest, |end| &rest[..end]);
    match first {
        "" => "request /",
        "echo" => "request /echo",
        "sleep" => "request /sleep",
        "fanout" => "request /fanout",
        "cpu" => "request /cpu",
        "tree" => "request /tree",
        "metrics" => "request /metrics",
        "debug" => "request /debug",
        _ => "request",
    }
}

/// An answer that says what went wrong, as JSON.
#[derive(Debug)]
pub(crate) struct Failure {
    status: StatusCode,
    body: Value,
}

impl Failure {
    pub(crate) fn new(status: StatusCode, error: impl Display) -> Failure {
        Failure { status, body: json!({ "error": error.to_string() }) }
    }

    /// Adds a field to the JSON object.
    fn with(mut self, field: &str, value: Value) -> Failure {
        self.body[field] = value;
        self
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.status, Json(self.body)).into_response()
    }
}

impl From<PathRejection> for Failure {
    fn from(rejection: PathRejection) -> Failure {
        Failure::new(rejection.status(), rejection.body_text())
    }
}

impl From<QueryRejection> for Failure {
    fn from(rejection: QueryRejection) -> Failure {
        Failure::new(rejection.status(), rejection.body_text())
    }
}

#[cfg(test)]
mod tests {
    use super::name_of;

    #[test]
    fn a_request_is_named_by_its_route() {
        assert_eq!(name_of("/"), "request /");
        assert_eq!(name_of("/sleep/100"), "request /sleep");
        assert_eq!(name_of("/sleepy"), "request");
        assert_eq!(name_of("*"), "request /");
    }
}
