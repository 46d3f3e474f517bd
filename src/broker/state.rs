//! What the machine begins again with after a restart.

use std::sync::Arc;

use super::output::Message;
use crate::mqtt::{ClientId, PacketId, QoS, TopicFilter, Will};

/// Everything that outlived the last process. Queues longer than `deliveries_max` are told by number only.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// The persistent sessions, in no particular order.
    pub sessions: Vec<SessionState>,
    /// The retained messages, in no particular order.
    pub retained: Vec<Retained>,
    /// Wills of the clients that were connected when the process ended, in no particular order.
    pub wills: Vec<(ClientId, Will)>,
    /// The first arrival number that was never given.
    pub next_arrival: u64,
}

/// One persistent session.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionState {
    /// Whose.
    pub client_id: ClientId,
    /// What it subscribes to, with the granted quality of service.
    pub subscriptions: Vec<(TopicFilter, QoS)>,
    /// Identifiers of QoS 2 messages taken but not yet released.
    pub received: Vec<PacketId>,
    /// All that is in flight and the first of what waits, by arrival.
    pub deliveries: Vec<Delivery>,
    /// What waits behind them, on disk.
    pub rest: Backlog,
}

/// Deliveries on disk that are not in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// How many.
    pub count: u64,
    /// Bytes of their topics and payloads.
    pub bytes: u64,
}

/// A message on its way to one session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its arrival number; greater ones came later.
    pub arrival: u64,
    /// The message; shared by the deliveries that were enqueued together.
    pub message: Arc<Message>,
    /// 1 or 2.
    pub qos: QoS,
    /// Whether it is delivered as retained.
    pub retain: bool,
    /// Set when it is in flight.
    pub sent: Option<Sent>,
}

/// How far a delivery in flight has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The identifier that it went out under.
    pub packet_id: PacketId,
    /// What was recorded last.
    pub phase: Phase,
}

/// The half of the handshake that a delivery is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Sent, not acknowledged.
    Sent,
    /// QoS 2: received by the client, PUBREL follows.
    Released,
}

/// A retained message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retained {
    /// The message.
    pub message: Arc<Message>,
    /// Its quality of service.
    pub qos: QoS,
}
