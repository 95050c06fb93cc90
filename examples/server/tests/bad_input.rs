//! Clients that break the rules, are slow, or go away: they lose their connection, the others are served.

mod common;

use std::io::{BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use common::{Answer, LIMIT, Server, read_to_end, wait_until};
use socket2::SockRef;

/// Closes with a reset.
fn reset(stream: TcpStream) {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("a socket");
    drop(stream);
}

#[test]
fn malformed_requests_are_refused() {
    let server = Server::start(&[]);
    for request in [
        "NOT HTTP AT ALL\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "GET / HTTP/1.1\r\nno colon\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: some\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        "\u{0}\u{1}\u{2}\u{3}\r\n\r\n",
    ] {
        let answer = server.send(request);
        assert_eq!(answer.status, 400, "{request:?}: {answer:?}");
    }
    assert_eq!(server.get("/").status, 200);
    server.wait_for("server_connections_open", |now| now == 1);
}

#[test]
fn a_chunk_that_is_none_ends_the_connection() {
    let server = Server::start(&[]);
    let mut stream = server.connect();
    let request = "POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    read_to_end(&mut stream);
    assert_eq!(server.get("/").status, 200);
}

#[test]
fn a_flood_of_headers_is_refused() {
    let server = Server::start(&[]);
    let mut stream = server.connect();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: test\r\n").unwrap();
    // Until the server stops reading; it has answered by then.
    for i in 0..100_000 {
        if write!(stream, "X-Header-{i}: {i:0100}\r\n").is_err() {
            break;
        }
    }
    let text = read_to_end(&mut stream);
    assert!(text.is_empty() || text.starts_with("HTTP/1.1 431"), "{text}");
    assert_eq!(server.get("/").status, 200);
    let many: String = (0..200).map(|i| format!("X-Header-{i}: {i}\r\n")).collect();
    let answer = server.send(&format!("GET / HTTP/1.1\r\nHost: test\r\n{many}\r\n"));
    assert_eq!(answer.status, 431);
    server.wait_for("server_connections_open", |now| now == 1);
}

#[test]
fn a_half_closed_connection_ends() {
    let server = Server::start(&[]);
    // Nothing sent, and half of a request.
    for part in ["", "GET / HTTP/1.1\r\nHo"] {
        let mut stream = server.connect();
        stream.write_all(part.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let text = read_to_end(&mut stream);
        assert!(text.is_empty() || text.starts_with("HTTP/1.1 400"), "{part:?}: {text}");
    }
    // A client that waits for an answer and sends no more cannot be told from one that has gone.
    let mut stream = server.connect();
    stream.write_all(b"GET /sleep/600000 HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
    server.wait_for("server_requests_running", |running| running == 2);
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_to_end(&mut stream), "");
    server.wait_for("server_requests_running", |running| running == 1);
    assert_eq!(server.metric("server_requests_cancelled_total{reason=\"client_gone\"}"), 1);
}

#[test]
fn resets_leave_nothing_behind() {
    let server = Server::start(&[]);
    let before = server.descriptors();
    for request in [
        "",
        "GET / HT",
        "GET /sleep/600000 HTTP/1.1\r\nHost: test\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nabc",
    ] {
        for _ in 0..20 {
            let mut stream = server.connect();
            stream.write_all(request.as_bytes()).unwrap();
            reset(stream);
        }
    }
    server.wait_for("server_connections_open", |open| open == 1);
    server.wait_for("server_requests_running", |running| running == 1);
    wait_until("its descriptors are closed", || server.descriptors() <= before);
}

#[test]
fn a_client_that_goes_away_cancels_its_request() {
    let server = Server::start(&[]);
    let paths = ["/sleep/600000", "/cpu/600000"];
    for (gone, path) in paths.iter().enumerate() {
        let mut stream = server.connect();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
        server.wait_for("server_requests_running", |running| running == 2);
        drop(stream);
        server.wait_for("server_requests_running", |running| running == 1);
        assert_eq!(server.metric("server_requests_cancelled_total{reason=\"client_gone\"}"), gone as u64 + 1);
        let name = path.rsplit_once('/').unwrap().0;
        wait_until("the tree is rid of it", || !server.get("/tree").body.contains(name));
    }
}

#[test]
fn a_slow_sender_of_headers_is_cut() {
    let server = Server::start(&["--header-timeout", "100ms"]);
    for part in ["", "G", "PRI * HTTP/2.0\r\n", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: a-rather-long-name\r\n"]
    {
        let mut stream = server.connect();
        stream.write_all(part.as_bytes()).unwrap();
        let text = read_to_end(&mut stream);
        assert!(text.is_empty() || text.starts_with("HTTP/1.1 408"), "{part:?}: {text}");
    }
    // Sending a little now and then does not help.
    let mut stream = server.connect();
    stream.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    wait_until("it is cut", || {
        thread::sleep(Duration::from_millis(10));
        stream.write_all(b"X: y\r\n").is_err()
    });
    // Nor does a first request that is in time.
    let mut stream = server.connect();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: test\r\n\r\nGET / HT").unwrap();
    let mut answers = BufReader::new(stream);
    assert_eq!(Answer::read(&mut answers).expect("an answer").status, 200);
    let mut rest = String::new();
    answers.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
}

#[test]
fn a_body_that_does_not_come_is_cut() {
    let server = Server::start(&["--request-timeout", "100ms"]);
    let mut stream = server.connect();
    let request = "POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nabc";
    stream.write_all(request.as_bytes()).unwrap();
    let text = read_to_end(&mut stream);
    assert!(text.starts_with("HTTP/1.1 200") && text.ends_with("abc"), "{text}");
    server.wait_for("server_connections_open", |open| open == 1);
}

#[test]
fn a_client_that_does_not_read_is_cut() {
    let server = Server::start(&["--request-timeout", "200ms"]);
    let mut stream = server.connect();
    SockRef::from(&stream).set_recv_buffer_size(4096).unwrap();
    stream.set_write_timeout(Some(LIMIT)).unwrap();
    let part = [b'x'; 65536];
    let length = 100_000 * part.len();
    write!(stream, "POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\n\r\n").unwrap();
    // Until the buffers between are full, and then until the server gives up.
    while stream.write_all(&part).is_ok() {}
    server.wait_for("server_connections_open", |open| open == 1);
}

#[test]
fn slow_clients_do_not_keep_others_waiting() {
    let server = Server::start_after("ulimit -n 4096", &[]);
    let slow: Vec<TcpStream> = (0..500)
        .map(|_| {
            let mut stream = server.connect();
            stream.write_all(b"GET / HTTP/1.1\r\nHost:").unwrap();
            stream
        })
        .collect();
    server.wait_for("server_connections_open", |open| open == 501);
    for _ in 0..100 {
        assert_eq!(server.get("/").status, 200);
    }
    // Slow is not gone: they are answered when they are ready.
    for mut stream in slow {
        stream.write_all(b" test\r\nConnection: close\r\n\r\n").unwrap();
        let answer = Answer::read(&mut BufReader::new(stream)).expect("an answer");
        assert_eq!(answer.status, 200);
    }
}

#[test]
fn more_connections_than_descriptors_wait_for_their_turn() {
    let server = Server::start_after("ulimit -n 64", &[]);
    let mut clients: Vec<TcpStream> = (0..200)
        .map(|_| {
            let mut stream = server.connect();
            let request = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n";
            stream.write_all(request).unwrap();
            stream
        })
        .collect();
    // Each keeps its connection until it has its answer, so the later ones get in when earlier ones leave.
    for stream in clients.drain(..) {
        let answer = Answer::read(&mut BufReader::new(stream)).expect("an answer");
        assert_eq!(answer.status, 200);
    }
    assert_eq!(server.get("/").status, 200);
}
