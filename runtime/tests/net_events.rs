//! Waiting for sockets on the real runtime: who is woken, what an event reaches, who gets his turn.

mod net_support;

use std::future::{Future, poll_fn};
use std::io::{self, Read as _, Write as _};
use std::net;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;

use net_support::{connection, echo, poll_once, run};
use ramus::net::TcpStream;

#[test]
fn several_waiters_of_one_direction_are_all_woken() {
    run(async {
        let (ours, mut theirs) = connection().await;
        assert_eq!(ours.try_read(&mut [0; 1]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        let ours = Arc::new(ours);
        let mut waiters: Vec<_> = (0..4).map(|_| Box::pin(ours.readable())).collect();
        for waiter in &mut waiters {
            assert!(poll_once(waiter.as_mut()).await.is_none());
        }
        let tasks: Vec<_> = (0..4)
            .map(|_| {
                let ours = Arc::clone(&ours);
                ramus::spawn(async move { ours.readable().await.unwrap() })
            })
            .collect();
        theirs.write_all(b"x").unwrap();
        for task in tasks {
            task.await.unwrap();
        }
        for waiter in waiters {
            waiter.await.unwrap();
        }
    });
}

#[test]
fn trying_and_waiting_go_together() {
    run(async {
        let (ours, mut theirs) = connection().await;
        let mut buf = [0; 4];
        for _ in 0..3 {
            while ours.try_read(&mut buf).is_ok() {}
            let pending = poll_fn(|cx| Poll::Ready(ours.poll_read_ready(cx).is_pending())).await;
            assert!(pending, "a read that would block takes the readiness away");
            theirs.write_all(b"abc").unwrap();
            ours.readable().await.unwrap();
            assert_eq!(ours.try_read(&mut buf).unwrap(), 3);
        }
        ours.writable().await.unwrap();
        assert_eq!(ours.try_write(b"yes").unwrap(), 3);
        let block = || Err::<(), _>(io::Error::from(io::ErrorKind::WouldBlock));
        assert_eq!(ours.try_read_io(block).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    });
}

#[test]
fn a_duplicate_of_a_registered_descriptor_outlives_it() {
    run(async {
        let (mut ours, mut theirs) = connection().await;
        assert!(poll_once(pin!(ours.read(&mut [0; 1]))).await.is_none(), "it is registered");
        let duplicate = std::os::fd::AsFd::as_fd(&ours).try_clone_to_owned().unwrap();
        drop(ours);
        // The number of the closed descriptor is used again; events of the duplicate must not reach its new owner.
        let (mut next, mut next_peer) = connection().await;
        assert!(poll_once(pin!(next.read(&mut [0; 1]))).await.is_none());
        theirs.write_all(b"old").unwrap();
        let mut again = TcpStream::from_std(net::TcpStream::from(duplicate)).unwrap();
        let mut buf = [0; 8];
        assert_eq!(again.read(&mut buf).await.unwrap(), 3);
        assert!(poll_once(pin!(next.read(&mut buf))).await.is_none());
        next_peer.write_all(b"new!").unwrap();
        assert_eq!(next.read(&mut buf).await.unwrap(), 4);
    });
}

#[test]
fn a_flood_does_not_starve_a_quiet_connection() {
    let runtime = ramus::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let over = Arc::new(AtomicBool::new(false));
    runtime.block_on(async {
        let (mut flooded, mut flood) = connection().await;
        let (quiet, mut quiet_peer) = connection().await;
        let pump = thread::spawn(move || while flood.write_all(&[0; 65536]).is_ok() {});
        let sink = ramus::spawn({
            let over = Arc::clone(&over);
            async move {
                let mut buf = [0; 16];
                while !over.load(Ordering::Relaxed) {
                    flooded.read(&mut buf).await.unwrap();
                }
            }
        });
        let echoing = ramus::spawn(echo(quiet));
        let rounds = thread::spawn(move || {
            for round in 0..100 {
                let mut buf = [0];
                quiet_peer.write_all(&[round]).unwrap();
                quiet_peer.read_exact(&mut buf).unwrap();
                assert_eq!(buf, [round]);
            }
        });
        echoing.await.unwrap().unwrap();
        over.store(true, Ordering::Relaxed);
        sink.await.unwrap();
        rounds.join().unwrap();
        pump.join().unwrap();
    });
}

#[test]
fn hundreds_of_connections_are_ready_at_once() {
    run(async {
        let mut tasks = Vec::new();
        let mut peers = Vec::new();
        for _ in 0..300 {
            let (mut ours, theirs) = connection().await;
            assert!(poll_once(pin!(ours.read(&mut [0; 1]))).await.is_none());
            tasks.push(ramus::spawn(async move { ours.read(&mut [0; 1]).await.unwrap() }));
            peers.push(theirs);
        }
        for peer in &mut peers {
            peer.write_all(b"x").unwrap();
        }
        for task in tasks {
            assert_eq!(task.await.unwrap(), 1);
        }
    });
}

#[test]
fn a_socket_of_a_runtime_that_is_gone_says_so() {
    let (mut ours, theirs) = run(async {
        let (mut ours, theirs) = connection().await;
        assert!(poll_once(pin!(ours.read(&mut [0; 1]))).await.is_none());
        (ours, theirs)
    });
    run(async {
        let error = ours.read(&mut [0; 1]).await.unwrap_err();
        assert!(error.to_string().contains("has shut down"), "{error}");
        // The connection itself is fine: it moves by way of the standard library.
        let mut ours = TcpStream::from_std(ours.into_std()).unwrap();
        (&theirs).write_all(b"x").unwrap();
        assert_eq!(ours.read(&mut [0; 1]).await.unwrap(), 1);
    });
}

#[test]
fn waiting_outside_of_a_runtime_is_an_error() {
    let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let mut stream = TcpStream::from_std(stream).unwrap();
    let mut buf = [0; 1];
    let mut reading = pin!(stream.read(&mut buf));
    let Poll::Ready(Err(error)) = reading.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("waits where nobody could wake it");
    };
    assert!(error.to_string().contains("runtime"), "{error}");
}
