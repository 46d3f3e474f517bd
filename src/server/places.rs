//! How many may be here at one time, in all and by remote network: connections, and those that are still on their way in.

use std::collections::HashMap;
use std::net::IpAddr;

use super::network::Network;

/// Places that are taken, and how many there are.
#[derive(Debug)]
pub(super) struct Places {
    in_all_max: usize,
    by_address_max: usize,
    in_all: usize,
    /// Those that are counted, each with at least one place.
    by_address: HashMap<Network, usize>,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    InAll,
    Address,
}

impl Places {
    pub(super) fn new(in_all_max: usize, by_address_max: usize) -> Self {
        Self { in_all_max, by_address_max, in_all: 0, by_address: HashMap::new() }
    }

    /// Why one more from `address` has no place; `None` when it has.
    pub(super) fn lack(&self, address: Option<IpAddr>) -> Option<Full> {
        if self.in_all >= self.in_all_max {
            return Some(Full::InAll);
        }
        let taken = Network::of(address).and_then(|network| self.by_address.get(&network));
        taken.is_some_and(|taken| *taken >= self.by_address_max).then_some(Full::Address)
    }

    pub(super) fn take(&mut self, address: Option<IpAddr>) {
        self.in_all += 1;
        if let Some(network) = Network::of(address) {
            *self.by_address.entry(network).or_default() += 1;
        }
    }

    pub(super) fn give_back(&mut self, address: Option<IpAddr>) {
        self.in_all = self.in_all.saturating_sub(1);
        let Some(network) = Network::of(address) else { return };
        if let Some(taken) = self.by_address.get_mut(&network) {
            *taken -= 1;
            if *taken == 0 {
                self.by_address.remove(&network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Option<IpAddr> {
        text.parse().ok()
    }

    #[test]
    fn an_address_has_its_own_number_of_places_whichever_way_it_is_written() {
        let mut places = Places::new(100, 2);
        places.take(address("192.0.2.1"));
        places.take(address("::ffff:192.0.2.1"));
        assert_eq!(places.lack(address("192.0.2.1")), Some(Full::Address));
        assert_eq!(places.lack(address("192.0.2.2")), None);
        places.give_back(address("192.0.2.1"));
        assert_eq!(places.lack(address("192.0.2.1")), None);
        places.give_back(address("192.0.2.1"));
        assert!(places.by_address.is_empty());
    }

    #[test]
    fn addresses_of_one_ipv6_64_share_their_number_of_places() {
        let mut places = Places::new(100, 2);
        places.take(address("2001:db8::1"));
        places.take(address("2001:db8::2"));
        assert_eq!(places.lack(address("2001:db8::3")), Some(Full::Address));
        assert_eq!(places.lack(address("2001:db8:0:1::3")), None);
    }

    #[test]
    fn this_machine_is_bounded_by_the_number_of_all_only() {
        let mut places = Places::new(3, 1);
        for address in [None, address("127.0.0.1"), address("::ffff:127.0.0.9")] {
            assert_eq!(places.lack(address), None);
            places.take(address);
        }
        for address in [None, address("127.0.0.1"), address("192.0.2.1")] {
            assert_eq!(places.lack(address), Some(Full::InAll));
        }
    }
}
