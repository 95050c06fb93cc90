//! A check: echo servers with a thread per core over io_uring, where the kernel has it. They are no runtimes of the same kind:
//! a task stays on its thread.

use std::io;
use std::net::TcpListener;
use std::thread;

use compio::BufResult;
use compio::io::{AsyncRead as _, AsyncWriteExt as _};
use monoio::io::{AsyncReadRent as _, AsyncWriteRentExt as _};
use monoio::{FusionDriver, RuntimeBuilder};

use super::{BUFFER, Service, listen_on};
use crate::WORKERS;

/// monoio.
pub(super) fn monoio(service: Service, listener: TcpListener) -> io::Result<()> {
    per_core(service, listener, |listener| {
        RuntimeBuilder::<FusionDriver>::new().build()?.block_on(async {
            let listener = monoio::net::TcpListener::from_std(listener)?;
            loop {
                let (stream, _peer) = listener.accept().await?;
                monoio::spawn(monoio_echo(stream));
            }
        })
    })
}

async fn monoio_echo(mut stream: monoio::net::TcpStream) {
    // A client that breaks off is its own affair.
    let _set = stream.set_nodelay(true);
    let mut buffer = Vec::with_capacity(BUFFER);
    loop {
        let (read, filled) = stream.read(buffer).await;
        let Ok(1..) = read else { return };
        let (written, back) = stream.write_all(filled).await;
        if written.is_err() {
            return;
        }
        buffer = back;
    }
}

/// compio.
pub(super) fn compio(service: Service, listener: TcpListener) -> io::Result<()> {
    per_core(service, listener, |listener| {
        compio::runtime::Runtime::new()?.block_on(async {
            let listener = compio::net::TcpListener::from_std(listener)?;
            loop {
                let (stream, _peer) = listener.accept().await?;
                compio::runtime::spawn(compio_echo(stream)).detach();
            }
        })
    })
}

async fn compio_echo(mut stream: compio::net::TcpStream) {
    // As above.
    let _set = stream.set_nodelay(true);
    let mut buffer = Vec::with_capacity(BUFFER);
    loop {
        let BufResult(read, filled) = stream.read(buffer).await;
        let Ok(1..) = read else { return };
        let BufResult(written, mut back) = stream.write_all(filled).await;
        if written.is_err() {
            return;
        }
        back.clear();
        buffer = back;
    }
}

/// Runs `serve` on each of the threads, with a listener each: one that all shared would give every connection to the same.
fn per_core(service: Service, listener: TcpListener, serve: fn(TcpListener) -> io::Result<()>) -> io::Result<()> {
    if !matches!(service, Service::Echo) {
        return Err(io::Error::new(io::ErrorKind::Unsupported, "only the echo runs on it"));
    }
    let address = listener.local_addr()?;
    let listeners = (1..WORKERS).map(|_| listen_on(address)).collect::<io::Result<Vec<_>>>()?;
    for listener in listeners {
        thread::spawn(move || serve(listener).expect("a thread goes on"));
    }
    serve(listener)
}
