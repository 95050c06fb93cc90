//! One connection: HTTP/1.1 or HTTP/2 in a scope of its own.
//!
//! A client that is too slow is cut: until the protocol is known by a deadline of ours, while it sends a head by
//! hyper's, while it sends or takes a body by the request's (see `request`), while it takes nothing at all by
//! [`Io`]'s.
//!
//! When the server stops, a connection that works on a request answers it with `Connection: close` (HTTP/2: with
//! GOAWAY). One that is idle lingers first: its next request may be under way already, and closing on it would lose it.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker, ready};
use std::time::Duration;

use axum::Router;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::server::conn::auto;
use pin_project_lite::pin_project;
use ramus::hyper::{RamusExecutor, RamusTimer};
use ramus::net::TcpStream;
use ramus::time::{Sleep, sleep};
use ramus::{Scope, ScopeError, ScopeHandle};

use crate::args::Settings;
use crate::metrics::{Metrics, OpenConnection};
use crate::request::Requests;
use crate::routes;

/// hyper adds its times to the clock unchecked, so none may be longer.
const LONGEST: Duration = Duration::from_secs(365 * 86_400);
/// How long an idle connection stays open after the stop.
const LINGER: Duration = Duration::from_millis(200);
/// The length of the HTTP/2 preface. Until the protocol is known no more than this is read.
const PREFACE: usize = 24;
/// Bounds a request's head; more is answered 431.
const MAX_HEAD: usize = 64 * 1024;
/// How often an HTTP/2 client is asked whether it is still there.
const PING_EVERY: Duration = Duration::from_secs(20);

/// What every connection needs.
pub(crate) struct App {
    pub(crate) settings: Arc<Settings>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) router: Router,
    http: auto::Builder<RamusExecutor>,
}

impl App {
    pub(crate) fn new(settings: Arc<Settings>) -> App {
        let metrics = Arc::new(Metrics::default());
        let router = routes::router(Arc::clone(&metrics), settings.debug_routes);
        let http = protocol(settings.header_timeout.min(LONGEST));
        App { settings, metrics, router, http }
    }
}

/// What a connection's parts share. Requests count references on this and not on the [`App`], which all workers share.
pub(crate) struct Connection {
    pub(crate) app: Arc<App>,
    pub(crate) scope: ScopeHandle,
    /// Requests that are being answered.
    running: AtomicUsize,
    /// Whether the first bytes have told the protocol.
    protocol_known: AtomicBool,
}

impl Connection {
    pub(crate) fn begin(&self) {
        self.running.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn end(&self) {
        self.running.fetch_sub(1, Ordering::Relaxed);
    }

    fn is_working(&self) -> bool {
        self.running.load(Ordering::Relaxed) != 0
    }

    fn knows_protocol(&self) -> bool {
        self.protocol_known.load(Ordering::Relaxed)
    }
}

/// Serves one connection until the client closes it, breaks a rule, or the server stops.
pub(crate) fn serve(stream: TcpStream, peer: SocketAddr, app: Arc<App>) -> impl Future<Output = ()> + Send {
    let open = app.metrics.connection();
    // Small answers leave at once. A socket that is broken already says so at the first read.
    let _set = stream.set_nodelay(true);
    let scope = Scope::builder()
        .name(format!("connection {peer}"))
        .isolate()
        .open(|scope: Scope<io::Error>| drive(stream, ScopeHandle::clone(&scope), app));
    Serving { scope, open }
}

pin_project! {
    /// A connection's task. An async block would keep a second place for the scope, from before its first poll.
    struct Serving<S> {
        #[pin]
        scope: S,
        open: OpenConnection,
    }
}

impl<S> Future for Serving<S>
where
    S: Future<Output = Result<(), ScopeError<io::Error>>>,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        if ready!(this.scope.poll(cx)).is_err() {
            this.open.failed();
        }
        Poll::Ready(())
    }
}

/// The waker that waits for the stop: wakes the connection and remembers it, so that the connection, which is woken for
/// each request, need not ask all scopes around it each time.
struct Told {
    connection: Waker,
    stop: AtomicBool,
}

impl Told {
    fn new(connection: &Waker) -> Arc<Told> {
        Arc::new(Told { connection: connection.clone(), stop: AtomicBool::new(false) })
    }

    /// Nothing has been said, and what will be said wakes `connection`.
    fn waits_for(&self, connection: &Waker) -> bool {
        self.connection.will_wake(connection) && !self.stop.load(Ordering::Acquire)
    }
}

impl Wake for Told {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.stop.store(true, Ordering::Release);
        self.connection.wake_by_ref();
    }
}

/// Where a connection is on its way to its end.
enum Phase {
    /// The server serves.
    Serving,
    /// The server stops; the connection was idle when it was told.
    Lingering(Pin<Box<Sleep>>),
    /// It closes as soon as it is idle.
    Closing,
}

async fn drive(stream: TcpStream, scope: ScopeHandle, app: Arc<App>) -> io::Result<()> {
    let header_timeout = app.settings.header_timeout;
    let limit = app.settings.request_timeout;
    let shared = Arc::new(Connection {
        app,
        scope: scope.clone(),
        running: AtomicUsize::new(0),
        protocol_known: AtomicBool::new(false),
    });
    let io = Io { stream, stalled: None, limit, shared: Arc::clone(&shared) };
    let requests = Requests::new(Arc::clone(&shared));
    let mut connection = pin!(shared.app.http.serve_connection(io, requests));
    let mut stopping = pin!(scope.stopping());
    let mut told: Option<Arc<Told>> = None;
    let mut preface = Some(Box::pin(sleep(header_timeout)));
    let mut phase = Phase::Serving;
    poll_fn(|cx| {
        loop {
            if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                return Poll::Ready(ended.map_err(io::Error::other));
            }
            match &mut phase {
                Phase::Serving => {
                    if let Some(deadline) = &mut preface {
                        if shared.knows_protocol() {
                            preface = None;
                        } else if deadline.as_mut().poll(cx).is_ready() {
                            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                        }
                    }
                    if told.as_ref().is_some_and(|told| told.waits_for(cx.waker())) {
                        return Poll::Pending;
                    }
                    let fresh = Told::new(cx.waker());
                    let waker = Waker::from(Arc::clone(&fresh));
                    told = Some(fresh);
                    ready!(stopping.as_mut().poll(&mut Context::from_waker(&waker)));
                    phase = Phase::Lingering(Box::pin(sleep(LINGER)));
                }
                Phase::Lingering(end) => {
                    if !shared.is_working() {
                        ready!(end.as_mut().poll(cx));
                    }
                    connection.as_mut().graceful_shutdown();
                    phase = Phase::Closing;
                }
                Phase::Closing => return Poll::Pending,
            }
        }
    })
    .await
}

/// HTTP as this server speaks it; what HTTP/2 spawns becomes a member of the connection's scope, which is the current one.
fn protocol(header_timeout: Duration) -> auto::Builder<RamusExecutor> {
    let mut http = auto::Builder::new(RamusExecutor);
    http.http1().timer(RamusTimer).header_read_timeout(header_timeout).max_buf_size(MAX_HEAD);
    http.http2()
        .timer(RamusTimer)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(header_timeout)
        .max_header_list_size(MAX_HEAD as u32);
    http
}

/// The socket. It notices when the protocol is known, and fails when nothing goes out for too long.
struct Io {
    stream: TcpStream,
    /// Runs while the client takes nothing of what is to be sent.
    stalled: Option<Pin<Box<Sleep>>>,
    limit: Duration,
    shared: Arc<Connection>,
}

impl Io {
    /// Passes on how a write went, and fails it when it has been waiting for too long.
    fn watched(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let limit = self.limit;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl Read for Io {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        if buffer.remaining() > PREFACE {
            self.shared.protocol_known.store(true, Ordering::Relaxed);
        }
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl Write for Io {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watched(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.watched(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
