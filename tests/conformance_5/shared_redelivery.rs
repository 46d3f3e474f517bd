//! What a group does when one of its members goes or refuses, §4.8.2.

use crate::client::Client;
use crate::packets::{PUBACK, PUBREC, Publish, ack_code, disconnect, four};
use crate::shared::drain;
use crate::support::Gateway;

/// A gateway and two members of one group that subscribed to `t` with QoS 2; their sessions last.
fn group() -> (Gateway, [Client; 2]) {
    let gateway = Gateway::start("");
    let members = ["a", "b"].map(|id| {
        let mut member = Client::resume(&gateway, id);
        member.subscribe("$share/g/t", 2);
        member
    });
    (gateway, members)
}

fn publish(gateway: &Gateway, qos: u8, texts: &[&str]) {
    let mut publisher = Client::connect(gateway, "publisher");
    for text in texts {
        publisher.publish(&Publish::new("t", text).qos(qos, 1));
    }
}

/// §4.8.2: a message of QoS 1 that a member leaves behind with its session goes to another.
#[test]
fn messages_of_qos_1_of_a_member_whose_session_ends_go_to_another() {
    let (gateway, [mut gone, mut stays]) = group();
    publish(&gateway, 1, &["1", "2", "3", "4"]);
    let first = gone.expect_message().text();
    gone.send(&disconnect(0, &[four(crate::packets::SESSION_EXPIRY, 0)]));
    gone.cut();
    // mosquitto 2.0.11 drops them; the standard only recommends to pass them on.
    if gateway.is_stand_in() {
        return;
    }
    let mut texts: Vec<_> = stays.expect_texts(4);
    assert!(texts.contains(&first));
    texts.sort();
    assert_eq!(texts, ["1", "2", "3", "4"]);
    stays.expect_nothing_more();
}

/// §4.8.2: and so is what was queued for it.
#[test]
fn no_message_of_qos_1_is_lost_when_a_member_without_a_session_is_cut() {
    let gateway = Gateway::start("");
    if gateway.is_stand_in() {
        return;
    }
    let mut gone = Client::connect(&gateway, "gone");
    gone.subscribe("$share/g/t", 1);
    let mut stays = Client::connect(&gateway, "stays");
    stays.subscribe("$share/g/t", 1);
    publish(&gateway, 1, &["1", "2", "3", "4", "5", "6"]);
    gone.cut();
    let mut texts = stays.expect_texts(6);
    texts.sort();
    assert_eq!(texts, ["1", "2", "3", "4", "5", "6"]);
}

/// [MQTT-4.8.2-4]: with QoS 2 it is sent to the same member again.
#[test]
fn a_message_of_qos_2_is_completed_with_the_member_that_returns() {
    let (gateway, [mut away, mut stays]) = group();
    publish(&gateway, 2, &["1", "2"]);
    let first = away.expect_message();
    stays.expect_finished();
    away.cut();
    stays.expect_nothing_more();
    let mut back = Client::resume(&gateway, "a");
    let again = back.expect_finished();
    assert_eq!((again.id, again.dup, again.text()), (first.id, true, first.text()));
    stays.expect_nothing_more();
}

/// [MQTT-4.8.2-5]
#[test]
fn a_message_of_qos_2_goes_to_nobody_else_when_its_member_never_returns() {
    let (gateway, [mut gone, mut stays]) = group();
    publish(&gateway, 2, &["1", "2"]);
    gone.expect_message();
    stays.expect_finished();
    gone.leave_with(0, &[four(crate::packets::SESSION_EXPIRY, 0)]);
    publish(&gateway, 1, &["last"]);
    assert_eq!(stays.expect_texts(1), ["last"]);
    stays.expect_nothing_more();
}

/// [MQTT-4.8.2-6]
#[test]
fn a_message_that_a_member_refuses_goes_to_nobody_else() {
    let (gateway, mut members) = group();
    for (qos, first) in [(1, PUBACK), (2, PUBREC)] {
        publish(&gateway, qos, &["1", "2"]);
        for member in &mut members {
            let id = member.expect_message().id.unwrap();
            member.send(&ack_code(first, id, 0x80));
        }
    }
    for member in &mut members {
        member.expect_nothing_more();
    }
}

/// §4.8.2: while a member is away, a connected one is there for it.
#[test]
fn nothing_is_lost_while_a_member_is_away() {
    let (gateway, [away, mut stays]) = group();
    away.leave();
    publish(&gateway, 1, &["1", "2", "3", "4"]);
    let mut texts = drain(&mut stays);
    // The others may wait for the member that is away.
    let mut back = Client::resume(&gateway, "a");
    texts.extend(drain(&mut back));
    texts.sort();
    assert_eq!(texts, ["1", "2", "3", "4"]);
}
