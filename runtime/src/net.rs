//! Sockets: TCP, UDP and Unix domain streams.
//!
//! Every operation that waits is cancelled with its scope: it becomes inert, and its task is dropped at this point. An
//! operation that is dropped leaves nothing registered.
//!
//! A socket belongs to no runtime until it has to wait; see [`TcpStream`]. The traits of `tokio`, `hyper` and `futures-io`
//! are implemented behind the features of these names.

pub use crate::io::split::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, WriteHalf};
pub use crate::io::tcp::{TcpListener, TcpStream};
pub use crate::io::udp::UdpSocket;
pub use crate::io::unix::{UnixListener, UnixStream};
pub use crate::io::{Incoming, ReadExact, ToSocketAddrs, WriteAll, WriteAllError};
