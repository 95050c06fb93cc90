//! Where task cells come from: recycled memory that finds its way back to whoever spawns.
//!
//! The common shape of a task is that one worker makes it and another one ends it. A list kept by whoever frees then only
//! grows on one side, and the general allocator pays for a block that comes home to the wrong thread. Here cells move in
//! magazines:
//!
//! ```text
//!   thread: loaded ◄─► spare        per size class; alloc and free touch `loaded` alone
//!              │ empty / full
//!              ▼
//!   depot of the class, a lock      magazines of 64 cells; and where a new chunk is cut up
//! ```
//!
//! * Classes are steps of 32 bytes up to 1 KiB, all cells aligned to 32. Larger or stricter layouts go to the global
//!   allocator.
//! * Two magazines a thread and class, so that a thread at the border between empty and full does not visit the depot
//!   for each cell: after a visit it makes at least 64 steps without one.
//! * New cells are cut from chunks of 64 KiB. A chunk is never given back: wakers may outlive every runtime, and a chunk
//!   without an owner needs no bookkeeping when a cell is freed. So the memory of a class follows its peak: what a
//!   million tasks of 128 bytes took stays with the process, for its next tasks.
//! * A free cell is linked at its second word. The first is the run word of a task, which other threads may have in
//!   their caches.
//! * A thread that ends hands its magazines to the depot. In the destructors that run after that the depot serves single
//!   cells.
//!
//! The interface is `alloc` and `free`, the one seam to an allocator; `plain` is the other side of it.

#![allow(unsafe_code)]

use std::alloc::{self, Layout};
use std::cell::Cell;
use std::ptr::{self, NonNull};

use crate::sync::{Mutex, tls};

const STEP: usize = 32;
const LARGEST: usize = 1024;
const CLASSES: usize = LARGEST / STEP;
const MAGAZINE: usize = 64;
const CHUNK: usize = 64 * 1024;

/// A free cell.
#[repr(C)]
struct Free {
    untouched: u64,
    next: *mut Free,
}

/// Some free cells of one class, linked.
#[derive(Clone, Copy)]
struct Magazine {
    first: *mut Free,
    len: usize,
}

impl Magazine {
    const EMPTY: Self = Self { first: ptr::null_mut(), len: 0 };

    #[inline]
    fn pop(&mut self) -> Option<NonNull<Free>> {
        let first = NonNull::new(self.first)?;
        // SAFETY: a cell in a magazine is free, of at least `STEP` bytes, and its link is written.
        self.first = unsafe { (*first.as_ptr()).next };
        self.len -= 1;
        Some(first)
    }

    /// # Safety
    ///
    /// `cell` is a free cell of the magazine's class, in no other magazine.
    #[inline]
    unsafe fn push(&mut self, cell: NonNull<Free>) {
        // SAFETY: by the caller.
        unsafe { (&raw mut (*cell.as_ptr()).next).write(self.first) };
        self.first = cell.as_ptr();
        self.len += 1;
    }
}

/// What all threads share of one class.
struct Depot {
    magazines: Vec<Magazine>,
    /// The part of the newest chunk that is not cut up yet.
    rest: *mut u8,
    rest_len: usize,
}

// SAFETY: free cells and chunks belong to whoever holds the depot's lock, and no thread is special to them.
unsafe impl Send for Depot {}

impl Depot {
    const fn new() -> Self {
        Self { magazines: Vec::new(), rest: ptr::null_mut(), rest_len: 0 }
    }

    /// A magazine of cells of `class`, never empty.
    fn take(&mut self, class: usize) -> Magazine {
        self.magazines.pop().unwrap_or_else(|| self.cut(class))
    }

    /// A magazine of new cells.
    #[cold]
    fn cut(&mut self, class: usize) -> Magazine {
        let size = size_of_class(class);
        if self.rest_len < size {
            let layout = Layout::from_size_align(CHUNK, 64).expect("a chunk is a valid layout");
            // SAFETY: a chunk is not empty.
            let chunk = unsafe { alloc::alloc(layout) };
            if chunk.is_null() {
                alloc::handle_alloc_error(layout);
            }
            (self.rest, self.rest_len) = (chunk, CHUNK);
        }
        let mut magazine = Magazine::EMPTY;
        while magazine.len < MAGAZINE && self.rest_len >= size {
            // SAFETY: the last `rest_len` bytes of the chunk are nobody's; the cell at their end becomes the magazine's.
            // The chunk's length and `size` are multiples of `STEP`, so the cell is aligned to it. From the end to the
            // front, so that the first cell popped has the lowest address.
            unsafe {
                let cell = self.rest.add(self.rest_len - size);
                magazine.push(NonNull::new_unchecked(cell.cast()));
            }
            self.rest_len -= size;
        }
        magazine
    }
}

static DEPOTS: [Mutex<Depot>; CLASSES] = [const { Mutex::new(Depot::new()) }; CLASSES];

/// One thread's magazines of one class.
struct Rack {
    loaded: Cell<Magazine>,
    spare: Cell<Magazine>,
}

/// One thread's magazines.
struct Racks([Rack; CLASSES]);

tls! {
    static RACKS: Racks =
        Racks([const { Rack { loaded: Cell::new(Magazine::EMPTY), spare: Cell::new(Magazine::EMPTY) } }; CLASSES]);
}

impl Rack {
    #[inline]
    fn pop(&self, class: usize) -> NonNull<Free> {
        let mut loaded = self.loaded.get();
        let cell = match loaded.pop() {
            Some(cell) => cell,
            None => {
                loaded = self.reload(class);
                loaded.pop().expect("a magazine from the depot has cells")
            }
        };
        self.loaded.set(loaded);
        cell
    }

    /// A magazine that is not empty.
    #[cold]
    fn reload(&self, class: usize) -> Magazine {
        let spare = self.spare.replace(Magazine::EMPTY);
        if spare.len > 0 { spare } else { DEPOTS[class].lock().take(class) }
    }

    /// # Safety
    ///
    /// `cell` is a free cell of `class`, in no magazine.
    #[inline]
    unsafe fn push(&self, class: usize, cell: NonNull<Free>) {
        let mut loaded = self.loaded.get();
        if loaded.len == MAGAZINE {
            self.unload(class, loaded);
            loaded = Magazine::EMPTY;
        }
        // SAFETY: by the caller.
        unsafe { loaded.push(cell) };
        self.loaded.set(loaded);
    }

    /// Makes `full` the spare, and hands the old spare to the depot.
    #[cold]
    fn unload(&self, class: usize, full: Magazine) {
        let spare = self.spare.replace(full);
        if spare.len > 0 {
            DEPOTS[class].lock().magazines.push(spare);
        }
    }
}

impl Drop for Racks {
    fn drop(&mut self) {
        for (class, rack) in self.0.iter().enumerate() {
            for magazine in [rack.loaded.replace(Magazine::EMPTY), rack.spare.replace(Magazine::EMPTY)] {
                if magazine.len > 0 {
                    DEPOTS[class].lock().magazines.push(magazine);
                }
            }
        }
    }
}

/// The class whose cells have room for `layout`, if there is one.
#[inline]
const fn class_of(layout: Layout) -> Option<usize> {
    if layout.size() <= LARGEST && layout.size() > 0 && layout.align() <= STEP {
        Some((layout.size() - 1) / STEP)
    } else {
        None
    }
}

const fn size_of_class(class: usize) -> usize {
    (class + 1) * STEP
}

/// A block of `layout`, which is not empty.
#[inline]
pub(crate) fn alloc(layout: Layout) -> NonNull<u8> {
    let Some(class) = class_of(layout) else {
        return alloc_large(layout);
    };
    match RACKS.try_with(|racks| racks.0[class].pop(class)) {
        Ok(cell) => cell.cast(),
        Err(_) => alloc_single(class),
    }
}

/// Takes a block back.
///
/// # Safety
///
/// It came from [`alloc`] with the same `layout`, and is not used any more.
#[inline]
pub(crate) unsafe fn free(block: NonNull<u8>, layout: Layout) {
    let Some(class) = class_of(layout) else {
        // SAFETY: by the caller; `alloc` made the same choice.
        return unsafe { alloc::dealloc(block.as_ptr(), layout) };
    };
    let pushed = RACKS.try_with(|racks| {
        // SAFETY: by the caller; `alloc` chose the same class.
        unsafe { racks.0[class].push(class, block.cast()) }
    });
    if pushed.is_err() {
        // SAFETY: as above; `push` was not called.
        unsafe { free_single(class, block.cast()) };
    }
}

#[cold]
fn alloc_large(layout: Layout) -> NonNull<u8> {
    debug_assert_ne!(layout.size(), 0);
    // SAFETY: a cell is never empty.
    NonNull::new(unsafe { alloc::alloc(layout) }).unwrap_or_else(|| alloc::handle_alloc_error(layout))
}

/// On a thread whose magazines are gone.
#[cold]
fn alloc_single(class: usize) -> NonNull<u8> {
    let mut depot = DEPOTS[class].lock();
    let mut magazine = depot.take(class);
    let cell = magazine.pop().expect("a magazine from the depot has cells");
    if magazine.len > 0 {
        depot.magazines.push(magazine);
    }
    cell.cast()
}

/// On a thread whose magazines are gone.
///
/// # Safety
///
/// `cell` is a free cell of `class`, in no magazine.
#[cold]
unsafe fn free_single(class: usize, cell: NonNull<Free>) {
    let mut depot = DEPOTS[class].lock();
    let mut magazine = match depot.magazines.last() {
        Some(last) if last.len < MAGAZINE => depot.magazines.pop().unwrap_or(Magazine::EMPTY),
        _ => Magazine::EMPTY,
    };
    // SAFETY: by the caller.
    unsafe { magazine.push(cell) };
    depot.magazines.push(magazine);
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Arc;
    use std::thread;

    use super::*;

    /// A block that may cross threads.
    struct Sent(NonNull<u8>);
    // SAFETY: a block belongs to whoever has it.
    unsafe impl Send for Sent {}

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, 8).unwrap()
    }

    #[test]
    fn classes_fit() {
        assert_eq!(class_of(layout(1)), Some(0));
        assert_eq!(class_of(layout(32)), Some(0));
        assert_eq!(class_of(layout(33)), Some(1));
        assert_eq!(class_of(layout(LARGEST)), Some(CLASSES - 1));
        assert_eq!(class_of(layout(LARGEST + 1)), None);
        assert_eq!(class_of(Layout::from_size_align(64, 64).unwrap()), None);
        for size in 1..=LARGEST {
            assert!(size_of_class(class_of(layout(size)).unwrap()) >= size);
        }
    }

    #[test]
    fn blocks_are_distinct_aligned_and_as_large_as_asked() {
        // A class that no task of the tests has, here and below.
        let layout = layout(LARGEST - 1);
        let blocks: Vec<_> = (0..1000).map(|_| alloc(layout)).collect();
        for (number, block) in blocks.iter().enumerate() {
            assert_eq!(block.as_ptr() as usize % STEP, 0);
            // SAFETY: the block is ours, and of this size.
            unsafe { ptr::write_bytes(block.as_ptr(), number as u8, layout.size()) };
        }
        for (number, block) in blocks.iter().enumerate() {
            // SAFETY: as above.
            let bytes = unsafe { std::slice::from_raw_parts(block.as_ptr(), layout.size()) };
            assert!(bytes.iter().all(|byte| *byte == number as u8), "block {number} overlaps another one");
        }
        assert_eq!(blocks.iter().collect::<HashSet<_>>().len(), blocks.len());
        for block in blocks {
            // SAFETY: from `alloc`, with this layout.
            unsafe { free(block, layout) };
        }
    }

    #[test]
    fn large_and_over_aligned_blocks_come_from_elsewhere() {
        for layout in [layout(1 << 20), Layout::from_size_align(128, 128).unwrap()] {
            let block = alloc(layout);
            assert_eq!(block.as_ptr() as usize % layout.align(), 0);
            // SAFETY: the block is ours, and of this size; from `alloc`, with this layout.
            unsafe {
                ptr::write_bytes(block.as_ptr(), 1, layout.size());
                free(block, layout);
            }
        }
    }

    /// One thread allocates, another one frees: the memory must find its way back.
    #[test]
    fn cells_return_to_the_thread_that_allocates() {
        const ROUNDS: usize = 200;
        const EACH: usize = 256;
        let layout = layout(LARGEST - 40);
        // One round at a time is under way: `None` says that the other side has taken it.
        let basket: Arc<Mutex<Option<Vec<Sent>>>> = Arc::default();
        let theirs = Arc::clone(&basket);
        let freer = thread::spawn(move || {
            for _ in 0..ROUNDS {
                let blocks = loop {
                    match theirs.lock().take() {
                        Some(blocks) => break blocks,
                        None => thread::yield_now(),
                    }
                };
                for block in blocks {
                    // SAFETY: from `alloc`, with this layout.
                    unsafe { free(block.0, layout) };
                }
            }
        });
        let mut seen = HashSet::new();
        for _ in 0..ROUNDS {
            let blocks: Vec<_> = (0..EACH).map(|_| Sent(alloc(layout))).collect();
            seen.extend(blocks.iter().map(|block| block.0.as_ptr() as usize));
            while basket.lock().is_some() {
                thread::yield_now();
            }
            *basket.lock() = Some(blocks);
        }
        freer.join().unwrap();
        // Two rounds in flight, and two magazines on either side.
        assert!(seen.len() <= 4 * EACH + 8 * MAGAZINE, "{} different cells for {EACH} at a time", seen.len());
    }

    /// A thread that ends gives its cells to the next one, also those freed by its last destructors.
    #[test]
    fn a_thread_leaves_its_cells_behind() {
        let layout = layout(LARGEST - 72);
        let visit = move || {
            struct Late(Cell<Option<NonNull<u8>>>, Layout);
            impl Drop for Late {
                fn drop(&mut self) {
                    if let Some(block) = self.0.take() {
                        // SAFETY: from `alloc`, with this layout.
                        unsafe { free(block, self.1) };
                    }
                    let again = alloc(self.1);
                    // SAFETY: as above.
                    unsafe { free(again, self.1) };
                }
            }
            thread_local! {
                static LATE: Late = const { Late(Cell::new(None), Layout::new::<[u8; LARGEST - 72]>()) };
            }
            LATE.with(|late| late.0.set(None));
            let layout = Layout::new::<[u8; LARGEST - 72]>();
            let blocks: Vec<_> = (0..10).map(|_| alloc(layout)).collect();
            LATE.with(|late| late.0.set(Some(blocks[0])));
            for block in &blocks[1..] {
                // SAFETY: from `alloc`, with this layout.
                unsafe { free(*block, layout) };
            }
            blocks.into_iter().map(|block| block.as_ptr() as usize).collect::<HashSet<_>>()
        };
        let mut seen = HashSet::new();
        for _ in 0..50 {
            seen.extend(thread::spawn(visit).join().unwrap());
        }
        assert!(seen.len() <= 2 * MAGAZINE, "{} different cells for 10 at a time", seen.len());
        assert_eq!(class_of(layout), class_of(Layout::new::<[u8; LARGEST - 72]>()));
    }
}
