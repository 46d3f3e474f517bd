//! PUBLISH: what is read where it stands, and what is forwarded.

use super::*;

#[test]
fn publish_without_properties_has_an_empty_list() {
    let bytes = [
        0x32, 0x09, // PUBLISH of QoS 1, remaining length
        0x00, 0x03, b'a', b'/', b'b', // topic name
        0x00, 0x07, // packet identifier
        0x00, // no properties
        b'x', // payload
    ];
    let publish = Publish { qos: QoS::AtLeastOnce, packet_id: Some(id(7)), ..Publish::new("a/b", b"x") };
    check(&bytes, &Packet::Publish(publish));
}

#[test]
fn publish_with_an_alias_in_place_of_its_topic() {
    // PUBLISH, remaining length, empty topic name, properties of 3 bytes: topic alias 2; payload
    let bytes = [0x30, 0x07, 0x00, 0x00, 0x03, 0x23, 0x00, 0x02, b'x'];
    let properties = PublishProperties { topic_alias: NonZeroU16::new(2), ..PublishProperties::NONE };
    check(&bytes, &Packet::Publish(Publish { properties, ..Publish::new("", b"x") }));
}

/// What a publisher sends, with the properties of the server between those that are passed on.
const MIXED: [u8; 44] = [
    0x30, 0x2a, // PUBLISH, remaining length
    0x00, 0x01, b't', // topic name
    0x25, // properties of 37 bytes
    0x26, 0x00, 0x01, b'k', 0x00, 0x01, b'2', // user property k=2
    0x02, 0x00, 0x00, 0x00, 0x0a, // message expiry interval 10 s
    0x26, 0x00, 0x01, b'k', 0x00, 0x01, b'1', // user property k=1
    0x23, 0x00, 0x01, // topic alias 1
    0x03, 0x00, 0x01, b'c', // content type
    0x0b, 0x80, 0x01, // subscription identifier 128
    0x09, 0x00, 0x01, 0xff, // correlation data
    0x01, 0x00, // the payload is of any bytes
    0x0b, 0x05, // subscription identifier 5
    b'x', // payload
];

fn mixed() -> Publish<'static> {
    match decode(&MIXED, ProtocolVersion::V5, usize::MAX) {
        Ok(Decoded::Packet { packet: Packet::Publish(publish), length: 44 }) => publish,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_properties_of_a_publish_are_read_where_they_stand() {
    let properties = mixed().properties;
    assert_eq!(properties.message_expiry_interval_s, Some(10));
    assert_eq!(properties.topic_alias, NonZeroU16::new(1));
    assert_eq!(properties.subscription_ids.iter().map(SubscriptionId::get).collect::<Vec<_>>(), [128, 5]);
    assert_eq!(properties.message.user_properties().collect::<Vec<_>>(), [("k", "2"), ("k", "1")]);
    assert_eq!(properties.message.content_type(), Some("c"));
    assert_eq!(properties.message.correlation_data(), Some(&[0xff][..]));
    assert_eq!(properties.message.response_topic(), None);
    assert!(!properties.message.payload_is_utf8());
}

#[test]
fn what_is_passed_on_is_forwarded_byte_for_byte_and_the_rest_is_made_anew() {
    let passed_on = [
        0x26, 0x00, 0x01, b'k', 0x00, 0x01, b'2', // user property k=2
        0x26, 0x00, 0x01, b'k', 0x00, 0x01, b'1', // user property k=1
        0x03, 0x00, 0x01, b'c', // content type
        0x09, 0x00, 0x01, 0xff, // correlation data
        0x01, 0x00, // the payload is of any bytes
    ];
    let came = mixed();
    let kept = came.properties.message.to_owned();
    assert_eq!(kept.as_bytes(), &passed_on[..]);
    let ids = [SubscriptionId::new(1).unwrap()];
    for message in [came.properties.message, kept.as_ref()] {
        let properties = PublishProperties {
            message_expiry_interval_s: Some(7),
            topic_alias: None,
            subscription_ids: SubscriptionIds::new(&ids),
            message,
        };
        let publish = Publish { qos: QoS::AtLeastOnce, retain: true, properties, ..came };
        let template = PublishTemplate::of(&publish, ProtocolVersion::V5);
        let mut out = Vec::new();
        template.frame(Some(id(0x1234)), true).append_to(&mut out);
        let head = [
            0x3b, 0x26, // PUBLISH, DUP, QoS 1, retain; remaining length
            0x00, 0x01, b't', // topic name
            0x12, 0x34, // packet identifier
            0x1f, // properties of 31 bytes
            0x02, 0x00, 0x00, 0x00, 0x07, // message expiry interval 7 s
            0x0b, 0x01, // subscription identifier 1
        ];
        assert_eq!(out, [&head[..], &passed_on, b"x"].concat());
        assert_eq!(template.wire_len(), out.len());
    }
}

#[test]
fn properties_are_left_out_for_a_receiver_of_3_1_1() {
    let template = PublishTemplate::of(&mixed(), ProtocolVersion::V311);
    let mut out = Vec::new();
    template.frame(None, false).append_to(&mut out);
    assert_eq!(out, [0x30, 0x04, 0x00, 0x01, b't', b'x']);
}

#[test]
fn a_byte_order_mark_is_a_character_of_its_topic() {
    // PUBLISH, remaining length, topic name U+FEFF and x, no properties
    let bytes = [0x30, 0x07, 0x00, 0x04, 0xef, 0xbb, 0xbf, b'x', 0x00];
    check(&bytes, &Packet::Publish(Publish::new("\u{feff}x", b"")));
}
