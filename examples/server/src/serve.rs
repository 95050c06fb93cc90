//! The accept loop, and the way the server ends.
//!
//! ```text
//! serving --signal--> stopping (no more accepts, idle connections close, answers carry `Connection: close`)
//!                        |--everything answered--> ended
//!                        |--end of the grace, or a second signal--> cancelled --> ended, or given up
//! ```

use std::io::{self, Write};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_channel::oneshot;
use ramus::net::{TcpListener, TcpStream};
use ramus::signal::{self, SignalKind};
use ramus::time::sleep;
use ramus::{Handle, ReasonKind, Scope, ScopeHandle};

use crate::args::Settings;
use crate::connection::{self, App};
use crate::first::{First, first};

/// How long cancelled work may take to end before the server gives up on it.
const CANCEL_LIMIT: Duration = Duration::from_secs(2);

/// Serves until a signal has stopped the server, and everything has ended or was given up.
///
/// # Errors
///
/// The signals cannot be watched, or the address cannot be told.
pub(crate) async fn until_stopped(listener: TcpListener, settings: Arc<Settings>) -> io::Result<()> {
    let address = listener.local_addr()?;
    let signals = Signals::watch()?;
    let mut out = io::stdout();
    writeln!(out, "listening on http://{address}")?;
    out.flush()?;

    let (give_up, given_up) = oneshot::channel();
    let runtime = Handle::current();
    let server = runtime.spawn(Scope::builder().name("server").isolate().open(move |server: Scope| async move {
        // In the runtime's own scope: the server ends without it, and it sees the server end.
        let stopper = stop(ScopeHandle::clone(&server), signals, settings.grace, give_up);
        drop(runtime.spawn(stopper));
        let app = Arc::new(App::new(settings));
        accept_all(listener, &server, &app).await;
    }));
    first(server, given_up).await;
    Ok(())
}

/// Waits for a signal, and sees to it that the server ends: softly, then hard, then not at all.
async fn stop(server: ScopeHandle, mut signals: Signals, grace: Duration, give_up: oneshot::Sender<()>) {
    if let Err(error) = signals.next().await {
        eprintln!("server: cannot watch for signals any more, so it stops: {error}");
    }
    server.stop(grace);
    // Whoever started it may have closed its end.
    let _ = writeln!(io::stdout(), "stopping: what is open has {grace:?} to end; another signal cancels it at once");
    if let First::Left(_signal) = first(signals.next(), server.cancelled()).await {
        server.cancel(ReasonKind::Shutdown);
    }
    sleep(CANCEL_LIMIT).await;
    // Nobody listens any more if the server has ended.
    let _listening = give_up.send(());
}

/// Accepts until the server stops.
async fn accept_all(listener: TcpListener, server: &ScopeHandle, app: &Arc<App>) {
    let mut stopping = pin!(server.stopping());
    loop {
        match first(stopping.as_mut(), listener.accept()).await {
            First::Left(()) => break,
            First::Right(Ok((stream, peer))) => admit(stream, peer, server, app),
            // Not the connection's fault and not a shortage, which `accept` waits out: the listener is of no use any more.
            First::Right(Err(error)) => {
                eprintln!("server: cannot accept any more: {error}");
                server.stop(app.settings.grace);
                break;
            }
        }
    }
    if let Err(error) = accept_waiting(listener, server, app) {
        eprintln!("server: connections were lost: {error}");
    }
}

/// Accepts what the kernel has accepted already: for those clients the connection stands, and their requests may be on
/// their way. The listener closes after that.
fn accept_waiting(listener: TcpListener, server: &ScopeHandle, app: &Arc<App>) -> io::Result<()> {
    let listener = listener.into_std();
    listener.set_nonblocking(true)?;
    loop {
        match listener.accept() {
            Ok((stream, peer)) => {
                stream.set_nonblocking(true)?;
                admit(TcpStream::from_std(stream)?, peer, server, app);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted) => {}
            Err(error) => return Err(error),
        }
    }
}

fn admit(stream: TcpStream, peer: SocketAddr, server: &ScopeHandle, app: &Arc<App>) {
    // It answers to its client and its scope, not to us.
    drop(server.spawn(connection::serve(stream, peer, Arc::clone(app))));
}

/// The signals that end the server.
struct Signals {
    terminate: signal::Signals,
    interrupt: signal::Signals,
}

impl Signals {
    /// From now on no such signal is missed.
    fn watch() -> io::Result<Signals> {
        Ok(Signals {
            terminate: signal::Signals::new(SignalKind::TERMINATE)?,
            interrupt: signal::Signals::new(SignalKind::INTERRUPT)?,
        })
    }

    /// Waits for either.
    async fn next(&mut self) -> io::Result<()> {
        match first(self.terminate.recv(), self.interrupt.recv()).await {
            First::Left(received) | First::Right(received) => received,
        }
    }
}
