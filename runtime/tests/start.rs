//! Starting and ending runtimes: refused settings, a system that refuses, and nothing left behind.

mod common;

use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::{runtime, wait_until, watchdog};

/// Runs the ignored test `name` of this file in a process of its own, behind `wrapper`.
fn child(name: &str, wrapper: &[&str], env: &[(&str, &str)]) -> Output {
    let exe = std::env::current_exe().unwrap();
    let exe = exe.to_str().unwrap();
    let mut words = wrapper.to_vec();
    words.extend([exe, "--exact", name, "--ignored", "--nocapture", "--test-threads=1"]);
    Command::new(words[0]).args(&words[1..]).envs(env.iter().copied()).output().unwrap()
}

fn succeeds(output: &Output) {
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn settings_that_cannot_work_are_refused() {
    for workers in [0, 1_000_000] {
        let error = ramus::Builder::new_multi_thread().worker_threads(workers).build().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains("worker_threads"), "{error}");
    }
    let error = ramus::Builder::new_multi_thread().worker_threads(1).max_blocking_threads(0).build().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn the_environment_sets_the_number_of_workers() {
    for (value, expected) in
        [("3", "3"), (" 2 ", "2"), ("0", "error"), ("many", "error"), ("-1", "error"), ("", "error")]
    {
        let env = [("RAMUS_WORKER_THREADS", value), ("EXPECTED", expected)];
        succeeds(&child("child_counts_its_workers", &[], &env));
    }
}

#[test]
#[ignore = "run by `the_environment_sets_the_number_of_workers`"]
fn child_counts_its_workers() {
    let expected = std::env::var("EXPECTED").unwrap();
    match ramus::Builder::new_multi_thread().build() {
        Ok(runtime) => assert_eq!(runtime.handle().workers().to_string(), expected),
        Err(error) => {
            assert_eq!(expected, "error");
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            assert!(error.to_string().contains("RAMUS_WORKER_THREADS"), "{error}");
        }
    }
}

#[test]
fn a_refused_thread_stops_those_that_run() {
    succeeds(&child("child_is_refused_a_thread", &[], &[]));
}

#[test]
#[ignore = "run by `a_refused_thread_stops_those_that_run`"]
fn child_is_refused_a_thread() {
    let _dog = watchdog();
    let before = (threads(), descriptors());
    let started = Arc::new(AtomicUsize::new(0));
    let (starting, stopping) = (Arc::clone(&started), Arc::clone(&started));
    // No address space holds this many stacks.
    let refused = ramus::Builder::new_multi_thread()
        .worker_threads(8)
        .thread_stack_size(1 << 45)
        .on_thread_start(move || _ = starting.fetch_add(1, Ordering::SeqCst))
        .on_thread_stop(move || _ = stopping.fetch_sub(1, Ordering::SeqCst))
        .build();
    assert!(refused.is_err());
    assert_eq!(started.load(Ordering::SeqCst), 0, "a worker runs on");
    assert_eq!((threads(), descriptors()), before);
    // The pool was not damaged: the next runtime of this size takes it.
    let next = runtime(8);
    assert_eq!(next.block_on(async { ramus::spawn(async { 1 }).await.unwrap() }), 1);
}

/// The system refuses the n-th thread, for every n that matters: as a user with a limit on processes, which root is not
/// subject to.
#[test]
fn a_limit_on_threads_is_an_error_or_is_enough() {
    const NOBODY: &str = "65534";
    let is_root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    let mut outcomes = String::new();
    for limit in [2, 3, 4, 5, 6, 7, 8, 4096] {
        let limit = format!("--nproc={limit}");
        let mut wrapper = vec!["prlimit", &limit];
        if is_root {
            wrapper = vec!["setpriv", "--reuid", NOBODY, "--clear-groups", "prlimit", &limit];
        }
        let output = child("child_may_be_refused_a_thread", &wrapper, &[]);
        outcomes += &String::from_utf8_lossy(&output.stdout);
        // The limit counts all threads of the user, so the test's own threads may be refused too.
        if outcomes.contains("refused") || outcomes.contains("built") {
            succeeds(&output);
        }
    }
    assert!(!is_root || (outcomes.contains("refused") && outcomes.contains("built")), "{outcomes}");
}

#[test]
#[ignore = "run by `a_limit_on_threads_is_an_error_or_is_enough`"]
fn child_may_be_refused_a_thread() {
    let before = (threads(), descriptors());
    match ramus::Builder::new_multi_thread().worker_threads(4).build() {
        Ok(runtime) => {
            assert_eq!(runtime.block_on(runtime.spawn(async { 1 })).unwrap(), 1);
            // A job finds a thread or hears that there is none.
            match runtime.block_on(runtime.handle().spawn_blocking(|| 2)) {
                Ok(value) => assert_eq!(value, 2),
                Err(error) => assert!(error.is_panic(), "{error}"),
            }
            println!("built");
        }
        Err(error) => {
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "{error}");
            println!("refused");
        }
    }
    // A thread for blocking jobs ends by itself, soon after its runtime. No watchdog: that is a thread too.
    let begun = Instant::now();
    wait_until(|| (threads(), descriptors()) == before || begun.elapsed() > Duration::from_secs(60));
    assert_eq!((threads(), descriptors()), before);
}

/// The descriptors that workers wait on are broken behind their back: tasks still run, nothing spins, the end is clean.
#[test]
fn a_driver_that_fails_costs_time_only() {
    let output = child("child_breaks_its_drivers", &[], &[]);
    succeeds(&output);
    let complaints = String::from_utf8_lossy(&output.stderr).matches("waiting for events failed").count();
    assert!((1..=2).contains(&complaints), "{complaints} complaints of two workers");
}

#[test]
#[ignore = "run by `a_driver_that_fails_costs_time_only`"]
fn child_breaks_its_drivers() {
    fn cpu() -> Duration {
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
        let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        Duration::from_millis(10 * (fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()))
    }
    let _dog = watchdog();
    let runtime = runtime(2);
    assert_eq!(runtime.block_on(runtime.spawn(async { 1 })).unwrap(), 1);
    let null = std::fs::File::open("/dev/null").unwrap();
    for entry in std::fs::read_dir("/proc/self/fd").unwrap().map(Result::unwrap) {
        if std::fs::read_link(entry.path()).is_ok_and(|link| link.to_string_lossy().contains("eventpoll")) {
            let broken = entry.file_name().to_str().unwrap().parse().unwrap();
            // SAFETY: replaces a descriptor of this process by another open one; no memory is involved.
            assert_eq!(unsafe { libc::dup2(null.as_raw_fd(), broken) }, broken);
        }
    }
    for round in 0..20 {
        assert_eq!(runtime.block_on(runtime.spawn(async move { round })).unwrap(), round);
        runtime.block_on(runtime.spawn(ramus::sleep(Duration::from_millis(1)))).unwrap();
    }
    let before = cpu();
    std::thread::sleep(Duration::from_secs(1));
    let spent = cpu() - before;
    assert!(spent <= Duration::from_millis(200), "{spent:?} of processor time in an idle second");
    assert!(runtime.shutdown_timeout(Duration::from_secs(60)).is_clean());
}

#[test]
fn without_descriptors_building_fails_and_leaks_none() {
    let mut outcomes = String::new();
    // With less the process itself cannot be loaded.
    for limit in 5..24 {
        let output = child("child_runs_out_of_descriptors", &["prlimit", &format!("--nofile={limit}")], &[]);
        succeeds(&output);
        outcomes += &String::from_utf8_lossy(&output.stdout);
    }
    assert!(outcomes.contains("refused") && outcomes.contains("built"), "{outcomes}");
}

#[test]
#[ignore = "run by `without_descriptors_building_fails_and_leaks_none`"]
fn child_runs_out_of_descriptors() {
    let _dog = watchdog();
    // A descriptor to count the others with may be one too many itself.
    let count = || std::fs::read_dir("/proc/self/fd").map(Iterator::count).ok();
    let before = count();
    match ramus::Builder::new_multi_thread().worker_threads(2).build() {
        Ok(runtime) => {
            assert_eq!(runtime.block_on(async { 1 }), 1);
            println!("built");
        }
        Err(error) => {
            assert_eq!(error.raw_os_error(), Some(24), "{error}");
            println!("refused");
        }
    }
    assert_eq!(count(), before);
}

#[test]
fn one_core_is_enough() {
    succeeds(&child("child_works", &["taskset", "-c", "0"], &[]));
}

#[test]
#[ignore = "run by `one_core_is_enough`"]
fn child_works() {
    let _dog = watchdog();
    for workers in [1, 2, 4] {
        let sum = runtime(workers).block_on(async {
            ramus::scope(|s: ramus::Scope| async move {
                let parts: Vec<_> = (0..10_000_u64)
                    .map(|i| {
                        s.spawn(async move {
                            ramus::yield_now().await;
                            i
                        })
                    })
                    .collect();
                let mut sum = 0;
                for part in parts {
                    sum += part.await?;
                }
                Ok(sum)
            })
            .await
            .unwrap()
        });
        assert_eq!(sum, 9_999 * 10_000 / 2);
    }
}

#[test]
fn many_runtimes_leave_nothing_behind() {
    // Where a sanitizer checks the tests, it keeps freed memory for a while: that is not what is measured.
    succeeds(&child(
        "child_starts_and_stops",
        &[],
        &[("ASAN_OPTIONS", "quarantine_size_mb=1:thread_local_quarantine_size_kb=16")],
    ));
}

#[test]
#[ignore = "run by `many_runtimes_leave_nothing_behind`"]
fn child_starts_and_stops() {
    fn resident() -> usize {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
    fn round(i: u32) {
        let runtime = runtime(2);
        if i % 2 == 0 {
            let value = runtime.block_on(async {
                let timer = ramus::spawn(async {
                    ramus::sleep(Duration::from_secs(3600)).await;
                });
                drop(timer);
                ramus::spawn(async { 1 }).await.unwrap()
            });
            assert_eq!(value, 1);
        }
    }
    let _dog = watchdog();
    (0..1_000).for_each(round);
    let before = (threads(), descriptors(), resident());
    (0..9_000).for_each(round);
    let after = (threads(), descriptors(), resident());
    assert_eq!((after.0, after.1), (before.0, before.1));
    assert!(after.2 <= before.2 + 4_096, "{} KiB grew to {} KiB", before.2, after.2);
}

/// How often the threads whose name begins with `prefix` gave the processor up by themselves: a bound for their system
/// calls that block.
fn voluntary_switches(prefix: &str) -> u64 {
    let mut sum = 0;
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let path = task.unwrap().path();
        let Ok(name) = std::fs::read_to_string(path.join("comm")) else {
            continue;
        };
        if name.starts_with(prefix) {
            let status = std::fs::read_to_string(path.join("status")).unwrap();
            let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches")).unwrap();
            sum += line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap();
        }
    }
    sum
}

#[test]
fn an_idle_runtime_does_not_wake_up() {
    let _dog = watchdog();
    let runtime = ramus::Builder::new_multi_thread().worker_threads(2).thread_name("idle").build().unwrap();
    runtime.block_on(async {
        for _ in 0..1_000 {
            ramus::spawn(ramus::yield_now()).await.unwrap();
        }
    });
    let handle = runtime.handle();
    wait_until(|| handle.metrics().idle_workers == 2);
    // The sentinel resigns after a few time-outs; from then on nothing moves.
    let mut last = voluntary_switches("idle-");
    wait_until(|| {
        std::thread::sleep(Duration::from_millis(100));
        let now = voluntary_switches("idle-");
        std::mem::replace(&mut last, now) == now
    });
    let before = (voluntary_switches("idle-"), handle.metrics().parks());
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!((voluntary_switches("idle-"), handle.metrics().parks()), before);
    assert!(before.0 > 0, "the counter counts");
    // And it is not dead.
    assert_eq!(runtime.block_on(runtime.spawn(async { 1 })).unwrap(), 1);
}

#[test]
fn hooks_are_called_and_may_panic() {
    let _dog = watchdog();
    let calls = Arc::new(AtomicUsize::new(0));
    let (starts, stops) = (Arc::clone(&calls), Arc::clone(&calls));
    let runtime = ramus::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("hooks\0are called")
        .on_thread_start(move || {
            starts.fetch_add(1, Ordering::SeqCst);
            panic!("a hook panics on purpose");
        })
        .on_thread_stop(move || _ = stops.fetch_add(100, Ordering::SeqCst))
        .build()
        .unwrap();
    assert_eq!(runtime.block_on(runtime.spawn(async { 1 })).unwrap(), 1);
    drop(runtime);
    assert_eq!(calls.load(Ordering::SeqCst), 202);
}
