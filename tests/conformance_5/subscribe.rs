//! SUBSCRIBE and its options, §3.8 and §3.9; those about retained messages are in `retain`.

use crate::client::Client;
use crate::packets::{Connect, NEVER, NO_LOCAL, PUBACK, Publish, ack, identifier, subscribe, user};
use crate::support::Gateway;

/// [MQTT-3.8.4-1], [MQTT-3.8.4-2], [MQTT-3.8.4-5], [MQTT-3.8.4-6], [MQTT-3.8.4-7], [MQTT-3.9.3-1], [MQTT-3.9.3-2], [MQTT-2.2.1-6]
#[test]
fn each_filter_has_its_code_in_order() {
    let gateway = Gateway::start("");
    let mut client = Client::connect(&gateway, "codes");
    for id in [1, 300, 65_535] {
        client.send(&subscribe(id, &[], &[("a", 2), ("b", 0), ("c/#", 1), ("a", 1)]));
        let answer = client.expect_packet().codes(0x90);
        assert_eq!((answer.id, answer.codes), (id, vec![2, 0, 1, 1]));
    }
}

/// [MQTT-3.8.4-7], [MQTT-3.9.3-1]: a filter that fails does not take the others with it.
#[test]
fn an_invalid_filter_has_its_own_code_or_ends_the_connection() {
    let gateway = Gateway::start("");
    for filter in ["a/#/b", "a#", "a+/b", "+a", "##", ""] {
        let mut client = Client::connect(&gateway, "filters");
        client.send(&subscribe(7, &[], &[("good", 1), (filter, 0)]));
        let answer = client.expect_packet();
        if answer.first == 0x90 {
            assert_eq!(answer.codes(0x90).codes, [1, 0x8F], "{filter}");
        } else {
            let code = answer.disconnect().code;
            assert!(gateway.is_stand_in() || [0x81, 0x82, 0x8F].contains(&code), "{filter}: {code:#04X}");
        }
    }
}

/// [MQTT-3.8.4-3]
#[test]
fn a_later_subscription_to_the_same_filter_replaces_the_earlier() {
    let gateway = Gateway::start("");
    let mut client = Client::connect(&gateway, "replace");
    for options in [2, 0, 1, 1 | NO_LOCAL, 2] {
        client.subscribe("a/+", options);
    }
    client.publish(&Publish::new("a/b", "x").qos(2, 1));
    assert_eq!(client.expect_finished().qos, 2);
    client.expect_nothing_more();
    assert_eq!(client.unsubscribe_all(&["a/+", "a/+"]), [0x00, 0x11]);
}

/// [MQTT-3.8.4-4]: nothing is lost on the way from one to the other.
#[test]
fn replacing_a_subscription_loses_nothing() {
    let gateway = Gateway::start("");
    let mut client = Client::connect(&gateway, "replace");
    client.subscribe("t", 1);
    for number in 0..20_u16 {
        client.send(&Publish::new("t", number.to_string()).qos(1, 100 + number).bytes());
        client.send(&subscribe(number + 1, &[], &[("t", 1)]));
    }
    let mut texts = Vec::new();
    let mut answers = 0;
    while texts.len() < 20 || answers < 40 {
        let packet = client.expect_packet();
        if packet.first & 0xF0 == 0x30 {
            let message = packet.message();
            client.finish(&message);
            texts.push(message.text());
        } else {
            answers += 1;
        }
    }
    assert_eq!(texts, (0..20).map(|number| number.to_string()).collect::<Vec<_>>());
}

/// [MQTT-3.8.3-3]
#[test]
fn no_local_keeps_a_clients_own_messages_away() {
    let gateway = Gateway::start("");
    let mut client = Client::connect(&gateway, "local");
    client.subscribe("t", 1 | NO_LOCAL);
    for qos in 0..=2 {
        client.publish(&Publish::new("t", "own").qos(qos, 1));
    }
    client.expect_nothing_more();
    Client::connect(&gateway, "other").say("t", "other's");
    assert_eq!(client.expect_finished().text(), "other's");
}

/// [MQTT-3.8.3-3]: own is what has the same client identifier, on whichever connection.
#[test]
fn no_local_holds_for_the_same_client_on_a_later_connection() {
    let gateway = Gateway::start("");
    let mut client = Client::resume(&gateway, "local");
    client.subscribe("t", 1 | NO_LOCAL);
    client.leave();
    let mut client = Client::resume(&gateway, "local");
    assert!(client.is_present());
    client.say("t", "own");
    client.expect_nothing_more();
}

/// [MQTT-3.8.3-3], [MQTT-3.3.4-2]: the option is of one subscription, and does not bar another.
#[test]
fn no_local_on_one_subscription_does_not_bar_another_that_overlaps() {
    let gateway = Gateway::start("");
    let mut client = Client::connect(&gateway, "local");
    client.subscribe("t/#", NO_LOCAL);
    client.subscribe("t/a", 0);
    client.say("t/a", "own");
    assert_eq!(client.expect_message().text(), "own");
    client.expect_nothing_more();
}

/// [MQTT-3.3.4-2]: at least one copy has the highest QoS of all that match.
#[test]
fn overlapping_subscriptions_deliver_with_the_highest_qos() {
    let gateway = Gateway::start("");
    let mut client = Client::connect(&gateway, "overlap");
    assert_eq!(client.subscribe_all(&[], &[("t/#", 0), ("t/+", 2), ("t/a", 1)]), [0, 2, 1]);
    client.publish(&Publish::new("t/a", "x").qos(2, 1));
    // One copy, or one for each.
    let mut qos = vec![client.expect_finished().qos];
    client.send(&crate::wire::PINGREQ);
    loop {
        let packet = client.expect_packet();
        if packet.first == 0xD0 {
            break;
        }
        let message = packet.message();
        client.finish(&message);
        qos.push(message.qos);
    }
    assert_eq!(qos.iter().max(), Some(&2));
    assert!(qos.len() == 1 || qos.len() == 3, "{qos:?}");
}

/// §3.8.2.1: user properties and the largest identifier are no hindrance.
#[test]
fn a_subscribe_may_hold_every_property() {
    let gateway = Gateway::start("");
    let mut client = Client::connect(&gateway, "properties");
    let list = [identifier(268_435_455), user("a", "b"), user("a", "b")];
    assert_eq!(client.subscribe_all(&list, &[("t", 0)]), [0]);
    client.say("t", "x");
    assert_eq!(client.expect_message().properties.0, [identifier(268_435_455)]);
}

/// [MQTT-3.1.2-23], [MQTT-3.8.3-3], [MQTT-3.3.1-13]: options and identifiers belong to the session.
#[test]
fn options_and_identifiers_outlive_the_connection() {
    let gateway = Gateway::start("");
    let mut client = Client::resume(&gateway, "session");
    client.subscribe_as(5, "t/1", 1 | NO_LOCAL);
    client.subscribe_as(6, "t/2", 1 | crate::packets::AS_PUBLISHED);
    client.leave();
    let mut client = Client::with(&gateway, &Connect::new("session").resume().expiry(NEVER));
    client.say("t/1", "own");
    let mut publisher = Client::connect(&gateway, "publisher");
    publisher.publish(&Publish::new("t/1", "1").qos(1, 1).retain());
    publisher.publish(&Publish::new("t/2", "2").qos(1, 1).retain());
    let [one, two] = [client.expect_message(), client.expect_message()];
    assert_eq!((one.text(), one.retain, one.properties.identifiers()), ("1".into(), false, vec![5]));
    assert_eq!((two.text(), two.retain, two.properties.identifiers()), ("2".into(), true, vec![6]));
    client.send(&ack(PUBACK, one.id.unwrap()));
}
