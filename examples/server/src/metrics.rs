//! What the server counts, beside what the runtime counts.

use std::fmt::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use ramus::ReasonKind;

/// Counters of the server; each is a sum over its life.
#[derive(Default)]
pub(crate) struct Metrics {
    connections_opened: AtomicU64,
    connections_closed: AtomicU64,
    connections_failed: AtomicU64,
    requests: [Shard; SHARDS],
    /// Requests that were cancelled, by kind of reason.
    cancelled: [AtomicU64; ReasonKind::ALL.len()],
    panicked: AtomicU64,
}

/// How many threads count requests without getting into each other's way.
const SHARDS: usize = 16;

/// The requests that one thread, or a few of them, began and ended; on a cache line of its own.
#[derive(Default)]
#[repr(align(128))]
struct Shard {
    begun: AtomicU64,
    ended: AtomicU64,
}

thread_local! {
    /// The shard of this thread.
    static SHARD: usize = {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS
    };
}

/// A connection is open while this lives.
pub(crate) struct OpenConnection(Arc<Metrics>);

impl OpenConnection {
    /// It ended with an error.
    pub(crate) fn failed(&self) {
        bump(&self.0.connections_failed);
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        bump(&self.0.connections_closed);
    }
}

/// The counters order nothing.
fn bump(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Metrics {
    pub(crate) fn connection(self: &Arc<Self>) -> OpenConnection {
        bump(&self.connections_opened);
        OpenConnection(Arc::clone(self))
    }

    pub(crate) fn request(&self) {
        bump(&self.requests[SHARD.with(|shard| *shard)].begun);
    }

    pub(crate) fn request_ended(&self) {
        bump(&self.requests[SHARD.with(|shard| *shard)].ended);
    }

    pub(crate) fn request_cancelled(&self, reason: ReasonKind) {
        for (kind, counter) in ReasonKind::ALL.into_iter().zip(&self.cancelled) {
            if kind == reason {
                bump(counter);
            }
        }
    }

    pub(crate) fn request_panicked(&self) {
        bump(&self.panicked);
    }

    /// Appends the counters in the Prometheus text format.
    pub(crate) fn write(&self, out: &mut Page) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        // The ends first: read the other way round, a gauge could seem to be below zero.
        let closed = read(&self.connections_closed);
        let ended: u64 = self.requests.iter().map(|shard| read(&shard.ended)).sum();
        let opened = read(&self.connections_opened);
        let begun: u64 = self.requests.iter().map(|shard| read(&shard.begun)).sum();
        out.gauge("server_connections_open", "Open connections.", opened.saturating_sub(closed));
        out.counter("server_connections_total", "Connections accepted.", opened);
        out.counter(
            "server_connections_failed_total",
            "Connections that ended with an error of the client, of the network or of HTTP.",
            read(&self.connections_failed),
        );
        out.gauge("server_requests_running", "Requests being answered.", begun.saturating_sub(ended));
        out.counter("server_requests_total", "Requests begun.", begun);
        let cancelled = "server_requests_cancelled_total";
        out.family(cancelled, "Requests cancelled, by the reason.", "counter");
        for (kind, counter) in ReasonKind::ALL.into_iter().zip(&self.cancelled) {
            out.sample(cancelled, format_args!("{{reason=\"{}\"}}", kind.as_str()), read(counter));
        }
        out.counter("server_requests_panicked_total", "Requests whose handler panicked.", read(&self.panicked));
    }
}

/// A page in the Prometheus text format.
#[derive(Default)]
pub(crate) struct Page(String);

impl Page {
    pub(crate) fn gauge(&mut self, name: &str, help: &str, value: u64) {
        self.family(name, help, "gauge");
        self.sample(name, format_args!(""), value);
    }

    pub(crate) fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.family(name, help, "counter");
        self.sample(name, format_args!(""), value);
    }

    /// Begins a family of samples with labels.
    pub(crate) fn family(&mut self, name: &str, help: &str, kind: &str) {
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    pub(crate) fn sample(&mut self, name: &str, labels: fmt::Arguments<'_>, value: u64) {
        self.line(format_args!("{name}{labels} {value}"));
    }

    fn line(&mut self, line: fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        let _written = writeln!(self.0, "{line}");
    }

    pub(crate) fn into_text(self) -> String {
        self.0
    }
}
