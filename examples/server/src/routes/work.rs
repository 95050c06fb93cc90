//! Routes that do something: wait, fan out, compute.

use std::collections::HashMap;
use std::fmt;
use std::hint::black_box;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use ramus::{Scope, yield_now};
use serde_json::{Value, json};

use super::Failure;

/// The most children of one `/fanout`.
const MAX_FANOUT: u64 = 100_000;
/// How long `/cpu` computes between two cancellation points.
const SLICE: Duration = Duration::from_micros(100);

/// `GET /sleep/{ms}`: waits, then answers.
pub(super) async fn sleep(ms: Result<Path<u64>, PathRejection>) -> Result<String, Failure> {
    let Path(ms) = ms?;
    ramus::sleep(Duration::from_millis(ms)).await;
    Ok(format!("slept {ms} ms\n"))
}

/// What a child of `/fanout` reports when it is told to fail.
#[derive(Debug)]
struct ChildFailed(u64);

impl fmt::Display for ChildFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "child {} failed", self.0)
    }
}

impl std::error::Error for ChildFailed {}

/// `GET /fanout/{n}?fail=k`: n children in a scope. The first k of them fail; the scope cancels the others, waits for
/// all, and hands back every error.
pub(super) async fn fanout(
    n: Result<Path<u64>, PathRejection>,
    query: Result<Query<HashMap<String, String>>, QueryRejection>,
) -> Result<Json<Value>, Failure> {
    let Path(n) = n?;
    let Query(query) = query?;
    if n > MAX_FANOUT {
        let most = format!("at most {MAX_FANOUT} children");
        return Err(Failure::new(StatusCode::BAD_REQUEST, most));
    }
    let failing: u64 = match query.get("fail").map(|k| k.parse()) {
        None => 0,
        Some(Ok(k)) => k,
        Some(Err(_)) => {
            let wanted = "fail: not a whole number";
            return Err(Failure::new(StatusCode::BAD_REQUEST, wanted));
        }
    };
    let summed = ramus::scope(|scope: Scope<ChildFailed>| async move {
        let children: Vec<_> = (0..n).map(|child| scope.spawn_try(fanned(child, failing))).collect();
        let mut sum = 0;
        for child in children {
            sum += child.await.unwrap_or_default();
        }
        Ok(sum)
    })
    .await;
    match summed {
        Ok(sum) => Ok(Json(json!({ "children": n, "sum": sum }))),
        Err(error) => {
            let failures = error.errors().iter().map(ToString::to_string).collect();
            Err(Failure::new(StatusCode::INTERNAL_SERVER_ERROR, &error)
                .with("children", json!(n))
                .with("failures", failures))
        }
    }
}

/// One child: its number, after it has let the others begin.
async fn fanned(child: u64, failing: u64) -> Result<u64, ChildFailed> {
    if child < failing {
        return Err(ChildFailed(child));
    }
    yield_now().await;
    Ok(child)
}

/// `GET /cpu/{ms}`: computes for so long; it can be cancelled at the end of each slice, and lets others run there.
pub(super) async fn cpu(ms: Result<Path<u64>, PathRejection>) -> Result<String, Failure> {
    let Path(ms) = ms?;
    let wanted = Duration::from_millis(ms);
    let mut computed = Duration::ZERO;
    let mut value = ms;
    while computed < wanted {
        let begun = Instant::now();
        let slice = SLICE.min(wanted - computed);
        while begun.elapsed() < slice {
            value = black_box(spin(value));
        }
        computed += begun.elapsed();
        yield_now().await;
    }
    Ok(format!("computed {ms} ms\n"))
}

/// About a microsecond of arithmetic.
fn spin(seed: u64) -> u64 {
    (0..1000_u64)
        .fold(seed, |value, round| value.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(17).wrapping_add(round))
}
