//! The machine's state, its inputs and its outputs. What each packet does stands in `handle/`, one file a verb.

use std::collections::{BTreeMap, HashMap, VecDeque};

use foldhash::fast::FixedState;
use slotmap::SlotMap;

use super::connection::{Connection, Origin};
use super::lane::Lanes;
use super::output::{CloseReason, ConnectionId, Output, Ticket};
use super::persist::Persist;
use super::retained::RetainedMessages;
use super::retained_budget::RetainedBudget;
use super::session::{Session, SessionKey};
use super::session_end::EndedSession;
use super::subscriptions::{Found, Subscriptions};
use super::system::System;
use super::timers::{Timer, Timers};
use super::work::{Slice, Work};
use super::{Options, handle};
use crate::base::clock::Monotonic;
use crate::mqtt::{ClientId, DecodeError, Packet, ProtocolVersion};

/// Deadlines without a connection that are not worth tidying up.
const DEAD_TIMERS_MAX: usize = 64;

/// The broker without its sockets.
///
/// Every `handle_*` may leave outputs behind: drain [`Broker::poll_output`] after each.
#[derive(Debug)]
pub struct Broker {
    pub(super) options: Options,
    /// When the latest input came.
    pub(super) now: Monotonic,
    pub(super) connections: SlotMap<ConnectionId, Connection>,
    pub(super) sessions: SlotMap<SessionKey, Session>,
    pub(super) sessions_by_client: HashMap<ClientId, SessionKey, FixedState>,
    pub(super) subscriptions: Subscriptions,
    pub(super) retained: RetainedMessages,
    pub(super) retained_budget: RetainedBudget,
    pub(super) persist: Persist,
    /// Outputs of connections that the broker has ended, while they wait for durability.
    pub(super) closing: HashMap<ConnectionId, Box<Lanes>, FixedState>,
    /// Connections with held outputs, by the tickets that these wait for.
    pub(super) held: BTreeMap<Ticket, Vec<ConnectionId>>,
    pub(super) outputs: VecDeque<Output>,
    /// Sessions that are ending.
    pub(super) ended: HashMap<ClientId, EndedSession, FixedState>,
    /// Work that is done in slices.
    pub(super) work: VecDeque<Work>,
    pub(super) slice: Slice,
    /// Requests to load; they go out behind the request to persist what they may read.
    pub(super) loads: VecDeque<Output>,
    pub(super) timers: Timers,
    /// The deadline of the live entry for retained messages.
    pub(super) retained_timer: Option<Monotonic>,
    /// What `$SYS` tells.
    pub(super) system: System,
    /// Numbers messages as they arrive.
    pub(super) arrivals: u64,
    /// Names clients that leave their name to the broker.
    pub(super) random: fastrand::Rng,
    /// Kept between publications, so that a fan-out allocates nothing.
    pub(super) found: Found,
    /// While it does not write, what needs it is refused where the protocol has a word for that.
    pub(super) disk: Disk,
}

/// How the disk takes what is asked to be persisted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disk {
    /// As it should.
    Writes,
    /// It has no room.
    Full,
    /// It fails in another way.
    Fails,
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
            now: Monotonic::ZERO,
            connections: SlotMap::with_key(),
            sessions: SlotMap::with_key(),
            sessions_by_client: HashMap::with_hasher(hasher),
            subscriptions: Subscriptions::new(seed),
            retained: RetainedMessages::default(),
            retained_budget: RetainedBudget::default(),
            persist: Persist::new(seed),
            closing: HashMap::with_hasher(FixedState::with_seed(seed)),
            held: BTreeMap::new(),
            outputs: VecDeque::new(),
            ended: HashMap::with_hasher(FixedState::with_seed(seed)),
            work: VecDeque::new(),
            slice: Slice::DEFAULT,
            loads: VecDeque::new(),
            timers: Timers::default(),
            retained_timer: None,
            system: System::default(),
            arrivals: 0,
            random: fastrand::Rng::with_seed(seed),
            found: Found::default(),
            disk: Disk::Writes,
        }
    }

    /// A client's transport is there; its CONNECT is awaited.
    pub fn handle_open(&mut self, origin: Origin, now: Monotonic) -> ConnectionId {
        self.now = now;
        self.system.counters.sockets += 1;
        let connection = self.connections.insert(Connection::new(origin, now));
        self.arm(connection);
        connection
    }

    /// A packet came. One of a connection that has ended is passed over.
    pub fn handle_packet(&mut self, connection: ConnectionId, packet: Packet<'_>, now: Monotonic) {
        self.now = now;
        let Some(record) = self.connections.get_mut(connection) else { return };
        record.heard = now;
        self.system.counters.messages_received += 1;
        if record.login.is_some() {
            return self.violate(connection, "a packet before CONNACK while the login is verified", "section 3.1.4");
        }
        match (packet, record.session) {
            (Packet::Connect(connect), None) => handle::connect(self, connection, connect),
            (Packet::Connect(_), Some(_)) => self.violate(connection, "a second CONNECT", "MQTT-3.1.0-2"),
            (_, None) => self.violate(connection, "another packet before CONNECT", "MQTT-3.1.0-1"),
            (packet, Some(session)) => handle::packet(self, connection, session, packet),
        }
    }

    /// Bytes came that are no packet. The connection ends; an unknown protocol level is answered first [MQTT-3.1.2-2],
    /// and a CONNECT that says to be of `version` 5 [MQTT-3.1.4-1].
    pub fn handle_malformed(
        &mut self,
        connection: ConnectionId,
        error: DecodeError,
        version: Option<ProtocolVersion>,
        now: Monotonic,
    ) {
        self.now = now;
        handle::malformed(self, connection, error, version);
    }

    /// A client's transport is gone without a DISCONNECT. Outputs that are held for it are dropped.
    pub fn handle_close(&mut self, connection: ConnectionId, now: Monotonic) {
        self.now = now;
        self.closing.remove(&connection);
        self.forget(connection, WillFate::Publish);
    }

    /// The server reads nothing from this connection until [`Broker::handle_resumed`], because of its own limits: the
    /// client's keep-alive is suspended (section 3.1.2.10).
    pub fn handle_paused(&mut self, connection: ConnectionId, now: Monotonic) {
        self.now = now;
        if let Some(record) = self.connections.get_mut(connection) {
            record.is_paused = true;
        }
    }

    /// The server reads from this connection again; its keep-alive starts anew.
    pub fn handle_resumed(&mut self, connection: ConnectionId, now: Monotonic) {
        self.now = now;
        if let Some(record) = self.connections.get_mut(connection) {
            (record.is_paused, record.heard) = (false, now);
        }
        self.arm(connection);
    }

    /// What was sent to this connection before [`Output::RequestRoom`] has left for its socket.
    pub fn handle_room(&mut self, connection: ConnectionId, now: Monotonic) {
        self.now = now;
        let Some(record) = self.connections.get_mut(connection) else { return };
        record.awaits_room = false;
        if let Some(session) = record.session {
            self.continue_replays(session);
        }
    }

    /// What `ticket` stands for is durable. As long as that has not been said, what waits for it is not sent: nothing is
    /// acknowledged that is not durable. Tickets may be answered in any order.
    pub fn handle_persisted(&mut self, ticket: Ticket, now: Monotonic) {
        self.now = now;
        self.persist.settle(ticket);
        self.release(ticket);
    }

    /// Time has passed: ends connections that were silent for too long, and sessions and messages that have expired;
    /// publishes wills whose delay is over.
    pub fn handle_timeout(&mut self, now: Monotonic) {
        self.now = now;
        while let Some((deadline, timer)) = self.timers.pop_due(now) {
            if self.live_deadline(timer) != Some(deadline) {
                continue;
            }
            match timer {
                Timer::Connection(connection) => self.time_out(connection),
                Timer::Session(session) => self.look_after(session),
                Timer::Retained => self.expire_retained(),
                Timer::System => self.publish_system(),
            }
        }
    }

    /// Ends a connection whose client has not been heard for too long.
    fn time_out(&mut self, connection: ConnectionId) {
        let Some(record) = self.connections.get_mut(connection) else { return };
        record.timer = None;
        let reason = if record.session.is_some() { CloseReason::KeepAlive } else { CloseReason::ConnectTimeout };
        match record.deadline(self.options.connect_timeout) {
            Some(deadline) if deadline <= self.now => self.end(connection, reason, WillFate::Publish),
            _ => self.arm(connection),
        }
    }

    /// The deadline that `timer`'s owner waits for.
    fn live_deadline(&self, timer: Timer) -> Option<Monotonic> {
        match timer {
            Timer::Connection(connection) => self.connections.get(connection).and_then(|record| record.timer),
            Timer::Session(session) => self.sessions.get(session).and_then(|session| session.timer),
            Timer::Retained => self.retained_timer,
            Timer::System => self.system.timer,
        }
    }

    /// Messages that wait for a client, those in flight included, and those that had to go since the start.
    pub fn queued(&self, client_id: &ClientId) -> (u64, u64) {
        let session = self.sessions_by_client.get(client_id).and_then(|key| self.sessions.get(*key));
        session.map_or((0, 0), |session| {
            let waiting = session.queue.size().0 + session.window.size().0;
            (waiting as u64, session.dropped)
        })
    }

    /// Returns the connection of a client; `None` for a session without one.
    pub fn connection_of(&self, client_id: &ClientId) -> Option<ConnectionId> {
        let key = self.sessions_by_client.get(client_id)?;
        self.sessions.get(*key)?.connection
    }

    /// When `handle_timeout` is due next.
    pub fn next_deadline(&self) -> Option<Monotonic> {
        self.timers.next()
    }

    /// The next thing to do; `None` when all is done. A request to persist comes when nothing else is left but to load.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front().or_else(|| self.persist.poll_request()).or_else(|| self.loads.pop_front())
    }

    /// As [`Broker::poll_output`], between inputs that come together: requests to persist and to load wait, so that one
    /// of each stands for all of them.
    pub fn poll_immediate(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Wakes for `connection` at its deadline, unless an entry does so already.
    pub(super) fn arm(&mut self, connection: ConnectionId) {
        let Some(record) = self.connections.get_mut(connection) else { return };
        let Some(deadline) = record.deadline(self.options.connect_timeout) else { return };
        if record.timer.is_none_or(|timer| deadline < timer) {
            record.timer = Some(deadline);
            self.timers.set(Timer::Connection(connection), deadline);
        }
        self.forget_dead_timers();
    }

    /// A deadline may lie a day ahead: those of connections that are gone go before they outnumber the others.
    pub(super) fn forget_dead_timers(&mut self) {
        if self.timers.len() <= 2 * (self.connections.len() + self.sessions.len()) + DEAD_TIMERS_MAX {
            return;
        }
        let mut timers = std::mem::take(&mut self.timers);
        timers.retain(|deadline, timer| self.live_deadline(timer) == Some(deadline));
        self.timers = timers;
    }
}
