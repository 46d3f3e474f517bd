//! CONNECT (section 3.1): who comes in, and what is waiting for them.

use std::time::Duration;

use crate::access::Rights;
use crate::broker::RESERVED_CLIENT_ID_PREFIX;
use crate::broker::connection::Origin;
use crate::broker::inflight::Awaits;
use crate::broker::machine::{Behind, Broker, WillFate};
use crate::broker::output::{Change, CloseReason, ConnectionId, Output};
use crate::broker::route::template_of;
use crate::broker::session::{Lifetime, Session, SessionKey};
use crate::mqtt::{
    Acknowledgement, ClientId, ConnAck, Connect, ConnectReturnCode, DecodeError, Frame, Packet, ProtocolVersion,
};

/// Refuses a CONNECT that nobody may send, and asks who sends any other. The house's own clients are known.
pub(in crate::broker) fn connect(broker: &mut Broker, connection: ConnectionId, mut connect: Connect) {
    if connect.will.as_ref().is_some_and(|will| !broker.options.allows_levels_of(will.topic.as_str())) {
        return broker.violate(connection, "a will topic with more levels than topic_levels allows", "section 4.7.3");
    }
    match identify(broker, connection, &connect) {
        Ok(client_id) => connect.client_id = client_id,
        Err(code) => return refuse(broker, connection, code),
    }
    if is_house(broker, connection) {
        return admit(broker, connection, &connect, None, Rights::everything());
    }
    let Some(record) = broker.connections.get_mut(connection) else { return };
    let (client_id, user_name) = (connect.client_id.clone(), connect.user_name.clone());
    let password = connect.password.take();
    record.asking = Some(Box::new(connect));
    broker.outputs.push_back(Output::RequestAuthenticate { connection, user_name, password, client_id });
}

/// Seats a client whose name is verified, unless its session is another user's or there is no room for one.
pub(in crate::broker) fn admit(
    broker: &mut Broker,
    connection: ConnectionId,
    connect: &Connect,
    user: Option<Box<str>>,
    rights: Rights,
) {
    if let Err(code) = check_seat(broker, connection, &connect.client_id, user.as_deref()) {
        return refuse(broker, connection, code);
    }
    let (session, session_present) = seat(broker, connect.client_id.clone(), connect.clean_session);
    if let Some(session) = broker.sessions.get_mut(session) {
        (session.user, session.rights) = (user, rights);
    }
    attach(broker, connection, session, connect);
    // [MQTT-3.2.0-1]: whatever else goes to this client waits for what CONNACK waits for
    let greeting = broker.persist.newest();
    if let Some(record) = broker.connections.get_mut(connection) {
        record.greeting = greeting;
        record.deliveries_until = greeting;
    }
    let accepted = conn_ack(ConnectReturnCode::Accepted, session_present);
    broker.answer(connection, accepted, Behind::Durability);
    notify(broker, connection, session, session_present);
    resume(broker, connection, session);
    broker.arm(connection);
}

/// Ends a connection that sent no packet. A protocol level that is not served gets CONNACK 1 [MQTT-3.1.2-2].
pub(in crate::broker) fn malformed(broker: &mut Broker, connection: ConnectionId, error: DecodeError) {
    let is_new = broker.connections.get(connection).is_some_and(|record| record.session.is_none());
    match error {
        DecodeError::UnsupportedProtocolLevel(_) if is_new => {
            refuse(broker, connection, ConnectReturnCode::UnacceptableProtocolVersion);
        }
        error => broker.end(connection, CloseReason::Malformed(error), WillFate::Publish),
    }
}

/// The client's identifier, given or made, or the code that refuses it.
fn identify(broker: &mut Broker, connection: ConnectionId, connect: &Connect) -> Result<ClientId, ConnectReturnCode> {
    if connect.version != ProtocolVersion::V311 {
        // [MQTT-3.1.2-2]
        return Err(ConnectReturnCode::UnacceptableProtocolVersion);
    }
    let asked = connect.client_id.as_str();
    if asked.is_empty() && !connect.clean_session {
        // [MQTT-3.1.3-8]
        return Err(ConnectReturnCode::IdentifierRejected);
    }
    if asked.starts_with(RESERVED_CLIENT_ID_PREFIX) && !is_house(broker, connection) {
        return Err(ConnectReturnCode::IdentifierRejected);
    }
    Ok(if asked.is_empty() { invent(broker) } else { connect.client_id.clone() })
}

fn is_house(broker: &Broker, connection: ConnectionId) -> bool {
    broker.connections.get(connection).is_some_and(|record| record.origin == Origin::House)
}

/// A session belongs to the user who made it: nobody else may take it over, or throw it away with a clean one. One
/// that only anonymous clients had is anybody's.
fn check_seat(
    broker: &Broker,
    connection: ConnectionId,
    client_id: &ClientId,
    user: Option<&str>,
) -> Result<(), ConnectReturnCode> {
    let known = broker.sessions_by_client.get(client_id).and_then(|key| broker.sessions.get(*key));
    match known.map(|session| session.user.as_deref()) {
        Some(Some(owner)) if user != Some(owner) => Err(ConnectReturnCode::IdentifierRejected),
        Some(_) => Ok(()),
        // strangers' sessions do not keep the house out of its own broker
        None if broker.sessions.len() < broker.options.sessions_max || is_house(broker, connection) => Ok(()),
        None => Err(ConnectReturnCode::ServerUnavailable),
    }
}

/// An identifier for a client that leaves its name to the broker [MQTT-3.1.3-6].
fn invent(broker: &mut Broker) -> ClientId {
    ClientId::new(format!("auto-{:016x}{:016x}", broker.random.u64(..), broker.random.u64(..)))
}

/// Finds or makes the client's session; tells whether an earlier one is taken up [MQTT-3.1.2-4], [MQTT-3.2.2-2].
fn seat(broker: &mut Broker, client_id: ClientId, clean_session: bool) -> (SessionKey, bool) {
    let find = |broker: &Broker| broker.sessions_by_client.get(&client_id).copied();
    if let Some(other) = find(broker).and_then(|key| broker.sessions.get(key)).and_then(|session| session.connection) {
        // [MQTT-3.1.4-2]
        broker.end(other, CloseReason::TakenOver, WillFate::Publish);
    }
    match find(broker) {
        Some(key) if !clean_session => (key, true),
        earlier => {
            // [MQTT-3.1.2-6]
            if let Some(key) = earlier {
                broker.remove_session(key);
            }
            let lifetime = if clean_session { Lifetime::Connection } else { Lifetime::Persistent };
            if lifetime == Lifetime::Persistent {
                broker.persist.record(Change::SessionStarted { client_id: client_id.clone() });
            }
            let key = broker.sessions.insert(Session::new(client_id.clone(), lifetime));
            broker.sessions_by_client.insert(client_id, key);
            (key, false)
        }
    }
}

fn attach(broker: &mut Broker, connection: ConnectionId, key: SessionKey, connect: &Connect) {
    let keep_alive_max = broker.options.keep_alive_max;
    let Some(record) = broker.connections.get_mut(connection) else { return };
    let Some(session) = broker.sessions.get_mut(key) else { return };
    record.session = Some(key);
    record.silence_max = silence_max(connect.keep_alive_s, keep_alive_max);
    record.timer = None;
    record.will.clone_from(&connect.will);
    session.connection = Some(connection);
    if let Some(will) = &connect.will {
        let client_id = session.client_id.clone();
        broker.persist.record(Change::WillSet { client_id, will: will.clone() });
    }
}

/// One and a half keep-alive times [MQTT-3.1.2-24]; 0 turns the mechanism off, unless there is a maximum.
fn silence_max(keep_alive_s: u16, keep_alive_max: Option<Duration>) -> Option<Duration> {
    let asked = (keep_alive_s > 0).then(|| Duration::from_secs(u64::from(keep_alive_s)));
    let keep_alive = match (asked, keep_alive_max) {
        (Some(asked), Some(most)) => Some(asked.min(most)),
        (asked, most) => asked.or(most),
    };
    keep_alive.map(|keep_alive| keep_alive.mul_f64(1.5))
}

/// Sends again what was not acknowledged, in the order of the first time [MQTT-4.4.0-1], then what was queued.
fn resume(broker: &mut Broker, connection: ConnectionId, key: SessionKey) {
    let Some(session) = broker.sessions.get(key) else { return };
    let again: Vec<Frame> = session
        .window
        .iter()
        .map(|entry| match entry.awaits {
            Awaits::Complete => pub_rel(entry.packet_id),
            // [MQTT-3.3.1-1]
            Awaits::Ack | Awaits::Received => template_of(&entry.delivery).frame(Some(entry.packet_id), true),
        })
        .collect();
    for frame in again {
        broker.answer(connection, frame, Behind::Answers);
    }
    broker.pump(key);
}

/// PUBREL.
pub(super) fn pub_rel(packet_id: crate::mqtt::PacketId) -> Frame {
    Frame::of(&Packet::PubRel(Acknowledgement::success(packet_id)), ProtocolVersion::V311)
}

fn notify(broker: &mut Broker, connection: ConnectionId, key: SessionKey, session_present: bool) {
    let Some(session) = broker.sessions.get(key) else { return };
    let client_id = session.client_id.clone();
    broker.outputs.push_back(Output::NotifyConnected { connection, client_id, session_present });
}

/// Answers with a code other than 0 and ends the connection [MQTT-3.2.2-5].
pub(in crate::broker) fn refuse(broker: &mut Broker, connection: ConnectionId, code: ConnectReturnCode) {
    // [MQTT-3.2.2-4]
    broker.answer(connection, conn_ack(code, false), Behind::Answers);
    broker.end(connection, CloseReason::Refused(code), WillFate::Discard);
}

fn conn_ack(code: ConnectReturnCode, session_present: bool) -> Frame {
    Frame::of(&Packet::ConnAck(ConnAck::new(session_present, code.into())), ProtocolVersion::V311)
}
