//! CONNECT: the token decides; the password is not looked at, and a client identifier belongs to whoever came last.

use std::num::NonZeroU16;

use sensegate::mqtt::{
    ConnAck, Connect, ConnectReturnCode, Disconnect, Packet, Properties, PropertyFields, ProtocolVersion, ReasonCode,
};

use super::journal::Connected;
use super::packet::{Order, Outgoing};
use super::session::{ConnectionId, Line, Session};
use super::state::{End, Now, State};

/// What a client of version 5 may have unacknowledged.
const RECEIVE_MAXIMUM: NonZeroU16 = NonZeroU16::new(32).expect("not zero");

impl State {
    /// Lets the client in, or says why not and closes.
    pub(super) fn handle_connect(&mut self, now: Now, connection: ConnectionId, line: &Line, connect: Connect) {
        let answer = self.answer_to(now, &connect);
        let assigned = connect.client_id.as_str().is_empty().then(|| format!("assigned-{connection}"));
        self.journal.connects.push(Connected::new(now.monotonic, connection, &connect, answer));
        if answer == ConnectReturnCode::Accepted {
            self.seat(now, connection, line, connect);
        }
        let conn_ack = Outgoing::new(&Packet::ConnAck(conn_ack(answer, line.version, assigned)), line.version);
        match (self.faults.conn_ack_after, answer) {
            (delay, ConnectReturnCode::Accepted) if delay.is_zero() => line.order(Order::Send(conn_ack)),
            (delay, ConnectReturnCode::Accepted) => line.order(Order::SendLater(delay, conn_ack)),
            _ => {
                line.order(Order::Send(conn_ack));
                line.order(Order::Close);
            }
        }
    }

    fn answer_to(&mut self, now: Now, connect: &Connect) -> ConnectReturnCode {
        if let Some(code) = self.faults.refusal {
            return code;
        }
        if connect.client_id.as_str().is_empty() && !connect.clean_session {
            return ConnectReturnCode::IdentifierRejected;
        }
        let token = connect.user_name.as_deref().unwrap_or_default();
        if self.accounts.get(token).is_none() {
            return self.bad_token_code;
        }
        if !self.meter.admits_connect(connect.client_id.as_str(), now.monotonic) {
            return ConnectReturnCode::NotAuthorized;
        }
        ConnectReturnCode::Accepted
    }

    fn seat(&mut self, now: Now, connection: ConnectionId, line: &Line, connect: Connect) {
        let client_id = connect.client_id.as_str().to_owned();
        let same = |session: &Session| !client_id.is_empty() && session.client_id == client_id;
        if let Some(taken_over) = self.sessions.iter().find(|(_, session)| same(session)).map(|(id, _)| *id) {
            self.take_over(now, taken_over);
        }
        let token = connect.user_name.unwrap_or_default();
        self.sessions.insert(connection, Session::new(client_id, token, connect.will, line.clone()));
    }

    fn take_over(&mut self, now: Now, connection: ConnectionId) {
        self.journal.counters.takeovers += 1;
        if let Some(session) = self.sessions.get(&connection) {
            tell_reason(&session.line, ReasonCode::SessionTakenOver);
            session.line.order(Order::Close);
        }
        self.handle_end(now, connection, End::Lost);
    }
}

/// Why the connection is about to be closed; only version 5 has a word for it.
pub(super) fn tell_reason(line: &Line, reason: ReasonCode) {
    if line.version.has_properties() {
        line.send(&Packet::Disconnect(Disconnect::new(reason)));
    }
}

/// No session outlives its connection, so none is ever present.
fn conn_ack(answer: ConnectReturnCode, version: ProtocolVersion, assigned: Option<String>) -> ConnAck {
    let properties = match (version, answer) {
        (ProtocolVersion::V5, ConnectReturnCode::Accepted) => Properties::new(PropertyFields {
            maximum_qos_is_1: Some(true),
            receive_maximum: Some(RECEIVE_MAXIMUM),
            session_expiry_interval_s: Some(0),
            assigned_client_identifier: assigned,
            ..PropertyFields::default()
        }),
        _ => Properties::NONE,
    };
    ConnAck { properties, ..ConnAck::new(false, answer.into()) }
}
