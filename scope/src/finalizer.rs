//! Finalizers: futures that a scope runs after everything in it has ended, last in, first out.
//!
//! | who polls | when |
//! |---|---|
//! | the scope's own future | it has drained (`scope`, phase `Finalizing`) |
//! | a task of the adopter ([`Rest`]) | the scope's future was dropped half-way (D28), or it is a root, which has none |
//!
//! A finalizer is a frame of its own. No cancel from around gets into it, and no spent shield (D8): it is cut by its own
//! budget alone, which runs from its first suspension. What is open in it then is cancelled and drains, and it is dropped.
//!
//! The finalizers are in the links of their node, behind one word. They are closed (`sealed`) in the critical section that
//! finds none left; from then on `defer` is refused.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::adoption::{Adopter, drain};
use crate::asking;
use crate::error::Refused;
use crate::frame::{Kind, RowCell};
use crate::handle::ScopeHandle;
use crate::host::{AnyAlarm, AnyHost, Host, Work};
use crate::inside::{self, Inside};
use crate::member::Member;
use crate::overrun::Overrun;
use crate::raw::{self, Seat};
use crate::sync::{Arc, local};
use crate::tree::{Node, Opening, Policy};
use crate::walk;

/// The budget of a finalizer where nothing else is said.
const DEFAULT_BUDGET: Duration = Duration::from_secs(10);

/// A finalizer that has not begun.
pub(crate) struct Finalizer {
    work: Work,
    budget: Duration,
    site: &'static Location<'static>,
}

/// The finalizers of one scope; made with the first.
pub(crate) struct Finalizers {
    stack: Vec<Finalizer>,
    /// It was under way when the scope's future was dropped.
    current: Option<Box<Running>>,
    /// Runs them if the scope's future does not.
    host: Arc<dyn AnyHost>,
}

impl Finalizers {
    pub(crate) fn pop(&mut self) -> Option<Finalizer> {
        self.stack.pop()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.stack.is_empty() && self.current.is_none()
    }

    fn next(&mut self) -> Option<Box<Running>> {
        self.current.take().or_else(|| self.pop().map(|finalizer| Box::new(Running::new(finalizer))))
    }
}

impl<H: Host> ScopeHandle<H> {
    /// Has `finalizer` run after everything in the scope has ended: the children, and finalizers deferred later. Its
    /// budget is the scope's ([`Builder::finalizer_budget`](crate::Builder::finalizer_budget)).
    ///
    /// Finalizers run last in, first out, one at a time, before the scope's result is there; also when the scope was
    /// cancelled, when its body or a child panicked, and when its future was dropped half-way (as a task of the scope that
    /// adopts it). No cancel from around reaches into them. One that runs over its budget is cut at its next suspension,
    /// is reported through the [report hook](crate::set_report_hook), and changes nothing in the result. The panic of one
    /// counts as the scope's, and goes on after the others have run.
    ///
    /// A finalizer may defer another one, which is the next to run. It can spawn nothing into its own scope, which admits
    /// nothing any more: what is to be spawned goes into a scope that the finalizer opens.
    ///
    /// ```
    /// use ramus_scope::{Host, Scope, ScopeError, scope};
    /// # async fn connect() {}
    /// # async fn say_goodbye() {}
    ///
    /// async fn serve<H: Host>() -> Result<(), ScopeError> {
    ///     scope(|s: Scope<H>| async move {
    ///         connect().await;
    ///         let _ = s.defer(say_goodbye());
    ///         // ... use the connection; whatever happens here, the goodbye is said last.
    ///         Ok(())
    ///     })
    ///     .await
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Refused`] with the future, unpolled, if the scope has ended. A cancelled scope takes it.
    #[track_caller]
    pub fn defer<F>(&self, finalizer: F) -> Result<(), Refused<F>>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.push(finalizer, None, Location::caller())
    }

    /// As [`defer`](ScopeHandle::defer), with a budget of its own. It runs from the finalizer's start.
    ///
    /// ```
    /// use std::time::Duration;
    /// # async fn flush() {}
    ///
    /// # fn example<H: ramus_scope::Host>(s: &ramus_scope::ScopeHandle<H>) {
    /// if let Err(refused) = s.defer_within(Duration::from_millis(500), flush()) {
    ///     eprintln!("{refused}");
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As of [`defer`](ScopeHandle::defer).
    #[track_caller]
    pub fn defer_within<F>(&self, budget: Duration, finalizer: F) -> Result<(), Refused<F>>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.push(finalizer, Some(budget), Location::caller())
    }

    fn push<F>(
        &self,
        finalizer: F,
        budget: Option<Duration>,
        site: &'static Location<'static>,
    ) -> Result<(), Refused<F>>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let work = Box::new(finalizer);
        let mut host: Option<Arc<dyn AnyHost>> = None;
        loop {
            let mut links = self.node().links.lock();
            if links.sealed {
                let reason = links.reason.clone();
                drop(links);
                return Err(Refused::new(*work, reason));
            }
            if links.finalizers.is_none() {
                let Some(host) = host.take() else {
                    drop(links);
                    // Its clone is the host's own code, and not for under the lock.
                    host = Some(Arc::new(self.host().clone()));
                    continue;
                };
                links.finalizers = Some(Box::new(Finalizers { stack: Vec::new(), current: None, host }));
            }
            let budget = budget.or(links.finalizer_budget).unwrap_or(DEFAULT_BUDGET);
            if let Some(finalizers) = &mut links.finalizers {
                finalizers.stack.push(Finalizer { work: Box::into_pin(work), budget, site });
            }
            drop(links);
            drop(host);
            return Ok(());
        }
    }
}

/// A finalizer under way.
pub(crate) struct Running {
    work: Option<Work>,
    row: RowCell,
    budget: Duration,
    site: &'static Location<'static>,
    polled: bool,
    /// From its first suspension on: its budget, and the alarm that ends it.
    watch: Option<(Arc<Overrun>, Option<AnyAlarm>)>,
}

impl Running {
    pub(crate) fn new(finalizer: Finalizer) -> Running {
        let Finalizer { work, budget, site } = finalizer;
        Running { work: Some(work), row: RefCell::new(None), budget, site, polled: false, watch: None }
    }

    /// Polls it in the frame of its scope, `node`, whose row is that of this poll. Ready when it has ended or was cut, and its future is dropped.
    pub(crate) fn poll(&mut self, node: &Arc<Node>, row: &RowCell, waker: &Waker) -> Poll<()> {
        raw::enter(Kind::Body { node, row, waker }, |frame| {
            let asking = asking::waker(frame, row, waker);
            self.poll_frame(node, asking.as_ref().unwrap_or(waker))
        })
    }

    fn poll_frame(&mut self, node: &Arc<Node>, waker: &Waker) -> Poll<()> {
        let Running { work, row, budget, site, polled, watch } = self;
        let spent = watch.as_ref().is_some_and(|(overrun, _)| overrun.is_over());
        let ended = raw::enter(Kind::Finalizer { row, waker, spent, site }, |frame| {
            frame.polled();
            let inside = if *polled && frame.is_cut() && !frame.is_held_yet() {
                Inside::Drop
            } else {
                *polled = true;
                let asking = asking::waker(frame, row, waker);
                let waker = asking.as_ref().unwrap_or(waker);
                inside::poll_inside(frame, waker, |cx| inside::poll_caught(Pin::new(&mut *work), cx))
            };
            let inside = match inside {
                Inside::Pending => {
                    frame.place();
                    if let Some(row) = &*row.borrow() {
                        match watch {
                            Some((overrun, _)) => overrun.is_at(row),
                            None => *watch = Some(Overrun::start(node, *budget, site, row)),
                        }
                    }
                    inside::settle(frame)
                }
                other => other,
            };
            if matches!(inside, Inside::Pending) {
                return false;
            }
            let dropped = inside::drop_caught(Pin::new(work));
            if let Inside::Ready(Err(payload)) = inside {
                node.keep_panic(payload);
            }
            if let Err(payload) = dropped {
                node.keep_panic(payload);
            }
            true
        });
        if !ended {
            return Poll::Pending;
        }
        drop((watch.take(), row.take()));
        Poll::Ready(())
    }

    /// The future that polled it is gone: its place in the rows is another one from now on. Its budget goes on.
    fn leave(&mut self) {
        if let Some((overrun, _)) = &self.watch {
            overrun.is_nowhere();
        }
        // The row stays until the next poll has made another one: it keeps cancels from what is open in the finalizer.
        if let Some(row) = &*self.row.borrow() {
            row.table.abandon_row(row.id);
        }
    }

    /// Drops what has not ended.
    fn discard(&mut self, node: &Node) {
        if let Err(payload) = inside::drop_caught(Pin::new(&mut self.work)) {
            node.keep_panic(payload);
        }
        self.leave();
        drop(self.row.take());
    }
}

/// The future of a drained scope is dropped while `running` was under way: whoever runs the rest begins with it.
pub(crate) fn hand_over(node: &Node, mut running: Option<Box<Running>>) {
    if let Some(running) = &mut running {
        running.leave();
    }
    let mut links = node.links.lock();
    // An empty scope drains without telling.
    links.drained = true;
    links.is_finalizing = false;
    if let Some(finalizers) = &mut links.finalizers {
        finalizers.current = running;
    }
}

/// Runs the finalizers of a drained scope whose future is gone, as a task of the adopter.
struct Rest {
    node: Arc<Node>,
    running: Option<Box<Running>>,
    row: RowCell,
    ended: bool,
}

impl Rest {
    /// None is left: the scope has ended, unless one was deferred just now.
    fn end(&mut self) {
        self.ended = true;
        drop(self.row.take());
        drain(Arc::clone(&self.node));
    }
}

impl Future for Rest {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        loop {
            if this.running.is_none() {
                this.running = this.node.links.lock().finalizers.as_mut().and_then(|finalizers| finalizers.next());
            }
            let Some(running) = &mut this.running else {
                this.end();
                return Poll::Ready(());
            };
            let waker = cx.waker();
            raw::enter(Kind::Body { node: &this.node, row: &this.row, waker }, |frame| frame.stayed());
            if running.poll(&this.node, &this.row, waker).is_pending() {
                this.node.leave_list_of_adopter();
                return Poll::Pending;
            }
            this.running = None;
        }
    }
}

impl Drop for Rest {
    /// Dropped by the executor before its end: nobody will run them any more.
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let mut links = self.node.links.lock();
        links.sealed = true;
        let left = links.finalizers.take();
        drop(links);
        let kind = Kind::Body { node: &self.node, row: &self.row, waker: Waker::noop() };
        raw::enter(kind, |_| {
            if let Some(running) = &mut self.running {
                running.discard(&self.node);
            }
            if let Some(mut left) = left {
                while let Some(mut running) = left.next() {
                    running.discard(&self.node);
                }
            }
        });
        self.running = None;
        self.end();
    }
}

struct Starting {
    active: Cell<bool>,
    waiting: Cell<Vec<Arc<Node>>>,
}

local! {
    static STARTING: Starting = Starting { active: Cell::new(false), waiting: Cell::new(Vec::new()) }
}

/// Has the finalizers of `node` run: it has drained, and its future is gone.
///
/// An executor that is shutting down drops the task at once, which ends the scope, which may drain the adopter, whose
/// finalizers are to be run: a loop per thread, not a recursion.
pub(crate) fn start(node: Arc<Node>) {
    let mut next = Some(node);
    let first = STARTING.try_with(|starting| {
        if starting.active.replace(true) {
            let mut waiting = starting.waiting.take();
            waiting.extend(next.take());
            starting.waiting.set(waiting);
            false
        } else {
            true
        }
    });
    while let Some(node) = next.take() {
        spawn_rest(node);
        if let Ok(true) = first {
            let _ = STARTING.try_with(|starting| {
                let mut waiting = starting.waiting.take();
                next = waiting.pop();
                starting.waiting.set(waiting);
                starting.active.set(next.is_some());
            });
        }
    }
}

fn spawn_rest(node: Arc<Node>) {
    let links = node.links.lock();
    let host = links.finalizers.as_ref().map(|finalizers| Arc::clone(&finalizers.host));
    // Under the lock: the future may come back, and then the scope leaves its adopter.
    let seat = links.adopter.as_ref().map(|Adopter { node, .. }| node.count.admit(1).then(|| Seat::admitted(node)));
    drop(links);
    let Some(host) = host else { unreachable!("a scope with finalizers has their host") };
    let seat = match seat {
        Some(seat) => seat,
        // Nothing is around it: a nameless root for this task alone.
        None => {
            let timer = Arc::clone(&host);
            let opening = Opening { policy: Policy::Isolate, ..Opening::default() };
            let root = Node::new(None, false, || Box::new(timer), opening, node.site);
            let seat = root.count.admit(1).then(|| Seat::admitted(&root));
            root.close();
            seat
        }
    };
    let Some(seat) = seat else { unreachable!("the dropped scope keeps its adopter open, and a new root is open") };
    let rest: Work = Box::pin(Rest { node, running: None, row: RefCell::new(None), ended: false });
    let member = Member::new(seat, rest).guaranteed();
    walk::contain(|| host.run(member));
}
