//! Cells from the global allocator: for sanitizers, which must see every use of a freed cell.

#![allow(unsafe_code)]

use std::alloc::{self, Layout};
use std::ptr::NonNull;

/// A block of `layout`, which is not empty.
pub(crate) fn alloc(layout: Layout) -> NonNull<u8> {
    debug_assert_ne!(layout.size(), 0);
    // SAFETY: a cell is never empty.
    NonNull::new(unsafe { alloc::alloc(layout) }).unwrap_or_else(|| alloc::handle_alloc_error(layout))
}

/// Takes a block back.
///
/// # Safety
///
/// It came from [`alloc`] with the same `layout`, and is not used any more.
pub(crate) unsafe fn free(block: NonNull<u8>, layout: Layout) {
    // SAFETY: by the caller.
    unsafe { alloc::dealloc(block.as_ptr(), layout) };
}
