//! QoS 1 and 2 step by step, §4.3.

use crate::support::Gateway;
use crate::wire::{DUP, QOS1, QOS2, Raw, acknowledge, publish, publish_id};

/// A gateway, and a client that sees what is published to `topic`, with QoS 0.
fn watched(topic: &str) -> (Gateway, Raw) {
    let gateway = Gateway::start("");
    let mut watcher = Raw::connect(&gateway, "watcher");
    watcher.subscribe(topic, 0);
    (gateway, watcher)
}

/// The payloads up to a last message that is published now.
fn payloads(gateway: &Gateway, watcher: &mut Raw, topic: &str) -> Vec<String> {
    Raw::connect(gateway, "last").send(&publish(0, topic, "last"));
    let payloads = std::iter::from_fn(|| String::from_utf8(watcher.expect_publish().payload).ok());
    payloads.take_while(|payload| payload != "last").collect()
}

#[test]
fn a_message_is_delivered_with_the_lower_of_both_qos() {
    let gateway = Gateway::start("");
    for subscribed in 0..=2 {
        for published in 0..=2_u8 {
            let mut raw = Raw::connect(&gateway, "receiver");
            raw.subscribe("lower", subscribed);
            let mut publisher = Raw::connect(&gateway, "publisher");
            match published {
                0 => publisher.send(&publish(0, "lower", "x")),
                _ => publisher.send(&publish_id(published << 1, "lower", 1, "x")),
            }
            if published == 2 {
                publisher.expect_bytes(&acknowledge(0x50, 1));
                publisher.send(&acknowledge(0x62, 1));
            }
            assert_eq!(raw.expect_publish().qos, subscribed.min(published));
        }
    }
}

#[test]
fn a_duplicate_of_qos_2_before_its_release_is_delivered_once() {
    // [MQTT-4.3.3-2]
    let (gateway, mut watcher) = watched("once");
    let mut publisher = Raw::connect(&gateway, "publisher");
    for flags in [QOS2, QOS2 | DUP] {
        publisher.send(&publish_id(flags, "once", 7, "x"));
        publisher.expect_bytes(&acknowledge(0x50, 7));
    }
    publisher.send(&acknowledge(0x62, 7));
    publisher.expect_bytes(&acknowledge(0x70, 7));
    assert_eq!(payloads(&gateway, &mut watcher, "once"), ["x"]);
}

#[test]
fn a_duplicate_of_qos_2_on_a_later_connection_is_delivered_once() {
    let (gateway, mut watcher) = watched("once");
    let (mut publisher, _) = Raw::resume(&gateway, "publisher");
    publisher.send(&publish_id(QOS2, "once", 7, "x"));
    publisher.expect_bytes(&acknowledge(0x50, 7));
    publisher.cut();

    let (mut publisher, present) = Raw::resume(&gateway, "publisher");
    assert!(present);
    publisher.send(&publish_id(QOS2 | DUP, "once", 7, "x"));
    publisher.expect_bytes(&acknowledge(0x50, 7));
    publisher.send(&acknowledge(0x62, 7));
    publisher.expect_bytes(&acknowledge(0x70, 7));
    assert_eq!(payloads(&gateway, &mut watcher, "once"), ["x"]);
}

#[test]
fn an_id_of_qos_2_is_free_again_after_its_release() {
    let (gateway, mut watcher) = watched("free");
    let mut publisher = Raw::connect(&gateway, "publisher");
    for payload in ["first", "second"] {
        publisher.send(&publish_id(QOS2, "free", 7, payload));
        publisher.expect_bytes(&acknowledge(0x50, 7));
        publisher.send(&acknowledge(0x62, 7));
        publisher.expect_bytes(&acknowledge(0x70, 7));
    }
    assert_eq!(payloads(&gateway, &mut watcher, "free"), ["first", "second"]);
}

#[test]
fn the_release_of_an_unknown_id_is_answered_with_two_bytes() {
    // §4.3.3: the receiver may have forgotten it. A body of two bytes, as 3.1.1 has it.
    let gateway = Gateway::start("");
    let mut raw = Raw::connect(&gateway, "unknown");
    raw.send(&[0x62, 0x02, 0x12, 0x34]);
    raw.expect_bytes(&[0x70, 0x02, 0x12, 0x34]);
}

#[test]
fn acknowledgements_that_nobody_waits_for_are_no_offence() {
    let gateway = Gateway::start("");
    if gateway.is_stand_in() {
        return;
    }
    let mut raw = Raw::connect(&gateway, "extra");
    for first in [0x40, 0x50, 0x70] {
        raw.send(&acknowledge(first, 99));
    }
    // PUBREC of an unknown id may be answered with PUBREL, so that the other side can finish.
    raw.send(&[0xC0, 0x00]);
    while raw.expect_packet().first != 0xD0 {}
}

#[test]
fn every_publish_of_qos_1_is_acknowledged_with_its_own_id() {
    // [MQTT-2.3.1-6]
    let gateway = Gateway::start("");
    let mut raw = Raw::connect(&gateway, "ids");
    let ids = [1, 2, 300, 65_535, 7, 1];
    for id in ids {
        raw.send(&publish_id(QOS1, "nobody/listens", id, "x"));
    }
    for id in ids {
        raw.expect_bytes(&acknowledge(0x40, id));
    }
}

#[test]
fn a_client_that_acknowledges_out_of_order_gets_everything() {
    let gateway = Gateway::start("");
    let mut raw = Raw::connect(&gateway, "disorder");
    raw.subscribe("disorder", 1);
    let mut publisher = Raw::connect(&gateway, "publisher");
    for round in 0..30 {
        for number in 0..10 {
            publisher.publish_acknowledged(0, "disorder", &format!("{round}/{number}"));
        }
        let messages: Vec<_> = (0..10).map(|_| raw.expect_publish()).collect();
        for (number, message) in messages.iter().enumerate() {
            assert_eq!(String::from_utf8_lossy(&message.payload), format!("{round}/{number}"));
        }
        for message in messages.iter().rev() {
            raw.send(&acknowledge(0x40, message.id.unwrap()));
        }
    }
    raw.expect_nothing_more();
}

#[test]
fn the_dup_flag_of_a_publisher_is_not_passed_on() {
    // [MQTT-3.3.1-3]
    let gateway = Gateway::start("");
    let mut raw = Raw::connect(&gateway, "receiver");
    raw.subscribe("dup", 2);
    let mut publisher = Raw::connect(&gateway, "publisher");
    publisher.publish_acknowledged(DUP, "dup", "x");
    assert!(!raw.expect_publish().dup);
    publisher.send(&publish_id(QOS2 | DUP, "dup", 1, "x"));
    publisher.expect_bytes(&acknowledge(0x50, 1));
    publisher.send(&acknowledge(0x62, 1));
    assert!(!raw.expect_publish().dup);
}

#[test]
fn an_id_of_qos_1_is_free_again_after_its_acknowledgement() {
    // [MQTT-4.3.2-2]
    let (gateway, mut watcher) = watched("free");
    let mut publisher = Raw::connect(&gateway, "publisher");
    for (flags, payload) in [(QOS1, "first"), (QOS1 | DUP, "second")] {
        publisher.send(&publish_id(flags, "free", 7, payload));
        publisher.expect_bytes(&acknowledge(0x40, 7));
    }
    assert_eq!(payloads(&gateway, &mut watcher, "free"), ["first", "second"]);
}

#[test]
fn each_step_of_qos_2_keeps_the_order_of_the_step_before() {
    // [MQTT-4.6.0-3], [MQTT-4.6.0-4]
    let gateway = Gateway::start("");
    let mut raw = Raw::connect(&gateway, "receiver");
    raw.subscribe("steps", 2);
    let mut publisher = Raw::connect(&gateway, "publisher");
    let ids = [30, 10, 20];
    for (first, answer) in [(None, 0x50), (Some(0x62), 0x70)] {
        for id in ids {
            publisher.send(&first.map_or(publish_id(QOS2, "steps", id, "x"), |first| acknowledge(first, id)));
        }
        for id in ids {
            publisher.expect_bytes(&acknowledge(answer, id));
        }
    }
    let received = ids.map(|_| raw.expect_publish().id.unwrap());
    for id in received.into_iter().rev() {
        raw.send(&acknowledge(0x50, id));
    }
    for id in received.into_iter().rev() {
        raw.expect_bytes(&acknowledge(0x62, id));
    }
}
