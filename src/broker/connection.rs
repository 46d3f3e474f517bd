//! What the machine knows of one open connection.

use std::time::Duration;

use super::alias::{Incoming, Outgoing};
use super::lane::Lanes;
use super::session::SessionKey;
use crate::access::Rights;
use crate::base::clock::Monotonic;
use crate::mqtt::{Connect, ProtocolVersion, Will};

/// By which door a connection came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The private socket of the gateway's own clients: reserved client identifiers are theirs.
    House,
    /// Any other listener.
    Public,
}

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) origin: Origin,
    /// Of its CONNECT; of no meaning before.
    pub(super) version: ProtocolVersion,
    pub(super) opened: Monotonic,
    /// When its last packet came.
    pub(super) heard: Monotonic,
    /// One and a half keep-alive times; `None` when the mechanism is off.
    pub(super) silence_max: Option<Duration>,
    /// Whether the server reads nothing from it for a reason of its own: the client's silence proves nothing then.
    pub(super) is_paused: bool,
    /// The deadline of its live entry in the timers.
    pub(super) timer: Option<Monotonic>,
    /// How far its login has come; `None` before CONNECT and once the client is let in.
    pub(super) login: Option<Login>,
    /// Since a CONNECT was accepted.
    pub(super) session: Option<SessionKey>,
    pub(super) will: Option<Box<Will>>,
    /// What only a client of version 5 has.
    pub(super) five: Option<Box<Five>>,
    /// Outputs that wait for durability; `None` while there are none.
    pub(super) lanes: Option<Box<Lanes>>,
    /// Whether the server has yet to send what retained messages were replayed last.
    pub(super) awaits_room: bool,
    /// Whether so many outputs are held that the client is not read from.
    pub(super) is_congested: bool,
}

/// A CONNECT that is not answered yet.
#[derive(Debug)]
pub(super) enum Login {
    /// The user name and password are being verified.
    Verifying(Box<Connect>),
    /// They are verified, and an earlier session of the client is ending.
    Waiting(Box<Verified>),
}

/// A CONNECT whose client is known.
#[derive(Debug)]
pub(super) struct Verified {
    pub(super) connect: Connect,
    /// The verified user name; `None` for an anonymous client.
    pub(super) user: Option<Box<str>>,
    pub(super) rights: Rights,
}

/// A connection of version 5, as its CONNECT asked for it.
#[derive(Debug)]
pub(super) struct Five {
    /// The largest packet that the client takes [MQTT-3.1.2-24].
    pub(super) packet_bytes_max: usize,
    /// Whether answers may say why in words [MQTT-3.1.2-29].
    pub(super) wants_reasons: bool,
    /// Whether CONNECT asked for a session that ends with the connection; DISCONNECT may not change that
    /// [section 3.14.2.2.2].
    pub(super) is_sessionless: bool,
    pub(super) incoming: Incoming,
    pub(super) outgoing: Outgoing,
}

impl Connection {
    pub(super) fn new(origin: Origin, now: Monotonic) -> Self {
        Self {
            origin,
            version: ProtocolVersion::V311,
            opened: now,
            heard: now,
            silence_max: None,
            is_paused: false,
            timer: None,
            login: None,
            session: None,
            will: None,
            five: None,
            lanes: None,
            awaits_room: false,
            is_congested: false,
        }
    }

    /// Returns when the connection times out: without a CONNECT after `connect_timeout`, else after the silence that its
    /// keep-alive allows. `None` while a login is being verified and while the server reads nothing from the client.
    pub(super) fn deadline(&self, connect_timeout: Duration) -> Option<Monotonic> {
        match self.session {
            _ if self.is_paused || self.login.is_some() => None,
            None => Some(self.opened + connect_timeout),
            Some(_) => self.silence_max.map(|silence_max| self.heard + silence_max),
        }
    }

    /// Returns whether it is one of the gateway's internal clients.
    pub(super) fn is_internal(&self) -> bool {
        self.origin == Origin::House
    }

    /// Whether its client takes a packet of this size.
    pub(super) fn takes(&self, bytes: usize) -> bool {
        self.five.as_ref().is_none_or(|five| bytes <= five.packet_bytes_max)
    }

    /// Whether answers may say why in words.
    pub(super) fn wants_reasons(&self) -> bool {
        self.five.as_ref().is_some_and(|five| five.wants_reasons)
    }
}
