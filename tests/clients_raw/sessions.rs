//! Persistent sessions, §3.1.2.4 and §4.4.

use crate::support::Gateway;
use crate::wire::{Publish, QOS1, QOS2, Raw, acknowledge, publish, publish_id, unsubscribe};

/// A persistent session `id` that is subscribed to `filter` with QoS 2 and away.
fn away(gateway: &Gateway, id: &str, filter: &str) {
    let (mut raw, present) = Raw::resume(gateway, id);
    assert!(!present);
    raw.subscribe(filter, 2);
    raw.disconnect();
}

#[test]
fn the_session_flag_tells_whether_there_is_one() {
    // [MQTT-3.2.2-1] to [MQTT-3.2.2-3]
    let gateway = Gateway::start("");
    let flag = |clean: bool| {
        let (raw, present) = if clean { (Raw::connect(&gateway, "id"), false) } else { Raw::resume(&gateway, "id") };
        raw.disconnect();
        present
    };
    assert_eq!([false, false, false, true, false].map(flag), [false, true, true, false, false]);
}

#[test]
fn what_is_queued_comes_in_order_with_the_lower_qos_and_without_qos_0() {
    let gateway = Gateway::start("");
    away(&gateway, "sleeper", "queue/+");
    let mut publisher = Raw::connect(&gateway, "publisher");
    publisher.send(&publish(0, "queue/0", "0"));
    publisher.publish_acknowledged(0, "queue/1", "1");
    publisher.send(&publish_id(QOS2, "queue/2", 5, "2"));
    publisher.expect_bytes(&acknowledge(0x50, 5));
    publisher.send(&acknowledge(0x62, 5));
    publisher.expect_bytes(&acknowledge(0x70, 5));

    let (mut sleeper, present) = Raw::resume(&gateway, "sleeper");
    assert!(present);
    let first = sleeper.expect_publish();
    let kept: Vec<_> = std::iter::once(first).chain(std::iter::once_with(|| sleeper.expect_publish())).collect();
    assert_eq!(kept.iter().map(|message| message.qos).collect::<Vec<_>>(), [1, 2]);
    assert!(kept.iter().all(|message| !message.dup && !message.retain));
    sleeper.expect_nothing_more();
}

#[test]
fn five_thousand_queued_messages_all_come_in_order() {
    let gateway = Gateway::start("");
    away(&gateway, "sleeper", "queue");
    let mut publisher = Raw::connect(&gateway, "publisher");
    for number in 1..=5000_u16 {
        publisher.send(&publish_id(QOS1, "queue", number, &number.to_string()));
        publisher.expect_bytes(&acknowledge(0x40, number));
    }
    let (mut sleeper, _) = Raw::resume(&gateway, "sleeper");
    for number in 1..=5000 {
        let message = sleeper.expect_publish();
        assert_eq!(String::from_utf8_lossy(&message.payload), number.to_string());
        sleeper.send(&acknowledge(0x40, message.id.unwrap()));
    }
}

/// What a session that comes back gets first, `count` messages, without acknowledging any.
fn unacknowledged(gateway: &Gateway, count: usize) -> (Raw, Vec<Publish>) {
    let (mut raw, present) = Raw::resume(gateway, "sleeper");
    assert!(present);
    let messages = (0..count).map(|_| raw.expect_publish()).collect();
    (raw, messages)
}

#[test]
fn what_was_sent_and_not_acknowledged_comes_again_in_order_with_dup_and_its_id() {
    // [MQTT-4.4.0-1], [MQTT-4.6.0-1], [MQTT-3.3.1-1]
    let gateway = Gateway::start("");
    away(&gateway, "sleeper", "again");
    let mut publisher = Raw::connect(&gateway, "publisher");
    for payload in ["a", "b", "c", "d", "e"] {
        publisher.publish_acknowledged(0, "again", payload);
    }
    let (raw, first) = unacknowledged(&gateway, 5);
    assert!(first.iter().all(|message| !message.dup));
    raw.cut();

    let (mut raw, second) = unacknowledged(&gateway, 5);
    let wanted: Vec<_> = first.into_iter().map(|message| Publish { dup: true, ..message }).collect();
    assert_eq!(second, wanted);
    for message in second {
        raw.send(&acknowledge(0x40, message.id.unwrap()));
    }
    raw.expect_nothing_more();
    raw.cut();
    let (mut raw, _) = unacknowledged(&gateway, 0);
    raw.expect_nothing_more();
}

#[test]
fn a_received_message_of_qos_2_comes_again_as_pubrel_only() {
    // [MQTT-4.3.3-1], [MQTT-4.4.0-1]
    let gateway = Gateway::start("");
    away(&gateway, "sleeper", "exactly");
    let mut publisher = Raw::connect(&gateway, "publisher");
    publisher.send(&publish_id(QOS2, "exactly", 1, "once"));
    publisher.expect_bytes(&acknowledge(0x50, 1));
    publisher.send(&acknowledge(0x62, 1));
    publisher.expect_bytes(&acknowledge(0x70, 1));

    let (mut raw, messages) = unacknowledged(&gateway, 1);
    let id = messages[0].id.unwrap();
    raw.send(&acknowledge(0x50, id));
    raw.expect_bytes(&acknowledge(0x62, id));
    raw.cut();

    let (mut raw, _) = unacknowledged(&gateway, 0);
    raw.expect_bytes(&acknowledge(0x62, id));
    raw.send(&acknowledge(0x70, id));
    raw.expect_nothing_more();
}

#[test]
fn a_takeover_keeps_the_session() {
    let gateway = Gateway::start("");
    let (mut older, _) = Raw::resume(&gateway, "same");
    older.subscribe("kept", 1);
    let (mut newer, present) = Raw::resume(&gateway, "same");
    assert!(present);
    assert_eq!(older.expect_closed(), []);
    Raw::connect(&gateway, "publisher").publish_acknowledged(0, "kept", "x");
    assert_eq!(newer.expect_publish().payload, b"x");
}

#[test]
fn unsubscribing_does_not_break_off_what_is_in_flight() {
    // [MQTT-3.10.4-3]
    let gateway = Gateway::start("");
    away(&gateway, "sleeper", "leaving");
    let mut publisher = Raw::connect(&gateway, "publisher");
    publisher.publish_acknowledged(0, "leaving", "at least once");
    publisher.send(&publish_id(QOS2, "leaving", 1, "exactly once"));
    publisher.expect_bytes(&acknowledge(0x50, 1));
    publisher.send(&acknowledge(0x62, 1));
    publisher.expect_bytes(&acknowledge(0x70, 1));

    let (mut raw, first) = unacknowledged(&gateway, 2);
    raw.send(&unsubscribe(9, "leaving"));
    raw.expect_bytes(&acknowledge(0xB0, 9));
    raw.cut();
    let (mut raw, second) = unacknowledged(&gateway, 2);
    let wanted: Vec<_> = first.into_iter().map(|message| Publish { dup: true, ..message }).collect();
    assert_eq!(second, wanted);
    let [at_least_once, exactly_once] = [0, 1].map(|place: usize| second[place].id.unwrap());
    raw.send(&acknowledge(0x40, at_least_once));
    raw.send(&acknowledge(0x50, exactly_once));
    raw.expect_bytes(&acknowledge(0x62, exactly_once));
    raw.send(&acknowledge(0x70, exactly_once));
    raw.expect_nothing_more();
}
