//! What each packet does, one file a verb.

mod acknowledge;
mod connect;
mod disconnect;
mod publish;
mod subscribe;
mod unsubscribe;

pub(super) use connect::{admit, admit_waiting, connect, malformed, refuse, refuse_for_disk};

use super::connection::Connection;
use super::lane::Lane;
use super::machine::{Broker, Disk};
use super::output::ConnectionId;
use super::persist::Barrier;
use super::session::SessionKey;
use crate::mqtt::{Frame, Packet, Properties, ReasonCode};

/// PINGRESP (section 3.13).
const PINGRESP: [u8; 2] = [0xD0, 0x00];

/// Does what a packet of an accepted client asks for.
pub(super) fn packet(broker: &mut Broker, connection: ConnectionId, session: SessionKey, packet: Packet<'_>) {
    match packet {
        Packet::Publish(publish) => publish::publish(broker, connection, session, &publish),
        Packet::PubAck(ack) => acknowledge::pub_ack(broker, session, ack.packet_id),
        Packet::PubRec(ack) => acknowledge::pub_rec(broker, connection, session, &ack),
        Packet::PubRel(ack) => acknowledge::pub_rel(broker, connection, session, ack.packet_id),
        Packet::PubComp(ack) => acknowledge::pub_comp(broker, session, ack.packet_id),
        Packet::Subscribe(subscribe) => subscribe::subscribe(broker, connection, session, &subscribe),
        Packet::Unsubscribe(unsubscribe) => unsubscribe::unsubscribe(broker, connection, session, &unsubscribe),
        // [MQTT-3.12.4-1]
        Packet::PingReq => broker.answer(connection, Frame::short(&PINGRESP), Lane::Pings, Barrier::None),
        Packet::Disconnect(packet) => disconnect::disconnect(broker, connection, session, &packet),
        Packet::Connect(_) | Packet::ConnAck(_) | Packet::SubAck(_) | Packet::UnsubAck(_) | Packet::PingResp => {
            broker.violate(connection, "a packet that only a server sends", "section 2.1.2");
        }
        Packet::Auth(_) => broker.violate(connection, "AUTH without an authentication method", "MQTT-4.12.0-6"),
    }
}

/// What is said of a disk that does not write.
const fn lack(disk: Disk) -> Option<(ReasonCode, &'static str)> {
    match disk {
        Disk::Writes => None,
        Disk::Full => Some((ReasonCode::QuotaExceeded, "the broker's disk is full")),
        Disk::Fails => Some((ReasonCode::ImplementationSpecificError, "the broker's disk fails")),
    }
}

/// Why something was not done, for a client that wants to know [MQTT-3.1.2-29].
fn told(broker: &Broker, connection: ConnectionId, code: ReasonCode, why: &str) -> Properties {
    let wants = broker.connections.get(connection).is_some_and(Connection::wants_reasons);
    if wants && code.is_failure() { Properties::reason_string(why) } else { Properties::NONE }
}

/// Acknowledges with `packet` once `barrier` is met; without its reason string where that makes the packet larger than
/// the client accepts.
fn answer(broker: &mut Broker, connection: ConnectionId, packet: Packet<'_>, barrier: Barrier) {
    let Some(record) = broker.connections.get(connection) else { return };
    let mut frame = Frame::of(&packet, record.version);
    if !record.takes(frame.wire_len()) {
        frame = Frame::of(&packet.without_problem_information(), record.version);
    }
    if !record.takes(frame.wire_len()) {
        let what = "its answer is larger than the client takes";
        return broker.violate_as(connection, ReasonCode::PacketTooLarge, what, "MQTT-3.1.2-24");
    }
    broker.answer(connection, frame, Lane::Acknowledgements, barrier);
}
