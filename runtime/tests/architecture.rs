//! The invariants of the architecture, read from the tree and the manifests: mostly absences, "X knows nothing of Y".
//!
//! The rules are the tables below. Each checker is a function from text to complaints, and is shown to complain.

#[path = "architecture/ledger.rs"]
mod ledger;
#[path = "architecture/source.rs"]
mod source;

use std::fs;
use std::path::{Path, PathBuf};

use source::{Source, contains_path};

/// The crates that the rules are about.
const CRATES: [&str; 3] = ["runtime", "scope", "timer"];

/// (files whose path starts so, a path that their code must not name, why)
const ABSENT: &[(&str, &str, &str)] = &[
    ("timer/src", "ramus_scope", "the timer knows no scope"),
    ("timer/src", "ramus", "the timer runs on any executor"),
    ("timer/src", "tokio", "the timer runs on any executor"),
    ("scope/src", "ramus_timer", "a deadline is a waker that cancels"),
    ("scope/src", "ramus", "the scope crate runs on any executor"),
    ("scope/src", "tokio", "the scope crate runs on any executor"),
    ("scope/src", "Instant::now", "the scope crate never asks what time it is"),
    ("scope/src", "SystemTime", "the scope crate never asks what time it is"),
    ("scope/src", "elapsed", "the scope crate never asks what time it is"),
    ("timer/src/wheel", "Instant", "the wheel is pure: no clock"),
    ("timer/src/wheel", "Waker", "the wheel is pure: no waker"),
    ("timer/src/wheel", "sync", "the wheel is pure: no lock"),
    ("runtime/src/task", "ramus_timer", "a task knows no timer"),
    ("runtime/src/task", "mio", "a task knows no I/O"),
    ("runtime/src/task", "crate::io", "a task knows no I/O"),
    ("runtime/src/task", "crate::net", "a task knows no I/O"),
    ("runtime/src/task", "crate::driver", "a task knows no I/O"),
    ("runtime/src/task", "crate::time", "a task knows no timer"),
    ("runtime/src/task", "crate::scope", "a task knows no scope"),
    ("runtime/src/task", "crate::tree", "a task knows no scope"),
    ("runtime/src/time", "Instant::now", "a runtime may live in virtual time: context::now"),
    ("runtime/src/scope", "Instant::now", "a runtime may live in virtual time: context::now"),
    ("runtime/src/spawn", "Instant::now", "a runtime may live in virtual time: context::now"),
    ("runtime/src/tree", "Instant::now", "a runtime may live in virtual time: context::now"),
    ("runtime/src/io", "Instant::now", "a runtime may live in virtual time: context::now"),
    ("runtime/src/supervise", "Instant::now", "a runtime may live in virtual time: context::now"),
    ("runtime/src/hyper", "Instant::now", "a runtime may live in virtual time: context::now"),
    ("runtime/src/sleep", "crate::task", "sleep knows no task"),
    ("runtime/src/sleep", "super::task", "sleep knows no task"),
    ("runtime/src/sleep", "ramus_scope", "sleep knows no scope"),
    ("runtime/src/sleep", "Runnable", "sleep knows no task"),
    ("runtime/src/sleep", "Future", "sleep polls nothing"),
    ("runtime/src/driver", "crate::task", "the driver knows no task"),
    ("runtime/src/driver", "ramus_scope", "the driver knows no scope"),
    ("runtime/src/driver", "Future", "the driver polls no future"),
    ("runtime/src/driver", "Pin", "the driver polls no future"),
];

/// What `runtime/src/task` may name of the scope crate: a task is a member that can be cancelled, and no more.
const TASK_OF_SCOPE: [&str; 5] = ["Member", "TaskCancel", "JoinError", "Reason", "ReasonKind"];

/// Names of concurrency that only a `sync.rs` may use.
const ONLY_IN_SYNC: [&str; 8] = [
    "std::sync",
    "core::sync",
    "alloc::sync",
    "parking_lot",
    "loom",
    "thread::park",
    "thread::park_timeout",
    "std::thread_local",
];

/// What the standard library asks for by this name: `Wake` takes its receiver in it.
const SYNC_ALLOWED: [&str; 2] = ["std::sync::Arc", "std::sync::Weak"];

/// Blocking primitives of the standard library: nowhere, not even in a `sync.rs`.
const BLOCKING: [&str; 10] = [
    "std::sync::Mutex",
    "std::sync::RwLock",
    "std::sync::Condvar",
    "std::sync::Barrier",
    "std::sync::mpsc",
    "std::sync::Once",
    "std::sync::OnceLock",
    "std::sync::LazyLock",
    "thread::park",
    "thread::park_timeout",
];

/// Where `unsafe` may stand: the pointers of scopes; the task cell and the memory that cells come from; what a
/// blocking scope lends.
const UNSAFE_HOMES: [&str; 6] = [
    "scope/src/raw.rs",
    "runtime/src/blocking/borrow.rs",
    "runtime/src/task/cell",
    "runtime/src/task/slab.rs",
    "runtime/src/task/plain.rs",
    "runtime/src/task/quarantine.rs",
];

/// Names that say nothing.
const EMPTY_NAMES: [&str; 6] = ["Core", "Inner", "Shared", "Context", "Manager", "Helper"];

/// (manifest, dependencies that users of the crate must not get)
const NO_DEPENDENCY: [(&str, &[&str]); 2] = [
    ("timer/Cargo.toml", &["ramus", "ramus-scope", "ramus-macros", "tokio", "smol", "async-executor", "mio"]),
    ("scope/Cargo.toml", &["ramus", "ramus-timer", "ramus-macros", "tokio", "smol", "async-executor", "mio"]),
];

/// What nothing may depend on, with the folders that may not.
const UNPUBLISHED: [&str; 7] = ["benches", "budgets", "documents", "loom-tests", "scope_on_tokio", "server", "xtask"];

/// What stands at the root.
const ROOT_FILES: [&str; 9] = [
    ".cargo/config.toml",
    ".ci/run",
    ".gitignore",
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
];
const ROOT_FOLDERS: [&str; 9] =
    ["benches", "docs", "examples", "loom-tests", "macros", "runtime", "scope", "timer", "xtask"];

/// One job a module.
const LINES: usize = 500;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("runtime/ is a folder of the workspace")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The Rust files below `folder`, from the root, with their text.
fn rust_files(folder: &str) -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::from(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(root().join(&folder)) else { continue };
        for entry in entries.map(Result::unwrap) {
            let path = folder.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let path = path.to_str().unwrap().to_owned();
                let text = read(&path);
                files.push((path, text));
            }
        }
    }
    files.sort();
    files
}

/// The sources of the three crates, without their test modules.
fn sources() -> Vec<(String, Source)> {
    let files = CRATES.iter().flat_map(|name| rust_files(&format!("{name}/src")));
    let files: Vec<_> = files
        .filter(|(path, _)| !path.ends_with("/tests.rs") && !path.contains("/tests/"))
        .map(|(path, text)| (path, Source::without_tests(&text)))
        .collect();
    for name in CRATES {
        assert!(files.iter().any(|(path, _)| path.starts_with(name)), "no source of {name} was found");
    }
    files
}

#[track_caller]
fn none(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "\n  {}\n", complaints.join("\n  "));
}

/// Complaints of `check` about every file.
fn each(check: impl Fn(&str, &Source) -> Vec<String>) -> Vec<String> {
    sources().iter().flat_map(|(path, source)| check(path, source)).collect()
}

fn is_in_sync(path: &str) -> bool {
    path.ends_with("/src/sync.rs")
}

// ---- what a module knows nothing of

fn check_absent(path: &str, source: &Source) -> Vec<String> {
    let rules = ABSENT.iter().filter(|(files, ..)| path.starts_with(files));
    rules
        .flat_map(|(_, absent, why)| {
            let lines = source.mentions(absent).into_iter();
            lines.map(move |line| format!("{path}:{line}: names `{absent}`: {why}"))
        })
        .collect()
}

fn check_task(path: &str, source: &Source) -> Vec<String> {
    if !path.starts_with("runtime/src/task") {
        return Vec::new();
    }
    let paths = source.paths().into_iter().filter(|(_, named)| named.split("::").next() == Some("ramus_scope"));
    paths
        .filter(|(_, named)| !named.split("::").nth(1).is_some_and(|item| TASK_OF_SCOPE.contains(&item)))
        .map(|(line, named)| format!("{path}:{line}: names `{named}`: a task knows only {TASK_OF_SCOPE:?} of scopes"))
        .collect()
}

#[test]
fn modules_know_nothing_of_each_other() {
    none(each(check_absent));
    none(each(check_task));
}

#[test]
fn knowing_too_much_is_noticed() {
    for (path, code) in [
        ("timer/src/timer.rs", "use ramus_scope::is_cut;"),
        ("scope/src/scope.rs", "let now = std::time::Instant::now();"),
        ("scope/src/scope.rs", "let d = start.elapsed();"),
        ("timer/src/wheel.rs", "use std::{mem, task::Waker};"),
        ("runtime/src/task/cell.rs", "use crate::{pool, driver::Driver};"),
        ("runtime/src/sleep.rs", "use super::task::Task;"),
        ("runtime/src/time.rs", "let now = Instant::now();"),
        ("runtime/src/driver.rs", "fn f(f: impl Future) {}"),
    ] {
        assert_eq!(check_absent(path, &Source::new(code)).len(), 1, "{path}: {code}");
    }
    assert!(check_absent("scope/src/scope.rs", &Source::new("// Instant::now, tokio\nerror.is_elapsed()")).is_empty());
    let task = |code| check_task("runtime/src/task/cell.rs", &Source::new(code)).len();
    assert_eq!(task("use ramus_scope::{Member, Scope, TaskCancel};"), 1);
    assert_eq!(task("ramus_scope::is_cut()"), 1);
    assert_eq!(task("use ramus_scope::{JoinError, Member};"), 0);
}

// ---- concurrency

fn check_concurrency(path: &str, source: &Source) -> Vec<String> {
    let mut complaints = Vec::new();
    for (line, named) in source.paths() {
        if BLOCKING.iter().any(|banned| contains_path(&named, banned)) {
            complaints.push(format!("{path}:{line}: `{named}` blocks out of sight of loom and the sanitizers"));
        } else if !is_in_sync(path)
            && ONLY_IN_SYNC.iter().any(|banned| named.starts_with(banned) && contains_path(&named, banned))
            && !SYNC_ALLOWED.iter().any(|allowed| contains_path(&named, allowed))
        {
            complaints.push(format!("{path}:{line}: `{named}` is named outside sync.rs"));
        }
    }
    complaints
}

/// The cfgs that choose a backend.
const BACKENDS: [&str; 2] = ["ramus_loom", "ramus_count"];

fn check_backend_cfg(path: &str, source: &Source) -> Vec<String> {
    if is_in_sync(path) || path.ends_with("/src/lib.rs") {
        return Vec::new();
    }
    let lines = BACKENDS.iter().flat_map(|backend| source.mentions(backend));
    lines.map(|line| format!("{path}:{line}: the cfg of a backend stands only in sync.rs and lib.rs")).collect()
}

/// A feature adds a module: its cfg stands where modules are declared.
fn check_features(path: &str, source: &Source) -> Vec<String> {
    if path.ends_with("/src/lib.rs") || path.ends_with("/mod.rs") {
        return Vec::new();
    }
    let lines = source.code.lines().zip(1..).filter(|(code, _)| code.contains("cfg") && code.contains("feature"));
    lines.map(|(_, line)| format!("{path}:{line}: a feature adds a module, never a branch")).collect()
}

#[test]
fn concurrency_comes_through_sync() {
    none(each(check_concurrency));
    none(each(check_backend_cfg));
    none(each(check_features));
}

#[test]
fn concurrency_beside_sync_is_noticed() {
    let at = |path: &str, code: &str| check_concurrency(path, &Source::new(code)).len();
    assert_eq!(at("scope/src/tree.rs", "use std::sync::{Arc, Mutex};"), 1);
    assert_eq!(at("scope/src/tree.rs", "use std::sync::atomic::AtomicU8;"), 1);
    assert_eq!(at("scope/src/tree.rs", "use core::sync::atomic::AtomicU8;"), 1);
    assert_eq!(at("scope/src/tree.rs", "let m = parking_lot::Mutex::new(1);"), 1);
    assert_eq!(at("scope/src/tree.rs", "use std::sync;"), 1);
    assert_eq!(at("scope/src/sync.rs", "pub(crate) use parking_lot::Mutex;"), 0);
    assert_eq!(at("scope/src/sync.rs", "pub(crate) use std::sync::OnceLock;"), 1);
    assert_eq!(at("scope/src/tree.rs", "std::thread::park()"), 1);
    assert_eq!(at("scope/src/tree.rs", "use crate::sync::{Mutex, atomic}; impl std::task::Wake for X {}"), 0);
    assert_eq!(check_backend_cfg("scope/src/tree.rs", &Source::new("#[cfg(ramus_loom)]")).len(), 1);
    assert_eq!(check_backend_cfg("scope/src/tree.rs", &Source::new("#[cfg(not(ramus_count))]")).len(), 1);
    assert_eq!(check_backend_cfg("scope/src/lib.rs", &Source::new("#[cfg(ramus_loom)]")).len(), 0);
    assert_eq!(check_features("runtime/src/net.rs", &Source::new("#[cfg(feature = \"hyper\")]")).len(), 1);
}

// ---- unsafe

fn check_unsafe(path: &str, source: &Source) -> Vec<String> {
    if UNSAFE_HOMES.iter().any(|home| path.starts_with(home)) {
        return Vec::new();
    }
    let lines = source.mentions("unsafe").into_iter();
    lines.map(|line| format!("{path}:{line}: unsafe outside its home ({UNSAFE_HOMES:?})")).collect()
}

#[test]
fn unsafe_has_its_homes() {
    none(each(check_unsafe));
    for name in CRATES {
        let lib = Source::new(&read(&format!("{name}/src/lib.rs"))).code;
        assert!(lib.contains("deny(unsafe_code)") || lib.contains("forbid(unsafe_code)"), "{name} allows unsafe code");
    }
    let lints = read("Cargo.toml");
    for lint in ["unsafe_op_in_unsafe_fn = \"deny\"", "undocumented_unsafe_blocks = \"deny\""] {
        assert!(lints.contains(lint), "the workspace's lints lack {lint}");
    }
}

#[test]
fn unsafe_elsewhere_is_noticed() {
    let unsafe_block = Source::new("#![deny(unsafe_code)]\n// unsafe\nunsafe { x() }");
    assert_eq!(check_unsafe("scope/src/tree.rs", &unsafe_block).len(), 1);
    assert_eq!(check_unsafe("scope/src/raw.rs", &unsafe_block).len(), 0);
}

// ---- the ledger of orderings

#[test]
fn every_ordering_is_in_the_ledger() {
    none(each(ledger::check_labelled));
    none(ledger::check(&sources(), &read("docs/ordering.md")));
}

// ---- names, sizes, layout, manifests

fn check_names(path: &str, source: &Source) -> Vec<String> {
    let words: Vec<(usize, String)> = source.paths();
    let types = words.windows(2).filter(|pair| {
        ["struct", "enum", "union", "trait", "type"].contains(&pair[0].1.as_str())
            && EMPTY_NAMES.contains(&pair[1].1.as_str())
    });
    types.map(|pair| format!("{path}:{}: the name `{}` says nothing", pair[1].0, pair[1].1)).collect()
}

fn check_length(path: &str, text: &str) -> Vec<String> {
    let lines = text.lines().count();
    if lines < LINES { Vec::new() } else { vec![format!("{path}: {lines} lines; a module has one job")] }
}

#[test]
fn names_and_sizes() {
    none(each(check_names));
    none(
        ROOT_FOLDERS
            .iter()
            .flat_map(|folder| rust_files(folder))
            .flat_map(|(path, text)| check_length(&path, &text))
            .collect(),
    );
}

#[test]
fn bad_names_and_sizes_are_noticed() {
    assert_eq!(check_names("a.rs", &Source::new("pub(crate) struct Inner<T>(T);")).len(), 1);
    assert_eq!(check_names("a.rs", &Source::new("use std::task::Context; struct InnerTube;")).len(), 0);
    assert_eq!(check_length("a.rs", &"\n".repeat(LINES)).len(), 1);
    assert_eq!(check_length("a.rs", &"\n".repeat(LINES - 1)).len(), 0);
}

/// The names in the dependency tables of a manifest, without those for development.
fn dependencies(manifest: &str) -> Vec<&str> {
    let mut inside = false;
    let mut names = Vec::new();
    for line in manifest.lines().map(str::trim) {
        if let Some(table) = line.strip_prefix('[') {
            let table = table.trim_end_matches(']');
            inside = table.ends_with("dependencies") && !table.ends_with("dev-dependencies");
        } else if inside && !line.is_empty() && !line.starts_with('#') {
            names.extend(line.split(['.', '=', ' ']).next());
        }
    }
    names
}

#[test]
fn manifests_point_downwards() {
    for (manifest, banned) in NO_DEPENDENCY {
        let text = read(manifest);
        assert!(!dependencies(&text).is_empty(), "{manifest}: no dependency was read");
        for name in dependencies(&text) {
            assert!(!banned.contains(&name), "{manifest} depends on {name}");
        }
    }
    for folder in ["runtime", "scope", "timer", "macros"] {
        let manifest = read(&format!("{folder}/Cargo.toml"));
        for name in dependencies(&manifest) {
            assert!(!UNPUBLISHED.contains(&name), "{folder} depends on {name}, which is not published");
        }
        assert!(manifest.contains("[lints]\nworkspace = true"), "{folder} does not take the workspace's lints");
    }
}

#[test]
fn dependencies_are_read_from_every_table() {
    let manifest = "[package]\nname = \"x\"\n[dependencies]\na.workspace = true\nb = \"1\"\n# c = \"1\"\n\
        [target.'cfg(ramus_loom)'.dependencies]\nloom = { version = \"1\" }\n[dev-dependencies]\ntokio = \"1\"\n";
    assert_eq!(dependencies(manifest), ["a", "b", "loom"]);
}

#[test]
fn layout() {
    for file in ROOT_FILES {
        assert!(root().join(file).is_file(), "{file} is missing");
    }
    let entries = fs::read_dir(root()).unwrap().map(Result::unwrap);
    let folders = entries.filter(|entry| entry.file_type().unwrap().is_dir());
    let names = folders.map(|entry| entry.file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| !name.starts_with('.') && name != "target").collect();
    names.sort();
    assert_eq!(names, ROOT_FOLDERS);
}
