//! Which message an acknowledgement speaks of: rumqttc numbers messages itself and tells the number afterwards.

use std::collections::{HashMap, VecDeque};

use rumqttc::{Event, Outgoing, Packet};

/// What the agent wants to know about a message once the broker has it.
pub(super) enum Receipt {
    /// Nothing.
    None,
    /// It was the last of a sample with at least one value.
    Reading,
    /// It was the sample with this number, on the topic of samples.
    Sample(u64),
    /// It cleared this topic.
    Cleared(crate::mqtt::TopicName),
    /// It was a release of the stick, in this direction.
    Released(crate::stick::Direction),
    /// It said that the gateway leaves.
    Offline,
}

/// Receipts of messages on their way, over one connection.
///
/// Held together by two facts of rumqttc 0.25: requests leave in the order in which they were made, and each PUBLISH
/// gives one `Outgoing::Publish` with its packet identifier (0 with QoS 0) after it is written.
pub(super) struct Deliveries<T> {
    unsent: VecDeque<T>,
    unacknowledged: HashMap<u16, T>,
}

impl<T> Deliveries<T> {
    pub(super) fn new() -> Self {
        Self { unsent: VecDeque::new(), unacknowledged: HashMap::new() }
    }

    /// A PUBLISH was requested.
    pub(super) fn push(&mut self, receipt: T) {
        self.unsent.push_back(receipt);
    }

    /// Gives the receipt of the message that `event` completes: written (QoS 0), acknowledged (1) or completed (2).
    pub(super) fn handle_event(&mut self, event: &Event) -> Option<T> {
        match event {
            Event::Outgoing(Outgoing::Publish(packet_id)) => self.handle_written(*packet_id),
            Event::Incoming(Packet::PubAck(ack)) => self.unacknowledged.remove(&ack.pkid),
            Event::Incoming(Packet::PubComp(complete)) => self.unacknowledged.remove(&complete.pkid),
            _ => None,
        }
    }

    fn handle_written(&mut self, packet_id: u16) -> Option<T> {
        let receipt = self.unsent.pop_front()?;
        if packet_id == 0 {
            return Some(receipt);
        }
        self.unacknowledged.insert(packet_id, receipt);
        None
    }
}

#[cfg(test)]
mod tests {
    use rumqttc::{PubAck, PubComp, PubRec};

    use super::*;

    fn written(packet_id: u16) -> Event {
        Event::Outgoing(Outgoing::Publish(packet_id))
    }

    #[test]
    fn each_quality_of_service_is_complete_at_its_own_event() {
        let mut deliveries = Deliveries::new();
        for receipt in ["one", "zero", "two"] {
            deliveries.push(receipt);
        }
        assert_eq!(deliveries.handle_event(&written(1)), None);
        assert_eq!(deliveries.handle_event(&written(0)), Some("zero"));
        assert_eq!(deliveries.handle_event(&written(2)), None);
        assert_eq!(deliveries.handle_event(&Event::Incoming(Packet::PubRec(PubRec::new(2)))), None);
        assert_eq!(deliveries.handle_event(&Event::Incoming(Packet::PubComp(PubComp::new(2)))), Some("two"));
        assert_eq!(deliveries.handle_event(&Event::Incoming(Packet::PubAck(PubAck::new(1)))), Some("one"));
        assert_eq!(deliveries.handle_event(&Event::Incoming(Packet::PubAck(PubAck::new(1)))), None);
    }
}
