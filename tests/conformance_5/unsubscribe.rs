//! UNSUBSCRIBE, §3.10 and §3.11; what is wrong is in `subscribe_refused`.

use crate::client::Client;
use crate::packets::{PUBACK, PUBCOMP, PUBREC, PUBREL, Publish, ack, unsubscribe, user};
use crate::support::Gateway;

/// [MQTT-3.10.4-4], [MQTT-3.10.4-5], [MQTT-3.10.4-6], [MQTT-3.11.3-1], [MQTT-3.11.3-2], [MQTT-2.2.1-6]
#[test]
fn each_filter_has_its_code_in_order() {
    let gateway = Gateway::start("");
    let mut client = Client::connect(&gateway, "codes");
    assert_eq!(client.subscribe_all(&[], &[("a", 0), ("b/#", 1), ("c/+", 2)]), [0, 1, 2]);
    for (id, codes) in [(1, [0x00, 0x11, 0x00, 0x11]), (65_535, [0x11; 4])] {
        client.send(&unsubscribe(id, &[user("a", "b"), user("a", "b")], &["a", "never", "b/#", "a"]));
        let answer = client.expect_packet().codes(0xB0);
        assert_eq!((answer.id, answer.codes), (id, codes.to_vec()));
    }
}

/// [MQTT-3.10.4-1]
#[test]
fn filters_are_compared_character_by_character() {
    let gateway = Gateway::start("");
    let mut client = Client::connect(&gateway, "exact");
    client.subscribe("a/+", 0);
    assert_eq!(client.unsubscribe_all(&["a/b", "a/#", "A/+", "a/+/", "+/+", "#"]), [0x11; 6]);
    client.say("a/b", "x");
    assert_eq!(client.expect_message().text(), "x");
}

/// [MQTT-3.10.4-2], [MQTT-3.10.4-1]
#[test]
fn nothing_more_is_delivered_but_what_other_subscriptions_match() {
    let gateway = Gateway::start("");
    let mut client = Client::connect(&gateway, "stop");
    assert_eq!(client.subscribe_all(&[], &[("t/a", 0), ("t/+", 0)]), [0, 0]);
    assert_eq!(client.unsubscribe_all(&["t/+"]), [0]);
    client.say("t/b", "x");
    client.say("t/a", "y");
    assert_eq!(client.expect_message().text(), "y");
    assert_eq!(client.unsubscribe_all(&["t/a"]), [0]);
    client.say("t/a", "z");
    client.expect_nothing_more();
}

/// [MQTT-3.10.4-3]
#[test]
fn deliveries_that_have_begun_go_on_to_their_end() {
    let gateway = Gateway::start("");
    let mut client = Client::resume(&gateway, "begun");
    client.subscribe("t", 2);
    client.publish(&Publish::new("t", "1").qos(1, 1));
    client.publish(&Publish::new("t", "2").qos(2, 2));
    let [one, two] = [client.expect_message(), client.expect_message()];
    assert_eq!(client.unsubscribe_all(&["t"]), [0]);
    client.cut();
    let mut client = Client::resume(&gateway, "begun");
    for message in [&one, &two] {
        assert_eq!(client.expect_message().id, message.id);
    }
    client.send(&ack(PUBACK, one.id.unwrap()));
    client.send(&ack(PUBREC, two.id.unwrap()));
    client.expect_ack(PUBREL, two.id.unwrap());
    client.send(&ack(PUBCOMP, two.id.unwrap()));
    client.expect_nothing_more();
}

/// [MQTT-3.10.4-1]: the session forgets it too.
#[test]
fn a_session_does_not_get_back_what_was_unsubscribed() {
    let gateway = Gateway::start("");
    let mut client = Client::resume(&gateway, "forget");
    client.subscribe("t", 1);
    assert_eq!(client.unsubscribe_all(&["t"]), [0]);
    client.leave();
    Client::connect(&gateway, "publisher").say("t", "x");
    let mut client = Client::resume(&gateway, "forget");
    assert!(client.is_present());
    client.expect_nothing_more();
    assert_eq!(client.unsubscribe_all(&["t"]), [0x11]);
}

/// [MQTT-3.10.4-1]: a shared subscription and a plain one to the same topics are two.
#[test]
fn shared_and_plain_subscriptions_are_ended_apart() {
    let gateway = Gateway::start("");
    let mut client = Client::connect(&gateway, "apart");
    assert_eq!(client.subscribe_all(&[], &[("t", 0), ("$share/g/t", 0)]), [0, 0]);
    assert_eq!(client.unsubscribe_all(&["$share/h/t", "$share/g/t", "$share/g/t"]), [0x11, 0x00, 0x11]);
    client.say("t", "x");
    assert_eq!(client.expect_message().text(), "x");
    client.expect_nothing_more();
    assert_eq!(client.unsubscribe_all(&["t"]), [0]);
}
