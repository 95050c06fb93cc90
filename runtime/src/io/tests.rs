//! What an operation leaves behind, seen from inside: waiters, registrations, readiness.

use std::future::{Future, poll_fn};
use std::io::{self, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::Poll;

use super::source::{Left, Side, Source};
use super::stream::Duplex;
use crate::Runtime;
use crate::driver::DriverCounts;
use crate::net::{TcpListener, TcpStream, UdpSocket, UnixStream};

fn run<T>(test: impl Future<Output = T>) -> T {
    Runtime::new().unwrap().block_on(test)
}

async fn is_pending<F: Future>(mut future: Pin<&mut F>) -> bool {
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_pending())).await
}

fn counts<T: std::os::fd::AsFd>(source: &Source<T>) -> (usize, usize) {
    let DriverCounts { sources, waiters, .. } = source.driver().unwrap().counts();
    (sources, waiters)
}

#[test]
fn a_dropped_operation_leaves_no_waiter_and_a_dropped_socket_no_source() {
    run(async {
        let (mut stream, _peer) = UnixStream::pair().unwrap();
        let driver = {
            let mut buf = [0; 1];
            let mut reading = Box::pin(stream.read(&mut buf));
            assert!(is_pending(reading.as_mut()).await);
            drop(reading);
            stream.source().driver().unwrap()
        };
        assert_eq!(counts(stream.source()), (1, 0));
        {
            let (mut one, mut other) = (pin!(stream.readable()), pin!(stream.readable()));
            assert!(is_pending(one.as_mut()).await && is_pending(other.as_mut()).await);
            assert_eq!(counts(stream.source()), (1, 2));
        }
        assert_eq!(counts(stream.source()), (1, 0));
        drop(stream);
        assert_eq!(driver.counts(), DriverCounts::default());
    });
}

#[test]
fn a_cancelled_task_leaves_nothing_registered() {
    let runtime = Runtime::new().unwrap();
    let handle = runtime.handle();
    runtime.block_on(async {
        let tasks: Vec<_> = (0..20)
            .map(|_| {
                crate::spawn(async {
                    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
                    let mut buf = [0; 8];
                    let (mut accepting, mut receiving) = (pin!(listener.accept()), pin!(socket.recv_from(&mut buf)));
                    poll_fn(|cx| {
                        assert!(accepting.as_mut().poll(cx).is_pending());
                        receiving.as_mut().poll(cx).map(drop)
                    })
                    .await
                })
            })
            .collect();
        while handle.metrics().waiting_operations < 40 {
            crate::yield_now().await;
        }
        assert_eq!(handle.metrics().sources, 40);
        for task in &tasks {
            task.cancel("over");
        }
        for task in tasks {
            assert!(task.await.unwrap_err().is_cancelled());
        }
        let metrics = handle.metrics();
        assert_eq!((metrics.sources, metrics.waiting_operations), (0, 0));
    });
}

#[test]
fn a_connection_that_never_waits_is_never_registered() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        client.write_all(b"request").unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        assert_eq!(stream.read(&mut [0; 64]).await.unwrap(), 7);
        stream.write_all(b"response").await.unwrap();
        assert_eq!(counts(stream.source()).0, 0);
    });
}

#[test]
fn a_socket_given_back_is_out_of_the_driver() {
    run(async {
        let (mut stream, _peer) = UnixStream::pair().unwrap();
        assert!(is_pending(pin!(stream.read(&mut [0; 1]))).await);
        let driver = stream.source().driver().unwrap();
        let std = stream.into_std();
        assert_eq!(driver.counts(), DriverCounts::default());
        drop(std);
    });
}

#[test]
fn a_panic_in_a_call_keeps_the_readiness() {
    run(async {
        let (stream, _peer) = UnixStream::pair().unwrap();
        let panicking = || stream.try_write_io(|| -> io::Result<()> { panic!("planned") });
        assert!(catch_unwind(AssertUnwindSafe(panicking)).is_err());
        assert!(!is_pending(pin!(stream.writable())).await);
    });
}

#[test]
fn an_interrupted_call_is_made_again() {
    run(async {
        let (stream, _peer) = UnixStream::pair().unwrap();
        let mut calls = 0;
        let result = stream.source().run(Side::Write, |_io| {
            calls += 1;
            if calls < 3 { Err(io::ErrorKind::Interrupted.into()) } else { Ok((calls, Left::Maybe)) }
        });
        assert_eq!(result.await.unwrap(), 3);
    });
}

#[test]
fn a_descriptor_that_cannot_be_registered_gives_the_error() {
    run(async {
        // An ordinary file: the system refuses to watch it.
        let source = Source::new(std::fs::File::open("/proc/self/exe").unwrap());
        let call = || source.run(Side::Read, |_io| Err::<((), Left), _>(io::ErrorKind::WouldBlock.into()));
        for _ in 0..2 {
            assert_eq!(call().await.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        }
        assert_eq!(counts(&source), (0, 0));
    });
}

/// An operation that is always ready still lets the task's neighbours run.
#[test]
fn every_operation_is_charged() {
    run(async {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.connect(socket.local_addr().unwrap()).await.unwrap();
        let (stream, mut peer) = UnixStream::pair().unwrap();
        peer.write_all(b"x").await.unwrap();
        async fn readies_in_one_poll<F: Future>(mut operation: impl FnMut() -> F) -> usize {
            let mut number = 0;
            poll_fn(|cx| {
                while number < 10_000 && pin!(operation()).poll(cx).is_ready() {
                    number += 1;
                }
                Poll::Ready(())
            })
            .await;
            crate::yield_now().await;
            number
        }
        assert!(readies_in_one_poll(|| socket.send(b"x")).await < 1000);
        assert!(readies_in_one_poll(|| async { socket.peek(&mut [0; 1]).await }).await < 1000);
        assert!(readies_in_one_poll(|| stream.readable()).await < 1000);
        assert!(readies_in_one_poll(|| stream.writable()).await < 1000);
    });
}

fn assert_send_sync<T: Send + Sync>() {}
fn assert_send<T: Send>(_: &T) {}

#[test]
fn sockets_and_their_futures_go_between_threads() {
    assert_send_sync::<TcpStream>();
    assert_send_sync::<TcpListener>();
    assert_send_sync::<UdpSocket>();
    assert_send_sync::<UnixStream>();
    assert_send_sync::<crate::net::OwnedReadHalf<UnixStream>>();
    assert_send_sync::<crate::net::OwnedWriteHalf>();
    assert_send(&TcpStream::connect("127.0.0.1:1"));
    assert_send(&TcpListener::bind(("localhost", 1)));
    run(async {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        assert_send(&socket.send_to(b"x", "127.0.0.1:1"));
        let (mut stream, _peer) = UnixStream::pair().unwrap();
        assert_send(&stream.read_exact(&mut [0; 1]));
        assert_send(&stream.write_all(b"x"));
    });
}
