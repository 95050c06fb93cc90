//! The traits of other crates on our streams.

#![cfg(all(feature = "tokio-io", feature = "hyper", feature = "futures-io"))]

use std::future::{Future, poll_fn};
use std::io::IoSlice;
use std::pin::Pin;

use ramus::Runtime;
use ramus::net::{TcpListener, TcpStream, UnixStream};

fn run<T>(test: impl Future<Output = T>) -> T {
    Runtime::new().unwrap().block_on(test)
}

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (client, listener.accept().await.unwrap().0)
}

mod with_tokio {
    use ::tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

    use super::*;

    async fn read(stream: &mut (impl AsyncRead + Unpin), size: usize) -> Vec<u8> {
        let mut memory = vec![std::mem::MaybeUninit::uninit(); size];
        let mut buf = ReadBuf::uninit(&mut memory);
        poll_fn(|cx| Pin::new(&mut *stream).poll_read(cx, &mut buf)).await.unwrap();
        buf.filled().to_vec()
    }

    async fn through(mut from: impl AsyncWrite + Unpin, mut to: impl AsyncRead + Unpin) {
        let slices = [IoSlice::new(b"he"), IoSlice::new(b"llo")];
        assert!(from.is_write_vectored());
        let bytes = poll_fn(|cx| Pin::new(&mut from).poll_write_vectored(cx, &slices)).await.unwrap();
        assert_eq!(bytes, 5);
        assert_eq!(read(&mut to, 3).await, b"hel");
        assert_eq!(read(&mut to, 200_000).await, b"lo");
        poll_fn(|cx| Pin::new(&mut from).poll_flush(cx)).await.unwrap();
        poll_fn(|cx| Pin::new(&mut from).poll_shutdown(cx)).await.unwrap();
        assert_eq!(read(&mut to, 8).await, b"");
    }

    #[test]
    fn streams_and_halves() {
        run(async {
            let (one, other) = pair().await;
            through(one, other).await;
            let (one, other) = UnixStream::pair().unwrap();
            through(one, other).await;
            let (one, other) = pair().await;
            through(one.into_split().1, other.into_split().0).await;
            let (mut one, mut other) = pair().await;
            through(one.split().1, other.split().0).await;
        });
    }
}

mod with_hyper {
    use ::hyper::rt::{Executor, Read, ReadBuf, Write};

    use super::*;

    async fn read(stream: &mut (impl Read + Unpin), size: usize) -> Vec<u8> {
        let mut memory = vec![std::mem::MaybeUninit::uninit(); size];
        let mut buf = ReadBuf::uninit(&mut memory);
        poll_fn(|cx| Pin::new(&mut *stream).poll_read(cx, buf.unfilled())).await.unwrap();
        buf.filled().to_vec()
    }

    async fn through(mut from: impl Write + Unpin, mut to: impl Read + Unpin) {
        let slices = [IoSlice::new(b"he"), IoSlice::new(b"llo")];
        assert!(from.is_write_vectored());
        let bytes = poll_fn(|cx| Pin::new(&mut from).poll_write_vectored(cx, &slices)).await.unwrap();
        assert_eq!(bytes, 5);
        assert_eq!(read(&mut to, 0).await, b"");
        assert_eq!(read(&mut to, 3).await, b"hel");
        assert_eq!(read(&mut to, 200_000).await, b"lo");
        // More than one read moves at once.
        let many: Vec<u8> = (0..50_000_u32).map(|byte| byte as u8).collect();
        let mut sent = 0;
        let mut received = Vec::new();
        while received.len() < many.len() {
            if sent < many.len() {
                sent += poll_fn(|cx| Pin::new(&mut from).poll_write(cx, &many[sent..])).await.unwrap();
            }
            received.extend(read(&mut to, 20_000).await);
        }
        assert_eq!(received, many);
        poll_fn(|cx| Pin::new(&mut from).poll_flush(cx)).await.unwrap();
        poll_fn(|cx| Pin::new(&mut from).poll_shutdown(cx)).await.unwrap();
        assert_eq!(read(&mut to, 8).await, b"");
    }

    #[test]
    fn streams_and_halves() {
        run(async {
            let (one, other) = pair().await;
            through(one, other).await;
            let (one, other) = UnixStream::pair().unwrap();
            through(one, other).await;
            let (one, other) = pair().await;
            through(one.into_split().1, other.into_split().0).await;
            let (mut one, mut other) = pair().await;
            through(one.split().1, other.split().0).await;
        });
    }

    #[test]
    fn the_executor_spawns() {
        run(async {
            let (mut one, mut other) = pair().await;
            ramus::hyper::RamusExecutor.execute(async move { one.write_all(b"done").await.unwrap() });
            let mut buf = [0; 4];
            other.read_exact(&mut buf).await.unwrap();
            assert_eq!(&buf, b"done");
        });
    }
}

mod with_futures_io {
    use ::futures_io::{AsyncRead, AsyncWrite};

    use super::*;

    async fn through(mut from: impl AsyncWrite + Unpin, mut to: impl AsyncRead + Unpin) {
        let bytes = poll_fn(|cx| Pin::new(&mut from).poll_write(cx, b"hello")).await.unwrap();
        assert_eq!(bytes, 5);
        let mut buf = [0; 8];
        let bytes = poll_fn(|cx| Pin::new(&mut to).poll_read(cx, &mut buf)).await.unwrap();
        assert_eq!(&buf[..bytes], b"hello");
        poll_fn(|cx| Pin::new(&mut from).poll_flush(cx)).await.unwrap();
        poll_fn(|cx| Pin::new(&mut from).poll_close(cx)).await.unwrap();
        assert_eq!(poll_fn(|cx| Pin::new(&mut to).poll_read(cx, &mut buf)).await.unwrap(), 0);
    }

    #[test]
    fn streams_references_and_halves() {
        run(async {
            let (one, other) = pair().await;
            through(&one, &other).await;
            let (one, other) = UnixStream::pair().unwrap();
            through(one, other).await;
            let (one, other) = pair().await;
            through(one.into_split().1, other.into_split().0).await;
        });
    }
}
