//! Everything of the crate that keeps a waker, one row each: how to wait for it, and what ends the waiting.

use std::future::{Future, pending, poll_fn};
use std::io;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use ramus::net::{TcpListener, UdpSocket, UnixStream};
use ramus::sync::Event;
use ramus::time::Instant;
use ramus::{
    BoxError, Handle, JoinHandle, OrStopping, Ready, Scope, ScopeHandle, Supervisor, When, as_completed, join_all,
    race, race_all, run_until_cancelled, scope, shield, sleep_until, timeout, try_join_all, wait,
};

const LONG: Duration = Duration::from_secs(3_600);

pub(crate) type Waiting = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The scope that a row has opened.
pub(crate) type Own = Arc<Mutex<Option<ScopeHandle>>>;

/// What a row is made in.
pub(crate) struct Bench {
    pub(crate) handle: Handle,
    /// A scope that is open.
    pub(crate) scope: ScopeHandle,
    /// The scope that a row opens itself, once it has.
    pub(crate) own: Own,
    pub(crate) gate: Arc<Event>,
}

/// One that waits.
pub(crate) struct Row {
    /// The next waiter for the same; `None`: there can be one only.
    pub(crate) next: Box<dyn FnMut() -> Option<Waiting> + Send>,
    /// Ends the waiting of all of them.
    pub(crate) fire: Box<dyn FnOnce() + Send>,
}

impl Bench {
    /// A task of the open scope that ends with the gate.
    fn task(&self) -> JoinHandle<u32> {
        let gate = Arc::clone(&self.gate);
        self.scope.spawn(async move {
            gate.wait().await;
            7
        })
    }

    fn opens_gate(&self) -> Box<dyn FnOnce() + Send> {
        let gate = Arc::clone(&self.gate);
        Box::new(move || gate.set())
    }

    fn many(&self, mut next: impl FnMut() -> Waiting + Send + 'static) -> Row {
        Row { next: Box::new(move || Some(next())), fire: self.opens_gate() }
    }

    fn one(&self, only: impl Future<Output = ()> + Send + 'static) -> Row {
        let mut only: Option<Waiting> = Some(Box::pin(only));
        Row { next: Box::new(move || only.take()), fire: self.opens_gate() }
    }

    /// Waiters that each open a scope with something in it that ends with the gate.
    fn scopes(&self, inside: fn(Arc<Event>, Own) -> Waiting) -> Row {
        let (gate, own) = (Arc::clone(&self.gate), Arc::clone(&self.own));
        self.many(move || inside(Arc::clone(&gate), Arc::clone(&own)))
    }
}

/// The name of a row, whether each of its waiters is a single future of the crate, which a panic leaves as it was, and how
/// to make it.
pub(crate) type Entry = (&'static str, bool, fn(&Bench) -> Row);

pub(crate) const ROWS: &[Entry] = &[
    ("JoinHandle", true, |bench| {
        let mut task = bench.task();
        bench.one(poll_fn(move |cx| Pin::new(&mut task).poll(cx).map(drop)))
    }),
    ("SharedJoinHandle", true, |bench| {
        let shared = bench.task().shared();
        bench.many(move || {
            let mut shared = shared.clone();
            Box::pin(poll_fn(move |cx| Pin::new(&mut shared).poll(cx).map(drop)))
        })
    }),
    ("as_completed", false, |bench| {
        let mut both = as_completed([bench.task(), bench.task()]);
        bench.one(async move { while both.next().await.is_some() {} })
    }),
    ("wait", false, |bench| {
        let mut both = vec![bench.task(), bench.task()];
        bench.one(async move { drop(wait(&mut both, When::All, Some(LONG)).await) })
    }),
    ("race", false, |bench| bench.one_of(|task| Box::pin(async move { drop(race((task, pending())).await) }))),
    ("race_all", false, |bench| bench.one_of(|task| Box::pin(async move { drop(race_all([task]).await) }))),
    ("join_all", false, |bench| bench.one_of(|task| Box::pin(async move { drop(join_all([task]).await) }))),
    ("try_join_all", false, |bench| bench.one_of(|task| Box::pin(async move { drop(try_join_all([task]).await) }))),
    ("timeout", false, |bench| bench.one_of(|task| Box::pin(async move { drop(timeout(LONG, task).await) }))),
    ("shield", false, |bench| bench.one_of(|task| Box::pin(async move { drop(shield(LONG, task).await) }))),
    ("run_until_cancelled", false, |bench| {
        bench.one_of(|task| Box::pin(async move { drop(run_until_cancelled(task).await) }))
    }),
    ("WaitCancelled", true, |bench| {
        let (waits, fires) = (bench.scope.clone(), bench.scope.clone());
        let next = move || Some(Box::pin(waits.cancelled()) as Waiting);
        Row {
            next: Box::new(next),
            fire: Box::new(move || {
                let _ = fires.cancel("fired");
            }),
        }
    }),
    ("WaitStopping", true, |bench| {
        let (waits, fires) = (bench.scope.clone(), bench.scope.clone());
        let next = move || Some(Box::pin(waits.stopping()) as Waiting);
        Row {
            next: Box::new(next),
            fire: Box::new(move || {
                let _ = fires.stop(LONG);
            }),
        }
    }),
    ("or_stopping", false, |bench| {
        let (waits, fires) = (bench.scope.clone(), bench.scope.clone());
        let next = move || {
            let waits = waits.clone();
            Some(Box::pin(async move { drop(pending::<io::Result<()>>().or_stopping(&waits).await) }) as Waiting)
        };
        Row {
            next: Box::new(next),
            fire: Box::new(move || {
                let _ = fires.stop(LONG);
            }),
        }
    }),
    ("Event", false, |bench| {
        let gate = Arc::clone(&bench.gate);
        bench.many(move || {
            let gate = Arc::clone(&gate);
            Box::pin(async move { gate.wait().await })
        })
    }),
    ("Sleep", true, |bench| {
        let at = Instant::now() + Duration::from_millis(3);
        bench.many(move || Box::pin(sleep_until(at)))
    }),
    ("Interval", false, |bench| {
        bench.many(|| {
            Box::pin(async {
                let mut ticks = ramus::interval(Duration::from_millis(2));
                ticks.tick().await;
                ticks.tick().await;
            })
        })
    }),
    ("readable", false, |bench| {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let ours = Arc::new(UnixStream::try_from(ours).unwrap());
        let next = move || {
            let ours = Arc::clone(&ours);
            let _ = ours.try_read(&mut [0]);
            Some(Box::pin(async move { ours.readable().await.unwrap() }) as Waiting)
        };
        let _ = bench;
        Row { next: Box::new(next), fire: Box::new(move || drop(io::Write::write_all(&mut &theirs, b"x"))) }
    }),
    ("read", false, |bench| {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let mut ours = UnixStream::try_from(ours).unwrap();
        let row = bench.one(async move {
            ours.read_exact(&mut [0; 2]).await.unwrap();
        });
        Row { fire: Box::new(move || drop(io::Write::write_all(&mut &theirs, b"xy"))), ..row }
    }),
    ("accept", false, |bench| {
        let listener = bench.handle.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let row = bench.one(async move { drop(listener.accept().await) });
        Row { fire: Box::new(move || drop(std::net::TcpStream::connect(address))), ..row }
    }),
    ("recv_from", false, |bench| {
        let socket = bench.handle.block_on(UdpSocket::bind("127.0.0.1:0")).unwrap();
        let address = socket.local_addr().unwrap();
        let other = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let row = bench.one(async move { drop(socket.recv_from(&mut [0; 8]).await) });
        Row { fire: Box::new(move || drop(other.send_to(b"x", address))), ..row }
    }),
    ("spawn_blocking", false, |bench| {
        let (open, gate) = mpsc::channel::<()>();
        let job = bench.scope.spawn_blocking(move |_| {
            let _ = gate.recv();
        });
        Row { fire: Box::new(move || drop(open)), ..bench.one(async move { drop(job.await) }) }
    }),
    ("unblock", false, |bench| {
        let (open, gate) = mpsc::channel::<()>();
        let row = bench.one(async move {
            ramus::blocking::unblock(move |_| {
                let _ = gate.recv();
            })
            .await
        });
        Row { fire: Box::new(move || drop(open)), ..row }
    }),
    ("spawn_when_free", false, |bench| {
        let (send, receive) = mpsc::channel();
        let gate = Arc::clone(&bench.gate);
        drop(bench.scope.spawn(async move {
            let limited = Scope::builder().task_limit(NonZeroUsize::MIN);
            let _ = limited
                .open(|s: Scope<io::Error>| async move {
                    drop(s.spawn(async move { gate.wait().await }));
                    send.send((*s).clone()).unwrap();
                    pending::<()>().await;
                })
                .await;
        }));
        let limited: ScopeHandle = receive.recv().unwrap();
        *bench.own.lock().unwrap() = Some(limited.clone());
        bench.many(move || {
            let limited = limited.clone();
            Box::pin(async move { drop(limited.spawn_when_free(async {}).await) })
        })
    }),
    ("scope, its body", false, |bench| {
        bench.scopes(|gate, own| {
            Box::pin(async move {
                let open = scope(|s: Scope<io::Error>| async move {
                    *own.lock().unwrap() = Some((*s).clone());
                    gate.wait().await;
                });
                drop(open.await);
            })
        })
    }),
    ("scope, its joiner", false, |bench| {
        bench.scopes(|gate, own| {
            Box::pin(async move {
                let open = scope(|s: Scope<io::Error>| async move {
                    *own.lock().unwrap() = Some((*s).clone());
                    drop(s.spawn(async move { gate.wait().await }));
                });
                drop(open.await);
            })
        })
    }),
    ("nested boundaries", false, |bench| {
        bench.scopes(|gate, own| {
            Box::pin(async move {
                let open = scope(|s: Scope<io::Error>| async move {
                    *own.lock().unwrap() = Some((*s).clone());
                    let _ = run_until_cancelled(timeout(LONG, shield(LONG, gate.wait()))).await;
                });
                race((async move { drop(open.await) }, pending())).await;
            })
        })
    }),
    ("start", false, |bench| {
        bench.scopes(|gate, own| {
            Box::pin(async move {
                let open = scope(|s: Scope<BoxError>| async move {
                    *own.lock().unwrap() = Some((*s).clone());
                    let child = |ready: Ready<()>| async move {
                        gate.wait().await;
                        ready.ready(())?;
                        Ok::<_, BoxError>(())
                    };
                    s.start(child).await?;
                    Ok(())
                });
                drop(open.await);
            })
        })
    }),
    ("a finalizer", false, |bench| {
        bench.scopes(|gate, own| {
            Box::pin(async move {
                let open = scope(|s: Scope<io::Error>| async move {
                    *own.lock().unwrap() = Some((*s).clone());
                    let _ = s.defer(async move { gate.wait().await });
                });
                drop(open.await);
            })
        })
    }),
    ("Supervisor", false, |bench| {
        let gate = Arc::clone(&bench.gate);
        bench.one(async move {
            let child = move || {
                let gate = Arc::clone(&gate);
                async move {
                    gate.wait().await;
                    Ok::<_, BoxError>(())
                }
            };
            drop(Supervisor::new().temporary("child", child).run().await);
        })
    }),
];

impl Bench {
    /// Waiters for a task each.
    fn one_of(&self, wait: fn(JoinHandle<u32>) -> Waiting) -> Row {
        let (gate, scope) = (Arc::clone(&self.gate), self.scope.clone());
        self.many(move || {
            let gate = Arc::clone(&gate);
            wait(scope.spawn(async move {
                gate.wait().await;
                7
            }))
        })
    }
}
