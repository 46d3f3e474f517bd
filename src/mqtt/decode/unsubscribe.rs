//! UNSUBSCRIBE (section 3.10) and UNSUBACK (section 3.11).

use super::super::packet::{UnsubAck, Unsubscribe};
use super::cursor::Cursor;
use super::error::DecodeError;
use super::properties::properties;

pub(super) fn unsubscribe(mut body: Cursor<'_>) -> Result<Unsubscribe, DecodeError> {
    let packet_id = body.packet_id()?;
    let properties = properties(&mut body)?;
    let mut filters = Vec::new();
    while !body.is_empty() {
        filters.push(body.filter()?);
    }
    if filters.is_empty() { Err(DecodeError::NoFilter) } else { Ok(Unsubscribe { packet_id, properties, filters }) }
}

pub(super) fn unsuback(mut body: Cursor<'_>) -> Result<UnsubAck, DecodeError> {
    let packet_id = body.packet_id()?;
    if !body.version().has_properties() {
        body.finish()?;
        return Ok(UnsubAck::new(packet_id, Vec::new()));
    }
    let properties = properties(&mut body)?;
    let mut codes = Vec::with_capacity(body.rest().len());
    while !body.is_empty() {
        codes.push(body.reason()?);
    }
    if codes.is_empty() { Err(DecodeError::NoReasonCode) } else { Ok(UnsubAck { packet_id, properties, codes }) }
}

#[cfg(test)]
mod tests {
    use super::super::super::packet::{Packet, PacketId};
    use super::super::super::topic::{TopicError, TopicFilter};
    use super::super::check::{check_decodes, check_refused};
    use super::*;

    #[test]
    fn unsubscribe_lists_filters() {
        let bytes = [
            0xa2, // UNSUBSCRIBE with its reserved flags
            0x0a, // remaining length
            0x00, 0x0b, // packet identifier 11
            0x00, 0x03, b'a', b'/', b'+', // filter a/+
            0x00, 0x01, b'#', // filter #
        ];
        let filters = ["a/+", "#"].map(|filter| TopicFilter::new(filter).unwrap()).to_vec();
        let packet_id = PacketId::new(11).unwrap();
        check_decodes(&bytes, Packet::Unsubscribe(Unsubscribe::new(packet_id, filters)));
    }

    #[test]
    fn unsubscribe_without_a_filter_or_with_a_wrong_one_is_refused() {
        check_refused(&[0xa2, 0x02, 0x00, 0x0b], &DecodeError::NoFilter, "MQTT-3.10.3-2");
        let zero = DecodeError::PacketIdZero { packet: "UNSUBSCRIBE" };
        check_refused(&[0xa2, 0x05, 0x00, 0x00, 0x00, 0x01, b'a'], &zero, "MQTT-2.3.1-1");
        let empty = DecodeError::Topic { field: "topic filter", error: TopicError::Empty };
        check_refused(&[0xa2, 0x04, 0x00, 0x0b, 0x00, 0x00], &empty, "MQTT-4.7.3-1");
        let cut = DecodeError::TooShort { packet: "UNSUBSCRIBE", field: "topic filter", left: 1, needed: 2 };
        check_refused(&[0xa2, 0x05, 0x00, 0x0b, 0x00, 0x02, b'a'], &cut, "MQTT-4.8.0-1");
    }

    #[test]
    fn unsuback_carries_its_packet_identifier() {
        let unsuback = UnsubAck::new(PacketId::new(11).unwrap(), Vec::new());
        check_decodes(&[0xb0, 0x02, 0x00, 0x0b], Packet::UnsubAck(unsuback));
        check_refused(&[0xb0, 0x02, 0x00, 0x00], &DecodeError::PacketIdZero { packet: "UNSUBACK" }, "MQTT-2.3.1-1");
    }
}
