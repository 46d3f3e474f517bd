//! CONNECT (section 3.1): who comes in, and what is waiting for them.

use std::num::{NonZeroU16, NonZeroU32};
use std::time::Duration;

use super::lack;
use crate::access::Rights;
use crate::broker::alias::{Incoming, Outgoing};
use crate::broker::change::Change;
use crate::broker::connection::{Five, Login, Origin, Verified};
use crate::broker::lane::Lane;
use crate::broker::machine::{Broker, Disk, WillFate};
use crate::broker::message::Terms;
use crate::broker::output::{CloseReason, ConnectionId, Output};
use crate::broker::persist::{Barrier, Key};
use crate::broker::session::{Session, SessionKey};
use crate::broker::share::Presence;
use crate::broker::{Options, RESERVED_CLIENT_ID_PREFIX};
use crate::mqtt::{
    ClientId, ConnAck, Connect, DecodeError, Frame, Packet, Properties, PropertyFields, ProtocolVersion, ReasonCode,
    disallowed_code_point,
};

/// Refuses a CONNECT that nobody may send, and asks who sends any other. The house's own clients are known.
pub(in crate::broker) fn connect(broker: &mut Broker, connection: ConnectionId, mut connect: Connect) {
    let Some(record) = broker.connections.get_mut(connection) else { return };
    record.version = connect.version;
    if connect.version.has_properties() {
        record.five = Some(Box::new(five(&connect, &broker.options)));
    }
    if let Err(code) = check(broker, connection, &connect) {
        return refuse(broker, connection, code);
    }
    if connect.client_id.as_str().is_empty() {
        let properties = std::mem::take(&mut connect.properties);
        connect.client_id = invent(broker);
        // [MQTT-3.2.2-16]: told with CONNACK
        let assigned = Some(connect.client_id.as_str().to_owned());
        let fields = PropertyFields { assigned_client_identifier: assigned, ..(*properties).clone() };
        connect.properties = Properties::new(fields);
    }
    if is_house(broker, connection) {
        return admit(broker, connection, Verified { connect, user: None, rights: Rights::everything() });
    }
    let Some(record) = broker.connections.get_mut(connection) else { return };
    let (client_id, user_name) = (connect.client_id.clone(), connect.user_name.clone());
    let password = connect.password.take();
    record.login = Some(Login::Verifying(Box::new(connect)));
    broker.outputs.push_back(Output::RequestAuthenticate { connection, user_name, password, client_id });
}

/// What a connection of version 5 is to be like.
fn five(connect: &Connect, options: &Options) -> Five {
    let Connect { properties, .. } = connect;
    let packet_bytes_max =
        properties.maximum_packet_size.map_or(usize::MAX, |most| usize::try_from(most.get()).unwrap_or(usize::MAX));
    Five {
        packet_bytes_max,
        wants_reasons: properties.request_problem_information.unwrap_or(true),
        is_sessionless: properties.session_expiry_interval_s.unwrap_or(0) == 0,
        incoming: Incoming::default(),
        outgoing: Outgoing::new(properties.topic_alias_maximum.unwrap_or(0).min(options.topic_aliases_max)),
    }
}

/// Why nobody may connect so.
fn check(broker: &Broker, connection: ConnectionId, connect: &Connect) -> Result<(), ReasonCode> {
    let Connect { version, clean_session, client_id, will, .. } = connect;
    let client_id = client_id.as_str();
    if connect.properties.authentication_method.is_some() {
        // [MQTT-4.12.0-1]
        return Err(ReasonCode::BadAuthenticationMethod);
    }
    if will.as_ref().is_some_and(|will| !broker.options.allows_levels_of(will.topic.as_str())) {
        return Err(ReasonCode::TopicNameInvalid);
    }
    let may_be_empty = match version {
        ProtocolVersion::V31 => false,
        // [MQTT-3.1.3-8]
        ProtocolVersion::V311 => *clean_session,
        ProtocolVersion::V5 => true,
    };
    let is_reserved = client_id.starts_with(RESERVED_CLIENT_ID_PREFIX) && !is_house(broker, connection);
    // a session from before such identifiers were refused stays within reach of its client
    let is_disallowed =
        disallowed_code_point(client_id).is_some() && !broker.sessions_by_client.contains_key(&connect.client_id);
    if is_reserved || is_disallowed || client_id.is_empty() && !may_be_empty {
        return Err(ReasonCode::ClientIdentifierNotValid);
    }
    Ok(())
}

/// Lets a client in whose login is verified, unless its session is another user's or there is no room for one. While an
/// earlier session of the client is ending, its CONNECT waits.
pub(in crate::broker) fn admit(broker: &mut Broker, connection: ConnectionId, verified: Verified) {
    let connect = &verified.connect;
    let expiry_interval_s = expiry_interval_s(connect, &broker.options, is_house(broker, connection));
    let user = verified.user.as_deref();
    if let Err(reason) = check_session(broker, connection, &connect.client_id, user, expiry_interval_s > 0) {
        if reason == CloseReason::TooManySessions {
            broker.publish_sessions();
        }
        return refuse_for(broker, connection, reason);
    }
    if let Some((code, _)) = lack(broker.disk)
        && (needs_room(broker, connect, expiry_interval_s) || waits_for_disk(broker, connect))
    {
        return refuse(broker, connection, code);
    }
    end_earlier(broker, connection, connect);
    if broker.waits_for_session_end(&connect.client_id, connection) {
        return wait_for_session_end(broker, connection, verified);
    }
    let (session, session_present) = seat(broker, connect, expiry_interval_s);
    let Verified { connect, user, rights } = verified;
    adopt(broker, session, user, rights, expiry_interval_s, !session_present);
    attach(broker, connection, session, &connect);
    let barrier = conn_ack_barrier(broker, session, &connect);
    greet(broker, connection, &connect, session_present, barrier);
    notify(broker, connection, session, session_present);
    broker.resume(session);
    broker.arm(connection);
}

/// Continues a login that has waited for the end of an earlier session.
pub(in crate::broker) fn admit_waiting(broker: &mut Broker, connection: ConnectionId) {
    let Some(record) = broker.connections.get_mut(connection) else { return };
    let Some(Login::Waiting(verified)) = record.login.take() else { return };
    admit(broker, connection, *verified);
    broker.outputs.push_back(Output::RequestRead { connection });
}

fn wait_for_session_end(broker: &mut Broker, connection: ConnectionId, verified: Verified) {
    if let Some(record) = broker.connections.get_mut(connection) {
        record.login = Some(Login::Waiting(Box::new(verified)));
    }
}

/// Refuses a CONNECT that waits for a disk that does not write.
pub(in crate::broker) fn refuse_for_disk(broker: &mut Broker, connection: ConnectionId) {
    if let Some((code, _)) = lack(broker.disk) {
        refuse(broker, connection, code);
    }
}

/// Ends a connection that sent no packet. A protocol level that is not served gets CONNACK 1 [MQTT-3.1.2-2], a CONNECT
/// of version 5 the error's own code.
pub(in crate::broker) fn malformed(
    broker: &mut Broker,
    connection: ConnectionId,
    error: DecodeError,
    version: Option<ProtocolVersion>,
) {
    let Some(record) = broker.connections.get_mut(connection) else { return };
    let is_new = record.session.is_none() && record.login.is_none();
    let has_answer = matches!(error, DecodeError::UnsupportedProtocolLevel(_)) || version == Some(ProtocolVersion::V5);
    if is_new && has_answer {
        record.version = version.unwrap_or(ProtocolVersion::V311);
        let code = error.reason();
        broker.answer(connection, conn_ack(code, record_version(broker, connection)), Lane::ConnAck, Barrier::None);
    }
    broker.end(connection, CloseReason::Malformed(error), WillFate::Publish);
}

fn record_version(broker: &Broker, connection: ConnectionId) -> ProtocolVersion {
    broker.connections.get(connection).map_or(ProtocolVersion::V311, |record| record.version)
}

fn is_house(broker: &Broker, connection: ConnectionId) -> bool {
    broker.connections.get(connection).is_some_and(|record| record.origin == Origin::House)
}

/// Checks whether the client may have the session with its identifier. A session belongs to the user who made it: nobody
/// else may take it over, or end it with a clean start. One that only anonymous clients had is anybody's. While the table
/// of sessions is full, only those that end with their connection are new ones, unless an idle one can make room.
fn check_session(
    broker: &mut Broker,
    connection: ConnectionId,
    client_id: &ClientId,
    user: Option<&str>,
    persists: bool,
) -> Result<(), CloseReason> {
    let known = broker.sessions_by_client.get(client_id).and_then(|key| broker.sessions.get(*key));
    if let Some(session) = known {
        let is_others = session.user.is_some() && session.user.as_deref() != user;
        return if is_others { Err(CloseReason::SessionOfAnotherUser) } else { Ok(()) };
    }
    // sessions of other clients do not keep the internal ones out
    let has_room = !persists || broker.has_session_room() || is_house(broker, connection);
    if has_room || broker.evict_idle_session(user) { Ok(()) } else { Err(CloseReason::TooManySessions) }
}

/// An identifier for a client that leaves its name to the broker [MQTT-3.1.3-6].
fn invent(broker: &mut Broker) -> ClientId {
    ClientId::new(format!("auto-{:016x}{:016x}", broker.random.u64(..), broker.random.u64(..)))
}

/// How long the client's session outlives its connection. Before version 5: not at all, or for ever. No longer than the
/// options allow, but for the house, whose outboxes have to outlive a winter in a drawer.
fn expiry_interval_s(connect: &Connect, options: &Options, is_house: bool) -> u32 {
    let asked = match connect.version {
        ProtocolVersion::V5 => connect.properties.session_expiry_interval_s.unwrap_or(0),
        _ if connect.clean_session => 0,
        _ => Terms::FOREVER_S,
    };
    if is_house { asked } else { asked.min(options.session_expiry_s_max) }
}

/// Ends the client's other connection [MQTT-3.1.4-3], one whose CONNECT waits too, and with a clean start its session
/// [MQTT-3.1.2-4].
fn end_earlier(broker: &mut Broker, connection: ConnectionId, connect: &Connect) {
    let client_id = &connect.client_id;
    let find = |broker: &Broker| broker.sessions_by_client.get(client_id).copied();
    let connected = find(broker).and_then(|key| broker.sessions.get(key)).and_then(|session| session.connection);
    for other in [connected, broker.waiting_for_session_end(client_id)].into_iter().flatten() {
        if other != connection {
            broker.end(other, CloseReason::TakenOver, WillFate::Publish);
        }
    }
    if let Some(key) = find(broker).filter(|_| connect.clean_session) {
        broker.remove_session(key);
    }
}

/// Finds or makes the client's session. Returns whether it was there [MQTT-3.1.2-5], [MQTT-3.2.2-2].
fn seat(broker: &mut Broker, connect: &Connect, expiry_interval_s: u32) -> (SessionKey, bool) {
    let client_id = &connect.client_id;
    if let Some(key) = broker.sessions_by_client.get(client_id).copied() {
        broker.discard_waiting_will(key);
        return (key, true);
    }
    let key = broker.sessions.insert(Session::new(client_id.clone(), expiry_interval_s, &broker.options));
    broker.sessions_by_client.insert(client_id.clone(), key);
    (key, false)
}

/// Gives the session to its client, on its terms. They are recorded when they are new, or other than before.
fn adopt(
    broker: &mut Broker,
    key: SessionKey,
    user: Option<Box<str>>,
    rights: Rights,
    expiry_interval_s: u32,
    is_new: bool,
) {
    let Some(session) = broker.sessions.get_mut(key) else { return };
    let earlier = session.terms();
    (session.user, session.rights) = (user, rights);
    (session.expiry_interval_s, session.ends, session.timer) = (expiry_interval_s, None, None);
    let terms = session.terms();
    if session.is_persistent() && (is_new || terms != earlier) {
        broker.record_terms(key);
    }
}

fn attach(broker: &mut Broker, connection: ConnectionId, key: SessionKey, connect: &Connect) {
    let options = &broker.options;
    let Some(record) = broker.connections.get_mut(connection) else { return };
    let Some(session) = broker.sessions.get_mut(key) else { return };
    record.session = Some(key);
    record.silence_max = silence_max(connect.keep_alive_s, options.keep_alive_max);
    record.timer = None;
    record.will = connect.will.clone().map(Box::new);
    session.connection = Some(connection);
    for filter in session.subscriptions.keys() {
        broker.subscriptions.set_presence(filter, key, Presence::Connected);
    }
    let receive_max = connect.properties.receive_maximum.map_or(u16::MAX, NonZeroU16::get);
    session.inflight_max = match record.origin {
        // it says itself what it takes
        Origin::House if connect.version.has_properties() => receive_max,
        _ => receive_max.min(u16::try_from(options.inflight_max).unwrap_or(u16::MAX)),
    };
    if let Some(will) = &connect.will {
        let (client_id, user) = (session.client_id.clone(), session.user.clone());
        broker.persist.record(Change::WillSet { client_id, user, will: will.clone() });
    }
}

/// The keep-alive that counts: 0 turns the mechanism off, unless there is a maximum.
fn keep_alive(keep_alive_s: u16, keep_alive_max: Option<Duration>) -> Option<Duration> {
    let asked = (keep_alive_s > 0).then(|| Duration::from_secs(u64::from(keep_alive_s)));
    match (asked, keep_alive_max) {
        (Some(asked), Some(most)) => Some(asked.min(most)),
        (asked, most) => asked.or(most),
    }
}

/// One and a half keep-alive times [MQTT-3.1.2-22].
fn silence_max(keep_alive_s: u16, keep_alive_max: Option<Duration>) -> Option<Duration> {
    keep_alive(keep_alive_s, keep_alive_max).map(|keep_alive| keep_alive.mul_f64(1.5))
}

/// Whether CONNACK would wait for a disk that does not write: for a new session, or for a will together with an end that has
/// to be durable.
fn needs_room(broker: &Broker, connect: &Connect, expiry_interval_s: u32) -> bool {
    let known = broker.sessions_by_client.get(&connect.client_id).and_then(|key| broker.sessions.get(*key));
    match known {
        Some(session) if connect.clean_session => {
            expiry_interval_s > 0 || session.is_persistent() && connect.will.is_some()
        }
        Some(_) => false,
        None => expiry_interval_s > 0,
    }
}

/// Returns whether a CONNECT would wait for the end of an earlier session that is written in several tickets. A refused
/// CONNECT changes nothing, so this is decided before the earlier session ends.
fn waits_for_disk(broker: &Broker, connect: &Connect) -> bool {
    let known = broker.sessions_by_client.get(&connect.client_id).and_then(|key| broker.sessions.get(*key));
    let ends = known.is_some_and(|session| {
        let ends_with_connection = session.connection.is_some() && session.expiry_interval_s == 0;
        (connect.clean_session || ends_with_connection) && session.is_persistent() && broker.ends_in_slices(session)
    });
    ends || broker.ends_on_disk(&connect.client_id)
}

/// Returns what CONNACK waits for: the last change to the session's terms, its will, and the end of an earlier session
/// of this client. While the disk does not write, a will is as durable as it can be: nobody waits for room that only
/// others can make.
fn conn_ack_barrier(broker: &Broker, key: SessionKey, connect: &Connect) -> Barrier {
    let Some(session) = broker.sessions.get(key) else { return Barrier::None };
    let ended = broker.persist.last_removal(&Key::Session(session.client_id.clone()));
    let kept = if session.is_persistent() { Barrier::Change(session.recorded) } else { Barrier::None };
    let barrier = broker.persist.both(ended, kept);
    match (&connect.will, broker.disk) {
        (Some(_), Disk::Full | Disk::Fails) => barrier,
        _ => broker.persist.both(barrier, Barrier::ThisInput),
    }
}

/// CONNACK. Version 5 is told what is other than it asked for, and the broker's limits.
fn greet(broker: &mut Broker, connection: ConnectionId, connect: &Connect, session_present: bool, barrier: Barrier) {
    let mut accepted = ConnAck::new(session_present && connect.version != ProtocolVersion::V31, ReasonCode::Success);
    let is_house = is_house(broker, connection);
    let terms = connect.version.has_properties().then(|| terms(connect, &broker.options, is_house));
    accepted.properties = terms.clone().map(Properties::new).unwrap_or_default();
    let Some(record) = broker.connections.get(connection) else { return };
    let mut frame = Frame::of(&Packet::ConnAck(accepted.clone()), connect.version);
    if !record.takes(frame.wire_len()) {
        // limits that the client may find out
        accepted.properties = terms.map(without_limits).map(Properties::new).unwrap_or_default();
        frame = Frame::of(&Packet::ConnAck(accepted), connect.version);
    }
    if !record.takes(frame.wire_len()) {
        return broker.end(connection, CloseReason::Refused(ReasonCode::PacketTooLarge), WillFate::Discard);
    }
    broker.answer(connection, frame, Lane::ConnAck, barrier);
}

fn terms(connect: &Connect, options: &Options, is_house: bool) -> PropertyFields {
    let asked_s = connect.properties.session_expiry_interval_s.unwrap_or(0);
    let granted_s = expiry_interval_s(connect, options, is_house);
    let keep_alive_s = keep_alive(connect.keep_alive_s, options.keep_alive_max)
        .map_or(0, |keep_alive| u16::try_from(keep_alive.as_secs()).unwrap_or(u16::MAX));
    PropertyFields {
        session_expiry_interval_s: (granted_s != asked_s).then_some(granted_s),
        receive_maximum: NonZeroU16::new(options.receive_max).filter(|most| most.get() < u16::MAX),
        maximum_packet_size: u32::try_from(options.packet_bytes_max).ok().and_then(NonZeroU32::new),
        topic_alias_maximum: (options.topic_aliases_max > 0).then_some(options.topic_aliases_max),
        assigned_client_identifier: connect.properties.assigned_client_identifier.clone(),
        // [MQTT-3.2.2-21]
        server_keep_alive_s: (keep_alive_s != connect.keep_alive_s).then_some(keep_alive_s),
        ..PropertyFields::default()
    }
}

/// What is other than the client asked for, and nothing more.
fn without_limits(terms: PropertyFields) -> PropertyFields {
    PropertyFields { receive_maximum: None, maximum_packet_size: None, topic_alias_maximum: None, ..terms }
}

fn notify(broker: &mut Broker, connection: ConnectionId, key: SessionKey, session_present: bool) {
    let Some(session) = broker.sessions.get(key) else { return };
    let client_id = session.client_id.clone();
    broker.system.counters.connections += 1;
    broker.outputs.push_back(Output::NotifyConnected { connection, client_id, session_present });
}

/// Answers with a code other than success, if the client takes so much, and ends the connection [MQTT-3.2.2-7].
pub(in crate::broker) fn refuse(broker: &mut Broker, connection: ConnectionId, code: ReasonCode) {
    refuse_for(broker, connection, CloseReason::Refused(code));
}

/// Refuses a CONNECT for a reason that has a code of CONNACK.
fn refuse_for(broker: &mut Broker, connection: ConnectionId, reason: CloseReason) {
    let code = reason.refusal().unwrap_or(ReasonCode::UnspecifiedError);
    // [MQTT-3.2.2-6]
    let frame = conn_ack(code, record_version(broker, connection));
    // [MQTT-3.1.2-24]
    if broker.connections.get(connection).is_some_and(|record| record.takes(frame.wire_len())) {
        broker.answer(connection, frame, Lane::ConnAck, Barrier::None);
    }
    broker.end(connection, reason, WillFate::Discard);
}

/// CONNACK that refuses.
fn conn_ack(code: ReasonCode, version: ProtocolVersion) -> Frame {
    Frame::of(&Packet::ConnAck(ConnAck::new(false, code)), version)
}
