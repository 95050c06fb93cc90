//! ramus serves: a scope for the server, a task for each connection, a scope for each HTTP request.

use std::convert::Infallible;
use std::io;
use std::net::TcpListener;
use std::time::Duration;

use http_body_util::Full;
use hyper::Response;
use hyper::body::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use ramus::net::TcpStream;
use ramus::{Builder, Scope, ScopeError};

use super::{BUFFER, Handler, Service, TIMEOUT, hello};
use crate::WORKERS;

pub(super) fn serve(service: Service, listener: TcpListener) -> io::Result<()> {
    let runtime = Builder::new_multi_thread().worker_threads(WORKERS).build()?;
    // A task of its own, so that the loop runs on a worker and not on the thread in `block_on`.
    let serving = runtime.spawn(async move {
        let listener = ramus::net::TcpListener::from_std(listener)?;
        let server = Scope::builder().isolate();
        Ok(server.open(|connections: Scope<io::Error>| accept(listener, service, connections)).await?)
    });
    runtime.block_on(serving)?
}

async fn accept(listener: ramus::net::TcpListener, service: Service, connections: Scope<io::Error>) -> io::Result<()> {
    loop {
        let (stream, _peer) = listener.accept().await?;
        drop(connections.spawn(connection(service, stream)));
    }
}

async fn connection(service: Service, mut stream: TcpStream) {
    // A client that breaks off is its own affair.
    let _set = stream.set_nodelay(true);
    match service {
        Service::Echo => {
            let mut buffer = vec![0; BUFFER];
            while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                if stream.write_all(&buffer[..read]).await.is_err() {
                    return;
                }
            }
        }
        Service::Http(handler) => {
            let service = service_fn(move |_request| answer(handler));
            let _ended = http1::Builder::new().serve_connection(stream, service).await;
        }
    }
}

type Answer = Result<Response<Full<Bytes>>, ScopeError<Infallible>>;

/// Each request in a scope of its own; the time-out is the scope's deadline.
async fn answer(handler: Handler) -> Answer {
    match handler {
        Handler::Plain => ramus::scope(|_request: Scope<Infallible>| async { Ok(hello()) }).await,
        Handler::Suspend => ramus::scope(|_request: Scope<Infallible>| suspended()).await,
        Handler::Timeout => deadline(TIMEOUT).open(|_request: Scope<Infallible>| suspended()).await,
    }
}

fn deadline(after: Duration) -> ramus::ScopeBuilder {
    Scope::builder().deadline(ramus::time::now() + after)
}

async fn suspended() -> Result<Response<Full<Bytes>>, Infallible> {
    ramus::yield_now().await;
    Ok(hello())
}
