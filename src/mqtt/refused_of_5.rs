//! What version 5 refuses: with the error, its clause and the reason code that the peer is told.

use super::*;

fn check(bytes: &[u8], error: &DecodeError, clause: &str, reason: ReasonCode) {
    let decoded = decode(bytes, ProtocolVersion::V5, 1000);
    assert_eq!(decoded.as_ref(), Err(error), "{bytes:02x?}");
    assert_eq!(error.clause_in(ProtocolVersion::V5), clause, "{error}");
    assert_eq!(error.reason(), reason, "{error}");
    assert!(error.to_string().ends_with(&format!(" [{}]", error.clause())), "{error}");
}

const GENERAL: &str = "MQTT-4.13.1-1";
const MALFORMED: ReasonCode = ReasonCode::MalformedPacket;
const PROTOCOL: ReasonCode = ReasonCode::ProtocolError;

/// A packet of this first byte whose body is these parts.
fn packet(first: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    [&[first, u8::try_from(body.len()).unwrap()][..], &body].concat()
}

/// These properties behind their length.
fn listed(properties: &[u8]) -> Vec<u8> {
    [&[u8::try_from(properties.len()).unwrap()][..], properties].concat()
}

/// CONNECT with these properties and nothing special else.
fn connect(properties: &[u8]) -> Vec<u8> {
    packet(0x10, &[b"\0\x04MQTT\x05\x02\0\x3c", &listed(properties), b"\0\x01i"])
}

fn connect_with_will(properties: &[u8]) -> Vec<u8> {
    packet(0x10, &[b"\0\x04MQTT\x05\x06\0\x3c\0\0\x01i", &listed(properties), b"\0\x01w\0\x01x"])
}

fn connack(properties: &[u8]) -> Vec<u8> {
    packet(0x20, &[&[0, 0], &listed(properties)])
}

fn publish(properties: &[u8]) -> Vec<u8> {
    packet(0x30, &[b"\0\x01t", &listed(properties), b"x"])
}

fn subscribe(properties: &[u8], filter_and_options: &[u8]) -> Vec<u8> {
    packet(0x82, &[&[0, 10], &listed(properties), filter_and_options])
}

/// Any value of a property's type that it may have, with its identifier before it.
fn some_property(id: PropertyId) -> Vec<u8> {
    let value: &[u8] = match id as u8 {
        0x02 | 0x11 | 0x18 | 0x27 => &[0, 0, 0, 1],
        0x13 | 0x21 | 0x22 | 0x23 => &[0, 1],
        0x03 | 0x08 | 0x09 | 0x12 | 0x15 | 0x16 | 0x1a | 0x1c | 0x1f => &[0, 1, b'a'],
        0x26 => &[0, 1, b'k', 0, 1, b'v'],
        _ => &[1],
    };
    [&[id as u8][..], value].concat()
}

/// Makes a packet around properties.
type Around = Box<dyn Fn(&[u8]) -> Vec<u8>>;

/// Every place with a packet around given properties.
fn places() -> Vec<(place::Place, Around)> {
    use packet_type::PacketType;
    use place::Place;
    let acknowledgement =
        |first| -> Around { Box::new(move |properties| packet(first, &[&[0, 1, 0], &listed(properties)])) };
    let reasoned = |first| -> Around { Box::new(move |properties| packet(first, &[&[0], &listed(properties)])) };
    let numbered = |first, rest: &'static [u8]| -> Around {
        Box::new(move |properties| packet(first, &[&[0, 1], &listed(properties), rest]))
    };
    vec![
        (Place::Of(PacketType::Connect), Box::new(connect)),
        (Place::Will, Box::new(connect_with_will)),
        (Place::Of(PacketType::ConnAck), Box::new(connack)),
        (Place::Of(PacketType::Publish), Box::new(publish)),
        (Place::Of(PacketType::PubAck), acknowledgement(0x40)),
        (Place::Of(PacketType::PubRec), acknowledgement(0x50)),
        (Place::Of(PacketType::PubRel), acknowledgement(0x62)),
        (Place::Of(PacketType::PubComp), acknowledgement(0x70)),
        (Place::Of(PacketType::Subscribe), numbered(0x82, b"\0\x01f\0")),
        (Place::Of(PacketType::SubAck), numbered(0x90, &[0])),
        (Place::Of(PacketType::Unsubscribe), numbered(0xa2, b"\0\x01f")),
        (Place::Of(PacketType::UnsubAck), numbered(0xb0, &[0])),
        (Place::Of(PacketType::Disconnect), reasoned(0xe0)),
        (Place::Of(PacketType::Auth), reasoned(0xf0)),
    ]
}

#[test]
fn each_property_stands_where_the_table_lets_it_and_as_often() {
    for (place, make) in places() {
        let name = place.packet().name();
        for property in PropertyId::ALL.iter().copied() {
            let once = some_property(property);
            if !property.may_stand_in(place) {
                let error = DecodeError::MisplacedProperty { packet: name, property };
                check(&make(&once), &error, GENERAL, MALFORMED);
                continue;
            }
            // the data needs its method beside it
            let with = if property == PropertyId::AuthenticationData { &b"\x15\0\x01m"[..] } else { &[] };
            let decoded = decode(&make(&[with, &once].concat()), ProtocolVersion::V5, 1000).map(|_| ());
            assert_eq!(decoded, Ok(()), "{place:?} {property}");
            let twice = make(&[with, &once, &once].concat());
            if property.may_repeat_in(place) {
                assert!(decode(&twice, ProtocolVersion::V5, 1000).is_ok(), "{place:?} {property}");
            } else {
                let error = DecodeError::RepeatedProperty { packet: name, property };
                check(&twice, &error, GENERAL, PROTOCOL);
            }
        }
    }
}

#[test]
fn an_unknown_property_is_refused() {
    for id in [0x00, 0x04, 0x0a, 0x10, 0x2b, 0x7f] {
        let error = DecodeError::UnknownProperty { packet: "PUBLISH", id };
        check(&publish(&[u8::try_from(id).unwrap(), 0, 0, 0, 0]), &error, GENERAL, MALFORMED);
    }
}

#[test]
fn values_that_a_property_cannot_have_are_refused() {
    let value = |property, value| DecodeError::PropertyValue { property, value };
    check(&connect(&[0x21, 0, 0]), &value(PropertyId::ReceiveMaximum, 0), GENERAL, PROTOCOL);
    check(&connect(&[0x27, 0, 0, 0, 0]), &value(PropertyId::MaximumPacketSize, 0), GENERAL, PROTOCOL);
    check(&connect(&[0x17, 2]), &value(PropertyId::RequestProblemInformation, 2), GENERAL, PROTOCOL);
    check(&connect(&[0x19, 0xff]), &value(PropertyId::RequestResponseInformation, 255), GENERAL, PROTOCOL);
    check(&connect_with_will(&[0x01, 2]), &value(PropertyId::PayloadFormatIndicator, 2), GENERAL, PROTOCOL);
    check(&publish(&[0x01, 2]), &value(PropertyId::PayloadFormatIndicator, 2), GENERAL, PROTOCOL);
    let alias = value(PropertyId::TopicAlias, 0);
    check(&publish(&[0x23, 0, 0]), &alias, "MQTT-3.3.2-8", ReasonCode::TopicAliasInvalid);
    check(&publish(&[0x0b, 0]), &value(PropertyId::SubscriptionIdentifier, 0), GENERAL, PROTOCOL);
    let subscribe = subscribe(&[0x0b, 0], b"\0\x01f\0");
    check(&subscribe, &value(PropertyId::SubscriptionIdentifier, 0), GENERAL, PROTOCOL);
    for id in [
        PropertyId::MaximumQoS,
        PropertyId::RetainAvailable,
        PropertyId::WildcardSubscriptionAvailable,
        PropertyId::SubscriptionIdentifierAvailable,
        PropertyId::SharedSubscriptionAvailable,
    ] {
        check(&connack(&[id as u8, 2]), &value(id, 2), GENERAL, PROTOCOL);
    }
}

#[test]
fn a_response_topic_is_a_topic_name() {
    let topic = |error| DecodeError::Topic { field: "Response Topic", error };
    let wildcard = topic(TopicError::WildcardInName('#'));
    check(&publish(&[0x08, 0, 1, b'#']), &wildcard, "MQTT-3.3.2-14", PROTOCOL);
    check(&connect_with_will(&[0x08, 0, 1, b'#']), &wildcard, "MQTT-3.3.2-14", PROTOCOL);
    check(&publish(&[0x08, 0, 0]), &topic(TopicError::Empty), "MQTT-4.7.3-1", PROTOCOL);
}

#[test]
fn texts_of_properties_are_utf_8_without_nul() {
    let utf8 = |field| DecodeError::Utf8 { field, at: 0 };
    check(&publish(&[0x03, 0, 1, 0xff]), &utf8("Content Type"), "MQTT-1.5.4-1", MALFORMED);
    check(&connect(&[0x26, 0, 1, b'k', 0, 1, 0xff]), &utf8("User Property"), "MQTT-1.5.4-1", MALFORMED);
    check(&connect(&[0x26, 0, 1, 0xff, 0, 1, b'v']), &utf8("User Property"), "MQTT-1.5.4-1", MALFORMED);
    let nul = DecodeError::Nul { field: "Reason String" };
    check(&connack(&[0x1f, 0, 1, 0]), &nul, "MQTT-1.5.4-2", MALFORMED);
}

#[test]
fn properties_that_end_too_early_are_refused() {
    let error = |packet, field, left, needed| DecodeError::TooShort { packet, field, left, needed };
    let short = [0x30, 0x05, 0x00, 0x01, b't', 0x05, 0x01];
    check(&short, &error("PUBLISH", "properties", 1, 5), GENERAL, MALFORMED);
    check(&publish(&[0x02, 0, 0]), &error("PUBLISH", "Message Expiry Interval", 2, 4), GENERAL, MALFORMED);
    check(&publish(&[0x01]), &error("PUBLISH", "Payload Format Indicator", 0, 1), GENERAL, MALFORMED);
    let none = [0x30, 0x03, 0x00, 0x01, b't'];
    check(&none, &error("PUBLISH", "property length", 0, 1), GENERAL, MALFORMED);
    let none = [0x82, 0x02, 0x00, 0x0a];
    check(&none, &error("SUBSCRIBE", "property length", 0, 1), GENERAL, MALFORMED);
}

#[test]
fn variable_byte_integers_have_four_bytes_at_most_and_no_more_than_they_need() {
    let clause = "MQTT-1.5.5-1";
    let minimal = |field| DecodeError::NotMinimal { field };
    let long_list = [0x30, 0x06, 0x00, 0x01, b't', 0x80, 0x00, b'x'];
    check(&long_list, &minimal("property length"), clause, MALFORMED);
    check(&publish(&[0x81, 0x00, 0x01]), &minimal("property identifier"), clause, MALFORMED);
    check(&publish(&[0x0b, 0x81, 0x00]), &minimal("Subscription Identifier"), clause, MALFORMED);
    check(&[0xc0, 0x80, 0x00], &minimal("remaining length"), clause, MALFORMED);
    check(
        &[0x10, 0x8d, 0x00, 0, 4, b'M', b'Q', b'T', b'T', 5, 0, 0, 60, 0, 0, 0],
        &minimal("remaining length"),
        clause,
        MALFORMED,
    );
    let endless = [0x30, 0x07, 0x00, 0x01, b't', 0x80, 0x80, 0x80, 0x80];
    check(&endless, &DecodeError::VariableByteInteger { field: "property length" }, GENERAL, MALFORMED);
    let endless = [0x30, 0x80, 0x80, 0x80, 0x80];
    check(&endless, &DecodeError::RemainingLength(0x80), GENERAL, MALFORMED);
}

#[test]
fn authentication_data_needs_a_method() {
    let error = DecodeError::AuthenticationDataWithoutMethod { packet: "CONNECT" };
    check(&connect(&[0x16, 0, 1, 7]), &error, GENERAL, PROTOCOL);
}

#[test]
fn a_packet_carries_its_own_reason_codes_only() {
    for (first, before, name, clause) in [
        (0x20, &[0x00][..], "CONNACK", "MQTT-3.2.2-8"),
        (0x40, &[0, 1], "PUBACK", "MQTT-3.4.2-1"),
        (0x50, &[0, 1], "PUBREC", "MQTT-3.5.2-1"),
        (0x62, &[0, 1], "PUBREL", "MQTT-3.6.2-1"),
        (0x70, &[0, 1], "PUBCOMP", "MQTT-3.7.2-1"),
        (0x90, &[0, 1, 0], "SUBACK", "MQTT-3.9.3-2"),
        (0xb0, &[0, 1, 0], "UNSUBACK", "MQTT-3.11.3-2"),
        (0xe0, &[], "DISCONNECT", "MQTT-3.14.2-1"),
        (0xf0, &[], "AUTH", "MQTT-3.15.2-1"),
    ] {
        // unknown, and one of another packet
        for code in [0x03, 0xff, if first == 0x62 { 0x97 } else { 0x92 }] {
            if first == 0x70 && code == 0x92 {
                continue;
            }
            let error = DecodeError::ReasonCode { packet: name, code };
            check(&packet(first, &[before, &[code]]), &error, clause, PROTOCOL);
        }
    }
}

#[test]
fn what_a_subscription_cannot_ask_for_is_refused() {
    let options = |options| subscribe(&[], &[0, 1, b'f', options]);
    for reserved in [0b0100_0000, 0b1000_0000] {
        check(&options(reserved), &DecodeError::SubscriptionOptions(reserved), "MQTT-3.8.3-5", MALFORMED);
    }
    check(&options(0b0011), &DecodeError::RequestedQoS(0b0011), GENERAL, PROTOCOL);
    check(&options(0b0011_0000), &DecodeError::RetainHandling(0b0011_0000), GENERAL, PROTOCOL);
    let shared = subscribe(&[], b"\0\x0a$share/s/f\x04");
    check(&shared, &DecodeError::NoLocalOnShared, "MQTT-3.8.3-4", PROTOCOL);
    check(&subscribe(&[], &[]), &DecodeError::NoSubscription, "MQTT-3.8.3-2", PROTOCOL);
    check(&packet(0xa2, &[&[0, 1, 0]]), &DecodeError::NoFilter, "MQTT-3.10.3-2", PROTOCOL);
}

#[test]
fn filters_that_are_none_are_refused() {
    let topic = |error| DecodeError::Topic { field: "topic filter", error };
    let invalid = ReasonCode::TopicFilterInvalid;
    for (filter, error, clause, reason) in [
        (&b"a#"[..], TopicError::MultiLevelWildcard, "MQTT-4.7.1-1", invalid),
        (b"a+", TopicError::SingleLevelWildcard, "MQTT-4.7.1-2", invalid),
        (b"$share//f", TopicError::NoShareName, "MQTT-4.8.2-1", invalid),
        (b"$share/+/f", TopicError::NoShareName, "MQTT-4.8.2-1", invalid),
        (b"$share/s", TopicError::NoSharedFilter, "MQTT-4.8.2-2", invalid),
        (b"", TopicError::Empty, "MQTT-4.7.3-1", PROTOCOL),
        (b"a\0", TopicError::Nul, "MQTT-4.7.3-2", MALFORMED),
    ] {
        let field = [&[0, u8::try_from(filter.len()).unwrap()][..], filter].concat();
        check(&subscribe(&[], &[&field[..], &[0]].concat()), &topic(error), clause, reason);
        check(&packet(0xa2, &[&[0, 1, 0], &field]), &topic(error), clause, reason);
    }
}

#[test]
fn a_topic_name_that_is_none_is_refused() {
    let topic = |error| DecodeError::Topic { field: "topic name", error };
    check(&packet(0x30, &[b"\0\0\0x"]), &topic(TopicError::Empty), "MQTT-4.7.3-1", PROTOCOL);
    let wildcard = topic(TopicError::WildcardInName('+'));
    check(&packet(0x30, &[b"\0\x01+\0x"]), &wildcard, "MQTT-3.3.2-2", ReasonCode::TopicNameInvalid);
}

#[test]
fn what_both_versions_refuse_has_the_numbers_of_version_5() {
    let flags = DecodeError::FixedHeaderFlags { packet: "PUBREL", found: 0, expected: 2 };
    check(&[0x60, 0x02, 0x00, 0x01], &flags, "MQTT-2.1.3-1", MALFORMED);
    let flags = DecodeError::FixedHeaderFlags { packet: "AUTH", found: 1, expected: 0 };
    check(&[0xf1, 0x00], &flags, "MQTT-2.1.3-1", MALFORMED);
    check(&[0x00, 0x00], &DecodeError::PacketType(0), GENERAL, MALFORMED);
    let large = DecodeError::TooLarge { packet: "PUBLISH", length: 1003, max: 1000 };
    check(&[0x30, 0xe8, 0x07], &large, GENERAL, ReasonCode::PacketTooLarge);
    let zero = DecodeError::PacketIdZero { packet: "PUBLISH" };
    check(&packet(0x32, &[b"\0\x01t\0\0\0"]), &zero, "MQTT-2.2.1-3", PROTOCOL);
    check(&packet(0x20, &[&[2, 0, 0]]), &DecodeError::ConnAckFlags(2), "MQTT-3.2.2-1", MALFORMED);
    let refused = DecodeError::SessionPresentWithRefusal(ReasonCode::NotAuthorized);
    check(&packet(0x20, &[&[1, 0x87, 0]]), &refused, "MQTT-3.2.2-6", PROTOCOL);
    check(
        &packet(0x10, &[b"\0\x04MQTT\x06"]),
        &DecodeError::UnsupportedProtocolLevel(6),
        "MQTT-3.1.2-2",
        ReasonCode::UnsupportedProtocolVersion,
    );
    let reserved = packet(0x10, &[b"\0\x04MQTT\x05\x03\0\x3c\0\0\x01i"]);
    check(&reserved, &DecodeError::ConnectReservedFlag(3), "MQTT-3.1.2-3", MALFORMED);
    let trailing = DecodeError::TrailingBytes { packet: "PUBACK", count: 1 };
    check(&[0x40, 0x05, 0, 1, 0, 0, 7], &trailing, GENERAL, MALFORMED);
    let body = DecodeError::BodyLength { packet: "PINGREQ", found: 1, expected: 0 };
    check(&[0xc0, 0x01, 0x00], &body, GENERAL, MALFORMED);
    check(&packet(0xb0, &[&[0, 1, 0]]), &DecodeError::NoReasonCode, "MQTT-3.11.3-1", PROTOCOL);
}

#[test]
fn a_reason_of_auth_does_not_stand_without_the_length_of_its_properties() {
    // reason and properties are left out together or not at all (section 3.15.2.1), unlike a DISCONNECT's
    for code in [0x00, 0x18, 0x19] {
        let error = DecodeError::TooShort { packet: "AUTH", field: "property length", left: 0, needed: 1 };
        check(&packet(0xf0, &[&[code]]), &error, GENERAL, MALFORMED);
    }
    let auth = Packet::Auth(Auth { reason: ReasonCode::Success, properties: Properties::NONE });
    for (bytes, length) in [(&[0xf0, 0x00][..], 2), (&[0xf0, 0x02, 0x00, 0x00], 4)] {
        let decoded = decode(bytes, ProtocolVersion::V5, 1000);
        assert_eq!(decoded, Ok(Decoded::Packet { packet: auth.clone(), length }));
    }
}

#[test]
fn auth_is_no_packet_of_3_1_1() {
    let decoded = decode(&[0xf0, 0x00], ProtocolVersion::V311, 1000);
    assert_eq!(decoded, Err(DecodeError::PacketType(15)));
}

/// CONNECT with these flags, without properties.
fn connect_of(flags: u8, payload: &[u8]) -> Vec<u8> {
    packet(0x10, &[b"\0\x04MQTT\x05", &[flags], b"\0\x3c\0", payload])
}

#[test]
fn flags_of_a_connect_that_contradict_each_other_are_refused() {
    for (flags, error, clause) in [
        (0b0000_1010, DecodeError::WillQoSWithoutWill(1), "MQTT-3.1.2-11"),
        (0b0001_1110, DecodeError::WillQoS(3), "MQTT-3.1.2-12"),
        (0b0010_0010, DecodeError::WillRetainWithoutWill(0b0010_0010), "MQTT-3.1.2-13"),
    ] {
        check(&connect_of(flags, b"\0\x01i"), &error, clause, MALFORMED);
    }
}

#[test]
fn a_connect_has_the_fields_that_its_flags_announce_and_no_other() {
    let short = |field, needed| DecodeError::TooShort { packet: "CONNECT", field, left: 0, needed };
    for (flags, payload, error) in [
        (0b0000_0010, &b""[..], short("client identifier", 2)),
        (0b0000_0110, b"\0\x01i", short("property length", 1)),
        (0b0000_0110, b"\0\x01i\0", short("will topic", 2)),
        (0b0000_0110, b"\0\x01i\0\0\x01w", short("will message", 2)),
        (0b1000_0010, b"\0\x01i", short("user name", 2)),
        (0b0100_0010, b"\0\x01i", short("password", 2)),
        (0b0000_0010, b"\0\x01i\0\x01u", DecodeError::TrailingBytes { packet: "CONNECT", count: 3 }),
    ] {
        check(&connect_of(flags, payload), &error, GENERAL, MALFORMED);
    }
}

#[test]
fn every_name_and_filter_is_utf_8() {
    for (field, bytes) in [
        ("client identifier", connect_of(0x02, b"\0\x01\xff")),
        ("will topic", connect_of(0x06, b"\0\x01i\0\0\x01\xff\0\0")),
        ("user name", connect_of(0x82, b"\0\x01i\0\x01\xff")),
        ("topic name", packet(0x30, &[b"\0\x01\xff\0x"])),
        ("Response Topic", publish(&[0x08, 0, 1, 0xff])),
        ("topic filter", subscribe(&[], b"\0\x01\xff\0")),
        ("topic filter", packet(0xa2, &[b"\0\x01\0\0\x01\xff"])),
    ] {
        check(&bytes, &DecodeError::Utf8 { field, at: 0 }, "MQTT-1.5.4-1", MALFORMED);
    }
}

#[test]
fn a_publish_of_qos_3_or_of_qos_0_with_dup_is_refused() {
    check(&[0x36, 0x00], &DecodeError::PublishQoS3, "MQTT-3.3.1-4", MALFORMED);
    check(&[0x38, 0x00], &DecodeError::DupWithQoS0, "MQTT-3.3.1-2", MALFORMED);
}
