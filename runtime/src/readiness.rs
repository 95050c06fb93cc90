//! The readiness of one direction of a source: whether an operation may be tried, and who waits until it may.
//!
//! A source has two directions, each a [`Direction`] of its own, so that events of one never touch the other. The
//! driver says "something became possible" ([`Direction::set`]); an operation *takes* the readiness before its system
//! call and *puts it back* afterwards if the call may have left more. Nothing else clears it.
//!
//! # The word
//!
//! | Bit | Set by | Cleared by |
//! |---|---|---|
//! | `READY` | an event; an operation that puts it back; the initial state | the operation that takes it |
//! | `WAITING` | a waiter, with the list locked | who empties the list, with the list locked |
//! | `CLOSED` | an event with end of stream, hang-up or error | nobody |
//! | `SHUT` | the driver, when it closes | nobody |
//!
//! `WAITING` is set exactly if the list is not empty, whenever the list is unlocked. `CLOSED` gives no permission by
//! itself: it only says that a short transfer does not prove that the kernel's buffer is empty, since the end of the
//! stream may be behind it. So a false `CLOSED` costs one system call and never a loop.
//!
//! # Why no event is lost
//!
//! All changes of the word are read-modify-writes, so they have one order.
//!
//! * An event against an operation: the event comes before the take, then the take reads from it and the system call
//!   sees what the event announced; or it comes after the take, then `READY` is set when the operation ends, whatever
//!   its call returned, since no operation clears `READY` after its call. No tick and no generation is needed.
//! * An event against a waiter ([`Direction::wait`] and [`Direction::set`]): the waiter puts its waker into the list and
//!   then sets `WAITING`; the event sets `READY` and then looks at `WAITING` as it was. Whichever is second sees the
//!   other: the event takes the waker out of the list, or the waiter sees `READY`, takes its waker back and tries again.
//! * Two operations of one direction: the second finds the readiness taken and waits. If the first puts it back, that is
//!   an event for the second. If it does not, the kernel was empty when the first looked, and the next edge wakes.
//!
//! Every event wakes all waiters of its direction, so a woken waiter that is dropped owes nothing to the others.
//!
//! Wakers are cloned and dropped with the list unlocked and are never woken in here: they are moved to the caller.

use std::mem;
use std::task::Waker;

use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU32, Ordering};
use crate::task::contain::contain;

const READY: u32 = 1;
const WAITING: u32 = 1 << 1;
const CLOSED: u32 = 1 << 2;
const SHUT: u32 = 1 << 3;

/// Both directions of a source.
#[derive(Debug)]
pub struct Readiness {
    /// Reading, accepting, receiving.
    pub read: Direction,
    /// Writing, sending, the end of connecting.
    pub write: Direction,
}

impl Readiness {
    /// Both directions are assumed to be ready: the first operation finds out.
    pub fn new() -> Self {
        Self { read: Direction::new(), write: Direction::new() }
    }

    /// The driver is gone: every waiter, now or later, gets [`Wait::Shut`].
    pub fn shut(&self, wakes: &mut Vec<Waker>) {
        self.read.shut(wakes);
        self.write.shut(wakes);
    }

    /// Wakers in both lists.
    pub fn waiters(&self) -> usize {
        self.read.waiters() + self.write.waiters()
    }
}

/// One direction of a source.
#[derive(Debug)]
pub struct Direction {
    word: AtomicU32,
    list: Mutex<Waiters>,
}

/// What [`Direction::wait`] found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum Wait {
    /// The waker is in the list and is moved out by the next event.
    Registered,
    /// Readiness arrived meanwhile: take it and try again. Nothing is in the list.
    Again,
    /// The driver is closed: no event will ever come. Nothing is in the list.
    Shut,
}

impl Direction {
    /// A direction that is assumed to be ready.
    pub fn new() -> Self {
        Self { word: AtomicU32::new(READY), list: Mutex::new(Waiters::new()) }
    }

    /// Takes the readiness; true: the caller may make its system call, and then owes either a success that left nothing,
    /// a "would block", or [`put_back`](Self::put_back).
    #[inline]
    #[must_use]
    pub fn take(&self) -> bool {
        // Ordering: Relaxed [readiness:T1], a guess that saves the exclusive access of T2 when there is nothing to
        // take; nothing is concluded from it but "wait", and [readiness:W1] looks again.
        if self.word.load(Ordering::Relaxed) & READY == 0 {
            return false;
        }
        // Ordering: Acquire [readiness:T2] pairs with the release of [readiness:S1] and [readiness:P1]: the system call
        // after it sees what the event announced.
        self.word.fetch_and(!READY, Ordering::Acquire) & READY != 0
    }

    /// True if an operation may be tried. Takes nothing.
    #[inline]
    pub fn is_ready(&self) -> bool {
        // Ordering: Acquire [readiness:L1] pairs with [readiness:S1]: an own system call of the caller sees the event.
        self.word.load(Ordering::Acquire) & READY != 0
    }

    /// True once an event told the end of the stream, a hang-up or an error.
    #[inline]
    pub fn is_closed(&self) -> bool {
        // Ordering: Relaxed [readiness:L2]; an operation reads it after its take: a bit set by an event before the take
        // is visible through [readiness:T2], an event after the take sets READY itself.
        self.word.load(Ordering::Relaxed) & CLOSED != 0
    }

    /// The operation that took the readiness may have left more: puts it back and returns the other waiters to be woken.
    #[inline]
    #[must_use = "the wakers must be woken"]
    pub fn put_back(&self) -> Option<Waiters> {
        // Ordering: AcqRel [readiness:P1]; Release for the next [readiness:T2], so that what this operation saw of the
        // kernel is not older for the next one; Acquire orders the list after [readiness:W1].
        let before = self.word.fetch_or(READY, Ordering::AcqRel);
        (before & WAITING != 0).then(|| self.take_waiters())
    }

    /// An event: `closed` if it told the end of the stream, a hang-up or an error. Moves the waiters to `wakes`.
    #[inline]
    pub fn set(&self, closed: bool, wakes: &mut Vec<Waker>) {
        let bits = if closed { READY | CLOSED } else { READY };
        self.announce(bits, wakes);
    }

    /// The driver is gone: every waiter, now or later, gets [`Wait::Shut`].
    pub fn shut(&self, wakes: &mut Vec<Waker>) {
        self.announce(SHUT, wakes);
    }

    fn announce(&self, bits: u32, wakes: &mut Vec<Waker>) {
        // Ordering: AcqRel [readiness:S1]; Release pairs with [readiness:T2] and [readiness:W1]: who sees the bit sees
        // the kernel's state behind it. Acquire pairs with [readiness:W1].
        let before = self.word.fetch_or(bits, Ordering::AcqRel);
        if before & WAITING != 0 {
            self.take_waiters().append_to(wakes);
        }
    }

    #[cold]
    fn take_waiters(&self) -> Waiters {
        let mut list = self.list.lock();
        // Ordering: Relaxed [readiness:C1]; WAITING follows the list, which the lock orders.
        self.word.fetch_and(!WAITING, Ordering::Relaxed);
        list.take()
    }

    /// Puts `waker` into the list under `id`, in place of an earlier one of the same `id`, unless readiness arrived.
    ///
    /// To be called after [`take`](Self::take) said no.
    pub fn wait(&self, id: &mut WaiterId, waker: &Waker) -> Wait {
        if self.keeps(id, waker) {
            return Wait::Registered;
        }
        // Cloning and dropping a waker may run foreign code: not with the list locked.
        let fresh = waker.clone();
        let mut list = self.list.lock();
        let replaced = list.insert(id, fresh);
        // Ordering: AcqRel [readiness:W1]; its place in the order of the word decides the race with [readiness:S1] and
        // [readiness:P1]: before them they see WAITING, after them this sees READY or SHUT.
        let before = self.word.fetch_or(WAITING, Ordering::AcqRel);
        let outcome = if before & READY != 0 {
            Wait::Again
        } else if before & SHUT != 0 {
            Wait::Shut
        } else {
            Wait::Registered
        };
        let withdrawn = if outcome == Wait::Registered { None } else { self.withdraw(&mut list, id) };
        drop(list);
        drop((replaced, withdrawn));
        outcome
    }

    /// True if `waker` is in the list under `id` already: a task that was woken for another reason waits again. Whoever set
    /// `READY` or `SHUT` since it came in has seen `WAITING`, so it is on its way to take the list, and wakes it.
    fn keeps(&self, id: &WaiterId, waker: &Waker) -> bool {
        // Ordering: Relaxed [readiness:K1], a guess that saves the lock when nobody waits; the lock orders the list.
        self.word.load(Ordering::Relaxed) & WAITING != 0 && self.list.lock().holds(id, waker)
    }

    /// Takes the waiter `id` out of the list, if it is there.
    pub fn forget(&self, id: &WaiterId) {
        // Ordering: Relaxed [readiness:F1]; the caller's own [readiness:W1] comes before it, so without WAITING somebody
        // emptied the list after the caller's waker came in.
        if self.word.load(Ordering::Relaxed) & WAITING == 0 {
            return;
        }
        let mut list = self.list.lock();
        let withdrawn = self.withdraw(&mut list, id);
        drop(list);
        drop(withdrawn);
    }

    /// Takes `id` out of the locked list and clears `WAITING` with the last one.
    fn withdraw(&self, list: &mut Waiters, id: &WaiterId) -> Option<Waker> {
        let withdrawn = list.remove(id);
        if list.is_empty() {
            // Ordering: Relaxed [readiness:C2]; WAITING follows the list, which the lock orders.
            self.word.fetch_and(!WAITING, Ordering::Relaxed);
        }
        withdrawn
    }

    /// Wakers in the list.
    pub fn waiters(&self) -> usize {
        self.list.lock().len()
    }
}

/// Names a waiter of one direction.
#[derive(Debug, Eq, PartialEq)]
pub struct WaiterId(u64);

impl WaiterId {
    /// The one place that all `poll_*` calls of a direction share: the waker of the last call counts.
    pub const fn slot() -> Self {
        Self(0)
    }

    /// Names nobody; gets a name of its own when it waits for the first time.
    pub const fn unnamed() -> Self {
        Self(u64::MAX)
    }

    /// True if it has a name, so it may be in the list.
    #[inline]
    pub fn is_named(&self) -> bool {
        self.0 != u64::MAX
    }
}

/// The waiters of one direction. Nearly always there is at most one.
#[derive(Debug, Default)]
pub struct Waiters {
    first: Option<(u64, Waker)>,
    rest: Vec<(u64, Waker)>,
    /// Names given so far; 0 is [`WaiterId::slot()`].
    named: u64,
}

impl Waiters {
    fn new() -> Self {
        Self::default()
    }

    fn is_empty(&self) -> bool {
        self.first.is_none() && self.rest.is_empty()
    }

    fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.rest.len()
    }

    fn holds(&self, id: &WaiterId, waker: &Waker) -> bool {
        self.first.iter().chain(self.rest.iter()).any(|entry| entry.0 == id.0 && entry.1.will_wake(waker))
    }

    /// Returns the waker that is not needed any more: the replaced one, or `waker` if it would wake the same task.
    fn insert(&mut self, id: &mut WaiterId, waker: Waker) -> Option<Waker> {
        if !id.is_named() {
            self.named += 1;
            *id = WaiterId(self.named);
        }
        let present = self.first.iter_mut().chain(self.rest.iter_mut()).find(|entry| entry.0 == id.0);
        if let Some((_, present)) = present {
            if present.will_wake(&waker) {
                return Some(waker);
            }
            return Some(mem::replace(present, waker));
        }
        if self.first.is_none() {
            self.first = Some((id.0, waker));
        } else {
            self.rest.push((id.0, waker));
        }
        None
    }

    fn remove(&mut self, id: &WaiterId) -> Option<Waker> {
        if let Some((_, waker)) = self.first.take_if(|entry| entry.0 == id.0) {
            return Some(waker);
        }
        let place = self.rest.iter().position(|entry| entry.0 == id.0)?;
        Some(self.rest.swap_remove(place).1)
    }

    /// Takes everybody and keeps the count of names.
    fn take(&mut self) -> Self {
        Self { first: self.first.take(), rest: mem::take(&mut self.rest), named: self.named }
    }

    fn append_to(self, wakes: &mut Vec<Waker>) {
        wakes.extend(self.first.into_iter().chain(self.rest).map(|(_, waker)| waker));
    }

    /// Wakes all of them, also if a waker panics: it is somebody's code, and the others are owed their wake.
    #[inline]
    pub fn wake(self) {
        for (_, waker) in self.first.into_iter().chain(self.rest) {
            contain(|| waker.wake());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};

    use super::{Direction, Wait, WaiterId};

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn counted() -> (Arc<Count>, Waker) {
        let count = Arc::new(Count::default());
        (Arc::clone(&count), Waker::from(count))
    }

    #[test]
    fn starts_ready_and_is_taken_once() {
        let direction = Direction::new();
        assert!(direction.is_ready());
        assert!(direction.take());
        assert!(!direction.take());
    }

    #[test]
    fn an_event_during_the_call_survives_any_number_of_events() {
        let direction = Direction::new();
        for events in [1, 1 << 8, 1 << 15, 1 << 16] {
            assert!(direction.take());
            for _ in 0..events {
                direction.set(false, &mut Vec::new());
            }
            // The call said "would block" and puts nothing back; the newer edges are still there.
            assert!(direction.is_ready());
        }
    }

    #[test]
    fn closed_gives_no_permission() {
        let direction = Direction::new();
        direction.set(true, &mut Vec::new());
        assert!(direction.take());
        assert!(direction.is_closed());
        assert!(!direction.take(), "a closed direction that would block must not loop");
    }

    #[test]
    fn a_second_waiter_does_not_replace_the_first() {
        let direction = Direction::new();
        assert!(direction.take());
        let (first, first_waker) = counted();
        let (second, second_waker) = counted();
        let (mut a, mut b) = (WaiterId::unnamed(), WaiterId::unnamed());
        assert_eq!(direction.wait(&mut a, &first_waker), Wait::Registered);
        assert_eq!(direction.wait(&mut b, &second_waker), Wait::Registered);
        assert_eq!(direction.wait(&mut b, &second_waker), Wait::Registered);
        assert_eq!(direction.waiters(), 2);
        let mut wakes = Vec::new();
        direction.set(false, &mut wakes);
        assert_eq!(wakes.len(), 2);
        wakes.into_iter().for_each(Waker::wake);
        assert_eq!((first.0.load(Ordering::Relaxed), second.0.load(Ordering::Relaxed)), (1, 1));
        assert_eq!(direction.waiters(), 0);
    }

    #[test]
    fn the_slot_keeps_the_last_waker() {
        let direction = Direction::new();
        assert!(direction.take());
        let (first, first_waker) = counted();
        let (second, second_waker) = counted();
        assert_eq!(direction.wait(&mut WaiterId::slot(), &first_waker), Wait::Registered);
        assert_eq!(direction.wait(&mut WaiterId::slot(), &second_waker), Wait::Registered);
        direction.put_back().unwrap().wake();
        assert_eq!((first.0.load(Ordering::Relaxed), second.0.load(Ordering::Relaxed)), (0, 1));
    }

    #[test]
    fn who_waits_already_is_not_cloned_again() {
        let direction = Direction::new();
        assert!(direction.take());
        let (count, waker) = counted();
        assert_eq!(direction.wait(&mut WaiterId::slot(), &waker), Wait::Registered);
        let held = Arc::strong_count(&count);
        assert_eq!(direction.wait(&mut WaiterId::slot(), &waker), Wait::Registered);
        assert_eq!((direction.waiters(), Arc::strong_count(&count)), (1, held));
        let mut wakes = Vec::new();
        direction.set(false, &mut wakes);
        assert_eq!(wakes.len(), 1);
        assert_eq!(direction.wait(&mut WaiterId::slot(), &waker), Wait::Again);
        assert!(direction.put_back().is_none());
    }

    #[test]
    fn a_forgotten_waiter_leaves_nothing() {
        let direction = Direction::new();
        assert!(direction.take());
        let (count, waker) = counted();
        let (mut a, mut b) = (WaiterId::unnamed(), WaiterId::unnamed());
        assert_eq!(direction.wait(&mut a, &waker), Wait::Registered);
        assert_eq!(direction.wait(&mut b, &waker), Wait::Registered);
        direction.forget(&a);
        assert_eq!(direction.waiters(), 1);
        direction.forget(&b);
        assert_eq!(direction.waiters(), 0);
        drop(waker);
        assert_eq!(Arc::strong_count(&count), 1, "no waker is left behind");
        let mut wakes = Vec::new();
        direction.set(false, &mut wakes);
        assert!(wakes.is_empty());
    }

    #[test]
    fn waiting_after_an_event_or_a_shut_down_does_not_register() {
        let direction = Direction::new();
        let mut id = WaiterId::unnamed();
        assert_eq!(direction.wait(&mut id, Waker::noop()), Wait::Again);
        assert!(direction.take());
        direction.shut(&mut Vec::new());
        assert_eq!(direction.wait(&mut id, Waker::noop()), Wait::Shut);
        assert_eq!(direction.waiters(), 0);
    }
}
