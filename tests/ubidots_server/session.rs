//! A client that was let in: who it is, what it hears, and the way to its connection.

use sensegate::mqtt::{Packet, PacketId, ProtocolVersion, Publish, QoS, TopicFilter, Will};
use tokio::sync::mpsc::UnboundedSender;

use super::packet::{Order, Outgoing};
use super::topics::filter_within_api;

/// Which connection, counted from 1 in the order they were accepted.
pub(super) type ConnectionId = u64;

/// The way to a connection that may not be let in yet. What it is told after its end is lost.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) version: ProtocolVersion,
    pub(super) orders: UnboundedSender<Order>,
}

impl Line {
    pub(super) fn send(&self, packet: &Packet<'_>) {
        self.order(Order::Send(Outgoing::new(packet, self.version)));
    }

    pub(super) fn order(&self, order: Order) {
        let _ = self.orders.send(order);
    }
}

/// A subscription as it was granted.
#[derive(Clone, Debug)]
pub(super) struct Granted {
    pub(super) filter: TopicFilter,
    /// What messages are compared with; `None` for a filter that never yields anything.
    pub(super) within: Option<TopicFilter>,
    pub(super) qos: QoS,
}

impl Granted {
    pub(super) fn new(filter: TopicFilter, qos: QoS) -> Self {
        let within = filter_within_api(&filter);
        Self { filter, within, qos }
    }

    pub(super) fn matches(&self, topic: &str) -> bool {
        self.within.as_ref().is_some_and(|filter| filter.matches(topic))
    }
}

/// A client that is connected. It ends with its connection.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) client_id: String,
    pub(super) token: String,
    pub(super) will: Option<Will>,
    pub(super) line: Line,
    pub(super) subscriptions: Vec<Granted>,
    last_packet_id: u16,
}

impl Session {
    pub(super) fn new(client_id: String, token: String, will: Option<Will>, line: Line) -> Self {
        Self { client_id, token, will, line, subscriptions: Vec::new(), last_packet_id: 0 }
    }

    /// Adds a subscription, or replaces the one with the same filter.
    pub(super) fn subscribe(&mut self, granted: Granted) {
        self.unsubscribe(&granted.filter);
        self.subscriptions.push(granted);
    }

    /// Whether there was one.
    pub(super) fn unsubscribe(&mut self, filter: &TopicFilter) -> bool {
        let before = self.subscriptions.len();
        self.subscriptions.retain(|granted| granted.filter != *filter);
        self.subscriptions.len() < before
    }

    /// Sends a message; with QoS 1 its acknowledgement is not waited for.
    pub(super) fn deliver(&mut self, topic: &str, payload: &str, qos: QoS) {
        let packet_id = if qos == QoS::AtMostOnce { None } else { self.next_packet_id() };
        let publish = Publish { qos, packet_id, ..Publish::new(topic, payload.as_bytes()) };
        self.line.send(&Packet::Publish(publish));
    }

    fn next_packet_id(&mut self) -> Option<PacketId> {
        self.last_packet_id = self.last_packet_id.checked_add(1).unwrap_or(1);
        PacketId::new(self.last_packet_id)
    }
}
