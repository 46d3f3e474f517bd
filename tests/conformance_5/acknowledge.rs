//! The steps of QoS 1 and 2, §3.4 to §3.7 and §4.3; across connections they are in `redelivery`.

use crate::client::Client;
use crate::packets::{
    Connect, PUBACK, PUBCOMP, PUBREC, PUBREL, Publish, REASON_STRING, RECEIVE_MAXIMUM, REQUEST_PROBLEM, ack, ack_code,
    ack_properties, byte, text, two, user,
};
use crate::support::Gateway;

/// A gateway, a subscriber of `t` with QoS 2 that takes one message at a time, and a publisher.
fn narrow() -> (Gateway, Client, Client) {
    let gateway = Gateway::start("");
    let connect = Connect::new("subscriber").resume().expiry(100).property(two(RECEIVE_MAXIMUM, 1));
    let mut subscriber = Client::with(&gateway, &connect);
    subscriber.subscribe("t", 2);
    let publisher = Client::connect(&gateway, "publisher");
    (gateway, subscriber, publisher)
}

/// [MQTT-4.3.3-10], [MQTT-4.3.3-12]
#[test]
fn a_message_of_qos_2_is_delivered_once_however_often_it_is_sent_before_its_release() {
    let gateway = Gateway::start("");
    let mut watcher = Client::connect(&gateway, "watcher");
    watcher.subscribe("t", 0);
    let mut publisher = Client::connect(&gateway, "publisher");
    for payload in ["first", "second"] {
        publisher.send(&Publish::new("t", payload).qos(2, 7).bytes());
        assert_eq!(publisher.expect_ack(PUBREC, 7).code, 0);
        publisher.send(&Publish::new("t", payload).qos(2, 7).dup().bytes());
        assert_eq!(publisher.expect_ack(PUBREC, 7).code, 0);
        publisher.send(&ack(PUBREL, 7));
        assert_eq!(publisher.expect_ack(PUBCOMP, 7).code, 0);
    }
    publisher.say("t", "last");
    assert_eq!(watcher.expect_texts(3), ["first", "second", "last"]);
}

/// [MQTT-4.3.2-5]: an identifier of QoS 1 is free as soon as it is acknowledged, DUP or not.
#[test]
fn a_repeated_message_of_qos_1_is_a_new_one() {
    let gateway = Gateway::start("");
    let mut client = Client::connect(&gateway, "again");
    client.subscribe("t", 0);
    client.publish(&Publish::new("t", "1").qos(1, 7));
    client.publish(&Publish::new("t", "2").qos(1, 7).dup());
    assert_eq!(client.expect_texts(2), ["1", "2"]);
}

/// §3.7.2.1, [MQTT-4.3.3-11], [MQTT-3.7.2-1]
#[test]
fn the_release_of_an_unknown_id_is_answered_with_not_found() {
    let gateway = Gateway::start("");
    // mosquitto 2.0.11 says success.
    let not_found = if gateway.is_stand_in() { 0x00 } else { 0x92 };
    let mut client = Client::connect(&gateway, "unknown");
    client.send(&ack(PUBREL, 0x1234));
    assert_eq!(client.expect_ack(PUBCOMP, 0x1234).code, not_found);
    client.send(&Publish::new("t", "x").qos(2, 0x1234).bytes());
    client.expect_ack(PUBREC, 0x1234);
    client.send(&ack(PUBREL, 0x1234));
    assert_eq!(client.expect_ack(PUBCOMP, 0x1234).code, 0);
    client.send(&ack(PUBREL, 0x1234));
    assert_eq!(client.expect_ack(PUBCOMP, 0x1234).code, not_found);
}

/// §3.6.2.1, [MQTT-3.6.2-1]
#[test]
fn a_pubrec_for_an_unknown_id_is_answered_with_not_found() {
    let gateway = Gateway::start("");
    // mosquitto 2.0.11 is silent, although §4.3.3 lets no PUBREC be without an answer.
    if gateway.is_stand_in() {
        return;
    }
    let mut client = Client::connect(&gateway, "unknown");
    client.send(&ack(PUBREC, 0x1234));
    assert_eq!(client.expect_ack(PUBREL, 0x1234).code, 0x92);
    client.expect_nothing_more();
}

/// §3.4, §3.7: nobody waits for these, and they do no harm.
#[test]
fn acknowledgements_that_nobody_waits_for_are_passed_over() {
    let gateway = Gateway::start("");
    if gateway.is_stand_in() {
        return;
    }
    let mut client = Client::connect(&gateway, "extra");
    client.send(&ack(PUBACK, 99));
    client.send(&ack(PUBCOMP, 99));
    client.send(&ack_code(PUBREC, 99, 0x80));
    client.expect_nothing_more();
}

/// [MQTT-4.3.3-4], [MQTT-4.4.0-2], §4.9: a refusal ends the delivery: no PUBREL, and the next message comes.
#[test]
fn a_pubrec_with_an_error_ends_the_delivery() {
    let (gateway, mut subscriber, mut publisher) = narrow();
    // mosquitto 2.0.11 gives the room back only when something else is in flight as well.
    if gateway.is_stand_in() {
        return;
    }
    for code in [0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99] {
        publisher.publish(&Publish::new("t", "refused").qos(2, 1));
        let id = subscriber.expect_message().id.unwrap();
        subscriber.send(&ack_code(PUBREC, id, code));
    }
    publisher.publish(&Publish::new("t", "taken").qos(2, 1));
    assert_eq!(subscriber.expect_finished().text(), "taken");
    subscriber.expect_nothing_more();
    subscriber.cut();
    Client::resume(&gateway, "subscriber").expect_nothing_more();
}

/// [MQTT-4.4.0-2]: with QoS 1 a refusal is an acknowledgement.
#[test]
fn a_puback_with_an_error_ends_the_delivery() {
    let (gateway, mut subscriber, mut publisher) = narrow();
    for code in [0x80, 0x87, 0x97, 0x99] {
        publisher.say("t", "refused");
        let id = subscriber.expect_message().id.unwrap();
        subscriber.send(&ack_code(PUBACK, id, code));
    }
    publisher.say("t", "taken");
    assert_eq!(subscriber.expect_finished().text(), "taken");
    subscriber.cut();
    Client::resume(&gateway, "subscriber").expect_nothing_more();
}

/// §3.4.2, §3.5.2, §3.6.2, §3.7.2: code and properties may be left out, or be there.
#[test]
fn acknowledgements_of_every_length_are_understood() {
    let (_gateway, mut subscriber, mut publisher) = narrow();
    let more = [text(REASON_STRING, "thanks"), user("a", "b"), user("a", "b")];
    let forms: [&dyn Fn(u8, u16) -> Vec<u8>; 4] =
        [&ack, &|first, id| ack_code(first, id, 0), &|first, id| ack_properties(first, id, 0, &[]), &|first, id| {
            ack_properties(first, id, 0, &more)
        }];
    for form in forms {
        publisher.say("t", "one");
        let id = subscriber.expect_message().id.unwrap();
        subscriber.send(&form(PUBACK, id));
        publisher.send(&Publish::new("t", "two").qos(2, 9).bytes());
        publisher.expect_ack(PUBREC, 9);
        publisher.send(&form(PUBREL, 9));
        assert_eq!(publisher.expect_ack(PUBCOMP, 9).code, 0);
        let id = subscriber.expect_message().id.unwrap();
        subscriber.send(&form(PUBREC, id));
        subscriber.expect_ack(PUBREL, id);
        subscriber.send(&form(PUBCOMP, id));
    }
    publisher.say("t", "last");
    assert_eq!(subscriber.expect_message().text(), "last");
}

/// [MQTT-3.1.2-29]
#[test]
fn who_wants_no_problem_information_gets_none_in_acknowledgements() {
    let gateway = Gateway::start("");
    let connect = Connect::new("terse").property(byte(REQUEST_PROBLEM, 0));
    let mut client = Client::with(&gateway, &connect);
    client.send(&ack(PUBREL, 5));
    assert!(!client.expect_ack(PUBCOMP, 5).properties.has_problem_information());
    client.send(&crate::packets::subscribe(6, &[], &[("a/#/b", 0), ("b", 0)]));
    let answer = client.expect_packet();
    // A filter of the wrong form may also end the connection, and DISCONNECT may say why.
    if answer.first == 0x90 {
        assert!(!answer.codes(0x90).properties.has_problem_information());
        client.send(&crate::packets::unsubscribe(7, &[], &["never"]));
        assert!(!client.expect_packet().codes(0xB0).properties.has_problem_information());
        client.send(&Publish::new("unheard", "x").qos(1, 8).bytes());
        assert!(!client.expect_ack(PUBACK, 8).properties.has_problem_information());
    }
}

/// [MQTT-3.1.2-29]: what others say in a PUBLISH is no problem information.
#[test]
fn who_wants_no_problem_information_still_gets_user_properties_of_messages() {
    let gateway = Gateway::start("");
    let connect = Connect::new("terse").property(byte(REQUEST_PROBLEM, 0));
    let mut client = Client::with(&gateway, &connect);
    client.subscribe("t", 0);
    client.send(&Publish::new("t", "x").property(user("a", "b")).bytes());
    assert_eq!(client.expect_message().properties.users(), [user("a", "b")]);
}

/// §2.1.3, [MQTT-3.6.1-1], [MQTT-2.1.3-1], and codes that do not exist.
#[test]
fn acknowledgements_of_the_wrong_form_are_malformed() {
    let gateway = Gateway::start("");
    let check = |what: &str, bytes: &[u8]| crate::client::check_ended(&gateway, what, bytes, &[0x81, 0x82]);
    check("PUBREL with flags 0", &ack(0x60, 1));
    check("PUBREL with flags 3", &ack(0x63, 1));
    check("PUBACK with flags", &ack(0x42, 1));
    check("PUBREC with flags", &ack(0x51, 1));
    check("PUBCOMP with flags", &ack(0x78, 1));
    check("PUBACK without an id", &[0x40, 0x00]);
    check("PUBACK with half an id", &[0x40, 0x01, 0x00]);
    check("a property of another packet", &ack_properties(PUBREL, 1, 0, &[two(0x21, 1)]));
    check("reason string twice", &ack_properties(PUBREL, 1, 0, &[text(0x1F, "a"), text(0x1F, "a")]));
    check("properties beyond the packet", &[0x62, 0x04, 0x00, 0x01, 0x00, 0x05]);
}
