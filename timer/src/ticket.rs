//! The side of the owners: registering, moving and forgetting an entry of the wheel.

use crate::slots::Key;
use crate::sync::Ordering;
use crate::timer::Timer;
use std::task::Waker;
use std::time::Instant;

/// An entry of the wheel, as its owner knows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticket {
    key: Key,
    tick: u64,
}

impl Timer {
    /// Registers a waker. It is handed back if the deadline is known to be past or the timer is closed.
    pub(crate) fn arm(&self, deadline: Instant, waker: Waker) -> Result<Ticket, Waker> {
        let tick = self.dial.tick_of(deadline);
        let mut works = self.dial.works.lock();
        if works.closed || tick < self.dial.floor_locked() {
            return Err(waker);
        }
        let key = works.wheel.insert(tick, waker);
        let notify = works.host.must_hear_of(tick);
        drop(works);
        if notify {
            self.dial.notify();
        }
        Ok(Ticket { key, tick })
    }

    /// Makes sure that a registered entry wakes `waker`; false if the entry has fired.
    pub(crate) fn keep(&self, ticket: Ticket, waker: &Waker) -> bool {
        if self.has_fired(ticket) {
            return false;
        }
        match self.dial.works.lock().wheel.get_mut(ticket.key) {
            None => return false,
            Some(registered) if registered.will_wake(waker) => return true,
            Some(_) => {}
        }
        // Another task polls now. Cloning and dropping wakers is code of others, so the lock is taken twice.
        let mut fresh = waker.clone();
        let mut works = self.dial.works.lock();
        let Some(registered) = works.wheel.get_mut(ticket.key) else {
            return false;
        };
        std::mem::swap(registered, &mut fresh);
        drop(works);
        drop(fresh);
        true
    }

    /// Moves a registered entry to `deadline`; `None` if it fired before, or `deadline` is known to be past: then the
    /// entry is gone and its waker woken.
    pub(crate) fn rearm(&self, ticket: Ticket, deadline: Instant) -> Option<Ticket> {
        if self.has_fired(ticket) {
            return None;
        }
        let tick = self.dial.tick_of(deadline);
        let mut works = self.dial.works.lock();
        if tick < self.dial.floor_locked() {
            let waker = works.wheel.remove(ticket.key);
            drop(works);
            waker.into_iter().for_each(Waker::wake);
            return None;
        }
        if !works.wheel.reschedule(ticket.key, tick) {
            return None;
        }
        let notify = works.host.must_hear_of(tick);
        drop(works);
        if notify {
            self.dial.notify();
        }
        Some(Ticket { key: ticket.key, tick })
    }

    /// Forgets a registered entry.
    pub(crate) fn disarm(&self, ticket: Ticket) {
        if self.has_fired(ticket) {
            return;
        }
        let waker = self.dial.works.lock().wheel.remove(ticket.key);
        drop(waker);
    }

    /// Whether the entry is known, without the lock, to be out of the wheel. False tells nothing.
    pub(crate) fn has_fired(&self, ticket: Ticket) -> bool {
        // Ordering: Acquire [ticket:R1], partners [timer:W1], [timer:W2]: after a true, the present is not before the
        // deadline on this thread either.
        ticket.tick < self.dial.floor.load(Ordering::Acquire)
    }
}
