//! Arguments that make no sense and addresses that cannot be had: one clear line, and exit code 2.

mod common;

use std::process::{Command, Output};

use common::Server;

fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_server")).args(args).output().expect("it runs")
}

/// Asserts exit code 2 and one line on stderr that contains all parts.
fn is_refused(args: &[&str], parts: &[&str]) {
    let output = run(args);
    let stderr = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(2), "{args:?}: {stderr}");
    assert_eq!(stderr.lines().count(), 1, "{args:?}: {stderr}");
    for part in parts {
        assert!(stderr.contains(part), "{args:?}: {stderr}");
    }
    assert!(output.stdout.is_empty(), "{args:?}");
}

#[test]
fn help_names_every_option_and_its_default() {
    let output = run(&["--help"]);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).expect("text");
    for part in ["--listen", "--workers", "--grace", "--request-timeout", "127.0.0.1:8080", "10s", "30s"] {
        assert!(text.contains(part), "{part}");
    }
}

#[test]
fn bad_values_are_refused() {
    is_refused(&["--workers", "0"], &["--workers", "at least one"]);
    is_refused(&["--grace", "soon"], &["--grace", "soon"]);
    is_refused(&["--listen", "nowhere"], &["--listen", "nowhere"]);
    is_refused(&["--frobnicate"], &["--frobnicate", "--help"]);
}

#[test]
fn an_address_in_use_is_refused() {
    let server = Server::start(&[]);
    let address = server.address.to_string();
    is_refused(&["--listen", &address], &["cannot listen on", &address, "in use", "port 0"]);
}

#[test]
fn an_address_of_another_machine_is_refused() {
    is_refused(&["--listen", "192.0.2.1:8080"], &["cannot listen on 192.0.2.1:8080"]);
}

#[test]
fn a_privileged_port_is_refused() {
    // Whoever may open port 1 (root, or a low net.ipv4.ip_unprivileged_port_start) gives that up first.
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all"]);
    command.args([env!("CARGO_BIN_EXE_server"), "--listen", "127.0.0.1:1"]);
    let start = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    let privileged = start.is_ok_and(|start| start.trim().parse::<u32>().is_ok_and(|start| start > 1));
    let mut plain = Command::new(env!("CARGO_BIN_EXE_server"));
    plain.args(["--listen", "127.0.0.1:1"]);
    // Without privileges nothing has to be given up.
    let is_root = std::fs::read_to_string("/proc/self/status")
        .is_ok_and(|status| status.lines().any(|line| line.starts_with("Uid:\t0")));
    if !privileged {
        return;
    }
    let output = if is_root { command.output() } else { plain.output() }.expect("it runs");
    let stderr = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("cannot listen on 127.0.0.1:1"), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}
