//! What is stored, and what is acknowledged and lost.

use std::process::Command;
use std::time::Duration;

use sensegate::base::clock;
use sensegate::mqtt::{Acknowledgement, Packet, Publish, QoS};

use crate::client::{Client, End, ID, connect_with, pub_ack, publish};
use crate::support::{Broker, Process, has_mosquitto, has_mosquitto_clients, skip_or_fail};
use crate::ubidots_server::{Account, Dot, Dropped, Kind, OWNER, QoS2, TOKEN, Ubidots};

/// Values and timestamps.
fn short(dots: &[Dot]) -> Vec<(f64, i64)> {
    dots.iter().map(|dot| (dot.value, dot.timestamp_ms)).collect()
}

#[test]
fn dots_are_stored_as_they_were_sent_in_the_order_of_their_arrival() {
    let ubidots = Ubidots::start();
    let mut client = Client::connect(&ubidots, "me");
    client.publish(
        "/v1.6/devices/my-rasp",
        r#"{"t": [{"value": 10, "timestamp": 1702933911000}, {"value": 12.25, "timestamp": 1702933912000}], "h": 90}"#,
    );
    client.publish("/v2.0/devices/my-rasp/t", r#"{"value": -3, "timestamp": 1702933910, "context": {"lat": "6.5"}}"#);
    let dots = ubidots.dots("my-rasp", "t");
    assert_eq!(short(&dots), [(10.0, 1_702_933_911_000), (12.25, 1_702_933_912_000), (-3.0, 1_702_933_910)]);
    let last = &dots[2];
    assert_eq!((last.owner.as_str(), last.qos, last.retain, last.dup, last.is_dated), (OWNER, 1, false, false, true));
    assert_eq!(last.context["lat"], "6.5");
    assert_eq!(ubidots.all_dots().len(), 4);
    assert_eq!(ubidots.counters().dots, 4);
    assert_eq!(ubidots.misconduct(), Vec::<String>::new());
}

#[test]
fn a_dot_without_timestamp_gets_the_time_of_its_arrival() {
    let ubidots = Ubidots::start();
    let before = clock::wall();
    Client::connect(&ubidots, "me").publish("/v1.6/devices/d", r#"{"a": 1}"#);
    let dot = &ubidots.dots("d", "a")[0];
    assert!(!dot.is_dated);
    assert_eq!(dot.timestamp_ms, dot.created_at.unix_ms());
    assert!((before..=clock::wall()).contains(&dot.created_at));
}

#[test]
fn what_is_wrong_is_acknowledged_lost_and_counted() {
    let ubidots = Ubidots::start();
    let mut client = Client::connect(&ubidots, "me");
    let long = format!(r#"{{"a": 1{}}}"#, " ".repeat(10_000));
    for (topic, payload, dropped) in [
        ("/v1.6/devices/d", r#"{"a": "text"}"#, Dropped::Value),
        ("/v1.6/devices/d", "{", Dropped::Form),
        ("/v1.6/devices/d/a", "27", Dropped::Form),
        ("/v1.6/devices/d", r#"{"a": {"value": 1, "timestamp": 1.5}}"#, Dropped::Timestamp),
        ("/v1.6/devices/d", r#"{"a b": 1}"#, Dropped::Label),
        ("/v1.6/devices/my rasp", r#"{"a": 1}"#, Dropped::Topic),
        ("v1.6/devices/d", r#"{"a": 1}"#, Dropped::Topic),
        ("/v1.6/devices/d", &long, Dropped::TooLarge),
    ] {
        let before = ubidots.counters();
        client.publish(topic, payload);
        let after = ubidots.counters();
        assert_eq!(after.dropped_as(dropped), before.dropped_as(dropped) + 1, "{topic} {payload}");
        assert_eq!(after.dropped_in_all(), before.dropped_in_all() + 1);
    }
    assert!(ubidots.all_dots().is_empty());
    assert_eq!(ubidots.counters().pub_acks, 8);
}

#[test]
fn flags_of_a_publish_are_recorded_and_told_as_misconduct() {
    let ubidots = Ubidots::start();
    let mut client = Client::connect(&ubidots, "me");
    let retained = Publish { retain: true, ..Publish::new("/v1.6/devices/d", br#"{"a": 1}"#) };
    client.send(&Packet::Publish(retained));
    let copy = Publish { qos: QoS::AtLeastOnce, dup: true, packet_id: Some(ID), retain: false, ..retained };
    client.send(&Packet::Publish(copy));
    client.expect(&pub_ack());
    let flags: Vec<_> = ubidots.dots("d", "a").iter().map(|dot| (dot.qos, dot.retain, dot.dup)).collect();
    assert_eq!(flags, [(0, true, false), (1, false, true)]);
    assert_eq!(ubidots.misconduct(), ["/v1.6/devices/d is retained"]);
}

#[test]
fn qos_2_ends_the_connection_unless_it_is_taken() {
    let ubidots = Ubidots::start();
    let mut client = Client::connect(&ubidots, "me");
    let publish = Publish::new("/v1.6/devices/d", br#"{"a": 1}"#);
    let publish = Packet::Publish(Publish { qos: QoS::ExactlyOnce, packet_id: Some(ID), ..publish });
    client.send(&publish);
    assert_eq!(client.expect_end(), End::Closed);
    assert!(ubidots.all_dots().is_empty());

    ubidots.treat_qos_2(QoS2::IsTaken);
    let mut client = Client::connect(&ubidots, "me");
    client.send(&publish);
    client.expect(&Packet::PubRec(Acknowledgement::success(ID)));
    client.send(&Packet::PubRel(Acknowledgement::success(ID)));
    client.expect(&Packet::PubComp(Acknowledgement::success(ID)));
    assert_eq!(ubidots.dots("d", "a").len(), 1);
    assert_eq!(ubidots.counters().publishes_of_qos_2, 2);
}

#[test]
fn a_device_token_writes_its_devices_only() {
    let ubidots = Ubidots::start();
    ubidots.add_token("BBUS-device", Account::of(OWNER).only(&["mine"]));
    let mut client = Client::connect_with(&ubidots, connect_with("me", Some("BBUS-device")));
    client.publish("/v1.6/devices/mine", r#"{"a": 1}"#);
    client.publish("/v1.6/devices/other", r#"{"a": 1}"#);
    assert_eq!((ubidots.dots("mine", "a").len(), ubidots.dots("other", "a").len()), (1, 0));
    assert_eq!(ubidots.counters().dropped_as(Dropped::Unauthorised), 1);
}

#[test]
fn publishes_are_logged_with_the_moments_of_their_arrival() {
    let ubidots = Ubidots::start();
    let mut client = Client::connect(&ubidots, "me");
    let (first, second) = (r#"{"a": 1}"#, r#"{"a": 2}"#);
    client.send_all(&[&publish("/v1.6/devices/d", first), &publish("/v1.6/devices/d", second)]);
    client.expect(&pub_ack());
    client.expect(&pub_ack());
    let publishes = ubidots.publishes();
    let payloads: Vec<_> = publishes.iter().map(|(_, published)| published.payload.as_slice()).collect();
    assert_eq!(payloads, [first.as_bytes(), second.as_bytes()]);
    let apart = publishes[1].0.since(publishes[0].0);
    assert_eq!(ubidots.publishes_max_within(apart + Duration::from_nanos(1)), 2);
    assert_eq!(ubidots.publishes_max_within(Duration::ZERO), 0);
    let kinds: Vec<_> = ubidots.packets().iter().map(|logged| logged.kind).collect();
    assert_eq!(kinds, [Kind::Connect, Kind::ConnAck, Kind::Publish, Kind::PubAck, Kind::Publish, Kind::PubAck]);
}

#[test]
fn mosquitto_pub_publishes_in_every_version() {
    if !has_mosquitto_clients() {
        return skip_or_fail("mosquitto_pub is not installed");
    }
    let ubidots = Ubidots::start();
    let port = ubidots.port().to_string();
    for (count, version) in ["mqttv31", "mqttv311", "mqttv5"].into_iter().enumerate() {
        let mut command = Command::new("mosquitto_pub");
        command.args(["-h", "127.0.0.1", "-p", &port, "-V", version, "-u", TOKEN, "-q", "1"]);
        command.args(["-t", "/v1.6/devices/d/a", "-m", r#"{"value": 27}"#]);
        Process::spawn(&mut command).expect_success();
        assert_eq!(ubidots.dots("d", "a").len(), count + 1, "{version}");
    }
}

#[test]
fn a_bridge_of_mosquitto_publishes() {
    if !has_mosquitto() {
        return skip_or_fail("mosquitto is not installed");
    }
    let ubidots = Ubidots::start();
    let broker = Broker::start_with(|_| {
        format!(
            "allow_anonymous true\nconnection ubidots\naddress 127.0.0.1:{}\nremote_username {TOKEN}\n\
             remote_clientid bridge\nnotifications false\ntopic # out 1\n",
            ubidots.port()
        )
    });
    ubidots.wait_for_connects(1);
    let port = broker.port().to_string();
    let mut command = Command::new("mosquitto_pub");
    command.args(["-h", "127.0.0.1", "-p", &port, "-q", "1", "-t", "/v1.6/devices/d", "-m", r#"{"a": 1.5}"#]);
    Process::spawn(&mut command).expect_success();
    let dots = ubidots.wait_for_dots("d", "a", 1);
    assert_eq!((dots[0].value.to_string().as_str(), dots[0].qos), ("1.5", 1));
    assert_eq!(ubidots.connects()[0].client_id, "bridge");
}
