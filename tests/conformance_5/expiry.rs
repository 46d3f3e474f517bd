//! The expiry of messages, §3.3.2.3.3.

use std::time::Duration;

use crate::client::Client;
use crate::packets::{MESSAGE_EXPIRY, PUBACK, PUBCOMP, PUBREC, PUBREL, Publish, ack, four};
use crate::support::Gateway;

/// Long enough for an expiry of one second to pass, and for a second to be counted.
fn wait() {
    std::thread::sleep(Duration::from_millis(2500));
}

fn expiring(topic: &str, payload: &str, seconds: u32) -> Publish {
    Publish::new(topic, payload).property(four(MESSAGE_EXPIRY, seconds))
}

/// A gateway, a persistent session with a subscription to `#` that is away, and a publisher.
fn away() -> (Gateway, Client) {
    let gateway = Gateway::start("");
    let mut client = Client::resume(&gateway, "away");
    client.subscribe("t/#", 2);
    client.leave();
    let publisher = Client::connect(&gateway, "publisher");
    (gateway, publisher)
}

/// [MQTT-3.3.2-6]: what does not wait keeps its interval.
#[test]
fn an_expiry_is_passed_on() {
    let gateway = Gateway::start("");
    let mut client = Client::connect(&gateway, "live");
    client.subscribe("t", 1);
    for expiry in [1000, u32::MAX] {
        client.publish(&expiring("t", "x", expiry).qos(1, 1));
        let passed = client.expect_finished().properties.number(MESSAGE_EXPIRY).unwrap();
        assert!(expiry - 60 < passed && passed <= expiry, "{passed} of {expiry}");
    }
}

/// [MQTT-3.3.2-5], [MQTT-3.3.2-6]
#[test]
fn a_queued_message_expires_or_has_waited() {
    let (gateway, mut publisher) = away();
    publisher.publish(&expiring("t/1", "gone", 1).qos(1, 1));
    publisher.publish(&expiring("t/2", "there", 1000).qos(1, 2));
    publisher.publish(&expiring("t/3", "gone", 1).qos(2, 3));
    publisher.publish(&expiring("t/4", "there", 1000).qos(2, 4));
    publisher.publish(&Publish::new("t/5", "unlimited").qos(1, 5));
    wait();
    let mut client = Client::resume(&gateway, "away");
    // The order is kept for each topic and QoS only.
    let mut messages = [client.expect_finished(), client.expect_finished(), client.expect_finished()];
    messages.sort_by_key(|message| message.topic.clone());
    assert_eq!(messages.each_ref().map(|message| &message.topic[..]), ["t/2", "t/4", "t/5"]);
    let left = messages.map(|message| message.properties.number(MESSAGE_EXPIRY));
    assert!(left[..2].iter().all(|left| (900..1000).contains(&left.unwrap())), "{left:?}");
    assert_eq!(left[2], None);
    client.expect_nothing_more();
}

/// [MQTT-3.3.2-5], [MQTT-3.3.2-6]
#[test]
fn a_retained_message_expires_or_has_waited() {
    let gateway = Gateway::start("");
    let mut publisher = Client::connect(&gateway, "publisher");
    publisher.publish(&expiring("t/1", "gone", 1).qos(1, 1).retain());
    publisher.publish(&expiring("t/2", "there", 1000).qos(1, 2).retain());
    wait();
    let mut client = Client::connect(&gateway, "late");
    client.subscribe("t/#", 1);
    let message = client.expect_finished();
    assert_eq!(message.topic, "t/2");
    let left = message.properties.number(MESSAGE_EXPIRY).unwrap();
    assert!((900..1000).contains(&left), "{left}");
    client.expect_nothing_more();
}

/// [MQTT-3.3.2-5]: a message that waits behind a full window has not been started.
#[test]
fn a_message_expires_behind_a_full_window() {
    let gateway = Gateway::start("");
    // mosquitto 2.0.11 counts the message that expired as in flight for ever.
    if gateway.is_stand_in() {
        return;
    }
    let connect = crate::packets::Connect::new("narrow").property(crate::packets::two(0x21, 1));
    let mut client = Client::with(&gateway, &connect);
    client.subscribe("t", 1);
    let mut publisher = Client::connect(&gateway, "publisher");
    publisher.say("t", "first");
    publisher.publish(&expiring("t", "gone", 1).qos(1, 1));
    publisher.say("t", "last");
    let first = client.expect_message();
    wait();
    client.finish(&first);
    assert_eq!(client.expect_finished().text(), "last");
    client.expect_nothing_more();
}

/// [MQTT-4.3.3-7], [MQTT-4.4.0-1]: what has been sent once is not dropped any more.
#[test]
fn a_message_that_was_sent_does_not_expire() {
    let gateway = Gateway::start("");
    let mut client = Client::resume(&gateway, "sent");
    client.subscribe("t", 2);
    let mut publisher = Client::connect(&gateway, "publisher");
    publisher.publish(&expiring("t", "x", 1).qos(2, 1));
    let first = client.expect_message();
    client.cut();
    wait();
    // mosquitto 2.0.11 lets messages in flight expire too, with any QoS.
    if gateway.is_stand_in() {
        return;
    }
    let mut client = Client::resume(&gateway, "sent");
    let again = client.expect_message();
    assert_eq!((again.id, again.dup, again.text()), (first.id, true, "x".into()));
}

/// [MQTT-4.3.3-13]
#[test]
fn a_message_that_expired_is_acknowledged_to_its_end() {
    let gateway = Gateway::start("");
    let mut client = Client::connect(&gateway, "publisher");
    client.send(&expiring("t", "x", 1).qos(2, 7).bytes());
    assert!(client.expect_ack(PUBREC, 7).code < 0x80);
    wait();
    client.send(&ack(PUBREL, 7));
    assert_eq!(client.expect_ack(PUBCOMP, 7).code, 0);
}

/// [MQTT-4.3.3-13]: and so is the way to a subscriber that is slow to answer.
#[test]
fn a_delivery_that_takes_longer_than_the_expiry_goes_on_to_its_end() {
    let gateway = Gateway::start("");
    let mut client = Client::connect(&gateway, "slow");
    client.subscribe("t", 2);
    let mut publisher = Client::connect(&gateway, "publisher");
    publisher.publish(&expiring("t", "x", 1).qos(2, 1));
    publisher.publish(&expiring("t", "y", 1).qos(1, 1));
    let [two, one] = [client.expect_message(), client.expect_message()];
    wait();
    client.send(&ack(PUBACK, one.id.unwrap()));
    client.send(&ack(PUBREC, two.id.unwrap()));
    assert_eq!(client.expect_ack(PUBREL, two.id.unwrap()).code, 0);
    client.send(&ack(PUBCOMP, two.id.unwrap()));
    client.expect_nothing_more();
}
