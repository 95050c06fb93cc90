//! What a cut or dropped operation leaves behind: nothing, or a part whose length is known. Every waiting operation of the
//! crate is suspended once and cut there, then tried again.
#![allow(missing_docs)]

mod common;

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use common::{runtime, watchdog};
use ramus::net::{TcpListener, TcpStream, UdpSocket, UnixListener, UnixStream};
use ramus::time::{Instant, interval, sleep, sleep_until};
use ramus::{Scope, run_until_cancelled, scope, yield_now};

const LOCAL: &str = "127.0.0.1:0";

/// Polls `future` until it suspends for the first time; it must.
async fn suspend<F: Future>(mut future: Pin<&mut F>) {
    let pending = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_pending())).await;
    assert!(pending, "it was to suspend");
}

/// Cuts `future` at its first suspension, by a cancel of the scope around, and drops it there. What makes it ready comes
/// before it could be polled again, so an operation that is not inert would have its effect.
async fn cut<F>(future: F, make_ready: impl Future<Output = ()>)
where
    F: Future,
{
    let (cut, ended) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (is_cut, has_ended) = (Arc::clone(&cut), Arc::clone(&ended));
    let answer = scope(|s: Scope<io::Error>| async move {
        let mut future = pin!(future);
        suspend(future.as_mut()).await;
        s.cancel("cut");
        make_ready.await;
        let caught = run_until_cancelled(async {
            future.as_mut().await;
            has_ended.store(true, Ordering::SeqCst);
        })
        .await;
        is_cut.store(caught.is_err(), Ordering::SeqCst);
        // In the cut frame even a ready one stays pending.
        let inert = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_pending())).await;
        assert!(inert, "an operation in a cut frame had its effect");
        yield_now().await;
        Ok(())
    })
    .await;
    assert!(answer.unwrap_err().is_cancelled());
    assert!(cut.load(Ordering::SeqCst) && !ended.load(Ordering::SeqCst));
}

async fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(LOCAL).await.unwrap();
    let (client, server) = (TcpStream::connect(listener.local_addr().unwrap()).await, listener.accept().await);
    (client.unwrap(), server.unwrap().0)
}

/// Writes without waiting, so also in a cut frame.
fn send_now(stream: &TcpStream, bytes: &[u8]) {
    stream.try_write(bytes).unwrap();
}

/// Fills the buffers of the connection.
fn fill(stream: &TcpStream) -> usize {
    let mut filled = 0;
    loop {
        match stream.try_write(&[7; 65_536]) {
            Ok(bytes) => filled += bytes,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return filled,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Takes everything out that was written, and says how much it was.
async fn drain(stream: &mut TcpStream, expected: usize) -> usize {
    let (mut buffer, mut drained) = (vec![0; 1 << 20], 0);
    while drained < expected {
        drained += stream.read(&mut buffer).await.unwrap();
    }
    drained
}

#[test]
fn d40_rule3_reads_that_are_cut_have_taken_nothing() {
    let _dog = watchdog();
    runtime(2).block_on(async {
        let (client, mut server) = tcp_pair().await;
        let mut buffer = [0; 4];
        cut(server.read(&mut buffer), async { send_now(&client, b"one ") }).await;
        assert_eq!(server.read(&mut buffer).await.unwrap(), 4);
        assert_eq!(&buffer, b"one ");

        cut(async { server.peek(&mut [0; 4]).await.map(drop) }, async { send_now(&client, b"two ") }).await;
        let mut slices = [io::IoSliceMut::new(&mut buffer)];
        assert_eq!(server.read_vectored(&mut slices).await.unwrap(), 4);
        cut(
            async {
                let mut inner = [0; 4];
                server.read_vectored(&mut [io::IoSliceMut::new(&mut inner)]).await.map(drop)
            },
            async { send_now(&client, b"tri ") },
        )
        .await;
        assert_eq!(server.read(&mut buffer).await.unwrap(), 4);
        assert_eq!(&buffer, b"tri ");
        // `readable` answers at once until a read has found nothing.
        assert_eq!(server.try_read(&mut buffer).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        cut(server.readable(), async { send_now(&client, b"four") }).await;
        server.readable().await.unwrap();
        assert_eq!(server.read(&mut buffer).await.unwrap(), 4);
    });
}

#[test]
fn d40_writes_that_are_cut_have_written_nothing() {
    let _dog = watchdog();
    runtime(2).block_on(async {
        let (mut client, mut server) = tcp_pair().await;
        let filled = fill(&client);
        let other = server.try_read(&mut [0; 16]).is_ok();
        let taken = if other { 16 } else { 0 };
        let _again = fill(&client);
        cut(client.write(b"never"), async {}).await;
        cut(client.write_vectored(&[io::IoSlice::new(b"never")]), async {}).await;
        cut(client.writable(), async {}).await;
        let written = filled + _again;
        assert_eq!(drain(&mut server, written - taken).await, written - taken);
        client.write_all(b"end").await.unwrap();
        let mut end = [0; 3];
        server.read_exact(&mut end).await.unwrap();
        assert_eq!(&end, b"end", "nothing stands between what was written before and after");
    });
}

#[test]
fn d40_write_all_and_read_exact_that_are_dropped_say_how_far_they_came() {
    let _dog = watchdog();
    runtime(2).block_on(async {
        let (mut client, mut server) = tcp_pair().await;
        let bytes = vec![3; 64 << 20];
        let written = {
            let mut write = pin!(client.write_all(&bytes));
            suspend(write.as_mut()).await;
            write.written()
        };
        assert!(0 < written && written < bytes.len());
        let mut received = vec![0; written];
        server.read_exact(&mut received).await.unwrap();
        client.write_all(b"next").await.unwrap();
        let mut next = [0; 6];
        let filled = {
            let mut read = pin!(server.read_exact(&mut next));
            // Until the four bytes are in; the other two never come.
            while read.filled() < 4 {
                suspend(read.as_mut()).await;
                sleep(Duration::from_millis(1)).await;
            }
            read.filled()
        };
        assert_eq!(&next[..filled], b"next", "the count was exact: these are the very next bytes");
    });
}

#[test]
fn d40_accepts_that_are_cut_lose_no_connection() {
    let _dog = watchdog();
    runtime(2).block_on(async {
        let listener = TcpListener::bind(LOCAL).await.unwrap();
        let address = listener.local_addr().unwrap();
        let connect = || std::net::TcpStream::connect(address).unwrap();
        let mut clients = Vec::new();
        cut(listener.accept(), async { clients.push(connect()) }).await;
        let (_stream, peer) = listener.accept().await.unwrap();
        assert_eq!(peer, clients[0].local_addr().unwrap());

        let folder = std::env::temp_dir().join(format!("ramus-cut-{}", std::process::id()));
        let listener = UnixListener::bind(&folder).unwrap();
        let mut clients = Vec::new();
        cut(listener.accept(), async {
            clients.push(std::os::unix::net::UnixStream::connect(&folder).unwrap());
        })
        .await;
        listener.accept().await.unwrap();
        std::fs::remove_file(&folder).unwrap();
    });
}

#[test]
fn d40_datagrams_are_received_whole_or_not_at_all() {
    let _dog = watchdog();
    runtime(2).block_on(async {
        let (here, there) = (UdpSocket::bind(LOCAL).await.unwrap(), UdpSocket::bind(LOCAL).await.unwrap());
        let to = here.local_addr().unwrap();
        let send = |text: &'static [u8]| {
            let sent = there.try_send_to(text, to).unwrap();
            assert_eq!(sent, text.len());
        };
        let mut buffer = [0; 16];
        cut(async { here.recv_from(&mut [0; 16]).await.map(drop) }, async { send(b"first") }).await;
        assert_eq!(here.recv_from(&mut buffer).await.unwrap().0, 5);
        cut(async { here.peek_from(&mut [0; 16]).await.map(drop) }, async { send(b"second") }).await;
        assert_eq!(here.recv_from(&mut buffer).await.unwrap().0, 6);
        here.connect(there.local_addr().unwrap()).await.unwrap();
        cut(async { here.recv(&mut [0; 16]).await.map(drop) }, async { send(b"third") }).await;
        assert_eq!(here.recv(&mut buffer).await.unwrap(), 5);
        cut(async { here.peek(&mut [0; 16]).await.map(drop) }, async { send(b"fourth") }).await;
        assert_eq!(here.recv(&mut buffer).await.unwrap(), 6);
        assert_eq!(here.try_recv(&mut buffer).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        cut(here.readable(), async { send(b"fifth") }).await;
        assert_eq!(here.recv(&mut buffer).await.unwrap(), 5);
    });
}

#[test]
fn d40_time_that_is_cut_loses_no_tick() {
    let _dog = watchdog();
    runtime(2).block_on(async {
        let soon = || std::thread::sleep(Duration::from_millis(3));
        cut(sleep(Duration::from_millis(1)), async { soon() }).await;
        cut(sleep_until(Instant::now() + Duration::from_millis(1)), async { soon() }).await;
        let mut ticks = interval(Duration::from_millis(1));
        let first = ticks.tick().await;
        cut(ticks.tick(), async { soon() }).await;
        let second = ticks.tick().await;
        assert_eq!(second - first, Duration::from_millis(1), "the tick of the cut wait comes now");
        cut(ramus::timeout(Duration::from_millis(1), std::future::pending::<()>()), async { soon() }).await;
        cut(yield_now(), async {}).await;
    });
}

#[test]
fn d38_d40_a_join_that_is_cut_leaves_the_result_to_the_next() {
    let _dog = watchdog();
    runtime(2).block_on(async {
        let gate = Arc::new(AtomicBool::new(false));
        let open = Arc::clone(&gate);
        let mut task = ramus::spawn(async move {
            while !open.load(Ordering::SeqCst) {
                yield_now().await;
            }
            vec![1, 2, 3]
        });
        cut(&mut task, async { gate.store(true, Ordering::SeqCst) }).await;
        while !task.is_finished() {
            yield_now().await;
        }
        assert_eq!(task.await.unwrap(), [1, 2, 3]);
    });
}

#[test]
fn d40_a_connection_under_way_is_closed_when_it_is_cut() {
    let _dog = watchdog();
    runtime(2).block_on(async {
        // A backlog that is full makes the next one wait.
        let folder = std::env::temp_dir().join(format!("ramus-backlog-{}", std::process::id()));
        let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
        socket.bind(&socket2::SockAddr::unix(&folder).unwrap()).unwrap();
        socket.listen(0).unwrap();
        let _first = UnixStream::connect(&folder).await.unwrap();
        let before = std::fs::read_dir("/proc/self/fd").unwrap().count();
        cut(async { UnixStream::connect(&folder).await.map(drop) }, async {}).await;
        assert_eq!(std::fs::read_dir("/proc/self/fd").unwrap().count(), before, "its descriptor is closed");
        std::fs::remove_file(&folder).unwrap();
    });
}
