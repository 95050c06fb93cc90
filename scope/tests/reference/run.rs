//! Runs a program on a real host, and writes down what is seen.

use std::collections::BTreeMap;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::{Duration, Instant};

use futures_util::future::{Either, FutureExt, join, select};
use futures_util::stream::{FuturesUnordered, StreamExt};
use ramus_scope::{CutOn, Host, JoinError, Scope, ScopeError, run_until_cancelled, shield, shield_unbounded};

use super::program::{End, Id, Op, Program};
use super::{Key, Outcome, Seen, Why};

/// The driver cancels the outermost scope at that time (in virtual time, nothing else can happen then), if a leaked scope
/// has kept it open, and kills it when as much has passed again.
pub const PATIENCE: u64 = 60_000;

/// A host with what the programs need of a runtime.
pub trait Rig: Host<JoinHandle<()>: Future<Output = Result<(), JoinError>> + Send + Unpin> {
    fn sleep(time: u16) -> impl Future<Output = ()> + Send + 'static;
    fn pause() -> impl Future<Output = ()> + Send;
    /// A future of another crate that suspends once.
    fn foreign() -> impl Future<Output = ()> + Send;
    fn cancel(handle: &Self::JoinHandle<()>);
    fn now(&self) -> u64;
    fn instant(&self, time: u16) -> Instant;
    fn time(time: u16) -> Duration;
    /// Until nothing else can happen, or hardly.
    fn patience() -> impl Future<Output = ()> + Send;
}

/// The error of the body with that number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failed(pub Id);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "body {} failed", self.0)
    }
}

impl std::error::Error for Failed {}

type Work = Pin<Box<dyn Future<Output = Result<(), Failed>> + Send>>;

/// A handle, until it has answered.
type Handle<H> = Arc<Mutex<Option<<H as Host>::JoinHandle<()>>>>;

/// The answer of a task; `None` if it was given to somebody before.
async fn answer<H: Future + Unpin>(handle: &Mutex<Option<H>>) -> Option<H::Output> {
    poll_fn(|cx| {
        let mut handle = handle.lock().unwrap();
        let Some(task) = &mut *handle else {
            return if ramus_scope::is_cut() { Poll::Pending } else { Poll::Ready(None) };
        };
        let answer = Pin::new(task).poll(cx);
        if answer.is_ready() {
            *handle = None;
        }
        answer.map(Some)
    })
    .await
}

/// How many bodies are alive in a scope and below.
type Alive = Arc<AtomicUsize>;

/// An open scope, with who is alive in it and in those around.
#[derive(Clone)]
struct Opened<H: Rig> {
    scope: Scope<H, Failed>,
    around: Vec<Alive>,
    /// Its future is leaked, and a finalizer perhaps with it.
    leaked: bool,
}

struct Guard(Vec<Alive>);

impl Guard {
    fn new(around: &[Alive]) -> Guard {
        for alive in around {
            alive.fetch_add(1, Ordering::SeqCst);
        }
        Guard(around.to_vec())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        for alive in &self.0 {
            alive.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// What one run knows, wherever it is polled.
struct Shared<H: Rig> {
    program: Program,
    host: H,
    outcome: Mutex<Outcome>,
    scopes: Mutex<BTreeMap<Id, Opened<H>>>,
    handles: Mutex<Vec<(Id, Handle<H>)>>,
    complaints: Mutex<Vec<String>>,
}

impl<H: Rig> Shared<H> {
    fn say(&self, key: Key, seen: Seen) {
        let at = self.host.now();
        if let Some(before) = self.outcome.lock().unwrap().insert(key, (seen, at)) {
            self.complain(format!("{key:?} came twice; before: {before:?}"));
        }
    }

    fn complain(&self, what: String) {
        self.complaints.lock().unwrap().push(what);
    }

    fn scope(&self, id: Id) -> Option<Opened<H>> {
        self.scopes.lock().unwrap().get(&id).cloned()
    }

    fn joined(&self, body: Id, answer: Option<Result<(), JoinError>>) {
        let Some(answer) = answer else { return };
        let seen = match answer {
            Ok(()) => Seen::Value,
            Err(error) if error.is_cancelled() => Seen::Cancelled(Why::of(error.reason()), !error.never_started()),
            Err(error) if error.is_failed() => Seen::Failed(Vec::new(), false),
            Err(_) => Seen::Panicked(0),
        };
        // When it was looked at says nothing.
        self.outcome.lock().unwrap().insert(Key::Handle(body), (seen, 0));
    }
}

/// Says how a body ended: dropped, unless it came to its end.
struct Watch<H: Rig> {
    shared: Arc<Shared<H>>,
    body: Id,
    ended: bool,
}

impl<H: Rig> Drop for Watch<H> {
    fn drop(&mut self) {
        self.shared.say(Key::Body(self.body), if self.ended { Seen::Value } else { Seen::Dropped });
    }
}

/// A body with the place that it runs in.
struct Place<H: Rig> {
    shared: Arc<Shared<H>>,
    /// The innermost scope, and who is alive in it and in those around.
    scope: Option<Scope<H, Failed>>,
    around: Vec<Alive>,
    /// It runs in a future that is forgotten.
    leaked: bool,
}

impl<H: Rig> Clone for Place<H> {
    fn clone(&self) -> Self {
        Place {
            shared: Arc::clone(&self.shared),
            scope: self.scope.clone(),
            around: self.around.clone(),
            leaked: self.leaked,
        }
    }
}

impl<H: Rig> Place<H> {
    fn counted(&self) -> &[Alive] {
        if self.leaked { &[] } else { &self.around }
    }

    /// A body that counts as alive from now on.
    fn run(&self, body: Id) -> Work {
        let (work, guard) = (self.run_uncounted(body), Guard::new(self.counted()));
        Box::pin(async move {
            let _guard = guard;
            work.await
        })
    }

    /// A body that counts as alive from its first poll on.
    fn run_uncounted(&self, body: Id) -> Work {
        let place = self.clone();
        Box::pin(async move {
            let _guard = Guard::new(place.counted());
            let mut watch = Watch { shared: Arc::clone(&place.shared), body, ended: false };
            let result = place.statements(body).await;
            watch.ended = true;
            result
        })
    }

    fn spawn(&self, scope: &Scope<H, Failed>, body: Id, fallible: bool) -> Handle<H> {
        let handle = if fallible {
            Some(scope.spawn_try(self.run_uncounted(body)))
        } else {
            let work = self.run(body);
            let work = async move {
                let _ = work.await;
            };
            scope
                .offer(work)
                .map_err(|refused| {
                    let why = refused.reason().map_or(Why::own("user"), |reason| Why::of(Some(reason)));
                    self.shared.outcome.lock().unwrap().insert(Key::Handle(body), (Seen::Cancelled(why, false), 0));
                })
                .ok()
        };
        Arc::new(Mutex::new(handle))
    }

    async fn statements(&self, body: Id) -> Result<(), Failed> {
        let code = self.shared.program.bodies[usize::from(body)].clone();
        let mut spawned = None;
        for (at, op) in code.ops.into_iter().enumerate() {
            self.statement(Key::Op(body, at), op, &mut spawned).await?;
        }
        match code.end {
            End::Value => Ok(()),
            End::Error => Err(Failed(body)),
            // No hook: it is part of the program.
            End::Panic => resume_unwind(Box::new(body)),
        }
    }

    async fn statement(&self, key: Key, op: Op, spawned: &mut Option<(Id, Handle<H>)>) -> Result<(), Failed> {
        let shared = &self.shared;
        let answer = |yes: bool| shared.say(key, if yes { Seen::Yes } else { Seen::No });
        match op {
            Op::Sleep(time) => H::sleep(time).await,
            Op::Yield => H::pause().await,
            Op::Foreign => H::foreign().await,
            Op::Open { body, deadline, isolate } => self.open(body, deadline, isolate).await,
            Op::Leak { body, deadline } => {
                let leaking = Place { leaked: true, ..self.clone() };
                let mut open = Box::pin(async move { leaking.open(body, deadline, false).await });
                if poll_fn(|cx| Poll::Ready(open.as_mut().poll(cx))).await.is_pending() {
                    std::mem::forget(open);
                }
            }
            Op::Defer { body, scope, budget } => {
                if let Some(opened) = shared.scope(scope) {
                    answer(self.defer(opened, body, budget));
                }
            }
            Op::Spawn { body, scope, fallible } => {
                if let Some(Opened { scope, around, .. }) = shared.scope(scope) {
                    let place = Place { scope: Some(scope.clone()), around, leaked: false, ..self.clone() };
                    let handle = place.spawn(&scope, body, fallible);
                    shared.handles.lock().unwrap().push((body, Arc::clone(&handle)));
                    *spawned = Some((body, handle));
                }
            }
            Op::Join => {
                if let Some((body, handle)) = spawned {
                    shared.joined(*body, self::answer(handle).await);
                    answer(true);
                }
            }
            Op::CancelTask => {
                if let Some((_, handle)) = spawned {
                    if let Some(handle) = &*handle.lock().unwrap() {
                        H::cancel(handle);
                    }
                }
            }
            Op::Cancel { scope } => {
                if let Some(Opened { scope, .. }) = shared.scope(scope) {
                    answer(scope.cancel("the program"));
                }
            }
            Op::Kill { scope } => {
                if let Some(Opened { scope, .. }) = shared.scope(scope) {
                    answer(scope.kill("the program"));
                }
            }
            Op::Ask { scope } => {
                if let Some(Opened { scope, .. }) = shared.scope(scope) {
                    answer(scope.is_cancelled());
                }
            }
            Op::Stop { scope, grace } => {
                if let Some(Opened { scope, .. }) = shared.scope(scope) {
                    answer(scope.stop(H::time(grace)));
                }
            }
            Op::Move { scope, deadline } => {
                if let Some(Opened { scope, .. }) = shared.scope(scope) {
                    let _ = scope.set_deadline(shared.host.instant(deadline));
                }
            }
            Op::Stopping(time) => {
                if let Some(scope) = &self.scope {
                    let stopping = select(scope.stopping(), Box::pin(H::sleep(time))).await;
                    answer(matches!(stopping, Either::Left(_)));
                }
            }
            Op::Shield { body, budget: Some(budget) } => shield(H::time(budget), self.run(body)).await?,
            Op::Shield { body, budget: None } => shield_unbounded(self.run(body)).await?,
            Op::Catch { body, resume } => match run_until_cancelled(self.run(body)).await {
                Ok(result) => result?,
                Err(cancelled) => {
                    shared.say(Key::Answer(body), Seen::Cancelled(Why::of(Some(cancelled.reason())), true));
                    if resume {
                        cancelled.resume().await
                    }
                }
            },
            Op::Timeout { body, after } => match CutOn::new(self.run(body), Box::pin(H::sleep(after))).await {
                Ok(result) => result?,
                Err(()) => shared.say(Key::Answer(body), Seen::Elapsed),
            },
            Op::DropAfter { body, after } => {
                if let Either::Left((result, _)) = select(self.run(body), Box::pin(H::sleep(after))).await {
                    result?;
                }
            }
            Op::Both { left, right, unordered: false } => {
                let (left, right) = join(self.run(left), self.run(right)).await;
                left.and(right)?;
            }
            Op::Both { left, right, unordered: true } => {
                let both = [left, right].map(|body| self.run(body).map(move |result| (body, result)));
                let results: BTreeMap<Id, _> = both.into_iter().collect::<FuturesUnordered<_>>().collect().await;
                results[&left].and(results[&right])?;
            }
        }
        Ok(())
    }

    fn defer(&self, Opened { scope, around, leaked }: Opened<H>, body: Id, budget: Option<u16>) -> bool {
        let guard = Guard::new(if leaked { &[] } else { &around });
        // What a finalizer leaves behind is somebody else's: its scope has closed.
        let place = Place { scope: Some(scope.clone()), around: Vec::new(), leaked: false, ..self.clone() };
        let work = place.run(body);
        let work = async move {
            let _guard = guard;
            let _ = work.await;
        };
        match budget {
            Some(budget) => scope.defer_within(H::time(budget), work).is_ok(),
            None => scope.defer(work).is_ok(),
        }
    }

    async fn open(&self, body: Id, deadline: Option<u16>, isolate: bool) {
        let shared = &self.shared;
        let mut place = self.clone();
        let alive = Alive::default();
        place.around.push(Arc::clone(&alive));
        let mut builder = Scope::<H>::builder();
        if let Some(deadline) = deadline {
            builder = builder.deadline(shared.host.instant(deadline));
        }
        if isolate {
            builder = builder.isolate();
        }
        let scope = builder.open(move |scope: Scope<H, Failed>| {
            let opened = Opened { scope: scope.clone(), around: place.around.clone(), leaked: place.leaked };
            place.shared.scopes.lock().unwrap().insert(body, opened);
            place.scope = Some(scope);
            place.run(body)
        });
        let answer = AssertUnwindSafe(scope).catch_unwind().await;
        let left = alive.load(Ordering::SeqCst);
        if left != 0 {
            shared.complain(format!("{left} bodies are alive when scope {body} answers"));
        }
        let seen = match &answer {
            Ok(Ok(())) => Seen::Value,
            Ok(Err(error)) => failed(error),
            Err(payload) => Seen::Panicked(payload.downcast_ref().copied().unwrap_or(Id::MAX)),
        };
        shared.say(Key::Answer(body), seen);
        if let Err(payload) = answer {
            resume_unwind(payload);
        }
    }
}

fn failed(error: &ScopeError<Failed>) -> Seen {
    if error.is_cancelled() {
        return Seen::Cancelled(Why::of(error.reason()), true);
    }
    Seen::Failed(error.errors().iter().map(|failed| failed.0).collect(), error.was_also_cancelled())
}

/// What was seen of a program, and what must never be seen.
pub async fn run<H: Rig>(host: H, program: Program) -> (Outcome, Vec<String>) {
    let shared = Arc::new(Shared {
        program,
        host,
        outcome: Mutex::default(),
        scopes: Mutex::default(),
        handles: Mutex::default(),
        complaints: Mutex::default(),
    });
    let root = Place { shared: Arc::clone(&shared), scope: None, around: Vec::new(), leaked: false };
    let mut root = Some(Box::pin(AssertUnwindSafe(root.open(0, None, false)).catch_unwind()));
    for key in [Key::End, Key::Kill].into_iter().filter(|_| shared.program.leaks()) {
        let Some(waiting) = root.take() else { break };
        let Either::Right(((), waiting)) = select(waiting, Box::pin(H::patience())).await else { break };
        root = Some(waiting);
        if let Some(Opened { scope, .. }) = shared.scope(0) {
            shared.say(key, Seen::Yes);
            match key {
                Key::End => scope.cancel("nothing else can happen"),
                _ => scope.kill("a cancel did not do"),
            };
        }
    }
    if let Some(root) = root {
        let _ = root.await;
    }
    let handles = std::mem::take(&mut *shared.handles.lock().unwrap());
    for (body, handle) in handles {
        shared.joined(body, answer(&handle).await);
    }
    for (body, Opened { scope, leaked, .. }) in std::mem::take(&mut *shared.scopes.lock().unwrap()) {
        // Boundaries in a future that was forgotten are there for ever.
        if scope.live() != 0 || scope.tree().len() != 1 && !leaked {
            shared.complain(format!("something is left in scope {body}: {:?}", scope.tree()));
        }
    }
    let (outcome, complaints) = (shared.outcome.lock().unwrap().clone(), shared.complaints.lock().unwrap().clone());
    (outcome, complaints)
}
