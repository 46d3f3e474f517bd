//! PUBLISH that is wrong: the connection ends, with the code that the standard names.

use crate::client::{Client, check_ended};
use crate::packets::{
    CONTENT_TYPE, CORRELATION_DATA, Connect, MESSAGE_EXPIRY, PAYLOAD_FORMAT, Publish, RESPONSE_TOPIC, TOPIC_ALIAS,
    TOPIC_ALIAS_MAXIMUM, byte, four, identifier, text, two,
};
use crate::support::Gateway;
use crate::wire::{packet, string};

/// Malformed packet, and protocol error.
const WRONG: &[u8] = &[0x81, 0x82];

fn check(gateway: &Gateway, what: &str, publish: &Publish, codes: &[u8]) {
    check_ended(gateway, what, &publish.bytes(), codes);
}

/// [MQTT-3.3.1-4], [MQTT-4.13.1-1]
#[test]
fn qos_3_is_malformed() {
    let gateway = Gateway::start("");
    check(&gateway, "QoS 3", &Publish::new("a", "x").qos(3, 1), &[0x81]);
}

/// [MQTT-3.3.1-2]
#[test]
fn dup_with_qos_0_is_refused() {
    let gateway = Gateway::start("");
    // mosquitto 2.0.11 does not look at it.
    if gateway.is_stand_in() {
        return;
    }
    check(&gateway, "DUP", &Publish::new("a", "x").dup(), WRONG);
}

/// [MQTT-2.2.1-3]
#[test]
fn packet_identifier_0_is_refused() {
    let gateway = Gateway::start("");
    for qos in 1..=2 {
        check(&gateway, "id 0", &Publish::new("a", "x").qos(qos, 0), WRONG);
    }
}

/// [MQTT-3.3.2-2], [MQTT-4.7.0-1]
#[test]
fn topics_with_wildcards_are_refused() {
    let gateway = Gateway::start("");
    for topic in ["#", "+", "a/#", "a/+/b", "a+"] {
        check(&gateway, topic, &Publish::new(topic, "x"), &[0x81, 0x82, 0x90]);
    }
}

/// [MQTT-4.7.3-1], §3.3.2.3.4
#[test]
fn an_empty_topic_without_an_alias_is_a_protocol_error() {
    let gateway = Gateway::start("");
    check(&gateway, "empty topic", &Publish::new("", "x"), &[0x82]);
}

/// [MQTT-1.5.4-1], [MQTT-1.5.4-2], [MQTT-3.3.2-1], [MQTT-4.7.3-2]
#[test]
fn topics_that_are_not_utf_8_are_malformed() {
    let gateway = Gateway::start("");
    for topic in [&b"\xFF"[..], b"\xC0\x80", b"\xED\xA0\x80", b"\xF4\x90\x80\x80", b"\xE2\x82", b"a\0b"] {
        check(&gateway, &format!("{topic:02X?}"), &Publish::new(topic, "x"), &[0x81, 0x82, 0x90]);
    }
}

/// [MQTT-3.3.2-13], [MQTT-3.3.2-19], [MQTT-1.5.7-1], [MQTT-1.5.4-1]
#[test]
fn properties_that_are_not_utf_8_are_malformed() {
    let gateway = Gateway::start("");
    for bad in [&b"\xFF"[..], b"\xED\xA0\x80", b"a\0b"] {
        let user = |name: &[u8], value: &[u8]| [vec![0x26], string(name), string(value)].concat();
        for property in [text(CONTENT_TYPE, bad), text(RESPONSE_TOPIC, bad), user(bad, b"a"), user(b"a", bad)] {
            let publish = Publish::new("a", "x").property(property.clone());
            check(&gateway, &format!("{property:02X?}"), &publish, WRONG);
        }
    }
}

/// §1.5.4: a receiver may treat these code points as malformed, and mosquitto does.
#[test]
fn control_characters_in_a_topic_or_a_property_are_malformed() {
    let gateway = Gateway::start("");
    for bad in ["a\x01", "a\n", "a\x7F", "a\u{85}", "a\u{FFFF}"] {
        check(&gateway, bad, &Publish::new(bad, "x"), &[0x81]);
        let user = |name: &str, value: &str| [vec![0x26], string(name), string(value)].concat();
        for property in [text(CONTENT_TYPE, bad), text(RESPONSE_TOPIC, bad), user(bad, "a"), user("a", bad)] {
            check(&gateway, bad, &Publish::new("a", "x").property(property), &[0x81]);
        }
    }
}

/// [MQTT-3.3.2-14]
#[test]
fn a_response_topic_with_a_wildcard_is_refused() {
    let gateway = Gateway::start("");
    for topic in ["a/#", "+/a"] {
        let publish = Publish::new("a", "x").property(text(RESPONSE_TOPIC, topic));
        check(&gateway, "response topic", &publish, &[0x81, 0x82, 0x90]);
    }
}

/// [MQTT-3.3.4-6]
#[test]
fn a_subscription_identifier_from_a_client_is_a_protocol_error() {
    let gateway = Gateway::start("");
    check(&gateway, "identifier of a client", &Publish::new("a", "x").property(identifier(1)), WRONG);
}

/// §3.3.2.3.2: the indicator is 0 or 1, and its promise may be checked.
#[test]
fn a_payload_format_beyond_1_is_refused() {
    let gateway = Gateway::start("");
    for format in [2, 255] {
        check(&gateway, "payload format", &Publish::new("a", "x").property(byte(PAYLOAD_FORMAT, format)), WRONG);
    }
}

/// §3.3.2.3: each of these at most once, and no property of another packet.
#[test]
fn properties_twice_or_out_of_place_are_refused() {
    let gateway = Gateway::start("");
    let once = [
        byte(PAYLOAD_FORMAT, 0),
        four(MESSAGE_EXPIRY, 1),
        text(CONTENT_TYPE, "a"),
        text(RESPONSE_TOPIC, "a"),
        text(CORRELATION_DATA, "a"),
        two(TOPIC_ALIAS, 1),
    ];
    for property in once {
        let publish = Publish::new("a", "x").property(property.clone()).property(property.clone());
        check(&gateway, &format!("twice {property:02X?}"), &publish, WRONG);
    }
    for property in [four(0x11, 1), two(0x21, 1), four(0x18, 1), text(0x1F, "a"), byte(0x7F, 0), byte(0, 0)] {
        let publish = Publish::new("a", "x").property(property.clone());
        check(&gateway, &format!("elsewhere {property:02X?}"), &publish, WRONG);
    }
}

/// [MQTT-3.3.2-8], §3.3.2.3.4
#[test]
fn impossible_topic_aliases_are_refused() {
    let gateway = Gateway::start("");
    check(&gateway, "alias 0", &Publish::new("a", "x").property(two(TOPIC_ALIAS, 0)), &[0x94]);
    let connack = Client::connect(&gateway, "ask").connack;
    let maximum = connack.properties.number(TOPIC_ALIAS_MAXIMUM).unwrap_or(0);
    if let Ok(beyond) = u16::try_from(maximum + 1) {
        check(&gateway, "alias beyond", &Publish::new("a", "x").property(two(TOPIC_ALIAS, beyond)), &[0x94]);
    }
    if maximum > 0 {
        check(&gateway, "alias unknown", &Publish::new("", "x").property(two(TOPIC_ALIAS, 1)), &[0x82]);
    }
}

/// §3.3.2: fields that are cut short.
#[test]
fn a_publish_that_is_cut_short_is_malformed() {
    let gateway = Gateway::start("");
    let bodies: [&[u8]; 6] =
        [&[], &[0], &[0, 5, b'a'], &[0, 1, b'a'], &[0, 1, b'a', 0x7F, 0x01], &[0, 1, b'a', 0x02, 0x01]];
    for body in bodies {
        check_ended(&gateway, &format!("{body:02X?}"), &packet(0x30, body), WRONG);
    }
    check_ended(&gateway, "no id", &packet(0x32, &[0, 1, b'a']), WRONG);
}

/// [MQTT-4.13.1-1]: what was wrong is not delivered to anybody.
#[test]
fn a_refused_publish_is_delivered_to_nobody() {
    let gateway = Gateway::start("");
    let mut watcher = Client::connect(&gateway, "watcher");
    watcher.subscribe("#", 0);
    // mosquitto 2.0.11 takes the first two.
    if gateway.is_stand_in() {
        return;
    }
    let wrong = [
        Publish::new("a", "x").property(identifier(1)),
        Publish::new("a", "x").property(text(RESPONSE_TOPIC, "#")),
        Publish::new("a", "x").property(two(TOPIC_ALIAS, 0)),
    ];
    for publish in wrong {
        let mut client = Client::with(&gateway, &Connect::new("wrong"));
        client.send(&publish.bytes());
        client.expect_ended("wrong", &[0x81, 0x82, 0x90, 0x94]);
    }
    Client::connect(&gateway, "end").say("end", "end");
    assert_eq!(watcher.expect_message().topic, "end");
}
