//! Retained messages, §3.3.1.3.

use std::collections::BTreeSet;

use crate::support::Gateway;
use crate::wire::{QOS1, RETAIN, Raw, acknowledge, publish, publish_id};

#[test]
fn a_retained_message_is_sent_again_when_a_filter_is_subscribed_again() {
    // [MQTT-3.8.4-3]
    let gateway = Gateway::start("");
    let mut raw = Raw::connect(&gateway, "again");
    raw.publish_acknowledged(RETAIN, "kept/one", "x");
    for _ in 0..3 {
        raw.subscribe("kept/+", 0);
        let message = raw.expect_publish();
        assert_eq!((message.topic.as_str(), message.retain), ("kept/one", true), "[MQTT-3.3.1-8]");
        raw.expect_nothing_more();
    }
}

#[test]
fn an_established_subscription_sees_no_retain_flag() {
    // [MQTT-3.3.1-9]
    let gateway = Gateway::start("");
    let mut raw = Raw::connect(&gateway, "live");
    raw.subscribe("live", 0);
    raw.send(&publish(RETAIN, "live", "x"));
    assert!(!raw.expect_publish().retain);
}

#[test]
fn a_thousand_retained_messages_all_reach_one_subscriber() {
    let gateway = Gateway::start("");
    let mut publisher = Raw::connect(&gateway, "publisher");
    for id in 1..=1000 {
        publisher.send(&publish_id(QOS1 | RETAIN, &format!("many/{id}"), id, "x"));
    }
    let acknowledged: BTreeSet<_> = (0..1000).map(|_| publisher.expect_packet().body).collect();
    assert_eq!(acknowledged.len(), 1000);

    let mut subscriber = Raw::connect(&gateway, "subscriber");
    subscriber.subscribe("#", 0);
    let topics: BTreeSet<_> = (0..1000).map(|_| subscriber.expect_publish().topic).collect();
    assert_eq!(topics.len(), 1000);
    subscriber.expect_nothing_more();
}

#[test]
fn a_thousand_retained_messages_of_qos_1_wait_for_their_turn() {
    let gateway = Gateway::start("");
    let mut publisher = Raw::connect(&gateway, "publisher");
    for id in 1..=1000 {
        publisher.send(&publish_id(QOS1 | RETAIN, &format!("many/{id}"), id, "x"));
    }
    for id in 1..=1000 {
        publisher.expect_bytes(&acknowledge(0x40, id));
    }

    let mut subscriber = Raw::connect(&gateway, "subscriber");
    subscriber.subscribe("many/#", 1);
    let mut topics = BTreeSet::new();
    for _ in 0..1000 {
        let message = subscriber.expect_publish();
        assert!(message.retain);
        subscriber.send(&acknowledge(0x40, message.id.unwrap()));
        topics.insert(message.topic);
    }
    assert_eq!(topics.len(), 1000);
}

#[test]
fn an_empty_payload_clears_the_topic_and_reaches_live_subscribers() {
    // [MQTT-3.3.1-10], [MQTT-3.3.1-11]
    let gateway = Gateway::start("");
    let mut raw = Raw::connect(&gateway, "clear");
    raw.publish_acknowledged(RETAIN, "clear/me", "x");
    raw.subscribe("clear/me", 0);
    assert_eq!(raw.expect_publish().payload, b"x");
    raw.send(&publish(RETAIN, "clear/me", ""));
    assert_eq!(raw.expect_publish().payload, b"");
    raw.subscribe("clear/#", 0);
    raw.expect_nothing_more();
}

#[test]
fn a_message_without_the_flag_leaves_what_is_retained() {
    // [MQTT-3.3.1-12]
    let gateway = Gateway::start("");
    let mut raw = Raw::connect(&gateway, "leave");
    raw.publish_acknowledged(RETAIN, "leave", "kept");
    raw.publish_acknowledged(0, "leave", "passing");
    raw.publish_acknowledged(0, "leave", "");
    raw.subscribe("leave", 0);
    assert_eq!(raw.expect_publish().payload, b"kept");
}

#[test]
fn a_retained_message_comes_with_the_lower_qos() {
    let gateway = Gateway::start("");
    let mut raw = Raw::connect(&gateway, "lower");
    raw.publish_acknowledged(RETAIN, "lower", "x");
    for qos in [0, 1, 2] {
        raw.subscribe("lower", qos);
        let message = raw.expect_publish();
        assert_eq!(message.qos, qos.min(1));
        if let Some(id) = message.id {
            raw.send(&acknowledge(0x40, id));
        }
    }
}

#[test]
fn a_retained_message_outlives_the_session_of_its_publisher() {
    // [MQTT-3.1.2-7]
    let gateway = Gateway::start("");
    let mut clean = Raw::connect(&gateway, "clean");
    clean.publish_acknowledged(RETAIN, "left/clean", "x");
    clean.disconnect();
    let (mut persistent, _) = Raw::resume(&gateway, "persistent");
    persistent.publish_acknowledged(RETAIN, "left/persistent", "x");
    persistent.disconnect();
    // It throws the persistent session away.
    Raw::connect(&gateway, "persistent").disconnect();

    let mut late = Raw::connect(&gateway, "late");
    late.subscribe("left/+", 0);
    let topics = BTreeSet::from([late.expect_publish().topic, late.expect_publish().topic]);
    assert_eq!(topics, ["left/clean", "left/persistent"].map(str::to_owned).into());
}
