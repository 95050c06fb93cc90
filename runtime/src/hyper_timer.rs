//! hyper's timer on this runtime's.

use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::rt;

use crate::time::{self, Duration, Instant};

/// The timer to hand to hyper, for its header-read and keep-alive deadlines.
///
/// The sleeps it makes are leaves of the task that polls them, and a reset reuses the registered entry.
///
/// ```
/// use hyper::rt::Timer;
/// use ramus::hyper::RamusTimer;
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// ramus::Runtime::new()?.block_on(async {
///     let mut sleep = RamusTimer.sleep(Duration::from_secs(3600));
///     RamusTimer.reset(&mut sleep, RamusTimer.now() + Duration::from_millis(1));
///     sleep.await;
/// });
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct RamusTimer;

/// A sleep in the shape that hyper wants.
struct HyperSleep(time::Sleep);

impl Future for HyperSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl rt::Sleep for HyperSleep {}

impl rt::Timer for RamusTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn rt::Sleep>> {
        Box::pin(HyperSleep(time::sleep(duration)))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn rt::Sleep>> {
        Box::pin(HyperSleep(time::sleep_until(deadline)))
    }

    fn now(&self) -> Instant {
        time::now()
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn rt::Sleep>>, deadline: Instant) {
        match sleep.as_mut().downcast_mut_pin::<HyperSleep>() {
            Some(sleep) => Pin::new(&mut sleep.get_mut().0).reset(deadline),
            // Made by another timer.
            None => *sleep = self.sleep_until(deadline),
        }
    }
}
