//! Signals, each in a process of its own: this binary starts itself again with the name of a scene.

#![cfg(unix)]

use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use ramus::signal::{self, SignalKind, Signals};

const SCENE: &str = "RAMUS_SIGNAL_SCENE";

/// A process that plays `scene`, with the lines that it says.
struct Stage {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Stage {
    /// Starts the test `scene_of_a_child` of this binary, which plays the scene.
    fn open(scene: &str) -> Stage {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "scene_of_a_child", "--nocapture", "--test-threads=1"])
            .env(SCENE, scene)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Stage { child, lines }
    }

    /// Reads up to the line `wanted`; what the test harness says is passed over.
    #[track_caller]
    fn expect(&mut self, wanted: &str) {
        let mut line = String::new();
        loop {
            line.clear();
            assert_ne!(self.lines.read_line(&mut line).unwrap(), 0, "the child ended before it said {wanted:?}");
            // The harness begins a line that the scene ends.
            if line.trim_end().ends_with(wanted) {
                return;
            }
        }
    }

    fn send(&self, signal: SignalKind) {
        let done = Command::new("kill").arg(format!("-{}", signal.as_raw())).arg(self.child.id().to_string()).status();
        assert!(done.unwrap().success());
    }

    #[track_caller]
    fn expect_success(mut self) {
        assert!(self.child.wait().unwrap().success());
    }
}

fn say(line: &str) {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}

/// Not a test of its own: the children of the others play their scenes in it.
#[test]
fn scene_of_a_child() {
    let Ok(scene) = std::env::var(SCENE) else { return };
    let runtime = ramus::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    match scene.as_str() {
        "ctrl_c" => runtime.block_on(async {
            let wait = signal::ctrl_c();
            say("ready");
            wait.await.unwrap();
            say("interrupted");
        }),
        "before the first poll" => {
            // Listening begins with the call, outside of the runtime and long before the poll.
            let wait = signal::terminate();
            say("ready");
            let mut line = String::new();
            let mut watch = Signals::new(SignalKind::TERMINATE).unwrap();
            say("watching");
            runtime.block_on(watch.recv()).unwrap();
            line.push_str("delivered");
            say(&line);
            runtime.block_on(wait).unwrap();
            say("not lost");
        }
        "twice" => runtime.block_on(async {
            let mut interrupts = Signals::new(SignalKind::INTERRUPT).unwrap();
            say("ready");
            interrupts.recv().await.unwrap();
            say("first");
            interrupts.recv().await.unwrap();
            say("second");
        }),
        "many" => runtime.block_on(async {
            let waits: Vec<_> = (0..20).map(|_| ramus::spawn(signal::ctrl_c())).collect();
            let mut other = Signals::new(SignalKind::USER1).unwrap();
            say("ready");
            for wait in waits {
                wait.await.unwrap().unwrap();
            }
            say("all");
            other.recv().await.unwrap();
            say("other");
        }),
        "dropped" => runtime.block_on(async {
            // A wait that was given up leaves nothing behind, and the others go on.
            let early = ramus::timeout(Duration::from_millis(1), signal::ctrl_c()).await;
            assert!(early.is_err());
            let open = || std::fs::read_dir("/proc/self/fd").map(|entries| entries.count());
            let before = open().ok();
            for _ in 0..100 {
                drop(Signals::new(SignalKind::INTERRUPT).unwrap());
            }
            assert_eq!(open().ok(), before, "descriptors are left open");
            let wait = signal::ctrl_c();
            say("ready");
            wait.await.unwrap();
            say("interrupted");
        }),
        other => panic!("no scene {other}"),
    }
}

#[test]
fn ctrl_c_is_awaited() {
    let mut stage = Stage::open("ctrl_c");
    stage.expect("ready");
    stage.send(SignalKind::INTERRUPT);
    stage.expect("interrupted");
    stage.expect_success();
}

#[test]
fn a_signal_before_the_first_poll_is_not_lost() {
    let mut stage = Stage::open("before the first poll");
    stage.expect("watching");
    stage.send(SignalKind::TERMINATE);
    stage.expect("delivered");
    stage.expect("not lost");
    stage.expect_success();
}

#[test]
fn a_second_signal_reaches_a_second_wait() {
    let mut stage = Stage::open("twice");
    stage.expect("ready");
    stage.send(SignalKind::INTERRUPT);
    stage.expect("first");
    stage.send(SignalKind::INTERRUPT);
    stage.expect("second");
    stage.expect_success();
}

#[test]
fn every_listener_hears_it() {
    let mut stage = Stage::open("many");
    stage.expect("ready");
    stage.send(SignalKind::INTERRUPT);
    stage.expect("all");
    stage.send(SignalKind::USER1);
    stage.expect("other");
    stage.expect_success();
}

#[test]
fn a_dropped_wait_leaves_nothing() {
    let mut stage = Stage::open("dropped");
    stage.expect("ready");
    stage.send(SignalKind::INTERRUPT);
    stage.expect("interrupted");
    stage.expect_success();
}

#[test]
fn what_cannot_be_waited_for_is_refused() {
    // SIGKILL, SIGSEGV.
    for number in [9, 11] {
        let error = Signals::new(SignalKind::from_raw(number)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
    Signals::new(SignalKind::from_raw(4000)).unwrap_err();
    assert_eq!(format!("{:?}", SignalKind::TERMINATE), "SIGTERM");
}
