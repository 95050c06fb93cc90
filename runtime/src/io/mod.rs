//! Sockets: a source is a descriptor with its readiness; the socket types are thin layers over it.

mod accept;
mod addr;
pub(crate) mod methods;
pub(crate) mod source;
pub(crate) mod split;
pub(crate) mod stream;
pub(crate) mod tcp;
#[cfg(test)]
mod tests;
pub(crate) mod udp;
pub(crate) mod unix;
pub(crate) mod whole;

pub use accept::Incoming;
pub use addr::ToSocketAddrs;
pub use whole::{ReadExact, WriteAll, WriteAllError};
