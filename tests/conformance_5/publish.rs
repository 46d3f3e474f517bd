//! PUBLISH and what is passed on of it, §3.3.

use crate::client::Client;
use crate::packets::{
    CONTENT_TYPE, CORRELATION_DATA, NO_LOCAL, PAYLOAD_FORMAT, PUBACK, PUBCOMP, PUBREC, PUBREL, Publish, RESPONSE_TOPIC,
    ack, byte, text, user,
};
use crate::parse::Message;
use crate::support::Gateway;

/// Every property that goes from publisher to subscriber and does not change, in the order of their identifiers.
pub(crate) fn passed_on() -> Vec<Vec<u8>> {
    vec![
        byte(PAYLOAD_FORMAT, 1),
        text(CONTENT_TYPE, "text/plain; été"),
        text(RESPONSE_TOPIC, "answer/\u{FEFF}here"),
        text(CORRELATION_DATA, [0, 1, 0xFF, 0]),
        user("zebra", "1"),
        user("", ""),
        user("antelope", "\u{FEFF}2"),
        user("zebra", "0"),
        user("zebra", "1"),
    ]
}

/// `publish` with all of [`passed_on`].
pub(crate) fn with_all(publish: Publish) -> Publish {
    passed_on().into_iter().fold(publish, Publish::property)
}

/// [MQTT-3.3.2-4], [MQTT-3.3.2-15], [MQTT-3.3.2-16], [MQTT-3.3.2-17], [MQTT-3.3.2-18], [MQTT-3.3.2-20], [MQTT-1.5.4-3]
#[test]
fn properties_are_passed_on_as_they_are_with_every_qos() {
    let gateway = Gateway::start("");
    let mut subscriber = Client::connect(&gateway, "subscriber");
    subscriber.subscribe("passed/on", 2);
    let mut publisher = Client::connect(&gateway, "publisher");
    for qos in 0..=2 {
        publisher.publish(&with_all(Publish::new("passed/on", "x").qos(qos, 9)));
        let message = subscriber.expect_finished();
        assert_eq!((message.qos, message.properties.sorted()), (qos, passed_on()));
    }
}

/// [MQTT-3.3.2-17], [MQTT-3.3.2-18]: also when the message has waited.
#[test]
fn properties_are_passed_on_as_they_are_from_a_queue() {
    let gateway = Gateway::start("");
    let mut subscriber = Client::resume(&gateway, "subscriber");
    subscriber.subscribe("passed/on", 2);
    subscriber.leave();
    let mut publisher = Client::connect(&gateway, "publisher");
    publisher.publish(&with_all(Publish::new("passed/on", "1").qos(1, 9)));
    publisher.publish(&with_all(Publish::new("passed/on", "2").qos(2, 9)));
    let mut subscriber = Client::resume(&gateway, "subscriber");
    for _ in 0..2 {
        assert_eq!(subscriber.expect_finished().properties.sorted(), passed_on());
    }
}

/// [MQTT-2.2.2-1]: nothing is added to a message without properties.
#[test]
fn nothing_is_added_to_a_message() {
    let gateway = Gateway::start("");
    let mut client = Client::connect(&gateway, "plain");
    client.subscribe("plain", 2);
    for qos in 0..=2 {
        client.publish(&Publish::new("plain", "x").qos(qos, 9));
        let message = client.expect_finished();
        assert_eq!((message.properties.0, message.payload), (Vec::new(), b"x".to_vec()));
    }
}

/// §3.3.2.3.2: an indicator of 0 is one that was given.
#[test]
fn a_payload_format_of_zero_is_passed_on() {
    let gateway = Gateway::start("");
    let mut client = Client::connect(&gateway, "format");
    client.subscribe("format", 0);
    client.send(&Publish::new("format", [0xFF, 0xFE]).property(byte(PAYLOAD_FORMAT, 0)).bytes());
    let message = client.expect_message();
    // Nothing, and 0, mean the same; unaltered is 0.
    assert_eq!((message.properties.0, message.payload), (vec![byte(PAYLOAD_FORMAT, 0)], vec![0xFF, 0xFE]));
}

/// §3.3.3: a payload may be empty, or longer than a length of two bytes can say.
#[test]
fn payloads_of_any_length_are_delivered() {
    let gateway = Gateway::start("");
    let mut client = Client::connect(&gateway, "length");
    client.subscribe("length", 1);
    for length in [0, 1, 127, 128, 16_383, 16_384, 100_000] {
        client.publish(&Publish::new("length", "x".repeat(length)).qos(1, 3));
        assert_eq!(client.expect_finished().payload.len(), length);
    }
}

/// [MQTT-3.3.4-1], [MQTT-3.4.2-1], [MQTT-3.5.2-1], [MQTT-3.7.2-1], [MQTT-2.2.1-5], [MQTT-4.3.2-4], [MQTT-4.3.3-8], [MQTT-4.3.3-11]
#[test]
fn a_publish_is_answered_by_its_qos_and_with_its_id() {
    let gateway = Gateway::start("");
    let mut client = Client::connect(&gateway, "answers");
    client.subscribe("heard", NO_LOCAL);
    client.send(&Publish::new("unheard", "x").bytes());
    client.expect_nothing_more();
    for id in [1, 2, 300, 65_535] {
        client.send(&Publish::new("unheard", "x").qos(1, id).bytes());
        assert!([0x00, 0x10].contains(&client.expect_ack(PUBACK, id).code));
        client.send(&Publish::new("unheard", "x").qos(2, id).bytes());
        assert!([0x00, 0x10].contains(&client.expect_ack(PUBREC, id).code));
        client.send(&ack(PUBREL, id));
        assert_eq!(client.expect_ack(PUBCOMP, id).code, 0);
    }
}

/// §3.4.2.1: 0x10 is for messages that nobody gets.
#[test]
fn a_message_that_somebody_gets_is_acknowledged_with_success() {
    let gateway = Gateway::start("");
    let mut subscriber = Client::connect(&gateway, "subscriber");
    subscriber.subscribe("heard", 0);
    let mut publisher = Client::connect(&gateway, "publisher");
    for qos in 1..=2 {
        assert_eq!(publisher.publish(&Publish::new("heard", "x").qos(qos, 1)), 0);
        subscriber.expect_finished();
    }
}

/// [MQTT-3.8.4-8]
#[test]
fn a_message_is_delivered_with_the_lower_of_both_qos() {
    let gateway = Gateway::start("");
    for granted in 0..=2 {
        for published in 0..=2_u8 {
            let mut client = Client::connect(&gateway, "lower");
            client.subscribe("lower", granted);
            client.publish(&Publish::new("lower", "x").qos(published, 1));
            assert_eq!(client.expect_finished().qos, granted.min(published));
        }
    }
}

/// [MQTT-3.3.1-3]
#[test]
fn a_publishers_dup_is_not_passed_on() {
    let gateway = Gateway::start("");
    let mut client = Client::connect(&gateway, "dup");
    client.subscribe("dup", 2);
    for qos in 1..=2 {
        client.publish(&Publish::new("dup", "x").qos(qos, 1).dup());
        assert!(!client.expect_finished().dup);
    }
}

/// [MQTT-4.6.0-5], [MQTT-4.6.0-6], [MQTT-2.2.1-4], [MQTT-4.3.2-1], [MQTT-4.3.2-2], [MQTT-4.3.3-1], [MQTT-4.3.3-2]
#[test]
fn messages_of_a_topic_keep_their_order_and_have_ids_of_their_own() {
    let gateway = Gateway::start("");
    let mut subscriber = Client::connect(&gateway, "subscriber");
    subscriber.subscribe("order/#", 2);
    let mut publisher = Client::connect(&gateway, "publisher");
    for number in 0..20_u16 {
        publisher.publish(&Publish::new("order/1", number.to_string()).qos(1, number + 1));
        publisher.publish(&Publish::new("order/2", number.to_string()).qos(2, number + 1));
    }
    let messages: Vec<_> = (0..40).map(|_| subscriber.expect_message()).collect();
    for topic in ["order/1", "order/2"] {
        let texts: Vec<_> = messages.iter().filter(|message| message.topic == topic).map(Message::text).collect();
        assert_eq!(texts, (0..20).map(|number| number.to_string()).collect::<Vec<_>>());
    }
    let mut ids: Vec<_> = messages.iter().map(|message| message.id.unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 40, "none is used twice at a time");
    assert!(messages.iter().all(|message| !message.dup));
}
