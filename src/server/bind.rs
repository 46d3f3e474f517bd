//! TCP sockets that listen, several of one gateway on one port among them.
//!
//! Linux gives a connection to the listener whose address is the narrowest, but lets two that overlap stand side by
//! side only where both say `SO_REUSEPORT` (socket(7)). Said by the first before it is bound, a second gateway of the
//! same user could take part of its clients away; so it says it only afterwards, and whoever else has the port is
//! found out.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};

use rustix::net::sockopt::{set_socket_reuseaddr, set_socket_reuseport};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with};

/// Connections that wait to be accepted; the system caps it at net.core.somaxconn.
const BACKLOG: i32 = 4096;

/// How a listener has its port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Share {
    /// Alone.
    Alone,
    /// With later listeners of this gateway.
    First,
    /// With an earlier listener of this gateway.
    Later,
}

impl Share {
    /// Of the listener at `index` in `addresses`, which are bound in this order.
    pub(super) fn of(index: usize, addresses: &[Option<SocketAddr>]) -> Self {
        let Some(Some(own)) = addresses.get(index) else { return Self::Alone };
        let overlaps = |others: &[Option<SocketAddr>]| others.iter().flatten().any(|other| overlap(*own, *other));
        if overlaps(addresses.get(..index).unwrap_or_default()) {
            Self::Later
        } else if overlaps(addresses.get(index + 1..).unwrap_or_default()) {
            Self::First
        } else {
            Self::Alone
        }
    }
}

/// Whether one of two different addresses lies within the other, on one port. `[::]` takes IPv4 with it.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let covers = |wide: IpAddr, narrow: IpAddr| match wide {
        IpAddr::V4(ip) => ip.is_unspecified() && narrow.is_ipv4(),
        IpAddr::V6(ip) => ip.is_unspecified(),
    };
    one.port() == other.port()
        && one.port() != 0
        && one != other
        && (covers(one.ip(), other.ip()) || covers(other.ip(), one.ip()))
}

/// Binds `address` and listens.
///
/// # Errors
/// What the system says: somebody else has the port, this machine has no such address …
pub(super) fn bind_tcp(address: SocketAddr, share: Share) -> io::Result<TcpListener> {
    let socket = match share {
        Share::Alone => TcpListener::bind(address)?,
        Share::First | Share::Later => bind_shared(address, share)?,
    };
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn bind_shared(address: SocketAddr, share: Share) -> io::Result<TcpListener> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    // a port that this gateway had a moment ago still has connections that are dying down
    set_socket_reuseaddr(&socket, true)?;
    if share == Share::Later {
        set_socket_reuseport(&socket, true)?;
    }
    bind(&socket, &address)?;
    set_socket_reuseport(&socket, true)?;
    listen(&socket, BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;
    use std::time::Duration;

    use super::*;

    fn shares(addresses: &[&str]) -> Vec<Share> {
        let addresses: Vec<_> = addresses.iter().map(|text| text.parse().ok()).collect();
        (0..addresses.len()).map(|index| Share::of(index, &addresses)).collect()
    }

    #[test]
    fn port_is_shared_by_those_whose_addresses_overlap() {
        use Share::{Alone, First, Later};
        assert_eq!(shares(&["127.0.0.1:1883", "[::1]:1883", "0.0.0.0:8883"]), [Alone; 3]);
        assert_eq!(shares(&["127.0.0.1:1883", "[::1]:1883", "0.0.0.0:1883"]), [First, Alone, Later]);
        assert_eq!(shares(&["0.0.0.0:1", "/run/socket", "[::]:1"]), [First, Alone, Later]);
        assert_eq!(shares(&["127.0.0.1:1", "[::1]:1", "[::]:1"]), [First, First, Later]);
        assert_eq!(shares(&["127.0.0.1:0", "0.0.0.0:0"]), [Alone; 2]);
    }

    fn bind_all(port: u16) -> io::Result<Vec<TcpListener>> {
        let addresses = ["127.0.0.1", "0.0.0.0", "[::]"].map(|ip| format!("{ip}:{port}").parse().ok());
        let bind =
            |(index, address): (usize, &Option<SocketAddr>)| bind_tcp(address.unwrap(), Share::of(index, &addresses));
        addresses.iter().enumerate().map(bind).collect()
    }

    fn accepts(listener: &TcpListener) -> bool {
        for _ in 0..100 {
            if listener.accept().is_ok() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        false
    }

    #[test]
    fn client_meets_the_narrowest_listener_and_a_second_gateway_none() {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let listeners = bind_all(port).unwrap();
        for _ in 0..5 {
            let _client = TcpStream::connect(("127.0.0.1", port)).unwrap();
            assert!(accepts(&listeners[0]));
            let _client = TcpStream::connect(("127.0.0.2", port)).unwrap();
            assert!(accepts(&listeners[1]));
        }
        assert_eq!(bind_all(port).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert_eq!(bind_tcp(([127, 0, 0, 9], port).into(), Share::Alone).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }
}
