//! The code under test, with its suspensions counted and one of them disturbed.

use std::backtrace::Backtrace;
use std::future::Future;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::matrix::Disturbance;
use super::site::{Site, suspended_at};
use crate::sync::{Arc, Mutex};
use crate::task::JoinHandle;
use crate::task::cell::tap::tap;

/// The payload of a panic that the matrix threw.
pub(crate) struct Thrown;

/// What a run of the probe leaves behind.
#[derive(Default)]
pub(crate) struct Record {
    /// Suspensions so far.
    pub(crate) suspensions: usize,
    /// Where they were, if this run asks for it.
    pub(crate) sites: Vec<Vec<Site>>,
    /// It was dropped after as many suspensions as it may have.
    pub(crate) is_endless: bool,
    /// The handle of the probe's own task.
    pub(crate) handle: Option<Arc<JoinHandle<()>>>,
}

/// At which suspension what is done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) disturbance: Disturbance,
    /// From 1.
    pub(crate) at: usize,
}

pub(crate) struct Probe<F> {
    future: Option<Pin<Box<F>>>,
    /// None: the suspensions are located, and it ends after `most` of them.
    plan: Option<Plan>,
    most: usize,
    throws: bool,
    record: Arc<Mutex<Record>>,
    stacks: Arc<Mutex<Option<Vec<Backtrace>>>>,
}

impl<F> Probe<F> {
    pub(crate) fn new(future: F, plan: Option<Plan>, most: usize, record: Arc<Mutex<Record>>) -> Self {
        Self { future: Some(Box::pin(future)), plan, most, throws: false, record, stacks: Arc::default() }
    }
}

impl<F: Future> Future for Probe<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        if this.throws {
            // Dropped while this unwinds, as if what it waits for had panicked.
            let _dropped_last = this.future.take();
            resume_unwind(Box::new(Thrown));
        }
        let Some(future) = &mut this.future else { return Poll::Ready(()) };
        let polled = {
            // A new waker for each poll, so that whoever keeps one from the poll before clones this one.
            let stacks = Arc::clone(&this.stacks);
            let tapped = tap(cx.waker().clone(), move || {
                // Captured before the lock is taken: it is slow, and calls into the system.
                let is_open = stacks.lock().is_some();
                let stack = is_open.then(Backtrace::force_capture);
                if let (Some(stack), Some(stacks)) = (stack, &mut *stacks.lock()) {
                    stacks.push(stack);
                }
            });
            *this.stacks.lock() = this.plan.is_none().then(Vec::new);
            future.as_mut().poll(&mut Context::from_waker(&tapped)).is_ready()
        };
        let stacks = this.stacks.lock().take();
        if polled {
            this.future = None;
            return Poll::Ready(());
        }
        this.suspended(stacks)
    }
}

impl<F> Probe<F> {
    fn suspended(&mut self, stacks: Option<Vec<Backtrace>>) -> Poll<()> {
        let site = stacks.map(|stacks| suspended_at(&stacks));
        let (number, handle) = {
            let mut record = self.record.lock();
            record.suspensions += 1;
            record.sites.extend(site);
            (record.suspensions, record.handle.clone())
        };
        if self.plan.is_none() && number > self.most {
            self.record.lock().is_endless = true;
            self.future = None;
            return Poll::Ready(());
        }
        let Some(plan) = self.plan.filter(|plan| plan.at == number) else {
            return Poll::Pending;
        };
        match plan.disturbance {
            Disturbance::None => {}
            Disturbance::Cancel => {
                if let Some(handle) = handle {
                    handle.cancel("the matrix cancels it here");
                }
            }
            Disturbance::Drop => {
                self.future = None;
                return Poll::Ready(());
            }
            Disturbance::Panic => self.throws = true,
        }
        Poll::Pending
    }
}
