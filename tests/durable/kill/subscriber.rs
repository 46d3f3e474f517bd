//! A subscriber that remembers what it got over all its connections.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;

use super::publisher::{Publisher, TOPICS};
use crate::link::{Keep, Link, PUBACK, PUBCOMP, PUBREC, PUBREL, id_in};

use crate::wire::{PUBLISH, Packet, Publish, acknowledge};

pub(super) struct Subscriber {
    pub(super) name: &'static str,
    pub(super) qos: u8,
    /// What is in this client's hands, QoS 2 only once: topic and number.
    got: Vec<(String, usize)>,
    /// QoS 2 messages that are not released yet, by identifier.
    unreleased: HashMap<u16, Vec<u8>>,
}

impl Subscriber {
    pub(super) fn new(name: &'static str, qos: u8) -> Self {
        Self { name, qos, got: Vec::new(), unreleased: HashMap::new() }
    }

    /// Takes and acknowledges until the connection ends; up to `lag` acknowledgements stay unsent.
    pub(super) fn run(&mut self, address: SocketAddr, lag: usize, seed: u64) {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut link = self.connect(address);
        let mut unsent = VecDeque::new();
        while let Some(packet) = link.next() {
            unsent.push_back(self.take(&packet));
            while unsent.len() > random.usize(0..=lag) {
                link.send(&unsent.pop_front().unwrap());
            }
        }
    }

    /// Takes all there is: until everything that was published is here and released.
    pub(super) fn drain(&mut self, address: SocketAddr, publishers: &[Publisher]) {
        let mut link = self.connect(address);
        while !self.is_complete(publishers) {
            let answer = self.take(&link.expect());
            link.send(&answer);
        }
        // anything that is sent twice would come before the answer to a ping
        link.send(&crate::wire::PINGREQ);
        loop {
            let packet = link.expect();
            if packet.first == crate::link::PINGRESP {
                return;
            }
            let answer = self.take(&packet);
            link.send(&answer);
        }
    }

    /// Nothing is missing, the order of the first arrivals is that of publishing, and QoS 2 came once.
    pub(super) fn check(&self, publishers: &[Publisher]) {
        for publisher in publishers {
            for topic in 0..TOPICS {
                let name = format!("load/{}/{topic}", publisher.number);
                let numbers: Vec<_> = self.got.iter().filter(|(topic, _)| *topic == name).map(|(_, n)| *n).collect();
                let mut firsts = Vec::new();
                for number in &numbers {
                    if firsts.last().is_none_or(|last| number > last) {
                        firsts.push(*number);
                    }
                }
                let expected: Vec<_> = (topic..publisher.published()).step_by(TOPICS).collect();
                assert!(firsts == expected, "{}: {name}: {}", self.name, difference(&firsts, &expected));
                if self.qos == 2 && publisher.qos == 2 {
                    assert!(numbers == expected, "{}: {name} doubled: {}", self.name, difference(&numbers, &expected));
                }
            }
        }
    }

    fn connect(&self, address: SocketAddr) -> Link {
        let (link, was_there) = Link::connect(address, self.name, Keep::Session);
        assert!(was_there, "{}", self.name);
        link
    }

    fn is_complete(&self, publishers: &[Publisher]) -> bool {
        let all: usize = publishers.iter().map(Publisher::published).sum();
        // duplicates make it longer: whether it is whole, only the last number of each topic tells then
        self.unreleased.is_empty()
            && self.got.len() >= all
            && publishers.iter().all(|publisher| self.has_last(publisher))
    }

    fn has_last(&self, publisher: &Publisher) -> bool {
        let last = publisher.published().saturating_sub(1);
        let topic = format!("load/{}/{}", publisher.number, last % TOPICS);
        publisher.published() == 0 || self.got.iter().rev().any(|(got, number)| *number == last && *got == topic)
    }

    /// Takes a packet; gives its answer.
    fn take(&mut self, packet: &Packet) -> Vec<u8> {
        if packet.first == PUBREL {
            self.unreleased.remove(&id_in(packet));
            return acknowledge(PUBCOMP, id_in(packet));
        }
        assert_eq!(packet.first & 0xF0, PUBLISH, "{packet:02X?}");
        let publish = packet.publish();
        let id = publish.id.expect("QoS 1 or 2");
        if publish.qos == 1 {
            self.got.push(number_of(&publish));
            return acknowledge(PUBACK, id);
        }
        match self.unreleased.insert(id, publish.payload.clone()) {
            None => self.got.push(number_of(&publish)),
            Some(earlier) => assert!(publish.dup && earlier == publish.payload, "{}: {publish:?}", self.name),
        }
        acknowledge(PUBREC, id)
    }
}

fn number_of(publish: &Publish) -> (String, usize) {
    (publish.topic.clone(), String::from_utf8_lossy(&publish.payload).parse().unwrap())
}

fn difference(got: &[usize], expected: &[usize]) -> String {
    let place = got.iter().zip(expected).position(|(got, expected)| got != expected);
    let place = place.unwrap_or(got.len().min(expected.len()));
    let around = |numbers: &[usize]| numbers.iter().skip(place.saturating_sub(2)).take(5).copied().collect::<Vec<_>>();
    format!("at {place} of {} and {}: {:?}, expected {:?}", got.len(), expected.len(), around(got), around(expected))
}

/// Connects `name` and takes `count` messages without acknowledging any.
pub(super) fn take(address: SocketAddr, name: &str, count: usize) -> Vec<Publish> {
    let (mut link, was_there) = Link::connect(address, name, Keep::Session);
    assert!(was_there, "{name}");
    (0..count).map(|_| link.expect().publish()).collect()
}
