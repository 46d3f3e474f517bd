//! Limits of the number of connections, in total and by remote network. Unfinished handshakes count as connections.

use std::collections::HashMap;
use std::net::IpAddr;

use super::network::Network;

/// The slots of connections: the occupied ones, and the limits.
#[derive(Debug)]
pub(super) struct ConnectionSlots {
    total_max: usize,
    by_network_max: usize,
    total: usize,
    /// Occupied slots of each network; never zero.
    by_network: HashMap<Network, usize>,
}

/// The limit that a further connection would exceed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SlotsFull {
    Total,
    Network,
}

impl ConnectionSlots {
    pub(super) fn new(total_max: usize, by_network_max: usize) -> Self {
        Self { total_max, by_network_max, total: 0, by_network: HashMap::new() }
    }

    /// Returns the limit that a further connection from `address` would exceed.
    pub(super) fn check(&self, address: Option<IpAddr>) -> Option<SlotsFull> {
        if self.total >= self.total_max {
            return Some(SlotsFull::Total);
        }
        let count = Network::of(address).and_then(|network| self.by_network.get(&network));
        count.is_some_and(|count| *count >= self.by_network_max).then_some(SlotsFull::Network)
    }

    pub(super) fn acquire(&mut self, address: Option<IpAddr>) {
        self.total += 1;
        if let Some(network) = Network::of(address) {
            *self.by_network.entry(network).or_default() += 1;
        }
    }

    pub(super) fn release(&mut self, address: Option<IpAddr>) {
        self.total = self.total.saturating_sub(1);
        let Some(network) = Network::of(address) else { return };
        if let Some(count) = self.by_network.get_mut(&network) {
            *count -= 1;
            if *count == 0 {
                self.by_network.remove(&network);
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
    fn an_address_has_its_own_slots_whichever_way_it_is_written() {
        let mut slots = ConnectionSlots::new(100, 2);
        slots.acquire(address("192.0.2.1"));
        slots.acquire(address("::ffff:192.0.2.1"));
        assert_eq!(slots.check(address("192.0.2.1")), Some(SlotsFull::Network));
        assert_eq!(slots.check(address("192.0.2.2")), None);
        slots.release(address("192.0.2.1"));
        assert_eq!(slots.check(address("192.0.2.1")), None);
        slots.release(address("192.0.2.1"));
        assert!(slots.by_network.is_empty());
    }

    #[test]
    fn addresses_of_one_ipv6_64_share_their_slots() {
        let mut slots = ConnectionSlots::new(100, 2);
        slots.acquire(address("2001:db8::1"));
        slots.acquire(address("2001:db8::2"));
        assert_eq!(slots.check(address("2001:db8::3")), Some(SlotsFull::Network));
        assert_eq!(slots.check(address("2001:db8:0:1::3")), None);
    }

    #[test]
    fn clients_of_this_machine_are_limited_by_the_total_only() {
        let mut slots = ConnectionSlots::new(3, 1);
        for address in [None, address("127.0.0.1"), address("::ffff:127.0.0.9")] {
            assert_eq!(slots.check(address), None);
            slots.acquire(address);
        }
        for address in [None, address("127.0.0.1"), address("192.0.2.1")] {
            assert_eq!(slots.check(address), Some(SlotsFull::Total));
        }
    }
}
