//! What is sent again on a later connection, §4.4.

use crate::client::Client;
use crate::packets::{PUBACK, PUBCOMP, PUBREC, PUBREL, Publish, ack, ack_code};
use crate::support::Gateway;

/// A gateway, a persistent subscriber of `t` with QoS 2, and a publisher.
fn subscribed() -> (Gateway, Client, Client) {
    let gateway = Gateway::start("");
    let mut subscriber = Client::resume(&gateway, "subscriber");
    subscriber.subscribe("t", 2);
    let publisher = Client::connect(&gateway, "publisher");
    (gateway, subscriber, publisher)
}

fn again(gateway: &Gateway) -> Client {
    let client = Client::resume(gateway, "subscriber");
    assert!(client.is_present());
    client
}

/// [MQTT-4.4.0-1], [MQTT-3.3.1-1], [MQTT-4.3.2-3], [MQTT-4.3.3-3], [MQTT-4.6.0-5]
#[test]
fn unacknowledged_messages_are_sent_again_in_order_with_their_ids_and_dup() {
    let (gateway, mut subscriber, mut publisher) = subscribed();
    for number in 0..6_u8 {
        publisher.publish(&Publish::new("t", number.to_string()).qos(1 + number % 2, 1));
    }
    let first: Vec<_> = (0..6).map(|_| subscriber.expect_message()).collect();
    assert!(first.iter().all(|message| !message.dup));
    subscriber.cut();
    let mut subscriber = again(&gateway);
    for message in &first {
        let second = subscriber.expect_finished();
        assert!(second.dup);
        assert_eq!((second.id, second.qos, second.text()), (message.id, message.qos, message.text()));
    }
    subscriber.expect_nothing_more();
}

/// [MQTT-4.4.0-1]: only what is not acknowledged, and what was not yet sent after it.
#[test]
fn what_was_acknowledged_is_not_sent_again() {
    let (gateway, mut subscriber, mut publisher) = subscribed();
    for text in ["1", "2", "3"] {
        publisher.say("t", text);
    }
    let ids: Vec<_> = (0..3).map(|_| subscriber.expect_message().id.unwrap()).collect();
    subscriber.send(&ack(PUBACK, ids[1]));
    subscriber.expect_nothing_more();
    subscriber.cut();
    publisher.say("t", "4");
    let mut subscriber = again(&gateway);
    let messages: Vec<_> = (0..3).map(|_| subscriber.expect_finished()).collect();
    let seen: Vec<_> = messages.iter().map(|message| (message.text(), message.dup)).collect();
    assert_eq!(seen, [("1".into(), true), ("3".into(), true), ("4".into(), false)]);
    subscriber.expect_nothing_more();
}

/// [MQTT-4.3.3-5], [MQTT-4.3.3-6], [MQTT-4.4.0-1]
#[test]
fn a_release_is_sent_again_and_its_message_is_not() {
    let (gateway, mut subscriber, mut publisher) = subscribed();
    publisher.publish(&Publish::new("t", "x").qos(2, 1));
    let id = subscriber.expect_message().id.unwrap();
    subscriber.send(&ack(PUBREC, id));
    subscriber.expect_ack(PUBREL, id);
    subscriber.cut();
    let mut subscriber = again(&gateway);
    assert_eq!(subscriber.expect_ack(PUBREL, id).code, 0);
    subscriber.send(&ack(PUBCOMP, id));
    subscriber.expect_nothing_more();
    subscriber.cut();
    again(&gateway).expect_nothing_more();
}

/// [MQTT-4.4.0-1]: while the connection lasts nothing is sent twice.
#[test]
fn nothing_is_sent_again_on_the_same_connection() {
    let (_gateway, mut subscriber, mut publisher) = subscribed();
    publisher.say("t", "1");
    publisher.publish(&Publish::new("t", "2").qos(2, 1));
    subscriber.expect_message();
    subscriber.expect_message();
    std::thread::sleep(std::time::Duration::from_millis(1500));
    subscriber.expect_nothing_more();
}

/// [MQTT-4.4.0-2]
#[test]
fn what_was_refused_is_not_sent_again() {
    let (gateway, mut subscriber, mut publisher) = subscribed();
    publisher.say("t", "1");
    publisher.publish(&Publish::new("t", "2").qos(2, 1));
    for first in [PUBACK, PUBREC] {
        let id = subscriber.expect_message().id.unwrap();
        subscriber.send(&ack_code(first, id, 0x97));
    }
    subscriber.expect_nothing_more();
    subscriber.cut();
    again(&gateway).expect_nothing_more();
}

/// [MQTT-4.3.3-10]: the received identifiers of QoS 2 belong to the session.
#[test]
fn a_message_of_qos_2_is_delivered_once_across_connections() {
    let gateway = Gateway::start("");
    let mut watcher = Client::connect(&gateway, "watcher");
    watcher.subscribe("t", 0);
    let mut publisher = Client::resume(&gateway, "publisher");
    publisher.send(&Publish::new("t", "once").qos(2, 7).bytes());
    publisher.expect_ack(PUBREC, 7);
    publisher.cut();
    let mut publisher = Client::resume(&gateway, "publisher");
    assert!(publisher.is_present());
    publisher.send(&Publish::new("t", "once").qos(2, 7).dup().bytes());
    assert_eq!(publisher.expect_ack(PUBREC, 7).code, 0);
    publisher.cut();
    let mut publisher = Client::resume(&gateway, "publisher");
    publisher.send(&ack(PUBREL, 7));
    assert_eq!(publisher.expect_ack(PUBCOMP, 7).code, 0);
    publisher.say("t", "last");
    assert_eq!(watcher.expect_texts(2), ["once", "last"]);
}

/// [MQTT-4.3.3-12], [MQTT-4.1.0-2]: a session that ended has forgotten them.
#[test]
fn an_id_of_qos_2_is_free_in_a_new_session() {
    let gateway = Gateway::start("");
    let mut watcher = Client::connect(&gateway, "watcher");
    watcher.subscribe("t", 0);
    // Released or not before the end, the first message may be delivered or not; the second must be.
    let mut publisher = Client::connect(&gateway, "publisher");
    publisher.send(&Publish::new("t", "first").qos(2, 7).bytes());
    publisher.expect_ack(PUBREC, 7);
    publisher.leave();
    let mut publisher = Client::connect(&gateway, "publisher");
    publisher.publish(&Publish::new("t", "second").qos(2, 7));
    let texts = std::iter::from_fn(|| Some(watcher.expect_message().text()));
    assert!(texts.take(2).any(|text| text == "second"));
}
