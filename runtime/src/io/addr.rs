//! Addresses: literal ones cost nothing, names are resolved on a thread of the blocking pool.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::slice;

/// What can be turned into socket addresses: everything that [`std::net::ToSocketAddrs`] takes.
///
/// Addresses and literals such as `"127.0.0.1:80"` are used as they are. A host name is resolved by the system's
/// resolver on a thread of the blocking pool, in the scope of the calling task.
///
/// This trait is sealed.
///
/// ```
/// use ramus::net::TcpListener;
///
/// # async fn example() -> std::io::Result<()> {
/// TcpListener::bind("127.0.0.1:8080").await?;
/// TcpListener::bind(("localhost", 8080)).await?; // looked up on a thread where that may block
/// TcpListener::bind(std::net::SocketAddr::from(([127, 0, 0, 1], 8080))).await?;
/// # Ok(())
/// # }
/// ```
pub trait ToSocketAddrs: sealed::ToTarget {}

impl<T: sealed::ToTarget + ?Sized> ToSocketAddrs for T {}

/// The addresses to be tried, in order; at least one.
pub(crate) async fn resolve(addr: impl ToSocketAddrs) -> io::Result<Addrs> {
    let target = addr.target()?;
    // What was passed in is not kept over the wait: it need not be `Send`.
    drop(addr);
    let addrs = match target {
        sealed::Target::Known(addrs) => addrs,
        sealed::Target::Name(host, port) => Addrs::Several(look_up(host, port).await?),
    };
    if addrs.as_slice().is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "no socket address to use"));
    }
    Ok(addrs)
}

/// Socket addresses; one costs no allocation.
#[derive(Debug)]
pub enum Addrs {
    One(SocketAddr),
    Several(Vec<SocketAddr>),
}

impl Addrs {
    pub(crate) fn as_slice(&self) -> &[SocketAddr] {
        match self {
            Self::One(addr) => slice::from_ref(addr),
            Self::Several(addrs) => addrs,
        }
    }
}

async fn look_up(host: String, port: u16) -> io::Result<Vec<SocketAddr>> {
    let ask = move |_job: &_| std::net::ToSocketAddrs::to_socket_addrs(&(host.as_str(), port)).map(Vec::from_iter);
    crate::blocking::unblock(ask).await
}

mod sealed {
    use super::*;

    pub enum Target {
        Known(Addrs),
        Name(String, u16),
    }

    pub trait ToTarget {
        fn target(&self) -> io::Result<Target>;
    }

    macro_rules! known {
        ($($type:ty),*) => {
            $(
                impl ToTarget for $type {
                    fn target(&self) -> io::Result<Target> {
                        Ok(Target::Known(Addrs::One(SocketAddr::from(*self))))
                    }
                }
            )*
        };
    }
    known!(SocketAddr, SocketAddrV4, SocketAddrV6, (IpAddr, u16), (Ipv4Addr, u16), (Ipv6Addr, u16));

    impl ToTarget for [SocketAddr] {
        fn target(&self) -> io::Result<Target> {
            Ok(Target::Known(Addrs::Several(self.to_vec())))
        }
    }

    impl<const N: usize> ToTarget for [SocketAddr; N] {
        fn target(&self) -> io::Result<Target> {
            Ok(Target::Known(Addrs::Several(self.to_vec())))
        }
    }

    impl ToTarget for Vec<SocketAddr> {
        fn target(&self) -> io::Result<Target> {
            Ok(Target::Known(Addrs::Several(self.clone())))
        }
    }

    impl ToTarget for (&str, u16) {
        fn target(&self) -> io::Result<Target> {
            let (host, port) = *self;
            Ok(match host.parse::<IpAddr>() {
                Ok(ip) => Target::Known(Addrs::One(SocketAddr::new(ip, port))),
                Err(_) => Target::Name(host.to_owned(), port),
            })
        }
    }

    impl ToTarget for (String, u16) {
        fn target(&self) -> io::Result<Target> {
            (self.0.as_str(), self.1).target()
        }
    }

    impl ToTarget for str {
        fn target(&self) -> io::Result<Target> {
            if let Ok(addr) = self.parse() {
                return Ok(Target::Known(Addrs::One(addr)));
            }
            let invalid = |what| io::Error::new(io::ErrorKind::InvalidInput, format!("{self:?}: {what}"));
            let (host, port) = self.rsplit_once(':').ok_or_else(|| invalid("a port is missing, as in host:80"))?;
            let port = port.parse().map_err(|_| invalid("the port is not a number from 0 to 65535"))?;
            (host, port).target()
        }
    }

    impl ToTarget for String {
        fn target(&self) -> io::Result<Target> {
            self.as_str().target()
        }
    }

    impl<T: ToTarget + ?Sized> ToTarget for &T {
        fn target(&self) -> io::Result<Target> {
            (**self).target()
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        fn known(addr: impl ToTarget) -> Vec<String> {
            match addr.target().unwrap() {
                Target::Known(addrs) => addrs.as_slice().iter().map(ToString::to_string).collect(),
                Target::Name(host, port) => panic!("{host}:{port} is no literal"),
            }
        }

        #[test]
        fn literals_need_no_resolver() {
            assert_eq!(known("127.0.0.1:80"), ["127.0.0.1:80"]);
            assert_eq!(known("[::1]:80".to_owned()), ["[::1]:80"]);
            assert_eq!(known(("10.0.0.1", 1)), ["10.0.0.1:1"]);
            assert_eq!(known((Ipv6Addr::LOCALHOST, 2)), ["[::1]:2"]);
            let several = [SocketAddr::from(([1, 2, 3, 4], 5)), SocketAddr::from(([6, 7, 8, 9], 10))];
            assert_eq!(known(&several[..]), ["1.2.3.4:5", "6.7.8.9:10"]);
        }

        #[test]
        fn names_are_left_to_the_resolver_and_nonsense_is_named() {
            assert!(matches!("localhost:8080".target(), Ok(Target::Name(host, 8080)) if host == "localhost"));
            for nonsense in ["localhost", "localhost:http", "localhost:65536", ""] {
                let Err(error) = nonsense.target() else { panic!("{nonsense:?} was taken") };
                assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
                assert!(error.to_string().contains("port"), "{error}");
            }
        }
    }
}
