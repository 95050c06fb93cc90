//! `start`: a child that its caller waits for until it says that it is ready (D42).
//!
//! | phase | who polls the child | counted in its scope | an error or a panic of it |
//! |---|---|---|---|
//! | starting | the caller, under the caller's cancels and shields | as one pending start | the caller's |
//! | ready | a task of the scope | as that task | the scope's, as of `spawn_try` |
//!
//! The seat is taken before the child is made and goes with it, so the scope cannot close in between. The word of the
//! child is in [`Slot`]; whoever finds it there moves the child.

use std::cell::RefCell;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::mem;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::admit::seat;
use crate::being_polled::is_cut;
use crate::frame::{Kind, RowCell};
use crate::host::Host;
use crate::inside::Payload;
use crate::member::Member;
use crate::raw::{self, Seat};
use crate::reason::Reason;
use crate::sync::{Arc, Mutex};
use crate::tree::{Node, drop_quietly};
use crate::typed::{self, Child, Scope};
use crate::walk;

/// What a child says to whoever waits in [`Scope::start`]: "I am ready", with a value.
///
/// ```
/// use ramus_scope::{BoxError, Ready};
///
/// async fn server(ready: Ready<u16>) -> Result<(), BoxError> {
///     // ... bind ...
///     ready.ready(8080)?;
///     // ... serve ...
///     Ok(())
/// }
/// ```
#[must_use = "whoever waits for the start waits until the child says that it is ready"]
pub struct Ready<T> {
    slot: Arc<Mutex<Slot<T>>>,
    node: Arc<Node>,
}

struct Slot<T> {
    word: Word<T>,
    waker: Option<Waker>,
}

enum Word<T> {
    /// It has said nothing yet.
    None,
    Said(T),
    /// It was too late: the scope was cancelled.
    Refused(Option<Reason>),
    /// Nobody listens any more.
    Over,
}

impl<T> Ready<T> {
    /// Says so: the caller's `start` answers with `value`, and the child goes on as a task of its scope from its next
    /// suspension on.
    ///
    /// ```
    /// # async fn serve() -> std::io::Result<()> { Ok(()) }
    /// # async fn server(ready: ramus_scope::Ready<u16>, port: u16) -> std::io::Result<()> {
    /// if let Err(late) = ready.ready(port) {
    ///     eprintln!("{late}");
    ///     let port = late.into_inner();
    ///     eprintln!("port {port} is given back");
    ///     return Ok(());
    /// }
    /// serve().await
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ReadyError`] with the value, if the scope has been cancelled or has closed meanwhile, or if nobody waits for the
    /// start any more. The child should clean up and end.
    pub fn ready(self, value: T) -> Result<(), ReadyError<T>> {
        let cancelled = self.node.is_cancelled();
        let reason = if cancelled { self.node.reason() } else { None };
        let mut slot = self.slot.lock();
        if matches!(slot.word, Word::Over) || cancelled {
            if matches!(slot.word, Word::None) {
                slot.word = Word::Refused(reason.clone());
            }
            drop(slot);
            return Err(ReadyError { value, reason });
        }
        slot.word = Word::Said(value);
        let waker = slot.waker.take();
        drop(slot);
        walk::wake(waker);
        Ok(())
    }
}

impl<T> fmt::Debug for Ready<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ready").field("scope", &self.node.name).finish()
    }
}

/// The value of [`Ready::ready`], which came too late.
pub struct ReadyError<T> {
    value: T,
    reason: Option<Reason>,
}

impl<T> ReadyError<T> {
    /// The value.
    ///
    /// ```
    /// # fn look(error: ramus_scope::ReadyError<std::net::TcpListener>) {
    /// let listener = error.into_inner();
    /// # drop(listener);
    /// # }
    /// ```
    pub fn into_inner(self) -> T {
        self.value
    }

    /// Why the scope was cancelled; `None` if nobody waits for the start any more.
    pub fn reason(&self) -> Option<&Reason> {
        self.reason.as_ref()
    }
}

impl<T> fmt::Display for ReadyError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            Some(reason) => write!(f, "too late to be ready: the scope was {reason}"),
            None => f.write_str("too late to be ready: nobody waits for the start any more"),
        }
    }
}

impl<T> fmt::Debug for ReadyError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReadyError({self})")
    }
}

impl<T> Error for ReadyError<T> {}

impl<T> From<ReadyError<T>> for io::Error {
    fn from(error: ReadyError<T>) -> io::Error {
        io::Error::other(error.to_string())
    }
}

/// Why [`Scope::start`] did not start its child.
///
/// ```
/// # fn look(error: ramus_scope::StartError<std::io::Error>) {
/// if error.is_refused() {
///     eprintln!("the scope takes nothing any more: {:?}", error.reason());
/// } else if let Some(error) = error.into_error() {
///     eprintln!("it failed before it was ready: {error}");
/// }
/// # }
/// ```
pub struct StartError<X> {
    cause: Cause,
    error: Option<X>,
}

enum Cause {
    Failed,
    Refused(Option<Reason>),
    NotReady,
}

impl<X> StartError<X> {
    /// The child failed before it was ready.
    pub fn is_failed(&self) -> bool {
        matches!(self.cause, Cause::Failed)
    }

    /// The scope was cancelled or had ended: before the child was made, or before it was ready.
    pub fn is_refused(&self) -> bool {
        matches!(self.cause, Cause::Refused(_))
    }

    /// The child ended well, without saying that it was ready.
    pub fn is_not_ready(&self) -> bool {
        matches!(self.cause, Cause::NotReady)
    }

    /// The error of the child: of one that failed, or of one that was told that it was too late.
    ///
    /// ```
    /// # fn look(error: ramus_scope::StartError<std::io::Error>) {
    /// let error: Option<std::io::Error> = error.into_error();
    /// # drop(error);
    /// # }
    /// ```
    pub fn into_error(self) -> Option<X> {
        self.error
    }

    /// Why the scope was cancelled, if the start was refused for that.
    pub fn reason(&self) -> Option<&Reason> {
        match &self.cause {
            Cause::Refused(reason) => reason.as_ref(),
            Cause::Failed | Cause::NotReady => None,
        }
    }
}

impl<X: fmt::Display> fmt::Display for StartError<X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.cause, &self.error) {
            (Cause::Failed, Some(error)) => write!(f, "the child failed before it was ready: {error}"),
            (Cause::Failed, None) => f.write_str("the child failed before it was ready"),
            (Cause::Refused(Some(reason)), _) => write!(f, "the scope starts nothing any more: it was {reason}"),
            (Cause::Refused(None), _) => f.write_str("the scope starts nothing any more: it has ended"),
            (Cause::NotReady, _) => f.write_str("the child ended without saying that it was ready"),
        }
    }
}

impl<X: fmt::Debug> fmt::Debug for StartError<X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cause = match &self.cause {
            Cause::Failed => "failed",
            Cause::Refused(_) => "refused",
            Cause::NotReady => "not ready",
        };
        let reason = self.reason();
        f.debug_struct("StartError")
            .field("cause", &cause)
            .field("error", &self.error)
            .field("reason", &reason)
            .finish()
    }
}

impl<X: fmt::Debug + fmt::Display> Error for StartError<X> {}

impl<X: Into<io::Error>> From<StartError<X>> for io::Error {
    /// The error of the child as it is; else one that says what happened.
    fn from(error: StartError<X>) -> io::Error {
        match error {
            StartError { error: Some(error), .. } => error.into(),
            StartError { cause: Cause::Refused(Some(reason)), .. } => io::Error::other(reason.to_string()),
            StartError { cause: Cause::Refused(None), .. } => io::Error::other("the scope has ended"),
            StartError { .. } => io::Error::other("the child ended without saying that it was ready"),
        }
    }
}

/// The future of [`Scope::start`].
#[must_use = "a start does nothing unless it is polled"]
pub struct Start<H, E, F, Fut, T> {
    scope: Scope<H, E>,
    make: Option<F>,
    // The child goes before its row, and before its place in the scope.
    child: Option<Pin<Box<Fut>>>,
    row: RowCell,
    slot: Option<Arc<Mutex<Slot<T>>>>,
    seat: Option<Seat>,
    /// Boundaries were open in the child when it suspended.
    held: bool,
    site: &'static Location<'static>,
}

/// Nobody listens to the child any more: what it said last.
fn listen_no_more<T>(slot: &Mutex<Slot<T>>) -> Word<T> {
    let mut slot = slot.lock();
    let word = mem::replace(&mut slot.word, Word::Over);
    let waker = slot.waker.take();
    drop(slot);
    drop(waker);
    word
}

/// The value, if the child is ready. If not, `waker` is woken when it says so.
fn said<T>(slot: &Mutex<Slot<T>>, waker: &Waker) -> Option<T> {
    let waker = waker.clone();
    let mut slot = slot.lock();
    if let Word::Said(_) = slot.word {
        if let Word::Said(value) = mem::replace(&mut slot.word, Word::Over) {
            return Some(value);
        }
    }
    let older = slot.waker.replace(waker);
    drop(slot);
    drop(older);
    None
}

impl<H, E, F, Fut, T> Drop for Start<H, E, F, Fut, T> {
    fn drop(&mut self) {
        if let Some(slot) = &self.slot {
            drop(listen_no_more(slot));
        }
    }
}

impl<H, E, F, Fut, T> Unpin for Start<H, E, F, Fut, T> {}

impl<H: Host, E: Send + 'static> Scope<H, E> {
    /// Starts a child and waits until it says that it is ready: for a server that is to listen, a connection that is to
    /// stand, before the code here goes on.
    ///
    /// `child` gets a [`Ready`] to say so. Until then it runs in the code that awaits this: a cancel of that code is the
    /// child's too, and its error or panic ends up here. From then on it is a task of the scope like one of
    /// [`spawn_try`](Scope::spawn_try). The scope stays open meanwhile, and the child, which will be moved, is allocated. It
    /// runs already, so it stands in no line for a slot of a task limit.
    ///
    /// ```
    /// use ramus_scope::{BoxError, Host, Ready, Scope, ScopeError, scope};
    /// # async fn bind() -> Result<u16, BoxError> { Ok(8080) }
    /// # async fn serve() -> Result<(), BoxError> { Ok(()) }
    ///
    /// async fn run<H: Host>() -> Result<(), ScopeError> {
    ///     scope(|s: Scope<H>| async move {
    ///         let port = s
    ///             .start(|ready: Ready<u16>| async move {
    ///                 let port = bind().await?;
    ///                 ready.ready(port)?;
    ///                 serve().await
    ///             })
    ///             .await?;
    ///         println!("listening on {port}");
    ///         Ok(())
    ///     })
    ///     .await
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`StartError`]: the child failed before it was ready, or ended without saying so; or the scope was cancelled or had
    /// ended, before the child was made (`child` is not called then) or before it was ready.
    ///
    /// # Panics
    ///
    /// With the panic of a child that was not ready.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe to drop, but what was under way inside is lost with it. A child that has said that it is ready, and was
    /// not moved yet, is dropped too.
    #[track_caller]
    pub fn start<F, Fut, T, X>(&self, child: F) -> Start<H, E, F, Fut, T>
    where
        F: FnOnce(Ready<T>) -> Fut,
        Fut: Future<Output = Result<(), X>> + Send + 'static,
        T: Send + 'static,
        X: Into<E> + Send + 'static,
    {
        Start {
            scope: self.clone(),
            make: Some(child),
            child: None,
            row: RefCell::new(None),
            slot: None,
            seat: None,
            held: false,
            site: Location::caller(),
        }
    }
}

impl<H, E, F, Fut, T, X> Start<H, E, F, Fut, T>
where
    H: Host,
    E: Send + 'static,
    F: FnOnce(Ready<T>) -> Fut,
    Fut: Future<Output = Result<(), X>> + Send + 'static,
    T: Send + 'static,
    X: Into<E> + Send + 'static,
{
    fn make(&mut self, make: F) -> Result<(), StartError<X>> {
        let node = self.scope.node();
        let seat = seat(node).map_err(|reason| StartError { cause: Cause::Refused(reason), error: None })?;
        let slot = Arc::new(Mutex::new(Slot { word: Word::None, waker: None }));
        self.seat = Some(seat);
        self.slot = Some(Arc::clone(&slot));
        let ready = Ready { slot, node: Arc::clone(node) };
        self.child = Some(Box::pin(make(ready)));
        Ok(())
    }

    /// The child has ended or moved away: what it said last.
    fn close(&mut self) -> Word<T> {
        drop(self.row.take());
        match self.slot.take() {
            Some(slot) => listen_no_more(&slot),
            None => Word::Over,
        }
    }

    /// Takes the child, which is ready, into the scope.
    fn move_in(&mut self) {
        let (Some(child), Some(seat)) = (self.child.take(), self.seat.take()) else {
            unreachable!("a child that is ready has its place");
        };
        let child = Child::<_, E>::new(child, self.scope.node(), self.site);
        let member = Member::new(seat, child).begun(self.held);
        drop(self.close());
        drop(self.scope.host().spawn(member));
    }

    /// The child has ended with `result`.
    fn ended(&mut self, result: Result<(), X>) -> Result<T, StartError<X>> {
        drop(self.child.take());
        let word = self.close();
        let seat = self.seat.take();
        let answer = match (word, result) {
            (Word::Said(value), result) => {
                if let Err(error) = result {
                    typed::fail_scope::<E>(self.scope.node(), error.into(), self.site);
                }
                Ok(value)
            }
            (Word::Refused(reason), result) => Err(StartError { cause: Cause::Refused(reason), error: result.err() }),
            (Word::None | Word::Over, Err(error)) => Err(StartError { cause: Cause::Failed, error: Some(error) }),
            (Word::None | Word::Over, Ok(())) => Err(StartError { cause: Cause::NotReady, error: None }),
        };
        drop(seat);
        answer
    }

    /// The child has panicked: that is the scope's matter if it was ready, else the caller's.
    fn panicked(&mut self, payload: Payload) -> T {
        if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(self.child.take()))) {
            drop_quietly(second);
        }
        let word = self.close();
        let seat = self.seat.take();
        match (word, seat) {
            (Word::Said(value), Some(seat)) => {
                drop(seat.panicked(payload));
                value
            }
            _ => resume_unwind(payload),
        }
    }
}

impl<H, E, F, Fut, T, X> Future for Start<H, E, F, Fut, T>
where
    H: Host,
    E: Send + 'static,
    F: FnOnce(Ready<T>) -> Fut,
    Fut: Future<Output = Result<(), X>> + Send + 'static,
    T: Send + 'static,
    X: Into<E> + Send + 'static,
{
    type Output = Result<T, StartError<X>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if this.make.is_some() && is_cut() {
            return Poll::Pending;
        }
        if let Some(make) = this.make.take() {
            this.make(make)?;
        }
        let (Some(child), Some(slot)) = (&mut this.child, &this.slot) else {
            panic!("a start was polled after it ended");
        };
        // Said from elsewhere: the child is not polled here any more.
        if let Some(value) = said(slot, cx.waker()) {
            this.move_in();
            return Poll::Ready(Ok(value));
        }
        // A frame that holds nothing: what is open in the child has a row of its own to be below.
        let kind = Kind::CutOn { row: &this.row, waker: cx.waker(), cut: None };
        let (polled, held) = raw::enter(kind, |frame| {
            frame.polled();
            let polled = catch_unwind(AssertUnwindSafe(|| child.as_mut().poll(cx)));
            (polled, frame.is_held())
        });
        this.held = held;
        match polled {
            Ok(Poll::Ready(result)) => Poll::Ready(this.ended(result)),
            Err(payload) => Poll::Ready(Ok(this.panicked(payload))),
            Ok(Poll::Pending) => {
                let Some(value) = said(slot, cx.waker()) else { return Poll::Pending };
                this.move_in();
                Poll::Ready(Ok(value))
            }
        }
    }
}
