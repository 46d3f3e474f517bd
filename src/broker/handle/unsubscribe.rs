//! UNSUBSCRIBE (section 3.10).

use crate::broker::machine::{Behind, Broker};
use crate::broker::output::{Change, ConnectionId};
use crate::broker::session::SessionKey;
use crate::mqtt::{Frame, Packet, ProtocolVersion, UnsubAck, Unsubscribe};

/// Takes subscriptions away and answers, also when there were none [MQTT-3.10.4-5].
pub(super) fn unsubscribe(broker: &mut Broker, connection: ConnectionId, key: SessionKey, unsubscribe: &Unsubscribe) {
    let Some(session) = broker.sessions.get_mut(key) else { return };
    let mut behind = Behind::Answers;
    if session.is_persistent() {
        behind = Behind::Durability;
    }
    for filter in &unsubscribe.filters {
        if session.subscriptions.remove(filter).is_none() {
            continue;
        }
        broker.subscriptions.remove(filter, key);
        if session.is_persistent() {
            let client_id = session.client_id.clone();
            broker.persist.record(Change::Unsubscribed { client_id, filter: filter.clone() });
        }
    }
    let answer = Packet::UnsubAck(UnsubAck::new(unsubscribe.packet_id, Vec::new()));
    broker.answer(connection, Frame::of(&answer, ProtocolVersion::V311), behind);
}
