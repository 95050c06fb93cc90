//! Finalizers and started children on real workers.

mod common;

use std::future::pending;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{runtime, watchdog};
use ramus::net::{TcpListener, TcpStream};
use ramus::{Ready, Scope, ScopeHandle, scope, sleep, spawn_blocking, yield_now};

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn d28_d30_finalizers_of_scopes_that_end_or_are_dropped_run_before_the_scope_around_ends() {
    let _dog = watchdog();
    for workers in [1, 2, 4] {
        let runtime = runtime(workers);
        let begun = Arc::new(AtomicUsize::new(0));
        let ended = Arc::new(AtomicUsize::new(0));
        let (begin, end) = (Arc::clone(&begun), Arc::clone(&ended));
        let seen = runtime.block_on(async move {
            let all = Arc::clone(&end);
            scope(|s: Scope<io::Error>| async move {
                for n in 0..400_u64 {
                    let (begin, end) = (Arc::clone(&begin), Arc::clone(&end));
                    s.spawn(async move {
                        let inner = scope(|s: Scope<io::Error>| async move {
                            begin.fetch_add(1, Ordering::Relaxed);
                            s.defer(async move {
                                yield_now().await;
                                sleep(Duration::from_micros(n)).await;
                                // Its own scope admits nothing any more: a scope for the job.
                                let one = scope(|_: Scope<io::Error>| async {
                                    let job = spawn_blocking(|| 1).await;
                                    job.map_err(io::Error::from)
                                });
                                end.fetch_add(one.await.unwrap(), Ordering::Relaxed);
                            })
                            .unwrap();
                            s.spawn(sleep(Duration::from_micros(n % 50)));
                            Ok(())
                        });
                        if n % 2 == 0 {
                            inner.await.unwrap();
                        } else {
                            // Dropped half-way, in whatever phase it is.
                            let inner = Box::pin(inner);
                            let _ = futures_util::future::select(inner, Box::pin(yield_now())).await;
                        }
                    });
                }
                Ok(())
            })
            .await
            .unwrap();
            all.load(Ordering::Relaxed)
        });
        assert_eq!((begun.load(Ordering::Relaxed), seen), (400, 400), "{workers} workers");
    }
}

#[test]
fn d21_an_overrun_is_reported_and_the_scope_goes_on() {
    let _dog = watchdog();
    let reports = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&reports);
    ramus::set_report_hook(move |report| kept.lock().unwrap().push((report.kind(), report.to_string())));
    let runtime = runtime(2);
    let value = runtime.block_on(async {
        scope(|s: Scope<io::Error>| async move {
            s.defer_within(Duration::from_millis(5), pending()).unwrap();
            Ok(1)
        })
        .await
    });
    assert_eq!(value.unwrap(), 1);
    let reports = std::mem::take(&mut *reports.lock().unwrap());
    assert_eq!(reports.len(), 1);
    assert_eq!(reports[0].0, ramus::ReportKind::FinalizerOverrun);
    assert!(reports[0].1.starts_with("a finalizer ran over its budget of 5ms and is cut"), "{}", reports[0].1);
    ramus::reset_report_hook();
}

#[test]
fn d48_the_finalizers_of_a_runtimes_root_run_at_its_shutdown() {
    let _dog = watchdog();
    let ran = Arc::new(AtomicUsize::new(0));
    let runtime = runtime(2);
    let root: ScopeHandle = runtime.handle().root().unwrap();
    for _ in 0..3 {
        let ran = Arc::clone(&ran);
        root.defer(async move {
            sleep(Duration::from_millis(1)).await;
            ran.fetch_add(1, Ordering::Relaxed);
        })
        .unwrap();
    }
    drop(runtime.spawn(sleep(HOUR)));
    assert!(runtime.shutdown_timeout(HOUR).is_clean());
    assert_eq!(ran.load(Ordering::Relaxed), 3);
    assert!(root.defer(async {}).is_err());
}

async fn serve(listener: TcpListener) -> io::Result<()> {
    loop {
        let (mut stream, _) = listener.accept().await?;
        stream.write_all(b"x").await?;
    }
}

#[test]
fn d42_a_server_is_started_and_serves_until_its_scope_is_cancelled() {
    let _dog = watchdog();
    let runtime = runtime(2);
    let error = runtime.block_on(async {
        scope(|s: Scope<io::Error>| async move {
            let address = s
                .start(|ready: Ready<std::net::SocketAddr>| async move {
                    let listener = TcpListener::bind("127.0.0.1:0").await?;
                    ready.ready(listener.local_addr()?)?;
                    serve(listener).await
                })
                .await?;
            for _ in 0..3 {
                let mut byte = [0];
                TcpStream::connect(address).await?.read_exact(&mut byte).await?;
                assert_eq!(&byte, b"x");
            }
            // The port is taken: this one fails before it is ready, and the scope goes on.
            let taken = s
                .start(|ready: Ready<()>| async move {
                    let _listener = TcpListener::bind(address).await?;
                    ready.ready(())?;
                    io::Result::Ok(())
                })
                .await;
            assert!(taken.unwrap_err().is_failed());
            s.cancel("enough");
            pending::<()>().await;
            Ok(())
        })
        .await
    });
    assert!(error.unwrap_err().is_cancelled());
}

#[test]
fn d03_guaranteed_children_are_polled_although_the_cancel_is_faster() {
    let _dog = watchdog();
    let runtime = runtime(2);
    let polled = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&polled);
    let error = runtime.block_on(scope(|s: Scope<io::Error>| async move {
        for _ in 0..2000 {
            let counted = Arc::clone(&counted);
            s.start_guaranteed(async move {
                counted.fetch_add(1, Ordering::Relaxed);
                pending::<()>().await;
            });
        }
        s.cancel("before most of them were polled");
        Ok(())
    }));
    assert!(error.unwrap_err().is_cancelled());
    assert_eq!(polled.load(Ordering::Relaxed), 2000);
}
