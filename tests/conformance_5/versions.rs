//! MQTT 3.1, 3.1.1 and 5 at one broker.

use crate::client::Client;
use crate::packets::{Connect, NEVER, Publish, text, two};
use crate::publish::{passed_on, with_all};
use crate::support::Gateway;
use crate::wire::{CLEAN_SESSION, PERSISTENT, QOS1, Raw, acknowledge, packet, publish, publish_id, string, subscribe};

/// CONNECT of MQTT 3.1.
fn connect_3_1(id: &str, flags: u8) -> Vec<u8> {
    packet(0x10, &[&string("MQIsdp")[..], &[3, flags, 0, 60], &string(id)].concat())
}

/// A message of 3.1.1 has no properties to pass on.
#[test]
fn a_message_of_3_1_1_reaches_a_subscriber_of_version_5_without_properties() {
    let gateway = Gateway::start("");
    let mut new = Client::connect(&gateway, "new");
    new.subscribe_as(3, "t", 1);
    let mut old = Raw::connect(&gateway, "old");
    old.send(&publish_id(QOS1, "t", 9, "x"));
    old.expect_bytes(&acknowledge(0x40, 9));
    let message = new.expect_finished();
    assert_eq!((message.text(), message.properties.identifiers()), ("x".into(), vec![3]));
    assert_eq!(message.properties.0.len(), 1);
}

/// The properties are not part of the payload: they are left out.
#[test]
fn a_message_of_version_5_reaches_subscribers_of_older_versions_without_its_properties() {
    let gateway = Gateway::start("");
    let mut old = Raw::connect(&gateway, "old");
    old.subscribe("t", 0);
    let (mut older, _) = Raw::connect_with(&gateway, &connect_3_1("older", CLEAN_SESSION));
    older.subscribe("t", 0);
    let mut new = Client::connect(&gateway, "new");
    let alias = new.connack.properties.number(crate::packets::TOPIC_ALIAS_MAXIMUM).unwrap_or(0);
    new.send(&with_all(Publish::new("t", "x")).bytes());
    if alias > 0 {
        new.send(&Publish::new("t", "x").property(two(0x23, 1)).bytes());
        new.send(&Publish::new("", "x").property(two(0x23, 1)).bytes());
    }
    for _ in 0..if alias > 0 { 3 } else { 1 } {
        old.expect_bytes(&publish(0, "t", "x"));
        older.expect_bytes(&publish(0, "t", "x"));
    }
}

/// Retained by one, found by the other.
#[test]
fn retained_messages_go_from_version_to_version() {
    let gateway = Gateway::start("");
    let mut new = Client::connect(&gateway, "new");
    new.publish(&with_all(Publish::new("from/new", "x").qos(1, 1).retain()));
    let mut old = Raw::connect(&gateway, "old");
    old.subscribe("from/new", 0);
    old.expect_bytes(&publish(0x01, "from/new", "x"));
    old.send(&publish_id(QOS1 | 0x01, "from/old", 9, "y"));
    old.expect_bytes(&acknowledge(0x40, 9));
    new.subscribe("from/+", 0);
    let mut found = [new.expect_message(), new.expect_message()];
    found.sort_by_key(|message| message.topic.clone());
    assert_eq!(found[0].properties.sorted(), passed_on(), "kept although a client of 3.1.1 has seen it");
    assert_eq!((found[1].text(), found[1].properties.0.len()), ("y".into(), 0));
}

/// A session is its client's, whichever version it speaks.
#[test]
fn a_session_of_3_1_1_is_taken_up_with_version_5() {
    let gateway = Gateway::start("");
    let (mut old, _) = Raw::resume(&gateway, "moves");
    old.subscribe("t", 1);
    old.disconnect();
    let mut publisher = Client::connect(&gateway, "publisher");
    publisher.publish(&with_all(Publish::new("t", "x").qos(1, 1)));
    let mut new = Client::with(&gateway, &Connect::new("moves").resume().expiry(NEVER));
    assert!(new.is_present());
    let message = new.expect_finished();
    assert_eq!((message.text(), message.properties.sorted()), ("x".into(), passed_on()));
    new.say("t", "again");
    assert_eq!(new.expect_finished().text(), "again");
}

/// And the other way round, with what version 5 alone knows left out.
#[test]
fn a_session_of_version_5_is_taken_up_with_3_1_1() {
    let gateway = Gateway::start("");
    let mut new = Client::resume(&gateway, "moves");
    new.subscribe_as(7, "t", 1);
    new.leave();
    let mut publisher = Client::connect(&gateway, "publisher");
    publisher.publish(&with_all(Publish::new("t", "x").qos(1, 1)));
    let (mut old, present) = Raw::resume(&gateway, "moves");
    assert!(present);
    let message = old.expect_publish();
    assert_eq!((message.qos, message.payload), (1, b"x".to_vec()));
    old.send(&acknowledge(0x40, message.id.unwrap()));
    old.expect_nothing_more();
}

/// A 3.1.1 session without "clean" lasts; a clean one ends, as an expiry of 0 does.
#[test]
fn clean_sessions_of_3_1_1_end_with_their_connection() {
    let gateway = Gateway::start("");
    let (mut old, _) = Raw::connect_with(&gateway, &crate::wire::connect("clean", CLEAN_SESSION, 60, &[]));
    old.subscribe("t", 1);
    old.disconnect();
    assert!(!Client::resume(&gateway, "clean").is_present());
    let (old, present) = Raw::connect_with(&gateway, &crate::wire::connect("kept", PERSISTENT, 60, &[]));
    assert!(!present);
    old.disconnect();
    assert!(Client::resume(&gateway, "kept").is_present());
}

/// The one that goes is told in its own language: 3.1.1 has no DISCONNECT from the server.
#[test]
fn a_takeover_across_versions_ends_the_older_connection() {
    let gateway = Gateway::start("");
    let mut old = Raw::connect(&gateway, "same");
    let mut new = Client::connect(&gateway, "same");
    assert_eq!(old.expect_closed(), []);
    let mut old = Raw::connect(&gateway, "same");
    new.expect_taken_over();
    old.expect_nothing_more();
}

/// A client of MQTT 3.1 publishes and subscribes.
#[test]
fn mqtt_3_1_is_served() {
    let gateway = Gateway::start("");
    for flags in [CLEAN_SESSION, PERSISTENT] {
        let (mut raw, present) = Raw::connect_with(&gateway, &connect_3_1("older", flags));
        assert!(!present);
        raw.subscribe("t/#", 1);
        let (mut publisher, _) = Raw::connect_with(&gateway, &connect_3_1("publisher", CLEAN_SESSION));
        publisher.publish_acknowledged(0, "t/a", "x");
        let message = raw.expect_publish();
        assert_eq!((message.topic, message.qos, message.payload), ("t/a".into(), 1, b"x".to_vec()));
        raw.send(&acknowledge(0x40, message.id.unwrap()));
        raw.expect_nothing_more();
        raw.disconnect();
    }
}

/// SUBACK of MQTT 3.1 has no code for failure: what cannot be granted ends the connection, or is granted with QoS 0.
#[test]
fn a_suback_of_mqtt_3_1_holds_no_failure() {
    let gateway = Gateway::start("");
    let (mut raw, _) = Raw::connect_with(&gateway, &connect_3_1("older", CLEAN_SESSION));
    raw.send(&subscribe(5, &[("good", 1), ("wrong/#/filter", 1)]));
    raw.send(&crate::wire::DISCONNECT);
    for packet in raw.expect_closed() {
        assert_eq!((packet.first, packet.body[2..].iter().all(|code| *code <= 2)), (0x90, true), "{packet:02X?}");
    }
}

/// A will of version 5 reaches subscribers of 3.1.1, and the other way round.
#[test]
fn wills_go_from_version_to_version() {
    let gateway = Gateway::start("");
    let mut old = Raw::connect(&gateway, "old");
    old.subscribe("will/#", 0);
    let list = [text(crate::packets::CONTENT_TYPE, "a"), crate::packets::user("a", "b")];
    Client::with(&gateway, &crate::will::with_will("five", 0, &list)).cut();
    old.expect_bytes(&publish(0, "will/five", "gone"));
    let mut new = Client::connect(&gateway, "new");
    new.subscribe("will/#", 0);
    Raw::connect_with_will(&gateway, "three", 0, 60).cut();
    let will = new.expect_message();
    assert_eq!((&will.topic[..], will.properties.0.len()), ("will/three", 0));
}

/// [MQTT-3.8.3-3]: own messages come back to a client of 3.1.1, which has no options.
#[test]
fn a_client_of_3_1_1_gets_its_own_messages() {
    let gateway = Gateway::start("");
    let mut old = Raw::connect(&gateway, "old");
    old.subscribe("t", 0);
    old.send(&publish(0x01, "t", "x"));
    // The retain flag is not passed on to it.
    old.expect_bytes(&publish(0, "t", "x"));
}
