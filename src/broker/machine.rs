//! The machine's state, its inputs and its outputs. What each packet does stands in `handle/`, one file a verb.

use std::collections::{HashMap, VecDeque};

use foldhash::fast::FixedState;
use slotmap::SlotMap;

use super::connection::{Connection, Origin};
use super::output::{Change, CloseReason, ConnectionId, Output, SendClass, Ticket};
use super::persist::Persist;
use super::retained::RetainedMessages;
use super::route::Publication;
use super::session::{Session, SessionKey};
use super::subscriptions::Subscriptions;
use super::timers::Timers;
use super::{Options, handle};
use crate::base::clock::Monotonic;
use crate::mqtt::{ClientId, DecodeError, Frame, Packet, QoS};

/// Deadlines without a connection that are not worth tidying up.
const DEAD_TIMERS_MAX: usize = 64;

/// The broker without its sockets.
///
/// Every `handle_*` may leave outputs behind: drain [`Broker::poll_output`] after each.
#[derive(Debug)]
pub struct Broker {
    pub(super) options: Options,
    pub(super) connections: SlotMap<ConnectionId, Connection>,
    pub(super) sessions: SlotMap<SessionKey, Session>,
    pub(super) sessions_by_client: HashMap<ClientId, SessionKey, FixedState>,
    pub(super) subscriptions: Subscriptions,
    pub(super) retained: RetainedMessages,
    pub(super) persist: Persist,
    pub(super) outputs: VecDeque<Output>,
    /// Requests to load; they go out behind the request to persist what they may read.
    pub(super) loads: VecDeque<Output>,
    pub(super) timers: Timers,
    /// Numbers messages as they arrive.
    pub(super) arrivals: u64,
    /// Names clients that leave their name to the broker.
    pub(super) random: fastrand::Rng,
    /// Kept between publications, so that a fan-out allocates nothing.
    pub(super) receivers: Vec<(SessionKey, QoS)>,
}

/// Behind what a frame has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behind {
    /// CONNACK and earlier deliveries that wait: deliveries keep their order [MQTT-4.6.0-6].
    Greeting,
    /// Everything recorded so far: deliveries of a message that goes onward only when it is durable.
    Origin,
    /// All earlier answers to this connection: acknowledgements keep their order [MQTT-4.6.0-2].
    Answers,
    /// Everything recorded so far: what promises durability.
    Durability,
}

/// What becomes of the will when a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WillFate {
    /// [MQTT-3.1.2-8]
    Publish,
    /// [MQTT-3.1.2-10]
    Discard,
}

impl Broker {
    /// A machine without clients. Equal seeds and equal inputs give equal outputs.
    pub fn new(options: Options, seed: u64) -> Self {
        let hasher = FixedState::with_seed(seed);
        Self {
            options,
            connections: SlotMap::with_key(),
            sessions: SlotMap::with_key(),
            sessions_by_client: HashMap::with_hasher(hasher),
            subscriptions: Subscriptions::default(),
            retained: RetainedMessages::default(),
            persist: Persist::new(),
            outputs: VecDeque::new(),
            loads: VecDeque::new(),
            timers: Timers::default(),
            arrivals: 0,
            random: fastrand::Rng::with_seed(seed),
            receivers: Vec::new(),
        }
    }

    /// A client's transport is there; its CONNECT is awaited.
    pub fn handle_open(&mut self, origin: Origin, now: Monotonic) -> ConnectionId {
        let connection = self.connections.insert(Connection::new(origin, now));
        self.arm(connection);
        connection
    }

    /// A packet came. One of a connection that has ended is passed over.
    pub fn handle_packet(&mut self, connection: ConnectionId, packet: Packet<'_>, now: Monotonic) {
        let Some(record) = self.connections.get_mut(connection) else { return };
        record.heard = now;
        if record.asking.is_some() {
            return self.violate(connection, "a packet before CONNACK while the login is verified", "section 3.1.4");
        }
        match (packet, record.session) {
            (Packet::Connect(connect), None) => handle::connect(self, connection, connect),
            (Packet::Connect(_), Some(_)) => self.violate(connection, "a second CONNECT", "MQTT-3.1.0-2"),
            (_, None) => self.violate(connection, "another packet before CONNECT", "MQTT-3.1.0-1"),
            (packet, Some(session)) => handle::packet(self, connection, session, packet),
        }
    }

    /// Bytes came that are no packet. The connection ends; an unknown protocol level is answered first [MQTT-3.1.2-2].
    pub fn handle_malformed(&mut self, connection: ConnectionId, error: DecodeError) {
        handle::malformed(self, connection, error);
    }

    /// A client's transport is gone without a DISCONNECT.
    pub fn handle_close(&mut self, connection: ConnectionId) {
        self.forget(connection, WillFate::Publish);
    }

    /// What `ticket` stands for is durable. As long as that has not been said of a ticket and all earlier ones, what
    /// waits for it is not sent: nothing is acknowledged that is not durable.
    pub fn handle_persisted(&mut self, ticket: Ticket) {
        let held = self.persist.settle(ticket);
        self.outputs.extend(held);
    }

    /// Time has passed: ends connections that were silent for too long.
    pub fn handle_timeout(&mut self, now: Monotonic) {
        while let Some((deadline, connection)) = self.timers.pop_due(now) {
            let Some(record) = self.connections.get_mut(connection) else { continue };
            if record.timer != Some(deadline) {
                continue;
            }
            record.timer = None;
            let reason = if record.session.is_some() { CloseReason::KeepAlive } else { CloseReason::ConnectTimeout };
            match record.deadline(self.options.connect_timeout) {
                Some(deadline) if deadline <= now => self.end(connection, reason, WillFate::Publish),
                _ => self.arm(connection),
            }
        }
    }

    /// When `handle_timeout` is due next.
    pub fn next_deadline(&self) -> Option<Monotonic> {
        self.timers.next()
    }

    /// The next thing to do; `None` when all is done. A request to persist comes when nothing else is left but to load.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front().or_else(|| self.persist.poll_request()).or_else(|| self.loads.pop_front())
    }

    /// Wakes for `connection` at its deadline, unless an entry does so already.
    pub(super) fn arm(&mut self, connection: ConnectionId) {
        let Some(record) = self.connections.get_mut(connection) else { return };
        let Some(deadline) = record.deadline(self.options.connect_timeout) else { return };
        if record.timer.is_none_or(|timer| deadline < timer) {
            record.timer = Some(deadline);
            self.timers.set(connection, deadline);
        }
        self.forget_dead_timers();
    }

    /// A deadline may lie a day ahead: those of connections that are gone go before they outnumber the others.
    fn forget_dead_timers(&mut self) {
        if self.timers.len() <= 2 * self.connections.len() + DEAD_TIMERS_MAX {
            return;
        }
        let connections = &self.connections;
        let timer = |connection| connections.get(connection).and_then(|record| record.timer);
        self.timers.retain(|deadline, connection| timer(connection) == Some(deadline));
    }

    /// Sends a frame that must arrive.
    pub(super) fn answer(&mut self, connection: ConnectionId, frame: Frame, behind: Behind) {
        self.send(connection, frame, SendClass::Must, behind);
    }

    pub(super) fn send(&mut self, connection: ConnectionId, frame: Frame, class: SendClass, behind: Behind) {
        let output = Output::RequestSend { connection, frame, class };
        self.put(connection, output, behind);
    }

    /// Puts `output` behind what it has to wait for.
    fn put(&mut self, connection: ConnectionId, output: Output, behind: Behind) {
        let Some(record) = self.connections.get_mut(connection) else { return };
        let awaited = match behind {
            Behind::Greeting => record.deliveries_until,
            Behind::Answers => record.held_until,
            Behind::Origin | Behind::Durability => self.persist.newest(),
        };
        // earlier answers may wait for more than this one
        if self.persist.is_answered(awaited.max(record.greeting)) {
            self.outputs.push_back(output);
        } else {
            record.held_until = self.persist.hold(output);
            if matches!(behind, Behind::Greeting | Behind::Origin) {
                record.deliveries_until = record.held_until;
            }
        }
    }

    /// Ends a connection whose client broke a rule.
    pub(super) fn violate(&mut self, connection: ConnectionId, what: &'static str, clause: &'static str) {
        self.end(connection, CloseReason::Violation { what, clause }, WillFate::Publish);
    }

    /// Ends a connection from this side, behind the answers it still gets.
    pub(super) fn end(&mut self, connection: ConnectionId, reason: CloseReason, will: WillFate) {
        self.put(connection, Output::RequestClose { connection, reason }, Behind::Answers);
        self.forget(connection, will);
    }

    /// Forgets a connection: its session stays or goes, its will is published or void.
    fn forget(&mut self, connection: ConnectionId, fate: WillFate) {
        let Some(record) = self.connections.remove(connection) else { return };
        let Some(key) = record.session else { return };
        let had_will = record.will.is_some();
        let will = record.will.filter(|will| fate == WillFate::Publish && self.may_write(key, will.topic.as_str()));
        if let Some(session) = self.sessions.get_mut(key) {
            session.connection = None;
            if had_will {
                self.persist.record(Change::WillCleared { client_id: session.client_id.clone() });
            }
            if !session.is_persistent() {
                self.remove_session(key);
            }
        }
        if let Some(will) = will {
            self.route(&Publication::from_will(&will), false);
        }
    }

    /// Removes a session with its subscriptions and queue.
    pub(super) fn remove_session(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.remove(key) else { return };
        self.sessions_by_client.remove(&session.client_id);
        for filter in session.subscriptions.keys() {
            self.subscriptions.remove(filter, key);
        }
        if session.is_persistent() {
            self.persist.record(Change::SessionEnded { client_id: session.client_id });
        }
    }
}
