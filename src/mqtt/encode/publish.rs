//! PUBLISH (section 3.3).

use super::super::message::PublishProperties;
use super::super::packet::{PacketId, ProtocolVersion, Publish, QoS};
use super::super::packet_type::PacketType;
use super::properties::{publish_properties_len, push_publish_properties};
use super::{REMAINING_LENGTH_MAX, bounded, push_field, push_variable, variable_len};

/// What goes out of a PUBLISH: every part within its bounds.
struct Parts<'a> {
    first_byte: u8,
    topic: &'a [u8],
    packet_id: Option<PacketId>,
    /// With their length in bytes; `None` where the version has none.
    properties: Option<(PublishProperties<'a>, usize)>,
    payload: &'a [u8],
    remaining_length: usize,
}

impl<'a> Parts<'a> {
    fn of(publish: &Publish<'a>, version: ProtocolVersion) -> Self {
        let packet_id = publish.packet_id.filter(|_| publish.qos != QoS::AtMostOnce);
        let topic = bounded(publish.topic.as_bytes());
        let properties =
            version.has_properties().then(|| (publish.properties, publish_properties_len(&publish.properties)));
        let properties_len = properties.map_or(0, |(_, length)| variable_len(length) + length);
        let ahead = 2 + topic.len() + packet_id.map_or(0, |_| 2) + properties_len;
        let payload = publish.payload.get(..REMAINING_LENGTH_MAX.saturating_sub(ahead)).unwrap_or(publish.payload);
        let first_byte = first_byte(publish, packet_id);
        Self { first_byte, topic, packet_id, properties, payload, remaining_length: ahead + payload.len() }
    }
}

/// DUP and QoS only where there is an identifier for them to speak of [MQTT-3.3.1-2].
fn first_byte(publish: &Publish<'_>, packet_id: Option<PacketId>) -> u8 {
    let retain = u8::from(publish.retain);
    let delivery = packet_id.map_or(0, |_| u8::from(publish.dup) << 3 | (publish.qos as u8) << 1);
    PacketType::Publish.first_byte() | delivery | retain
}

/// Where things stand in an encoded PUBLISH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct PublishLayout {
    /// Length on the wire in bytes.
    pub(in super::super) length: usize,
    /// Where the packet identifier's two bytes stand; `None` with QoS 0.
    pub(in super::super) packet_id_at: Option<u32>,
}

pub(in super::super) fn publish_layout(publish: &Publish<'_>, version: ProtocolVersion) -> PublishLayout {
    let parts = Parts::of(publish, version);
    let header_len = 1 + variable_len(parts.remaining_length);
    let packet_id_at = parts.packet_id.and_then(|_| u32::try_from(header_len + 2 + parts.topic.len()).ok());
    PublishLayout { length: header_len + parts.remaining_length, packet_id_at }
}

/// Appends a PUBLISH.
pub(in super::super) fn encode_publish(publish: &Publish<'_>, version: ProtocolVersion, out: &mut Vec<u8>) {
    let parts = Parts::of(publish, version);
    parts.push_head(out);
    out.extend_from_slice(parts.payload);
}

/// Appends everything of a PUBLISH before its payload.
pub(in super::super) fn encode_publish_head(publish: &Publish<'_>, version: ProtocolVersion, out: &mut Vec<u8>) {
    Parts::of(publish, version).push_head(out);
}

impl Parts<'_> {
    fn push_head(&self, out: &mut Vec<u8>) {
        out.push(self.first_byte);
        push_variable(self.remaining_length, out);
        push_field(self.topic, out);
        if let Some(packet_id) = self.packet_id {
            out.extend_from_slice(&packet_id.get().to_be_bytes());
        }
        if let Some((properties, length)) = &self.properties {
            push_publish_properties(properties, *length, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLISH: Publish<'static> = Publish {
        dup: true,
        qos: QoS::ExactlyOnce,
        retain: true,
        topic: "a/b",
        packet_id: PacketId::new(0x1234),
        properties: PublishProperties::NONE,
        payload: b"21",
    };

    fn check(publish: &Publish<'_>, expected: &[u8]) {
        let mut out = vec![0xaa];
        encode_publish(publish, ProtocolVersion::V311, &mut out);
        assert_eq!(out, [&[0xaa], expected].concat(), "{publish:?}");
        assert_eq!(publish_layout(publish, ProtocolVersion::V311).length, expected.len(), "{publish:?}");
    }

    #[test]
    fn publish_of_qos_2_carries_dup_and_its_identifier() {
        let expected = [
            0x3d, // PUBLISH, DUP, QoS 2, retain
            0x09, // remaining length
            0x00, 0x03, b'a', b'/', b'b', // topic name
            0x12, 0x34, // packet identifier
            b'2', b'1', // payload
        ];
        check(&PUBLISH, &expected);
        assert_eq!(publish_layout(&PUBLISH, ProtocolVersion::V311).packet_id_at, Some(7));
    }

    #[test]
    fn publish_of_qos_0_carries_neither() {
        let expected = [0x31, 0x07, 0x00, 0x03, b'a', b'/', b'b', b'2', b'1'];
        check(&Publish { qos: QoS::AtMostOnce, ..PUBLISH }, &expected);
        check(&Publish { packet_id: None, ..PUBLISH }, &expected);
        assert_eq!(publish_layout(&Publish { packet_id: None, ..PUBLISH }, ProtocolVersion::V311).packet_id_at, None);
    }

    #[test]
    fn the_length_is_right_on_both_sides_of_each_width_of_the_remaining_length() {
        let payload = vec![0; 2_097_152];
        for length in [127, 128, 16_383, 16_384, 2_097_151, 2_097_152] {
            let publish = Publish { payload: &payload[..length - 7], ..PUBLISH };
            let mut out = Vec::new();
            encode_publish(&publish, ProtocolVersion::V311, &mut out);
            assert_eq!(publish_layout(&publish, ProtocolVersion::V311).length, out.len(), "{length}");
            assert_eq!(out.len(), 1 + variable_len(length) + length, "{length}");
        }
    }
}
