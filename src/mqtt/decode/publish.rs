//! PUBLISH (section 3.3).

use super::super::message::PublishProperties;
use super::super::packet::{Publish, QoS};
use super::super::topic::TopicError;
use super::cursor::Cursor;
use super::error::DecodeError;
use super::properties::publish_properties;

const TOPIC: &str = "topic name";

/// The header has refused QoS 3 and DUP with QoS 0 already.
#[inline]
pub(super) fn publish(flags: u8, mut body: Cursor<'_>) -> Result<Publish<'_>, DecodeError> {
    let qos = QoS::from_bits(flags >> 1 & 0b11).ok_or(DecodeError::PublishQoS3)?;
    let has_properties = body.version().has_properties();
    let topic = if has_properties { body.topic_or_empty(TOPIC)? } else { body.topic_of_any_code_points(TOPIC)? };
    let packet_id = match qos {
        QoS::AtMostOnce => None, // [MQTT-2.3.1-5]
        QoS::AtLeastOnce | QoS::ExactlyOnce => Some(body.packet_id()?),
    };
    let properties = if has_properties { publish_properties(&mut body)? } else { PublishProperties::NONE };
    if topic.is_empty() && properties.topic_alias.is_none() {
        return Err(DecodeError::Topic { field: TOPIC, error: TopicError::Empty });
    }
    let (dup, retain) = (flags & 0b1000 != 0, flags & 0b0001 != 0);
    // a client may clear a retained message from before such code points were refused, but not give its topic an alias
    let is_clearing = retain && body.is_empty() && properties.topic_alias.is_none();
    if !is_clearing {
        body.check_code_points(TOPIC, topic)?;
    }
    Ok(Publish { dup, qos, retain, topic, packet_id, properties, payload: body.into_rest() })
}

#[cfg(test)]
mod tests {
    use super::super::super::packet::{Packet, PacketId};
    use super::super::super::topic::TopicError;
    use super::super::check::{check_decodes, check_refused};
    use super::*;

    #[test]
    fn publish_with_qos_0_has_no_packet_identifier() {
        let bytes = [
            0x31, // PUBLISH, QoS 0, retain
            0x07, // remaining length
            0x00, 0x03, b'a', b'/', b'b', // topic name
            b'2', b'1', // payload
        ];
        let publish = Publish { qos: QoS::AtMostOnce, retain: true, ..Publish::new("a/b", b"21") };
        check_decodes(&bytes, Packet::Publish(publish));
    }

    #[test]
    fn publish_with_qos_2_and_dup_and_an_empty_payload() {
        let bytes = [
            0x3c, // PUBLISH, DUP, QoS 2
            0x07, // remaining length
            0x00, 0x03, 0xe2, 0x82, 0xac, // topic name €
            0x01, 0x02, // packet identifier 258
        ];
        let packet_id = PacketId::new(258);
        let publish = Publish { dup: true, qos: QoS::ExactlyOnce, packet_id, ..Publish::new("€", b"") };
        check_decodes(&bytes, Packet::Publish(publish));
    }

    #[test]
    fn a_topic_name_that_is_none_is_refused() {
        let topic = |error| DecodeError::Topic { field: "topic name", error };
        check_refused(&[0x30, 0x02, 0x00, 0x00], &topic(TopicError::Empty), "MQTT-4.7.3-1");
        let wildcard = |character| topic(TopicError::WildcardInName(character));
        check_refused(&[0x30, 0x05, 0x00, 0x03, b'a', b'/', b'+'], &wildcard('+'), "MQTT-3.3.2-2");
        check_refused(&[0x30, 0x03, 0x00, 0x01, b'#'], &wildcard('#'), "MQTT-3.3.2-2");
        check_refused(&[0x30, 0x04, 0x00, 0x02, b'a', 0x00], &topic(TopicError::Nul), "MQTT-4.7.3-2");
    }

    #[test]
    fn a_topic_name_that_is_no_utf_8_is_refused() {
        let error = |at| DecodeError::Utf8 { field: "topic name", at };
        // a byte that no character begins with
        check_refused(&[0x30, 0x04, 0x00, 0x02, b'a', 0xff], &error(1), "MQTT-1.5.3-1");
        // the surrogate U+D800
        check_refused(&[0x30, 0x05, 0x00, 0x03, 0xed, 0xa0, 0x80], &error(0), "MQTT-1.5.3-1");
        // the last surrogate U+DFFF
        check_refused(&[0x30, 0x05, 0x00, 0x03, 0xed, 0xbf, 0xbf], &error(0), "MQTT-1.5.3-1");
        // U+0000 in two bytes, an overlong form
        check_refused(&[0x30, 0x04, 0x00, 0x02, 0xc0, 0x80], &error(0), "MQTT-1.5.3-1");
        // a character cut by the end of the string
        check_refused(&[0x30, 0x05, 0x00, 0x02, 0xe2, 0x82, 0xac], &error(0), "MQTT-1.5.3-1");
    }

    #[test]
    fn packet_identifier_0_is_refused() {
        let error = DecodeError::PacketIdZero { packet: "PUBLISH" };
        check_refused(&[0x32, 0x05, 0x00, 0x01, b'a', 0x00, 0x00], &error, "MQTT-2.3.1-1");
        check_refused(&[0x34, 0x05, 0x00, 0x01, b'a', 0x00, 0x00], &error, "MQTT-2.3.1-1");
    }

    #[test]
    fn a_publish_that_ends_in_a_field_is_refused() {
        let error = |field, left, needed| DecodeError::TooShort { packet: "PUBLISH", field, left, needed };
        check_refused(&[0x30, 0x00], &error("topic name", 0, 2), "MQTT-4.8.0-1");
        check_refused(&[0x30, 0x01, 0x00], &error("topic name", 1, 2), "MQTT-4.8.0-1");
        check_refused(&[0x30, 0x03, 0x00, 0x02, b'a'], &error("topic name", 1, 2), "MQTT-4.8.0-1");
        check_refused(&[0x32, 0x04, 0x00, 0x01, b'a', 0x00], &error("packet identifier", 1, 2), "MQTT-4.8.0-1");
    }
}
