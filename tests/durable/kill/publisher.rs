//! A publisher with a window that goes on where it was cut off.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::link::{Keep, Link, PUBACK, PUBCOMP, PUBREC, PUBREL, id_in, packet_id};
use crate::wire::{DUP, QOS1, QOS2, acknowledge, publish_id};

/// Topics of one publisher.
pub(super) const TOPICS: usize = 2;

/// Publishes 0, 1, 2, … to its topics in turn.
pub(super) struct Publisher {
    pub(super) number: usize,
    pub(super) qos: u8,
    window: usize,
    /// The next message.
    next: usize,
    /// Oldest first.
    unacknowledged: VecDeque<Unacknowledged>,
}

#[derive(Clone, Copy)]
struct Unacknowledged {
    message: usize,
    /// PUBREC has come: PUBLISH must not be sent again.
    is_released: bool,
}

impl Publisher {
    pub(super) fn new(number: usize, qos: u8, window: usize) -> Self {
        Self { number, qos, window, next: 0, unacknowledged: VecDeque::new() }
    }

    pub(super) fn name(&self) -> String {
        format!("publisher-{}", self.number)
    }

    /// Messages it has sent at least once.
    pub(super) fn published(&self) -> usize {
        self.next
    }

    /// Sends again what was not acknowledged, then publishes up to `end`, until all is acknowledged or the connection
    /// ends.
    pub(super) fn run(&mut self, address: SocketAddr, end: usize, acknowledged: &AtomicUsize) {
        let (mut link, was_there) = Link::connect(address, &self.name(), Keep::Session);
        assert!(was_there, "{}", self.name());
        let again: Vec<u8> = self.unacknowledged.iter().flat_map(|one| self.encode(*one, DUP)).collect();
        link.send(&again);
        loop {
            link.send(&self.fill_window(end));
            if self.unacknowledged.is_empty() {
                return;
            }
            let Some(packet) = link.next() else { return };
            if let Some(answer) = self.handle(packet.first, id_in(&packet)) {
                link.send(&answer);
            } else {
                acknowledged.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn fill_window(&mut self, end: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while self.unacknowledged.len() < self.window && self.next < end {
            let one = Unacknowledged { message: self.next, is_released: false };
            bytes.extend(self.encode(one, 0));
            self.unacknowledged.push_back(one);
            self.next += 1;
        }
        bytes
    }

    fn encode(&self, Unacknowledged { message, is_released }: Unacknowledged, dup: u8) -> Vec<u8> {
        if is_released {
            return acknowledge(PUBREL, packet_id(message));
        }
        let flags = dup | if self.qos == 2 { QOS2 } else { QOS1 };
        let topic = format!("load/{}/{}", self.number, message % TOPICS);
        publish_id(flags, &topic, packet_id(message), &message.to_string())
    }

    /// Takes an acknowledgement; gives what it has to be answered with.
    fn handle(&mut self, first: u8, id: u16) -> Option<Vec<u8>> {
        let place = self.unacknowledged.iter().position(|one| packet_id(one.message) == id);
        let place = place.unwrap_or_else(|| panic!("{first:#x} for {id}, which is not in flight"));
        match first {
            PUBREC => {
                assert_eq!(self.qos, 2);
                self.unacknowledged[place].is_released = true;
                Some(acknowledge(PUBREL, id))
            }
            PUBACK | PUBCOMP => {
                self.unacknowledged.remove(place);
                None
            }
            other => panic!("{other:#x} for a publisher"),
        }
    }
}
