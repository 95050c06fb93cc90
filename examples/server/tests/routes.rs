//! What each route answers.

mod common;

use std::convert::Infallible;
use std::io::{BufReader, Write};

use common::{Answer, Server};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http2;
use hyper::{Method, Request, StatusCode};
use ramus::Scope;
use ramus::hyper::RamusExecutor;
use ramus::net::TcpStream;

#[test]
fn the_plain_routes_answer() {
    let server = Server::start(&[]);
    let hello = server.get("/");
    assert_eq!((hello.status, hello.body.as_str()), (200, "Hello, World!\n"));
    assert_eq!(server.get("/sleep/1").body, "slept 1 ms\n");
    assert_eq!(server.get("/cpu/2").body, "computed 2 ms\n");
}

#[test]
fn an_echo_sends_back_what_it_gets() {
    let server = Server::start(&[]);
    let known = server.send("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!((known.status, known.body.as_str()), (200, "hello"));

    // Of unknown length: the first part comes back before the last one is sent.
    let mut stream = server.connect();
    let head = b"POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head).unwrap();
    stream.write_all(b"5\r\nfirst\r\n").unwrap();
    let mut answer = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    while !line.ends_with("first\r\n") {
        std::io::BufRead::read_line(&mut answer, &mut line).unwrap();
    }
    stream.write_all(b"4\r\nlast\r\n0\r\n\r\n").unwrap();
    while !line.ends_with("last\r\n") {
        std::io::BufRead::read_line(&mut answer, &mut line).unwrap();
    }
}

#[test]
fn a_connection_is_kept_for_many_requests() {
    let server = Server::start(&[]);
    let mut stream = server.connect();
    let mut answers = BufReader::new(stream.try_clone().unwrap());
    for path in ["/", "/sleep/1", "/nowhere", "/"] {
        write!(stream, "GET {path} HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
        let answer = Answer::read(&mut answers).expect("an answer");
        assert!(!answer.closes(), "{}", answer.head);
    }
    assert_eq!(server.metric("server_connections_total"), 2, "this one, and the one that asks");
}

#[test]
fn a_fan_out_collects_values_or_errors() {
    let server = Server::start(&[]);
    let summed = server.get("/fanout/1000");
    assert_eq!(summed.status, 200);
    let summed: serde_json::Value = serde_json::from_str(&summed.body).unwrap();
    assert_eq!(summed, serde_json::json!({ "children": 1000, "sum": 499_500 }));

    let failed = server.get("/fanout/1000?fail=3");
    assert_eq!(failed.status, 500);
    let failed: serde_json::Value = serde_json::from_str(&failed.body).unwrap();
    let failures = failed["failures"].as_array().expect("a list");
    assert!((1..=3).contains(&failures.len()), "{failed}");
    for failure in failures {
        let failure = failure.as_str().expect("text");
        let known = ["child 0 failed", "child 1 failed", "child 2 failed"];
        assert!(known.contains(&failure), "{failure}");
    }
    assert_eq!(server.get("/fanout/0").status, 200);
}

#[test]
fn failures_are_json() {
    let server = Server::start(&[]);
    for (path, status) in [
        ("/nowhere", 404),
        ("/sleep/soon", 400),
        ("/sleep/-1", 400),
        ("/sleep/18446744073709551616", 400),
        ("/fanout/100001", 400),
        ("/fanout/1?fail=some", 400),
        ("/cpu/", 404),
    ] {
        let answer = server.get(path);
        assert_eq!(answer.status, status, "{path}");
        let body: serde_json::Value = serde_json::from_str(&answer.body).expect(path);
        assert!(body["error"].is_string(), "{path}: {body}");
    }
    let answer = server.send("DELETE / HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!(answer.status, 405);
    let answer = server.send("GET /echo HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!(answer.status, 405);
}

#[test]
fn the_tree_shows_a_request_and_its_place() {
    let server = Server::start(&[]);
    let mut waiting = server.connect();
    waiting.write_all(b"GET /sleep/600000 HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
    server.wait_for("server_requests_running", |running| running == 2);
    common::wait_until("the tree shows it", || server.get("/tree").body.contains("request /sleep"));
    let tree = server.get("/tree").body;
    let depth = |name: &str| {
        let line = tree.lines().find(|line| line.contains(name));
        let line = line.unwrap_or_else(|| panic!("no {name} in\n{tree}"));
        line.len() - line.trim_start().len()
    };
    assert!(depth("server") < depth("connection"), "{tree}");
    assert!(depth("connection") < depth("request /sleep"), "{tree}");

    let json = server.send("GET /tree HTTP/1.1\r\nHost: test\r\nAccept: application/json\r\nConnection: close\r\n\r\n");
    let rows: serde_json::Value = serde_json::from_str(&json.body).expect("JSON");
    let rows = rows.as_array().expect("a list");
    let request = rows.iter().find(|row| row["name"] == "request /sleep").expect("listed");
    assert!(request["site"].as_str().expect("a site").contains("request.rs"), "{request}");
}

#[test]
fn the_metrics_count_what_happens() {
    let server = Server::start(&[]);
    for _ in 0..3 {
        server.get("/");
    }
    assert!(server.metric("server_requests_total") >= 4);
    server.wait_for("server_connections_open", |now| now == 1);
    assert!(server.metric("ramus_tasks_spawned_total") >= 8, "a task a connection and a request");
    assert!(server.metric("ramus_polls_total") >= 8);
    let page = server.get("/metrics");
    assert!(page.head.contains("content-type: text/plain"), "{}", page.head);
    for line in page.body.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').expect("name and value");
        assert!(name.starts_with("server_") || name.starts_with("ramus_"), "{line}");
        assert!(value.parse::<u64>().is_ok(), "{line}");
    }
}

#[test]
fn a_request_that_takes_too_long_is_cancelled_and_answered() {
    let server = Server::start(&["--request-timeout", "50ms"]);
    let answer = server.get("/sleep/600000");
    assert_eq!(answer.status, 504, "{}", answer.body);
    assert_eq!(server.metric("server_requests_cancelled_total{reason=\"deadline\"}"), 1);
    server.wait_for("server_requests_running", |now| now == 1);
    let answer = server.get("/cpu/600000");
    assert_eq!(answer.status, 504, "{}", answer.body);
}

#[test]
fn zero_and_huge_timeouts_are_obeyed() {
    let server = Server::start(&["--request-timeout", "0s"]);
    assert_eq!(server.get("/sleep/1").status, 504);
    let longest = format!("{}s", u64::MAX);
    let server = Server::start(&["--request-timeout", &longest, "--header-timeout", &longest]);
    assert_eq!(server.get("/sleep/1").status, 200);
}

#[test]
fn a_panic_in_a_handler_is_answered_and_hurts_nobody_else() {
    let server = Server::start(&[]);
    let mut stream = server.connect();
    let mut answers = BufReader::new(stream.try_clone().unwrap());
    for (path, status) in [("/", 200), ("/debug/panic", 500), ("/", 200)] {
        write!(stream, "GET {path} HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
        let answer = Answer::read(&mut answers).expect("the same connection answers");
        assert_eq!(answer.status, status, "{path}");
    }
    assert_eq!(server.metric("server_requests_panicked_total"), 1);
}

#[test]
fn http2_is_spoken_by_prior_knowledge() {
    let server = Server::start(&[]);
    let address = server.address;
    let runtime = ramus::Runtime::new().unwrap();
    runtime.block_on(async move {
        let stream = TcpStream::connect(address).await.unwrap();
        let (mut client, connection) = http2::handshake(RamusExecutor, stream).await.unwrap();
        let driver = ramus::spawn(connection);
        ramus::scope(|requests: Scope<Infallible>| {
            let client = client.clone();
            async move {
                for i in 0..50 {
                    let mut client = client.clone();
                    let task = requests.spawn(async move {
                        let request = Request::post(format!("http://{address}/echo"))
                            .body(Full::new(Bytes::from(format!("number {i}"))))
                            .unwrap();
                        let answer = client.send_request(request).await.unwrap();
                        assert_eq!(answer.status(), StatusCode::OK);
                        let body = answer.into_body().collect().await.unwrap().to_bytes();
                        assert_eq!(body, format!("number {i}"));
                    });
                    drop(task);
                }
            }
        })
        .await
        .unwrap();
        let request = Request::builder()
            .method(Method::GET)
            .uri(format!("http://{address}/nowhere"))
            .body(Full::new(Bytes::new()))
            .unwrap();
        let answer = client.send_request(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
        drop(client);
        driver.await.unwrap().unwrap();
    });
    assert_eq!(server.metric("server_requests_total"), 52, "and the one that asks");
    assert_eq!(server.metric("server_connections_total"), 3, "and two that asked");
}
