//! Any number of arms that run until one of them decides; then the others are cut, drain and are dropped.
//!
//! Only woken arms are polled. An arm that is polled in a frame that is cut from outside stands still and may lose its
//! wake; such arms are woken again when the contest is next polled in a frame that is not cut.

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use futures_util::stream::{FuturesUnordered, Stream};
use pin_project_lite::pin_project;

use crate::arm::{Arm, Ended, Fallout, reason_here};
use crate::being_polled::is_cut;
use crate::reason::Reason;

pin_project! {
    struct Entrant<F> {
        #[pin]
        arm: Arm<F>,
        index: usize,
        // Why it was cut, once it has lost.
        lost: Option<Reason>,
        // Whom to wake when the frame around is not cut any more.
        stood: Option<Waker>,
    }
}

impl<F: Future> Future for Entrant<F> {
    /// `None`: it had ended when it lost.
    type Output = Option<(usize, Ended<F::Output>)>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if this.arm.is_gone() {
            return Poll::Ready(None);
        }
        let step = this.arm.step(cx.waker(), this.lost.as_ref());
        if step.is_pending() && is_cut() {
            *this.stood = Some(cx.waker().clone());
        }
        step.map(|ended| Some((*this.index, ended)))
    }
}

/// `D`: what the contest is about.
pub(crate) struct Contest<F, D> {
    arms: FuturesUnordered<Entrant<F>>,
    /// Arms that have not ended.
    open: usize,
    decision: Option<D>,
    fallout: Fallout,
    /// The last poll came in a cut frame.
    stood: bool,
    over: bool,
    reason: fn() -> Reason,
    site: &'static Location<'static>,
}

impl<F: Future, D> Contest<F, D> {
    /// `reason`: why the others are cut when one has decided.
    #[track_caller]
    pub(crate) fn new<I>(futures: I, reason: fn() -> Reason) -> Contest<F, D>
    where
        I: IntoIterator,
        I::Item: IntoFuture<IntoFuture = F>,
    {
        let arms: FuturesUnordered<_> = futures
            .into_iter()
            .enumerate()
            .map(|(index, future)| Entrant { arm: Arm::new(future.into_future()), index, lost: None, stood: None })
            .collect();
        Contest {
            open: arms.len(),
            arms,
            decision: None,
            fallout: Fallout::default(),
            stood: false,
            over: false,
            reason,
            site: Location::caller(),
        }
    }

    /// Arms that have not ended.
    pub(crate) fn open(&self) -> usize {
        self.open
    }

    /// Polls until `judge` decides, or all arms have ended. A panic of an arm decides too, and unwinds from here when the
    /// others are gone.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        mut judge: impl FnMut(usize, F::Output) -> Option<D>,
    ) -> Poll<Option<D>> {
        assert!(!self.over, "polled after it ended");
        if self.stood && !is_cut() {
            self.wake_those_that_stood();
        }
        while self.open > 0 {
            let next = Pin::new(&mut self.arms).poll_next(cx);
            if next.is_pending() {
                self.stood = is_cut();
            }
            let Some(Some((index, ended))) = ready!(next) else { continue };
            self.open -= 1;
            match ended {
                Ended::Value(value) if !self.is_decided() => {
                    self.decision = judge(index, value);
                    if self.decision.is_some() {
                        self.cut_all(cx.waker());
                    }
                }
                Ended::Panicked(payload) if !self.is_decided() => {
                    self.fallout.keep(payload);
                    self.cut_all(cx.waker());
                }
                late => self.fallout.absorb(late),
            }
        }
        self.over = true;
        self.arms.clear();
        let decision = self.decision.take();
        Poll::Ready(self.fallout.resume_or(decision))
    }

    fn is_decided(&self) -> bool {
        self.decision.is_some() || !self.fallout.is_empty()
    }

    fn cut_all(&mut self, waker: &Waker) {
        let reason = reason_here((self.reason)(), self.site);
        for entrant in Pin::new(&mut self.arms).iter_pin_mut() {
            let entrant = entrant.project();
            if entrant.arm.is_gone() {
                continue;
            }
            *entrant.lost = Some(reason.clone());
            if let Poll::Ready(ended) = entrant.arm.lose(waker, &reason) {
                self.open -= 1;
                self.fallout.absorb(ended);
            }
        }
    }

    fn wake_those_that_stood(&mut self) {
        for entrant in Pin::new(&mut self.arms).iter_pin_mut() {
            if let Some(waker) = entrant.project().stood.take() {
                waker.wake();
            }
        }
    }
}
