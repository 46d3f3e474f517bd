//! SUBSCRIBE (section 3.8).

use std::collections::BTreeSet;

use crate::broker::inflight::Delivery;
use crate::broker::machine::{Behind, Broker};
use crate::broker::output::{Change, ConnectionId, SendClass};
use crate::broker::retained::Retained;
use crate::broker::route::template_of;
use crate::broker::session::{Session, SessionKey};
use crate::mqtt::{Frame, Packet, ProtocolVersion, QoS, ReasonCode, SubAck, Subscribe, Subscription, TopicFilter};

/// Takes the filters in, answers, then sends what is retained for them.
pub(super) fn subscribe(broker: &mut Broker, connection: ConnectionId, session: SessionKey, subscribe: &Subscribe) {
    let codes = subscribe.subscriptions.iter().map(|wanted| take(broker, session, wanted)).collect();
    let is_persistent = broker.sessions.get(session).is_some_and(Session::is_persistent);
    let answer = Packet::SubAck(SubAck::new(subscribe.packet_id, codes));
    let behind = if is_persistent { Behind::Durability } else { Behind::Answers };
    broker.answer(connection, Frame::of(&answer, ProtocolVersion::V311), behind);
    replay(broker, connection, session, &subscribe.subscriptions);
}

/// Adds or replaces one subscription; the code for SUBACK.
fn take(broker: &mut Broker, key: SessionKey, wanted: &Subscription) -> ReasonCode {
    let Subscription { filter, qos, .. } = wanted;
    let Some(session) = broker.sessions.get_mut(key) else { return ReasonCode::UnspecifiedError };
    let is_new = !session.subscriptions.contains_key(filter);
    let is_full = is_new && session.subscriptions.len() >= broker.options.subscriptions_max;
    // what could never deliver anything is refused
    let is_allowed = session.rights.could_read(filter);
    if is_full || !is_allowed || !broker.options.allows_levels_of(filter.as_str()) {
        return ReasonCode::UnspecifiedError;
    }
    session.subscriptions.insert(filter.clone(), *qos);
    if session.is_persistent() {
        let client_id = session.client_id.clone();
        broker.persist.record(Change::Subscribed { client_id, filter: filter.clone(), qos: *qos });
    }
    broker.subscriptions.insert(filter, key, *qos);
    ReasonCode::granted(*qos)
}

/// Sends the retained messages under these filters, also when they replace equal ones [MQTT-3.8.4-3]. Where several
/// filters meet, a message comes once, with the highest quality of service: else one packet full of filters would call
/// for a multiple of all that is retained.
fn replay(broker: &mut Broker, connection: ConnectionId, key: SessionKey, wanted: &[Subscription]) {
    for Retained { message, qos } in found(broker, key, wanted) {
        broker.arrivals += 1;
        // [MQTT-3.3.1-8]
        let delivery = Delivery { arrival: broker.arrivals, message, qos, retain: true };
        let template = template_of(&delivery);
        if qos == QoS::AtMostOnce {
            // not dropped: the server handles nothing more from a client that does not take its answers
            broker.send(connection, template.frame(None, false), SendClass::Must, Behind::Greeting);
        } else {
            broker.deliver(key, delivery, false, |packet_id| template.frame(Some(packet_id), false));
        }
    }
}

/// What is retained under those filters that were granted, in the order of its topics, with the quality of service it
/// is to be sent with.
fn found(broker: &Broker, key: SessionKey, wanted: &[Subscription]) -> Vec<Retained> {
    let Some(session) = broker.sessions.get(key) else { return Vec::new() };
    let filters: BTreeSet<&TopicFilter> = wanted.iter().map(|wanted| &wanted.filter).collect();
    let mut found: Vec<Retained> = Vec::new();
    for (filter, granted) in filters.into_iter().filter_map(|filter| session.subscriptions.get_key_value(filter)) {
        let is_first = found.is_empty();
        let matching = broker.retained.matching(filter).into_iter();
        let matching = matching.filter(|retained| session.rights.may_read(retained.message.topic.as_str()));
        found.extend(matching.map(|retained| Retained { qos: retained.qos.min(*granted), ..retained }));
        if !is_first {
            found.sort_by(|a, b| a.message.topic.cmp(&b.message.topic).then(b.qos.cmp(&a.qos)));
            found.dedup_by(|b, a| a.message.topic == b.message.topic);
        }
    }
    found
}
