//! UNSUBSCRIBE (section 3.10).

use super::answer;
use crate::broker::change::Change;
use crate::broker::machine::Broker;
use crate::broker::output::ConnectionId;
use crate::broker::persist::{Barrier, Key};
use crate::broker::session::SessionKey;
use crate::mqtt::{Packet, ReasonCode, TopicFilter, UnsubAck, Unsubscribe};

/// Removes subscriptions and answers, also when there were none [MQTT-3.10.4-5]. UNSUBACK promises that none of them is
/// left, so for one that was not there it waits for its last removal.
pub(super) fn unsubscribe(broker: &mut Broker, connection: ConnectionId, key: SessionKey, unsubscribe: &Unsubscribe) {
    let mut barrier = Barrier::None;
    let mut codes = Vec::with_capacity(unsubscribe.filters.len());
    for filter in &unsubscribe.filters {
        let (code, removed) = remove(broker, key, filter);
        codes.push(code);
        barrier = broker.persist.both(barrier, removed);
    }
    if unsubscribe.filters.iter().any(TopicFilter::is_shared) {
        broker.leave_groups(key);
    }
    answer(broker, connection, Packet::UnsubAck(UnsubAck::new(unsubscribe.packet_id, codes)), barrier);
}

/// Removes one subscription. Returns its reason code, and what an acknowledgement waits for.
fn remove(broker: &mut Broker, key: SessionKey, filter: &TopicFilter) -> (ReasonCode, Barrier) {
    let Some(session) = broker.sessions.get_mut(key) else { return (ReasonCode::NoSubscriptionExisted, Barrier::None) };
    let client_id = session.client_id.clone();
    let is_persistent = session.is_persistent();
    if session.subscriptions.remove(filter).is_none() {
        let barrier = broker.persist.last_removal(&Key::Subscription(client_id, filter.clone()));
        return (ReasonCode::NoSubscriptionExisted, barrier);
    }
    broker.subscriptions.remove(filter, key);
    broker.stop_replay(key, filter);
    if is_persistent {
        broker.persist.record(Change::Unsubscribed { client_id, filter: filter.clone() });
    }
    (ReasonCode::Success, if is_persistent { Barrier::ThisInput } else { Barrier::None })
}
