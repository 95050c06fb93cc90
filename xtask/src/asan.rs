//! The tests under AddressSanitizer and LeakSanitizer.
//!
//! `ramus_plain_alloc` turns the recycling of task cells and of scopes' nodes off: a recycled block would hide a use after free.

use crate::Outcome;
use crate::cargo::{self, Cargo};

/// Sanitizers need a target named, else build scripts and macros would be instrumented too.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Tests that leak on purpose.
const LEAKERS: &str = "xtask/lsan.supp";

/// Runs every test, or those whose names contain `filter`.
pub(crate) fn run(filter: Option<&str>) -> Outcome {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Err(format!("asan runs on {TARGET} only"));
    }
    let mut cargo =
        Cargo::new("test --workspace --exclude xtask --exclude benches --exclude loom-tests --all-features")
            .arg("--lib")
            .arg("--bins")
            .arg("--tests")
            .arg("--no-fail-fast")
            .arg("--profile=asan")
            .arg("--target")
            .arg(TARGET)
            .flags("-Zsanitizer=address --cfg ramus_plain_alloc", &cargo::target().join("asan"))
            // The sanitizer flag is not stable; it is the same on this toolchain.
            .env("RUSTC_BOOTSTRAP", "1")
            .env("ASAN_OPTIONS", "detect_stack_use_after_return=1")
            .env(
                "LSAN_OPTIONS",
                &format!("suppressions={}:print_suppressions=0", cargo::root().join(LEAKERS).display()),
            );
    if let Some(filter) = filter {
        cargo = cargo.arg(filter);
    }
    cargo.run()
}
