//! `Event`: a flag that tasks wait for.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use slab::Slab;

use crate::leaf;
use crate::sync::Mutex;
use crate::task::contain::contain;

/// A flag that any number of tasks wait for: asyncio's `Event`.
///
/// [`set`](Event::set) lets all of them go on, and all that come later, until [`clear`](Event::clear). As a signal to stop
/// work there is something better: `stop` of a scope reaches everything below it.
///
/// ```
/// use std::sync::Arc;
/// use ramus::{BoxError, Scope, sync::Event};
///
/// # fn main() -> Result<(), BoxError> {
/// ramus::Runtime::new()?.block_on(ramus::scope(|s: Scope| async move {
///     let open = Arc::new(Event::new());
///     for visitor in 0..3 {
///         let open = Arc::clone(&open);
///         s.spawn(async move {
///             open.wait().await;
///             println!("visitor {visitor} comes in");
///         });
///     }
///     open.set();
///     Ok(())
/// }))?;
/// # Ok(())
/// # }
/// ```
pub struct Event {
    state: Mutex<State>,
}

struct State {
    is_set: bool,
    /// How many times it was set: who waits since before the last time goes on, even if it was cleared since.
    times: u64,
    waiters: Slab<Waker>,
}

impl Event {
    /// An event that is not set.
    ///
    /// ```
    /// assert!(!ramus::sync::Event::new().is_set());
    /// ```
    pub fn new() -> Event {
        Event { state: Mutex::new(State { is_set: false, times: 0, waiters: Slab::new() }) }
    }

    /// Sets it and lets all waiting tasks go on, also if it is cleared before they run.
    ///
    /// ```
    /// let event = ramus::sync::Event::new();
    /// event.set();
    /// assert!(event.is_set());
    /// ```
    pub fn set(&self) {
        let waiters = {
            let mut state = self.state.lock();
            state.is_set = true;
            state.times += 1;
            std::mem::take(&mut state.waiters)
        };
        for (_, waiter) in waiters {
            // One that panics must not keep the others waiting; the panic hook has reported it.
            contain(|| waiter.wake());
        }
    }

    /// Clears it: who waits from now on waits until it is set again.
    ///
    /// ```
    /// let event = ramus::sync::Event::new();
    /// event.set();
    /// event.clear();
    /// assert!(!event.is_set());
    /// ```
    pub fn clear(&self) {
        self.state.lock().is_set = false;
    }

    /// Whether it is set.
    ///
    /// ```
    /// assert!(!ramus::sync::Event::default().is_set());
    /// ```
    pub fn is_set(&self) -> bool {
        self.state.lock().is_set
    }

    /// Waits until it is set, counted from this call.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it only observes, and a cut or dropped wait has no effect.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let event = ramus::sync::Event::new();
    /// let waiting = event.wait();
    /// event.set();
    /// event.clear();
    /// ramus::Runtime::new()?.block_on(waiting);
    /// # Ok(())
    /// # }
    /// ```
    pub fn wait(&self) -> WaitEvent<'_> {
        let state = self.state.lock();
        let since = if state.is_set { None } else { Some(state.times) };
        WaitEvent { event: self, since, listed: None }
    }
}

impl Default for Event {
    fn default() -> Event {
        Event::new()
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Event").field("is_set", &self.is_set()).finish()
    }
}

/// The future of [`Event::wait`].
#[must_use = "futures do nothing unless they are polled"]
pub struct WaitEvent<'a> {
    event: &'a Event,
    /// How many times the event had been set when this was made; `None` once it may go on.
    since: Option<u64>,
    /// The place in the list, in the time that is counted with it: setting the event empties the list.
    listed: Option<(u64, usize)>,
}

impl WaitEvent<'_> {
    /// Only under the lock that `state` comes from.
    fn place(&self, state: &State) -> Option<usize> {
        self.listed.filter(|(times, _)| *times == state.times).map(|(_, place)| place)
    }
}

impl Future for WaitEvent<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let charge = ready!(leaf::poll_enter(cx));
        if let Some(since) = self.since {
            let waker = cx.waker().clone();
            let mut state = self.event.state.lock();
            if state.times == since {
                let older = match self.place(&state) {
                    Some(place) => Some(std::mem::replace(&mut state.waiters[place], waker)),
                    None => {
                        self.listed = Some((since, state.waiters.insert(waker)));
                        None
                    }
                };
                drop(state);
                drop(older);
                return Poll::Pending;
            }
            drop(state);
            self.since = None;
        }
        charge.made_progress();
        Poll::Ready(())
    }
}

impl Drop for WaitEvent<'_> {
    fn drop(&mut self) {
        if self.listed.is_some() {
            let mut state = self.event.state.lock();
            let waiter = self.place(&state).map(|place| state.waiters.remove(place));
            drop(state);
            drop(waiter);
        }
    }
}

impl fmt::Debug for WaitEvent<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("WaitEvent").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::Event;
    use std::future::Future;

    #[test]
    fn d40_a_dropped_wait_leaves_nothing_in_the_list() {
        let event = Event::new();
        let mut context = Context::from_waker(Waker::noop());
        {
            let mut first = pin!(event.wait());
            let mut second = pin!(event.wait());
            assert!(first.as_mut().poll(&mut context).is_pending());
            assert!(second.as_mut().poll(&mut context).is_pending());
            assert!(second.as_mut().poll(&mut context).is_pending());
            assert_eq!(event.state.lock().waiters.len(), 2);
        }
        assert!(event.state.lock().waiters.is_empty());
    }

    #[test]
    fn set_and_cleared_it_lets_those_go_on_that_waited() {
        let event = Event::new();
        let mut context = Context::from_waker(Waker::noop());
        let (mut unpolled, mut polled) = (pin!(event.wait()), pin!(event.wait()));
        assert!(polled.as_mut().poll(&mut context).is_pending());
        event.set();
        event.clear();
        let mut later = pin!(event.wait());
        assert!(later.as_mut().poll(&mut context).is_pending());
        assert!(polled.as_mut().poll(&mut context).is_ready());
        assert!(unpolled.as_mut().poll(&mut context).is_ready());
        event.set();
        assert!(later.as_mut().poll(&mut context).is_ready());
        assert!(pin!(event.wait()).poll(&mut context).is_ready());
    }
}
