//! Under which names and addresses other machines reach this one. Follows `proc(5)`.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

// linux/if_addr.h
const IFA_F_TEMPORARY: u32 = 0x01;
const IFA_F_DEPRECATED: u32 = 0x20;

/// The name without a domain; `localhost` where there is none that a certificate can hold.
pub(super) fn host_name(root: &Path) -> String {
    let name = fs::read_to_string(root.join("proc/sys/kernel/hostname")).unwrap_or_default();
    let first = name.trim().split('.').next().unwrap_or_default();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let is_usable = !first.is_empty() && first != "(none)" && first.bytes().all(is_plain);
    if is_usable { first.to_ascii_lowercase() } else { "localhost".into() }
}

/// What another machine calls this one: by multicast DNS, which Raspberry Pi OS answers as shipped.
pub(super) fn name_in_network(root: &Path) -> String {
    match host_name(root).as_str() {
        "localhost" => "localhost".into(),
        name => format!("{name}.local"),
    }
}

/// Addresses of the network, IPv4 first; neither loopback nor those that are valid on one link only.
pub(super) fn addresses(root: &Path) -> Vec<IpAddr> {
    let read = |file: &str| fs::read_to_string(root.join("proc/net").join(file)).unwrap_or_default();
    let mut addresses: Vec<IpAddr> = Vec::new();
    for address in ipv4(&read("fib_trie")).chain(ipv6(&read("if_inet6"))) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses
}

/// From the routing table: an address, then `/32 host LOCAL` below it.
fn ipv4(table: &str) -> impl Iterator<Item = IpAddr> {
    let pairs = table.lines().zip(table.lines().skip(1));
    let own = pairs.filter(|(_, below)| below.trim() == "/32 host LOCAL");
    let addresses = own.filter_map(|(line, _)| line.trim().strip_prefix("|-- ")?.parse::<Ipv4Addr>().ok());
    addresses.filter(|ip| !ip.is_loopback() && !ip.is_link_local()).map(IpAddr::from)
}

/// `address index prefix_length scope flags device`. Those that privacy extensions change every day, and those that are
/// on their way out, are left out.
fn ipv6(table: &str) -> impl Iterator<Item = IpAddr> {
    let own =
        table.lines().filter_map(parse_ipv6).filter(|(_, flags)| flags & (IFA_F_TEMPORARY | IFA_F_DEPRECATED) == 0);
    let addresses = own.map(|(address, _)| Ipv6Addr::from(address));
    addresses.filter(|ip| !ip.is_loopback() && !ip.is_unicast_link_local()).map(IpAddr::from)
}

fn parse_ipv6(line: &str) -> Option<(u128, u32)> {
    let mut fields = line.split_whitespace();
    let address = u128::from_str_radix(fields.next()?, 16).ok()?;
    Some((address, u32::from_str_radix(fields.nth(3)?, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::machine;

    fn name(text: &str) -> String {
        name_in_network(machine(&[("proc/sys/kernel/hostname", text)]).path())
    }

    #[test]
    fn name_is_that_of_multicast_dns() {
        assert_eq!(name("raspberrypi\n"), "raspberrypi.local");
        assert_eq!(name("Pi4.lab.example\n"), "pi4.local");
        for none in ["", "(none)\n", "a b\n", "été\n", "$(reboot)\n"] {
            assert_eq!(name(none), "localhost", "{none:?}");
        }
    }

    #[test]
    fn own_addresses_are_read_and_loopback_is_left_out() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n\
                    Local:\n     |-- 127.0.0.1\n        /32 host LOCAL\n     |-- 192.168.1.23\n        /32 host LOCAL\n     \
                    |-- 192.168.1.255\n        /32 link BROADCAST\n     |-- 169.254.7.7\n        /32 host LOCAL\n     \
                    |-- 192.168.1.23\n        /32 host LOCAL\n";
        let six = "00000000000000000000000000000001 01 80 10 80       lo\n\
                   fe800000000000000000000000000001 02 40 20 80     eth0\n\
                   fd00000000000000000000000000beef 02 40 00 80     eth0\n\
                   fd0000000000000000000000000cafe0 02 40 00 01     eth0\n";
        let root = machine(&[("proc/net/fib_trie", trie), ("proc/net/if_inet6", six)]);
        let expected: [IpAddr; 2] = ["192.168.1.23".parse().unwrap(), "fd00::beef".parse().unwrap()];
        assert_eq!(addresses(root.path()), expected);
        assert!(addresses(machine(&[]).path()).is_empty());
    }
}
