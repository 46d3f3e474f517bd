//! What was seen: packets, connections, wills, and how often what happened. All of it stays.

use std::collections::BTreeMap;

use sensegate::base::clock::Monotonic;
use sensegate::mqtt::{Connect, ConnectReturnCode, Packet, ProtocolVersion, Will};

use super::ingest::Dropped;
use super::packet::{Kind, Published};
use super::session::ConnectionId;

/// Which way a packet went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From a client.
    In,
    /// To a client.
    Out,
}

/// A packet that was received or sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// When it was decoded, or handed to the kernel.
    pub at: Monotonic,
    /// On which connection, counted from 1 in the order they were accepted.
    pub connection: u64,
    /// The client's identifier; empty before its CONNECT.
    pub client_id: String,
    /// From or to the client.
    pub way: Way,
    /// Which packet.
    pub kind: Kind,
    /// What a PUBLISH held.
    pub published: Option<Published>,
}

/// A CONNECT and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connected {
    /// When it came.
    pub at: Monotonic,
    /// On which connection.
    pub connection: u64,
    /// The client's identifier.
    pub client_id: String,
    /// The user name.
    pub token: Option<String>,
    /// Whether there was a password, which is not looked at.
    pub has_password: bool,
    /// The protocol's version.
    pub version: ProtocolVersion,
    /// Clean session, clean start in version 5.
    pub clean_session: bool,
    /// Keep alive in seconds.
    pub keep_alive_s: u16,
    /// The will.
    pub will: Option<Will>,
    /// The answer.
    pub answer: ConnectReturnCode,
}

impl Connected {
    pub(super) fn new(at: Monotonic, connection: ConnectionId, connect: &Connect, answer: ConnectReturnCode) -> Self {
        Self {
            at,
            connection,
            client_id: connect.client_id.as_str().to_owned(),
            token: connect.user_name.clone(),
            has_password: connect.password.is_some(),
            version: connect.version,
            clean_session: connect.clean_session,
            keep_alive_s: connect.keep_alive_s,
            will: connect.will.clone(),
            answer,
        }
    }
}

/// A will that was published because a connection ended without DISCONNECT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Testament {
    /// When.
    pub at: Monotonic,
    /// Whose connection ended.
    pub connection: u64,
    /// The client's identifier.
    pub client_id: String,
    /// What was published.
    pub will: Will,
    /// How many dots of it were stored, or why none was.
    pub outcome: Result<usize, Dropped>,
}

/// How often what happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Publishes that came, copies among them.
    pub publishes: u64,
    /// Those of QoS 2.
    pub publishes_of_qos_2: u64,
    /// Dots stored, those of wills among them.
    pub dots: u64,
    /// Acknowledgements of QoS 1 sent.
    pub pub_acks: u64,
    /// Publishes and wills that were acknowledged and lost, by reason.
    pub dropped: BTreeMap<Dropped, u64>,
    /// Clients whose identifier came again.
    pub takeovers: u64,
    /// Connections on which something came before the CONNACK was sent.
    pub early: u64,
    /// Handshakes of TLS that failed.
    pub failed_handshakes: u64,
    /// Connections closed because their bytes were no MQTT.
    pub malformed: u64,
    /// Connections closed because their keep alive was over.
    pub silent: u64,
}

impl Counters {
    /// How many publishes were lost for this reason.
    pub fn dropped_as(&self, why: Dropped) -> u64 {
        self.dropped.get(&why).copied().unwrap_or(0)
    }

    /// How many publishes were lost.
    pub fn dropped_in_all(&self) -> u64 {
        self.dropped.values().sum()
    }
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Journal {
    pub(super) packets: Vec<Logged>,
    /// When connections were accepted, whether or not they became more.
    pub(super) arrivals: Vec<Monotonic>,
    pub(super) connects: Vec<Connected>,
    pub(super) wills: Vec<Testament>,
    pub(super) counters: Counters,
}

impl Journal {
    /// Notes a packet that came from a client.
    pub(super) fn note_received(
        &mut self,
        at: Monotonic,
        connection: ConnectionId,
        client_id: &str,
        packet: &Packet<'_>,
    ) {
        let (kind, published) = (Kind::of(packet), Published::of(packet));
        if let Some(published) = &published {
            self.counters.publishes += 1;
            self.counters.publishes_of_qos_2 += u64::from(published.qos == 2);
        }
        let client_id = client_id.to_owned();
        self.packets.push(Logged { at, connection, client_id, way: Way::In, kind, published });
    }

    /// Notes a packet that is being sent.
    pub(super) fn note_sent(&mut self, logged: Logged) {
        self.counters.pub_acks += u64::from(logged.kind == Kind::PubAck);
        self.packets.push(logged);
    }

    pub(super) fn note_outcome(&mut self, outcome: Result<usize, Dropped>) {
        match outcome {
            Ok(dots) => self.counters.dots += dots as u64,
            Err(why) => *self.counters.dropped.entry(why).or_default() += 1,
        }
    }
}
