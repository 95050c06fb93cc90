//! The program does what its output says.

use std::process::Command;

#[test]
fn the_trace_tells_of_three_scopes() {
    let output = Command::new(env!("CARGO_BIN_EXE_scope_on_tokio")).output().expect("it runs");
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(output.status.success(), "{text}");
    let at = |line: &str| text.find(line).unwrap_or_else(|| panic!("`{line}` is missing in:\n{text}"));

    // Everything is dropped before its scope answers.
    assert!(at("first download is dropped") < at("the disk is full"));
    assert!(at("second download is dropped") < at("the disk is full"));
    // The shield holds the cancel back, and no longer.
    assert!(at("commit begins") < at("commit ends"));
    assert!(at("commit ends") < at("the order is dropped"));
    assert!(at("the order is dropped") < at("(a deadline: true)"));
    assert!(!text.contains("never printed"));
    // Soft, then hard.
    assert!(at("the polite child finishes") < at("the stubborn child is dropped"));
}
