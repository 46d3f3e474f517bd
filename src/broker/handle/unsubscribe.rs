//! UNSUBSCRIBE (section 3.10).

use super::answer;
use crate::broker::change::Change;
use crate::broker::machine::{Behind, Broker};
use crate::broker::message::Delivery;
use crate::broker::output::ConnectionId;
use crate::broker::session::{Session, SessionKey};
use crate::mqtt::{Packet, ReasonCode, TopicFilter, UnsubAck, Unsubscribe};

/// Takes subscriptions away and answers, also when there were none [MQTT-3.10.4-5].
pub(super) fn unsubscribe(broker: &mut Broker, connection: ConnectionId, key: SessionKey, unsubscribe: &Unsubscribe) {
    let codes: Vec<_> = unsubscribe.filters.iter().map(|filter| give_back(broker, key, filter)).collect();
    let is_persistent = broker.sessions.get(key).is_some_and(Session::is_persistent);
    let behind = match codes.contains(&ReasonCode::NoSubscriptionExisted) {
        _ if !is_persistent => Behind::Answers,
        // it may have been given back before
        true => Behind::Everything,
        false => Behind::Durability,
    };
    answer(broker, connection, Packet::UnsubAck(UnsubAck::new(unsubscribe.packet_id, codes)), behind);
}

fn give_back(broker: &mut Broker, key: SessionKey, filter: &TopicFilter) -> ReasonCode {
    let Some(session) = broker.sessions.get_mut(key) else { return ReasonCode::NoSubscriptionExisted };
    if session.subscriptions.remove(filter).is_none() {
        return ReasonCode::NoSubscriptionExisted;
    }
    broker.subscriptions.remove(filter, key);
    if session.is_persistent() {
        let client_id = session.client_id.clone();
        broker.persist.record(Change::Unsubscribed { client_id, filter: filter.clone() });
    }
    leave_group(broker, key, filter);
    ReasonCode::Success
}

/// What still waits for a member that leaves its group goes to another one.
fn leave_group(broker: &mut Broker, key: SessionKey, filter: &TopicFilter) {
    let Some(session) = broker.sessions.get_mut(key) else { return };
    let is_of_group = |delivery: &Delivery| {
        delivery.marks.as_ref().and_then(|marks| marks.share.as_ref()).is_some_and(|share| share == filter)
    };
    let waiting = session.queue.extract(is_of_group);
    let held_until = session.held_until;
    for delivery in &waiting {
        broker.dequeued(key, delivery.arrival);
    }
    broker.reassign(waiting, held_until);
}
