//! The head of an accept loop: `or_stopping`, `checkpoint`, `is_cancelled`.

mod common;

use std::future::{pending, ready};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use common::{runtime, wait_until, watchdog};
use ramus::net::{TcpListener, TcpStream};
use ramus::{OrStopping, Scope, checkpoint, scope, shield, yield_now};

#[test]
fn rule7_an_accept_loop_ends_when_its_scope_is_stopped_and_its_connections_are_served() {
    let _dog = watchdog();
    let runtime = runtime(2);
    let (stop, stopped) = futures_util::future::abortable(pending::<()>());
    let (address, found) = std::sync::mpsc::channel();
    let server = runtime.spawn(async move {
        let served = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&served);
        scope(|s: Scope<io::Error>| async move {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            address.send(listener.local_addr()?).unwrap();
            s.stop_on(stop, Duration::from_secs(60));
            while let Some((mut stream, _peer)) = listener.accept().or_stopping(&s).await? {
                let served = Arc::clone(&counted);
                s.spawn_try(async move {
                    let mut byte = [0];
                    stream.read_exact(&mut byte).await?;
                    stream.write_all(&byte).await?;
                    served.fetch_add(1, Ordering::SeqCst);
                    io::Result::Ok(())
                });
            }
            io::Result::Ok(())
        })
        .await?;
        io::Result::Ok(served.load(Ordering::SeqCst))
    });
    let address = found.recv().unwrap();
    runtime.block_on(async move {
        let mut early = TcpStream::connect(address).await.unwrap();
        early.write_all(b"a").await.unwrap();
        early.read_exact(&mut [0]).await.unwrap();
        // Accepted before the stop, served after it.
        let mut open = TcpStream::connect(address).await.unwrap();
        while ramus::Handle::current().metrics().tasks_spawned < 3 {
            yield_now().await;
        }
        stopped.abort();
        open.write_all(b"b").await.unwrap();
        let mut byte = [0];
        open.read_exact(&mut byte).await.unwrap();
        assert_eq!(&byte, b"b");
        assert_eq!(open.read(&mut byte).await.unwrap(), 0);
    });
    assert_eq!(runtime.block_on(server).unwrap().unwrap(), 2);
}

#[test]
fn values_and_errors_pass() {
    let _dog = watchdog();
    let outcome = runtime(1).block_on(async {
        scope(|s: Scope<io::Error>| async move {
            assert_eq!(ready(io::Result::Ok(1)).or_stopping(&s).await?, Some(1));
            let failing = ready(io::Result::<()>::Err(io::ErrorKind::AddrInUse.into()));
            assert_eq!(failing.or_stopping(&s).await.unwrap_err().kind(), io::ErrorKind::AddrInUse);
            Ok(())
        })
        .await
    });
    outcome.unwrap();
}

#[test]
fn a_stop_wins_over_what_is_always_ready() {
    let _dog = watchdog();
    let turns = runtime(1).block_on(async {
        scope(|s: Scope<io::Error>| async move {
            let mut turns = 0;
            while let Some(()) = ready(io::Result::Ok(())).or_stopping(&s).await? {
                turns += 1;
                if turns == 10 {
                    s.stop(Duration::from_secs(60));
                }
            }
            Ok(turns)
        })
        .await
    });
    assert_eq!(turns.unwrap(), 10);
}

#[test]
fn a_stop_of_an_outer_scope_counts_and_a_cancel_answers_nothing() {
    let _dog = watchdog();
    runtime(2).block_on(async {
        let seen = scope(|outer: Scope<io::Error>| async move {
            let above = outer.clone();
            let inner = scope(|s: Scope<io::Error>| async move {
                drop(s.spawn(async move {
                    yield_now().await;
                    above.stop(Duration::from_secs(60));
                }));
                pending::<io::Result<()>>().or_stopping(&s).await
            });
            Ok(inner.await?)
        });
        assert_eq!(seen.await.unwrap(), None);

        let answered = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&answered);
        let cut = scope(|s: Scope<io::Error>| async move {
            s.cancel("at once");
            let _ = pending::<io::Result<()>>().or_stopping(&s).await;
            flag.store(true, Ordering::SeqCst);
            Ok(())
        });
        assert!(cut.await.unwrap_err().is_cancelled());
        assert!(!answered.load(Ordering::SeqCst), "code went on after a cancel");
    });
}

#[test]
fn d43_d46_checkpoints_end_a_loop_that_is_cancelled_and_let_others_run() {
    let _dog = watchdog();
    let runtime = runtime(1);
    let turns = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&turns);
    let computing = runtime.spawn(async move {
        loop {
            counted.fetch_add(1, Ordering::SeqCst);
            checkpoint().await;
        }
    });
    wait_until(|| turns.load(Ordering::SeqCst) > 1_000);
    // The only worker is computing, and runs this.
    assert_eq!(runtime.block_on(runtime.spawn(async { 1 })).unwrap(), 1);
    assert!(computing.cancel("enough"));
    assert!(runtime.block_on(computing).unwrap_err().is_cancelled());
}

#[test]
fn a_checkpoint_with_budget_left_does_not_suspend() {
    let _dog = watchdog();
    let runtime = runtime(1);
    let (suspensions, handle) = (Arc::new(AtomicUsize::new(0)), runtime.handle());
    let counted = Arc::clone(&suspensions);
    let looping = runtime.spawn(async move {
        let mut inside = std::pin::pin!(async {
            for _ in 0..1_280 {
                checkpoint().await;
            }
        });
        std::future::poll_fn(move |cx| {
            counted.fetch_add(1, Ordering::SeqCst);
            inside.as_mut().poll(cx)
        })
        .await;
    });
    handle.block_on(looping).unwrap();
    let polls = suspensions.load(Ordering::SeqCst);
    assert!((10..=11).contains(&polls), "{polls} polls for ten budgets");
}

#[test]
fn d50_is_cancelled_is_false_in_a_shield() {
    let _dog = watchdog();
    assert!(!ramus::is_cancelled());
    let ended = runtime(1).block_on(async {
        scope(|s: Scope| async move {
            assert!(!ramus::is_cancelled());
            s.cancel("enough");
            assert!(ramus::is_cancelled());
            shield(Duration::from_secs(60), async {
                assert!(!ramus::is_cancelled());
                checkpoint().await;
                yield_now().await;
                assert!(!ramus::is_cancelled());
            })
            .await;
            checkpoint().await;
            Ok(())
        })
        .await
    });
    assert!(ended.unwrap_err().is_cancelled());
}
