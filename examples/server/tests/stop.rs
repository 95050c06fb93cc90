//! How the server ends: softly, hard, and with stragglers.

mod common;

use std::io::{BufReader, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use common::{Answer, Server, read_to_end};

/// A connection with a request under way.
fn asks(server: &Server, path: &str) -> TcpStream {
    let mut stream = server.connect();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
    stream
}

#[test]
fn an_idle_server_ends_at_once() {
    for name in ["TERM", "INT"] {
        let server = Server::start(&["--grace", "600s"]);
        server.signal(name);
        let ended = server.wait();
        assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
        assert_eq!(ended.stderr, "");
    }
}

#[test]
fn idle_connections_do_not_hold_it_up() {
    let server = Server::start(&["--grace", "600s"]);
    let mut unused = server.connect();
    let mut kept = asks(&server, "/");
    assert_eq!(Answer::read(&mut BufReader::new(&kept)).expect("an answer").status, 200);
    server.wait_for("server_connections_open", |open| open == 3);
    server.signal("TERM");
    assert_eq!(server.wait().status.code(), Some(0));
    assert_eq!(read_to_end(&mut unused), "");
    assert_eq!(read_to_end(&mut kept), "");
}

#[test]
fn what_is_in_flight_is_answered_and_closed() {
    let server = Server::start(&["--grace", "600s"]);
    let slow = asks(&server, "/sleep/2000");
    let mut late = server.connect();
    server.wait_for("server_requests_running", |running| running == 2);
    server.wait_for("server_connections_open", |open| open == 3);
    server.signal("TERM");
    // On its way when the signal came, on a connection that stood.
    late.write_all(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
    let answer = Answer::read(&mut BufReader::new(late)).expect("an answer");
    assert_eq!(answer.status, 200);
    // This one was under way long before, and ends long after.
    let answer = Answer::read(&mut BufReader::new(slow)).expect("an answer");
    assert_eq!(answer.status, 200);
    assert!(answer.closes(), "{}", answer.head);
    assert_eq!(server.wait().status.code(), Some(0));
}

#[test]
fn no_new_connection_is_accepted_after_the_signal() {
    let server = Server::start(&["--grace", "600s"]);
    let address = server.address;
    let slow = asks(&server, "/sleep/600000");
    server.wait_for("server_requests_running", |running| running == 2);
    server.signal("TERM");
    common::wait_until("the port is closed", || TcpStream::connect(address).is_err());
    drop(slow);
    assert_eq!(server.wait().status.code(), Some(0));
}

/// Asks again and again on kept connections, and counts. A request counts as accepted once it was written to a
/// connection that the server has answered on, and was not told to close.
fn keeps_asking(server: &Server) -> thread::JoinHandle<u64> {
    let mut stream = server.connect();
    thread::spawn(move || {
        let mut answers = BufReader::new(stream.try_clone().unwrap());
        let mut answered = 0;
        loop {
            let asked = stream.write_all(b"GET /sleep/1 HTTP/1.1\r\nHost: test\r\n\r\n");
            assert!(asked.is_ok(), "after {answered}: the connection closed without saying so");
            let answer = Answer::read(&mut answers);
            let answer = answer.unwrap_or_else(|| panic!("lost request number {answered}"));
            assert_eq!(answer.status, 200);
            answered += 1;
            if answer.closes() {
                return answered;
            }
        }
    })
}

#[test]
fn a_stop_under_load_loses_no_request() {
    let server = Server::start(&["--grace", "600s"]);
    let clients: Vec<_> = (0..32).map(|_| keeps_asking(&server)).collect();
    server.wait_for("server_requests_total", |total| total > 500);
    server.signal("TERM");
    for client in clients {
        assert!(client.join().expect("nothing was lost") > 0);
    }
    let ended = server.wait();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
}

#[test]
fn what_does_not_end_in_time_is_cancelled() {
    let server = Server::start_after("ulimit -n 4096", &["--grace", "300ms"]);
    let mut clients: Vec<_> = (0..1000).map(|_| asks(&server, "/sleep/60000")).collect();
    server.wait_for("server_requests_running", |running| running == 1001);
    let begun = Instant::now();
    server.signal("TERM");
    let ended = server.wait();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert!(begun.elapsed() >= Duration::from_millis(300), "the grace is theirs");
    assert!(begun.elapsed() < Duration::from_secs(20), "nothing waits for the sleeps");
    assert_eq!(ended.stderr, "", "nothing is left");
    for client in &mut clients {
        assert_eq!(read_to_end(client), "");
    }
}

#[test]
fn a_second_signal_does_not_wait_for_the_grace() {
    let server = Server::start(&["--grace", "600s"]);
    let address = server.address;
    let mut client = asks(&server, "/sleep/600000");
    server.wait_for("server_requests_running", |running| running == 2);
    server.signal("TERM");
    common::wait_until("the first one is seen", || TcpStream::connect(address).is_err());
    server.signal("INT");
    let ended = server.wait();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert_eq!(read_to_end(&mut client), "");
}

#[test]
fn stragglers_are_named() {
    let server = Server::start(&["--grace", "0s"]);
    let _client = asks(&server, "/debug/block/600000");
    server.wait_for("server_requests_running", |running| running == 2);
    common::wait_until("it blocks a thread", || server.get("/tree").body.contains("debug.rs"));
    server.signal("TERM");
    let ended = server.wait();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("did not end"), "{}", ended.stderr);
    assert!(ended.stderr.contains("debug.rs"), "where it was started: {}", ended.stderr);
}
