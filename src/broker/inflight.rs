//! The outgoing window of a session: deliveries of QoS 1 and 2 that wait for the receiver.

use std::collections::VecDeque;

use super::message::Delivery;
use super::output::Ticket;
use crate::mqtt::{PacketId, QoS};

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
    /// Whether it was not sent on this connection yet, because its client takes fewer at a time.
    pub(super) waits: bool,
    /// The ticket that records PUBREC; 0 before, and where nothing has to be recorded.
    pub(super) released: Ticket,
    /// The window's count of steps when the identifier was given.
    step: u64,
}

/// What PUBREC has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Released {
    /// The delivery with this arrival number was released now.
    Now(u64),
    /// It was released before, which this ticket records.
    Earlier(Ticket),
    /// No delivery of QoS 2 with that identifier is in flight.
    Unknown,
}

impl Inflight {
    /// One from before a restart; it counts as the oldest there can be.
    pub(super) const fn restored(packet_id: PacketId, awaits: Awaits, delivery: Delivery) -> Self {
        Self { packet_id, awaits, delivery, waits: false, released: Ticket(0), step: 0 }
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

    /// How many deliveries are in flight, and the bytes of their messages.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.entries.len(), self.bytes)
    }

    /// Whether one more of at most `most` messages may be in flight. An empty window always has room.
    pub(super) fn has_room(&self, most: usize, bytes_max: usize) -> bool {
        self.entries.len() < most && self.bytes < bytes_max
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Inflight> {
        self.entries.iter()
    }

    /// A connection begins that takes `most` messages at a time: those beyond wait [MQTT-3.3.4-9].
    pub(super) fn begin(&mut self, most: usize) {
        for (place, entry) in self.entries.iter_mut().enumerate() {
            entry.waits = place >= most;
        }
    }

    /// Lets the first that waits go, when there is room for it among `most`.
    pub(super) fn poll_waiting(&mut self, most: usize) -> Option<&Inflight> {
        let place = self.entries.iter().take(most).position(|entry| entry.waits)?;
        let entry = self.entries.get_mut(place)?;
        entry.waits = false;
        Some(entry)
    }

    /// An identifier that is not in use [MQTT-2.3.1-4]. The caller asks [`Window::has_room`] first; at most 65 535 are
    /// in flight, so a free one exists.
    pub(super) fn claim(&mut self) -> PacketId {
        self.next_packet_id()
    }

    /// Takes `delivery` in under the identifier that was claimed last.
    pub(super) fn start(&mut self, packet_id: PacketId, delivery: Delivery) {
        let awaits = if delivery.qos == QoS::ExactlyOnce { Awaits::Received } else { Awaits::Ack };
        self.bytes += delivery.bytes();
        self.entries.push_back(Inflight {
            packet_id,
            awaits,
            delivery,
            waits: false,
            released: Ticket::default(),
            step: self.steps,
        });
    }

    /// Takes out the deliveries that `is_taken`, oldest first.
    pub(super) fn extract(&mut self, is_taken: impl Fn(&Inflight) -> bool) -> Vec<Delivery> {
        let (taken, kept): (VecDeque<_>, VecDeque<_>) =
            std::mem::take(&mut self.entries).into_iter().partition(is_taken);
        self.entries = kept;
        self.bytes -= taken.iter().map(|entry| entry.delivery.bytes()).sum::<usize>();
        taken.into_iter().map(|entry| entry.delivery).collect()
    }

    /// Ends the delivery that awaits exactly this acknowledgement; `None` when there is none.
    pub(super) fn finish(&mut self, packet_id: PacketId, awaits: Awaits) -> Option<Delivery> {
        let place = self.position(packet_id, awaits)?;
        let delivery = self.entries.remove(place)?.delivery;
        self.bytes -= delivery.bytes();
        Some(delivery)
    }

    /// Moves a delivery of QoS 2 from its first to its second half (section 4.3.3); `ticket` records that.
    pub(super) fn release(&mut self, packet_id: PacketId, ticket: Ticket) -> Released {
        let is_it = |entry: &&mut Inflight| entry.packet_id == packet_id && entry.awaits != Awaits::Ack;
        let Some(entry) = self.entries.iter_mut().find(is_it) else { return Released::Unknown };
        if entry.awaits == Awaits::Complete {
            return Released::Earlier(entry.released);
        }
        (entry.awaits, entry.released) = (Awaits::Complete, ticket);
        Released::Now(entry.delivery.arrival)
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
    use std::sync::Arc;

    use super::super::message::Message;
    use super::*;
    use crate::mqtt::TopicName;

    fn delivery(arrival: u64, qos: QoS) -> Delivery {
        let message = Message::new(TopicName::new("t").unwrap(), bytes::Bytes::new());
        Delivery { arrival, message: Arc::new(message), qos, retain: false, marks: None }
    }

    /// Claims an identifier and starts a delivery under it.
    fn start(window: &mut Window, arrival: u64, qos: QoS) -> PacketId {
        let packet_id = window.claim();
        window.start(packet_id, delivery(arrival, qos));
        packet_id
    }

    #[test]
    fn identifiers_wrap_around_and_pass_over_those_in_use() {
        let mut window = Window::default();
        let first = start(&mut window, 0, QoS::AtLeastOnce);
        for arrival in 1..65_535 {
            let packet_id = start(&mut window, arrival, QoS::AtLeastOnce);
            assert!(window.finish(packet_id, Awaits::Ack).is_some());
        }
        assert_eq!(first.get(), 1);
        assert_eq!(start(&mut window, 70_000, QoS::AtLeastOnce).get(), 2);
    }

    #[test]
    fn several_identifiers_in_use_are_passed_over_and_none_is_given_twice() {
        let mut window = Window::default();
        let stuck: Vec<u16> = (0..5).map(|arrival| start(&mut window, arrival, QoS::AtLeastOnce).get()).collect();
        window.finish(PacketId::new(3).unwrap(), Awaits::Ack).unwrap();
        for arrival in 0..200_000 {
            let packet_id = start(&mut window, arrival, QoS::AtLeastOnce);
            assert!(packet_id.get() == 3 || !stuck.contains(&packet_id.get()), "{} is in use", packet_id.get());
            window.finish(packet_id, Awaits::Ack).unwrap();
        }
    }

    #[test]
    fn only_the_awaited_acknowledgement_moves_a_delivery() {
        let mut window = Window::default();
        let packet_id = start(&mut window, 7, QoS::ExactlyOnce);
        assert!(window.finish(packet_id, Awaits::Ack).is_none());
        assert!(window.finish(packet_id, Awaits::Complete).is_none());
        assert_eq!(window.release(packet_id, Ticket(3)), Released::Now(7));
        assert_eq!(window.release(packet_id, Ticket(4)), Released::Earlier(Ticket(3)));
        assert!(window.finish(packet_id, Awaits::Complete).is_some());
        assert_eq!((window.entries.len(), window.bytes), (0, 0));
    }
}
