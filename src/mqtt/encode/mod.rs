//! Packets to bytes: packets of two or four bytes in place ([`short`]), PUBLISH in one exact step, the rest by writing
//! the body and then its length before it.

mod answer;
mod connect;
mod properties;
mod publish;
mod short;
mod subscribe;

use super::packet::{Disconnect, Packet, ProtocolVersion};
use super::packet_type::PacketType;

pub(super) use properties::encode_message_fields;
pub(super) use publish::{encode_publish, encode_publish_head, publish_layout};
pub(super) use short::Short;

/// The largest remaining length that four bytes can say (section 2.2.3).
const REMAINING_LENGTH_MAX: usize = 268_435_455;

/// The largest length that stands before a string or before binary data (section 1.5.3).
const FIELD_BYTES_MAX: usize = 65_535;

/// Appends `packet` to `out`.
///
/// `version` is the connection's; a CONNECT is written in its own. What only version 5 has is left out before it; an
/// AUTH is then nothing at all.
///
/// What no packet can carry is left out, so that the stream stays readable: of a string or password what exceeds
/// 65 535 bytes, of a PUBLISH's payload what exceeds a remaining length of 268 435 455, DUP with QoS 0
/// [MQTT-3.3.1-2], session present in a refusal [MQTT-3.2.2-4], a property that the packet may not carry. A PUBLISH of QoS 1 or 2 without a packet identifier
/// goes out with QoS 0 [MQTT-2.3.1-1].
pub fn encode(packet: &Packet<'_>, version: ProtocolVersion, out: &mut Vec<u8>) {
    if let Some(short) = Short::of(packet, version) {
        return out.extend_from_slice(short.as_slice());
    }
    match packet {
        Packet::Publish(publish) => encode_publish(publish, version, out),
        Packet::Connect(connect) => connect::encode_connect(connect, out),
        Packet::Subscribe(subscribe) => subscribe::encode_subscribe(subscribe, version, out),
        Packet::SubAck(suback) => subscribe::encode_suback(suback, version, out),
        Packet::Unsubscribe(unsubscribe) => subscribe::encode_unsubscribe(unsubscribe, version, out),
        packet if version.has_properties() => encode_answer(packet, out),
        _ => {}
    }
}

/// What carries a reason in version 5.
fn encode_answer(packet: &Packet<'_>, out: &mut Vec<u8>) {
    match packet {
        Packet::ConnAck(connack) => answer::encode_connack(connack, out),
        Packet::PubAck(ack) => answer::encode_acknowledgement(PacketType::PubAck, ack, out),
        Packet::PubRec(ack) => answer::encode_acknowledgement(PacketType::PubRec, ack, out),
        Packet::PubRel(ack) => answer::encode_acknowledgement(PacketType::PubRel, ack, out),
        Packet::PubComp(ack) => answer::encode_acknowledgement(PacketType::PubComp, ack, out),
        Packet::UnsubAck(unsuback) => answer::encode_unsuback(unsuback, out),
        Packet::Disconnect(Disconnect { reason, properties }) => {
            answer::encode_reason(PacketType::Disconnect, *reason, properties, out);
        }
        Packet::Auth(auth) => answer::encode_reason(PacketType::Auth, auth.reason, &auth.properties, out),
        _ => {}
    }
}

/// Appends a packet whose body `write` appends; its length is put in between when it is known.
fn encode_with_body(packet: PacketType, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    out.push(packet.first_byte());
    let body_at = out.len();
    write(out);
    let mut length = Vec::with_capacity(4);
    push_variable(out.len() - body_at, &mut length);
    out.splice(body_at..body_at, length);
}

/// Seven bits a byte, the low ones first, the top bit while more follow (section 2.2.3), in the fewest bytes
/// [MQTT-1.5.5-1].
fn push_variable(mut length: usize, out: &mut Vec<u8>) {
    while length > 0x7f {
        out.push(low_byte(length) | 0x80);
        length >>= 7;
    }
    out.push(low_byte(length));
}

const fn low_byte(length: usize) -> u8 {
    let [low, ..] = length.to_le_bytes();
    low
}

/// How many bytes [`push_variable`] appends.
const fn variable_len(length: usize) -> usize {
    match length {
        0..=0x7f => 1,
        0x80..=0x3fff => 2,
        0x4000..=0x1f_ffff => 3,
        _ => 4,
    }
}

/// A string or binary data behind its length in two bytes.
fn push_field(bytes: &[u8], out: &mut Vec<u8>) {
    let bytes = bounded(bytes);
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(bytes);
}

/// What a field can carry of `bytes`.
fn bounded(bytes: &[u8]) -> &[u8] {
    bytes.get(..FIELD_BYTES_MAX).unwrap_or(bytes)
}

#[cfg(test)]
mod tests {
    use super::super::decode::{Decoded, decode};
    use super::super::packet::{ClientId, Connect};
    use super::super::properties::Properties;
    use super::*;

    #[test]
    fn remaining_lengths_are_written_as_table_2_4_tells() {
        for (length, expected) in [
            (0, &[0x00][..]),
            (127, &[0x7f]),
            (128, &[0x80, 0x01]),
            (16_383, &[0xff, 0x7f]),
            (16_384, &[0x80, 0x80, 0x01]),
            (2_097_151, &[0xff, 0xff, 0x7f]),
            (2_097_152, &[0x80, 0x80, 0x80, 0x01]),
            (REMAINING_LENGTH_MAX, &[0xff, 0xff, 0xff, 0x7f]),
        ] {
            let mut out = Vec::new();
            push_variable(length, &mut out);
            assert_eq!(out, expected, "{length}");
            assert_eq!(variable_len(length), expected.len(), "{length}");
        }
    }

    #[test]
    fn a_text_too_long_for_its_field_is_cut_and_the_packet_stays_readable() {
        let connect = Connect {
            version: ProtocolVersion::V311,
            clean_session: true,
            keep_alive_s: 0,
            properties: Properties::NONE,
            client_id: ClientId::new("x".repeat(65_536)),
            will: None,
            user_name: None,
            password: None,
        };
        let mut out = Vec::new();
        encode(&Packet::Connect(connect), ProtocolVersion::V311, &mut out);
        match decode(&out, ProtocolVersion::V311, usize::MAX) {
            Ok(Decoded::Packet { packet: Packet::Connect(connect), length }) => {
                assert_eq!((connect.client_id.as_str().len(), length), (65_535, out.len()));
            }
            other => panic!("{other:?}"),
        }
    }
}
