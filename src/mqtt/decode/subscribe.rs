//! SUBSCRIBE (section 3.8) and SUBACK (section 3.9).

use super::super::packet::{ProtocolVersion, QoS, RetainHandling, SubAck, Subscribe, Subscription};
use super::super::reason::ReasonCode;
use super::super::topic::TopicFilter;
use super::cursor::Cursor;
use super::error::DecodeError;
use super::properties::properties;

pub(super) fn subscribe(mut body: Cursor<'_>) -> Result<Subscribe, DecodeError> {
    let packet_id = body.packet_id()?;
    let properties = properties(&mut body)?;
    let mut subscriptions = Vec::new();
    while !body.is_empty() {
        subscriptions.push(subscription(&mut body)?);
    }
    if subscriptions.is_empty() {
        return Err(DecodeError::NoSubscription);
    }
    Ok(Subscribe { packet_id, properties, subscriptions })
}

fn subscription(body: &mut Cursor<'_>) -> Result<Subscription, DecodeError> {
    let filter = body.filter()?;
    let options = body.u8("requested QoS")?;
    if body.version().has_properties() {
        return subscription_of_5(filter, options);
    }
    let qos = QoS::from_bits(options).ok_or(DecodeError::RequestedQoS(options))?;
    Ok(Subscription::new(filter, qos))
}

/// The options of version 5 (section 3.8.3.1).
fn subscription_of_5(filter: TopicFilter, options: u8) -> Result<Subscription, DecodeError> {
    if options & 0b1100_0000 != 0 {
        return Err(DecodeError::SubscriptionOptions(options));
    }
    let qos = QoS::from_bits(options & 0b11).ok_or(DecodeError::RequestedQoS(options))?;
    let retain_handling = RetainHandling::from_bits(options >> 4 & 0b11).ok_or(DecodeError::RetainHandling(options))?;
    let no_local = options & 0b0100 != 0;
    if no_local && matches!(filter.shared(), Ok(Some(_))) {
        return Err(DecodeError::NoLocalOnShared);
    }
    Ok(Subscription { filter, qos, no_local, retain_as_published: options & 0b1000 != 0, retain_handling })
}

pub(super) fn suback(mut body: Cursor<'_>) -> Result<SubAck, DecodeError> {
    let packet_id = body.packet_id()?;
    let properties = properties(&mut body)?;
    let version = body.version();
    let mut codes = Vec::with_capacity(body.rest().len());
    while !body.is_empty() {
        let is_reason = version.has_properties();
        codes.push(if is_reason { body.reason()? } else { return_code(body.u8("return code")?, version)? });
    }
    if codes.is_empty() { Err(DecodeError::NoReturnCode) } else { Ok(SubAck { packet_id, properties, codes }) }
}

/// MQTT 3.1.1, section 3.9.3. MQTT 3.1 has no failure.
fn return_code(byte: u8, version: ProtocolVersion) -> Result<ReasonCode, DecodeError> {
    match (byte, QoS::from_bits(byte)) {
        (_, Some(qos)) => Ok(ReasonCode::granted(qos)),
        (0x80, None) if version != ProtocolVersion::V31 => Ok(ReasonCode::UnspecifiedError),
        _ => Err(DecodeError::SubAckCode(byte)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::packet::{Packet, PacketId};
    use super::super::super::topic::TopicError;
    use super::super::check::{check_decodes, check_refused};
    use super::*;

    #[test]
    fn subscribe_lists_filters_with_their_qos() {
        let bytes = [
            0x82, // SUBSCRIBE with its reserved flags
            0x0e, // remaining length
            0x00, 0x0a, // packet identifier 10
            0x00, 0x03, b'a', b'/', b'b', 0x01, // filter a/b, QoS 1
            0x00, 0x03, b'c', b'/', b'#', 0x02, // filter c/#, QoS 2
        ];
        let subscription = |filter, qos| Subscription::new(TopicFilter::new(filter).unwrap(), qos);
        let subscriptions = vec![subscription("a/b", QoS::AtLeastOnce), subscription("c/#", QoS::ExactlyOnce)];
        let packet_id = PacketId::new(10).unwrap();
        check_decodes(&bytes, Packet::Subscribe(Subscribe::new(packet_id, subscriptions)));
    }

    #[test]
    fn subscribe_without_a_filter_is_refused() {
        check_refused(&[0x82, 0x02, 0x00, 0x0a], &DecodeError::NoSubscription, "MQTT-3.8.3-3");
    }

    #[test]
    fn subscribe_with_packet_identifier_0_is_refused() {
        let bytes = [0x82, 0x06, 0x00, 0x00, 0x00, 0x01, b'a', 0x00];
        check_refused(&bytes, &DecodeError::PacketIdZero { packet: "SUBSCRIBE" }, "MQTT-2.3.1-1");
    }

    #[test]
    fn a_requested_qos_of_3_and_reserved_bits_beside_it_are_refused() {
        for options in (0x03..=0xff).step_by(7) {
            let bytes = [0x82, 0x06, 0x00, 0x0a, 0x00, 0x01, b'a', options];
            check_refused(&bytes, &DecodeError::RequestedQoS(options), "MQTT-3-8.3-4");
        }
    }

    #[test]
    fn filters_that_are_none_are_refused() {
        let topic = |error| DecodeError::Topic { field: "topic filter", error };
        for (filter, error, clause) in [
            (&b""[..], topic(TopicError::Empty), "MQTT-4.7.3-1"),
            (b"a\0", topic(TopicError::Nul), "MQTT-4.7.3-2"),
            (b"a#", topic(TopicError::MultiLevelWildcard), "MQTT-4.7.1-2"),
            (b"#/a", topic(TopicError::MultiLevelWildcard), "MQTT-4.7.1-2"),
            (b"a+", topic(TopicError::SingleLevelWildcard), "MQTT-4.7.1-3"),
            (b"\xed\xa0\x80", DecodeError::Utf8 { field: "topic filter", at: 0 }, "MQTT-1.5.3-1"),
        ] {
            let length = u8::try_from(filter.len()).unwrap();
            let bytes = [&[0x82, 5 + length, 0x00, 0x0a, 0x00, length], filter, &[0x00]].concat();
            check_refused(&bytes, &error, clause);
        }
    }

    #[test]
    fn a_subscribe_that_ends_in_a_field_is_refused() {
        let error = |field, left, needed| DecodeError::TooShort { packet: "SUBSCRIBE", field, left, needed };
        check_refused(&[0x82, 0x01, 0x00], &error("packet identifier", 1, 2), "MQTT-4.8.0-1");
        let no_filter = [0x82, 0x03, 0x00, 0x0a, 0x00];
        check_refused(&no_filter, &error("topic filter", 1, 2), "MQTT-4.8.0-1");
        let no_qos = [0x82, 0x05, 0x00, 0x0a, 0x00, 0x01, b'a'];
        check_refused(&no_qos, &error("requested QoS", 0, 1), "MQTT-4.8.0-1");
    }

    #[test]
    fn suback_lists_one_code_for_each_filter() {
        let bytes = [
            0x90, // SUBACK
            0x06, // remaining length
            0x00, 0x0a, // packet identifier 10
            0x00, 0x01, 0x02, 0x80, // granted QoS 0, 1 and 2, refused
        ];
        let codes = vec![
            ReasonCode::GRANTED_QOS_0,
            ReasonCode::GrantedQoS1,
            ReasonCode::GrantedQoS2,
            ReasonCode::UnspecifiedError,
        ];
        let packet_id = PacketId::new(10).unwrap();
        check_decodes(&bytes, Packet::SubAck(SubAck::new(packet_id, codes)));
    }

    #[test]
    fn suback_with_a_reserved_code_or_with_none_is_refused() {
        check_refused(&[0x90, 0x03, 0x00, 0x0a, 0x03], &DecodeError::SubAckCode(3), "MQTT-3.9.3-2");
        check_refused(&[0x90, 0x03, 0x00, 0x0a, 0x81], &DecodeError::SubAckCode(0x81), "MQTT-3.9.3-2");
        check_refused(&[0x90, 0x02, 0x00, 0x0a], &DecodeError::NoReturnCode, "MQTT-3.9.3-1");
        let zero = DecodeError::PacketIdZero { packet: "SUBACK" };
        check_refused(&[0x90, 0x03, 0x00, 0x00, 0x00], &zero, "MQTT-2.3.1-1");
    }
}
