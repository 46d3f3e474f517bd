//! TCP listeners, of which several of one gateway may have the same port.
//!
//! Linux hands a connection to the listener with the most specific address, but allows two overlapping listeners only
//! if both set `SO_REUSEPORT` (socket(7)). If the first one set it before it is bound, a second gateway of the same
//! user could bind the port as well and get some of its clients. So it is set after binding, and a port in use is an
//! error.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};

use rustix::net::sockopt::{set_socket_reuseaddr, set_socket_reuseport};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with};

/// Connections that wait to be accepted; the system caps it at net.core.somaxconn.
const BACKLOG: i32 = 4096;

/// Whether a listener shares its port with others of this gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PortSharing {
    /// No other listener has the port.
    Alone,
    /// Listeners that are bound later share the port.
    First,
    /// A listener that was bound earlier has the port.
    Later,
}

impl PortSharing {
    /// Returns how the listener at `index` of `addresses`, which are bound in this order, shares its port.
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

/// Returns whether one of two different addresses with the same port covers the other. `[::]` covers IPv4 as well.
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
/// The error of the system: the port is in use, this machine has no such address …
pub(super) fn bind_tcp(address: SocketAddr, sharing: PortSharing) -> io::Result<TcpListener> {
    let socket = match sharing {
        PortSharing::Alone => TcpListener::bind(address)?,
        PortSharing::First | PortSharing::Later => bind_shared(address, sharing)?,
    };
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn bind_shared(address: SocketAddr, sharing: PortSharing) -> io::Result<TcpListener> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    // the port may have connections in TIME_WAIT from before a restart
    set_socket_reuseaddr(&socket, true)?;
    if sharing == PortSharing::Later {
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

    fn shares(addresses: &[&str]) -> Vec<PortSharing> {
        let addresses: Vec<_> = addresses.iter().map(|text| text.parse().ok()).collect();
        (0..addresses.len()).map(|index| PortSharing::of(index, &addresses)).collect()
    }

    #[test]
    fn port_is_shared_by_those_whose_addresses_overlap() {
        use PortSharing::{Alone, First, Later};
        assert_eq!(shares(&["127.0.0.1:1883", "[::1]:1883", "0.0.0.0:8883"]), [Alone; 3]);
        assert_eq!(shares(&["127.0.0.1:1883", "[::1]:1883", "0.0.0.0:1883"]), [First, Alone, Later]);
        assert_eq!(shares(&["0.0.0.0:1", "/run/socket", "[::]:1"]), [First, Alone, Later]);
        assert_eq!(shares(&["127.0.0.1:1", "[::1]:1", "[::]:1"]), [First, First, Later]);
        assert_eq!(shares(&["127.0.0.1:0", "0.0.0.0:0"]), [Alone; 2]);
    }

    fn bind_all(port: u16) -> io::Result<Vec<TcpListener>> {
        let addresses = ["127.0.0.1", "0.0.0.0", "[::]"].map(|ip| format!("{ip}:{port}").parse().ok());
        let bind = |(index, address): (usize, &Option<SocketAddr>)| {
            bind_tcp(address.unwrap(), PortSharing::of(index, &addresses))
        };
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
    fn client_reaches_the_most_specific_listener_and_a_second_gateway_cannot_bind() {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let listeners = bind_all(port).unwrap();
        for _ in 0..5 {
            let _client = TcpStream::connect(("127.0.0.1", port)).unwrap();
            assert!(accepts(&listeners[0]));
            let _client = TcpStream::connect(("127.0.0.2", port)).unwrap();
            assert!(accepts(&listeners[1]));
        }
        assert_eq!(bind_all(port).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert_eq!(
            bind_tcp(([127, 0, 0, 9], port).into(), PortSharing::Alone).unwrap_err().kind(),
            io::ErrorKind::AddrInUse
        );
    }
}
