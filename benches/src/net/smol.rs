//! async-io serves on one of async-executor's executors: a task for each connection.

use std::convert::Infallible;
use std::io;
use std::net::{TcpListener, TcpStream};

use async_io::Async;
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use smol_hyper::rt::FuturesIo;

use super::{BUFFER, Service};
use crate::peer::Threads;
use crate::{Peer, Smol};

pub(super) fn serve<E: Threads>(peer: Smol<E>, service: Service, listener: TcpListener) -> io::Result<()> {
    peer.run(async move {
        let listener = Async::new_nonblocking(listener)?;
        loop {
            let (stream, _peer) = listener.accept().await?;
            peer.spawn(connection(peer, service, stream));
        }
    })
}

async fn connection<E: Threads>(peer: Smol<E>, service: Service, mut stream: Async<TcpStream>) {
    // A client that breaks off is its own affair.
    let _set = stream.get_ref().set_nodelay(true);
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
            let _ended = http1::Builder::new().serve_connection(FuturesIo::new(stream), service).await;
        }
    }
}
