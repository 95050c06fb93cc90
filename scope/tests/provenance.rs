//! Where a cancel came from: its kind, its site, its path of scopes; and the reasons that came later.
#![allow(missing_docs)]

mod common;

use std::future::pending;
use std::io;
use std::panic::Location;
use std::time::Duration;

use common::Sim;
use futures_util::future::BoxFuture;
use ramus_scope::{CutOn, Reason, ReasonKind, Root, Scope, ScopeHandle, run_until_cancelled, scope, shield};

const LONG: u64 = 1_000_000;

#[track_caller]
fn here() -> u32 {
    Location::caller().line()
}

fn line(reason: &Reason) -> u32 {
    let site = reason.site().expect("every cancel of a scope has a site");
    assert!(site.file().ends_with("provenance.rs"), "{site}");
    site.line()
}

fn names(reason: &Reason) -> Vec<&str> {
    reason.path().scopes().iter().map(|scope| scope.name().unwrap_or("?")).collect()
}

#[test]
fn d05_a_reason_knows_its_site_and_its_path() {
    let sim = Sim::new();
    let root = Root::new(sim.clone(), "root");
    let (send, handles) = std::sync::mpsc::channel::<ScopeHandle<Sim>>();
    drop(root.handle().spawn(async move {
        let server = Scope::<Sim>::builder().name("server");
        server
            .open(|_: Scope<Sim, io::Error>| async move {
                scope(|nameless: Scope<Sim, io::Error>| async move {
                    let request = Scope::<Sim>::builder().name("request");
                    nameless.spawn(async move {
                        let _ = request
                            .open(|s: Scope<Sim, io::Error>| async move {
                                send.send((*s).clone()).unwrap();
                                pending::<()>().await;
                                Ok(())
                            })
                            .await;
                    });
                    Ok(())
                })
                .await
                .unwrap();
                Ok(())
            })
            .await
    }));
    sim.settle();
    let request = handles.recv().unwrap();
    let (_, at) = (request.cancel("lost the race"), here());
    let reason = request.reason().unwrap();
    assert_eq!((reason.kind(), line(&reason)), (ReasonKind::User, at));
    assert_eq!(names(&reason), ["root", "server", "?", "request"]);
    assert_eq!((reason.scope(), reason.path().elided()), (Some("request"), 0));
    let nameless = &reason.path().scopes()[2];
    assert_eq!(nameless.to_string(), format!("{}:{}", file!(), nameless.site().line()));
    assert_eq!(reason.to_string(), "cancelled: lost the race");
    let site = format!("{}:{at}", file!());
    assert_eq!(
        format!("{reason:#}"),
        format!("cancelled: lost the race at {site} in root/server/({nameless})/request")
    );
    assert!(format!("{reason:?}").contains("root/server/"));
    sim.settle();
    root.close();
}

#[test]
fn d05_below_the_origin_the_path_is_that_of_the_origin() {
    let sim = Sim::new();
    let root = Root::new(sim.clone(), "root");
    let (send, handles) = std::sync::mpsc::channel::<ScopeHandle<Sim>>();
    drop(root.handle().spawn(Scope::<Sim>::builder().name("below").open(|s: Scope<Sim, io::Error>| async move {
        send.send((*s).clone()).unwrap();
        pending::<()>().await;
        Ok(())
    })));
    sim.settle();
    root.handle().cancel(ReasonKind::ClientGone);
    let reason = handles.recv().unwrap().reason().unwrap();
    assert_eq!((reason.kind(), reason.origin().kind()), (ReasonKind::Parent, ReasonKind::ClientGone));
    assert_eq!((names(&reason), reason.scope()), (vec!["root"], Some("root")));
    assert_eq!(reason.to_string(), "cancelled: client gone");
    sim.settle();
    root.close();
}

#[test]
fn d05_a_reason_that_started_nowhere_has_an_empty_path() {
    let reason = Reason::from("enough");
    assert!(reason.path().scopes().is_empty() && reason.scope().is_none() && reason.site().is_none());
    assert_eq!((reason.path().to_string(), format!("{reason:#}")), (String::new(), "cancelled: enough".to_owned()));
}

#[test]
fn d05_a_long_path_keeps_both_ends() {
    fn nested(left: u32, send: std::sync::mpsc::Sender<Reason>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let named = Scope::<Sim>::builder().name(format!("s{left}"));
            let _ = named
                .open(|s: Scope<Sim, io::Error>| async move {
                    if left == 0 {
                        s.cancel("deep");
                        send.send(s.reason().unwrap()).unwrap();
                    } else {
                        nested(left - 1, send).await;
                    }
                    Ok(())
                })
                .await;
        })
    }
    let path = |depth: u32| {
        let (send, reasons) = std::sync::mpsc::channel();
        Sim::new().run(nested(depth - 1, send));
        reasons.recv().unwrap()
    };
    let whole = path(16);
    assert_eq!((whole.path().scopes().len(), whole.path().elided()), (16, 0));
    let long = path(20);
    assert_eq!((long.path().scopes().len(), long.path().elided()), (16, 4));
    assert_eq!(long.path().to_string(), "s19/s18/s17/s16/s15/s14/s13/s12/(4 more)/s7/s6/s5/s4/s3/s2/s1/s0");
    let short = path(10);
    assert_eq!((short.path().scopes().len(), short.path().elided()), (10, 0));
    assert_eq!(names(&short)[0], "s9");
}

#[test]
fn d05_the_first_reason_stays_and_a_few_later_ones_are_kept() {
    let sim = Sim::new();
    let root = Root::new(sim.clone(), "root");
    let handle = root.handle();
    for n in 0..10 {
        assert_eq!(handle.cancel(format!("number {n}")), n == 0);
    }
    handle.kill("number 10");
    assert_eq!(handle.reason().unwrap().message(), Some("number 0"));
    let later = handle.later_reasons();
    let kept: Vec<_> = later.iter().map(|reason| reason.message().unwrap()).collect();
    assert_eq!(kept, ["number 1", "number 2", "number 3", "number 4"]);
    assert_eq!(later.dropped(), 6);
    root.close();
}

#[test]
fn d05_later_failures_are_counted() {
    let sim = Sim::new();
    let handle = sim.run(async {
        let (send, handle) = std::sync::mpsc::channel();
        let error = scope(|s: Scope<Sim, io::Error>| async move {
            send.send((*s).clone()).unwrap();
            for _ in 0..20 {
                // They fail in a shield: each of them after the first one's cancel.
                drop(s.spawn_try(shield(Duration::MAX, async {
                    Sim::sleep(1).await;
                    Err::<(), _>(io::Error::other("no"))
                })));
            }
            Ok(())
        })
        .await
        .unwrap_err();
        assert_eq!(error.errors().len(), 20);
        handle.recv().unwrap()
    });
    let later = handle.later_reasons();
    assert_eq!((later.len(), later.dropped()), (4, 15));
}

#[test]
fn d05_every_cancel_of_our_own_has_a_site_that_helps() {
    let sim = Sim::new();
    // A child's error: where it was spawned.
    let (error, at) = sim.run(async {
        let (send, at) = std::sync::mpsc::channel();
        let result = scope(|s: Scope<Sim, io::Error>| async move {
            let (_child, at) = (s.spawn_try(async { Err::<(), _>(io::Error::other("no")) }), here());
            send.send(at).unwrap();
            Ok(())
        });
        (result.await.unwrap_err(), at.recv().unwrap())
    });
    assert_eq!((error.reason().unwrap().kind(), line(error.reason().unwrap())), (ReasonKind::SiblingFailed, at));
    // The body's: where the scope was opened.
    let (error, at) = sim.run(async {
        let (opened, at) = (scope(|_: Scope<Sim, io::Error>| async { Err::<(), _>(io::Error::other("no")) }), here());
        (opened.await.unwrap_err(), at)
    });
    assert_eq!((error.reason().unwrap().kind(), line(error.reason().unwrap())), (ReasonKind::BodyFailed, at));
    // A deadline: where it was set.
    let due = sim.instant(1);
    let (error, at) = sim.run(async move {
        let (send, at) = std::sync::mpsc::channel();
        let result = scope(|s: Scope<Sim, io::Error>| async move {
            let (_moved, at) = (s.set_deadline(due).unwrap(), here());
            send.send(at).unwrap();
            pending::<()>().await;
            Ok(())
        });
        (result.await.unwrap_err(), at.recv().unwrap())
    });
    assert_eq!((error.reason().unwrap().kind(), line(error.reason().unwrap())), (ReasonKind::Deadline, at));
    // A stop: where it was called.
    let root = Root::new(sim.clone(), "root");
    let (_, at) = (root.handle().stop(Duration::from_millis(5)), here());
    while sim.advance() {}
    let reason = root.handle().reason().unwrap();
    assert_eq!((reason.kind(), line(&reason), names(&reason)), (ReasonKind::Shutdown, at, vec!["root"]));
    root.close();
}

#[test]
fn d05_what_ends_by_a_budget_or_a_timeout_says_which() {
    async fn caught() -> Reason {
        run_until_cancelled(pending::<()>()).await.unwrap_err().reason().clone()
    }
    let sim = Sim::new();
    let (send, reasons) = std::sync::mpsc::channel();
    let lines = sim.run_task(async move {
        let (limit, first) = (
            CutOn::new(
                async {
                    send.send(caught().await).unwrap();
                },
                Sim::sleep(1),
            ),
            here(),
        );
        let _ = limit.await;
        let (out, second) = std::sync::mpsc::channel();
        let _ = Scope::<Sim>::builder()
            .name("holder")
            .open(|s: Scope<Sim, io::Error>| async move {
                s.spawn(async move {
                    let (held, at) = (
                        shield(Duration::from_millis(5), async {
                            let inner = send.clone();
                            let _ = scope(|inside: Scope<Sim, io::Error>| async move {
                                inside.on_cancel(move |reason| inner.send(reason.clone()).unwrap()).detach();
                                Sim::sleep(LONG).await;
                                Ok(())
                            })
                            .await;
                        }),
                        here(),
                    );
                    out.send(at).unwrap();
                    held.await;
                });
                Sim::sleep(1).await;
                s.cancel("soon");
                Ok(())
            })
            .await;
        (first, second.recv().unwrap())
    });
    let lines = lines.unwrap();
    let timeout = reasons.recv().unwrap();
    assert_eq!(timeout.kind(), ReasonKind::Deadline);
    assert!(lines.0 - line(&timeout) < 10 && names(&timeout) == ["root"], "{timeout:#}");
    let budget = reasons.recv().unwrap();
    assert_eq!((budget.kind(), budget.origin().kind()), (ReasonKind::Parent, ReasonKind::ShieldBudget));
    assert!(lines.1 - line(&budget) < 15, "{budget:#}");
    assert_eq!(names(&budget), ["root", "holder"]);
}
