//! UDP sockets on the real runtime.

use std::future::{Future, poll_fn};
use std::io;
use std::net;
use std::sync::Arc;
use std::task::Poll;

use ramus::Runtime;
use ramus::net::UdpSocket;

fn run<T>(test: impl Future<Output = T>) -> T {
    Runtime::new().unwrap().block_on(test)
}

async fn socket() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").await.unwrap()
}

#[test]
fn datagrams_go_to_and_fro() {
    run(async {
        let here = socket().await;
        let there = socket().await;
        let there_addr = there.local_addr().unwrap();
        let echo = ramus::spawn(async move {
            for _ in 0..100 {
                let mut buf = [0; 64];
                let (bytes, from) = there.recv_from(&mut buf).await.unwrap();
                there.send_to(&buf[..bytes], from).await.unwrap();
            }
        });
        for round in 0..100_u8 {
            assert_eq!(here.send_to(&[round; 33], there_addr).await.unwrap(), 33);
            let mut buf = [0; 64];
            let (bytes, from) = here.recv_from(&mut buf).await.unwrap();
            assert_eq!((&buf[..bytes], from), (&[round; 33][..], there_addr));
        }
        echo.await.unwrap();
    });
}

#[test]
fn connected_sockets_peek_and_receive() {
    run(async {
        let (here, there) = (socket().await, socket().await);
        here.connect(there.local_addr().unwrap()).await.unwrap();
        there.connect(here.local_addr().unwrap()).await.unwrap();
        assert_eq!(here.peer_addr().unwrap(), there.local_addr().unwrap());
        assert_eq!(here.send(b"one").await.unwrap(), 3);
        assert_eq!(here.send(b"").await.unwrap(), 0);
        let mut buf = [0; 8];
        assert_eq!(there.peek(&mut buf).await.unwrap(), 3);
        assert_eq!(there.peek_from(&mut buf).await.unwrap(), (3, here.local_addr().unwrap()));
        assert_eq!(there.recv(&mut buf).await.unwrap(), 3);
        assert_eq!(there.recv(&mut buf).await.unwrap(), 0, "an empty datagram is one");
    });
}

#[test]
fn a_refused_datagram_is_an_error_once() {
    run(async {
        let here = socket().await;
        let gone = socket().await.local_addr().unwrap();
        here.connect(gone).await.unwrap();
        // Registered and waiting while the refusal arrives.
        here.send(b"anybody?").await.unwrap();
        let error = here.recv(&mut [0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        // The error was an event, not a state: the next receive waits instead of spinning or failing.
        let pending = poll_fn(|cx| Poll::Ready(here.poll_recv(cx, &mut [0; 8]).is_pending())).await;
        assert!(pending);
    });
}

#[test]
fn two_tasks_receive_on_one_socket() {
    run(async {
        let shared = Arc::new(socket().await);
        let addr = shared.local_addr().unwrap();
        let receivers: Vec<_> = (0..2)
            .map(|_| {
                let shared = Arc::clone(&shared);
                ramus::spawn(async move { shared.recv_from(&mut [0; 8]).await.unwrap().0 })
            })
            .collect();
        let sender = net::UdpSocket::bind("127.0.0.1:0").unwrap();
        sender.send_to(b"a", addr).unwrap();
        sender.send_to(b"b", addr).unwrap();
        for receiver in receivers {
            assert_eq!(receiver.await.unwrap(), 1);
        }
    });
}

#[test]
fn trying_does_not_wait() {
    run(async {
        let (here, there) = (socket().await, socket().await);
        let would_block = io::ErrorKind::WouldBlock;
        assert_eq!(here.try_recv_from(&mut [0; 8]).unwrap_err().kind(), would_block);
        there.writable().await.unwrap();
        assert_eq!(there.try_send_to(b"x", here.local_addr().unwrap()).unwrap(), 1);
        here.readable().await.unwrap();
        assert_eq!(here.try_recv_from(&mut [0; 8]).unwrap(), (1, there.local_addr().unwrap()));
        let std: net::UdpSocket = here.into();
        assert!(UdpSocket::try_from(std).is_ok());
    });
}
