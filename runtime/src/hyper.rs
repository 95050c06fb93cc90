//! What `hyper` asks of a runtime: an executor and a timer. The streams implement `hyper::rt::{Read, Write}` themselves.

pub use crate::hyper_io::RamusExecutor;
pub use crate::hyper_timer::RamusTimer;
