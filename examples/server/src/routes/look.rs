//! Routes that show what the server is doing.

use std::sync::Arc;

use axum::Json;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use ramus::Handle;
use ramus::metrics::WorkerMetrics;
use serde_json::{Value, json};

use crate::metrics::{Metrics, Page};

/// `GET /tree`: the live tree as indented text, or as a list of its rows where the client prefers JSON.
pub(super) async fn tree(headers: HeaderMap) -> Response {
    let tree = Handle::current().tree();
    if !accepts_json(&headers) {
        return tree.to_string().into_response();
    }
    let rows: Vec<Value> = tree
        .entries()
        .iter()
        .map(|row| {
            json!({
                "depth": row.depth,
                "kind": row.kind,
                "name": row.name,
                "site": row.site.map(ToString::to_string),
                "state": row.state,
                "task": row.id.map(|id| id.to_string()),
                "age_ms": row.age.map(|age| age.as_millis() as u64),
            })
        })
        .collect();
    Json(rows).into_response()
}

fn accepts_json(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.contains("application/json"))
}

/// `GET /metrics`: what the server and its runtime count, in the Prometheus text format.
pub(super) async fn metrics(server: Arc<Metrics>) -> Response {
    let runtime = Handle::current();
    let counts = runtime.metrics();
    let tree = runtime.tree();
    let scopes = tree.entries().iter().filter(|row| row.kind == "scope");

    let mut page = Page::default();
    server.write(&mut page);
    page.counter("ramus_tasks_spawned_total", "Tasks spawned.", counts.tasks_spawned);
    page.counter("ramus_tasks_finished_total", "Tasks that ended.", counts.tasks_finished);
    page.gauge("ramus_scopes", "Scopes that are open.", scopes.count() as u64);
    page.gauge("ramus_timers", "Timers registered.", counts.timers as u64);
    page.gauge("ramus_inbox_depth", "Tasks from outside that no worker has taken yet.", counts.inbox_depth as u64);
    page.gauge("ramus_idle_workers", "Workers that are parked.", counts.idle_workers as u64);
    page.counter("ramus_polls_total", "Polls of tasks.", counts.polls());
    page.counter("ramus_steals_total", "Batches that workers took from each other.", counts.steals());
    page.counter("ramus_parks_total", "Times that workers blocked because there was nothing to do.", counts.parks());
    page.counter("ramus_wakes_total", "Times that a worker was woken.", counts.wakes());
    let workers = &counts.workers;
    by_worker(&mut page, workers, "ramus_worker_polls_total", "Polls of tasks by a worker.", |w| w.polls);
    by_worker(&mut page, workers, "ramus_worker_steals_total", "Batches that a worker took.", |w| w.steals);
    by_worker(&mut page, workers, "ramus_worker_parks_total", "Times that a worker blocked.", |w| w.parks);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], page.into_text()).into_response()
}

fn by_worker(page: &mut Page, workers: &[WorkerMetrics], name: &str, help: &str, count: fn(&WorkerMetrics) -> u64) {
    page.family(name, help, "counter");
    for (index, worker) in workers.iter().enumerate() {
        page.sample(name, format_args!("{{worker=\"{index}\"}}"), count(worker));
    }
}
