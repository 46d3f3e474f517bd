//! PUBACK, PUBREC, PUBREL and PUBCOMP (sections 3.4 to 3.7).

use super::answer;
use crate::broker::change::Change;
use crate::broker::inflight::{Awaits, Released};
use crate::broker::machine::Broker;
use crate::broker::message::Delivery;
use crate::broker::output::ConnectionId;
use crate::broker::persist::{Barrier, Key};
use crate::broker::session::SessionKey;
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
    let ticket = broker.persist.open_ticket();
    let released = session.window.release(ack.packet_id, ticket);
    let barrier = match released {
        Released::Now(arrival) if session.is_persistent() => {
            broker.persist.record(Change::Released { client_id: session.client_id.clone(), arrival });
            Barrier::ThisInput
        }
        // a repeated PUBREC is answered again
        Released::Earlier(ticket) => Barrier::Change(ticket),
        Released::Now(_) | Released::Unknown => Barrier::None,
    };
    // also for an identifier that is not in flight: the receiver can only forget it by PUBREL
    let is_known = !matches!(released, Released::Unknown);
    let reason = if is_known { ReasonCode::Success } else { ReasonCode::PacketIdentifierNotFound };
    answer(broker, connection, Packet::PubRel(Acknowledgement::new(ack.packet_id, reason)), barrier);
}

/// Releases the identifier of a QoS 2 message that the client has published. PUBCOMP promises that the identifier is
/// free, so for one that is free already it waits for the last release of that identifier.
pub(super) fn pub_rel(broker: &mut Broker, connection: ConnectionId, key: SessionKey, packet_id: PacketId) {
    let Some(session) = broker.sessions.get_mut(key) else { return };
    let was_known = session.received.remove(&packet_id).is_some();
    let client_id = session.client_id.clone();
    let barrier = match (session.is_persistent(), was_known) {
        (false, _) => Barrier::None,
        (true, true) => {
            broker.persist.record(Change::Forgotten { client_id, packet_id });
            Barrier::ThisInput
        }
        (true, false) => broker.persist.last_removal(&Key::Received(client_id, packet_id)),
    };
    let reason = if was_known { ReasonCode::Success } else { ReasonCode::PacketIdentifierNotFound };
    answer(broker, connection, Packet::PubComp(Acknowledgement::new(packet_id, reason)), barrier);
}

/// A delivery of QoS 2 is complete.
pub(super) fn pub_comp(broker: &mut Broker, session: SessionKey, packet_id: PacketId) {
    finish(broker, session, packet_id, Awaits::Complete);
}

fn finish(broker: &mut Broker, key: SessionKey, packet_id: PacketId, awaits: Awaits) {
    let Some(session) = broker.sessions.get_mut(key) else { return };
    let Some(Delivery { arrival, .. }) = session.window.finish(packet_id, awaits) else { return };
    broker.dequeued(key, arrival);
    broker.pump(key);
}
