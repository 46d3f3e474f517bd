//! PUBLISH from a client (section 3.3).

use crate::broker::machine::{Behind, Broker};
use crate::broker::output::{Change, ConnectionId};
use crate::broker::route::Publication;
use crate::broker::session::SessionKey;
use crate::mqtt::{Acknowledgement, Frame, Packet, PacketId, ProtocolVersion, Publish, QoS};

/// Takes a message in, gives it to everyone it concerns, and acknowledges it.
pub(super) fn publish(broker: &mut Broker, connection: ConnectionId, session: SessionKey, publish: &Publish<'_>) {
    if !broker.options.allows_levels_of(publish.topic) {
        return broker.violate(connection, "a topic with more levels than topic_levels allows", "section 4.7.3");
    }
    if !broker.may_write(session, publish.topic) {
        return pass_over(broker, connection, publish);
    }
    match (publish.qos, publish.packet_id) {
        (QoS::AtLeastOnce, Some(packet_id)) => {
            let must_wait = broker.route(&Publication::from_publish(publish), false);
            let ack = Packet::PubAck(Acknowledgement::success(packet_id));
            acknowledge(broker, connection, &ack, must_wait);
        }
        (QoS::ExactlyOnce, Some(packet_id)) => {
            let must_wait = take_once(broker, session, packet_id, publish);
            let ack = Packet::PubRec(Acknowledgement::success(packet_id));
            acknowledge(broker, connection, &ack, must_wait);
        }
        _ => {
            broker.route(&Publication::from_publish(publish), false);
        }
    }
}

/// Acknowledges a message that goes nowhere: version 3.1.1 has no way to say so [MQTT-3.3.5-2].
fn pass_over(broker: &mut Broker, connection: ConnectionId, publish: &Publish<'_>) {
    let Some(packet_id) = publish.packet_id else { return };
    let ack = Acknowledgement::success(packet_id);
    let ack = if publish.qos == QoS::ExactlyOnce { Packet::PubRec(ack) } else { Packet::PubAck(ack) };
    acknowledge(broker, connection, &ack, false);
}

/// Passes a QoS 2 message on at its first PUBLISH (section 4.3.3, method B): until PUBREL, its identifier stands for
/// a message that was passed on already [MQTT-4.3.3-2].
fn take_once(broker: &mut Broker, key: SessionKey, packet_id: PacketId, publish: &Publish<'_>) -> bool {
    let Some(session) = broker.sessions.get_mut(key) else { return false };
    let is_persistent = session.is_persistent();
    if !session.received.insert(packet_id) {
        // the first copy may not be durable yet
        return is_persistent;
    }
    if is_persistent {
        let client_id = session.client_id.clone();
        broker.persist.record(Change::Received { client_id, packet_id });
    }
    broker.route(&Publication::from_publish(publish), is_persistent) || is_persistent
}

fn acknowledge(broker: &mut Broker, connection: ConnectionId, ack: &Packet<'_>, must_wait: bool) {
    let behind = if must_wait { Behind::Durability } else { Behind::Answers };
    broker.answer(connection, Frame::of(ack, ProtocolVersion::V311), behind);
}
