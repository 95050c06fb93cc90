//! Cells for models: a freed block is never used again, so that a late access meets the tracked words of a dead cell,
//! which the model reports, and not somebody else's. What is never freed is found by `LeakProbe`.

#![allow(unsafe_code)]

use std::alloc::Layout;
use std::ptr::NonNull;

/// A block of `layout`, aligned to at most 16.
pub(crate) fn alloc(layout: Layout) -> NonNull<u8> {
    assert!(layout.align() <= 16, "models have no over-aligned tasks");
    let block = Box::leak(vec![0_u128; layout.size().div_ceil(16)].into_boxed_slice());
    NonNull::from(block).cast()
}

/// Keeps the block for ever.
///
/// # Safety
///
/// None here; the contract is that of the other allocators.
pub(crate) unsafe fn free(_block: NonNull<u8>, _layout: Layout) {}
