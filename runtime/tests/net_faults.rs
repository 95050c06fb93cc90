//! What the system does to sockets under stress: no descriptors left, inherited descriptors.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use ramus::Runtime;
use ramus::net::TcpListener;

/// Tells the test that is started again in a process of its own what it is there for.
const CHILD: &str = "RAMUS_TEST_SERVER";

/// Ends the server with the test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// User and system time of a process so far, in clock ticks (a hundredth of a second).
fn cpu_ticks(process: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    // The name in brackets may hold spaces; the fields after it are counted from the state.
    let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

fn echo_server() {
    Runtime::new().unwrap().block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("listening on {}", listener.local_addr().unwrap());
        loop {
            let (mut stream, _) = listener.accept().await.expect("accept never fails for want of descriptors");
            drop(ramus::spawn(async move {
                let mut buf = [0; 64];
                while let Ok(bytes @ 1..) = stream.read(&mut buf).await {
                    if stream.write_all(&buf[..bytes]).await.is_err() {
                        break;
                    }
                }
            }));
        }
    });
}

fn round_trip(stream: &mut TcpStream) {
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.write_all(b"ping").unwrap();
    let mut buf = [0; 4];
    stream.read_exact(&mut buf).unwrap();
    assert_eq!(&buf, b"ping");
}

/// 200 connections at a server that may open 64 descriptors: it serves those that it has, does not spin, and serves the
/// others when the first have gone.
#[test]
fn a_server_without_descriptors_goes_on() {
    if std::env::var_os(CHILD).is_some() {
        return echo_server();
    }
    let child = Command::new("sh")
        .args(["-c", "ulimit -n 64 && exec \"$0\" --exact a_server_without_descriptors_goes_on --nocapture"])
        .arg(std::env::current_exe().unwrap())
        .env(CHILD, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut server = Server(child);
    let mut lines = BufReader::new(server.0.stdout.take().unwrap()).lines();
    let addr: SocketAddr = loop {
        let line = lines.next().expect("the server says where it listens").unwrap();
        // The test harness prints the name of the test before it, on the same line.
        if let Some((_, addr)) = line.split_once("listening on ") {
            break addr.parse().unwrap();
        }
    };

    let mut connections: Vec<_> = (0..200).map(|_| TcpStream::connect(addr).unwrap()).collect();
    // The first ones are served although the limit is reached.
    round_trip(&mut connections[0]);
    round_trip(&mut connections[20]);

    let before = cpu_ticks(server.0.id());
    thread::sleep(Duration::from_secs(2));
    let spent = cpu_ticks(server.0.id()) - before;
    assert!(spent < 50, "{spent} hundredths of a second of CPU time in 2 s of waiting");
    round_trip(&mut connections[1]);

    drop(connections.drain(..170));
    for connection in &mut connections {
        round_trip(connection);
    }
    drop(connections);
    round_trip(&mut TcpStream::connect(addr).unwrap());
}

/// The descriptors that a child process finds open.
fn inherited() -> BTreeSet<String> {
    let output = Command::new("ls").arg("/proc/self/fd").output().unwrap();
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn children_inherit_no_descriptors() {
    if std::env::var_os(CHILD).is_some() {
        return;
    }
    let before = inherited();
    Runtime::new().unwrap().block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = ramus::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        let udp = ramus::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let pair = ramus::net::UnixStream::pair().unwrap();
        assert_eq!(inherited(), before);
        drop((client, server, udp, pair));
    });
}
