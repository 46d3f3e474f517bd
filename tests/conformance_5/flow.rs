//! The receive maximum both ways, §4.9.

use crate::client::Client;
use crate::packets::{Connect, PUBACK, PUBCOMP, PUBREC, PUBREL, Publish, RECEIVE_MAXIMUM, ack, ack_code, two};
use crate::support::Gateway;

/// A gateway, a subscriber of `t` that takes two messages at a time, and a publisher.
fn narrow() -> (Gateway, Client, Client) {
    let gateway = Gateway::start("");
    let connect = Connect::new("narrow").resume().expiry(100).property(two(RECEIVE_MAXIMUM, 2));
    let mut subscriber = Client::with(&gateway, &connect);
    subscriber.subscribe("t", 2);
    let publisher = Client::connect(&gateway, "publisher");
    (gateway, subscriber, publisher)
}

/// Publishes `1` to `count`, all with one QoS.
fn publish(publisher: &mut Client, qos: u8, count: u16) {
    for number in 1..=count {
        publisher.publish(&Publish::new("t", number.to_string()).qos(qos, number));
    }
}

/// [MQTT-3.3.4-9], [MQTT-4.9.0-1], [MQTT-4.9.0-2]
#[test]
fn no_more_messages_of_qos_1_are_in_flight_than_the_client_takes() {
    let (gateway, mut subscriber, mut publisher) = narrow();
    publish(&mut publisher, 1, 5);
    let mut open = vec![subscriber.expect_message(), subscriber.expect_message()];
    subscriber.expect_nothing_more();
    // mosquitto 2.0.11 sends all the rest after the first acknowledgement.
    if gateway.is_stand_in() {
        return;
    }
    for number in 3..=5 {
        subscriber.send(&ack(PUBACK, open.remove(0).id.unwrap()));
        open.push(subscriber.expect_message());
        assert_eq!(open[1].text(), number.to_string());
        if number < 5 {
            subscriber.expect_nothing_more();
        }
    }
}

/// [MQTT-3.3.4-9], [MQTT-4.9.0-2]: PUBREC does not make room, PUBCOMP does.
#[test]
fn no_more_messages_of_qos_2_are_in_flight_than_the_client_takes() {
    let (gateway, mut subscriber, mut publisher) = narrow();
    publish(&mut publisher, 2, 4);
    let mut open = vec![subscriber.expect_message(), subscriber.expect_message()];
    subscriber.expect_nothing_more();
    // mosquitto 2.0.11 sends all the rest after the first PUBREC.
    if gateway.is_stand_in() {
        return;
    }
    for number in 3..=4 {
        let id = open.remove(0).id.unwrap();
        subscriber.send(&ack(PUBREC, id));
        subscriber.expect_ack(PUBREL, id);
        subscriber.expect_nothing_more();
        subscriber.send(&ack(PUBCOMP, id));
        open.push(subscriber.expect_message());
        assert_eq!(open[1].text(), number.to_string());
    }
}

/// [MQTT-3.3.4-9]: both QoS share the room, and a refusal makes room.
#[test]
fn a_refused_message_makes_room_for_the_next() {
    let (_gateway, mut subscriber, mut publisher) = narrow();
    publisher.publish(&Publish::new("t", "1").qos(2, 1));
    publish(&mut publisher, 1, 2);
    let refused = subscriber.expect_message();
    subscriber.expect_message();
    subscriber.expect_nothing_more();
    subscriber.send(&ack_code(PUBREC, refused.id.unwrap(), 0x80));
    assert_eq!(subscriber.expect_message().text(), "2");
    subscriber.expect_nothing_more();
}

/// [MQTT-3.3.4-10], [MQTT-4.9.0-3]
#[test]
fn everything_but_messages_of_qos_1_and_2_goes_on_while_there_is_no_room() {
    let (_gateway, mut subscriber, mut publisher) = narrow();
    publish(&mut publisher, 1, 4);
    subscriber.expect_message();
    subscriber.expect_message();
    subscriber.expect_nothing_more();
    subscriber.subscribe("other", 0);
    assert_eq!(subscriber.publish(&Publish::new("unheard", "x").qos(2, 9)) & 0x80, 0);
    publisher.send(&Publish::new("other", "past").bytes());
    assert_eq!(subscriber.expect_message().text(), "past");
    assert_eq!(subscriber.unsubscribe_all(&["other"]), [0]);
}

/// [MQTT-3.3.4-9], [MQTT-4.4.0-1]: also when a session is taken up with less room than before.
#[test]
fn a_smaller_receive_maximum_holds_for_what_is_sent_again() {
    let gateway = Gateway::start("");
    let mut wide = Client::resume(&gateway, "wide");
    wide.subscribe("t", 2);
    let mut publisher = Client::connect(&gateway, "publisher");
    publish(&mut publisher, 1, 4);
    (0..4).for_each(|_| assert!(!wide.expect_message().dup));
    wide.cut();
    let mut narrow = Client::with(&gateway, &Connect::new("wide").resume().property(two(RECEIVE_MAXIMUM, 1)));
    for number in 1..=4 {
        let message = narrow.expect_message();
        // mosquitto 2.0.11 sends all that was in flight again at once.
        if gateway.is_stand_in() {
            return;
        }
        narrow.expect_nothing_more();
        assert_eq!((message.text(), message.dup), (number.to_string(), true));
        narrow.finish(&message);
    }
}

/// §3.3.4: beyond the server's own maximum is 0x93.
#[test]
fn more_messages_than_the_gateway_takes_end_the_connection() {
    let gateway = Gateway::start("");
    // mosquitto as it is set up here takes as many as there are identifiers.
    if gateway.is_stand_in() {
        return;
    }
    let mut client = Client::connect(&gateway, "flood");
    let maximum = client.connack.properties.number(RECEIVE_MAXIMUM).expect("it has a bound and tells it");
    let maximum = u16::try_from(maximum).unwrap();
    for id in 1..=maximum {
        client.send(&Publish::new("t", "x").qos(2, id).bytes());
        assert!(client.expect_ack(PUBREC, id).code < 0x80, "[MQTT-3.3.4-7]");
    }
    client.send(&Publish::new("t", "x").qos(2, maximum + 1).bytes());
    client.expect_disconnect(0x93);
}

/// §4.9: PUBCOMP makes room for the publisher as well.
#[test]
fn a_publisher_that_finishes_its_messages_is_never_too_fast() {
    let gateway = Gateway::start("");
    let mut client = Client::connect(&gateway, "steady");
    for _ in 0..3 {
        for id in 1..=200 {
            client.publish(&Publish::new("t", "x").qos(2, id));
        }
    }
    client.expect_nothing_more();
}
