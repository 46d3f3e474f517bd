//! What the machine begins again with after a restart.

use std::sync::Arc;

use super::message::{Delivery, Granted, Message, Owner, Terms};
use crate::base::clock::Monotonic;
use crate::mqtt::{ClientId, PacketId, QoS, TopicFilter, Will};

/// Everything that outlived the last process. Queues longer than `deliveries_max` are told by number only.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// The persistent sessions, in no particular order.
    pub sessions: Vec<SessionState>,
    /// The retained messages, in no particular order.
    pub retained: Vec<Retained>,
    /// Wills of the clients that were connected when the process ended, and those that waited for their delay, in no
    /// particular order.
    pub wills: Vec<KeptWill>,
    /// The first arrival number that was never given.
    pub next_arrival: u64,
}

/// One persistent session.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionState {
    /// Whose.
    pub client_id: ClientId,
    /// For whom and how long. Moments are of this boot; those of an earlier one are told by the wall clock.
    pub terms: Terms,
    /// What it subscribes to.
    pub subscriptions: Vec<(TopicFilter, Granted)>,
    /// Those of its subscriptions whose retained messages are still to be sent.
    pub replays: Vec<TopicFilter>,
    /// Identifiers of QoS 2 messages taken but not yet released.
    pub received: Vec<PacketId>,
    /// All that is in flight and the first of what waits, by arrival.
    pub deliveries: Vec<Kept>,
    /// What waits behind them, on disk.
    pub rest: Backlog,
}

/// Deliveries on disk that are not in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// How many.
    pub count: u64,
    /// Bytes of their topics, payloads and properties.
    pub bytes: u64,
}

/// A delivery as it was when the last process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The delivery.
    pub delivery: Delivery,
    /// Set when it is in flight.
    pub sent: Option<Sent>,
}

/// A will as it was when the last process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptWill {
    /// Whose.
    pub client_id: ClientId,
    /// The verified user.
    pub user: Option<Box<str>>,
    /// The will.
    pub will: Will,
    /// When it is to be published, where it waited for its delay; `None` where its client was connected.
    pub due: Option<Monotonic>,
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
    /// Whose share of the retained messages it counts towards.
    pub owner: Owner,
}
