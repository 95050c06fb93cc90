//! What the models of deadlines and callbacks share: a host that keeps alarms and tasks until the model uses them.
//!
//! Its own lists are behind a lock that loom does not see, so that they lend no ordering to the model.
#![allow(dead_code, unreachable_pub, reason = "each model uses its part")]

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use ramus_scope::{Host, Member, TaskCancel};

type Work = Box<dyn FnMut(&mut Context<'_>) -> Poll<()> + Send>;

#[derive(Default)]
struct Kept {
    next: u64,
    alarms: BTreeMap<u64, Waker>,
    tasks: Vec<Work>,
}

/// A host whose alarms never fire by themselves and whose tasks nobody polls before [`run`](Clock::run).
#[derive(Clone, Default)]
pub struct Clock(Arc<Mutex<Kept>>);

/// Takes its waker off the list, unless the timer was faster.
pub struct Alarm(Clock, u64);

impl Drop for Alarm {
    fn drop(&mut self) {
        let waker = self.0.0.lock().unwrap().alarms.remove(&self.1);
        drop(waker);
    }
}

impl Clock {
    /// Takes the alarm that is set, as a timer does that has seen its time come and has not woken it yet.
    pub fn take_due(&self) -> Waker {
        self.0.lock().unwrap().alarms.pop_first().expect("an alarm is set").1
    }

    pub fn alarms(&self) -> usize {
        self.0.lock().unwrap().alarms.len()
    }

    /// Polls the tasks that were spawned, once each; all of them end in one poll. Returns how many there were.
    pub fn run(&self) -> usize {
        let tasks = std::mem::take(&mut self.0.lock().unwrap().tasks);
        let number = tasks.len();
        for mut task in tasks {
            assert!(task(&mut Context::from_waker(Waker::noop())).is_ready());
        }
        number
    }
}

impl Host for Clock {
    type JoinHandle<T: Send + 'static> = ();
    type Alarm = Alarm;

    /// Only the root's host keeps alarms and tasks.
    fn current() -> Option<Clock> {
        Some(Clock::default())
    }

    fn spawn<F>(&self, member: Member<F>)
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let (mut member, cancel) = (Box::pin(member), TaskCancel::new());
        let work: Work = Box::new(move |cx| {
            let polled = member.as_mut().poll_task(cx, &cancel);
            if polled.is_ready() {
                member.as_mut().end();
            }
            polled.map(drop)
        });
        self.0.lock().unwrap().tasks.push(work);
    }

    fn wake_after(&self, _: Duration, waker: Waker) -> Alarm {
        let mut kept = self.0.lock().unwrap();
        let key = kept.next;
        kept.next += 1;
        kept.alarms.insert(key, waker);
        Alarm(self.clone(), key)
    }

    fn wake_at(&self, _: Instant, waker: Waker) -> Alarm {
        self.wake_after(Duration::ZERO, waker)
    }
}
