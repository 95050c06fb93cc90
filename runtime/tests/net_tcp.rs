//! TCP streams and listeners on the real runtime: what goes through them, and how they end.

mod net_support;

use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut, Read as _, Write as _};
use std::net::{self, Shutdown, SocketAddr};
use std::pin::{Pin, pin};
use std::thread;

use futures_core::Stream;
use net_support::{connection, echo, poll_once, run};
use ramus::net::{TcpListener, TcpStream};

/// Two ends in the runtime.
async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (client, listener.accept().await.unwrap().0)
}

#[test]
fn many_connections_echo() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        const CLIENTS: usize = 200;
        let server = ramus::spawn(async move {
            for _ in 0..CLIENTS {
                let (stream, _) = listener.accept().await.unwrap();
                drop(ramus::spawn(async move { echo(stream).await.unwrap() }));
            }
        });
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                ramus::spawn(async move {
                    let mut stream = TcpStream::connect(addr).await.unwrap();
                    for round in 0..20_usize {
                        let sent = [(client + round) as u8; 100];
                        stream.write_all(&sent).await.unwrap();
                        let mut received = [0; 100];
                        stream.read_exact(&mut received).await.unwrap();
                        assert_eq!(received, sent);
                    }
                })
            })
            .collect();
        for client in clients {
            client.await.unwrap();
        }
        server.await.unwrap();
    });
}

#[test]
fn halves_work_in_two_tasks_and_reunite() {
    const BYTES: usize = 4 << 20;
    async fn send(mut half: ramus::net::OwnedWriteHalf) -> ramus::net::OwnedWriteHalf {
        let chunk = [7; 10_000];
        let mut left = BYTES;
        while left > 0 {
            let bytes = half.write(&chunk[..left.min(chunk.len())]).await.unwrap();
            left -= bytes;
        }
        half
    }
    async fn receive(mut half: ramus::net::OwnedReadHalf) -> ramus::net::OwnedReadHalf {
        let mut buf = vec![0; 30_000];
        let mut left = BYTES;
        while left > 0 {
            let bytes = half.read(&mut buf).await.unwrap();
            assert!(bytes > 0 && buf[..bytes].iter().all(|&byte| byte == 7));
            left -= bytes;
        }
        half
    }
    run(async {
        let (one, other) = pair().await;
        let (one_read, one_write) = one.into_split();
        let (other_read, other_write) = other.into_split();
        let sending = [ramus::spawn(send(one_write)), ramus::spawn(send(other_write))];
        let receiving = [ramus::spawn(receive(one_read)), ramus::spawn(receive(other_read))];
        let [one_write, other_write] = sending;
        let [one_read, other_read] = receiving;
        let (one_write, other_write) = (one_write.await.unwrap(), other_write.await.unwrap());
        let (one_read, other_read) = (one_read.await.unwrap(), other_read.await.unwrap());

        let error = one_read.reunite(other_write).unwrap_err();
        let (one_read, other_write) = error.into_halves();
        let mut one = one_read.reunite(one_write).unwrap();
        let mut other = other_write.reunite(other_read).unwrap();
        // Reuniting did not shut anything down.
        one.write_all(b"still").await.unwrap();
        let mut buf = [0; 5];
        other.read_exact(&mut buf).await.unwrap();
        assert_eq!(&buf, b"still");
    });
}

#[test]
fn borrowed_halves_work_at_once() {
    run(async {
        let (mut one, mut other) = pair().await;
        let peer = ramus::spawn(async move {
            let mut buf = [0; 3];
            other.read_exact(&mut buf).await.unwrap();
            other.write_all(&buf).await.unwrap();
        });
        let (mut read, mut write) = one.split();
        let mut buf = [0; 3];
        {
            let mut reading = pin!(read.read_exact(&mut buf));
            assert!(poll_once(reading.as_mut()).await.is_none());
            write.write_all(b"abc").await.unwrap();
            reading.await.unwrap();
        }
        assert_eq!(&buf, b"abc");
        peer.await.unwrap();
    });
}

#[test]
fn dropping_the_writing_half_ends_the_stream() {
    run(async {
        let (one, mut other) = pair().await;
        let (mut read, write) = one.into_split();
        drop(write);
        assert_eq!(other.read(&mut [0; 8]).await.unwrap(), 0);
        other.write_all(b"bye").await.unwrap();
        let mut buf = [0; 3];
        read.read_exact(&mut buf).await.unwrap();
        assert_eq!(&buf, b"bye");
    });
}

#[test]
fn peek_leaves_the_data() {
    run(async {
        let (mut ours, mut theirs) = connection().await;
        theirs.write_all(b"data").unwrap();
        let mut buf = [0; 16];
        for _ in 0..3 {
            assert_eq!(ours.peek(&mut buf).await.unwrap(), 4);
        }
        assert_eq!(ours.read(&mut buf).await.unwrap(), 4);
        assert_eq!(&buf[..4], b"data");
    });
}

#[test]
fn vectored_reads_and_writes() {
    run(async {
        let (mut one, mut other) = pair().await;
        let slices = [IoSlice::new(b"ab"), IoSlice::new(b""), IoSlice::new(b"cde")];
        assert_eq!(one.write_vectored(&slices).await.unwrap(), 5);
        let (mut first, mut second) = ([0; 3], [0; 3]);
        let mut bufs = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
        assert_eq!(other.read_vectored(&mut bufs).await.unwrap(), 5);
        assert_eq!((&first, &second[..2]), (b"abc", &b"de"[..]));
        assert!(poll_once(pin!(other.read_vectored(&mut [IoSliceMut::new(&mut first)]))).await.is_none());
        assert_eq!(other.read_vectored(&mut []).await.unwrap(), 0);
    });
}

#[test]
fn a_half_closed_connection_still_writes() {
    run(async {
        let (mut ours, mut theirs) = connection().await;
        theirs.write_all(b"question").unwrap();
        theirs.shutdown(Shutdown::Write).unwrap();
        let mut question = Vec::new();
        let mut buf = [0; 3];
        loop {
            match ours.read(&mut buf).await.unwrap() {
                0 => break,
                bytes => question.extend_from_slice(&buf[..bytes]),
            }
        }
        assert_eq!(question, b"question");
        assert_eq!(ours.read(&mut buf).await.unwrap(), 0, "the end stays the end");
        ours.write_all(b"answer").await.unwrap();
        drop(ours);
        let mut answer = String::new();
        theirs.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "answer");
    });
}

/// Data and the end of the stream arrive together, while the reader waits or before it registers: the short read must
/// not hide the end.
#[test]
fn the_end_behind_the_last_data_is_seen() {
    run(async {
        for round in 0..200 {
            let (mut ours, mut theirs) = connection().await;
            let registered = round % 2 == 0;
            let mut buf = [0; 64];
            if registered {
                let mut reading = pin!(ours.read(&mut buf));
                assert!(poll_once(reading.as_mut()).await.is_none());
            }
            theirs.write_all(b"last words").unwrap();
            drop(theirs);
            assert_eq!(ours.read(&mut buf).await.unwrap(), 10);
            assert_eq!(ours.read(&mut buf).await.unwrap(), 0);
            assert_eq!(ours.read(&mut buf).await.unwrap(), 0);
        }
    });
}

#[test]
fn a_reset_is_an_error_of_its_connection_only() {
    run(async {
        let (mut ours, theirs) = connection().await;
        let (mut other, mut others_peer) = connection().await;
        let reading = ramus::spawn(async move {
            let error = ours.read(&mut [0; 8]).await.unwrap_err();
            // Afterwards writing fails as well, and nothing hangs.
            (error.kind(), ours.write_all(b"x").await.unwrap_err().error().kind())
        });
        socket2::SockRef::from(&theirs).set_linger(Some(std::time::Duration::ZERO)).unwrap();
        drop(theirs);
        assert_eq!(reading.await.unwrap(), (io::ErrorKind::ConnectionReset, io::ErrorKind::BrokenPipe));
        others_peer.write_all(b"ok").unwrap();
        let mut buf = [0; 2];
        other.read_exact(&mut buf).await.unwrap();
        assert_eq!(&buf, b"ok");
    });
}

fn refusing() -> SocketAddr {
    net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn connecting_says_why_not_and_tries_all_addresses() {
    run(async {
        let error = TcpStream::connect(refusing()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let good = listener.local_addr().unwrap();
        let stream = TcpStream::connect(&[refusing(), good][..]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good);

        let none: [SocketAddr; 0] = [];
        assert_eq!(TcpStream::connect(none).await.unwrap_err().kind(), io::ErrorKind::InvalidInput);
    });
}

#[test]
fn names_are_resolved() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let stream = TcpStream::connect(("localhost", port)).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap().port(), port);
        assert!(TcpStream::connect("nobody.invalid:1").await.is_err());
    });
}

#[test]
fn a_port_in_use_is_an_error() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let error = TcpListener::bind(listener.local_addr().unwrap()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    });
}

#[test]
fn an_empty_buffer_is_not_the_end() {
    run(async {
        let (mut ours, mut theirs) = connection().await;
        assert_eq!(ours.read(&mut []).await.unwrap(), 0);
        assert_eq!(ours.try_read(&mut []).unwrap(), 0);
        assert_eq!(ours.write(&[]).await.unwrap(), 0);
        theirs.write_all(b"x").unwrap();
        assert_eq!(ours.read(&mut [0; 4]).await.unwrap(), 1);
    });
}

#[test]
fn a_full_buffer_blocks_and_goes_on() {
    run(async {
        let (mut ours, mut theirs) = connection().await;
        while ours.try_write(&[1; 65536]).is_ok() {}
        let writing = ramus::spawn(async move { ours.write_all(&[2; 100_000]).await.unwrap() });
        let reading = thread::spawn(move || {
            let mut all = Vec::new();
            theirs.read_to_end(&mut all).unwrap();
            all.iter().filter(|&&byte| byte == 2).count()
        });
        writing.await.unwrap();
        assert_eq!(reading.join().unwrap(), 100_000);
    });
}

#[test]
fn d40_write_all_says_how_far_it_came() {
    run(async {
        let (mut ours, theirs) = connection().await;
        let writing = ramus::spawn(async move {
            let error = ours.write_all(&vec![0; 64 << 20]).await.unwrap_err();
            assert!(error.written() < 64 << 20);
            io::Error::from(error)
        });
        let mut taken = &theirs;
        taken.read_exact(&mut [0; 1000]).unwrap();
        drop(theirs);
        let kind = writing.await.unwrap().kind();
        assert!(matches!(kind, io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe), "{kind:?}");
    });
}

#[test]
fn conversions_keep_the_connection() {
    run(async {
        let (ours, mut theirs) = connection().await;
        assert!(ours.nodelay().is_ok_and(|nodelay| !nodelay));
        ours.set_nodelay(true).unwrap();
        ours.set_ttl(42).unwrap();
        ours.set_linger(None).unwrap();
        let std: net::TcpStream = ours.into();
        assert!(std.nodelay().unwrap());
        assert_eq!(std.ttl().unwrap(), 42);
        // A blocking one is taken over as well.
        std.set_nonblocking(false).unwrap();
        let mut ours = TcpStream::try_from(std).unwrap();
        let mut buf = [0; 2];
        assert!(poll_once(pin!(ours.read(&mut buf))).await.is_none());
        theirs.write_all(b"ok").unwrap();
        ours.read_exact(&mut buf).await.unwrap();

        let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
        let listener = TcpListener::try_from(listener).unwrap();
        assert!(poll_once(pin!(listener.accept())).await.is_none());
        let listener = TcpListener::from_std(listener.into_std()).unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        listener.accept().await.unwrap();
    });
}

#[test]
fn a_listener_is_a_stream() {
    run(async {
        let mut listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let clients = [net::TcpStream::connect(addr).unwrap(), net::TcpStream::connect(addr).unwrap()];
        let by_incoming = {
            let mut incoming = pin!(listener.incoming());
            poll_fn(|cx| incoming.as_mut().poll_next(cx)).await.unwrap().unwrap()
        };
        let by_itself = poll_fn(|cx| Pin::new(&mut listener).poll_next(cx)).await.unwrap().unwrap();
        assert_eq!(by_incoming.peer_addr().unwrap(), clients[0].local_addr().unwrap());
        assert_eq!(by_itself.peer_addr().unwrap(), clients[1].local_addr().unwrap());
    });
}

#[test]
fn an_aborted_connection_does_not_end_the_listener() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        for _ in 0..20 {
            let client = net::TcpStream::connect(addr).unwrap();
            socket2::SockRef::from(&client).set_linger(Some(std::time::Duration::ZERO)).unwrap();
        }
        let last = net::TcpStream::connect(addr).unwrap();
        loop {
            let (_stream, peer) = listener.accept().await.unwrap();
            if peer == last.local_addr().unwrap() {
                break;
            }
        }
    });
}
