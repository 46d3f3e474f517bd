//! What the machine wants done: `Request…` must be carried out, in order; `Notify…` may be ignored.

use std::sync::Arc;

use thiserror::Error;

use crate::mqtt::{ClientId, ConnectReturnCode, DecodeError, Frame, PacketId, QoS, TopicFilter, TopicName, Will};

slotmap::new_key_type! {
    /// A connection, from `handle_open` to its end. An identifier is never given twice.
    pub struct ConnectionId;
}

/// Names one request to persist; later requests have greater tickets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub(super) u64);

/// One thing that the world outside is to do or may want to know.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Put these bytes behind all earlier ones of this connection.
    RequestSend {
        /// To whom.
        connection: ConnectionId,
        /// What.
        frame: Frame,
        /// Whether it may be left out.
        class: SendClass,
    },
    /// Send what is waiting for this connection, then close it. The machine has forgotten it already.
    RequestClose {
        /// Which.
        connection: ConnectionId,
        /// Why.
        reason: CloseReason,
    },
    /// Make these changes durable together, then answer with `handle_persisted`. Tickets are answered in order.
    RequestPersist {
        /// The name for the answer.
        ticket: Ticket,
        /// What changed, in order.
        changes: Vec<Change>,
    },
    /// Read a piece of a queue that memory does not hold, then answer with `handle_loaded`.
    RequestLoad {
        /// Whose.
        client_id: ClientId,
        /// Behind this arrival number.
        after: u64,
        /// How many at most.
        count: usize,
    },
    /// Say with `handle_verdict` who this client is and what it may do. Until then nothing more may be read from it.
    RequestAuthenticate {
        /// Its connection.
        connection: ConnectionId,
        /// The user name; `None` for an anonymous client.
        user_name: Option<String>,
        /// The password.
        password: Option<bytes::Bytes>,
        /// The client identifier, which an access control list may name.
        client_id: ClientId,
    },
    /// A client was let in.
    NotifyConnected {
        /// Its connection.
        connection: ConnectionId,
        /// Who.
        client_id: ClientId,
        /// Whether it found its session.
        session_present: bool,
    },
    /// A message or a will was not taken: its client may not write to the topic.
    NotifyDenied {
        /// Whose.
        client_id: ClientId,
        /// Where it was to go.
        topic: Box<str>,
    },
    /// A session's queue was full and a message of QoS 1 or 2 was dropped.
    NotifyDropped {
        /// Whose queue.
        client_id: ClientId,
    },
    /// A retained message was not kept because the store of them is full.
    NotifyRetainedFull {
        /// Its topic.
        topic: TopicName,
    },
}

/// Whether a frame may be left out when its receiver does not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendClass {
    /// A delivery of QoS 0: left out when too many bytes wait for this connection already.
    MayDrop,
    /// Everything else. The in-flight window bounds it.
    Must,
}

/// Why the machine ended a connection.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CloseReason {
    /// The client said DISCONNECT.
    #[error("disconnected")]
    Disconnected,
    /// A CONNECT was refused; CONNACK told why.
    #[error("refused with CONNACK {code}: {0:?}", code = *.0 as u8)]
    Refused(ConnectReturnCode),
    /// Another connection came with the same client identifier [MQTT-3.1.4-2].
    #[error("another connection uses its client identifier [MQTT-3.1.4-2]")]
    TakenOver,
    /// Nothing was heard for one and a half keep-alive times [MQTT-3.1.2-24].
    #[error("silent for one and a half times its keep-alive [MQTT-3.1.2-24]")]
    KeepAlive,
    /// The user is gone from the password file, or has another password.
    #[error("the user is no longer the one who was let in")]
    Expelled,
    /// No CONNECT came in time.
    #[error("no CONNECT in time [MQTT-3.1.4-5]")]
    ConnectTimeout,
    /// A packet that is well formed but not allowed here.
    #[error("{what} [{clause}]")]
    Violation {
        /// What was done.
        what: &'static str,
        /// The clause against it.
        clause: &'static str,
    },
    /// Bytes that are no packet.
    #[error("malformed packet: {0}")]
    Malformed(DecodeError),
}

impl CloseReason {
    /// Whether the peer broke the protocol.
    pub const fn is_peers_fault(&self) -> bool {
        matches!(self, Self::Violation { .. } | Self::Malformed(_))
    }
}

/// An application message as it is stored and shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Where it was published.
    pub topic: TopicName,
    /// Its payload.
    pub payload: bytes::Bytes,
}

/// One durable fact. Sessions are named by client identifier, messages by their arrival number.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A persistent session exists.
    SessionStarted {
        /// Whose.
        client_id: ClientId,
    },
    /// A session and all that belongs to it is gone.
    SessionEnded {
        /// Whose.
        client_id: ClientId,
    },
    /// A subscription was made or replaced.
    Subscribed {
        /// Whose.
        client_id: ClientId,
        /// To what.
        filter: TopicFilter,
        /// The granted quality of service.
        qos: QoS,
    },
    /// A subscription is gone.
    Unsubscribed {
        /// Whose.
        client_id: ClientId,
        /// From what.
        filter: TopicFilter,
    },
    /// A message waits for a session, queued or in flight.
    Enqueued {
        /// For whom.
        client_id: ClientId,
        /// Its arrival number; greater ones came later.
        arrival: u64,
        /// The message.
        message: Arc<Message>,
        /// The quality of service of this delivery, 1 or 2.
        qos: QoS,
        /// Whether it is delivered as retained.
        retain: bool,
    },
    /// A waiting message went out under a packet identifier.
    Sent {
        /// To whom.
        client_id: ClientId,
        /// Which message.
        arrival: u64,
        /// Under which identifier.
        packet_id: PacketId,
    },
    /// The receiver has the message of QoS 2 and PUBREL follows.
    Released {
        /// To whom.
        client_id: ClientId,
        /// Which message.
        arrival: u64,
    },
    /// A message no longer waits: delivered, or dropped from a full queue.
    Dequeued {
        /// For whom.
        client_id: ClientId,
        /// Which message.
        arrival: u64,
    },
    /// A PUBLISH of QoS 2 with this identifier was taken from a persistent session.
    Received {
        /// From whom.
        client_id: ClientId,
        /// Its identifier.
        packet_id: PacketId,
    },
    /// Its PUBREL came; the identifier is free again.
    Forgotten {
        /// From whom.
        client_id: ClientId,
        /// The identifier.
        packet_id: PacketId,
    },
    /// A topic's retained message.
    Retained {
        /// The message.
        message: Arc<Message>,
        /// Its quality of service. Those of QoS 0 may be written late.
        qos: QoS,
    },
    /// A topic has no retained message any more.
    RetainedCleared {
        /// The topic.
        topic: TopicName,
    },
    /// A connected client's will.
    WillSet {
        /// Whose.
        client_id: ClientId,
        /// The will.
        will: Will,
    },
    /// The will was published or is void.
    WillCleared {
        /// Whose.
        client_id: ClientId,
    },
}
