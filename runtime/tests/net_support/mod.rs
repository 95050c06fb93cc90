//! What the tests of sockets share.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::{io, net};

use ramus::Runtime;
use ramus::net::{TcpListener, TcpStream};

pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
    Runtime::new().unwrap().block_on(test)
}

/// A connection: the runtime's end and a blocking end of the standard library.
pub(crate) async fn connection() -> (TcpStream, net::TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let theirs = net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (ours, peer) = listener.accept().await.unwrap();
    assert_eq!(peer, theirs.local_addr().unwrap());
    (ours, theirs)
}

/// Polls once and says whether it was ready.
pub(crate) async fn poll_once<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

pub(crate) async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buf = [0; 1024];
    loop {
        match stream.read(&mut buf).await? {
            0 => return Ok(()),
            bytes => stream.write_all(&buf[..bytes]).await?,
        }
    }
}
