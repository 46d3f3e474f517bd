//! How connections and sessions end.

use std::time::Duration;

use super::change::Change;
use super::lane::{Lane, Lanes};
use super::machine::{Broker, Disk, WillFate};
use super::message::Terms;
use super::output::{CloseReason, ConnectionId, Output};
use super::persist::Barrier;
use super::session::SessionKey;
use super::share::Presence;
use super::timers::Timer;
use crate::base::clock::Monotonic;
use crate::mqtt::{Disconnect, Frame, Packet, Properties, ReasonCode};

impl Broker {
    /// The process ends: every client of version 5 is told so, and every connection forgotten, so that nothing follows
    /// [MQTT-3.14.4-1] but what was held back before. Wills stay with the durable state, to be published at the next
    /// start.
    pub fn handle_shutdown(&mut self, now: Monotonic) {
        self.now = now;
        let connections: Vec<ConnectionId> = self.connections.keys().collect();
        for connection in connections {
            self.say_why(connection, &CloseReason::ShuttingDown);
        }
        let ended: Vec<_> = self.connections.drain().map(|(connection, record)| (connection, record.lanes)).collect();
        for (connection, lanes) in ended {
            self.keep_closing(connection, lanes);
        }
    }

    /// Ends a connection whose client broke a rule.
    pub(super) fn violate(&mut self, connection: ConnectionId, what: &'static str, clause: &'static str) {
        self.violate_as(connection, ReasonCode::ProtocolError, what, clause);
    }

    /// As [`Broker::violate`], where version 5 has a code of its own for it.
    pub(super) fn violate_as(
        &mut self,
        connection: ConnectionId,
        code: ReasonCode,
        what: &'static str,
        clause: &'static str,
    ) {
        self.end(connection, CloseReason::Violation { code, what, clause }, WillFate::Publish);
    }

    /// Ends a connection from this side, after everything that it is still to be sent. While the disk does not write,
    /// what is held is dropped: nobody knows how long it would wait.
    pub(super) fn end(&mut self, connection: ConnectionId, reason: CloseReason, will: WillFate) {
        self.say_why(connection, &reason);
        self.put(connection, Output::RequestClose { connection, reason }, Lane::Close, Barrier::None);
        let lanes = self.connections.get_mut(connection).and_then(|record| record.lanes.take());
        self.keep_closing(connection, lanes);
        self.forget(connection, will);
    }

    /// DISCONNECT with its reason, for a client of version 5 that was let in [MQTT-3.14.0-1].
    fn say_why(&mut self, connection: ConnectionId, reason: &CloseReason) {
        let is_told = self.drop_held(connection);
        let Some(record) = self.connections.get(connection).filter(|_| is_told) else { return };
        let (Some(code), Some(_), true) = (reason.code(), record.session, record.version.has_properties()) else {
            return;
        };
        let disconnect = Disconnect { reason: code, properties: Properties::reason_string(reason.to_string()) };
        let mut frame = Frame::of(&Packet::Disconnect(disconnect), record.version);
        if !record.takes(frame.wire_len()) {
            // [MQTT-3.14.2-3]
            frame = Frame::of(&Packet::Disconnect(Disconnect::new(code)), record.version);
        }
        if !record.takes(frame.wire_len()) {
            return;
        }
        self.answer(connection, frame, Lane::Close, Barrier::None);
    }

    /// Drops what is held for a connection that ends while the disk does not write. Returns whether the client may be
    /// sent DISCONNECT: not before CONNACK [MQTT-3.14.0-1].
    fn drop_held(&mut self, connection: ConnectionId) -> bool {
        let Some(record) = self.connections.get_mut(connection) else { return false };
        if self.disk == Disk::Writes {
            return true;
        }
        record.lanes.take().is_none_or(|lanes| !Lanes::holds_conn_ack(&lanes))
    }

    /// Forgets a connection: its session stays or goes, its will is published, waits or is void.
    pub(super) fn forget(&mut self, connection: ConnectionId, fate: WillFate) {
        let Some(record) = self.connections.remove(connection) else { return };
        let Some(key) = record.session else { return };
        if let Some(session) = self.sessions.get_mut(key) {
            session.connection = None;
            session.disconnected = self.now;
            for filter in session.subscriptions.keys() {
                self.subscriptions.set_presence(filter, key, Presence::Absent);
            }
        }
        if let Some(will) = record.will {
            self.leave_will(key, *will, fate);
        }
        self.leave(key);
    }

    /// Its client is gone: the session ends, now or later, or stays.
    fn leave(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        match session.expiry_interval_s {
            0 => return self.remove_session(key),
            Terms::FOREVER_S => {}
            seconds => {
                session.ends = Some(self.now + Duration::from_secs(seconds.into()));
                self.record_terms(key);
            }
        }
        self.arm_session(key);
    }

    /// Records the terms on which a session is kept.
    pub(super) fn record_terms(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let change = Change::SessionKept { client_id: session.client_id.clone(), terms: session.terms() };
        session.recorded = self.persist.record(change);
    }

    /// Wakes for an absent client's session at its deadline.
    pub(super) fn arm_session(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.timer = session.deadline();
        if let Some(deadline) = session.timer {
            self.timers.set(Timer::Session(key), deadline);
        }
        self.forget_dead_timers();
    }

    /// An absent client's session has come to its end, or its will to its delay's.
    pub(super) fn look_after(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.timer = None;
        if session.ends.is_some_and(|ends| ends <= self.now) {
            self.system.counters.clients_expired += 1;
            return self.remove_session(key);
        }
        if session.will.as_ref().is_some_and(|waiting| waiting.due <= self.now) {
            self.publish_waiting_will(key);
        }
        self.arm_session(key);
    }
}
