//! Version 5's answers that carry a reason: CONNACK, acknowledgements, UNSUBACK, DISCONNECT and AUTH.

use super::super::packet::{Acknowledgement, ConnAck, UnsubAck};
use super::super::packet_type::PacketType;
use super::super::properties::Properties;
use super::super::reason::ReasonCode;
use super::encode_with_body;
use super::properties::push_properties;

pub(super) fn encode_connack(connack: &ConnAck, out: &mut Vec<u8>) {
    encode_with_body(PacketType::ConnAck, out, |out| {
        // a refusal never speaks of a session [MQTT-3.2.2-6]
        out.push(u8::from(connack.session_present && connack.reason == ReasonCode::Success));
        out.push(connack.reason as u8);
        push_properties(PacketType::ConnAck, &connack.properties, out);
    });
}

/// PUBACK, PUBREC, PUBREL or PUBCOMP.
pub(super) fn encode_acknowledgement(packet: PacketType, acknowledgement: &Acknowledgement, out: &mut Vec<u8>) {
    encode_with_body(packet, out, |out| {
        out.extend_from_slice(&acknowledgement.packet_id.get().to_be_bytes());
        push_reason(packet, acknowledgement.reason, &acknowledgement.properties, out);
    });
}

pub(super) fn encode_unsuback(unsuback: &UnsubAck, out: &mut Vec<u8>) {
    encode_with_body(PacketType::UnsubAck, out, |out| {
        out.extend_from_slice(&unsuback.packet_id.get().to_be_bytes());
        push_properties(PacketType::UnsubAck, &unsuback.properties, out);
        out.extend(unsuback.codes.iter().map(|code| *code as u8));
    });
}

/// DISCONNECT or AUTH.
pub(super) fn encode_reason(packet: PacketType, reason: ReasonCode, properties: &Properties, out: &mut Vec<u8>) {
    encode_with_body(packet, out, |out| push_reason(packet, reason, properties, out));
}

/// Success without properties goes without saying, and so does the length of no properties, but in AUTH, whose text
/// lets both be left out only together.
fn push_reason(packet: PacketType, reason: ReasonCode, properties: &Properties, out: &mut Vec<u8>) {
    if reason == ReasonCode::Success && properties.is_empty() {
        return;
    }
    out.push(reason as u8);
    if !properties.is_empty() || packet == PacketType::Auth {
        push_properties(packet, properties, out);
    }
}
