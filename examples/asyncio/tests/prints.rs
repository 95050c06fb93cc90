//! Each program prints what stands in its header.
#![allow(missing_docs)]

use std::fs;
use std::path::Path;
use std::process::Command;

/// The lines of the header's block after `//! Prints:`.
fn expected(source: &str) -> String {
    let mut lines = source.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim_start);
    let begun =
        lines.by_ref().find(|line| *line == "Prints:").is_some() && lines.by_ref().any(|line| line == "```text");
    assert!(begun, "no block ```text after `Prints:`");
    lines.take_while(|line| *line != "```").fold(String::new(), |text, line| text + line + "\n")
}

#[test]
fn every_program_prints_what_its_header_says() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bin");
    // All of them stand beside this one.
    let programs = Path::new(env!("CARGO_BIN_EXE_run")).parent().unwrap();
    let guide = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/from-asyncio.md")).unwrap();
    let mut ran = 0;
    for source in fs::read_dir(sources).unwrap() {
        let source = source.unwrap().path();
        let name = source.file_stem().unwrap();
        let expected = expected(&fs::read_to_string(&source).unwrap());
        let output = Command::new(programs.join(name)).output().unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{name:?} failed: {}\n{errors}", output.status);
        assert_eq!(printed, expected, "{name:?}\n{errors}");
        assert!(
            guide.contains(&format!("examples/asyncio/src/bin/{}.rs)", name.to_string_lossy())),
            "{name:?} is not in the guide"
        );
        ran += 1;
    }
    assert!(ran >= 26, "a row of the guide has lost its program");
}
