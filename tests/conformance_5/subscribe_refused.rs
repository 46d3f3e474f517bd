//! SUBSCRIBE and UNSUBSCRIBE that are wrong: the connection ends, with the code that the standard names.

use crate::client::check_ended;
use crate::packets::{AS_PUBLISHED, NO_LOCAL, identifier, properties, subscribe, text, two, unsubscribe};
use crate::support::Gateway;
use crate::wire::{packet, string};

/// Malformed packet, and protocol error.
const WRONG: &[u8] = &[0x81, 0x82];

/// [MQTT-3.8.1-1], [MQTT-3.10.1-1], [MQTT-2.1.3-1]
#[test]
fn wrong_flags_are_malformed() {
    let gateway = Gateway::start("");
    for flags in [0x0, 0x1, 0x3, 0xF] {
        let mut bytes = subscribe(1, &[], &[("a", 0)]);
        bytes[0] = 0x80 | flags;
        check_ended(&gateway, "SUBSCRIBE", &bytes, &[0x81]);
        let mut bytes = unsubscribe(1, &[], &["a"]);
        bytes[0] = 0xA0 | flags;
        check_ended(&gateway, "UNSUBSCRIBE", &bytes, &[0x81]);
    }
}

/// [MQTT-3.8.3-2], [MQTT-3.10.3-2]
#[test]
fn a_payload_without_a_filter_is_refused() {
    let gateway = Gateway::start("");
    check_ended(&gateway, "SUBSCRIBE", &subscribe(1, &[], &[]), WRONG);
    check_ended(&gateway, "UNSUBSCRIBE", &unsubscribe(1, &[], &[]), WRONG);
}

/// [MQTT-3.8.3-5]
#[test]
fn reserved_options_are_malformed() {
    let gateway = Gateway::start("");
    for options in [0x40, 0x80, 0xC1] {
        check_ended(&gateway, "reserved bits", &subscribe(1, &[], &[("a", options)]), &[0x81]);
    }
}

/// §3.8.3.1
#[test]
fn qos_3_and_retain_handling_3_are_refused() {
    let gateway = Gateway::start("");
    check_ended(&gateway, "QoS 3", &subscribe(1, &[], &[("a", 3)]), WRONG);
    check_ended(&gateway, "retain handling 3", &subscribe(1, &[], &[("a", 0x30)]), WRONG);
}

/// [MQTT-3.8.3-4]
#[test]
fn no_local_on_a_shared_subscription_is_a_protocol_error() {
    let gateway = Gateway::start("");
    for options in [NO_LOCAL, 1 | NO_LOCAL | AS_PUBLISHED] {
        check_ended(&gateway, "no local and shared", &subscribe(1, &[], &[("$share/g/a", options)]), &[0x82]);
    }
}

/// §3.8.2.1.2
#[test]
fn an_impossible_subscription_identifier_is_refused() {
    let gateway = Gateway::start("");
    check_ended(&gateway, "0", &subscribe(1, &[identifier(0)], &[("a", 0)]), &[0x82]);
    let twice = [identifier(1), identifier(2)];
    check_ended(&gateway, "twice", &subscribe(1, &twice, &[("a", 0)]), WRONG);
    let long = vec![0x0B, 0x80, 0x80, 0x80, 0x80, 0x01];
    check_ended(&gateway, "five bytes", &subscribe(1, &[long], &[("a", 0)]), WRONG);
}

/// [MQTT-2.2.1-3]
#[test]
fn packet_identifier_0_is_refused() {
    let gateway = Gateway::start("");
    check_ended(&gateway, "SUBSCRIBE", &subscribe(0, &[], &[("a", 0)]), WRONG);
    check_ended(&gateway, "UNSUBSCRIBE", &unsubscribe(0, &[], &["a"]), WRONG);
}

/// §2.2.2.2: properties of other packets.
#[test]
fn properties_out_of_place_are_refused() {
    let gateway = Gateway::start("");
    for property in [two(0x21, 1), text(0x1F, "a"), text(0x03, "a"), vec![0x01, 0]] {
        let list = [property];
        check_ended(&gateway, "SUBSCRIBE", &subscribe(1, &list, &[("a", 0)]), WRONG);
        check_ended(&gateway, "UNSUBSCRIBE", &unsubscribe(1, &list, &["a"]), WRONG);
    }
    check_ended(&gateway, "UNSUBSCRIBE", &unsubscribe(1, &[identifier(1)], &["a"]), WRONG);
}

/// [MQTT-3.8.3-1], [MQTT-3.10.3-1], [MQTT-1.5.4-1], [MQTT-1.5.4-2], [MQTT-4.7.3-2]
#[test]
fn filters_that_are_not_utf_8_are_malformed() {
    let gateway = Gateway::start("");
    for bad in [&b"\xFF"[..], b"\xED\xA0\x80", b"a\0b", b"\xC0\xAF"] {
        let head = [&[0, 1][..], &properties(&[]), &string(bad)].concat();
        check_ended(&gateway, "SUBSCRIBE", &packet(0x82, &[&head[..], &[0]].concat()), &[0x81, 0x82, 0x8F]);
        check_ended(&gateway, "UNSUBSCRIBE", &packet(0xA2, &head), &[0x81, 0x82, 0x8F]);
    }
}

/// §3.8.3, §3.10.3: fields that are cut short.
#[test]
fn packets_that_are_cut_short_are_malformed() {
    let gateway = Gateway::start("");
    let bodies: [&[u8]; 6] = [&[], &[0], &[0, 1], &[0, 1, 0, 0], &[0, 1, 0, 0, 5, b'a'], &[0, 1, 9, 0, 1, b'a', 0]];
    for body in bodies {
        check_ended(&gateway, "SUBSCRIBE", &packet(0x82, body), WRONG);
        check_ended(&gateway, "UNSUBSCRIBE", &packet(0xA2, body), WRONG);
    }
    check_ended(&gateway, "no options", &packet(0x82, &[0, 1, 0, 0, 1, b'a']), WRONG);
}
