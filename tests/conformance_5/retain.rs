//! Retained messages, §3.3.1.3 and the subscription options about them, §3.8.3.1.

use crate::client::Client;
use crate::packets::{AS_PUBLISHED, Publish, RETAINED_IF_NEW, RETAINED_NEVER};
use crate::publish::{passed_on, with_all};
use crate::support::Gateway;

/// A gateway with `payload` retained on `kept` with QoS 1, and its publisher.
fn kept(payload: &str) -> (Gateway, Client) {
    let gateway = Gateway::start("");
    let mut publisher = Client::connect(&gateway, "publisher");
    publisher.publish(&Publish::new("kept", payload).qos(1, 1).retain());
    (gateway, publisher)
}

/// The retained messages that a new subscription to `filter` finds.
fn found(gateway: &Gateway, filter: &str) -> Vec<(String, String)> {
    let mut client = Client::connect(gateway, "finder");
    client.subscribe(filter, 0);
    client.subscribe("last", 0);
    client.say("last", "last");
    let messages = std::iter::from_fn(|| Some(client.expect_message())).take_while(|it| it.topic != "last");
    let mut found: Vec<_> = messages
        .map(|message| {
            assert!(message.retain, "[MQTT-3.3.1-9]: it is marked as retained");
            (message.topic.clone(), message.text())
        })
        .collect();
    found.sort();
    found
}

fn pair(topic: &str, text: &str) -> (String, String) {
    (topic.into(), text.into())
}

/// [MQTT-3.3.1-5], [MQTT-3.3.1-9]
#[test]
fn a_later_retained_message_replaces_the_earlier() {
    let (gateway, mut publisher) = kept("first");
    publisher.publish(&Publish::new("kept", "second").retain());
    publisher.expect_nothing_more();
    assert_eq!(found(&gateway, "kept"), [pair("kept", "second")]);
}

/// [MQTT-3.3.1-6], [MQTT-3.3.1-7]
#[test]
fn an_empty_retained_message_clears_the_topic_and_is_delivered_itself() {
    let (gateway, mut publisher) = kept("first");
    let mut watcher = Client::connect(&gateway, "watcher");
    watcher.subscribe("kept", RETAINED_NEVER);
    publisher.publish(&Publish::new("kept", "").qos(1, 2).retain());
    assert_eq!(watcher.expect_message().text(), "");
    assert_eq!(found(&gateway, "#"), []);
}

/// [MQTT-3.3.1-8]
#[test]
fn a_message_that_is_not_retained_changes_nothing_that_is() {
    let (gateway, mut publisher) = kept("first");
    for payload in ["passing", ""] {
        publisher.say("kept", payload);
        publisher.say("other", payload);
    }
    assert_eq!(found(&gateway, "#"), [pair("kept", "first")]);
}

/// [MQTT-3.3.1-9], [MQTT-4.7.1-1], [MQTT-4.7.1-2]
#[test]
fn every_retained_message_that_matches_is_sent() {
    let (gateway, mut publisher) = kept("0");
    for topic in ["a", "a/b", "a/b/c", "a/d", "b", "/a", "a/"] {
        publisher.publish(&Publish::new(topic, "x").qos(1, 1).retain());
    }
    let topics = |filter| found(&gateway, filter).into_iter().map(|(topic, _)| topic).collect::<Vec<_>>();
    assert_eq!(topics("a/#"), ["a", "a/", "a/b", "a/b/c", "a/d"]);
    assert_eq!(topics("a/+"), ["a/", "a/b", "a/d"]);
    assert_eq!(topics("+"), ["a", "b", "kept"]);
    assert_eq!(topics("+/a"), ["/a"]);
}

/// [MQTT-3.3.1-9], [MQTT-3.8.4-4]
#[test]
fn handling_0_sends_what_is_retained_at_every_subscribe() {
    let (gateway, _publisher) = kept("x");
    let mut client = Client::connect(&gateway, "always");
    for _ in 0..3 {
        client.subscribe("kept", 1);
        let message = client.expect_finished();
        assert!(message.retain && message.qos == 1);
    }
    client.expect_nothing_more();
}

/// [MQTT-3.3.1-10]
#[test]
fn handling_1_sends_what_is_retained_to_a_new_subscription_only() {
    let (gateway, _publisher) = kept("x");
    let mut client = Client::connect(&gateway, "new");
    client.subscribe("kept", RETAINED_IF_NEW);
    assert!(client.expect_message().retain);
    client.subscribe("kept", RETAINED_IF_NEW);
    client.expect_nothing_more();
    // With another QoS it is still the same subscription.
    client.subscribe("kept", 1 | RETAINED_IF_NEW);
    client.expect_nothing_more();
    assert_eq!(client.unsubscribe_all(&["kept"]), [0]);
    client.subscribe("kept", RETAINED_IF_NEW);
    assert!(client.expect_message().retain);
}

/// [MQTT-3.3.1-10]: a subscription of an earlier connection exists as well.
#[test]
fn handling_1_sends_nothing_to_a_subscription_of_the_session() {
    let (gateway, _publisher) = kept("x");
    let mut client = Client::resume(&gateway, "session");
    client.subscribe("kept", RETAINED_NEVER);
    client.leave();
    let mut client = Client::resume(&gateway, "session");
    client.subscribe("kept", RETAINED_IF_NEW);
    client.expect_nothing_more();
}

/// [MQTT-3.3.1-11]
#[test]
fn handling_2_sends_nothing_that_is_retained() {
    let (gateway, mut publisher) = kept("x");
    let mut client = Client::connect(&gateway, "never");
    client.subscribe("kept", RETAINED_NEVER);
    client.subscribe("kept", 1 | RETAINED_NEVER);
    client.expect_nothing_more();
    publisher.publish(&Publish::new("kept", "y").qos(1, 2).retain());
    assert_eq!(client.expect_finished().text(), "y");
}

/// [MQTT-3.3.1-12], [MQTT-3.3.1-13]
#[test]
fn the_retain_flag_of_a_live_message_is_passed_on_to_whom_asks_for_it() {
    let gateway = Gateway::start("");
    let mut plain = Client::connect(&gateway, "plain");
    plain.subscribe("live", 0);
    let mut faithful = Client::connect(&gateway, "faithful");
    faithful.subscribe("live", AS_PUBLISHED);
    let mut publisher = Client::connect(&gateway, "publisher");
    publisher.send(&Publish::new("live", "kept").retain().bytes());
    publisher.send(&Publish::new("live", "passing").bytes());
    assert_eq!([plain.expect_message().retain, plain.expect_message().retain], [false, false]);
    assert_eq!([faithful.expect_message().retain, faithful.expect_message().retain], [true, false]);
}

/// [MQTT-3.8.4-8], [MQTT-3.3.1-5]: the QoS is stored with the message.
#[test]
fn a_retained_message_is_sent_with_the_lower_of_both_qos() {
    let (gateway, mut publisher) = kept("x");
    for stored in 0..=2_u8 {
        publisher.publish(&Publish::new("kept", "x").qos(stored, 5).retain());
        publisher.expect_nothing_more();
        for granted in 0..=2 {
            let mut client = Client::connect(&gateway, "lower");
            client.subscribe("kept", granted);
            let message = client.expect_finished();
            assert_eq!((message.qos, message.retain), (granted.min(stored), true));
        }
    }
}

/// [MQTT-3.3.2-17], [MQTT-3.3.2-18], [MQTT-3.3.2-4], [MQTT-3.3.2-15], [MQTT-3.3.2-16], [MQTT-3.3.2-20]
#[test]
fn a_retained_message_keeps_its_properties() {
    let gateway = Gateway::start("");
    let mut publisher = Client::connect(&gateway, "publisher");
    publisher.publish(&with_all(Publish::new("kept", "x").qos(1, 1).retain()));
    let mut client = Client::connect(&gateway, "client");
    client.subscribe("kept", 0);
    assert_eq!(client.expect_message().properties.sorted(), passed_on());
}

/// [MQTT-3.3.4-3]: what is retained comes with the identifier of the subscription that asked for it.
#[test]
fn a_retained_message_names_the_subscription() {
    let (gateway, _publisher) = kept("x");
    let mut client = Client::connect(&gateway, "client");
    client.subscribe_as(7, "kept", 0);
    assert_eq!(client.expect_message().properties.identifiers(), [7]);
}
