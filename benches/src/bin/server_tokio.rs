//! The plain routes of `examples/server` on tokio, as its users would serve them: the rival in `cargo xtask bench-server`.

use std::error::Error;
use std::io::Write;
use std::net::SocketAddr;

use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use lexopt::{Arg, ValueExt};
use tokio::net::TcpListener;

type AnyError = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), AnyError> {
    let mut listen: SocketAddr = "127.0.0.1:8081".parse()?;
    let mut workers = None;
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("listen") => listen = args.value()?.string()?.parse()?,
            Arg::Long("workers") => workers = Some(args.value()?.string()?.parse()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if let Some(workers) = workers {
        builder.worker_threads(workers);
    }
    builder.enable_all().build()?.block_on(serve(listen))
}

async fn serve(listen: SocketAddr) -> Result<(), AnyError> {
    let listener = TcpListener::bind(listen).await?;
    println!("listening on http://{}", listener.local_addr()?);
    std::io::stdout().flush()?;

    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1().timer(TokioTimer::new());
    let router = server::routes::portable::router();
    // A task of its own, so that the loop runs on a worker and not on the thread in `block_on`.
    let accepting = tokio::spawn(async move {
        loop {
            let (stream, _peer) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let http = http.clone();
            let service = TowerToHyperService::new(router.clone());
            tokio::spawn(async move {
                // A client that breaks off is its own affair.
                let _ended = http.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    accepting.await?
}
