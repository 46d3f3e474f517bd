//! Packets to bytes: packets of two or four bytes in place ([`short`]), PUBLISH in one exact step, the rest by writing
//! the body and then its length before it.

mod connect;
mod publish;
mod short;
mod subscribe;

use super::packet::{Packet, ProtocolVersion};
use super::packet_type::PacketType;

pub(super) use publish::{encode_publish, publish_layout};
pub(super) use short::Short;

/// The largest remaining length that four bytes can say (section 2.2.3).
const REMAINING_LENGTH_MAX: usize = 268_435_455;

/// The largest length that stands before a string or before binary data (section 1.5.3).
const FIELD_BYTES_MAX: usize = 65_535;

/// Appends `packet` to `out`.
///
/// Both versions are written alike but for CONNECT's level: the packets hold nothing yet that only version 5 has.
///
/// What no packet can carry is left out, so that the stream stays readable: of a string or password what exceeds
/// 65 535 bytes, of a PUBLISH's payload what exceeds a remaining length of 268 435 455, DUP with QoS 0
/// [MQTT-3.3.1-2], session present in a refusal [MQTT-3.2.2-4]. A PUBLISH of QoS 1 or 2 without a packet identifier
/// goes out with QoS 0 [MQTT-2.3.1-1].
pub fn encode(packet: &Packet<'_>, _version: ProtocolVersion, out: &mut Vec<u8>) {
    match packet {
        Packet::Publish(publish) => encode_publish(publish, out),
        Packet::Connect(connect) => connect::encode_connect(connect, out),
        Packet::Subscribe(subscribe) => subscribe::encode_subscribe(subscribe, out),
        Packet::SubAck(suback) => subscribe::encode_suback(suback, out),
        Packet::Unsubscribe(unsubscribe) => subscribe::encode_unsubscribe(unsubscribe, out),
        Packet::ConnAck(_)
        | Packet::PubAck(_)
        | Packet::PubRec(_)
        | Packet::PubRel(_)
        | Packet::PubComp(_)
        | Packet::UnsubAck(_)
        | Packet::PingReq
        | Packet::PingResp
        | Packet::Disconnect => out.extend(Short::of(packet).iter().flat_map(Short::as_slice)),
    }
}

/// Appends a packet whose body `write` appends; its length is put in between when it is known.
fn encode_with_body(packet: PacketType, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    out.push(packet.first_byte());
    let body_at = out.len();
    write(out);
    let mut length = Vec::with_capacity(4);
    push_remaining_length(out.len() - body_at, &mut length);
    out.splice(body_at..body_at, length);
}

/// Seven bits a byte, the low ones first, the top bit while more follow (section 2.2.3).
fn push_remaining_length(mut length: usize, out: &mut Vec<u8>) {
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

/// How many bytes [`push_remaining_length`] appends.
const fn remaining_length_len(length: usize) -> usize {
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
            push_remaining_length(length, &mut out);
            assert_eq!(out, expected, "{length}");
            assert_eq!(remaining_length_len(length), expected.len(), "{length}");
        }
    }

    #[test]
    fn a_text_too_long_for_its_field_is_cut_and_the_packet_stays_readable() {
        let connect = Connect {
            version: ProtocolVersion::V311,
            clean_session: true,
            keep_alive_s: 0,
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
