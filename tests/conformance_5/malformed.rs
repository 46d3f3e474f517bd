//! Packets that no packet is like, and those that a client never sends, §2.1 and §4.13.

use crate::client::{Client, check_ended};
use crate::packets::Publish;
use crate::support::Gateway;
use crate::wire::{CLEAN_SESSION, Raw, connect, packet};

/// Malformed packet, and protocol error.
const WRONG: &[u8] = &[0x81, 0x82];

/// [MQTT-1.5.5-1], [MQTT-4.13.1-1]
#[test]
fn a_remaining_length_of_five_bytes_is_malformed() {
    let gateway = Gateway::start("");
    check_ended(&gateway, "five bytes", &[0x30, 0xFF, 0xFF, 0xFF, 0xFF, 0x01], &[0x81]);
    check_ended(&gateway, "five bytes of zero", &[0xC0, 0x80, 0x80, 0x80, 0x80, 0x00], &[0x81]);
}

/// [MQTT-1.5.5-1]: a longer form than needed is wrong, though nobody is obliged to notice.
#[test]
fn a_length_that_is_longer_than_needed_ends_the_connection_or_is_understood() {
    let gateway = Gateway::start("");
    let mut client = Client::connect(&gateway, "long");
    client.send(&[0xC0, 0x80, 0x00]);
    let first = client.expect_packet();
    assert!(first.first == 0xD0 || WRONG.contains(&first.disconnect().code), "{first:02X?}");
}

/// §2.1.2: type 0 is forbidden.
#[test]
fn packet_type_0_is_malformed() {
    let gateway = Gateway::start("");
    check_ended(&gateway, "type 0", &[0x00, 0x00], WRONG);
}

/// §2.1.2: these go from server to client only.
#[test]
fn packets_that_only_a_server_sends_are_protocol_errors() {
    let gateway = Gateway::start("");
    let packets = [
        ("CONNACK", packet(0x20, &[0, 0, 0])),
        ("SUBACK", packet(0x90, &[0, 1, 0, 0])),
        ("UNSUBACK", packet(0xB0, &[0, 1, 0, 0])),
        ("PINGRESP", packet(0xD0, &[])),
    ];
    for (name, bytes) in packets {
        check_ended(&gateway, name, &bytes, WRONG);
    }
}

/// [MQTT-4.13.1-1]: one bad client does not trouble another.
#[test]
fn others_are_served_on_beside_a_malformed_client() {
    let gateway = Gateway::start("");
    let mut good = Client::connect(&gateway, "good");
    good.subscribe("t", 1);
    for bytes in [&[0xFF, 0xFF, 0xFF, 0xFF, 0xFF][..], b"GET / HTTP/1.1\r\n\r\n", &[0x36, 0x00], &[0x82, 0x00]] {
        let mut bad = Client::connect(&gateway, "bad");
        bad.send(bytes);
        bad.cut();
        good.say("t", "x");
        assert_eq!(good.expect_finished().text(), "x");
    }
}

/// [MQTT-4.13.1-1]: what a connection said before its error counts.
#[test]
fn what_came_before_an_error_is_done() {
    let gateway = Gateway::start("");
    let mut watcher = Client::connect(&gateway, "watcher");
    watcher.subscribe("t", 0);
    let mut client = Client::connect(&gateway, "late");
    client.send(&[Publish::new("t", "before").bytes(), vec![0x36, 0x00]].concat());
    assert_eq!(watcher.expect_message().text(), "before");
    client.expect_ended("malformed", &[0x81]);
}

/// §2.1.4: packets come in any pieces.
#[test]
fn packets_may_come_byte_by_byte_or_all_at_once() {
    let gateway = Gateway::start("");
    let all = [
        crate::packets::subscribe(1, &[crate::packets::identifier(300)], &[("t", 0)]),
        Publish::new("t", "x").property(crate::packets::user("a", "b")).bytes(),
        crate::wire::PINGREQ.to_vec(),
    ]
    .concat();
    for size in [1, 2, 3, all.len()] {
        let mut client = Client::connect(&gateway, "pieces");
        all.chunks(size).for_each(|piece| client.send(piece));
        assert_eq!(client.expect_packet().codes(0x90).codes, [0]);
        assert_eq!(client.expect_message().properties.identifiers(), [300]);
        assert_eq!(client.expect_packet().first, 0xD0);
    }
}

/// §3.1.4: what was sent together with CONNECT is done after it.
#[test]
fn a_client_need_not_wait_for_connack() {
    let gateway = Gateway::start("");
    let mut raw = Raw::open(&gateway);
    let connect = crate::packets::Connect::new("eager").bytes();
    raw.send(&[connect, crate::packets::subscribe(1, &[], &[("t", 0)]), Publish::new("t", "x").bytes()].concat());
    assert_eq!(raw.expect_packet().connack().code, 0);
    assert_eq!(raw.expect_packet().codes(0x90).codes, [0]);
    assert_eq!(raw.expect_packet().message().text(), "x");
}

/// §3.14: DISCONNECT from a server is of version 5; to an older client there is none.
#[test]
fn a_client_of_3_1_1_is_never_sent_a_disconnect() {
    let gateway = Gateway::start("");
    let (mut raw, _) = Raw::connect_with(&gateway, &connect("old", CLEAN_SESSION, 60, &[]));
    raw.send(&[0x36, 0x00]);
    assert_eq!(raw.expect_closed(), []);
}

/// A connection that is not spoken on is closed in time, and not sent anything.
#[test]
fn a_connect_that_never_ends_is_closed_in_time() {
    let gateway = Gateway::start("[broker.limits]\nconnect_timeout = \"500ms\"\n");
    if gateway.is_stand_in() {
        return;
    }
    let mut raw = Raw::open(&gateway);
    raw.send(&crate::packets::Connect::new("slow").bytes()[..9]);
    assert_eq!(raw.expect_closed(), [], "[MQTT-3.14.0-1]");
}
