//! DISCONNECT, §3.14; what it does to sessions and wills is in `session` and `will`.

use crate::client::{Client, check_ended};
use crate::packets::{
    Connect, MAXIMUM_PACKET_SIZE, Publish, REASON_STRING, RECEIVE_MAXIMUM, SESSION_EXPIRY, disconnect, four, text, two,
    user,
};
use crate::support::Gateway;
use crate::wire::packet;

/// §3.14.2.1: each code that a client may give, in every form; the server closes and does not answer.
#[test]
fn every_disconnect_of_a_client_closes_the_connection() {
    let gateway = Gateway::start("");
    for code in [0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99] {
        Client::connect(&gateway, "leaves").leave_with(code, &[]);
    }
    Client::connect(&gateway, "leaves").leave_with(0, &[text(REASON_STRING, "tired"), user("a", "b"), user("a", "b")]);
    for short in [&[0xE0, 0x00][..], &[0xE0, 0x01, 0x04]] {
        let mut client = Client::connect(&gateway, "short");
        client.send(short);
        // Closed without an answer: no DISCONNECT may come.
        assert_eq!(client.into_closed(), []);
    }
}

/// [MQTT-3.14.1-1], [MQTT-2.1.3-1]
#[test]
fn a_disconnect_with_flags_is_malformed() {
    let gateway = Gateway::start("");
    for first in [0xE1, 0xE2, 0xEF] {
        check_ended(&gateway, "flags", &packet(first, &[0, 0]), &[0x81]);
    }
}

/// §3.14.2.2: properties of other packets, twice, or longer than the packet.
#[test]
fn a_disconnect_with_wrong_properties_is_refused() {
    let gateway = Gateway::start("");
    let check = |what: &str, list: &[Vec<u8>]| {
        let mut client = Client::with(&gateway, &Connect::new("offender").expiry(10));
        client.send(&disconnect(0, list));
        client.expect_ended(what, &[0x81, 0x82]);
    };
    check("of another packet", &[two(RECEIVE_MAXIMUM, 1)]);
    check("expiry twice", &[four(SESSION_EXPIRY, 1), four(SESSION_EXPIRY, 1)]);
    check("reason twice", &[text(REASON_STRING, "a"), text(REASON_STRING, "a")]);
    check_ended(&gateway, "too long", &packet(0xE0, &[0x00, 0x05]), &[0x81, 0x82]);
}

/// [MQTT-3.14.4-1], [MQTT-3.14.4-2], [MQTT-3.14.2-1], [MQTT-3.14.2-2]
#[test]
fn nothing_that_follows_a_disconnect_is_done() {
    let gateway = Gateway::start("");
    let mut watcher = Client::connect(&gateway, "watcher");
    watcher.subscribe("#", 0);
    let mut client = Client::connect(&gateway, "gone");
    client.send(&[disconnect(0, &[]), Publish::new("after", "x").bytes()].concat());
    client.into_closed();
    Client::connect(&gateway, "end").say("end", "x");
    assert_eq!(watcher.expect_message().topic, "end");
}

/// [MQTT-3.14.2-3], [MQTT-3.14.2-4], [MQTT-3.1.2-24]
#[test]
fn a_disconnect_is_no_longer_than_the_client_takes() {
    let gateway = Gateway::start("");
    let connect = Connect::new("small").property(four(MAXIMUM_PACKET_SIZE, 20));
    let mut client = Client::with(&gateway, &connect);
    client.send(&Publish::new("a/#", "x").bytes());
    for packet in client.into_closed() {
        assert!(packet.length() <= 20, "{packet:02X?}");
    }
}

/// [MQTT-4.13.1-1], [MQTT-3.14.2-1]: an end for a reason says which, when the gateway is stopped too.
#[test]
fn a_gateway_that_stops_says_so() {
    let mut gateway = Gateway::start("");
    let mut client = Client::connect(&gateway, "last");
    gateway.stop();
    client.expect_ended("stop", &[0x8B]);
}
