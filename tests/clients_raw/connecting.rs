//! CONNECT and CONNACK, §3.1 and §3.2.

use std::io::Write;

use crate::support::Gateway;
use crate::wire::{
    CLEAN_SESSION, PERSISTENT, PINGREQ, PINGRESP, QOS1, RETAIN, Raw, WILL, connect, packet, publish, publish_id,
    string, subscribe,
};

/// A gateway and a connection to it on which `bytes` were sent.
fn sent(bytes: &[u8]) -> (Gateway, Raw) {
    let gateway = Gateway::start("");
    let mut raw = Raw::open(&gateway);
    raw.send(bytes);
    (gateway, raw)
}

/// `bytes` get `answer` and then the end of the connection.
fn check_answered_and_closed(bytes: &[u8], answer: &[u8]) {
    let (_gateway, mut raw) = sent(bytes);
    raw.expect_bytes(answer);
    assert_eq!(raw.expect_closed(), []);
}

/// `bytes` get nothing but the end of the connection.
fn check_closed(gateway: &Gateway, what: &str, bytes: &[u8]) {
    let mut raw = Raw::open(gateway);
    raw.send(bytes);
    assert_eq!(raw.expect_closed(), [], "{what}");
}

#[test]
fn keep_alive_zero_is_accepted() {
    let (_gateway, mut raw) = sent(&connect("zero", CLEAN_SESSION, 0, &[]));
    raw.expect_bytes(&[0x20, 0x02, 0x00, 0x00]);
    raw.expect_nothing_more();
}

#[test]
fn an_unknown_protocol_level_is_answered_with_code_1_and_closed() {
    // [MQTT-3.1.2-2]: "MQTT", level 9, clean session, keep-alive 60 s, client id "new".
    let bytes = packet(0x10, b"\x00\x04MQTT\x09\x02\x00\x3C\x00\x03new");
    check_answered_and_closed(&bytes, &[0x20, 0x02, 0x00, 0x01]);
}

#[test]
fn an_empty_client_id_with_a_persistent_session_is_answered_with_code_2_and_closed() {
    // [MQTT-3.1.3-8]
    check_answered_and_closed(&connect("", PERSISTENT, 60, &[]), &[0x20, 0x02, 0x00, 0x02]);
}

#[test]
fn empty_client_ids_with_clean_sessions_do_not_take_each_other_over() {
    // [MQTT-3.1.3-6]
    let gateway = Gateway::start("");
    let mut first = Raw::connect(&gateway, "");
    let mut second = Raw::connect(&gateway, "");
    first.expect_nothing_more();
    second.expect_nothing_more();
}

#[test]
fn long_and_non_ascii_client_ids_are_accepted() {
    let gateway = Gateway::start("");
    Raw::connect(&gateway, &"i".repeat(200)).expect_nothing_more();
    Raw::connect(&gateway, "été ☀ / + #").expect_nothing_more();
}

#[test]
fn malformed_connects_are_closed_without_an_answer() {
    let gateway = Gateway::start("");
    let will = [string("will"), string("gone")].concat();
    let wrong_name = packet(0x10, b"\x00\x04HTTP\x04\x02\x00\x3C\x00\x01a");
    check_closed(&gateway, "wrong protocol name [MQTT-3.1.2-1]", &wrong_name);
    check_closed(&gateway, "reserved flag [MQTT-3.1.2-3]", &connect("a", CLEAN_SESSION | 0x01, 60, &[]));
    check_closed(&gateway, "will QoS 3 [MQTT-3.1.2-14]", &connect("a", CLEAN_SESSION | WILL | 0x18, 60, &will));
    check_closed(&gateway, "will QoS without will [MQTT-3.1.2-13]", &connect("a", CLEAN_SESSION | 0x08, 60, &[]));
    check_closed(&gateway, "will retain without will [MQTT-3.1.2-15]", &connect("a", CLEAN_SESSION | 0x20, 60, &[]));
    let password = string("secret");
    check_closed(&gateway, "password without user [MQTT-3.1.2-22]", &connect("a", CLEAN_SESSION | 0x40, 60, &password));
    check_closed(
        &gateway,
        "flags of the fixed header [MQTT-2.2.2-2]",
        &packet(0x11, b"\x00\x04MQTT\x04\x02\x00\x3C\x00\x01a"),
    );
    check_closed(&gateway, "client id cut short", &packet(0x10, b"\x00\x04MQTT\x04\x02\x00\x3C\x00\x05a"));
    check_closed(
        &gateway,
        "client id not UTF-8 [MQTT-1.5.3-1]",
        &packet(0x10, b"\x00\x04MQTT\x04\x02\x00\x3C\x00\x02\xFF\xFE"),
    );
    check_closed(
        &gateway,
        "will topic with a wildcard",
        &connect("a", CLEAN_SESSION | WILL, 60, &[string("a/#"), string("x")].concat()),
    );
}

#[test]
fn whatever_comes_before_connect_is_closed() {
    // [MQTT-3.1.0-1]
    let gateway = Gateway::start("");
    check_closed(&gateway, "PINGREQ", &PINGREQ);
    check_closed(&gateway, "PUBLISH", &publish(0, "a", "x"));
    check_closed(&gateway, "SUBSCRIBE", &subscribe(1, &[("a", 0)]));
    check_closed(&gateway, "HTTP", b"GET / HTTP/1.1\r\nHost: gateway\r\n\r\n");
    // The remaining length may have four digits, §2.2.3.
    check_closed(&gateway, "a remaining length of five digits", &[0x10, 0xFF, 0xFF, 0xFF, 0xFF, 0x01]);
}

#[test]
fn a_second_connect_is_closed() {
    // [MQTT-3.1.0-2]
    let gateway = Gateway::start("");
    let mut raw = Raw::connect(&gateway, "twice");
    raw.send(&connect("twice", CLEAN_SESSION, 60, &[]));
    assert_eq!(raw.expect_closed(), []);
}

#[test]
fn who_never_sends_connect_is_closed_in_time() {
    let (gateway, mut silent) = sent(&[]);
    if gateway.is_stand_in() {
        return;
    }
    let mut slow = Raw::open(&gateway);
    slow.send(&connect("slow", CLEAN_SESSION, 60, &[])[..7]);
    assert_eq!(silent.expect_closed(), []);
    assert_eq!(slow.expect_closed(), []);
}

#[test]
fn packets_may_come_byte_by_byte_or_all_at_once() {
    let gateway = Gateway::start("");
    let all = [
        connect("pieces", CLEAN_SESSION, 60, &[]),
        subscribe(1, &[("pieces/#", 0)]),
        publish(0, "pieces/a", "one"),
        PINGREQ.to_vec(),
    ]
    .concat();
    let pieces: [Vec<&[u8]>; 2] = [all.chunks(1).collect(), vec![&all]];
    for pieces in pieces {
        let mut raw = Raw::open(&gateway);
        for piece in pieces {
            raw.send(piece);
        }
        raw.expect_bytes(&[0x20, 0x02, 0x00, 0x00]);
        raw.expect_bytes(&[0x90, 0x03, 0x00, 0x01, 0x00]);
        assert_eq!(raw.expect_publish().payload, b"one");
        raw.expect_bytes(&PINGRESP);
    }
}

#[test]
fn a_takeover_closes_the_older_connection_and_serves_the_newer() {
    // [MQTT-3.1.4-2]
    let gateway = Gateway::start("");
    let mut older = Raw::connect(&gateway, "same");
    older.subscribe("takeover", 0);
    let mut newer = Raw::connect(&gateway, "same");
    assert_eq!(older.expect_closed(), []);
    Raw::connect(&gateway, "other").publish_acknowledged(0, "takeover", "lost");
    newer.expect_nothing_more();
}

#[test]
fn a_flood_of_connections_that_say_nothing_keeps_nobody_out() {
    let gateway = Gateway::start("");
    let mut silent: Vec<_> = (0..200).map(|_| std::net::TcpStream::connect(gateway.address()).unwrap()).collect();
    for stream in &mut silent {
        let _ = stream.write_all(&[0x10]);
    }
    Raw::connect(&gateway, "heard").expect_nothing_more();
}

#[test]
fn client_ids_of_1_to_23_letters_and_digits_are_accepted() {
    // [MQTT-3.1.3-5]
    let gateway = Gateway::start("");
    let all = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    for id in [&all[..1], &all[..23], &all[23..46], &all[39..]] {
        Raw::connect(&gateway, id).expect_nothing_more();
    }
}

#[test]
fn a_client_id_that_belongs_to_the_house_is_answered_with_code_2_and_closed() {
    // [MQTT-3.1.3-9]
    let gateway = Gateway::start("");
    if gateway.is_stand_in() {
        return;
    }
    let mut raw = Raw::open(&gateway);
    raw.send(&connect("sensegate/stranger", CLEAN_SESSION, 60, &[]));
    raw.expect_bytes(&[0x20, 0x02, 0x00, 0x02]);
    assert_eq!(raw.expect_closed(), []);
}

#[test]
fn nothing_behind_a_refused_connect_is_looked_at() {
    // [MQTT-3.1.4-5]
    let gateway = Gateway::start("");
    let mut watcher = Raw::connect(&gateway, "watcher");
    watcher.subscribe("refused", 1);
    let mut raw = Raw::open(&gateway);
    raw.send(&[connect("", PERSISTENT, 60, &[]), publish_id(QOS1 | RETAIN, "refused", 1, "x")].concat());
    raw.expect_bytes(&[0x20, 0x02, 0x00, 0x02]);
    assert_eq!(raw.expect_closed(), []);
    watcher.expect_nothing_more();
    watcher.subscribe("refused", 0);
    watcher.expect_nothing_more();
}
