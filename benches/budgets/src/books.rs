//! The books of a counting build: what the synchronisation of the three crates does, told by their `sync.rs`.

use std::cell::Cell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::panic::Location;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::time::{Duration, Instant};

/// Bytes in a cache line.
const LINE: usize = 64;
const SHARDS: usize = 64;
/// What an operation is made to take at least while the books are open.
///
/// A worker in the middle of work looks at its driver and its timers every 32 polls if 20 µs have passed since its last
/// look. With this it is always so, whatever the machine, and each poll has its 32nd part of a look.
const SLOWED: Duration = Duration::from_micros(1);

/// What has been counted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// Read-modify-writes.
    pub(crate) rmw: u64,
    /// Writes to a line that another thread wrote last.
    pub(crate) owned: u64,
    /// First loads of a line that another thread has written.
    pub(crate) shared: u64,
}

/// A cache line: who wrote it last, and who has looked at it since.
struct LineState {
    owner: u32,
    seen: u64,
}

static OPEN: AtomicBool = AtomicBool::new(false);
static RMW: AtomicU64 = AtomicU64::new(0);
static OWNED: AtomicU64 = AtomicU64::new(0);
static SHARED: AtomicU64 = AtomicU64::new(0);
static THREADS: AtomicU64 = AtomicU64::new(0);
static LINES: [Mutex<Option<HashMap<usize, LineState>>>; SHARDS] = [const { Mutex::new(None) }; SHARDS];
/// Where changes are made, while somebody wants to know.
static SITES: Mutex<Option<HashMap<&'static Location<'static>, u64>>> = Mutex::new(None);

std::thread_local! {
    static ME: Cell<Option<u32>> = const { Cell::new(None) };
}

/// Has the three crates tell.
pub(crate) fn install() {
    ramus_timer::listen(load, store, change);
    ramus_scope::listen(load, store, change);
    ramus::listen(load, store, change);
}

/// Counts from now on, or does not.
pub(crate) fn open(is_open: bool) {
    OPEN.store(is_open, SeqCst);
}

/// What was counted so far.
pub(crate) fn counts() -> Counts {
    Counts { rmw: RMW.load(SeqCst), owned: OWNED.load(SeqCst), shared: SHARED.load(SeqCst) }
}

/// Begins to note where changes are made.
pub(crate) fn note_sites() {
    *SITES.lock().expect("the books do not panic") = Some(HashMap::new());
}

/// Ends that: each place with its number of changes.
pub(crate) fn take_sites() -> HashMap<&'static Location<'static>, u64> {
    SITES.lock().expect("the books do not panic").take().unwrap_or_default()
}

fn me() -> u32 {
    ME.try_with(|me| {
        me.get().unwrap_or_else(|| {
            let number = u32::try_from(THREADS.fetch_add(1, Relaxed)).expect("a process has few threads");
            me.set(Some(number));
            number
        })
    })
    // The thread is ending.
    .unwrap_or(u32::MAX)
}

/// A bit for a thread: two threads whose numbers differ by 64 share one, and a look is missed at worst.
fn bit(thread: u32) -> u64 {
    1 << (thread % 64)
}

fn with_line(place: usize, update: impl FnOnce(Entry<'_, usize, LineState>)) {
    let line = place / LINE;
    let mut shard = LINES[line % SHARDS].lock().expect("the books do not panic");
    update(shard.get_or_insert_default().entry(line));
}

fn load(place: usize, _site: &'static Location<'static>) {
    if !OPEN.load(Relaxed) {
        return;
    }
    let begun = Instant::now();
    let me = me();
    with_line(place, |line| {
        let Entry::Occupied(mut line) = line else { return };
        let line = line.get_mut();
        if line.owner != me && line.seen & bit(me) == 0 {
            line.seen |= bit(me);
            SHARED.fetch_add(1, Relaxed);
        }
    });
    slow(begun);
}

fn store(place: usize, _site: &'static Location<'static>) {
    if !OPEN.load(Relaxed) {
        return;
    }
    let begun = Instant::now();
    write(place);
    slow(begun);
}

fn change(place: usize, site: &'static Location<'static>) {
    if !OPEN.load(Relaxed) {
        return;
    }
    let begun = Instant::now();
    RMW.fetch_add(1, Relaxed);
    // A fence has no place.
    if place != 0 {
        write(place);
    }
    if let Some(sites) = &mut *SITES.lock().expect("the books do not panic") {
        *sites.entry(site).or_default() += 1;
    }
    slow(begun);
}

fn write(place: usize) {
    let me = me();
    with_line(place, |line| match line {
        Entry::Occupied(mut line) => {
            let line = line.get_mut();
            if line.owner != me {
                OWNED.fetch_add(1, Relaxed);
            }
            *line = LineState { owner: me, seen: bit(me) };
        }
        Entry::Vacant(line) => {
            line.insert(LineState { owner: me, seen: bit(me) });
        }
    });
}

fn slow(begun: Instant) {
    while begun.elapsed() < SLOWED {
        std::hint::spin_loop();
    }
}
