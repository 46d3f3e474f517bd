//! What holds for every packet and for any bytes, in each version.

mod of_5;

use std::num::NonZeroU16;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;

const BYTES_MAX: usize = usize::MAX;

fn qos() -> impl Strategy<Value = QoS> {
    prop_oneof![Just(QoS::AtMostOnce), Just(QoS::AtLeastOnce), Just(QoS::ExactlyOnce)]
}

fn packet_id() -> impl Strategy<Value = PacketId> {
    (1..=u16::MAX).prop_map(|number| PacketId::new(number).unwrap())
}

fn text() -> impl Strategy<Value = String> {
    "[^\x00]{0,40}"
}

fn topic() -> impl Strategy<Value = String> {
    "[^\x00+#]{1,40}"
}

fn filter() -> impl Strategy<Value = TopicFilter> {
    ("([^\x00+#/]{0,8}|\\+)(/([^\x00+#/]{0,8}|\\+)){0,4}", any::<bool>())
        .prop_map(|(levels, all)| if all { format!("{levels}/#") } else { levels })
        .prop_filter("at least one character", |text| !text.is_empty())
        .prop_map(|text| TopicFilter::new(&text).unwrap())
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![9 => vec(any::<u8>(), 0..300), 1 => vec(any::<u8>(), 16_000..17_000)]
}

fn will() -> impl Strategy<Value = Will> {
    (topic(), payload(), qos(), any::<bool>()).prop_map(|(topic, payload, qos, retain)| Will {
        qos,
        retain,
        ..Will::new(TopicName::new(&topic).unwrap(), payload.into())
    })
}

fn connect() -> impl Strategy<Value = Connect> {
    let credentials = option::of((text(), option::of(vec(any::<u8>(), 0..40))));
    (any::<bool>(), any::<u16>(), text(), option::of(will()), credentials).prop_map(
        |(clean_session, keep_alive_s, client_id, will, credentials)| {
            let (user_name, password) = credentials.unzip();
            Connect {
                version: ProtocolVersion::V311,
                clean_session,
                keep_alive_s,
                properties: Properties::NONE,
                client_id: ClientId::new(client_id),
                will,
                user_name,
                password: password.flatten().map(|password| Bytes::from(password).into()),
            }
        },
    )
}

fn connack() -> impl Strategy<Value = ConnAck> {
    (any::<bool>(), 0..=5_u8).prop_map(|(session_present, code)| {
        ConnAck::new(session_present && code == 0, ConnectReturnCode::from_byte(code).unwrap().into())
    })
}

fn subscribe() -> impl Strategy<Value = Subscribe> {
    let subscription = (filter(), qos()).prop_map(|(filter, qos)| Subscription::new(filter, qos));
    (packet_id(), vec(subscription, 1..10))
        .prop_map(|(packet_id, subscriptions)| Subscribe::new(packet_id, subscriptions))
}

fn suback() -> impl Strategy<Value = SubAck> {
    let code = prop_oneof![Just(ReasonCode::UnspecifiedError), qos().prop_map(ReasonCode::granted)];
    (packet_id(), vec(code, 1..200)).prop_map(|(packet_id, codes)| SubAck::new(packet_id, codes))
}

fn unsubscribe() -> impl Strategy<Value = Unsubscribe> {
    (packet_id(), vec(filter(), 1..10)).prop_map(|(packet_id, filters)| Unsubscribe::new(packet_id, filters))
}

/// Every packet of 3.1.1 but PUBLISH, which borrows.
fn owned_packet_of_3() -> impl Strategy<Value = Packet<'static>> {
    let acknowledgement = || packet_id().prop_map(Acknowledgement::success);
    prop_oneof![
        connect().prop_map(Packet::Connect),
        connack().prop_map(Packet::ConnAck),
        acknowledgement().prop_map(Packet::PubAck),
        acknowledgement().prop_map(Packet::PubRec),
        acknowledgement().prop_map(Packet::PubRel),
        acknowledgement().prop_map(Packet::PubComp),
        subscribe().prop_map(Packet::Subscribe),
        suback().prop_map(Packet::SubAck),
        unsubscribe().prop_map(Packet::Unsubscribe),
        packet_id().prop_map(|packet_id| Packet::UnsubAck(UnsubAck::new(packet_id, Vec::new()))),
        Just(Packet::PingReq),
        Just(Packet::PingResp),
        Just(Packet::Disconnect(Disconnect::NORMAL)),
    ]
}

/// Every packet but PUBLISH, with its version.
fn owned_packet() -> impl Strategy<Value = (ProtocolVersion, Packet<'static>)> {
    prop_oneof![
        owned_packet_of_3().prop_map(|packet| (ProtocolVersion::V311, packet)),
        of_5::owned_packet_of_5().prop_map(|packet| (ProtocolVersion::V5, packet)),
    ]
}

fn encoded(packet: &Packet<'_>, version: ProtocolVersion) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(packet, version, &mut bytes);
    bytes
}

/// The packet comes back from its bytes whatever follows them, its frame is the same bytes, and every truncation is
/// incomplete and tells the length once it can.
fn check_round_trip(packet: &Packet<'_>, version: ProtocolVersion, following: &[u8]) -> Result<(), TestCaseError> {
    let mut bytes = encoded(packet, version);
    let length = bytes.len();
    check_frame(packet, version, &bytes)?;
    check_truncations(version, &bytes)?;
    bytes.extend_from_slice(following);
    let expected = Decoded::Packet { packet: packet.clone(), length };
    prop_assert_eq!(decode(&bytes, version, length), Ok(expected));
    let too_large = decode(&bytes, version, length - 1);
    prop_assert!(matches!(too_large, Err(DecodeError::TooLarge { .. })), "{:?}", too_large);
    Ok(())
}

fn check_frame(packet: &Packet<'_>, version: ProtocolVersion, bytes: &[u8]) -> Result<(), TestCaseError> {
    let frame = Frame::of(packet, version);
    let mut out = Vec::new();
    frame.append_to(&mut out);
    prop_assert_eq!(&out, bytes);
    prop_assert_eq!(frame.wire_len(), bytes.len());
    let mut own = Vec::new();
    let rest = frame.append_own_to(&mut own);
    prop_assert_eq!([&own[..], &rest[..]].concat(), bytes);
    Ok(())
}

fn check_truncations(version: ProtocolVersion, bytes: &[u8]) -> Result<(), TestCaseError> {
    let header_len = 1 + bytes.iter().skip(1).position(|byte| byte & 0x80 == 0).unwrap() + 1;
    for end in 0..bytes.len() {
        let length = (end >= header_len).then_some(bytes.len());
        let decoded = decode(&bytes[..end], version, BYTES_MAX);
        prop_assert_eq!(decoded, Ok(Decoded::Incomplete { length }), "cut at {}", end);
    }
    Ok(())
}

/// Reads a stream that comes in pieces of these lengths, and gives each packet encoded again.
fn read_in_pieces(version: ProtocolVersion, stream: &[u8], piece_lens: &[usize]) -> Vec<Vec<u8>> {
    let (mut packets, mut buffer, mut stream) = (Vec::new(), Vec::new(), stream);
    for piece_len in piece_lens.iter().cycle() {
        if stream.is_empty() {
            break;
        }
        let (piece, rest) = stream.split_at((*piece_len).min(stream.len()));
        buffer.extend_from_slice(piece);
        stream = rest;
        while let Decoded::Packet { packet, length } = decode(&buffer, version, BYTES_MAX).unwrap() {
            packets.push(encoded(&packet, version));
            buffer.drain(..length);
        }
    }
    assert!(buffer.is_empty(), "{} bytes are left over", buffer.len());
    packets
}

proptest! {
    #[test]
    fn every_packet_comes_back_from_its_bytes(
        (version, packet) in owned_packet(),
        following in vec(any::<u8>(), 0..4),
    ) {
        check_round_trip(&packet, version, &following)?;
    }

    #[test]
    fn every_publish_comes_back_from_its_bytes(
        (topic, payload, qos, packet_id) in (topic(), payload(), qos(), packet_id()),
        (dup, retain, has_no_topic) in any::<(bool, bool, bool)>(),
        (message_expiry_interval_s, topic_alias) in any::<(Option<u32>, Option<NonZeroU16>)>(),
        (message, subscription_ids) in (of_5::message_properties(), of_5::subscription_ids()),
        following in vec(any::<u8>(), 0..4),
    ) {
        let is_numbered = qos != QoS::AtMostOnce;
        let packet_id = is_numbered.then_some(packet_id);
        let (topic, payload) = (&*topic, &*payload);
        let publish = Publish { dup: dup && is_numbered, qos, retain, packet_id, ..Publish::new(topic, payload) };
        check_round_trip(&Packet::Publish(publish), ProtocolVersion::V311, &following)?;
        let version_5 = Publish {
            topic: if topic_alias.is_some() && has_no_topic { "" } else { topic },
            properties: PublishProperties {
                message_expiry_interval_s,
                topic_alias,
                subscription_ids: SubscriptionIds::new(&subscription_ids),
                message: message.as_ref(),
            },
            ..publish
        };
        check_round_trip(&Packet::Publish(version_5), ProtocolVersion::V5, &following)?;
    }

    #[test]
    fn a_stream_may_be_cut_anywhere(
        packets in prop_oneof![
            vec(owned_packet_of_3(), 1..8).prop_map(|packets| (ProtocolVersion::V311, packets)),
            vec(of_5::owned_packet_of_5(), 1..8).prop_map(|packets| (ProtocolVersion::V5, packets)),
        ],
        piece_lens in vec(1..50_usize, 1..8),
    ) {
        let (version, packets) = packets;
        let expected: Vec<_> = packets.iter().map(|packet| encoded(packet, version)).collect();
        prop_assert_eq!(read_in_pieces(version, &expected.concat(), &piece_lens), expected);
    }

    #[test]
    fn any_bytes_are_a_packet_or_incomplete_or_refused_with_a_clause(
        first in any::<u8>(),
        body in vec(prop_oneof![any::<u8>(), 0..4_u8], 0..60),
    ) {
        let remaining = u8::try_from(body.len()).unwrap();
        check_any_bytes(&[&[first, remaining][..], &body].concat())?;
        check_any_bytes(&body)?;
    }

    #[test]
    fn a_packet_with_a_byte_changed_is_a_packet_or_incomplete_or_refused_with_a_clause(
        (version, packet) in owned_packet(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = encoded(&packet, version);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        check_any_bytes(&bytes)?;
    }
}

/// What decodes is encoded and decoded to the same value; what does not says which rule it broke.
fn check_any_bytes(bytes: &[u8]) -> Result<(), TestCaseError> {
    for version in [ProtocolVersion::V31, ProtocolVersion::V311, ProtocolVersion::V5] {
        check_any_bytes_in(version, bytes)?;
    }
    Ok(())
}

fn check_any_bytes_in(version: ProtocolVersion, bytes: &[u8]) -> Result<(), TestCaseError> {
    match decode(bytes, version, BYTES_MAX) {
        Ok(Decoded::Incomplete { length }) => prop_assert!(length.is_none_or(|length| length > bytes.len())),
        Ok(Decoded::Packet { packet, length }) => {
            prop_assert!(length <= bytes.len());
            let again = encoded(&packet, version);
            let length = again.len();
            prop_assert_eq!(decode(&again, version, BYTES_MAX), Ok(Decoded::Packet { packet, length }));
        }
        Err(error) => {
            prop_assert!(error.to_string().ends_with(&format!(" [{}]", error.clause())), "{}", error);
            prop_assert!(error.reason().is_failure(), "{}", error);
        }
    }
    Ok(())
}
