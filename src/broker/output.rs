//! What the machine wants done: `Request…` must be carried out, in order; `Notify…` may be ignored.

use thiserror::Error;

use super::change::Change;
use crate::mqtt::{ClientId, DecodeError, Frame, Password, ReasonCode, TopicFilter, TopicName};

slotmap::new_key_type! {
    /// A connection, from `handle_open` to its end. An identifier is never given twice.
    pub struct ConnectionId;
}

/// Names one request to persist; later requests have greater tickets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

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
    /// Answer with `handle_room` as soon as what was sent to this connection so far has left for its socket.
    RequestRoom {
        /// Which.
        connection: ConnectionId,
    },
    /// Read from this connection again: `accepts_input` is true again.
    RequestRead {
        /// Which.
        connection: ConnectionId,
    },
    /// Make these changes durable together, all or none, then answer with `handle_persisted`. A ticket may be answered
    /// before an earlier one that waits for room on the disk.
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
        password: Option<Password>,
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
    /// A subscription was refused.
    NotifySubscriptionRefused {
        /// The client that asked for it.
        client_id: ClientId,
        /// Its topic filter.
        filter: TopicFilter,
        /// The reason, in version 5's codes: a quota, missing rights, or an invalid filter.
        code: ReasonCode,
    },
    /// A session's queue was full and a message of QoS 1 or 2 was dropped.
    NotifyDropped {
        /// Whose queue.
        client_id: ClientId,
    },
    /// A retained message does not fit into the budget of its account.
    NotifyRetainedFull {
        /// The client that published it; `None` for a will.
        client_id: Option<ClientId>,
        /// Its topic.
        topic: TopicName,
        /// What became of it.
        outcome: NotRetained,
    },
}

/// What became of a message that could not be retained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotRetained {
    /// It was refused with 0x97 and delivered to nobody; the topic's earlier retained message stays.
    Refused,
    /// It was delivered to the present subscribers, and the topic has no retained message any more [MQTT-3.3.1-5].
    Delivered,
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
    /// A CONNECT was refused; CONNACK told why, 3.1.1 in its nearest return code.
    #[error("refused: {0}")]
    Refused(ReasonCode),
    /// A CONNECT was refused: there are as many sessions as there may be, and none that this user may replace.
    #[error("there are as many sessions as there may be, and no idle one of this user")]
    TooManySessions,
    /// A CONNECT was refused: the session of its client identifier belongs to another user.
    #[error("the session of this client identifier belongs to another user")]
    SessionOfAnotherUser,
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
    /// The process ends.
    #[error("the broker is shutting down")]
    ShuttingDown,
    /// A packet that is well formed but not allowed here.
    #[error("{what} [{clause}]")]
    Violation {
        /// Version 5's word for it.
        code: ReasonCode,
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
    /// Returns CONNACK's code, where a CONNECT was refused.
    pub const fn refusal(&self) -> Option<ReasonCode> {
        match self {
            Self::Refused(code) => Some(*code),
            Self::TooManySessions => Some(ReasonCode::QuotaExceeded),
            Self::SessionOfAnotherUser => Some(ReasonCode::ClientIdentifierNotValid),
            _ => None,
        }
    }

    /// Whether the peer broke the protocol.
    pub const fn is_peers_fault(&self) -> bool {
        matches!(self, Self::Violation { .. } | Self::Malformed(_))
    }

    /// What DISCONNECT says of it; `None` where none is sent.
    pub fn code(&self) -> Option<ReasonCode> {
        Some(match self {
            Self::Disconnected
            | Self::Refused(_)
            | Self::TooManySessions
            | Self::SessionOfAnotherUser
            | Self::ConnectTimeout => return None,
            Self::TakenOver => ReasonCode::SessionTakenOver,
            Self::KeepAlive => ReasonCode::KeepAliveTimeout,
            Self::Expelled => ReasonCode::NotAuthorized,
            Self::ShuttingDown => ReasonCode::ServerShuttingDown,
            Self::Violation { code, .. } => *code,
            Self::Malformed(error) => error.reason(),
        })
    }
}
