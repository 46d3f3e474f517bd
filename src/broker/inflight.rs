//! The outgoing window of a session: deliveries of QoS 1 and 2 that wait for the receiver.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Options;
use super::output::Message;
use crate::mqtt::{PacketId, QoS};

/// A message on its way to one session.
#[derive(Clone, Debug)]
pub(super) struct Delivery {
    /// Arrival number at this broker.
    pub(super) arrival: u64,
    pub(super) message: Arc<Message>,
    /// 1 or 2.
    pub(super) qos: QoS,
    pub(super) retain: bool,
}

impl Delivery {
    /// Payload and topic bytes.
    pub(super) fn bytes(&self) -> usize {
        self.message.topic.as_str().len() + self.message.payload.len()
    }
}

/// What the receiver is expected to send next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Awaits {
    /// PUBACK: QoS 1.
    Ack,
    /// PUBREC: QoS 2, first half.
    Received,
    /// PUBCOMP: QoS 2, second half.
    Complete,
}

/// A delivery with its packet identifier.
#[derive(Clone, Debug)]
pub(super) struct Inflight {
    pub(super) packet_id: PacketId,
    pub(super) awaits: Awaits,
    pub(super) delivery: Delivery,
    /// The window's count of steps when the identifier was given.
    step: u64,
}

impl Inflight {
    /// One from before a restart; it counts as the oldest there can be.
    pub(super) const fn restored(packet_id: PacketId, awaits: Awaits, delivery: Delivery) -> Self {
        Self { packet_id, awaits, delivery, step: 0 }
    }
}

/// Identifiers in a round, 0 included, which is none.
const IDENTIFIERS: u64 = 1 << 16;

/// Deliveries in the order in which they were first sent [MQTT-4.6.0-1].
#[derive(Debug, Default)]
pub(super) struct Window {
    entries: VecDeque<Inflight>,
    bytes: usize,
    /// Identifiers gone through so far, those passed over included; the lower 16 bits are the last one.
    steps: u64,
}

impl Window {
    /// Begins again with what was in flight before a restart. Identifiers go on behind the last one; as long as one of
    /// these is in flight, each new one is compared with all.
    pub(super) fn restore(&mut self, entries: VecDeque<Inflight>) {
        self.bytes = entries.iter().map(|entry| entry.delivery.bytes()).sum();
        self.steps = IDENTIFIERS + entries.back().map_or(0, |last| u64::from(last.packet_id.get()));
        self.entries = entries;
    }

    /// Whether one more message may be in flight. An empty window always has room.
    pub(super) fn has_room(&self, options: &Options) -> bool {
        self.entries.len() < options.inflight_max && self.bytes < options.queue_bytes_max
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Inflight> {
        self.entries.iter()
    }

    /// Takes `delivery` in under an identifier that is not in use [MQTT-2.3.1-4].
    ///
    /// The caller asks [`Window::has_room`] first; `inflight_max` is at most 65 535, so a free identifier exists.
    pub(super) fn start(&mut self, delivery: Delivery) -> PacketId {
        let packet_id = self.next_packet_id();
        let awaits = if delivery.qos == QoS::ExactlyOnce { Awaits::Received } else { Awaits::Ack };
        self.bytes += delivery.bytes();
        self.entries.push_back(Inflight { packet_id, awaits, delivery, step: self.steps });
        packet_id
    }

    /// Ends the delivery that awaits exactly this acknowledgement; `None` when there is none.
    pub(super) fn finish(&mut self, packet_id: PacketId, awaits: Awaits) -> Option<Delivery> {
        let place = self.position(packet_id, awaits)?;
        let delivery = self.entries.remove(place)?.delivery;
        self.bytes -= delivery.bytes();
        Some(delivery)
    }

    /// Moves a delivery of QoS 2 from its first to its second half; gives its arrival number.
    pub(super) fn release(&mut self, packet_id: PacketId) -> Option<u64> {
        let place = self.position(packet_id, Awaits::Received)?;
        let entry = self.entries.get_mut(place)?;
        entry.awaits = Awaits::Complete;
        Some(entry.delivery.arrival)
    }

    fn position(&self, packet_id: PacketId, awaits: Awaits) -> Option<usize> {
        self.entries.iter().position(|entry| entry.packet_id == packet_id && entry.awaits == awaits)
    }

    /// The next identifier that is free. They are gone through in a circle, so the entries are looked at only when the
    /// oldest of them has been in flight for a whole round.
    fn next_packet_id(&mut self) -> PacketId {
        loop {
            self.steps += 1;
            #[expect(clippy::cast_possible_truncation, reason = "the lower 16 bits are the identifier")]
            let number = self.steps as u16;
            if let Some(packet_id) = PacketId::new(number)
                && !self.is_in_use(packet_id)
            {
                return packet_id;
            }
        }
    }

    fn is_in_use(&self, packet_id: PacketId) -> bool {
        let oldest = self.entries.front().map_or(self.steps, |entry| entry.step);
        let is_second_round = self.steps - oldest >= IDENTIFIERS;
        is_second_round && self.entries.iter().any(|entry| entry.packet_id == packet_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mqtt::TopicName;

    fn delivery(arrival: u64, qos: QoS) -> Delivery {
        let message = Message { topic: TopicName::new("t").unwrap(), payload: bytes::Bytes::new() };
        Delivery { arrival, message: Arc::new(message), qos, retain: false }
    }

    #[test]
    fn identifiers_wrap_around_and_pass_over_those_in_use() {
        let mut window = Window::default();
        let first = window.start(delivery(0, QoS::AtLeastOnce));
        for arrival in 1..65_535 {
            let packet_id = window.start(delivery(arrival, QoS::AtLeastOnce));
            assert!(window.finish(packet_id, Awaits::Ack).is_some());
        }
        assert_eq!(first.get(), 1);
        assert_eq!(window.start(delivery(70_000, QoS::AtLeastOnce)).get(), 2);
    }

    #[test]
    fn several_identifiers_in_use_are_passed_over_and_none_is_given_twice() {
        let mut window = Window::default();
        let stuck: Vec<u16> = (0..5).map(|arrival| window.start(delivery(arrival, QoS::AtLeastOnce)).get()).collect();
        window.finish(PacketId::new(3).unwrap(), Awaits::Ack).unwrap();
        for arrival in 0..200_000 {
            let packet_id = window.start(delivery(arrival, QoS::AtLeastOnce));
            assert!(packet_id.get() == 3 || !stuck.contains(&packet_id.get()), "{} is in use", packet_id.get());
            window.finish(packet_id, Awaits::Ack).unwrap();
        }
    }

    #[test]
    fn only_the_awaited_acknowledgement_moves_a_delivery() {
        let mut window = Window::default();
        let packet_id = window.start(delivery(7, QoS::ExactlyOnce));
        assert!(window.finish(packet_id, Awaits::Ack).is_none());
        assert!(window.finish(packet_id, Awaits::Complete).is_none());
        assert_eq!(window.release(packet_id), Some(7));
        assert_eq!(window.release(packet_id), None);
        assert!(window.finish(packet_id, Awaits::Complete).is_some());
        assert_eq!((window.entries.len(), window.bytes), (0, 0));
    }
}
