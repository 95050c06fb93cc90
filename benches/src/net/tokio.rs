//! tokio serves: a task for each connection.

use std::convert::Infallible;
use std::io;
use std::net::TcpListener;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{BUFFER, Service};
use crate::{Peer, Tokio};

pub(super) fn serve(peer: Tokio, service: Service, listener: TcpListener) -> io::Result<()> {
    peer.run(async move {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        loop {
            let (stream, _peer) = listener.accept().await?;
            peer.spawn(connection(peer, service, stream));
        }
    })
}

async fn connection(peer: Tokio, service: Service, mut stream: TcpStream) {
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
            let service = service_fn(move |_request| async move { Ok::<_, Infallible>(handler.handle(peer).await) });
            let _ended = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        }
    }
}
