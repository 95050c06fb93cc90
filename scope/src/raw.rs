//! The crate's home of `unsafe`: three pointers whose lifetime a protocol guards, not the borrow checker.
//!
//! - The *frame pointer*: one thread-local that points to the frame being polled. A frame lives on the stack of the poll
//!   that entered it, and [`enter`] restores the pointer before it returns or unwinds.
//! - The *seat*: a member's pointer to its scope's node. It is not a counted reference: the member count keeps the node
//!   alive. While the count is open, whoever will close it has a strong reference (`tree`, invariant 5); from the close
//!   until it is drained the count owns one ([`close`], [`take_count_ref`]). So a spawn and a completion touch no reference
//!   count, and a scope that nobody joins needs none.
//! - [`Late`]: a value that is allocated when it is first needed, behind one word.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::ptr::{self, NonNull};

use crate::adoption;
use crate::completions;
use crate::count::Left;
use crate::frame::{Frame, Kind};
use crate::sync::{Arc, AtomicPtr, Ordering, local};
use crate::tree::Node;

local! {
    static CURRENT: Cell<*const ()> = Cell::new(std::ptr::null())
}

struct Restore(*const ());

impl Drop for Restore {
    #[inline]
    fn drop(&mut self) {
        CURRENT.with(|current| current.set(self.0));
    }
}

/// Runs `f` with a new frame as the one being polled; the frame that was current is its parent.
#[inline]
pub(crate) fn enter<R>(kind: Kind<'_>, f: impl FnOnce(&Frame<'_>) -> R) -> R {
    let parent = CURRENT.with(Cell::get);
    let frame = Frame::new(parent, kind);
    CURRENT.with(|current| current.set(ptr::from_ref(&frame).cast()));
    let _restore = Restore(parent);
    f(&frame)
}

/// Gives `f` the frame being polled on this thread, if any.
#[inline]
pub(crate) fn current<R>(f: impl FnOnce(Option<&Frame<'_>>) -> R) -> R {
    let pointer = current_pointer();
    // SAFETY: a pointer other than null was set by `enter` on this thread and is taken back before the frame it points to
    // leaves its stack slot; `f` runs inside that time and cannot keep the reference, whose lifetime is its own.
    f(unsafe { pointer.cast::<Frame<'_>>().as_ref() })
}

#[inline]
fn current_pointer() -> *const () {
    // While the thread's locals are being destroyed no frame is being polled.
    CURRENT.try_with(Cell::get).unwrap_or(ptr::null())
}

/// The frame around `frame`. Only while `frame` is entered.
#[inline]
pub(crate) fn parent<'a>(frame: &'a Frame<'_>) -> Option<&'a Frame<'a>> {
    // SAFETY: the parent was current when `frame` was entered, so it is further up the same stack and outlives `frame`.
    // Frames are reached only through `enter` and `current`, that is, while they are entered.
    unsafe { frame.parent_pointer().cast::<Frame<'a>>().as_ref() }
}

/// The only reference to a node, which its holder may therefore change.
pub(crate) struct Sole(Arc<Node>);

impl Sole {
    /// The node back, if there are other references, weak ones too.
    pub(crate) fn new(mut node: Arc<Node>) -> Result<Sole, Arc<Node>> {
        if Arc::get_mut(&mut node).is_some() { Ok(Sole(node)) } else { Err(node) }
    }

    pub(crate) fn into_node(self) -> Arc<Node> {
        self.0
    }
}

impl Deref for Sole {
    type Target = Node;

    fn deref(&self) -> &Node {
        &self.0
    }
}

impl DerefMut for Sole {
    fn deref_mut(&mut self) -> &mut Node {
        // SAFETY: `new` has found no other reference, and no other can have come up since: nobody gets at the `Arc` before
        // `into_node`, and a node does not point to itself. Nor has anybody a seat: the count is drained, or idle. The borrow
        // of `self` makes this the only borrow.
        unsafe { &mut *Arc::as_ptr(&self.0).cast_mut() }
    }
}

/// A place in the member count of a scope. Dropping it ends the membership.
pub(crate) struct Seat(NonNull<Node>);

// SAFETY: a seat gives out only `&Node` and `Arc<Node>`, and `Node` is `Send + Sync`.
unsafe impl Send for Seat {}
// SAFETY: as above.
unsafe impl Sync for Seat {}

impl Seat {
    /// The seat of a member that `node`'s count has just admitted.
    pub(crate) fn admitted(node: &Arc<Node>) -> Seat {
        Seat(pointer(node))
    }

    /// A reference to the node that is not counted, for as long as the seat is borrowed.
    #[inline]
    pub(crate) fn lend(&self) -> Lent<'_> {
        // SAFETY: the pointer came from an `Arc<Node>` (`admitted`), and the node is alive, as in `node`, while the seat is.
        Lent { node: ManuallyDrop::new(unsafe { Arc::from_raw(self.0.as_ptr()) }), _borrows: PhantomData }
    }

    /// A counted reference to the node.
    pub(crate) fn node(&self) -> Arc<Node> {
        // SAFETY: the pointer came from an `Arc<Node>` (`admitted`), and the node is alive: this seat is counted, so the
        // count is open or not drained, and somebody or the count itself owns a strong reference.
        unsafe {
            Arc::increment_strong_count(self.0.as_ptr());
            Arc::from_raw(self.0.as_ptr())
        }
    }
}

/// An `Arc<Node>` that counts no reference: somebody else's is borrowed.
pub(crate) struct Lent<'a> {
    /// Never dropped, so it gives up no reference.
    node: ManuallyDrop<Arc<Node>>,
    _borrows: PhantomData<&'a Node>,
}

impl<'a> Lent<'a> {
    #[inline]
    pub(crate) fn of(node: &'a Arc<Node>) -> Lent<'a> {
        // SAFETY: the pointer came from an `Arc<Node>`, which is borrowed for as long as this lives.
        Lent { node: ManuallyDrop::new(unsafe { Arc::from_raw(Arc::as_ptr(node)) }), _borrows: PhantomData }
    }
}

impl Deref for Lent<'_> {
    type Target = Arc<Node>;

    #[inline]
    fn deref(&self) -> &Arc<Node> {
        &self.node
    }
}

impl Deref for Seat {
    type Target = Node;

    #[inline]
    fn deref(&self) -> &Node {
        // SAFETY: alive, as in `node`.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        completions::end(Credits { node: self.0, n: 1 });
    }
}

/// Ended members of one scope that its count does not know of yet; at least one, so the node is alive.
pub(crate) struct Credits {
    node: NonNull<Node>,
    n: i64,
}

impl Credits {
    /// `n` admissions that nobody sits on.
    pub(crate) fn bought(node: &Arc<Node>, n: i64) -> Credits {
        Credits { node: pointer(node), n }
    }

    pub(crate) fn is_of(&self, node: &Node) -> bool {
        ptr::eq(self.node.as_ptr(), node)
    }

    /// Adds `other` if it is of the same scope; else gives it back.
    pub(crate) fn merge(&mut self, other: Credits) -> Option<Credits> {
        if self.node == other.node {
            self.n += other.n;
            None
        } else {
            Some(other)
        }
    }

    /// Takes one credit as a seat. Gives the rest back; a last credit leaves none.
    pub(crate) fn take_seat(self) -> (Seat, Option<Credits>) {
        let rest = (self.n > 1).then_some(Credits { node: self.node, n: self.n - 1 });
        (Seat(self.node), rest)
    }

    /// Tells the count.
    pub(crate) fn flush(self) {
        // SAFETY: the credits are still counted, so the node is alive, as in `Seat::node`.
        let count = unsafe { &self.node.as_ref().count };
        // From here on the node may be freed by whoever drains it, unless that is this call.
        if count.complete(self.n) == Left::Drained {
            // SAFETY: this call drained the count, and the pointer is that of an `Arc` (`pointer`).
            adoption::drain(unsafe { take_count_ref(self.node) });
        }
    }
}

/// Makes the count of a node own a strong reference to it.
fn count_ref(node: &Arc<Node>) {
    let _ = Arc::into_raw(Arc::clone(node));
}

/// Ends `n` members of `node`. If they were the last ones of a closed scope, the reference of [`count_ref`] comes back: the
/// caller owes the drain.
pub(crate) fn complete(node: &Arc<Node>, n: i64) -> Option<Arc<Node>> {
    // SAFETY: the count has just been drained, which happens once.
    (node.count.complete(n) == Left::Drained).then(|| unsafe { take_count_ref(pointer(node)) })
}

/// Closes the count of `node`, which owns a reference from then on; as [`complete`]. Once.
pub(crate) fn close(node: &Arc<Node>) -> Option<Arc<Node>> {
    count_ref(node);
    // SAFETY: the count has just been drained, which happens once.
    (node.count.close() == Left::Drained).then(|| unsafe { take_count_ref(pointer(node)) })
}

/// Takes the reference of [`count_ref`] back.
///
/// # Safety
///
/// The caller has drained the count (which happens once in the life of a node), and the pointer came from [`pointer`].
unsafe fn take_count_ref(node: NonNull<Node>) -> Arc<Node> {
    // SAFETY: `count_ref` leaked exactly one reference of this node, and only the one drain takes it back.
    unsafe { Arc::from_raw(node.as_ptr()) }
}

/// A pointer to the node that may be turned into its `Arc` again: not one through a reference, which would reach no
/// further than the node itself.
fn pointer(node: &Arc<Node>) -> NonNull<Node> {
    // SAFETY: an `Arc` points to its value, never to null.
    unsafe { NonNull::new_unchecked(Arc::as_ptr(node).cast_mut()) }
}

/// A value that is allocated when it is first needed, behind one word. Once there, it stays until the drop.
pub(crate) struct Late<T> {
    pointer: AtomicPtr<T>,
    _owns: PhantomData<Box<T>>,
}

impl<T> Late<T> {
    pub(crate) fn new() -> Late<T> {
        Late { pointer: AtomicPtr::new(ptr::null_mut()), _owns: PhantomData }
    }

    #[inline]
    pub(crate) fn get(&self) -> Option<&T> {
        // Ordering: [raw:L1] Acquire: pairs with S1; the value is seen whole.
        let pointer = self.pointer.load(Ordering::Acquire);
        // SAFETY: null, or a box that S1 published, which lives as long as `self`.
        unsafe { pointer.as_ref() }
    }

    pub(crate) fn get_or_make(&self) -> &T
    where
        T: Default,
    {
        if let Some(value) = self.get() {
            return value;
        }
        let made = Box::into_raw(Box::<T>::default());
        // Ordering: [raw:S1] AcqRel: Release publishes the value, pairs with L1; Acquire on failure, as L1, for the value
        // of whoever was first.
        match self.pointer.compare_exchange(ptr::null_mut(), made, Ordering::AcqRel, Ordering::Acquire) {
            // SAFETY: published just now, and it lives as long as `self`.
            Ok(_) => unsafe { &*made },
            Err(first) => {
                // SAFETY: `made` was not published, so it is still ours.
                drop(unsafe { Box::from_raw(made) });
                // SAFETY: published by S1 of another thread, and it lives as long as `self`.
                unsafe { &*first }
            }
        }
    }
}

impl<T> Drop for Late<T> {
    fn drop(&mut self) {
        // Ordering: [raw:L2] Acquire, as L1: the drop sees the value whole.
        let pointer = self.pointer.load(Ordering::Acquire);
        if !pointer.is_null() {
            // SAFETY: it came from a box, and nobody else reaches it any more.
            drop(unsafe { Box::from_raw(pointer) });
        }
    }
}
