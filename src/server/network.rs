//! Where a connection comes from, for limits and queues by address.

use std::net::{IpAddr, Ipv4Addr};

/// The part of a remote address that limits and queues count by. Nobody can multiply it at will: the holder of an IPv6
/// connection has at least a /64 of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Network {
    /// One IPv4 address.
    V4(Ipv4Addr),
    /// The first 64 bits of an IPv6 address.
    V6([u8; 8]),
}

impl Network {
    /// Returns the network of a remote address; `None` for Unix sockets and loopback, where all programs of this
    /// machine look alike, and a proxy in front of the broker brings all clients.
    pub(super) fn of(address: Option<IpAddr>) -> Option<Self> {
        match address?.to_canonical() {
            address if address.is_loopback() => None,
            IpAddr::V4(address) => Some(Self::V4(address)),
            IpAddr::V6(address) => address.octets().first_chunk().map(|prefix| Self::V6(*prefix)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Option<Network> {
        Network::of(text.parse().ok())
    }

    #[test]
    fn ipv6_addresses_of_one_64_are_one_network() {
        assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
        assert_eq!(network("192.0.2.1"), network("::ffff:192.0.2.1"));
    }

    #[test]
    fn this_machine_is_no_network() {
        for address in [None, Some("127.0.0.9"), Some("::1"), Some("::ffff:127.0.0.1")] {
            assert_eq!(Network::of(address.map(|text| text.parse().unwrap())), None);
        }
    }
}
