//! Who is let in, who takes whose place, and what is left behind.

use std::time::Duration;

use bytes::Bytes;
use sensegate::mqtt::{Connect, ConnectReturnCode, Disconnect, Packet, ProtocolVersion, ReasonCode};

use crate::client::{Client, End, conn_ack, connect, connect_with, pub_ack, publish, will};
use crate::ubidots_server::{Connects, Dropped, Limits, OWNER, Revocation, TOKEN, Ubidots};

fn check_refused(ubidots: &Ubidots, connect: Connect, code: ConnectReturnCode) {
    let mut client = Client::open(ubidots);
    client.send(&Packet::Connect(connect));
    client.expect(&conn_ack(code));
    assert_eq!(client.expect_end(), End::Closed);
}

#[test]
fn a_token_is_enough_and_the_password_is_not_looked_at() {
    let ubidots = Ubidots::start();
    for password in [None, Some(""), Some(TOKEN), Some("anything")] {
        let password = password.map(|text| Bytes::from_static(text.as_bytes()).into());
        Client::connect_with(&ubidots, Connect { password, ..connect("me") }).leave();
    }
    let has_password: Vec<_> = ubidots.connects().iter().map(|connect| connect.has_password).collect();
    assert_eq!(has_password, [false, true, true, true]);
    assert_eq!(ubidots.counters().takeovers, 0);
}

#[test]
fn an_unknown_or_empty_token_is_refused_with_4_or_with_5() {
    let ubidots = Ubidots::start();
    for code in [ConnectReturnCode::BadUserNameOrPassword, ConnectReturnCode::NotAuthorized] {
        ubidots.refuse_unknown_tokens_with(code);
        for token in [None, Some(""), Some("BBUS-unknown"), Some(OWNER)] {
            check_refused(&ubidots, connect_with("me", token), code);
        }
    }
    assert!(!ubidots.has_let_in());
    assert_eq!(ubidots.connects().len(), 8);
}

#[test]
fn a_client_without_identifier_needs_a_clean_session() {
    let ubidots = Ubidots::start();
    let persistent = Connect { clean_session: false, ..connect("") };
    check_refused(&ubidots, persistent, ConnectReturnCode::IdentifierRejected);
    let (mut first, mut second) = (Client::connect(&ubidots, ""), Client::connect(&ubidots, ""));
    first.expect_nothing();
    second.expect_nothing();
}

#[test]
fn the_protocol_level_of_a_bridge_is_taken() {
    let ubidots = Ubidots::start();
    let mut client = Client::open(&ubidots);
    let head = b"\x00\x04MQTT\x84\x82\x00\x3C\x00\x02me\x00";
    let length = u8::try_from(head.len() + 1 + TOKEN.len()).unwrap();
    let user_name_length = u8::try_from(TOKEN.len()).unwrap();
    client.send_bytes(&[&[0x10, length], &head[..], &[user_name_length], TOKEN.as_bytes()].concat());
    client.expect(&conn_ack(ConnectReturnCode::Accepted));
    client.publish("/v1.6/devices/d", r#"{"a": 1}"#);
    assert_eq!(ubidots.dots("d", "a").len(), 1);
}

#[test]
fn version_5_is_told_that_qos_1_is_the_most_and_why_it_is_closed() {
    let ubidots = Ubidots::start();
    let connect = || Connect { version: ProtocolVersion::V5, ..connect("me") };
    let greet = || {
        let mut client = Client::open(&ubidots);
        client.send(&Packet::Connect(connect()));
        let properties = client.expect_conn_ack().properties;
        assert_eq!(properties.maximum_qos_is_1, Some(true));
        assert!(properties.receive_maximum.is_some_and(|maximum| maximum.get() < 100));
        client
    };
    let mut first = greet();
    first.publish("/v2.0/devices/d", r#"{"a": 1}"#);
    let mut second = greet();
    first.expect(&Packet::Disconnect(Disconnect::new(ReasonCode::SessionTakenOver)));
    assert_eq!(first.expect_end(), End::Closed);
    second.publish("/v2.0/devices/d", r#"{"a": 2}"#);
    assert_eq!(ubidots.dots("d", "a").len(), 2);
}

#[test]
fn the_same_identifier_again_takes_over_and_the_will_of_the_first_is_published() {
    let ubidots = Ubidots::start();
    let will = Some(will("/v1.6/devices/d/online", r#"{"value": 0}"#));
    let mut first = Client::connect_with(&ubidots, Connect { will, ..connect("me") });
    let mut second = Client::connect(&ubidots, "me");
    assert_eq!(first.expect_end(), End::Closed);
    second.publish("/v1.6/devices/d", r#"{"a": 1}"#);
    assert_eq!(ubidots.counters().takeovers, 1);
    assert_eq!(ubidots.clients(), ["me"]);
    let wills = ubidots.wills();
    assert_eq!((wills.len(), wills[0].connection, wills[0].outcome), (1, 1, Ok(1)));
    assert_eq!(ubidots.misconduct(), Vec::<String>::new());
}

#[test]
fn a_will_is_published_when_the_connection_is_lost_and_not_after_a_disconnect() {
    let ubidots = Ubidots::start();
    let connect = || Connect { will: Some(will("/v1.6/devices/d/online", r#"{"value": 0}"#)), ..connect("me") };
    Client::connect_with(&ubidots, connect()).leave();
    assert!(ubidots.wills().is_empty());
    drop(Client::connect_with(&ubidots, connect()));
    let wills = ubidots.wait_for_wills(1);
    assert_eq!((wills[0].client_id.as_str(), wills[0].outcome), ("me", Ok(1)));
    let dots = ubidots.dots("d", "online");
    assert_eq!((dots.len(), dots[0].connection, dots[0].qos, dots[0].value.to_string()), (1, 2, 1, "0".to_owned()));
}

#[test]
fn a_will_that_is_no_dot_is_lost_and_told_as_misconduct() {
    let ubidots = Ubidots::start();
    for (topic, payload, dropped) in
        [("/v1.6/devices/d/online", "offline", Dropped::Form), ("myRasp/status", r#"{"value": 0}"#, Dropped::Topic)]
    {
        let before = ubidots.wills().len();
        drop(Client::connect_with(&ubidots, Connect { will: Some(will(topic, payload)), ..connect("me") }));
        assert_eq!(ubidots.wait_for_wills(before + 1)[before].outcome, Err(dropped));
    }
    assert!(ubidots.all_dots().is_empty());
    assert_eq!(ubidots.misconduct().len(), 2, "{:?}", ubidots.misconduct());
}

#[test]
fn a_client_that_is_silent_for_one_and_a_half_keep_alives_is_closed() {
    let ubidots = Ubidots::start();
    let will = Some(will("/v1.6/devices/d/online", r#"{"value": 0}"#));
    let mut client = Client::connect_with(&ubidots, Connect { will, keep_alive_s: 1, ..connect("me") });
    assert_eq!(client.expect_end(), End::Closed);
    let testament = &ubidots.wait_for_wills(1)[0];
    assert!(testament.at.since(ubidots.connects()[0].at) >= Duration::from_millis(1500));
    assert_eq!(ubidots.counters().silent, 1);
}

#[test]
fn a_revoked_token_is_taken_no_more() {
    let ubidots = Ubidots::start();
    let mut client = Client::connect(&ubidots, "me");
    client.publish("/v1.6/devices/d", r#"{"a": 1}"#);
    ubidots.revoke(TOKEN, Revocation::Silent);
    client.publish("/v1.6/devices/d", r#"{"a": 2}"#);
    assert_eq!(ubidots.dots("d", "a").len(), 1);
    assert_eq!(ubidots.counters().dropped_as(Dropped::Unauthorised), 1);
    check_refused(&ubidots, connect("me too"), ConnectReturnCode::BadUserNameOrPassword);
    ubidots.revoke(TOKEN, Revocation::Closing);
    assert_eq!(client.expect_end(), End::Closed);
}

#[test]
fn a_client_that_connects_too_often_is_refused() {
    let ubidots = Ubidots::start();
    let connects = Connects { count_max: 2, window: Duration::from_secs(3600) };
    ubidots.limit(Limits { connects: Some(connects), ..Limits::OFF });
    Client::connect(&ubidots, "me").leave();
    Client::connect(&ubidots, "me").leave();
    check_refused(&ubidots, connect("me"), ConnectReturnCode::NotAuthorized);
    Client::connect(&ubidots, "somebody else").leave();
    assert_eq!(ubidots.reconnect_delays("me").len(), 2);
}

#[test]
fn what_comes_before_the_connack_is_noticed() {
    let ubidots = Ubidots::start();
    let mut client = Client::open(&ubidots);
    client.send_all(&[&Packet::Connect(connect("me")), &publish("/v1.6/devices/d", r#"{"a": 1}"#)]);
    client.expect(&conn_ack(ConnectReturnCode::Accepted));
    client.expect(&pub_ack());
    assert_eq!(ubidots.counters().early, 1);
    assert_eq!(ubidots.misconduct(), ["1 connections on which something came before the CONNACK"]);
}

#[test]
fn bytes_that_are_no_mqtt_end_the_connection() {
    let ubidots = Ubidots::start();
    for first in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xC0, 0x00]] {
        let mut client = Client::open(&ubidots);
        client.send_bytes(first);
        client.expect_end();
    }
    assert_eq!((ubidots.counters().malformed, ubidots.arrivals().len(), ubidots.connects().len()), (1, 2, 0));
}
