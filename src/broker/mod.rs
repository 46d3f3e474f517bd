//! The broker's machine: packets and `now` in, outputs out.
//!
//! - Holds sessions, subscriptions, retained messages, wills and deadlines.
//! - Never enters: a clock, a socket, a file, a task, a lock. Equal inputs give equal outputs.
//! - Uses `base`, `mqtt` and, for what a client may do, `access`.
//! - Follows chapters 3 and 4 of MQTT Version 5.0, and of Version 3.1.1 where that differs. Clauses in brackets are
//!   version 5's where both have the rule.
//!
//! One rule: mutate with `handle_*`, then drain `poll_output()` until it gives `None`.

mod alias;
mod authenticate;
mod change;
mod connection;
mod deliver;
mod ending;
mod forms;
mod handle;
mod hash;
mod inflight;
mod lane;
mod leave_groups;
mod machine;
mod members;
mod memory;
mod message;
mod ordering;
mod output;
mod persist;
mod replay;
mod restore;
mod retained;
mod retained_budget;
mod route;
mod session;
mod session_end;
mod share;
pub mod state;
mod subscriptions;
mod system;
#[cfg(test)]
mod tests;
mod timers;
mod will;
mod work;

pub use authenticate::{Standing, Verdict};
pub use change::Change;
pub use connection::Origin;
pub use machine::{Broker, Disk};
pub use message::{Delivery, Granted, Marks, Message, Owner, Terms};
pub use output::{CloseReason, ConnectionId, NotRetained, Output, SendClass, Ticket};

use std::time::Duration;

/// Client identifiers that begin so belong to the gateway's own clients and are refused to everyone else.
pub const RESERVED_CLIENT_ID_PREFIX: &str = "sensegate/";

/// What `topic_levels_max` may be at most: the trees of topics are walked level by level on the stack.
pub const TOPIC_LEVELS_MAX: usize = 1024;

/// The limits of the machine. What happens beyond each is told beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The largest packet taken, header included; a larger one ends its connection.
    pub packet_bytes_max: usize,
    /// Bytes of memory that the broker may use; the limit on the bytes before all logins follows from it.
    pub memory_bytes_max: usize,
    /// Bytes that a connection may cost before its login is accepted, its CONNECT included; a larger CONNECT ends its
    /// connection. At most `packet_bytes_max` counts.
    pub login_bytes_max: usize,
    /// Outgoing QoS 1 and 2 messages of one session that wait for an acknowledgement; further ones queue.
    pub inflight_max: usize,
    /// What may wait for one session.
    pub queue: QueueLimits,
    /// The same for sessions of certain clients; the first that fits counts.
    pub queues: Vec<(ClientIdPattern, QueueLimits)>,
    /// Topic filters of one session; a SUBSCRIBE beyond it is answered with failure.
    pub subscriptions_max: usize,
    /// Sessions, connected or not; beyond it a new client is refused with CONNACK 3, unless it is the house's own.
    pub sessions_max: usize,
    /// Time since the end of its connection after which a session with an empty queue may be discarded to make room
    /// for a new one of the same user, when there are `sessions_max` sessions.
    pub session_idle_min: Duration,
    /// Retained messages; beyond it, or beyond its owner's part of it, a further topic's is not kept.
    pub retained_messages_max: usize,
    /// Bytes of memory of all retained messages; beyond it, or beyond its owner's part of it, a further one is not kept.
    pub retained_bytes_max: usize,
    /// Levels of a topic name or filter, at most [`TOPIC_LEVELS_MAX`]; a longer one ends the connection of whoever
    /// publishes it or has it in a will, or fails the subscription.
    pub topic_levels_max: usize,
    /// Time from the connection's opening to its CONNECT; then it is closed.
    pub connect_timeout: Duration,
    /// Whether what is recorded can be read back: then long queues of persistent sessions are left to the disk.
    pub spills_queues: bool,
    /// Deliveries of one such queue that are held in memory, at least 2; those behind them are on disk alone.
    pub queue_in_memory_max: usize,
    /// QoS 2 messages of one client of version 5 that wait for their PUBREL, at least 1; one more ends its connection
    /// with 0x93. CONNACK tells it as the receive maximum.
    pub receive_max: u16,
    /// Topic aliases of one connection of version 5, each way; a greater one ends its connection with 0x94. CONNACK
    /// tells it.
    pub topic_aliases_max: u16,
    /// Seconds that a session outlives its connection at most; [`Terms::FOREVER_S`] for no bound. Who asks for more is
    /// told in version 5.
    pub session_expiry_s_max: u32,
    /// How often `$SYS/broker/…` is published; `None` for never.
    pub system_interval: Option<Duration>,
    /// The longest keep-alive; a client that asks for more, or for none, is held to it. `None` for no bound.
    pub keep_alive_max: Option<Duration>,
}

impl Options {
    /// Which of `queues` counts for this client, by its number from 1 on; 0 for `queue`.
    fn queue_number(&self, client_id: &str) -> u16 {
        let place = self.queues.iter().position(|(pattern, _)| pattern.matches(client_id));
        place.and_then(|place| u16::try_from(place + 1).ok()).unwrap_or(0)
    }

    /// The limits with this number.
    fn queue(&self, number: u16) -> &QueueLimits {
        let own = usize::from(number).checked_sub(1).and_then(|place| self.queues.get(place));
        own.map_or(&self.queue, |(_, limits)| limits)
    }

    /// Whether a topic name or filter has no more levels than are allowed.
    fn allows_levels_of(&self, topic: &str) -> bool {
        topic.split('/').count() <= self.topic_levels_max.min(TOPIC_LEVELS_MAX)
    }
}

/// What may wait for one session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueLimits {
    /// Messages; beyond it `overflow` decides.
    pub messages_max: usize,
    /// Bytes of payloads, topics and properties; beyond it `overflow` decides. Once as many in flight, further messages
    /// queue.
    pub bytes_max: usize,
    /// How long a message may wait; then it goes. `None` for ever.
    pub age_max: Option<Duration>,
    /// Which message goes when there is no room.
    pub overflow: Overflow,
}

/// Client identifiers: one, or with `*` at the end all that begin so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientIdPattern(Box<str>);

impl ClientIdPattern {
    /// Takes the text as it is.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// Whether the identifier is one of them.
    pub fn matches(&self, client_id: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(beginning) => client_id.starts_with(beginning),
            None => *self.0 == *client_id,
        }
    }
}

/// Which message goes when a queue is full. Messages in flight never do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// The one that has waited longest.
    DropOldest,
    /// The one that has just come.
    DropNewest,
}

impl Default for QueueLimits {
    fn default() -> Self {
        Self { messages_max: 10_000, bytes_max: 16 << 20, age_max: None, overflow: Overflow::DropOldest }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            packet_bytes_max: 1 << 20,
            memory_bytes_max: 256 << 20,
            login_bytes_max: 100_000,
            inflight_max: 100,
            queue: QueueLimits::default(),
            queues: Vec::new(),
            subscriptions_max: 10_000,
            sessions_max: 10_000,
            session_idle_min: Duration::from_secs(3600),
            retained_messages_max: 100_000,
            retained_bytes_max: 64 << 20,
            topic_levels_max: 128,
            connect_timeout: Duration::from_secs(10),
            spills_queues: false,
            queue_in_memory_max: 1_000,
            receive_max: 1_000,
            topic_aliases_max: 16,
            session_expiry_s_max: Terms::FOREVER_S,
            system_interval: Some(Duration::from_secs(10)),
            keep_alive_max: None,
        }
    }
}
