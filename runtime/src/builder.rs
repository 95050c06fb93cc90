//! Settings of a runtime, and its start.

use std::env;
use std::fmt;
use std::io;
use std::thread;
use std::time::Duration;

use ramus_timer::Timer;

use crate::blocking;
use crate::driver::Driver;
use crate::pool::{Phase, Pool, Seat};
use crate::runtime::Runtime;
use crate::sync::Arc;
use crate::task::contain::contain;
use crate::tenant::Tenant;
use crate::worker;

/// The environment variable that sets the number of workers where the program does not.
const WORKERS: &str = "RAMUS_WORKER_THREADS";

/// No machine has as many cores; a larger number is a mistake that would only exhaust memory.
const MOST_WORKERS: usize = 4096;

type Hook = Arc<Box<dyn Fn() + Send + Sync>>;

/// Settings of a [`Runtime`]. What is not set has a default that suits a server.
///
/// ```
/// use std::time::Duration;
///
/// let runtime = ramus::Builder::new_multi_thread()
///     .worker_threads(2)
///     .name("crawler")
///     .shutdown_timeout(Duration::from_secs(5))
///     .build()?;
/// assert_eq!(runtime.block_on(async { 42 }), 42);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
#[must_use = "a builder does nothing until `build`"]
pub struct Builder {
    workers: Option<usize>,
    name: String,
    thread_name: Option<String>,
    stack_size: Option<usize>,
    blocking: blocking::Settings,
    shutdown_timeout: Duration,
    on_start: Option<Hook>,
    on_stop: Option<Hook>,
}

impl fmt::Debug for Builder {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Builder")
            .field("workers", &self.workers)
            .field("name", &self.name)
            .field("thread_name", &self.thread_name)
            .field("stack_size", &self.stack_size)
            .field("shutdown_timeout", &self.shutdown_timeout)
            .finish_non_exhaustive()
    }
}

impl Builder {
    /// A runtime with one worker per core.
    pub fn new_multi_thread() -> Builder {
        Builder {
            workers: None,
            name: String::from("ramus"),
            thread_name: None,
            stack_size: None,
            blocking: blocking::Settings::default(),
            shutdown_timeout: Duration::from_secs(10),
            on_start: None,
            on_stop: None,
        }
    }

    /// The number of workers. Default: the environment variable `RAMUS_WORKER_THREADS`, else the number of cores.
    ///
    /// ```
    /// let runtime = ramus::Builder::new_multi_thread().worker_threads(4).build()?;
    /// # drop(runtime);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn worker_threads(mut self, workers: usize) -> Builder {
        self.workers = Some(workers);
        self
    }

    /// The name of the runtime, which is that of its root scope. Default: `ramus`.
    pub fn name(mut self, name: impl Into<String>) -> Builder {
        self.name = name.into();
        self
    }

    /// The beginning of the workers' thread names, which a number follows. Default: the name of the runtime. The system
    /// shows 15 bytes of it.
    ///
    /// ```
    /// let runtime = ramus::Builder::new_multi_thread().thread_name("net").build()?;
    /// # drop(runtime);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn thread_name(mut self, name: impl Into<String>) -> Builder {
        self.thread_name = Some(name.into());
        self
    }

    /// The stack of each worker and each thread for blocking jobs, in bytes. Default: the standard library's, 2 MiB.
    ///
    /// ```
    /// let runtime = ramus::Builder::new_multi_thread().thread_stack_size(4 << 20).build()?;
    /// # drop(runtime);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn thread_stack_size(mut self, bytes: usize) -> Builder {
        self.stack_size = Some(bytes);
        self
    }

    /// The largest number of threads for blocking jobs. Default: 512.
    ///
    /// ```
    /// let runtime = ramus::Builder::new_multi_thread().max_blocking_threads(16).build()?;
    /// # drop(runtime);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn max_blocking_threads(mut self, threads: usize) -> Builder {
        self.blocking.max_threads = threads;
        self
    }

    /// How long a thread for blocking jobs waits for the next job before it ends. Default: 10 s.
    ///
    /// ```
    /// let runtime = ramus::Builder::new_multi_thread().blocking_keep_alive(std::time::Duration::from_secs(1)).build()?;
    /// # drop(runtime);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn blocking_keep_alive(mut self, keep_alive: Duration) -> Builder {
        self.blocking.keep_alive = keep_alive;
        self
    }

    /// How long dropping the runtime waits for its tasks after it has cancelled them. Default: 10 s.
    ///
    /// ```
    /// let runtime = ramus::Builder::new_multi_thread().shutdown_timeout(std::time::Duration::from_secs(30)).build()?;
    /// # drop(runtime);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn shutdown_timeout(mut self, timeout: Duration) -> Builder {
        self.shutdown_timeout = timeout;
        self
    }

    /// Called on each worker before it runs a task.
    ///
    /// ```
    /// let runtime = ramus::Builder::new_multi_thread().on_thread_start(|| println!("a worker starts")).build()?;
    /// # drop(runtime);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn on_thread_start(mut self, hook: impl Fn() + Send + Sync + 'static) -> Builder {
        self.on_start = Some(Arc::new(Box::new(hook)));
        self
    }

    /// Called on each worker after it has run its last task.
    ///
    /// ```
    /// let runtime = ramus::Builder::new_multi_thread().on_thread_stop(|| println!("a worker ends")).build()?;
    /// # drop(runtime);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn on_thread_stop(mut self, hook: impl Fn() + Send + Sync + 'static) -> Builder {
        self.on_stop = Some(Arc::new(Box::new(hook)));
        self
    }

    /// Starts the runtime.
    ///
    /// ```
    /// let error = ramus::Builder::new_multi_thread().worker_threads(0).build().unwrap_err();
    /// assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    /// ```
    ///
    /// # Errors
    ///
    /// * [`io::ErrorKind::InvalidInput`]: zero workers or more than 4096, zero blocking threads, a value of
    ///   `RAMUS_WORKER_THREADS` that is no such number.
    /// * What the system says if it refuses a thread or a descriptor. What was started until then is stopped again.
    #[track_caller]
    pub fn build(self) -> io::Result<Runtime> {
        let workers = self.count_workers()?;
        self.blocking.check()?;
        // Everything that can be refused for want of descriptors comes first.
        let mut drivers = Vec::with_capacity(workers);
        for _ in 0..workers {
            drivers.push(Driver::new()?);
        }
        let pool = Pool::take(workers);
        let blocking = blocking::Pool::new(self.blocking.clone(), self.stack_size);
        let tenant = Arc::new(Tenant::new(pool, self.name.clone(), blocking));
        let seat = |(index, driver): (usize, Arc<Driver>)| Seat {
            driver,
            timer: Timer::with_notify(pool.clock().clone(), move || pool.unpark(index)),
        };
        let seats: Vec<Seat> = drivers.into_iter().enumerate().map(seat).collect();
        pool.open(Arc::clone(&tenant), seats.clone());
        pool.expect(workers);
        let mut threads = Vec::with_capacity(workers);
        for (index, seat) in seats.into_iter().enumerate() {
            match self.start_worker(pool, index, seat, &tenant) {
                Ok(thread) => threads.push(thread),
                Err(error) => {
                    stop_started(pool, workers - index, &tenant, threads);
                    return Err(error);
                }
            }
        }
        let handle = tenant.handle(pool);
        Ok(Runtime::started(handle, tenant, threads, self.shutdown_timeout))
    }

    fn start_worker(
        &self,
        pool: &'static Pool,
        index: usize,
        seat: Seat,
        tenant: &Arc<Tenant>,
    ) -> io::Result<thread::JoinHandle<()>> {
        let name = self.thread_name.as_deref().unwrap_or(&self.name);
        // A thread's name ends at the first NUL, and one inside it is refused by the standard library with a panic.
        let name = format!("{}-{index}", name.replace('\0', ""));
        let mut builder = thread::Builder::new().name(name);
        if let Some(bytes) = self.stack_size {
            builder = builder.stack_size(bytes);
        }
        let tenant = Arc::clone(tenant);
        let (on_start, on_stop) = (self.on_start.clone(), self.on_stop.clone());
        builder.spawn(move || {
            // Leaving is counted however the thread ends.
            let _leaving = Leaving(pool);
            call(on_start.as_ref());
            worker::run(pool, index, seat, &tenant);
            call(on_stop.as_ref());
            drop(tenant);
        })
    }

    fn count_workers(&self) -> io::Result<usize> {
        let invalid = |text: String| io::Error::new(io::ErrorKind::InvalidInput, text);
        match self.workers {
            Some(0) => {
                return Err(invalid("worker_threads(0): a runtime needs at least one worker".into()));
            }
            Some(workers) if workers > MOST_WORKERS => {
                return Err(invalid(format!("worker_threads({workers}): at most {MOST_WORKERS} workers are possible")));
            }
            Some(workers) => return Ok(workers),
            None => {}
        }
        match env::var_os(WORKERS) {
            None => Ok(num_cpus::get().clamp(1, MOST_WORKERS)),
            Some(value) => value
                .to_str()
                .and_then(|text| text.trim().parse::<usize>().ok())
                .filter(|workers| (1..=MOST_WORKERS).contains(workers))
                .ok_or_else(|| {
                    invalid(format!("{WORKERS} must be a number from 1 to {MOST_WORKERS}, and is {value:?}"))
                }),
        }
    }
}

impl Default for Builder {
    fn default() -> Self {
        Self::new_multi_thread()
    }
}

/// The worker has left when this is dropped.
struct Leaving(&'static Pool);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.leave();
    }
}

fn call(hook: Option<&Hook>) {
    if let Some(hook) = hook {
        // A hook that panics has been reported by the panic hook; the worker works all the same.
        contain(|| hook());
    }
}

/// A thread was refused: those that run are stopped and joined, those that never started are counted as left.
fn stop_started(pool: &'static Pool, missing: usize, tenant: &Arc<Tenant>, threads: Vec<thread::JoinHandle<()>>) {
    tenant.close();
    pool.advance(Phase::Leaving);
    for _ in 0..missing {
        pool.leave();
    }
    for thread in threads {
        let _ = thread.join();
    }
    pool.recycle();
}
