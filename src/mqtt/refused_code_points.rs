//! Strings with disallowed code points, as [`decode_from_client`](super::decode_from_client) judges them.

use super::message::{MessageFields, MessageProperties};
use super::*;

/// What is wrong with `packet` for a server; a client accepts each of them.
fn refusal(packet: &Packet<'_>, version: ProtocolVersion) -> Option<DecodeError> {
    let mut bytes = Vec::new();
    encode(packet, version, &mut bytes);
    let accepted = Decoded::Packet { packet: packet.clone(), length: bytes.len() };
    assert_eq!(decode(&bytes, version, usize::MAX), Ok(accepted.clone()), "{bytes:02x?}");
    match decode_from_client(&bytes, version, usize::MAX) {
        Ok(decoded) => {
            assert_eq!(decoded, accepted);
            None
        }
        Err(error) => Some(error),
    }
}

fn check_refused(packet: &Packet<'_>, field: &'static str, character: char) {
    let expected = DecodeError::DisallowedCodePoint { field, character: character.into() };
    for version in [ProtocolVersion::V311, ProtocolVersion::V5] {
        assert_eq!(refusal(&with_version(packet, version), version), Some(expected.clone()), "{packet:?}");
    }
    assert_eq!(expected.reason(), ReasonCode::MalformedPacket);
    assert!(expected.to_string().contains(&format!("U+{:04X}", u32::from(character))), "{expected}");
    assert_eq!(expected.clause_in(ProtocolVersion::V5), "section 1.5.4");
}

fn check_accepted(packet: &Packet<'_>) {
    for version in [ProtocolVersion::V311, ProtocolVersion::V5] {
        assert_eq!(refusal(&with_version(packet, version), version), None, "{packet:?}");
    }
}

fn with_version<'a>(packet: &Packet<'a>, version: ProtocolVersion) -> Packet<'a> {
    match packet.clone() {
        Packet::Connect(connect) => Packet::Connect(Connect { version, ..connect }),
        other => other,
    }
}

fn connect() -> Connect {
    Connect {
        version: ProtocolVersion::V311,
        clean_session: true,
        keep_alive_s: 0,
        properties: Properties::NONE,
        client_id: ClientId::new("c"),
        will: None,
        user_name: None,
        password: None,
    }
}

#[test]
fn control_characters_and_non_characters_are_refused_in_topics_filters_and_user_names() {
    for character in ['\u{1}', '\t', '\u{7f}', '\u{9f}', '\u{fdd0}', '\u{ffff}', '\u{1fffe}'] {
        let text = format!("a{character}/é");
        check_refused(&Packet::Publish(Publish::new(&text, b"x")), "topic name", character);
        let filter = TopicFilter::new(&text).unwrap();
        let subscriptions = vec![Subscription::new(filter, QoS::AtMostOnce)];
        let subscribe = Subscribe::new(PacketId::new(1).unwrap(), subscriptions);
        check_refused(&Packet::Subscribe(subscribe), "topic filter", character);
        let will = Some(Will::new(TopicName::new(&text).unwrap(), bytes::Bytes::new()));
        check_refused(&Packet::Connect(Connect { will, ..connect() }), "will topic", character);
        let user_name = Some(text);
        check_refused(&Packet::Connect(Connect { user_name, ..connect() }), "user name", character);
    }
}

#[test]
fn strings_of_properties_are_checked_too_and_binary_data_is_not() {
    let publish = |fields: &MessageFields<'_>| {
        let properties = MessageProperties::new(fields);
        let properties = PublishProperties { message: properties.as_ref(), ..PublishProperties::NONE };
        refusal(&Packet::Publish(Publish { properties, ..Publish::new("a", b"\x01") }), ProtocolVersion::V5)
    };
    let none = MessageFields::default();
    for (fields, expected) in [
        (MessageFields { user_properties: &[("a", "b\n")], ..none }, Some('\n')),
        (MessageFields { user_properties: &[("a\u{2}", "b")], ..none }, Some('\u{2}')),
        (MessageFields { content_type: Some("\r"), ..none }, Some('\r')),
        (MessageFields { response_topic: Some("a\u{3}"), ..none }, Some('\u{3}')),
        (MessageFields { correlation_data: Some(b"\x01\x02"), ..none }, None),
    ] {
        let found = publish(&fields).map(|error| match error {
            DecodeError::DisallowedCodePoint { character, .. } => char::from_u32(character).unwrap(),
            other => panic!("{other}"),
        });
        assert_eq!(found, expected, "{fields:?}");
        assert_eq!(MessageProperties::new(&fields).as_ref().disallowed_code_point(), expected);
    }
}

#[test]
fn what_was_stored_before_can_be_removed() {
    let clearing = Publish { retain: true, ..Publish::new("a\u{1}", b"") };
    check_accepted(&Packet::Publish(clearing));
    check_accepted(&Packet::Publish(Publish { qos: QoS::AtLeastOnce, packet_id: PacketId::new(1), ..clearing }));
    check_refused(&Packet::Publish(Publish { retain: false, ..clearing }), "topic name", '\u{1}');
    check_refused(&Packet::Publish(Publish { payload: b"x", ..clearing }), "topic name", '\u{1}');
    let filters = vec![TopicFilter::new("a\u{1}").unwrap()];
    check_accepted(&Packet::Unsubscribe(Unsubscribe::new(PacketId::new(1).unwrap(), filters)));
    // the server knows whether it has a session of this name
    check_accepted(&Packet::Connect(Connect { client_id: ClientId::new("c\u{1}"), ..connect() }));
}

#[test]
fn topic_of_a_clearing_message_gets_no_alias_that_others_could_publish_to() {
    let topic_alias = std::num::NonZeroU16::new(1);
    let properties = PublishProperties { topic_alias, ..PublishProperties::NONE };
    let publish = Publish { retain: true, properties, ..Publish::new("a\u{1}", b"") };
    let expected = DecodeError::DisallowedCodePoint { field: "topic name", character: 1 };
    assert_eq!(refusal(&Packet::Publish(publish), ProtocolVersion::V5), Some(expected));
}

#[test]
fn all_other_text_is_accepted() {
    for text in ["a b/~", "été/温度/🌡", "\u{feff}\u{a0}\u{fffd}"] {
        check_accepted(&Packet::Publish(Publish::new(text, b"\0")));
    }
}
