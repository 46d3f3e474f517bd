//! Subscription identifiers, §3.8.2.1.2 and §3.3.2.3.8.

use crate::client::Client;
use crate::packets::Publish;
use crate::support::Gateway;

/// The identifiers in all copies of the next message, smallest first, and how many copies there were.
fn identifiers(client: &mut Client, topic: &str) -> (Vec<u32>, usize) {
    client.say(topic, "x");
    client.send(&crate::wire::PINGREQ);
    let (mut found, mut copies) = (Vec::new(), 0);
    loop {
        let packet = client.expect_packet();
        if packet.first == 0xD0 {
            found.sort_unstable();
            return (found, copies);
        }
        let message = packet.message();
        client.finish(&message);
        found.extend(message.properties.identifiers());
        copies += 1;
    }
}

/// [MQTT-3.3.4-3]
#[test]
fn a_message_names_the_subscription_that_it_is_for() {
    let gateway = Gateway::start("");
    let mut client = Client::connect(&gateway, "one");
    for number in [1, 127, 128, 16_384, 268_435_455] {
        client.subscribe_as(number, "t", 1);
        assert_eq!(identifiers(&mut client, "t"), (vec![number], 1));
    }
}

/// [MQTT-3.3.4-3], [MQTT-3.3.4-4], [MQTT-3.3.4-5]: in one copy, or in one copy each.
#[test]
fn a_message_names_every_subscription_that_overlaps() {
    let gateway = Gateway::start("");
    let mut client = Client::connect(&gateway, "several");
    client.subscribe_as(10, "t/#", 0);
    client.subscribe_as(20, "t/+", 1);
    client.subscribe("t/a", 0);
    client.subscribe_as(30, "other", 0);
    client.subscribe_as(10, "+/a", 0);
    let (found, copies) = identifiers(&mut client, "t/a");
    // A number that is of two subscriptions may be said once or twice in one copy.
    assert!(found == [10, 10, 20] || copies == 1 && found == [10, 20], "{found:?}");
    assert!(copies == 1 || copies == 4, "{copies}");
}

/// [MQTT-3.8.4-3]: replaced by one without an identifier, it has none.
#[test]
fn a_subscription_that_is_replaced_without_an_identifier_has_none() {
    let gateway = Gateway::start("");
    let mut client = Client::connect(&gateway, "none");
    client.subscribe_as(5, "t", 0);
    client.subscribe("t", 0);
    assert_eq!(identifiers(&mut client, "t"), (Vec::new(), 1));
}

/// [MQTT-3.3.4-3]: who has no identifier gets none, whatever others have.
#[test]
fn identifiers_are_each_clients_own() {
    let gateway = Gateway::start("");
    let mut other = Client::connect(&gateway, "other");
    other.subscribe_as(9, "t", 0);
    let mut plain = Client::connect(&gateway, "plain");
    plain.subscribe("t", 0);
    assert_eq!(identifiers(&mut plain, "t"), (Vec::new(), 1));
    assert_eq!(other.expect_message().properties.identifiers(), [9]);
}

/// [MQTT-3.3.4-3]: one SUBSCRIBE with several filters gives all of them its identifier.
#[test]
fn an_identifier_is_of_every_filter_in_its_subscribe() {
    let gateway = Gateway::start("");
    let mut client = Client::connect(&gateway, "all");
    assert_eq!(client.subscribe_all(&[crate::packets::identifier(4)], &[("a", 0), ("b", 1)]), [0, 1]);
    for topic in ["a", "b"] {
        assert_eq!(identifiers(&mut client, topic), (vec![4], 1));
    }
}

/// [MQTT-3.3.4-3]: from a queue as well.
#[test]
fn a_queued_message_names_its_subscription() {
    let gateway = Gateway::start("");
    let mut client = Client::resume(&gateway, "queue");
    client.subscribe_as(300, "t", 1);
    client.leave();
    Client::connect(&gateway, "publisher").publish(&Publish::new("t", "x").qos(1, 1));
    let mut client = Client::resume(&gateway, "queue");
    assert_eq!(client.expect_message().properties.identifiers(), [300]);
}
