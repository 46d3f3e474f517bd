//! CONNECT that is refused, §3.1.4.

use std::fs;

use tempfile::TempDir;

use crate::client::{Client, check_ended, check_refused};
use crate::packets::{
    Connect, MAXIMUM_PACKET_SIZE, PAYLOAD_FORMAT, Publish, RECEIVE_MAXIMUM, REQUEST_PROBLEM, REQUEST_RESPONSE,
    RESPONSE_TOPIC, SESSION_EXPIRY, TOPIC_ALIAS_MAXIMUM, WILL_DELAY, byte, connect_raw, four, properties, text, two,
};
use crate::support::{Gateway, Process, sensegate};
use crate::wire::{Raw, packet, string};

/// Malformed packet, and protocol error: where a field has the wrong form, the standard leaves the choice.
const WRONG: &[u8] = &[0x81, 0x82];

/// [MQTT-3.1.0-1]
#[test]
fn whatever_comes_before_connect_is_closed() {
    let gateway = Gateway::start("");
    let packets: [&[u8]; 5] =
        [&[0xC0, 0x00], &Publish::new("a", "x").bytes(), &[0xF0, 0x00], &[0xE0, 0x00], &[0x20, 0x03, 0, 0, 0]];
    for bytes in packets {
        let mut raw = Raw::open(&gateway);
        raw.send(bytes);
        assert_eq!(raw.expect_closed(), [], "[MQTT-3.14.0-1]: {bytes:02X?}");
    }
}

/// [MQTT-3.1.0-2]
#[test]
fn a_second_connect_is_a_protocol_error() {
    check_ended(&Gateway::start(""), "twice", &Connect::new("offender").bytes(), &[0x82]);
}

/// [MQTT-3.1.2-1], [MQTT-3.1.2-2]
#[test]
fn unknown_protocols_are_refused() {
    let gateway = Gateway::start("");
    let header = |name: &str, level| [&string(name)[..], &[level, 0x02, 0, 60, 0]].concat();
    for (name, level) in [("MQTT", 6), ("MQTT", 0), ("MQTT", 127), ("HTTP", 5), ("mqtt", 5), ("MQIsdp", 5)] {
        let mut raw = Raw::open(&gateway);
        raw.send(&connect_raw(&header(name, level), &string("new")));
        // The answer may be none, the one of 3.1.1, or the one of version 5.
        for answer in raw.expect_closed() {
            assert_eq!((answer.first, answer.body[0]), (0x20, 0), "{name} {level}");
            assert!([0x01, 0x84].contains(&answer.body[1]), "{name} {level}: {answer:02X?}");
        }
    }
}

/// [MQTT-3.1.2-3], [MQTT-3.1.2-11], [MQTT-3.1.2-12], [MQTT-3.1.2-13], [MQTT-3.1.4-1]
#[test]
fn connect_flags_that_do_not_fit_are_refused() {
    let gateway = Gateway::start("");
    let check = |what, flags, rest: &[u8]| {
        check_refused(&gateway, what, &Connect::new("flags").wrong(flags, rest).bytes(), WRONG);
    };
    let will = [properties(&[]), string("will"), string("gone")].concat();
    check("reserved", 0x01, &[]);
    check("will QoS without a will", 0x08, &[]);
    check("will retain without a will", 0x20, &[]);
    check("will QoS 3", 0x04 | 0x18, &will);
}

/// [MQTT-3.1.2-9], [MQTT-3.1.2-16], [MQTT-3.1.2-17], [MQTT-3.1.2-18], [MQTT-3.1.2-19], [MQTT-3.1.3-3]
#[test]
fn payloads_that_do_not_fit_their_flags_are_refused() {
    let gateway = Gateway::start("");
    let check = |what, flags, rest: &[u8]| {
        check_refused(&gateway, what, &Connect::new("fields").wrong(flags, rest).bytes(), WRONG);
    };
    check("no will", 0x04, &[]);
    check("no will message", 0x04, &[properties(&[]), string("will")].concat());
    check("no user name", 0x80, &[]);
    check("no password", 0x40, &[]);
    check("a user name without its flag", 0x00, &string("somebody"));
    check("a password without its flag", 0x80, &[string("somebody"), string("secret")].concat());
    check("a will without its flag", 0x00, &[properties(&[]), string("will"), string("gone")].concat());
    let header = [&string("MQTT")[..], &[5, 2, 0, 60, 0]].concat();
    check_refused(&gateway, "no client identifier", &connect_raw(&header, &[]), WRONG);
    check_refused(&gateway, "client identifier cut short", &connect_raw(&header, &[0, 5, b'a']), WRONG);
}

/// [MQTT-2.1.3-1], [MQTT-3.1.4-1]
#[test]
fn connects_of_the_wrong_form_are_refused() {
    let gateway = Gateway::start("");
    let mut flags = Connect::new("form").bytes();
    flags[0] = 0x11;
    let mut raw = Raw::open(&gateway);
    raw.send(&flags);
    for answer in raw.expect_closed() {
        assert!(answer.connack().code >= 0x80);
    }
    let head = [&string("MQTT")[..], &[5, 2, 0, 60]].concat();
    let check = |what, bytes: &[u8]| check_refused(&gateway, what, &packet(0x10, bytes), WRONG);
    check("no property length", &head);
    check("properties longer than the packet", &[&head[..], &[0x7F, 0x00, 0x01, b'a']].concat());
    check("a property cut short", &[&head[..], &[0x02, 0x11, 0x00], &string("a")].concat());
    check("a property length of five bytes", &[&head[..], &[0x80, 0x80, 0x80, 0x80, 0x01], &string("a")].concat());
}

/// [MQTT-1.5.4-1], [MQTT-1.5.4-2], [MQTT-1.5.7-1], [MQTT-3.1.3-4], [MQTT-3.1.3-11], [MQTT-3.1.3-12]
#[test]
fn strings_of_a_connect_that_are_not_utf_8_are_refused() {
    let gateway = Gateway::start("");
    let header = [&string("MQTT")[..], &[5, 2, 0, 60, 0]].concat();
    let bad: [&[u8]; 5] = [b"\xFF\xFE", b"\xC0\x80", b"\xED\xA0\x80", b"\xF4\x90\x80\x80", b"a\0b"];
    for bytes in bad {
        let check = |what, packet: &[u8]| check_refused(&gateway, what, packet, &[0x81, 0x82, 0x85, 0x90]);
        check("client identifier", &connect_raw(&header, &string(bytes)));
        let will = [properties(&[]), string(bytes), string("gone")].concat();
        check("will topic", &Connect::new("utf").wrong(0x04, &will).bytes());
        check("user name", &Connect::new("utf").wrong(0x80, &string(bytes)).bytes());
        let user = |name: &[u8], value: &[u8]| [vec![0x26], string(name), string(value)].concat();
        check("name of a user property", &Connect::new("utf").property(user(bytes, b"a")).bytes());
        check("value of a user property", &Connect::new("utf").property(user(b"a", bytes)).bytes());
    }
}

/// §2.2.2.2, §3.1.2.11: each property is there once, and those of other packets are not there.
#[test]
fn properties_of_a_connect_that_are_twice_or_out_of_place_are_refused() {
    let gateway = Gateway::start("");
    let once = [
        four(SESSION_EXPIRY, 1),
        two(RECEIVE_MAXIMUM, 1),
        four(MAXIMUM_PACKET_SIZE, 1000),
        two(TOPIC_ALIAS_MAXIMUM, 1),
        byte(REQUEST_RESPONSE, 1),
        byte(REQUEST_PROBLEM, 1),
        text(0x15, "method"),
    ];
    for property in once {
        let connect = Connect::new("twice").property(property.clone()).property(property.clone());
        check_refused(&gateway, &format!("twice {property:02X?}"), &connect.bytes(), WRONG);
    }
    let elsewhere = [byte(0x01, 0), four(0x02, 1), text(0x03, "a"), text(0x08, "a"), two(0x13, 1), four(0x18, 1)];
    let unknown = [byte(0x00, 0), byte(0x7F, 0), vec![0x80, 0x01, 0x00], vec![0x0B, 0x01], text(0x12, "a")];
    for property in elsewhere.into_iter().chain(unknown) {
        let connect = Connect::new("elsewhere").property(property.clone());
        check_refused(&gateway, &format!("elsewhere {property:02X?}"), &connect.bytes(), WRONG);
    }
}

/// §3.1.2.11: values that a property must not have.
#[test]
fn properties_of_a_connect_with_impossible_values_are_refused() {
    let gateway = Gateway::start("");
    let impossible =
        [two(RECEIVE_MAXIMUM, 0), four(MAXIMUM_PACKET_SIZE, 0), byte(REQUEST_RESPONSE, 2), byte(REQUEST_PROBLEM, 2)];
    let data = Connect::new("impossible").property(text(0x16, "data"));
    check_refused(&gateway, "data without a method", &data.bytes(), WRONG);
    for property in impossible {
        let connect = Connect::new("impossible").property(property.clone());
        check_refused(&gateway, &format!("{property:02X?}"), &connect.bytes(), WRONG);
    }
}

/// §3.1.3.2: the will's properties are as strict as those of PUBLISH.
#[test]
fn wrong_wills_are_refused() {
    let gateway = Gateway::start("");
    let check = |what: &str, topic, list: &[Vec<u8>]| {
        let connect = Connect::new("wrong").will(0, topic, "gone", list);
        check_refused(&gateway, what, &connect.bytes(), &[0x81, 0x82, 0x90, 0x99]);
    };
    check("topic with a wildcard", "will/#", &[]);
    check("topic with a plus", "will/+/a", &[]);
    check("empty topic", "", &[]);
    check("payload format", "will", &[byte(PAYLOAD_FORMAT, 2)]);
    check("delay twice", "will", &[four(WILL_DELAY, 1), four(WILL_DELAY, 1)]);
    check("content type twice", "will", &[text(0x03, "a"), text(0x03, "a")]);
    check("topic alias", "will", &[two(0x23, 1)]);
    check("subscription identifier", "will", &[crate::packets::identifier(1)]);
    check("session expiry", "will", &[four(SESSION_EXPIRY, 1)]);
    check("response topic", "will", &[text(RESPONSE_TOPIC, "a/#")]);
}

/// [MQTT-3.1.4-6], [MQTT-3.2.2-7], [MQTT-4.13.2-1]
#[test]
fn nothing_that_follows_a_refused_connect_is_done() {
    let gateway = Gateway::start("");
    let publish = Publish::new("refused", "x").retain();
    let bytes = [Connect::new("refused").property(text(0x15, "unknown")).bytes(), publish.bytes()].concat();
    check_refused(&gateway, "unknown method", &bytes, &[0x8C]);
    let mut watcher = Client::connect(&gateway, "watcher");
    watcher.subscribe("refused", 0);
    watcher.expect_nothing_more();
}

/// [MQTT-3.1.4-2]: version 5 tells a bad login apart from a right that is missing, and nothing more.
#[test]
fn bad_logins_are_refused() {
    let directory = TempDir::with_prefix("sensegate-").unwrap();
    let file = directory.path().join("passwords");
    fs::write(&file, "").unwrap();
    let mut command = sensegate();
    Process::spawn(command.args(["passwd", "-b", "-I", "1000"]).arg(&file).args(["known", "secret"])).expect_success();
    let gateway = Gateway::start_either(
        &format!("[broker]\npassword_file = \"{}\"\n", file.display()),
        &format!("user root\nallow_anonymous false\npassword_file {}", file.display()),
    );
    let login = |user: &str, password: &str| Connect::new("login").user(user).password(password);
    Client::with(&gateway, &login("known", "secret")).expect_nothing_more();
    for connect in [login("known", "wrong"), login("unknown", "secret"), Connect::new("login").user("known")] {
        check_refused(&gateway, "login", &connect.bytes(), &[0x86, 0x87]);
    }
}
