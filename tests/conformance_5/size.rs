//! The maximum packet size both ways, §3.1.2.11.4 and §3.2.2.3.6.

use crate::client::Client;
use crate::packets::{Connect, MAXIMUM_PACKET_SIZE, Publish, four, user};
use crate::support::Gateway;

/// A CONNECT of a client that takes packets of 100 bytes.
fn small(id: &str) -> Connect {
    Connect::new(id).expiry(100).property(four(MAXIMUM_PACKET_SIZE, 100))
}

/// The length of the shortest packet that is too large. mosquitto 2.0.11 does not count the first byte.
fn too_large(gateway: &Gateway) -> usize {
    if gateway.is_stand_in() { 102 } else { 101 }
}

/// A packet of QoS 1 or 2 that is `length` bytes long when it is delivered.
fn of_length(length: usize, qos: u8) -> Publish {
    // First byte, remaining length (below 128), topic `t` with its length, id, no property.
    let around = 1 + 1 + 3 + if qos == 0 { 0 } else { 2 } + 1;
    Publish::new("t", "x".repeat(length - around)).qos(qos, 9)
}

/// [MQTT-3.1.2-24], [MQTT-3.1.2-25]
#[test]
fn messages_larger_than_the_client_takes_are_not_sent_and_hold_up_nothing() {
    let gateway = Gateway::start("");
    // mosquitto 2.0.11 counts a message that it did not send as in flight for ever.
    let room = if gateway.is_stand_in() { 10 } else { 1 };
    let mut client = Client::with(&gateway, &small("small").property(crate::packets::two(0x21, room)));
    client.subscribe("t", 2);
    let mut other = Client::connect(&gateway, "other");
    other.subscribe("t", 2);
    let mut publisher = Client::connect(&gateway, "publisher");
    for qos in 0..=2 {
        for length in [too_large(&gateway), 100] {
            publisher.publish(&of_length(length, qos));
            assert_eq!(other.expect_finished().qos, qos, "others get it");
        }
        let message = client.expect_finished();
        assert_eq!(message.payload.len(), if qos == 0 { 94 } else { 92 });
    }
    client.expect_nothing_more();
}

/// [MQTT-3.1.2-24]: properties count.
#[test]
fn properties_count_for_the_size() {
    let gateway = Gateway::start("");
    let mut client = Client::with(&gateway, &small("small"));
    client.subscribe("t", 0);
    client.send(&Publish::new("t", "x").property(user("name", &"x".repeat(90))).bytes());
    client.send(&Publish::new("t", "fits").property(user("name", "x")).bytes());
    assert_eq!(client.expect_message().text(), "fits");
}

/// [MQTT-3.1.2-25]: also what was queued, and what was retained.
#[test]
fn queued_and_retained_messages_that_are_too_large_are_passed_over() {
    let gateway = Gateway::start("");
    let mut client = Client::with(&gateway, &small("small"));
    client.subscribe("t", 2);
    client.leave();
    let mut publisher = Client::connect(&gateway, "publisher");
    for length in [too_large(&gateway), 100, 120, 99] {
        publisher.publish(&of_length(length, 1));
        publisher.publish(&of_length(length, 2));
    }
    publisher.publish(&Publish::new("kept/1", "x".repeat(100)).qos(1, 1).retain());
    publisher.publish(&Publish::new("kept/2", "x").qos(1, 1).retain());
    let mut client = Client::with(&gateway, &small("small").resume());
    assert!(client.is_present());
    let lengths: Vec<_> = (0..4).map(|_| client.expect_finished().payload.len()).collect();
    assert_eq!(lengths, [92, 92, 91, 91]);
    client.subscribe("kept/#", 1);
    assert_eq!(client.expect_finished().topic, "kept/2");
    client.expect_nothing_more();
}

/// [MQTT-3.1.2-25]: counted as delivered, so it does not come later.
#[test]
fn what_was_too_large_does_not_come_on_a_later_connection() {
    let gateway = Gateway::start("");
    let mut client = Client::with(&gateway, &small("small"));
    client.subscribe("t", 2);
    client.say("t", &"x".repeat(200));
    client.publish(&Publish::new("t", "x".repeat(200)).qos(2, 5));
    client.expect_nothing_more();
    client.cut();
    let mut client = Client::resume(&gateway, "small");
    assert!(client.is_present());
    client.expect_nothing_more();
}

/// §3.2.2.3.6, §4.13: beyond the server's own maximum is 0x95.
#[test]
fn a_packet_larger_than_the_gateway_takes_ends_the_connection() {
    let gateway = Gateway::start_either("[broker.limits]\npacket_size = \"1 KiB\"\n", "max_packet_size 1024");
    let mut client = Client::connect(&gateway, "large");
    assert_eq!(client.connack.properties.number(MAXIMUM_PACKET_SIZE), Some(1024));
    client.subscribe("t", 0);
    // Two bytes of remaining length, and otherwise as in `of_length`.
    client.send(&Publish::new("t", "x".repeat(1024 - 7)).bytes());
    assert_eq!(client.expect_message().payload.len(), 1024 - 7);
    // mosquitto 2.0.11 does not count the first byte and the length here.
    let beyond = if gateway.is_stand_in() { 1024 } else { 1024 - 6 };
    client.send(&Publish::new("t", "x".repeat(beyond)).bytes());
    client.expect_ended("too large", &[0x95]);
}

/// §3.2.2.3.6: the length alone is enough, its bytes are not waited for.
#[test]
fn an_announced_length_beyond_the_maximum_is_not_waited_for() {
    let gateway = Gateway::start_either("[broker.limits]\npacket_size = \"1 KiB\"\n", "max_packet_size 1024");
    if gateway.is_stand_in() {
        return;
    }
    let mut client = Client::connect(&gateway, "large");
    client.send(&[0x30, 0xFF, 0xFF, 0xFF, 0x7F]);
    client.expect_ended("announced", &[0x95]);
}
