//! PUBACK, PUBREC, PUBREL and PUBCOMP (sections 3.4 to 3.7).

use super::connect::pub_rel as pub_rel_frame;
use crate::broker::inflight::{Awaits, Delivery};
use crate::broker::machine::{Behind, Broker};
use crate::broker::output::{Change, ConnectionId};
use crate::broker::session::SessionKey;
use crate::mqtt::{Acknowledgement, Frame, Packet, PacketId, ProtocolVersion};

/// A delivery of QoS 1 has arrived. One that nobody awaits changes nothing.
pub(super) fn pub_ack(broker: &mut Broker, session: SessionKey, packet_id: PacketId) {
    finish(broker, session, packet_id, Awaits::Ack);
}

/// A delivery of QoS 2 has arrived; it is not sent again from now on [MQTT-4.3.3-1].
pub(super) fn pub_rec(broker: &mut Broker, connection: ConnectionId, key: SessionKey, packet_id: PacketId) {
    let Some(session) = broker.sessions.get_mut(key) else { return };
    let mut behind = Behind::Answers;
    if session.is_persistent() {
        behind = Behind::Durability;
        if let Some(arrival) = session.window.release(packet_id) {
            let client_id = session.client_id.clone();
            broker.persist.record(Change::Released { client_id, arrival });
        }
    } else {
        session.window.release(packet_id);
    }
    // also for an identifier that nobody awaits: the receiver can only forget it by PUBREL
    broker.answer(connection, pub_rel_frame(packet_id), behind);
}

/// A publisher lets go of a QoS 2 identifier; it is always told that this is done.
pub(super) fn pub_rel(broker: &mut Broker, connection: ConnectionId, key: SessionKey, packet_id: PacketId) {
    let Some(session) = broker.sessions.get_mut(key) else { return };
    let mut behind = Behind::Answers;
    if session.is_persistent() {
        behind = Behind::Durability;
    }
    if session.received.remove(&packet_id) && session.is_persistent() {
        let client_id = session.client_id.clone();
        broker.persist.record(Change::Forgotten { client_id, packet_id });
    }
    let frame = Frame::of(&Packet::PubComp(Acknowledgement::success(packet_id)), ProtocolVersion::V311);
    broker.answer(connection, frame, behind);
}

/// A delivery of QoS 2 is complete.
pub(super) fn pub_comp(broker: &mut Broker, session: SessionKey, packet_id: PacketId) {
    finish(broker, session, packet_id, Awaits::Complete);
}

fn finish(broker: &mut Broker, key: SessionKey, packet_id: PacketId, awaits: Awaits) {
    let Some(session) = broker.sessions.get_mut(key) else { return };
    let Some(Delivery { arrival, .. }) = session.window.finish(packet_id, awaits) else { return };
    if session.is_persistent() {
        let client_id = session.client_id.clone();
        broker.persist.record(Change::Dequeued { client_id, arrival });
    }
    broker.pump(key);
}
