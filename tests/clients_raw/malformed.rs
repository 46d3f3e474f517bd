//! What a client must not send once it is connected: the connection is closed, and nobody else notices.

use crate::support::Gateway;
use crate::wire::{
    CLEAN_SESSION, DUP, Packet, QOS1, RETAIN, Raw, WILL, connect, packet, publish, publish_id, string, subscribe,
    unsubscribe,
};

/// What mosquitto lets pass when it stands in.
const STAND_IN_FORGIVES: [&str; 7] = [
    "PUBLISH with QoS 0 and DUP [MQTT-3.3.1-2]",
    "PUBACK with flags",
    "PINGREQ with flags",
    "DISCONNECT with flags [MQTT-3.14.1-1]",
    "SUBACK",
    "UNSUBACK",
    "PINGRESP",
];

/// Each of `cases` gets nothing but the end of its connection, and a client beside it is served on.
fn check_closed(cases: &[(&str, Vec<u8>)]) {
    let gateway = Gateway::start("");
    let mut beside = Raw::connect(&gateway, "beside");
    beside.subscribe("beside", 0);
    let forgiven = |what: &str| gateway.is_stand_in() && STAND_IN_FORGIVES.contains(&what);
    for (what, bytes) in cases.iter().filter(|(what, _)| !forgiven(what)) {
        // Shown when the test fails.
        println!("{what}");
        let mut raw = Raw::connect(&gateway, "wrong");
        raw.send(bytes);
        let answers: Vec<Packet> = raw.expect_closed();
        assert_eq!(answers, [], "{what}");
        beside.send(&publish(0, "beside", what));
        assert_eq!(beside.expect_publish().payload, what.as_bytes());
    }
}

/// PUBLISH with QoS 0 to a topic of any bytes.
fn publish_to(topic: &[u8]) -> Vec<u8> {
    packet(0x30, &[&string(topic)[..], b"x"].concat())
}

#[test]
fn invalid_filters_are_closed() {
    // [MQTT-4.7.1-2], [MQTT-4.7.1-3], [MQTT-4.7.3-1]
    let filters = ["a/b#", "a+/b", "a/#/b", "#/a", "+a", "##", "myRasp/groundfloor+/temperature", ""];
    check_closed(&filters.map(|filter| (filter, subscribe(1, &[(filter, 0)]))));
    check_closed(&filters.map(|filter| (filter, subscribe(1, &[("good", 0), (filter, 0)]))));
}

#[test]
fn invalid_topic_names_are_closed() {
    check_closed(&[
        ("plus [MQTT-3.3.2-2]", publish_to(b"a/+/b")),
        ("hash [MQTT-3.3.2-2]", publish_to(b"a/#")),
        ("NUL [MQTT-4.7.3-2]", publish_to(b"a\0b")),
        ("empty [MQTT-4.7.3-1]", publish_to(b"")),
        ("not UTF-8 [MQTT-1.5.3-1]", publish_to(b"a/\xFF\xFE")),
        ("overlong [MQTT-1.5.3-1]", publish_to(b"a/\xC0\xAF")),
        ("a surrogate [MQTT-1.5.3-1]", publish_to(b"a/\xED\xA0\x80")),
        ("NUL in a filter", subscribe(1, &[("a\0b", 0)])),
        ("plus, to be acknowledged", publish_id(QOS1, "a/+/b", 1, "x")),
    ]);
}

/// Version 3.1.1, section 1.5.3: a receiver may close the connection over these code points, and mosquitto does.
#[test]
fn control_characters_and_non_characters_are_closed() {
    for character in
        ["\x01", "\n", "\x1F", "\x7F", "\u{80}", "\u{9F}", "\u{FDD0}", "\u{FFFE}", "\u{FFFF}", "\u{10FFFF}"]
    {
        let text = format!("a/{character}");
        let will = [string(&text), string("x")].concat();
        check_closed(&[
            ("topic", publish_to(text.as_bytes())),
            ("topic, retained", publish(RETAIN, &text, "x")),
            ("topic, to be acknowledged", publish_id(QOS1, &text, 1, "x")),
            ("filter", subscribe(1, &[(&text, 0)])),
            ("second filter", subscribe(1, &[("good", 0), (&text, 0)])),
        ]);
        let gateway = Gateway::start("");
        for (what, bytes) in [
            ("client identifier", connect(&text, CLEAN_SESSION, 60, &[])),
            ("will topic", connect("a", CLEAN_SESSION | WILL, 60, &will)),
            ("user name", connect("a", CLEAN_SESSION | 0x80, 60, &string(&text))),
        ] {
            let mut raw = Raw::open(&gateway);
            raw.send(&bytes);
            let answers = raw.expect_closed();
            let is_refused = |packet: &Packet| packet.first == 0x20 && packet.body[1] != 0;
            assert!(answers.iter().all(is_refused), "{what} {character:?}: {answers:02x?}");
        }
    }
}

#[test]
fn characters_beside_the_refused_ones_are_accepted() {
    let gateway = Gateway::start("");
    let mut raw = Raw::connect(&gateway, "beside");
    for character in [" ", "~", "\u{A0}", "\u{FDCF}", "\u{FDF0}", "\u{FFFD}", "\u{FEFF}", "\u{10000}", "\u{10FFFD}"] {
        raw.send(&publish_id(QOS1, &format!("a/{character}"), 1, "x"));
        raw.expect_bytes(&[0x40, 2, 0, 1]);
    }
}

#[test]
fn packets_that_break_their_layout_are_closed() {
    check_closed(&[
        ("PUBLISH with QoS 3 [MQTT-3.3.1-4]", publish_id(0x06, "a", 1, "x")),
        ("PUBLISH with QoS 0 and DUP [MQTT-3.3.1-2]", publish(DUP, "a", "x")),
        ("PUBLISH with packet id 0 [MQTT-2.3.1-1]", publish_id(QOS1, "a", 0, "x")),
        ("PUBLISH without packet id", packet(0x32, &string("a"))),
        ("PUBLISH with a topic cut short", packet(0x30, &[0x00, 0x09, b'a'])),
        ("SUBSCRIBE with packet id 0 [MQTT-2.3.1-1]", subscribe(0, &[("a", 0)])),
        ("SUBSCRIBE with flags 0 [MQTT-3.8.1-1]", packet(0x80, &[0x00, 0x01, 0x00, 0x01, b'a', 0x00])),
        ("SUBSCRIBE without filters [MQTT-3.8.3-3]", packet(0x82, &[0x00, 0x01])),
        ("SUBSCRIBE with QoS 3 [MQTT-3-8.3-4]", subscribe(1, &[("a", 3)])),
        ("SUBSCRIBE with reserved bits [MQTT-3-8.3-4]", subscribe(1, &[("a", 0x41)])),
        ("SUBSCRIBE without its last byte", packet(0x82, &[0x00, 0x01, 0x00, 0x01, b'a'])),
        ("UNSUBSCRIBE with flags 0 [MQTT-3.10.1-1]", packet(0xA0, &[0x00, 0x01, 0x00, 0x01, b'a'])),
        ("UNSUBSCRIBE without filters [MQTT-3.10.3-2]", packet(0xA2, &[0x00, 0x01])),
        ("UNSUBSCRIBE of an invalid filter", unsubscribe(1, "a/#/b")),
        ("PUBREL with flags 0 [MQTT-3.6.1-1]", packet(0x60, &[0x00, 0x01])),
        ("PUBACK with flags", packet(0x42, &[0x00, 0x01])),
        ("PUBACK cut short", packet(0x40, &[0x00])),
        ("PINGREQ with flags", packet(0xC1, &[])),
        ("DISCONNECT with flags [MQTT-3.14.1-1]", packet(0xE1, &[])),
    ]);
}

#[test]
fn packets_that_no_client_sends_are_closed() {
    check_closed(&[
        ("CONNACK", packet(0x20, &[0x00, 0x00])),
        ("SUBACK", packet(0x90, &[0x00, 0x01, 0x00])),
        ("UNSUBACK", packet(0xB0, &[0x00, 0x01])),
        ("PINGRESP", packet(0xD0, &[])),
        ("type 0", packet(0x00, &[])),
        ("type 15, which is AUTH only in MQTT 5", packet(0xF0, &[])),
    ]);
}

#[test]
fn packets_without_a_body_that_have_one_are_closed() {
    let gateway = Gateway::start("");
    if gateway.is_stand_in() {
        return;
    }
    check_closed(&[
        ("PINGREQ", packet(0xC0, &[0x00])),
        ("DISCONNECT", packet(0xE0, &[0x00])),
        ("PUBACK with the reason code of MQTT 5", packet(0x40, &[0x00, 0x01, 0x00])),
    ]);
}

#[test]
fn an_oversize_packet_is_closed_at_its_header() {
    let gateway = Gateway::start("");
    if gateway.is_stand_in() {
        return;
    }
    let mut raw = Raw::connect(&gateway, "big");
    // PUBLISH of 268 435 455 bytes, of which none follows.
    raw.send(&[0x30, 0xFF, 0xFF, 0xFF, 0x7F]);
    assert_eq!(raw.expect_closed(), []);
}

#[test]
fn a_remaining_length_of_five_digits_is_closed() {
    check_closed(&[("five digits", vec![0x30, 0x80, 0x80, 0x80, 0x80, 0x01])]);
}

#[test]
fn filters_that_are_not_utf_8_are_closed() {
    // [MQTT-3.8.3-1], [MQTT-3.10.3-1]
    let numbered = |rest: &[u8]| [&[0x00, 0x01], rest].concat();
    let (good, bad) = (string("a"), string(b"a/\xFF"));
    check_closed(&[
        ("SUBSCRIBE", packet(0x82, &numbered(&[&bad[..], &[0x00]].concat()))),
        ("SUBSCRIBE, the second", packet(0x82, &numbered(&[&good[..], &[0x00], &bad, &[0x00]].concat()))),
        ("UNSUBSCRIBE", packet(0xA2, &numbered(&bad))),
        ("UNSUBSCRIBE, the second", packet(0xA2, &numbered(&[good, bad].concat()))),
    ]);
}
