//! Routes that need no runtime of any kind, so that a benchmark can serve the very same router on another one.

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::routing::{get, post};

/// What `GET /` answers.
pub const HELLO: &str = "Hello, World!\n";

/// `GET /` (a short text) and `POST /echo` (streams the body back).
pub fn router() -> Router {
    Router::new().route("/", get(async || HELLO)).route("/echo", post(echo))
}

/// The request's body is the answer's body: nothing is collected, so back-pressure reaches the sender.
async fn echo(request: Request<Body>) -> Body {
    request.into_body()
}
