//! What subscribers are told.

use sensegate::mqtt::{Packet, QoS, TopicFilter, UnsubAck, Unsubscribe};

use crate::client::{Client, ID, connect_with};
use crate::support::{Subscriber, has_mosquitto_clients, skip_or_fail};
use crate::ubidots_server::{Account, OWNER, Revocation, TOKEN, Ubidots};

/// Two devices with two variables each, under a token of its own.
fn publish_values(ubidots: &Ubidots) {
    let mut publisher = Client::connect(ubidots, "publisher");
    publisher.publish("/v1.6/devices/d1", r#"{"v1": 11, "v2": 12.5}"#);
    publisher.publish("/v1.6/devices/d2", r#"{"v1": 21, "v2": 22}"#);
    publisher.leave();
}

/// The topics that a subscription brings at once.
fn topics_of(client: &mut Client, filter: &str) -> Vec<String> {
    client.subscribe(filter, QoS::AtLeastOnce);
    let messages = client.messages();
    assert!(messages.iter().all(|message| message.qos == QoS::AtMostOnce && !message.retain), "{messages:?}");
    let mut topics: Vec<_> = messages.into_iter().map(|message| message.topic).collect();
    topics.sort();
    topics
}

#[test]
fn the_current_values_come_at_once_for_every_filter() {
    let ubidots = Ubidots::start();
    publish_values(&ubidots);
    let all = ["d1/v1", "d1/v1/lv", "d1/v2", "d1/v2/lv", "d2/v1", "d2/v1/lv", "d2/v2", "d2/v2/lv"];
    for (filter, expected) in [
        ("d1/v1", &["d1/v1"][..]),
        ("d1/v1/lv", &["d1/v1/lv"]),
        ("d1/+", &["d1/v1", "d1/v2"]),
        ("d1/+/lv", &["d1/v1/lv", "d1/v2/lv"]),
        ("d1/#", &["d1/v1", "d1/v1/lv", "d1/v2", "d1/v2/lv"]),
        ("+/v1", &["d1/v1", "d2/v1"]),
        ("+/v1/lv", &["d1/v1/lv", "d2/v1/lv"]),
        ("+/+", &["d1/v1", "d1/v2", "d2/v1", "d2/v2"]),
        ("+/#", &all),
        ("#", &all),
        ("d3/v1", &[]),
        ("d1", &[]),
    ] {
        for api in ["/v1.6/devices", "/v2.0/devices"] {
            let expected: Vec<_> = expected.iter().map(|name| format!("{api}/{name}")).collect();
            let mut client = Client::connect(&ubidots, "subscriber");
            assert_eq!(topics_of(&mut client, &format!("{api}/{filter}")), expected, "{filter}");
        }
    }
    let mut client = Client::connect(&ubidots, "subscriber");
    for filter in ["#", "+/+/devices/#", "$share/group//v1.6/devices/#", "v1.6/devices/#"] {
        assert_eq!(topics_of(&mut client, filter), Vec::<String>::new(), "{filter}");
    }
}

#[test]
fn a_value_is_told_whole_and_alone_and_the_publish_is_never_echoed() {
    let ubidots = Ubidots::start();
    let mut client = Client::connect(&ubidots, "me");
    client.subscribe("/v1.6/devices/d", QoS::AtLeastOnce);
    client.subscribe("/v1.6/devices/d/a", QoS::AtLeastOnce);
    client.subscribe("/v1.6/devices/d/a/lv", QoS::AtMostOnce);
    client.publish("/v1.6/devices/d/a", r#"{"value": 27, "timestamp": 1634311791000, "context": {"status": "cold"}}"#);
    let created_at = ubidots.dots("d", "a")[0].created_at.unix_ms();
    let [alone, whole] = [client.expect_message(), client.expect_message()];
    assert_eq!((alone.topic.as_str(), alone.payload.as_str()), ("/v1.6/devices/d/a/lv", "27"));
    assert_eq!(whole.topic, "/v1.6/devices/d/a");
    let context = r#"{"status":"cold"}"#;
    let expected =
        format!(r#"{{"value": 27, "timestamp": 1634311791000, "context": {context}, "created_at": {created_at}}}"#);
    assert_eq!(whole.payload, expected);
    assert_eq!([alone.qos, whole.qos], [QoS::AtMostOnce, QoS::AtLeastOnce]);
    client.expect_nothing();
}

#[test]
fn the_current_value_is_the_one_with_the_latest_timestamp() {
    let ubidots = Ubidots::start();
    let mut client = Client::connect(&ubidots, "me");
    client.publish("/v1.6/devices/d", r#"{"a": [{"value": 2, "timestamp": 2000}, {"value": 1, "timestamp": 1000}]}"#);
    client.subscribe("/v1.6/devices/d/a/lv", QoS::AtMostOnce);
    assert_eq!(client.expect_message().payload, "2");
    client.publish("/v1.6/devices/d", r#"{"a": {"value": 3, "timestamp": 1500}}"#);
    assert_eq!(client.expect_message().payload, "3", "each dot is told, the late ones too");
}

#[test]
fn qos_2_is_granted_as_1() {
    let ubidots = Ubidots::start();
    let mut client = Client::connect(&ubidots, "me");
    client.subscribe("/v1.6/devices/d/a", QoS::ExactlyOnce);
    client.publish("/v1.6/devices/d", r#"{"a": 1}"#);
    assert_eq!(client.expect_message().qos, QoS::AtLeastOnce);
}

#[test]
fn nobody_sees_what_is_not_theirs() {
    let ubidots = Ubidots::start();
    ubidots.add_token("BBUS-other", Account::of("somebody else"));
    ubidots.add_token("BBUS-device", Account::of(OWNER).only(&["d2"]));
    publish_values(&ubidots);
    let mut other = Client::connect_with(&ubidots, connect_with("other", Some("BBUS-other")));
    assert_eq!(topics_of(&mut other, "/v1.6/devices/#"), Vec::<String>::new());
    let mut device = Client::connect_with(&ubidots, connect_with("device", Some("BBUS-device")));
    assert_eq!(topics_of(&mut device, "/v1.6/devices/+/v1"), ["/v1.6/devices/d2/v1"]);
    publish_values(&ubidots);
    other.expect_nothing();
    assert_eq!(device.messages().len(), 1);
    ubidots.revoke("BBUS-device", Revocation::Silent);
    publish_values(&ubidots);
    device.expect_nothing();
}

#[test]
fn one_member_of_a_share_is_told() {
    let ubidots = Ubidots::start();
    let mut members = ["one", "two"].map(|id| Client::connect(&ubidots, id));
    for member in &mut members {
        member.subscribe("$share/group//v1.6/devices/d1/v1", QoS::AtLeastOnce);
    }
    publish_values(&ubidots);
    let told: usize = members.iter_mut().map(|member| member.messages().len()).sum();
    assert_eq!(told, 1);
}

#[test]
fn nothing_comes_after_an_unsubscribe() {
    let ubidots = Ubidots::start();
    let mut client = Client::connect(&ubidots, "me");
    client.subscribe("/v1.6/devices/#", QoS::AtMostOnce);
    let filter = TopicFilter::new("/v1.6/devices/#").unwrap();
    client.send(&Packet::Unsubscribe(Unsubscribe::new(ID, vec![filter])));
    client.expect(&Packet::UnsubAck(UnsubAck::new(ID, Vec::new())));
    publish_values(&ubidots);
    client.expect_nothing();
}

#[test]
fn mosquitto_sub_sees_the_current_value_and_those_that_follow() {
    if !has_mosquitto_clients() {
        return skip_or_fail("mosquitto_sub is not installed");
    }
    let ubidots = Ubidots::start();
    publish_values(&ubidots);
    let port = ubidots.port().to_string();
    let topic = "/v1.6/devices/d1/v2/lv";
    let subscriber = Subscriber::run(&["-h", "127.0.0.1", "-p", &port, "-u", TOKEN, "-q", "1", "-t", topic]);
    let now = subscriber.message();
    assert_eq!((now.topic.as_str(), now.payload.as_str(), now.qos, now.retain), (topic, "12.5", 0, false));
    Client::connect(&ubidots, "me").publish("/v1.6/devices/d1", r#"{"v2": -1}"#);
    let later = subscriber.message();
    assert_eq!((later.payload.as_str(), later.qos, later.retain), ("-1", 1, false));
}
