//! Wills, §3.1.2.5 and §3.1.3.2; their delay is in `will_delay`.

use crate::client::Client;
use crate::packets::{
    CONTENT_TYPE, CORRELATION_DATA, Connect, MESSAGE_EXPIRY, PAYLOAD_FORMAT, Publish, RESPONSE_TOPIC, byte, disconnect,
    four, text, user,
};
use crate::parse::Message;
use crate::support::Gateway;

/// A gateway, and a client that sees the wills of all others.
pub(crate) fn watched() -> (Gateway, Client) {
    let gateway = Gateway::start("");
    let mut watcher = Client::connect(&gateway, "watcher");
    watcher.subscribe("will/#", 2 | crate::packets::AS_PUBLISHED);
    (gateway, watcher)
}

/// The next message must be the will on `will/ID`.
pub(crate) fn expect_will(watcher: &mut Client, id: &str) -> Message {
    let will = watcher.expect_finished();
    assert_eq!((&will.topic[..], &will.text()[..]), (&format!("will/{id}")[..], "gone"));
    will
}

/// No will came until now.
pub(crate) fn expect_no_will(gateway: &Gateway, watcher: &mut Client) {
    Client::connect(gateway, "end").say("will/end", "end");
    assert_eq!(watcher.expect_finished().text(), "end");
}

/// A CONNECT with a will on `will/ID`.
pub(crate) fn with_will(id: &str, flags: u8, list: &[Vec<u8>]) -> Connect {
    Connect::new(id).will(flags, &format!("will/{id}"), "gone", list)
}

/// [MQTT-3.1.2-7], [MQTT-3.1.2-8]
#[test]
fn the_will_is_published_when_the_connection_is_cut() {
    let (gateway, mut watcher) = watched();
    Client::with(&gateway, &with_will("cut", 0, &[])).cut();
    let will = expect_will(&mut watcher, "cut");
    assert_eq!(will.properties.0, Vec::<Vec<u8>>::new(), "nothing is added");
    assert!(!will.retain, "[MQTT-3.1.2-14]");
}

/// [MQTT-3.1.3-10], [MQTT-3.3.2-4], [MQTT-3.3.2-15], [MQTT-3.3.2-16], [MQTT-3.3.2-17], [MQTT-3.3.2-18], [MQTT-3.3.2-20]
#[test]
fn the_properties_of_a_will_are_passed_on_as_they_are() {
    let (gateway, mut watcher) = watched();
    let list = [
        byte(PAYLOAD_FORMAT, 1),
        text(CONTENT_TYPE, "text/plain"),
        text(RESPONSE_TOPIC, "answer/here"),
        text(CORRELATION_DATA, [0, 1, 255]),
        user("b", "2"),
        user("a", "1"),
        user("b", "1"),
    ];
    Client::with(&gateway, &with_will("full", 0x08, &list)).cut();
    assert_eq!(expect_will(&mut watcher, "full").properties.sorted(), list);
}

/// [MQTT-3.3.2-6]: a will's message expires as any other.
#[test]
fn the_message_expiry_of_a_will_is_passed_on() {
    let (gateway, mut watcher) = watched();
    Client::with(&gateway, &with_will("brief", 0, &[four(MESSAGE_EXPIRY, 100)])).cut();
    let left = expect_will(&mut watcher, "brief").properties.number(MESSAGE_EXPIRY).unwrap();
    assert!((1..=100).contains(&left), "{left}");
}

/// [MQTT-3.14.4-3], [MQTT-3.1.2-10]
#[test]
fn a_normal_disconnect_takes_the_will_away() {
    let (gateway, mut watcher) = watched();
    Client::with(&gateway, &with_will("polite", 0, &[])).leave();
    let mut short = Client::with(&gateway, &with_will("short", 0, &[]));
    short.send(&[0xE0, 0x00]);
    short.cut();
    expect_no_will(&gateway, &mut watcher);
}

/// §3.14.2.1, [MQTT-3.1.2-8]
#[test]
fn a_disconnect_with_any_other_code_publishes_the_will() {
    let (gateway, mut watcher) = watched();
    for code in [0x04, 0x80, 0x93] {
        // mosquitto 2.0.11 discards the will unless the code is 4.
        if gateway.is_stand_in() && code != 0x04 {
            continue;
        }
        Client::with(&gateway, &with_will("asked", 0, &[])).leave_with(code, &[]);
        expect_will(&mut watcher, "asked");
    }
}

/// [MQTT-3.1.2-8]: the server closes because of an error.
#[test]
fn the_will_is_published_after_a_protocol_error() {
    let (gateway, mut watcher) = watched();
    let mut wrong = Client::with(&gateway, &with_will("wrong", 0, &[]));
    wrong.send(&Publish::new("a/+", "x").bytes());
    expect_will(&mut watcher, "wrong");
}

/// [MQTT-3.1.2-8], [MQTT-3.1.2-22]: and because of silence.
#[test]
fn the_will_is_published_when_the_keep_alive_runs_out() {
    let (gateway, mut watcher) = watched();
    let mut silent = Client::with(&gateway, &with_will("silent", 0, &[]).keep_alive(1));
    expect_will(&mut watcher, "silent");
    silent.expect_ended("silence", &[0x8D]);
}

/// [MQTT-3.1.2-8], [MQTT-3.1.4-3]
#[test]
fn the_will_is_published_when_another_takes_over() {
    let (gateway, mut watcher) = watched();
    for connect in [Connect::new("same"), Connect::new("same").resume()] {
        let mut older = Client::with(&gateway, &with_will("same", 0, &[]));
        let mut newer = Client::with(&gateway, &connect);
        expect_will(&mut watcher, "same");
        older.expect_taken_over();
        newer.expect_nothing_more();
    }
}

/// [MQTT-3.1.2-10]
#[test]
fn a_will_that_was_published_is_gone() {
    let (gateway, mut watcher) = watched();
    Client::with(&gateway, &with_will("once", 0, &[]).expiry(100)).cut();
    expect_will(&mut watcher, "once");
    let mut again = Client::with(&gateway, &Connect::new("once").resume());
    assert!(again.is_present());
    // A DISCONNECT that would publish one.
    again.send(&disconnect(0x04, &[]));
    again.cut();
    expect_no_will(&gateway, &mut watcher);
}

/// [MQTT-3.1.2-15], [MQTT-3.1.2-14]
#[test]
fn a_will_is_retained_when_it_says_so_and_else_not() {
    let (gateway, mut watcher) = watched();
    Client::with(&gateway, &with_will("stays", 0x20, &[user("a", "b")])).cut();
    assert!(expect_will(&mut watcher, "stays").retain);
    Client::with(&gateway, &with_will("goes", 0, &[])).cut();
    assert!(!expect_will(&mut watcher, "goes").retain);
    let mut late = Client::connect(&gateway, "late");
    late.subscribe("will/#", 0);
    let will = expect_will(&mut late, "stays");
    assert!(will.retain && will.properties.0 == [user("a", "b")]);
    late.expect_nothing_more();
}

/// [MQTT-3.1.2-9], [MQTT-3.1.2-12]
#[test]
fn a_will_has_its_own_qos_and_may_be_empty() {
    let (gateway, mut watcher) = watched();
    for (flag, qos) in [(0x00, 0), (0x08, 1), (0x10, 2)] {
        Client::with(&gateway, &Connect::new("empty").will(flag, "will/empty", "", &[])).cut();
        let will = watcher.expect_finished();
        assert_eq!((will.qos, will.payload), (qos, Vec::new()));
    }
}

/// [MQTT-4.5.0-1]: the session of the client that is gone is a subscriber like any other.
#[test]
fn a_will_reaches_the_session_of_its_own_client() {
    let gateway = Gateway::start("");
    let mut client = Client::with(&gateway, &with_will("self", 0x08, &[]).expiry(100));
    client.subscribe("will/self", 1);
    client.cut();
    let mut client = Client::resume(&gateway, "self");
    assert_eq!(client.expect_finished().text(), "gone");
}
