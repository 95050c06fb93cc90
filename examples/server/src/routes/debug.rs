//! Routes that misbehave, for tests; there only with `--debug-routes`.

use std::time::Duration;

use axum::extract::Path;
use axum::extract::rejection::PathRejection;

use super::Failure;

/// `GET /debug/panic`.
pub(super) async fn panic() -> String {
    panic!("as asked by /debug/panic")
}

/// `GET /debug/block/{ms}`: blocks a thread of the blocking pool, and does not look at its cancel.
pub(super) async fn block(ms: Result<Path<u64>, PathRejection>) -> Result<String, Failure> {
    let Path(ms) = ms?;
    let blocked = ramus::spawn_blocking(move || std::thread::sleep(Duration::from_millis(ms)));
    match blocked.await {
        Ok(()) => Ok(format!("blocked {ms} ms\n")),
        Err(error) => Err(Failure::new(axum::http::StatusCode::INTERNAL_SERVER_ERROR, error)),
    }
}
