//! What the machine knows of one open connection.

use std::time::Duration;

use super::output::Ticket;
use super::session::SessionKey;
use crate::base::clock::Monotonic;
use crate::mqtt::{Connect, Will};

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
    pub(super) opened: Monotonic,
    /// When its last packet came.
    pub(super) heard: Monotonic,
    /// One and a half keep-alive times; `None` when the mechanism is off.
    pub(super) silence_max: Option<Duration>,
    /// The deadline of its live entry in the timers.
    pub(super) timer: Option<Monotonic>,
    /// A CONNECT that awaits its verdict.
    pub(super) asking: Option<Box<Connect>>,
    /// Since a CONNECT was accepted.
    pub(super) session: Option<SessionKey>,
    pub(super) will: Option<Will>,
    /// What CONNACK waits for.
    pub(super) greeting: Ticket,
    /// What its latest held output waits for.
    pub(super) held_until: Ticket,
    /// What its latest held delivery waits for.
    pub(super) deliveries_until: Ticket,
}

impl Connection {
    pub(super) fn new(origin: Origin, now: Monotonic) -> Self {
        Self {
            origin,
            opened: now,
            heard: now,
            silence_max: None,
            timer: None,
            asking: None,
            session: None,
            will: None,
            greeting: Ticket::default(),
            held_until: Ticket::default(),
            deliveries_until: Ticket::default(),
        }
    }

    /// When to look after it next; `None` for never.
    pub(super) fn deadline(&self, connect_timeout: Duration) -> Option<Monotonic> {
        match self.session {
            None => Some(self.opened + connect_timeout),
            Some(_) => self.silence_max.map(|silence_max| self.heard + silence_max),
        }
    }
}
