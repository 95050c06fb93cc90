//! Unix domain streams and listeners on the real runtime.

use std::future::{Future, poll_fn};
use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net;
use std::path::PathBuf;
use std::pin::Pin;

use futures_core::Stream;
use ramus::Runtime;
use ramus::net::{UnixListener, UnixStream};

fn run<T>(test: impl Future<Output = T>) -> T {
    Runtime::new().unwrap().block_on(test)
}

/// A path for a socket, removed when dropped.
struct Path(PathBuf);

impl Path {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ramus-{}-{name}.sock", std::process::id()));
        let _ = std::fs::remove_file(&path);
        Self(path)
    }
}

impl Drop for Path {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn connections_echo() {
    let path = Path::new("echo");
    run(async {
        let listener = UnixListener::bind(&path.0).unwrap();
        assert_eq!(listener.local_addr().unwrap().as_pathname(), Some(&*path.0));
        let server = ramus::spawn(async move {
            for _ in 0..50 {
                let (mut stream, _) = listener.accept().await.unwrap();
                drop(ramus::spawn(async move {
                    let mut buf = [0; 8];
                    stream.read_exact(&mut buf).await.unwrap();
                    stream.write_all(&buf).await.unwrap();
                }));
            }
        });
        let clients: Vec<_> = (0..50_u8)
            .map(|client| {
                let path = path.0.clone();
                ramus::spawn(async move {
                    let mut stream = UnixStream::connect(path).await.unwrap();
                    stream.write_all(&[client; 8]).await.unwrap();
                    let mut buf = [0; 8];
                    stream.read_exact(&mut buf).await.unwrap();
                    assert_eq!(buf, [client; 8]);
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
fn the_file_is_handled_as_in_the_standard_library() {
    let path = Path::new("file");
    run(async {
        drop(UnixListener::bind(&path.0).unwrap());
        assert!(path.0.exists());
        assert_eq!(UnixListener::bind(&path.0).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        let error = UnixStream::connect(&path.0).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        std::fs::remove_file(&path.0).unwrap();
        let error = UnixStream::connect(&path.0).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    });
}

#[test]
fn a_full_backlog_makes_connect_wait() {
    let path = Path::new("backlog");
    run(async {
        let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
        socket.bind(&socket2::SockAddr::unix(&path.0).unwrap()).unwrap();
        socket.listen(0).unwrap();
        let listener = UnixListener::from_std(std::os::fd::OwnedFd::from(socket).into()).unwrap();
        let clients: Vec<_> = (0..5)
            .map(|_| {
                let path = path.0.clone();
                ramus::spawn(async move { UnixStream::connect(path).await.unwrap() })
            })
            .collect();
        let mut accepted = Vec::new();
        for _ in 0..5 {
            accepted.push(listener.accept().await.unwrap());
        }
        for client in clients {
            client.await.unwrap();
        }
    });
}

#[test]
fn pairs_split_and_close() {
    run(async {
        let (one, mut other) = UnixStream::pair().unwrap();
        let (mut read, mut write) = one.into_split();
        let reading = ramus::spawn(async move {
            let mut all = Vec::new();
            let mut buf = [0; 4];
            loop {
                match read.read(&mut buf).await.unwrap() {
                    0 => return (all, read),
                    bytes => all.extend_from_slice(&buf[..bytes]),
                }
            }
        });
        other.write_all(b"hello there").await.unwrap();
        other.shutdown(Shutdown::Write).unwrap();
        let (all, read) = reading.await.unwrap();
        assert_eq!(all, b"hello there");
        write.write_all(b"bye").await.unwrap();
        drop(read.reunite(write).unwrap());
        let mut buf = [0; 8];
        assert_eq!(other.read(&mut buf).await.unwrap(), 3);
        assert_eq!(other.read(&mut buf).await.unwrap(), 0);
    });
}

#[test]
fn conversions_and_streams() {
    let path = Path::new("convert");
    run(async {
        let mut listener = UnixListener::try_from(net::UnixListener::bind(&path.0).unwrap()).unwrap();
        let mut client = net::UnixStream::connect(&path.0).unwrap();
        let mut server = poll_fn(|cx| Pin::new(&mut listener).poll_next(cx)).await.unwrap().unwrap();
        server.write_all(b"hi").await.unwrap();
        let std: net::UnixStream = server.into();
        drop(std);
        let mut text = String::new();
        client.read_to_string(&mut text).unwrap();
        assert_eq!(text, "hi");
        assert_eq!(client.write(b"x").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    });
}
