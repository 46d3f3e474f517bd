//! What version 5's answers say to those who are refused something, and how long they may be.

use std::num::NonZeroU32;

use super::*;
use crate::mqtt::{PropertyFields, ReasonCode};

/// What one is allowed who reads and writes `mine` alone.
fn narrow() -> World {
    World { acl: Some(Acl::parse("user c\ntopic readwrite mine\n").unwrap()), ..World::new() }
}

/// CONNECT of version 5 with these properties.
fn hello_5(client_id: &str, fields: PropertyFields) -> Connect {
    let (properties, user_name) = (Properties::new(fields), Some(client_id.to_owned()));
    Connect { version: ProtocolVersion::V5, properties, user_name, ..hello(client_id) }
}

/// Every answer that can say no, byte by byte, to a client that came with these properties.
fn refusals(fields: PropertyFields) -> Vec<Vec<u8>> {
    let mut world = narrow();
    let client = world.connect(hello_5("c", fields));
    world.sent.clear();
    world.publish(client, "other", "x", 1, 1);
    world.publish(client, "other", "x", 2, 2);
    world.send(client, Packet::PubRel(ack(3)));
    world.send(client, Packet::PubRec(ack(4)));
    world.subscribe(client, "other", 0);
    world.send(client, unsubscribe("never"));
    world.sent.into_iter().map(|(_, bytes)| bytes).collect()
}

/// The properties of an answer.
fn properties(bytes: &[u8]) -> Properties {
    let Ok(Decoded::Packet { packet, .. }) = decode(bytes, ProtocolVersion::V5, usize::MAX) else {
        panic!("{bytes:?}")
    };
    match packet {
        Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubRel(ack) | Packet::PubComp(ack) => ack.properties,
        Packet::SubAck(ack) => ack.properties,
        Packet::UnsubAck(ack) => ack.properties,
        other => panic!("{other:?}"),
    }
}

/// The answers of [`refusals`] without a word too many.
const BARE: [&[u8]; 6] = [
    &[0x40, 0x03, 0x00, 0x01, 0x87],       // PUBACK, not authorized
    &[0x50, 0x03, 0x00, 0x02, 0x87],       // PUBREC, not authorized
    &[0x70, 0x03, 0x00, 0x03, 0x92],       // PUBCOMP, packet identifier not found
    &[0x62, 0x03, 0x00, 0x04, 0x92],       // PUBREL, packet identifier not found
    &[0x90, 0x04, 0x00, 0x05, 0x00, 0x87], // SUBACK without properties, not authorized
    &[0xb0, 0x04, 0x00, 0x06, 0x00, 0x11], // UNSUBACK without properties, no subscription existed
];

#[test]
fn answers_leave_their_words_out_where_the_client_takes_no_more() {
    // [MQTT-3.4.2-2], [MQTT-3.5.2-2], [MQTT-3.6.2-2], [MQTT-3.7.2-2], [MQTT-3.9.2-1], [MQTT-3.11.2-1]
    let fields = PropertyFields { maximum_packet_size: NonZeroU32::new(6), ..PropertyFields::default() };
    assert_eq!(refusals(fields), BARE);
    let said = |answer: &Vec<u8>| properties(answer).reason_string.is_some();
    let at_length = refusals(PropertyFields::default());
    assert_eq!(at_length.iter().map(said).collect::<Vec<_>>(), [true, true, false, false, true, false]);
}

#[test]
fn answers_have_no_words_for_a_client_that_wants_none() {
    // [MQTT-3.1.2-29]
    let fields = PropertyFields { request_problem_information: Some(false), ..PropertyFields::default() };
    assert_eq!(refusals(fields), BARE);
}

#[test]
fn answers_have_no_user_properties() {
    // [MQTT-3.4.2-3], [MQTT-3.5.2-3], [MQTT-3.6.2-3], [MQTT-3.7.2-3], [MQTT-3.9.2-2], [MQTT-3.11.2-2]
    let answers = refusals(PropertyFields::default());
    assert_eq!(answers.len(), BARE.len());
    for answer in answers {
        assert!(properties(&answer).user_properties.is_empty(), "{answer:02x?}");
    }
}

#[test]
fn the_identifier_of_a_refused_message_of_qos_2_is_free_at_once() {
    // [MQTT-4.3.3-9]
    let mut world = narrow();
    let client = world.connect(hello_5("c", PropertyFields::default()));
    world.subscribe(client, "mine", 0);
    world.take(client);
    world.publish(client, "other", "x", 2, 7);
    assert_eq!(world.take(client), ["pubrec 7 87"]);
    world.publish(client, "mine", "y", 2, 7);
    assert_eq!(world.take(client), ["mine=y q0", "pubrec 7"]);
}

#[test]
fn a_client_identifier_that_is_refused_is_told_so() {
    // [MQTT-3.1.3-8]
    let mut world = World::new();
    let stranger = world.connect(hello_5("sensegate/stranger", PropertyFields::default()));
    let answer = &world.sent[0].1;
    assert_eq!((answer[0], answer[2], answer[3]), (0x20, 0x00, 0x85), "{answer:02x?}");
    let reason = CloseReason::Refused(ReasonCode::ClientIdentifierNotValid);
    assert_eq!(world.reason(stranger), Some(&reason));
}
