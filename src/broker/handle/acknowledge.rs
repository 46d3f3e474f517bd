//! PUBACK, PUBREC, PUBREL and PUBCOMP (sections 3.4 to 3.7).

use super::answer;
use crate::broker::change::Change;
use crate::broker::inflight::Awaits;
use crate::broker::machine::{Behind, Broker};
use crate::broker::message::Delivery;
use crate::broker::output::ConnectionId;
use crate::broker::session::{Session, SessionKey};
use crate::mqtt::{Acknowledgement, Packet, PacketId, ReasonCode};

/// A delivery of QoS 1 has arrived, or is not wanted. One that nobody awaits changes nothing.
pub(super) fn pub_ack(broker: &mut Broker, session: SessionKey, packet_id: PacketId) {
    finish(broker, session, packet_id, Awaits::Ack);
}

/// A delivery of QoS 2 has arrived; it is not sent again from now on [MQTT-4.3.3-1]. With a failure it is over
/// [MQTT-4.3.3-4].
pub(super) fn pub_rec(broker: &mut Broker, connection: ConnectionId, key: SessionKey, ack: &Acknowledgement) {
    if ack.reason.is_failure() {
        return finish(broker, key, ack.packet_id, Awaits::Received);
    }
    let Some(session) = broker.sessions.get_mut(key) else { return };
    // a repeated PUBREC is answered again
    let is_known = session.window.is_in_flight(ack.packet_id);
    let released = session.window.release(ack.packet_id);
    let behind = promise(session, released.is_some());
    if let (Some(arrival), true) = (released, session.is_persistent()) {
        let client_id = session.client_id.clone();
        broker.persist.record(Change::Released { client_id, arrival });
    }
    // also for an identifier that nobody awaits: the receiver can only forget it by PUBREL
    let reason = if is_known { ReasonCode::Success } else { ReasonCode::PacketIdentifierNotFound };
    answer(broker, connection, Packet::PubRel(Acknowledgement::new(ack.packet_id, reason)), behind);
}

/// A publisher lets go of a QoS 2 identifier; it is always told that this is done.
pub(super) fn pub_rel(broker: &mut Broker, connection: ConnectionId, key: SessionKey, packet_id: PacketId) {
    let Some(session) = broker.sessions.get_mut(key) else { return };
    let was_known = session.received.remove(&packet_id);
    let behind = promise(session, was_known);
    if was_known && session.is_persistent() {
        let client_id = session.client_id.clone();
        broker.persist.record(Change::Forgotten { client_id, packet_id });
    }
    let reason = if was_known { ReasonCode::Success } else { ReasonCode::PacketIdentifierNotFound };
    answer(broker, connection, Packet::PubComp(Acknowledgement::new(packet_id, reason)), behind);
}

/// A delivery of QoS 2 is complete.
pub(super) fn pub_comp(broker: &mut Broker, session: SessionKey, packet_id: PacketId) {
    finish(broker, session, packet_id, Awaits::Complete);
}

/// What an answer waits for that promises what is recorded now, or was recorded before.
fn promise(session: &Session, is_recorded: bool) -> Behind {
    match (session.is_persistent(), is_recorded) {
        (false, _) => Behind::Answers,
        (true, true) => Behind::Durability,
        (true, false) => Behind::Everything,
    }
}

fn finish(broker: &mut Broker, key: SessionKey, packet_id: PacketId, awaits: Awaits) {
    let Some(session) = broker.sessions.get_mut(key) else { return };
    let Some(Delivery { arrival, .. }) = session.window.finish(packet_id, awaits) else { return };
    broker.dequeued(key, arrival);
    broker.pump(key);
}
