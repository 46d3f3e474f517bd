//! SUBSCRIBE (section 3.8) and SUBACK (section 3.9).

use super::super::packet::{QoS, SubAck, Subscribe, Subscription};
use super::super::reason::SubscribeReturnCode;
use super::cursor::Cursor;
use super::error::DecodeError;

pub(super) fn subscribe(mut body: Cursor<'_>) -> Result<Subscribe, DecodeError> {
    let packet_id = body.packet_id()?;
    let mut subscriptions = Vec::new();
    while !body.is_empty() {
        subscriptions.push(subscription(&mut body)?);
    }
    if subscriptions.is_empty() {
        return Err(DecodeError::NoSubscription);
    }
    Ok(Subscribe { packet_id, subscriptions })
}

fn subscription(body: &mut Cursor<'_>) -> Result<Subscription, DecodeError> {
    let filter = body.filter()?;
    let options = body.u8("requested QoS")?;
    let qos = QoS::from_bits(options).ok_or(DecodeError::RequestedQoS(options))?;
    Ok(Subscription { filter, qos })
}

pub(super) fn suback(mut body: Cursor<'_>) -> Result<SubAck, DecodeError> {
    let packet_id = body.packet_id()?;
    let codes: Vec<_> = body.into_rest().iter().copied().map(return_code).collect::<Result<_, _>>()?;
    if codes.is_empty() { Err(DecodeError::NoReturnCode) } else { Ok(SubAck { packet_id, codes }) }
}

fn return_code(byte: u8) -> Result<SubscribeReturnCode, DecodeError> {
    SubscribeReturnCode::from_byte(byte).ok_or(DecodeError::SubAckCode(byte))
}

#[cfg(test)]
mod tests {
    use super::super::super::packet::{Packet, PacketId};
    use super::super::super::topic::{TopicError, TopicFilter};
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
        let subscription = |filter, qos| Subscription { filter: TopicFilter::new(filter).unwrap(), qos };
        let subscriptions = vec![subscription("a/b", QoS::AtLeastOnce), subscription("c/#", QoS::ExactlyOnce)];
        let packet_id = PacketId::new(10).unwrap();
        check_decodes(&bytes, Packet::Subscribe(Subscribe { packet_id, subscriptions }));
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
            SubscribeReturnCode::GrantedQoS0,
            SubscribeReturnCode::GrantedQoS1,
            SubscribeReturnCode::GrantedQoS2,
            SubscribeReturnCode::Failure,
        ];
        check_decodes(&bytes, Packet::SubAck(SubAck { packet_id: PacketId::new(10).unwrap(), codes }));
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
