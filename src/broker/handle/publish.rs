//! PUBLISH from a client (section 3.3).

use super::{answer, lack, told};
use crate::broker::change::Change;
use crate::broker::machine::Broker;
use crate::broker::output::{ConnectionId, NotRetained, Output, Ticket};
use crate::broker::persist::Barrier;
use crate::broker::route::{Publication, Routed};
use crate::broker::session::SessionKey;
use crate::mqtt::{Acknowledgement, Packet, PacketId, Publish, QoS, ReasonCode, TopicName};

/// Takes a message in, gives it to everyone it concerns, and acknowledges it.
pub(super) fn publish(broker: &mut Broker, connection: ConnectionId, session: SessionKey, publish: &Publish<'_>) {
    broker.system.counters.publish_messages_received += 1;
    broker.system.counters.publish_bytes_received += publish.payload.len() as u64;
    if !publish.properties.subscription_ids.is_empty() {
        return broker.violate(connection, "a subscription identifier in a client's PUBLISH", "MQTT-3.3.4-6");
    }
    let Some(alias) = publish.properties.topic_alias else {
        return publish_to(broker, connection, session, publish);
    };
    if alias.get() > broker.options.topic_aliases_max {
        let what = "a topic alias greater than the broker's maximum";
        return broker.violate_as(connection, ReasonCode::TopicAliasInvalid, what, "MQTT-3.3.2-9");
    }
    let Some(five) = broker.connections.get_mut(connection).and_then(|record| record.five.as_mut()) else { return };
    if let Ok(topic) = TopicName::new(publish.topic) {
        five.incoming.set(alias, topic);
        return publish_to(broker, connection, session, publish);
    }
    match five.incoming.get(alias) {
        Some(topic) => publish_to(broker, connection, session, &Publish { topic: topic.as_str(), ..*publish }),
        None => broker.violate(connection, "a topic alias that stands for nothing", "section 3.3.2.3.4"),
    }
}

fn publish_to(broker: &mut Broker, connection: ConnectionId, session: SessionKey, publish: &Publish<'_>) {
    if !broker.options.allows_levels_of(publish.topic) {
        let what = "a topic with more levels than topic_levels allows";
        return broker.violate_as(connection, ReasonCode::TopicNameInvalid, what, "section 4.7.3");
    }
    if publish.qos == QoS::ExactlyOnce && is_repeated(broker, session, publish) {
        // it was taken, whatever is allowed by now
        return take_again(broker, connection, session, publish);
    }
    if !broker.may_write(session, publish.topic) {
        return pass_over(broker, connection, publish, ReasonCode::NotAuthorized, "its client may not write there");
    }
    if let Some((code, why)) = lack(broker.disk)
        && is_told_of_the_disk(broker, connection, session, publish)
    {
        return pass_over(broker, connection, publish, code, why);
    }
    if publish.retain && publish.qos > QoS::AtMostOnce && is_five(broker, connection) {
        let publication = Publication::from_publish(publish, session);
        if !broker.fits_retained(&publication) {
            return refuse_retained(broker, connection, session, publish);
        }
    }
    match (publish.qos, publish.packet_id) {
        (QoS::AtLeastOnce, Some(packet_id)) => {
            let routed = broker.route(&Publication::from_publish(publish, session), Barrier::None);
            let ack = Packet::PubAck(Acknowledgement::new(packet_id, reason(routed)));
            answer(broker, connection, ack, routed.barrier);
        }
        (QoS::ExactlyOnce, Some(packet_id)) => take_once(broker, connection, session, packet_id, publish),
        _ => {
            broker.route(&Publication::from_publish(publish, session), Barrier::None);
        }
    }
}

fn reason(routed: Routed) -> ReasonCode {
    if routed.has_receivers { ReasonCode::Success } else { ReasonCode::NoMatchingSubscribers }
}

/// Acknowledges a message that goes nowhere: only version 5 has a way to say so [MQTT-3.3.5-2].
fn pass_over(broker: &mut Broker, connection: ConnectionId, publish: &Publish<'_>, code: ReasonCode, why: &str) {
    let Some(packet_id) = publish.packet_id else { return };
    let properties = told(broker, connection, code, why);
    let ack = Acknowledgement { packet_id, reason: code, properties };
    let ack = if publish.qos == QoS::ExactlyOnce { Packet::PubRec(ack) } else { Packet::PubAck(ack) };
    answer(broker, connection, ack, Barrier::None);
}

/// Refuses a retained message that does not fit: it is delivered to nobody, and the topic's earlier one stays.
fn refuse_retained(broker: &mut Broker, connection: ConnectionId, session: SessionKey, publish: &Publish<'_>) {
    if let Ok(topic) = TopicName::new(publish.topic) {
        let client_id = broker.sessions.get(session).map(|session| session.client_id.clone());
        let outcome = NotRetained::Refused;
        broker.outputs.push_back(Output::NotifyRetainedFull { client_id, topic, outcome });
    }
    pass_over(broker, connection, publish, ReasonCode::QuotaExceeded, "no more messages can be retained");
}

fn is_five(broker: &Broker, connection: ConnectionId) -> bool {
    broker.connections.get(connection).is_some_and(|record| record.version.has_properties())
}

/// While the disk does not write, version 5 is told so of what would have to be written.
fn is_told_of_the_disk(
    broker: &mut Broker,
    connection: ConnectionId,
    session: SessionKey,
    publish: &Publish<'_>,
) -> bool {
    is_five(broker, connection) && publish.qos > QoS::AtMostOnce && broker.needs_disk(session, publish)
}

/// Whether the message was passed on already.
fn is_repeated(broker: &Broker, session: SessionKey, publish: &Publish<'_>) -> bool {
    let known = broker.sessions.get(session).zip(publish.packet_id);
    known.is_some_and(|(session, packet_id)| session.received.contains_key(&packet_id))
}

/// Acknowledges a QoS 2 message once more; the first copy may not be durable yet.
fn take_again(broker: &mut Broker, connection: ConnectionId, session: SessionKey, publish: &Publish<'_>) {
    let Some(packet_id) = publish.packet_id else { return };
    let known = broker.sessions.get(session).and_then(|session| session.received.get(&packet_id));
    let barrier = known.map_or(Barrier::None, |ticket| Barrier::Change(*ticket));
    answer(broker, connection, Packet::PubRec(Acknowledgement::success(packet_id)), barrier);
}

/// Passes a QoS 2 message on at its first PUBLISH (section 4.3.3, method B): until PUBREL, its identifier stands for
/// a message that was passed on already [MQTT-4.3.3-10].
fn take_once(
    broker: &mut Broker,
    connection: ConnectionId,
    key: SessionKey,
    packet_id: PacketId,
    publish: &Publish<'_>,
) {
    let receive_max = usize::from(broker.options.receive_max);
    let is_five = is_five(broker, connection);
    let Some(session) = broker.sessions.get_mut(key) else { return };
    let is_persistent = session.is_persistent();
    if is_five && session.received.len() >= receive_max {
        let what = "more QoS 2 messages at a time than the broker's receive maximum";
        return broker.violate_as(connection, ReasonCode::ReceiveMaximumExceeded, what, "MQTT-3.3.4-7");
    }
    let client_id = session.client_id.clone();
    let ticket = if is_persistent {
        broker.persist.record(Change::Received { client_id, packet_id })
    } else {
        Ticket::default()
    };
    session.received.insert(packet_id, ticket);
    let identifier = if is_persistent { Barrier::ThisInput } else { Barrier::None };
    let routed = broker.route(&Publication::from_publish(publish, key), identifier);
    let barrier = broker.persist.both(routed.barrier, identifier);
    answer(broker, connection, Packet::PubRec(Acknowledgement::new(packet_id, reason(routed))), barrier);
}
